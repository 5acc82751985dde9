/**
 * The example of `examples/fleet`: three servers over one Redis, behind a load balancer, and clients of theirs. What is pasted
 * is the configuration as it stands there; ports and paths are put in.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request, type RequestOptions } from "node:https";
import { join } from "node:path";
import { sessionAgent, type SessionAgent } from "../../src/testing/session-agent.ts";
import { startRedis } from "../servers/redis.ts";
import { freePorts, serverDirectory, startProcess, until, type ServerProcess } from "../servers/server-process.ts";
import { ensureBuilt, ROOT } from "./built.ts";

/** What the servers are called. */
export const ROUTES = ["a", "b", "c"] as const;
export type Route = (typeof ROUTES)[number];

/** A load balancer that runs. */
export interface Balancer {
  /** Where clients come over TLS. */
  readonly port: number;
  /** Takes another configuration, where its operator has to take a server out before it ends. */
  reload?(config: string): Promise<void>;
  stop(): Promise<void>;
}

/** How a load balancer is started with a configuration of the example. */
export type StartBalancer = (config: (port: number, directory: string) => string) => Promise<Balancer>;

/** Three servers and what is before them. */
export interface Fleet {
  readonly balancer: Balancer;
  /** Where clients come over plain http. */
  readonly plainPort: number;
  server(route: Route): ServerProcess;
  start(route: Route): Promise<void>;
  /** The load balancer's configuration; without a server, which is marked `down` in nginx's words, where one is named. */
  config(without?: Route): string;
  stop(): Promise<void>;
}

/** Starts it all. */
export async function startFleet(
  file: string,
  startBalancer: StartBalancer,
  balance: "cookie" | "hash",
): Promise<Fleet> {
  await ensureBuilt();
  const redis = await startRedis();
  const [plain = 0, ...ports] = await freePorts(1 + ROUTES.length);
  const servers = new Map<Route, ServerProcess>();
  const start = async (route: Route): Promise<void> => {
    await servers.get(route)?.stop();
    const port = ports[ROUTES.indexOf(route)];
    const settings = { ROUTE: route, PORT: port, BALANCE: balance, REDIS_URL: `redis://127.0.0.1:${redis.port}` };
    const pairs = Object.entries({ ...settings, NODE_ENV: "production" }).map(([name, value]) => `${name}=${value}`);
    const program = join(ROOT, "examples/fleet/server.ts");
    const server = startProcess("env", [...pairs, process.execPath, program], serverDirectory(`fleet-${route}`));
    servers.set(route, server);
    await until(`server ${route}`, async () => server.output().includes("listens on port"));
  };
  await Promise.all(ROUTES.map(start));
  const template = readFileSync(join(ROOT, "examples/fleet", file), "utf8");
  let config = "";
  const balancer = await startBalancer(
    (tls, directory) => (config = pasted(template, { directory, tls, plain, ports })),
  );
  return {
    balancer,
    plainPort: plain,
    server: (route) => servers.get(route) as ServerProcess,
    start,
    config(without) {
      if (without === undefined) return config;
      return config.replaceAll(`server 127.0.0.1:${ports[ROUTES.indexOf(without)]}`, "$& down");
    },
    async stop() {
      await balancer.stop();
      for (const server of servers.values()) await server.stop();
      await redis.stop();
    },
  };
}

function pasted(
  template: string,
  { directory, tls, plain, ports }: { directory: string; tls: number; plain: number; ports: readonly number[] },
): string {
  return template
    .replace(/(bind|listen) (:?)80\b/, `$1 127.0.0.1:${plain}`)
    .replace(/(bind|listen) (:?)443\b/, `$1 127.0.0.1:${tls}`)
    .replaceAll(/\/etc\/\w+\/site\./g, `${directory}/site.`)
    .replaceAll(/127\.0\.0\.1:300([123])\b/g, (_, one: string) => `127.0.0.1:${ports[Number(one) - 1]}`);
}

// --- clients ------------------------------------------------------------------------------------------------------------

/** What the servers answer. */
export interface Answer {
  readonly status: number;
  readonly server: Route;
  readonly subject?: string | null;
  readonly visits?: number;
  readonly setCookies: readonly string[];
}

/** A client with a cookie jar. */
export interface Client {
  readonly name: string;
  readonly agent: SessionAgent;
  get(path?: string): Promise<Answer>;
  post(path: string, form?: string): Promise<Answer>;
}

/** A client that trusts the certificate of the test, and nobody yet knows. */
export function newClient({ balancer: { port } }: Fleet, name: string): Client {
  const agent = sessionAgent((asked) => overTls(port, asked));
  const answered = async (path: string, init?: RequestInit): Promise<Answer> => {
    const response = await agent.fetch(path, init);
    const body = response.ok
      ? ((await response.json()) as Omit<Answer, "status" | "setCookies">)
      : { server: "a" as const };
    return { ...body, status: response.status, setCookies: response.headers.getSetCookie() };
  };
  return {
    name,
    agent,
    get: (path = "/") => answered(path),
    post: (path, form = "") => answered(path, { method: "POST", body: new URLSearchParams(form) }),
  };
}

/** Clients that are signed in. */
export async function signedIn(fleet: Fleet, count: number): Promise<readonly Client[]> {
  const clients = Array.from({ length: count }, (_, index) => newClient(fleet, `client-${index}`));
  await Promise.all(clients.map(({ post, name }) => post("/login", `username=${name}`)));
  return clients;
}

async function overTls(port: number, asked: Request): Promise<Response> {
  const { pathname } = new URL(asked.url);
  const body = Buffer.from(await asked.arrayBuffer());
  const headers = { ...Object.fromEntries(asked.headers), host: "shop.example", "content-length": body.length };
  const options: RequestOptions = { port, host: "127.0.0.1", path: pathname, method: asked.method, headers };
  const sending = request({ ...options, agent: false, rejectUnauthorized: false });
  sending.end(body);
  const [response] = (await once(sending, "response")) as [
    AsyncIterable<Buffer> & { statusCode: number; headersDistinct: Record<string, string[]> },
  ];
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part);
  const lines = Object.entries(response.headersDistinct).flatMap(([name, values]) =>
    values.map((value) => [name, value]),
  );
  return new Response(Buffer.concat(parts), { status: response.statusCode, headers: lines as [string, string][] });
}
