/** The stores that the processes of a run open, by what they are told. The next engine adds its line here. */
import type { RedisStoreOptions } from "../../src/store/redis.ts";
import type { SessionStore } from "../../src/store/store.ts";
import type { RedisSentinels } from "../servers/redis.ts";
import { flawed, type Flaw } from "./flaws.ts";

/** Which store to open, and where: goes to the processes as JSON. */
export type StoreOrders = EngineOrders & {
  /** A near cache before it, whose copies become so old, in milliseconds. */
  readonly near?: { readonly maxAge: number };
};

type EngineOrders =
  | { readonly engine: "directory"; readonly path: string; readonly flaw?: Flaw }
  | { readonly engine: "sqlite"; readonly path: string; readonly flaw?: Flaw }
  | RedisOrders
  | MemcachedOrders
  | MysqlOrders
  | NatsOrders
  | PostgresOrders;

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

/** Ports on this machine, and which of the clients in test/servers/memcached-clients.ts to use. */
export interface MemcachedOrders {
  readonly engine: "memcached";
  readonly client: string;
  readonly ports: readonly number[];
  readonly flaw?: Flaw;
}

/** A port on this machine, and which of the clients in test/servers/postgres-clients.ts to use. */
export interface PostgresOrders {
  readonly engine: "postgres";
  readonly client: string;
  readonly port: number;
  readonly flaw?: Flaw;
}

/** Where a server is, and which of the clients in test/servers/mariadb-clients.ts to use. */
export interface MysqlOrders {
  readonly engine: "mysql";
  readonly client: string;
  readonly options: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly database: string;
  };
  readonly flaw?: Flaw;
}

/** Ports on this machine, of servers that have a bucket `sessions`. */
export interface NatsOrders {
  readonly engine: "nats";
  readonly ports: readonly number[];
  readonly flaw?: Flaw;
}

/** Opens a store. Only the driver that it needs is loaded. */
export async function openStore(
  orders: StoreOrders,
  wrap = (store: SessionStore): SessionStore => store,
): Promise<SessionStore> {
  const store = wrap(await opened(orders));
  const { flaw, near } = orders;
  const whole = flaw === undefined ? store : flawed(store, flaw);
  if (near === undefined) return whole;
  const { nearCache } = await import("../../src/store/near-cache.ts");
  return nearCache(whole, { maxAge: near.maxAge / 1000 });
}

async function opened(orders: StoreOrders): Promise<SessionStore> {
  if (orders.engine === "redis") return await openRedis(orders);
  if (orders.engine === "memcached") return await openMemcached(orders);
  if (orders.engine === "mysql") return await openMysql(orders);
  if (orders.engine === "nats") return await openNats(orders);
  if (orders.engine === "postgres") return await openPostgres(orders);
  if (orders.engine === "directory") {
    const { directoryStore } = await import("../../src/store/directory.ts");
    return directoryStore(orders.path, { sweepInterval: false });
  }
  const { sqliteStore } = await import("../../src/store/sqlite.ts");
  return sqliteStore(orders.path, { sweepInterval: false });
}

async function openRedis({
  topology,
  client,
  nodes,
  sentinels = [],
  wait,
  near,
}: RedisOrders & StoreOrders): Promise<SessionStore> {
  const { SINGLE, SENTINEL, CLUSTER } = await import("../servers/redis-clients.ts");
  const { redisStore } = await import("../../src/store/redis.ts");
  const at = (ports: readonly number[]): { port: number }[] => ports.map((port) => ({ port }));
  // Of the servers a client needs to know where they are, and nothing else.
  const servers = { name: "sessions", nodes: at(nodes), sentinels: at(sentinels) } as unknown as RedisSentinels;
  const connect = { single: SINGLE, sentinel: SENTINEL, cluster: CLUSTER }[topology][client];
  if (connect === undefined) throw new Error(`no client "${client}" for ${topology}`);
  return redisStore((await connect(servers)).client, {
    watch: near !== undefined,
    ...(wait !== undefined && { wait }),
  });
}

async function openPostgres({ client, port, near }: PostgresOrders & StoreOrders): Promise<SessionStore> {
  const { POSTGRES_CLIENTS } = await import("../servers/postgres-clients.ts");
  const { postgresStore } = await import("../../src/store/postgres.ts");
  const connect = POSTGRES_CLIENTS[client];
  if (connect === undefined) throw new Error(`no client "${client}" for PostgreSQL`);
  return postgresStore((await connect(port)).client, { sweepInterval: false, watch: near !== undefined });
}

async function openMysql({ client, options }: MysqlOrders): Promise<SessionStore> {
  const { MYSQL_CLIENTS } = await import("../servers/mariadb-clients.ts");
  const { mysqlStore } = await import("../../src/store/mysql.ts");
  const connect = MYSQL_CLIENTS[client];
  if (connect === undefined) throw new Error(`no client "${client}" for MariaDB`);
  return mysqlStore((await connect({ options })).client, { sweepInterval: false });
}

async function openMemcached({ client, ports }: MemcachedOrders): Promise<SessionStore> {
  const { MEMCACHED_CLIENTS } = await import("../servers/memcached-clients.ts");
  const { memcachedStore } = await import("../../src/store/memcached.ts");
  const connect = MEMCACHED_CLIENTS[client];
  if (connect === undefined) throw new Error(`no client "${client}" for Memcached`);
  return memcachedStore(connect(ports).client);
}

async function openNats({ ports }: NatsOrders): Promise<SessionStore> {
  const { connectNats } = await import("../servers/nats.ts");
  const { natsStore } = await import("../../src/store/nats.ts");
  const client = await connectNats({ nodes: ports.map((port) => ({ port })), replicas: 1 });
  return natsStore(await client.open("sessions"), { sweepInterval: false });
}
