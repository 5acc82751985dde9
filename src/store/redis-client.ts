/**
 * The Redis clients that `redisStore` works with, by their shape: node-redis, ioredis, valkey-glide and Bun's.
 *
 * @module
 */
import { type Aborting, type RedisConnection, type Send, single } from "./redis-connection.ts";
import { glide, glideCluster } from "./redis-glide.ts";
import { ioredisListen, nodeRedisListen, sentinelListen } from "./redis-listen.ts";

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

// --- node-redis -----------------------------------------------------------------------------------------------------------

interface NodeRedisOptions {
  readonly abortSignal?: AbortSignal;
  /** In milliseconds; 0 for none. */
  readonly timeout?: number;
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

/**
 * Replies are texts, whatever the app has its own mapped to. What the caller gives up needs no timer of the client's besides,
 * which costs more than the command.
 */
function optionsFor(call: Aborting | undefined): NodeRedisOptions {
  const signal = call?.signal;
  return signal === undefined ? { typeMapping: {} } : { typeMapping: {}, abortSignal: signal, timeout: 0 };
}

function nodeRedis(client: unknown): RedisConnection {
  const redis = client as NodeRedis;
  const sender =
    (to: NodeRedis): Send =>
    (args, call) =>
      to.sendCommand(args, optionsFor(call));
  const send = sender(redis);
  // A connection is made like those of the pool.
  const original = async (): Promise<unknown> =>
    redis.execute === undefined ? redis : await redis.execute(async (one) => one);
  return {
    ...single(send, nodeRedisListen(original)),
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
  return {
    ...single(sender(redis), sentinelListen(client)),
    hold: (_, work) => redis.use((lease) => work(sender(lease), sender(lease))),
  };
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
  const sender =
    (node: object): Send =>
    async (args, call) => {
      const one = await redis.nodeClient(node);
      return await one.sendCommand(args, optionsFor(call));
    };
  return {
    command,
    nodes: async () => redis.masters.map(sender),
    listening: {
      isCluster: true,
      primaries: async () =>
        redis.masters.map((node) => ({
          send: sender(node),
          listen: nodeRedisListen(async () => await redis.nodeClient(node)),
        })),
    },
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
  return single(toIoredis(client as Ioredis), ioredisListen(client));
}

function ioredisCluster(client: unknown): RedisConnection {
  const redis = client as IoredisCluster;
  checkIoredis(redis);
  const send = toIoredis(redis);
  return {
    command: (_, args) => send(args),
    nodes: async () => redis.nodes("master").map(toIoredis),
    listening: {
      isCluster: true,
      primaries: async () =>
        redis.nodes("master").map((node) => ({ send: toIoredis(node), listen: ioredisListen(node) })),
    },
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

// --- Bun ------------------------------------------------------------------------------------------------------------------

interface BunRedis {
  send(command: string, args: readonly string[]): Promise<unknown>;
}

function bunRedis(client: unknown): RedisConnection {
  return single(([command = "", ...args]) => (client as BunRedis).send(command, args));
}
