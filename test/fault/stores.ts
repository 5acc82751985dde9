/** The stores that the processes of a run open, by what they are told. The next engine adds its line here. */
import type { RedisStoreOptions } from "../../src/store/redis.ts";
import type { SessionStore } from "../../src/store/store.ts";
import type { RedisSentinels } from "../servers/redis.ts";
import { flawed, type Flaw } from "./flaws.ts";

/** Which store to open, and where: goes to the processes as JSON. */
export type StoreOrders =
  | { readonly engine: "directory"; readonly path: string; readonly flaw?: Flaw }
  | { readonly engine: "sqlite"; readonly path: string; readonly flaw?: Flaw }
  | RedisOrders;

/** Ports on this machine, and which of the clients in test/servers/redis-clients.ts to use. */
export interface RedisOrders {
  readonly engine: "redis";
  readonly topology: "single" | "sentinel" | "cluster";
  readonly client: string;
  readonly nodes: readonly number[];
  readonly sentinels?: readonly number[];
  readonly wait?: RedisStoreOptions["wait"];
  readonly flaw?: Flaw;
}

/** Opens a store. Only the driver that it needs is loaded. */
export async function openStore(orders: StoreOrders): Promise<SessionStore> {
  const store = await opened(orders);
  return orders.flaw === undefined ? store : flawed(store, orders.flaw);
}

async function opened(orders: StoreOrders): Promise<SessionStore> {
  if (orders.engine === "redis") return await openRedis(orders);
  if (orders.engine === "directory") {
    const { directoryStore } = await import("../../src/store/directory.ts");
    return directoryStore(orders.path, { sweepInterval: false });
  }
  const { sqliteStore } = await import("../../src/store/sqlite.ts");
  return sqliteStore(orders.path, { sweepInterval: false });
}

async function openRedis({ topology, client, nodes, sentinels = [], wait }: RedisOrders): Promise<SessionStore> {
  const { SINGLE, SENTINEL, CLUSTER } = await import("../servers/redis-clients.ts");
  const { redisStore } = await import("../../src/store/redis.ts");
  const at = (ports: readonly number[]): { port: number }[] => ports.map((port) => ({ port }));
  // Of the servers a client needs to know where they are, and nothing else.
  const servers = { name: "sessions", nodes: at(nodes), sentinels: at(sentinels) } as unknown as RedisSentinels;
  const connect = { single: SINGLE, sentinel: SENTINEL, cluster: CLUSTER }[topology][client];
  if (connect === undefined) throw new Error(`no client "${client}" for ${topology}`);
  return redisStore((await connect(servers)).client, wait === undefined ? {} : { wait });
}
