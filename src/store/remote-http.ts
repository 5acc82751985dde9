/**
 * HTTP for `remoteStore` by `node:http` and `node:https`, where there is Node: the global `fetch` takes several times the CPU time.
 *
 * @module
 */
import type { RemoteFetch, RemoteRequest, RemoteResponse } from "./remote-server.ts";

// What is used of Node, by its shape: the types of the door must not need those of Node.

interface Emitter {
  on(event: string, listener: (given: never) => void): this;
}

interface Socket {
  unref(): void;
  destroy(): void;
}

interface Incoming extends Emitter {
  readonly statusCode?: number;
  pause(): void;
  resume(): void;
  destroy(): void;
}

interface Outgoing extends Emitter {
  end(body?: string): void;
  destroy(): void;
}

interface NodeAgent {
  maxFreeSockets: number;
  readonly freeSockets: Readonly<Record<string, readonly Socket[] | undefined>>;
}

interface NodeHttp {
  readonly Agent: new (options: object) => NodeAgent;
  request(options: object, answered: (incoming: Incoming) => void): Outgoing;
}

interface NodeProcess {
  readonly versions?: Readonly<Record<string, string | undefined>>;
  getBuiltinModule?(id: string): NodeHttp | undefined;
}

/** What is told about TLS. */
export interface RemoteTls {
  /** The certificates of the authorities that are trusted, in place of those that Node knows: PEM. */
  readonly ca: string | Uint8Array | readonly (string | Uint8Array)[];
}

/** A `fetch` that keeps connections of its own. */
export interface HttpTransport {
  readonly fetch: RemoteFetch;
  /** Lets go of the connections, and of those that are in use when they are not any more. */
  close(): void;
}

/**
 * A transport to the server at `base` that keeps so many idle connections, which keep no process alive; undefined where this is
 * not Node: others have `node:http` as well, over their own `fetch`.
 */
export function httpTransport(
  base: string,
  connections: number,
  tls: RemoteTls | undefined,
): HttpTransport | undefined {
  const { protocol, hostname, port, host, origin } = new URL(base);
  const http = nodeModule(protocol === "https:" ? "node:https" : "node:http");
  if (http === undefined) return undefined;
  const agent = new http.Agent({ keepAlive: true, noDelay: true, maxFreeSockets: connections, ...tls });
  const target = {
    protocol,
    host: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? undefined : port,
    agent,
    setDefaultHeaders: false,
  };
  return {
    fetch: (url, asked) =>
      new Promise((resolve, reject) => {
        const { method, body } = asked;
        const options = { ...target, method, path: url.slice(origin.length), headers: headersOf(host, asked) };
        const { signal } = asked;
        const abort = (): void => sent.destroy();
        const failed = (error: Error): void => {
          signal.removeEventListener("abort", abort);
          // Where one kept connection is dead, others are as well: the next try is to have a new one.
          dropIdle(agent);
          reject(error);
        };
        const sent = http.request(options, (incoming) => {
          if (body === undefined) return resolve(streamed(incoming));
          collect(incoming, failed, (text) => {
            signal.removeEventListener("abort", abort);
            resolve(new Collected(incoming.statusCode ?? 0, text));
          });
        });
        sent.on("error", failed);
        // Nothing is asked over a stream that goes on: it is no reason for a process to stay.
        if (body === undefined) sent.on("socket", (socket: Socket) => socket.unref());
        signal.addEventListener("abort", abort);
        // Head and body leave in one piece.
        sent.end(body);
      }),
    close() {
      agent.maxFreeSockets = 0;
      dropIdle(agent);
    },
  };
}

function nodeModule(id: string): NodeHttp | undefined {
  const { process } = globalThis as { process?: NodeProcess };
  const { node, bun, deno } = process?.versions ?? {};
  if (node === undefined || bun !== undefined || deno !== undefined) return undefined;
  if (globalThis.navigator?.userAgent === "Cloudflare-Workers") return undefined;
  return process?.getBuiltinModule?.(id);
}

/** Flat, as they go out: Node has nothing to add and nothing to look through. */
function headersOf(host: string, { headers, body }: RemoteRequest): readonly string[] {
  const flat = ["Host", host, "Connection", "keep-alive"];
  for (const name in headers) flat.push(name, headers[name] ?? "");
  if (body !== undefined) flat.push("Content-Length", `${lengthOf(body)}`);
  return flat;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** In bytes. */
function lengthOf(text: string): number {
  // oxlint-disable-next-line no-control-regex
  return /^[\x00-\x7f]*$/.test(text) ? text.length : encoder.encode(text).length;
}

class Collected implements RemoteResponse {
  readonly status: number;
  readonly #text: string;

  constructor(status: number, text: string) {
    this.status = status;
    this.#text = text;
  }

  text(): Promise<string> {
    return Promise.resolve(this.#text);
  }
}

function collect(incoming: Incoming, failed: (error: Error) => void, done: (text: string) => void): void {
  const chunks: Uint8Array[] = [];
  incoming.on("data", (chunk: Uint8Array) => void chunks.push(chunk));
  incoming.on("end", () => done(decoder.decode(chunks.length === 1 ? chunks[0] : joined(chunks))));
  incoming.on("error", failed);
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  let at = 0;
  for (const { length } of chunks) at += length;
  const all = new Uint8Array(at);
  at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

function streamed(incoming: Incoming): RemoteResponse {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      incoming.on("data", (chunk: Uint8Array) => {
        controller.enqueue(chunk);
        if ((controller.desiredSize ?? 0) <= 0) incoming.pause();
      });
      incoming.on("end", () => controller.close());
      incoming.on("error", (error: Error) => controller.error(error));
    },
    pull: () => incoming.resume(),
    cancel: () => incoming.destroy(),
  });
  return { status: incoming.statusCode ?? 0, text: () => new Response(body).text(), body };
}

function dropIdle({ freeSockets }: NodeAgent): void {
  for (const sockets of Object.values(freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}
