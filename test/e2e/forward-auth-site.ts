/**
 * The example of `examples/forward-auth`: a static site and an application behind a proxy that asks whose session a request
 * belongs to. What is pasted is the configuration as it stands there; ports and paths are put in.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { connect as connectHttp2, type IncomingHttpHeaders } from "node:http2";
import { request, type Agent, type RequestOptions } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { answerProxies, signInApp, userSession, type Visitor } from "../../examples/forward-auth/app.ts";
import type { SessionDefinition } from "../../src/index.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { fakeClock, type FakeClock } from "../../src/testing/fake-clock.ts";
import { sessionAgent, type SessionAgent } from "../../src/testing/session-agent.ts";
import { freePorts } from "../servers/server-process.ts";
import { eventsOf, instrumented, type Instrumented } from "../testbed.ts";
import { ROOT } from "./built.ts";

/** What every page behind the sign-in says, and no other. */
export const SECRET = "for members only";
/** What the site is called. */
export const HOST = "shop.example";

/** A proxy that runs. */
export interface Proxy {
  /** Where clients come over TLS. */
  readonly port: number;
  stop(): Promise<void>;
}

/** How a proxy is started, with a configuration of the example and files beside it. */
export type StartProxy = (
  files: Readonly<Record<string, string>>,
  config: (port: number, directory: string) => string,
) => Promise<Proxy>;

/** A server that writes down what comes, and can be taken away and brought back. */
export interface Recorder {
  readonly port: number;
  readonly requests: IncomingMessage[];
  end(): Promise<void>;
  begin(): Promise<void>;
}

/** A proxy, and what is behind it. */
export interface Site {
  readonly port: number;
  readonly clock: FakeClock;
  readonly store: Instrumented;
  readonly user: SessionDefinition<Visitor>;
  readonly events: string[];
  readonly sessionServer: Recorder;
  readonly app: Recorder;
  readonly pages: Recorder;
  stop(): Promise<void>;
}

/** A configuration of the example, and other files of it that the proxy needs. */
export interface Example {
  readonly file: string;
  readonly more?: readonly string[];
}

/** Starts it all. */
export async function startSite(started: Example, startProxy: StartProxy): Promise<Site> {
  const clock = fakeClock();
  const store = instrumented(memoryStore({ clock }));
  const user = userSession({ store, clock });
  const sessionServer = await recorder(answerProxies(user));
  const { app, pages, port, stop } = await startBehind(started, startProxy, user, sessionServer.port);
  return {
    port,
    clock,
    store,
    user,
    sessionServer,
    app,
    pages,
    events: eventsOf(user),
    async stop() {
      await stop();
      await sessionServer.end();
    },
  };
}

/** Starts a proxy that asks a server on this port, and what is behind it. */
export async function startBehind(
  { file, more = [] }: Example,
  startProxy: StartProxy,
  user: SessionDefinition<Visitor>,
  sessions: number,
): Promise<Pick<Site, "port" | "app" | "pages" | "stop">> {
  const app = await recorder(createServer(signInApp(user)));
  const pages = await recorder(createServer(page));
  const [plain = 0, inner = 0] = await freePorts(2);
  const paste = (text: string, tls: number, directory: string): string =>
    pasted(text, { tls, plain, inner, directory, sessions, app: app.port, pages: pages.port });
  const files = Object.fromEntries(more.map((name) => [name, paste(example(name), 0, "")]));
  const proxy = await startProxy(files, (tls, directory) => paste(example(file), tls, directory));
  return {
    port: proxy.port,
    app,
    pages,
    async stop() {
      await proxy.stop();
      for (const server of [app, pages]) await server.end();
    },
  };
}

/** The files of the static site, for proxies that have it on their disk. */
export const PAGES: Readonly<Record<string, string>> = {
  "index.html": `<p>${SECRET}: the first page`,
  "private/page.html": `<p>${SECRET}: another page`,
};

/** The static site, for proxies that have it behind them. */
const page: RequestListener = (req, res) => {
  const path = req.url?.replace(/\?.*/, "").replace(/\/$/, "/index.html").slice(1) ?? "";
  res.writeHead(Object.hasOwn(PAGES, path) ? 200 : 404, { "Content-Type": "text/html" });
  res.end(PAGES[path]);
};

function example(file: string): string {
  return readFileSync(join(ROOT, "examples/forward-auth", file), "utf8");
}

