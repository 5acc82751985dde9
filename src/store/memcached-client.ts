/**
 * The clients that `memcachedStore` works with, by their shape: memjs, memcached, and what an app writes itself.
 *
 * @module
 */
import { memjsCommands } from "./memcached-memjs.ts";
import { nodeMemcachedCommands } from "./memcached-node.ts";

/** A `Client` of memjs 1. */
export interface MemjsClient {
  perform(...args: never[]): unknown;
  incrSeq(): unknown;
  server(key: string): unknown;
}

/** A client of the package `memcached` 2. */
export interface NodeMemcachedClient {
  gets(...args: never[]): unknown;
  add(...args: never[]): unknown;
  cas(...args: never[]): unknown;
  del(...args: never[]): unknown;
}

/**
 * What the store asks of any other client; an app adapts it in a few lines. Names are printable ASCII without spaces, of up to
 * 250 bytes. Values are texts, to be kept as UTF-8. `exptime` is meant as in the protocol: up to 30 days in seconds,
 * more is a date, 0 is never. A command that the server does not answer, or answers with an error, rejects.
 */
export interface MemcachedCommands {
  /** The value of a name and its cas token, as the server has them now; undefined when there is none. */
  gets(name: string): PromiseLike<MemcachedItem | undefined>;
  /** Keeps a value under a free name; false when there is one already. */
  add(name: string, value: string, exptime: number): PromiseLike<boolean>;
  /** Replaces the value that came with this token. `exists`: another one is there. `not-found`: none is. */
  cas(name: string, value: string, exptime: number, token: string): PromiseLike<CasOutcome>;
  /** False when there was none. */
  delete(name: string): PromiseLike<boolean>;
}

/** A value with the token of its last change. */
export interface MemcachedItem {
  readonly value: string;
  readonly token: string;
}

/** What `cas` did. */
export type CasOutcome = "stored" | "exists" | "not-found";

/** A client that the app has made, and closes itself. */
export type MemcachedClient = MemjsClient | NodeMemcachedClient | MemcachedCommands;

/** A client, and what it limits. */
export interface Connection {
  readonly commands: MemcachedCommands;
  /** What the client itself puts before every name. */
  readonly namespace: string;
  /** The largest value that the client sends, in bytes; undefined where it leaves that to the server. */
  readonly maxValueBytes: number | undefined;
}

/** Wraps a client. Throws a `TypeError` for what is none, and for one that is set up to move keys between servers. */
export function memcachedConnection(client: unknown): Connection {
  const found = (typeof client === "object" && client !== null ? client : {}) as Readonly<Record<string, unknown>>;
  const hasAll = (...methods: readonly string[]): boolean => methods.every((name) => typeof found[name] === "function");
  if (hasAll("perform", "incrSeq", "server")) return memjsCommands(client);
  if (hasAll("gets", "add", "cas", "del", "command")) return nodeMemcachedCommands(client);
  if (hasAll("gets", "add", "cas", "delete")) {
    return { commands: client as MemcachedCommands, namespace: "", maxValueBytes: undefined };
  }
  throw new TypeError(
    "memcachedStore: expected a client of memjs (1: Client.create), of memcached (2: new Memcached), or an object with" +
      " gets, add, cas and delete (see MemcachedCommands)",
  );
}
