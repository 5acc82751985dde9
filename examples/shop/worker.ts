import { createServer, type Server } from "node:http";
import { shop } from "./app.ts";
import { openSessions } from "./sessions.ts";
import { settingsOf, whyNot } from "./settings.ts";

/** How long requests that are under way may take when the shop closes. */
const GRACE_MS = 3000;

const { port, dataDir } = settingsOf(process.env);

try {
  await serve();
} catch (error) {
  fail(error);
}

async function serve(): Promise<void> {
  const { user, close } = openSessions(dataDir);
  // The store opens its file when it is first asked: now, rather than for the first visitor.
  await user.manager.count();
  const server = createServer(shop(user));
  // A new connection for each request: so a visitor meets both workers, as behind any load balancer.
  server.maxRequestsPerSocket = 1;
  server.on("error", fail);
  server.listen(port);

  const stop = closing(server, () => void close().then(() => process.exit(0), fail));
  process.once("SIGTERM", stop);
  // Ctrl-C reaches every process of the terminal: the primary hears it too and tells the workers when to stop.
  process.on("SIGINT", () => {});
}

/** What stops accepting, lets the requests under way finish, and then calls `done`. */
function closing(server: Server, done: () => void): () => void {
  let underWay = 0;
  let stopping = false;
  // A browser opens connections ahead of need; those would keep the server open.
  const hangUp = (): void => {
    if (stopping && underWay === 0) server.closeAllConnections();
  };
  server.on("request", (_req, res) => {
    underWay++;
    res.once("close", () => {
      underWay--;
      hangUp();
    });
  });
  return () => {
    stopping = true;
    server.close(done);
    setTimeout(hangUp, 100);
    setTimeout(() => server.closeAllConnections(), GRACE_MS);
  };
}

function fail(error: unknown): void {
  process.send?.({ failed: whyNot(error, { port, dataDir }) }, () => process.exit(1));
}
