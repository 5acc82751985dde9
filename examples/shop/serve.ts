import { createServer, type RequestListener, type Server } from "node:http";

/** How long requests that are under way may take when the shop closes. */
const GRACE_MS = 3000;

/** What happens around a server. */
export interface Serving {
  readonly port: number;
  /** Called when nothing is under way any more, after a SIGTERM. */
  readonly done: () => void;
  readonly fail: (error: unknown) => void;
}

/** Serves until a SIGTERM. */
export function serve(listener: RequestListener, { port, done, fail }: Serving): Server {
  const server = createServer(listener);
  // A new connection for each request: so a visitor meets all workers, as behind any load balancer.
  server.maxRequestsPerSocket = 1;
  server.on("error", fail);
  server.listen(port);
  process.once("SIGTERM", closing(server, done));
  // Ctrl-C reaches every process of the terminal: the primary hears it too and tells the workers when to stop.
  process.on("SIGINT", () => {});
  return server;
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
