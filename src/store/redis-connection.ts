/**
 * What `redisStore` does with a client, whichever it is.
 *
 * @module
 */
import type { StoreCall } from "./store.ts";

/** What a client may want to know of a call. Its signal is asked for by those only that can use it: asking makes it. */
export type Aborting = Pick<StoreCall, "signal">;

/** Sends one command, its name first, and returns the reply: texts, numbers, null and arrays of those. */
export type Send = (args: readonly string[], call?: Aborting) => PromiseLike<unknown>;

/** What the store needs of a client. */
export interface RedisConnection {
  /** Sends a command to the primary that has the slot of `key`. */
  command(key: string, args: readonly string[], call?: Aborting): PromiseLike<unknown>;
  /** All primaries. */
  nodes(): PromiseLike<readonly Send[]>;
  /** Works with one connection to the primary that has the slot of `key`; `keyed` follows redirections of a cluster. */
  hold<T>(key: string, work: (connection: Send, keyed: Send) => Promise<T>): Promise<T>;
  /** How changes are listened to; left out for a client that makes no connections. */
  readonly listening?: RedisListening;
}

/** Who hears what is published. */
export interface RedisHearing {
  message(channel: string, text: string): void;
  /** The connection is lost, or was lost and is there again. */
  broken(): void;
}

/** A connection that listens, and is the store's own. */
export interface RedisSubscription {
  /** Resolves when it listens. */
  readonly ready: Promise<unknown>;
  /** Lets go of it, whether it is ready or not. Does not throw. */
  end(): void;
}

/** Listens to channels over a new connection. */
export type RedisListen = (channels: readonly string[], hearing: RedisHearing) => RedisSubscription;

/** A primary that can be listened to. */
export interface RedisPrimary {
  readonly send: Send;
  readonly listen: RedisListen;
}

/** How changes are listened to. */
export interface RedisListening {
  readonly isCluster: boolean;
  /** All primaries, as far as the client knows. */
  primaries(): PromiseLike<readonly RedisPrimary[]>;
}

/** A client that talks to one server, or finds the primary by itself. `listen`: how that is listened to, if it can be. */
export function single(send: Send, listen?: RedisListen): RedisConnection {
  return {
    ...(listen === undefined ? {} : { listening: { isCluster: false, primaries: async () => [{ send, listen }] } }),
    command: (_, args, call) => send(args, call),
    nodes: async () => [send],
    hold: (_, work) => work(send, send),
  };
}
