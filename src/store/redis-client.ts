/**
 * The Redis clients that `redisStore` works with, by their shape: node-redis, ioredis, valkey-glide and Bun's.
 *
 * @module
 */
import type { StoreCall } from "./store.ts";

/** A client, cluster, sentinel or pool of node-redis 5 or 6. */
export interface NodeRedisClient {
  sendCommand(...args: never[]): unknown;
}

/** A `Redis` or `Cluster` of ioredis 5 or 6. */
export interface IoredisClient {
  call(...args: never[]): unknown;
  pipeline(...args: never[]): unknown;
}

/** A `GlideClient` or `GlideClusterClient` of valkey-glide 2. */
export interface GlideClient {
  customCommand(...args: never[]): unknown;
}

/** A `RedisClient` of Bun. */
export interface BunRedisClient {
  send(...args: never[]): unknown;
}

/** A client that the app has made, and connects and closes itself. */
export type RedisClient = NodeRedisClient | IoredisClient | GlideClient | BunRedisClient;

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
}

type Found = Record<string, (...args: readonly unknown[]) => unknown>;

/** Wraps a client. Throws a `TypeError` for what is none. */
export function redisConnection(client: unknown): RedisConnection {
  const found = (client ?? {}) as Found;
  const has = (method: string): boolean => typeof found[method] === "function";
  if (has("customCommand")) return has("invokeScriptWithRoute") ? glideCluster(client) : glide(client);
  if (has("call") && has("pipeline")) return has("nodes") ? ioredisCluster(client) : ioredis(client);
  if (has("sendCommand") && has("nodeClient")) return nodeRedisCluster(client);
  if (has("sendCommand") && has("getMasterNode")) return nodeRedisSentinel(client);
  if (has("sendCommand") && has("withCommandOptions")) return nodeRedis(client);
  if (has("send")) return bunRedis(client);
  throw new TypeError(
    "redisStore: expected a client of node-redis (5 or 6: createClient, createClientPool, createSentinel," +
      " createCluster), ioredis (5 or 6: Redis, Cluster), valkey-glide (GlideClient, GlideClusterClient) or Bun (RedisClient)",
  );
}

/** A client that talks to one server, or finds the primary by itself. */
function single(send: Send): RedisConnection {
  return {
    command: (_, args, call) => send(args, call),
    nodes: async () => [send],
    hold: (_, work) => work(send, send),
  };
}

// --- node-redis -----------------------------------------------------------------------------------------------------------

interface NodeRedisOptions {
  readonly abortSignal?: AbortSignal;
  readonly typeMapping: object;
}

interface NodeRedis {
  sendCommand(args: readonly string[], options: NodeRedisOptions): Promise<unknown>;
  /** Only a pool has it. */
  execute?<T>(work: (client: NodeRedis) => Promise<T>): Promise<T>;
}

interface NodeRedisSentinel {
  sendCommand(isReadonly: boolean, args: readonly string[], options: NodeRedisOptions): Promise<unknown>;
  use<T>(work: (lease: NodeRedisSentinel) => Promise<T>): Promise<T>;
}

interface NodeRedisCluster {
  readonly masters: readonly object[];
  sendCommand(key: string, isReadonly: boolean, args: readonly string[], options: NodeRedisOptions): Promise<unknown>;
  nodeClient(node: object): NodeRedis | Promise<NodeRedis>;
  /** Not in 5. */
  getNodeClientForKey?(key: string): NodeRedis | Promise<NodeRedis>;
}

/** Replies are texts, whatever the app has its own mapped to. */
function optionsFor(call: Aborting | undefined): NodeRedisOptions {
  const signal = call?.signal;
  return signal === undefined ? { typeMapping: {} } : { typeMapping: {}, abortSignal: signal };
}

function nodeRedis(client: unknown): RedisConnection {
  const redis = client as NodeRedis;
  const sender =
    (to: NodeRedis): Send =>
    (args, call) =>
      to.sendCommand(args, optionsFor(call));
  const send = sender(redis);
  return {
    ...single(send),
    hold: (_, work) =>
      redis.execute === undefined ? work(send, send) : redis.execute((one) => work(sender(one), sender(one))),
  };
}

function nodeRedisSentinel(client: unknown): RedisConnection {
  const redis = client as NodeRedisSentinel;
  const sender =
    (to: NodeRedisSentinel): Send =>
    (args, call) =>
      to.sendCommand(false, args, optionsFor(call));
  return { ...single(sender(redis)), hold: (_, work) => redis.use((lease) => work(sender(lease), sender(lease))) };
}

