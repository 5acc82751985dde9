import { once } from "node:events";
import express, { type NextFunction, type Request, type Response } from "express";
import { assetPaths, serveAssets } from "./assets.ts";
import { createFeed } from "./feed.ts";
import { roomPage } from "./page.ts";
import { viewOf, type RoomContext } from "./room-view.ts";

/** The control room while it is open. */
export interface Room {
  /** To be called when a server has another state. */
  changed(): void;
  close(): Promise<void>;
}

/** How many visitors the button sends. */
const VISITORS = 20;

/** Opens the control room on a port of the loopback interface. */
export async function openRoom(port: number, context: RoomContext): Promise<Room> {
  const feed = createFeed(context);
  const app = express();
  app.disable("x-powered-by");
  app.use(onlyHere(context.url), secureHeaders(context.shopUrl));
  serveAssets(app);
  app.get("/", (_req, res) => void res.type("html").send(roomPage(viewOf(context), assetPaths)));
  app.get("/feed", (req, res) => feed.follow(req, res));
  app.post("/servers/:name/:action", (req, res) => {
    const server = context.servers.find(({ name }) => name === req.params.name);
    const action = server?.actions.find((each) => each === req.params.action);
    // Nothing to do is no error: the page may be a moment behind.
    if (action !== undefined) server?.act(action);
    res.redirect(303, "/");
  });
  app.post("/visitors", (_req, res) => {
    context.visitors.send(VISITORS);
    res.redirect(303, "/");
  });
  const server = app.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    changed: feed.changed,
    async close() {
      feed.close();
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Pages of other sites may neither read this one nor press its buttons. */
function onlyHere(url: string): (req: Request, res: Response, next: NextFunction) => void {
  const { host, port } = new URL(url);
  return (req, res, next) => {
    // A name of somebody else's that leads to this machine comes with that name.
    const here = req.headers.host === host || req.headers.host === `127.0.0.1:${port}`;
    const site = req.get("Sec-Fetch-Site") ?? "none";
    const ours = req.method === "GET" || site === "same-origin" || site === "none";
    if (here && ours) next();
    else res.status(403).type("text").send("The control room is for this machine only.");
  };
}

function secureHeaders(shopUrl: string): (req: Request, res: Response, next: NextFunction) => void {
  const headers = {
    "Cache-Control": "no-store",
    "Content-Security-Policy":
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; " +
      `base-uri 'none'; frame-ancestors 'none'; frame-src ${shopUrl}`,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
  };
  return (_req, res, next) => {
    res.set(headers);
    next();
  };
}
