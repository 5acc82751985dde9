/**
 * Every client that `memcachedStore` works with, over real servers.
 */
import { connect } from "node:net";
import Memcached from "memcached";
import { Client as Memjs } from "memjs";
import type { MemcachedClient, MemcachedCommands } from "../../src/store/memcached.ts";

/** A client, and how to end it. */
export interface ConnectedMemcached {
  readonly client: MemcachedClient;
  close(): void;
}

/** How to connect a client, by its name. */
export type MemcachedClients = Readonly<Record<string, (ports: readonly number[]) => ConnectedMemcached>>;

/** Failed connections show in the commands that fail of them. */
const SILENT = { log: (): void => {} };

/** As the documentation says it should be set up. */
export const MEMCACHED_OPTIONS = {
  timeout: 1_000,
  retries: 3,
  minTimeout: 100,
  maxTimeout: 100,
  retry: 500,
  failures: 1_000_000,
} as const;

const LARGEST = 8 * 1024 * 1024;

function addresses(ports: readonly number[]): string[] {
  return ports.map((port) => `127.0.0.1:${port}`);
}

/** All clients. */
export const MEMCACHED_CLIENTS: MemcachedClients = {
  memjs: (ports) => memjs(ports, { timeout: 10, conntimeout: 2 }),
  "memjs as it is": (ports) => memjs(ports, {}),
  memcached(ports) {
    const client = new Memcached(addresses(ports), { ...MEMCACHED_OPTIONS, maxValue: LARGEST });
    return { client, close: () => client.end() };
  },
  "memcached with a namespace"(ports) {
    const client = new Memcached(addresses(ports), { ...MEMCACHED_OPTIONS, maxValue: LARGEST, namespace: "shop." });
    return { client, close: () => client.end() };
  },
  "an adapter of the app's own": ([port = 0]) => ownAdapter(port),
};

function memjs(ports: readonly number[], options: object): ConnectedMemcached {
  const client = Memjs.create(addresses(ports).join(","), { logger: SILENT, ...options });
  return { client, close: () => client.close() };
}

/** A client that an app has written itself: one connection, one line after the other. */
function ownAdapter(port: number): ConnectedMemcached {
  const socket = connect(port, "127.0.0.1");
  const waiting: { readonly parse: (answer: Buffer) => number; readonly fail: (error: Error) => void }[] = [];
  let received = Buffer.alloc(0);
  let failure: Error | undefined;
  const fail = (error: Error): void => {
    failure ??= error;
    for (const { fail: tell } of waiting.splice(0)) tell(failure);
  };
  socket.on("error", fail);
  socket.on("close", () => fail(new Error("closed")));
  socket.on("data", (chunk) => {
    received = Buffer.concat([received, chunk]);
    for (let used = -1; waiting.length > 0 && used !== 0; received = received.subarray(used)) {
      used = waiting[0]?.parse(received) ?? 0;
      if (used > 0) waiting.shift();
    }
  });
  const ask = (request: string): Promise<readonly [line: string, data: string]> =>
    new Promise((resolve, reject) => {
      if (failure !== undefined) throw failure;
      const parse = (answer: Buffer): number => {
        const end = answer.indexOf("\r\n");
        if (end < 0) return 0;
        const line = answer.toString("latin1", 0, end);
        const length = line.startsWith("VALUE ") ? Number(line.split(" ")[3]) : undefined;
        const all = length === undefined ? end + 2 : end + 2 + length + "\r\nEND\r\n".length;
        if (answer.length < all) return 0;
        resolve([line, answer.toString("utf8", end + 2, end + 2 + (length ?? 0))]);
        return all;
      };
      waiting.push({ parse, fail: reject });
      socket.write(request);
    });
  return { client: commandsOver(ask), close: () => socket.destroy() };
}

type Ask = (request: string) => Promise<readonly [line: string, data: string]>;

function commandsOver(ask: Ask): MemcachedCommands {
  const oneOf = <T>(answers: Readonly<Record<string, T>>, line: string): T => {
    if (!Object.hasOwn(answers, line)) throw new Error(line);
    return answers[line] as T;
  };
  const bytes = (value: string): number => Buffer.byteLength(value);
  return {
    async gets(name) {
      const [line, value] = await ask(`gets ${name}\r\n`);
      return line.startsWith("VALUE ") ? { value, token: line.split(" ")[4] ?? "" } : oneOf({ END: undefined }, line);
    },
    async add(name, value, exptime) {
      const [line] = await ask(`add ${name} 0 ${exptime} ${bytes(value)}\r\n${value}\r\n`);
      return oneOf({ STORED: true, NOT_STORED: false }, line);
    },
    async cas(name, value, exptime, token) {
      const [line] = await ask(`cas ${name} 0 ${exptime} ${bytes(value)} ${token}\r\n${value}\r\n`);
      return oneOf({ STORED: "stored", EXISTS: "exists", NOT_FOUND: "not-found" } as const, line);
    },
    async delete(name) {
      const [line] = await ask(`delete ${name}\r\n`);
      return oneOf({ DELETED: true, NOT_FOUND: false }, line);
    },
  };
}
