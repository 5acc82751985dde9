/**
 * A session server in this process, with desks in the place of its real endpoints, and raw requests to it.
 */
import { afterEach } from "vitest";
import { systemClock } from "../src/internal/clock.ts";
import { newCredential } from "../src/server/credentials.ts";
import type { Endpoint } from "../src/server/endpoint.ts";
import type { Mount } from "../src/server/mount.ts";
import { serverOver, type ServerSettings } from "../src/server/server-over.ts";
import type { SessionServer } from "../src/server/session-server.ts";
import { memoryStore } from "../src/store/memory.ts";
import { type RawResponse, rawRequest } from "./servers/raw-http.ts";

type Made = ReturnType<typeof newCredential>;

/** Credentials of two applications. */
export const shop: Made = newCredential("shop", "shop");
export const blog: Made = newCredential("blog", "blog");
/** The line of a head by which `shop` says who it is. */
export const AUTHORIZED: string = `Authorization: Bearer ${shop.text}`;

export const SETTINGS: ServerSettings = {
  store: memoryStore(),
  credentials: [shop.credential, blog.credential],
  mounts: () => [],
  maxBody: 1000,
  rate: undefined,
  maxConnections: 100,
  headersTimeout: 10_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 10_000,
  storeTimeout: 1000,
  metrics: "open",
  log: () => {},
  clock: systemClock,
};

/** What the tests have in the place of the real endpoints. */
export interface Desk {
  readonly endpoint: Endpoint;
  readonly stream: Endpoint;
}

const servers: SessionServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close({ within: 1 });
});

export interface Started {
  readonly server: SessionServer;
  readonly port: number;
  readonly url: string;
  readonly log: readonly string[];
  /** Sends the head and body of a request as they stand, `\n` for the end of a line. */
  send(text: string): Promise<RawResponse>;
  metric(name: string): Promise<number | undefined>;
}

export async function started(settings: Partial<ServerSettings> = {}, desk: Partial<Desk> = {}): Promise<Started> {
  const log: string[] = [];
  const mounts = (): readonly Mount[] => [
    { kind: "endpoint", path: "/v1/store", methods: ["POST"], endpoint: desk.endpoint ?? echo },
    { kind: "endpoint", path: "/v1/sessions", below: true, methods: ["GET", "PUT"], endpoint: echoPath },
    { kind: "endpoint", path: "/v1/changes", streams: true, methods: ["GET"], endpoint: desk.stream ?? echoPath },
    { kind: "proxy", path: "/forward-auth/shop/user", node: (_req, res) => void res.end("proxied") },
  ];
  const server = serverOver({ ...SETTINGS, mounts, log: (line) => void log.push(line), ...settings });
  servers.push(server);
  await server.listen({ host: "127.0.0.1", port: 0 });
  const url = server.url ?? "";
  const port = Number(new URL(url).port);
  const send = (text: string): Promise<RawResponse> => rawRequest({ port }, raw(text));
  const metric = async (name: string): Promise<number | undefined> => {
    const { body } = await send("GET /metrics HTTP/1.1\nHost: localhost\n\n");
    const line = body.split("\n").find((candidate) => candidate.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.slice(name.length + 1));
  };
  return { server, port, url, log, send, metric };
}

const echo: Endpoint = async (call) => ({
  status: 200,
  body: { by: call.caller.application, body: (await call.body()) ?? null },
});
const echoPath: Endpoint = ({ path, query }) => ({ status: 200, body: { path, query: [...query] } });

/** Lines of a head end as HTTP has it; a body stays as it is. */
export function raw(text: string): string {
  const [head = "", ...body] = text.split("\n\n");
  return `${head.replaceAll("\n", "\r\n")}\r\n\r\n${body.join("\n\n")}`;
}

export function post(body: string, ...headers: readonly string[]): string {
  const lines = ["Content-Type: application/json", `Content-Length: ${Buffer.byteLength(body)}`, ...headers];
  return `POST /v1/store HTTP/1.1\nHost: localhost\n${AUTHORIZED}\n${lines.join("\n")}\n\n${body}`;
}

export function get(path: string, ...headers: readonly string[]): string {
  return `GET ${path} HTTP/1.1\n${["Host: localhost", AUTHORIZED, ...headers].join("\n")}\n\n`;
}

/** A promise, and what settles it. */
export interface Gate<T> {
  readonly promise: Promise<T>;
  open(value: T): void;
}

/** Makes one. */
export function gate<T = void>(): Gate<T> {
  let open: (value: T) => void = () => {};
  const promise = new Promise<T>((resolve) => (open = resolve));
  return { promise, open };
}