function nodeRedisCluster(client: unknown): RedisConnection {
  const redis = client as NodeRedisCluster;
  const command: RedisConnection["command"] = (key, args, call) =>
    // Never from a replica, whatever the app reads from there: a session has to be read as it was written.
    redis.sendCommand(key, false, args, optionsFor(call));
  /** 6 would send a `WAIT` to all primaries. */
  const toNode = async (key: string, args: readonly string[], call?: Aborting): Promise<unknown> =>
    redis.getNodeClientForKey === undefined
      ? await command(key, args, call)
      : await (await redis.getNodeClientForKey(key)).sendCommand(args, optionsFor(call));
  return {
    command,
    nodes: async () =>
      redis.masters.map((node) => async (args, call) => {
        const one = await redis.nodeClient(node);
        return await one.sendCommand(args, optionsFor(call));
      }),
    hold: (key, work) =>
      work(
        (args, call) => toNode(key, args, call),
        (args, call) => command(key, args, call),
      ),
  };
}

// --- ioredis --------------------------------------------------------------------------------------------------------------

interface Ioredis {
  readonly options?: { readonly keyPrefix?: string; readonly scaleReads?: unknown };
  call(command: string, args: readonly string[]): Promise<unknown>;
}

interface IoredisCluster extends Ioredis {
  nodes(role: "master"): readonly Ioredis[];
  pipeline(commands: readonly (readonly string[])[]): { exec(): Promise<[error: unknown, reply: unknown][] | null> };
}

function checkIoredis({ options = {} }: Ioredis): void {
  if ((options.keyPrefix ?? "") !== "") {
    throw new TypeError(
      "redisStore: an ioredis client with keyPrefix cannot be searched; give the store its own prefix",
    );
  }
  if ((options.scaleReads ?? "master") !== "master") {
    throw new TypeError('redisStore: sessions are read where they are written, so scaleReads has to be "master"');
  }
}

function toIoredis(redis: Ioredis): Send {
  return ([command = "", ...args]) => redis.call(command, args);
}

/** Also through sentinels. */
function ioredis(client: unknown): RedisConnection {
  checkIoredis(client as Ioredis);
  return single(toIoredis(client as Ioredis));
}

function ioredisCluster(client: unknown): RedisConnection {
  const redis = client as IoredisCluster;
  checkIoredis(redis);
  const send = toIoredis(redis);
  return {
    command: (_, args) => send(args),
    nodes: async () => redis.nodes("master").map(toIoredis),
    hold: (key, work) => work((args) => piped(redis, key, args), send),
  };
}

/** A pipeline goes to the node that has the keys in it, and takes along what has no key. */
async function piped(redis: IoredisCluster, key: string, args: readonly string[]): Promise<unknown> {
  const replies = await redis
    .pipeline([
      ["exists", key],
      ["call", ...args],
    ])
    .exec();
  const [error, reply] = replies?.[1] ?? [new Error("the pipeline was given up")];
  if (error !== null) throw error;
  return reply;
}

// --- valkey-glide ---------------------------------------------------------------------------------------------------------

interface Glide {
  customCommand(
    args: readonly string[],
    options: { readonly decoder: number; readonly route?: object },
  ): Promise<unknown>;
}

/** `Decoder.String`. */
const AS_TEXT = 1;

function glide(client: unknown): RedisConnection {
  return single((args) => (client as Glide).customCommand(args, { decoder: AS_TEXT }));
}

function glideCluster(client: unknown): RedisConnection {
  const redis = client as Glide;
  const sender =
    (route: object): Send =>
    (args) =>
      redis.customCommand(args, { decoder: AS_TEXT, route });
  const toSlot = (key: string): Send => sender({ type: "primarySlotKey", key });
  return {
    command: (key, args) => toSlot(key)(args),
    nodes: async () => {
      const slots = (await redis.customCommand(["CLUSTER", "SLOTS"], { decoder: AS_TEXT })) as readonly GlideSlots[];
      const primaries = new Map(slots.map(([, , [host, port]]) => [`${host}:${port}`, { host, port: Number(port) }]));
      return Array.from(primaries.values(), (address) => sender({ type: "routeByAddress", ...address }));
    },
    hold: (key, work) => work(toSlot(key), toSlot(key)),
  };
}

/** A range of slots, and the primary that has it. */
type GlideSlots = readonly [
  from: number,
  to: number,
  primary: readonly [host: string, port: number, ...rest: unknown[]],
];

// --- Bun ------------------------------------------------------------------------------------------------------------------

interface BunRedis {
  send(command: string, args: readonly string[]): Promise<unknown>;
}

function bunRedis(client: unknown): RedisConnection {
  return single(([command = "", ...args]) => (client as BunRedis).send(command, args));
}
