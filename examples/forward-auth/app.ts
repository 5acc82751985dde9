/**
 * Signs people in and out, behind one of the proxies configured beside this file. What else the proxy lets them see needs to know
 * nothing of sessions: a static site, or an application in any language that reads the header `X-Session-Subject`.
 *
 *     node examples/forward-auth/app.ts
 *
 * It answers the proxy's questions, too, on a port that only the proxy can reach. With a session server for that
 * (`coatcheck serve --forward-auth shop/user`) leave `answerProxies` out.
 */
import { createServer, type Server } from "node:http";
import express, { type Express } from "express";
import { cookie, defineSession, type SessionDefinition, type SessionOptions } from "coatcheck";
import { csrf } from "coatcheck/csrf";
import { sessions } from "coatcheck/express";
import { forwardAuth } from "coatcheck/forward-auth";
import { sqliteStore } from "coatcheck/store/sqlite";
import { returnPath } from "./return-path.ts";

/** What is kept of a visitor. */
export interface Visitor {
  readonly since?: string;
}

/** The session, of which application and proxy have to be of one mind: the same name, store, keys and clocks. */
export function userSession(options: Omit<SessionOptions, "name" | "schema" | "codec">): SessionDefinition<Visitor> {
  // TLS ends at the proxy, which says so. Nobody else may reach this port, or they could say so, too.
  return defineSession<Visitor>({ name: "user", transport: cookie({ trustProxy: true }), ...options });
}

/** Pages to sign in and out, which the proxy lets everybody see, and one of an account, which it does not. */
export function signInApp(user: SessionDefinition<Visitor>): Express {
  const app = express();
  app.disable("x-powered-by");
  app.use(sessions(user), express.urlencoded({ extended: false }), csrf({ session: user, trustProxy: true }));

  app.get("/sign-in", (req, res) => void res.type("html").send(page(returnPath(req.originalUrl))));

  app.post("/sign-in", async (req, res) => {
    const username = textIn(req.body, "username");
    if (username === "")
      return void res
        .status(422)
        .type("html")
        .send(page(returnPath(req.originalUrl)));
    const session = await user.from(req);
    session.authenticate(username); // once you have checked the password
    session.patch({ since: new Date().toISOString() });
    res.redirect(303, returnPath(req.originalUrl));
  });

  app.post("/sign-out", async (req, res) => {
    (await user.from(req)).destroy();
    res.redirect(303, "/sign-in");
  });

  // The proxy asks first. That the application has a look at the session, too, is what renews its secret now and then.
  app.get("/account/", async (req, res) => {
    const { subject = null, data } = await user.from(req);
    res.json({ subject, since: data?.since ?? null, header: req.get("X-Session-Subject") ?? null });
  });
  return app;
}

/** Says where the form goes, because Traefik shows this page under the address of the one that was asked for. */
function page(path: string): string {
  const action = `/sign-in?return=${path}`.replaceAll("&", "&amp;").replaceAll("'", "&#39;");
  return `<!doctype html>
<title>Sign in</title>
<form method="post" action='${action}'>
  <label>Username <input name="username" autocomplete="username" required autofocus></label>
  <button>Sign in</button>
</form>
`;
}

function textIn(form: unknown, field: string): string {
  const value: unknown =
    typeof form === "object" && form !== null && Object.hasOwn(form, field) ? Reflect.get(form, field) : "";
  return typeof value === "string" ? value : "";
}

/** Tells a proxy whose session a request belongs to. */
export function answerProxies(user: SessionDefinition<Visitor>): Server {
  const { node } = forwardAuth(user);
  return createServer((req, res) => {
    // Envoy puts the path of the request behind that of the question.
    if (/^\/forward-auth\/shop\/user(?:[/?]|$)/.test(req.url ?? "")) return node(req, res);
    res.statusCode = 404;
    res.end();
  });
}

if (import.meta.main) {
  const user = userSession({ store: sqliteStore("sessions.db") });
  const { PORT: port = "3000", SESSIONS_PORT: sessionsPort = "26282" } = process.env;
  const servers = [createServer(signInApp(user)), answerProxies(user)];
  for (const [index, number] of [port, sessionsPort].entries()) {
    const server = servers[index];
    // The proxy keeps connections open and is to close them first.
    if (server !== undefined) server.listen(Number(number), "127.0.0.1").keepAliveTimeout = 75_000;
  }
  console.log(`Signs in on port ${port}, answers the proxy on port ${sessionsPort}`);
}