function pasted(
  template: string,
  ports: { tls: number; plain: number; inner: number; sessions: number; app: number; pages: number; directory: string },
): string {
  // All at once: a port that was put in could look like another one.
  const { app, sessions, inner, pages } = ports;
  const put: Readonly<Record<string, number>> = { 3000: app, 26282: sessions, 26283: inner, 8080: pages };
  return template
    .replaceAll(/127\.0\.0\.1:(3000|26282|26283|8080)\b/g, (_, port: string) => `127.0.0.1:${put[port]}`)
    .replaceAll(/(bind|listen) (:?)80\b/g, `$1 127.0.0.1:${ports.plain}`)
    .replace(/^:443\b/m, `:${ports.tls}`)
    .replaceAll(/(bind|listen) (:?)443\b/g, `$1 127.0.0.1:${ports.tls}`)
    .replaceAll(/\/etc\/\w+\//g, `${ports.directory}/`)
    .replaceAll("/srv/site", `${ports.directory}/site`);
}

async function recorder(server: Server): Promise<Recorder> {
  const listening = async (port: number): Promise<void> => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  };
  server.keepAliveTimeout = 75_000;
  await listening(0);
  const { port } = server.address() as AddressInfo;
  const it: Recorder = {
    port,
    requests: [],
    async end() {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
    begin: () => listening(port),
  };
  server.on("request", (req) => it.requests.push(req));
  return it;
}

// --- clients ------------------------------------------------------------------------------------------------------------

/** Headers of a browser that is on the way to a page, and of one that sends a form of the site. */
export const NAVIGATION: Readonly<Record<string, string>> = { "Sec-Fetch-Mode": "navigate", Accept: "text/html,*/*" };
const FORM = { ...NAVIGATION, "Sec-Fetch-Site": "same-origin" };

/** A browser that trusts the certificate of the test. */
export interface Visit {
  readonly agent: SessionAgent;
  get(path: string, headers?: Readonly<Record<string, string>>, method?: string): Promise<Response>;
  /** Sends the form of the sign-in page. */
  signIn(name: string, at?: string): Promise<Response>;
  signOut(): Promise<Response>;
}

/** Nobody yet knows it. `kept`: it keeps one connection open, and sends everything on that. */
export function visitor({ port }: Pick<Site, "port">, kept?: Agent): Visit {
  const agent = sessionAgent((asked) => overTls(port, asked, kept));
  const post = (path: string, form: Record<string, string>): Promise<Response> =>
    agent.fetch(path, { method: "POST", headers: FORM, body: new URLSearchParams(form) });
  return {
    agent,
    get: (path, headers = {}, method = "GET") => agent.fetch(path, { headers, method }),
    signIn: (username, at = "/sign-in") => post(at, { username }),
    signOut: () => post("/sign-out", {}),
  };
}

async function overTls(port: number, asked: Request, agent: Agent | undefined): Promise<Response> {
  const { pathname, search } = new URL(asked.url);
  const body = Buffer.from(await asked.arrayBuffer());
  const length = asked.method === "POST" ? { "content-length": body.length } : {};
  const headers = { ...Object.fromEntries(asked.headers), host: HOST, ...length };
  const where: RequestOptions = {
    port,
    host: "127.0.0.1",
    servername: HOST,
    path: pathname + search,
    rejectUnauthorized: false,
  };
  const sending = request({ ...where, method: asked.method, headers, agent: agent ?? false });
  sending.end(body);
  const [response] = (await once(sending, "response")) as [
    AsyncIterable<Buffer> & { statusCode: number; headersDistinct: Record<string, string[]> },
  ];
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part);
  const lines = Object.entries(response.headersDistinct).flatMap(([name, values]) =>
    values.map((value) => [name, value]),
  );
  const hasBody = response.statusCode !== 304 && response.statusCode !== 204;
  return new Response(hasBody ? Buffer.concat(parts) : null, {
    status: response.statusCode,
    headers: lines as [string, string][],
  });
}

/** The status of the answer to a request over HTTP/2, where browsers send each cookie in a line of its own. */
export async function overHttp2(
  { port }: Pick<Site, "port">,
  path: string,
  cookies: readonly string[],
): Promise<number> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { servername: HOST, rejectUnauthorized: false });
  const asking = session.request({ ":path": path, ":authority": HOST, cookie: [...cookies] });
  const [headers] = (await once(asking, "response")) as [IncomingHttpHeaders];
  asking.close();
  session.close();
  return Number(headers[":status"]);
}

/** What comes back for a head of HTTP/2, as it stands: headers and body as text, or nothing where it was not even sent. */
export async function rawHttp2({ port }: Pick<Site, "port">, head: Readonly<Record<string, string>>): Promise<string> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { servername: HOST, rejectUnauthorized: false });
  session.on("error", () => {});
  let answer = "";
  try {
    const asking = session.request(head, { endStream: true });
    asking.on("error", () => {});
    asking.on("response", (headers) => (answer += JSON.stringify(headers)));
    asking.setEncoding("latin1").on("data", (part: string) => (answer += part));
    // A tunnel that was opened, or an answer without an end.
    const late = setTimeout(() => asking.destroy(), 2_000);
    await new Promise<void>((resolve) => void asking.once("close", resolve));
    clearTimeout(late);
  } catch (error) {
    answer = String(error);
  }
  session.destroy();
  return answer;
}

/** Sends bytes as they are, and returns all that comes back until the proxy closes the connection. */
export async function raw({ port }: Pick<Site, "port">, text: string): Promise<string> {
  const socket = connectTls({ port, host: "127.0.0.1", servername: HOST, rejectUnauthorized: false });
  let answer = "";
  socket.setEncoding("latin1");
  socket.on("data", (part: string) => (answer += part));
  // A proxy that does not like what it reads may close before it has read it all.
  socket.on("error", () => {});
  socket.write(text, "latin1");
  await once(socket, "close");
  return answer;
}
