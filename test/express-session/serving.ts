/**
 * Servers with sessions on `req.session`, and clients that see every header.
 */
import { once } from "node:events";
import { createServer, request, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** An answer as it came. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly setCookies: readonly string[];
  /** What the first `Set-Cookie` sets, as a browser sends it back. */
  readonly cookie: string | undefined;
}

/** How a request is made. */
export interface Ask {
  readonly path?: string;
  readonly method?: string;
  readonly cookie?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A server that listens. */
export interface Serving {
  readonly port: number;
  ask(options?: Ask): Promise<Answer>;
  stop(): Promise<void>;
}

type Listener = (req: IncomingMessage, res: ServerResponse) => void;

/** Starts a server; on a given port, where one is given. */
export async function serve(listener: unknown, port = 0): Promise<Serving> {
  const server = createServer(listener as Listener).listen(port, "127.0.0.1");
  await once(server, "listening");
  const { port: found } = server.address() as AddressInfo;
  return {
    port: found,
    ask: (options) => ask(found, options),
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Serves for as long as `work` takes. */
export async function serving(listener: unknown, work: (server: Serving) => Promise<void>): Promise<void> {
  const server = await serve(listener);
  try {
    await work(server);
  } finally {
    await server.stop();
  }
}

/** Asks, and waits for the whole answer. */
export async function ask(port: number, options: Ask = {}): Promise<Answer> {
  const { path = "/", method = "GET", cookie, headers = {} } = options;
  const all = cookie === undefined ? headers : { ...headers, cookie };
  const sent = request({ port, path, method, headers: all, agent: false }).end();
  const [res] = (await once(sent, "response")) as [IncomingMessage];
  let body = "";
  res.setEncoding("utf8");
  for await (const chunk of res) body += String(chunk);
  const setCookies = res.headers["set-cookie"] ?? [];
  return { status: res.statusCode ?? 0, headers: res.headers, body, setCookies, cookie: setCookies[0]?.split(";")[0] };
}

/** A handler for `node:http` that runs middleware first, and answers its errors as Express does. */
export function through<Req, Res>(
  middleware: (req: never, res: never, next: (error?: unknown) => void) => void,
  handler: (req: Req, res: Res) => unknown,
  errors: unknown[] = [],
): (req: unknown, res: ServerResponse) => void {
  return (req, res) =>
    middleware(req as never, res as never, (error) => {
      if (error === undefined) return void handler(req as Req, res as Res);
      errors.push(error);
      if (res.headersSent) return;
      res.statusCode = (error as { status?: number }).status ?? 500;
      res.end((error as Error).message);
    });
}
