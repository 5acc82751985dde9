/**
 * Every client that `redisStore` works with, connected to every kind of servers.
 */
import { GlideClient, GlideClusterClient } from "@valkey/valkey-glide";
import { Cluster as Ioredis6Cluster, Redis as Ioredis6 } from "ioredis";
import { Cluster as Ioredis5Cluster, Redis as Ioredis5 } from "ioredis5";
import * as nodeRedis6 from "redis";
import * as nodeRedis5 from "redis5";
import type { IoredisClient, NodeRedisClient, RedisClient } from "../../src/store/redis.ts";
import type { RedisSentinels, RedisTopology } from "./redis.ts";
import { RespClient } from "./resp.ts";

/** A client that is connected. */
export interface ConnectedClient {
  readonly client: RedisClient;
  close(): Promise<unknown>;
}

/** How to connect a client, by its name. */
export type Clients<Servers> = Readonly<Record<string, (servers: Servers) => Promise<ConnectedClient>>>;

interface Address {
  readonly host: string;
  readonly port: number;
}

interface Connectable {
  connect(): Promise<unknown>;
  destroy(): unknown;
  on(event: "error", listener: (error: unknown) => void): unknown;
}

/** Errors of a connection show in the commands that fail of them. */
function quiet(): void {}

async function ofNodeRedis(client: Connectable & NodeRedisClient): Promise<ConnectedClient> {
  client.on("error", quiet);
  await client.connect();
  return { client, close: async () => client.destroy() };
}

interface IoredisLike {
  ping(): Promise<unknown>;
  disconnect(): void;
  on(event: "error", listener: (error: unknown) => void): unknown;
}

async function ofIoredis(client: IoredisLike & IoredisClient): Promise<ConnectedClient> {
  client.on("error", quiet);
  await client.ping();
  return { client, close: async () => client.disconnect() };
}

function ofGlide(client: GlideClient | GlideClusterClient): ConnectedClient {
  return { client, close: async () => client.close() };
}

const addressesOf = ({ nodes }: Pick<RedisTopology, "nodes">): Address[] =>
  nodes.map(({ port }) => ({ host: "127.0.0.1", port }));
const urlOf = ({ host, port }: Address): string => `redis://${host}:${port}`;
const firstOf = (servers: RedisTopology): Address => addressesOf(servers)[0] ?? { host: "", port: 0 };

/** Clients of a single server. */
export const SINGLE: Clients<RedisTopology> = {
  "node-redis 6": (servers) => ofNodeRedis(nodeRedis6.createClient({ url: urlOf(firstOf(servers)) })),
  "node-redis 6, RESP2": (servers) => ofNodeRedis(nodeRedis6.createClient({ url: urlOf(firstOf(servers)), RESP: 2 })),
  "node-redis 6, pool": (servers) => ofNodeRedis(nodeRedis6.createClientPool({ url: urlOf(firstOf(servers)) })),
  "node-redis 5": (servers) => ofNodeRedis(nodeRedis5.createClient({ url: urlOf(firstOf(servers)) })),
  "node-redis 5, RESP3": (servers) => ofNodeRedis(nodeRedis5.createClient({ url: urlOf(firstOf(servers)), RESP: 3 })),
  "node-redis 5, pool": (servers) => ofNodeRedis(nodeRedis5.createClientPool({ url: urlOf(firstOf(servers)) })),
  "ioredis 6": (servers) => ofIoredis(new Ioredis6(firstOf(servers))),
  "ioredis 6, RESP3": (servers) => ofIoredis(new Ioredis6({ ...firstOf(servers), protocol: 3 })),
  "ioredis 6, auto-pipelining": (servers) =>
    ofIoredis(new Ioredis6({ ...firstOf(servers), enableAutoPipelining: true })),
  "ioredis 5": (servers) => ofIoredis(new Ioredis5(firstOf(servers))),
  "valkey-glide 2": async (servers) => ofGlide(await GlideClient.createClient({ addresses: addressesOf(servers) })),
  "the shape of Bun's RedisClient, over a thin client": async (servers) => {
    const client = await RespClient.connect(firstOf(servers).port);
    return { client, close: async () => client.close() };
  },
};

const sentinelsOf = ({ sentinels }: RedisSentinels): Address[] => addressesOf({ nodes: sentinels });

/** Clients of a primary that sentinels name. */
export const SENTINEL: Clients<RedisSentinels> = {
  "node-redis 6": (servers) =>
    ofNodeRedis(nodeRedis6.createSentinel({ name: servers.name, sentinelRootNodes: sentinelsOf(servers) })),
  "node-redis 5": (servers) =>
    ofNodeRedis(nodeRedis5.createSentinel({ name: servers.name, sentinelRootNodes: sentinelsOf(servers) })),
  "ioredis 6": (servers) => ofIoredis(new Ioredis6({ name: servers.name, sentinels: sentinelsOf(servers) })),
  "ioredis 5": (servers) => ofIoredis(new Ioredis5({ name: servers.name, sentinels: sentinelsOf(servers) })),
  "valkey-glide 2, given all servers": async (servers) =>
    ofGlide(await GlideClient.createClient({ addresses: addressesOf(servers) })),
};

/** Clients of a Cluster. */
export const CLUSTER: Clients<RedisTopology> = {
  "node-redis 6": (servers) =>
    ofNodeRedis(nodeRedis6.createCluster({ rootNodes: addressesOf(servers).map((one) => ({ url: urlOf(one) })) })),
  "node-redis 5": (servers) =>
    ofNodeRedis(nodeRedis5.createCluster({ rootNodes: addressesOf(servers).map((one) => ({ url: urlOf(one) })) })),
  "ioredis 6": (servers) => ofIoredis(new Ioredis6Cluster(addressesOf(servers))),
  "ioredis 5": (servers) => ofIoredis(new Ioredis5Cluster(addressesOf(servers))),
  "valkey-glide 2": async (servers) =>
    ofGlide(await GlideClusterClient.createClient({ addresses: addressesOf(servers) })),
};
