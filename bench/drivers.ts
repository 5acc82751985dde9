/**
 * Clients of the servers beside, as their documentation makes them: the same ones for ours and for others. Only what is needed
 * is loaded.
 *
 * @module
 */
import type { KV } from "@nats-io/kv";
import type { Client as Memjs } from "memjs";
import type { Pool as MysqlPool } from "mysql2/promise";
import type { Pool as PostgresPool } from "pg";
import type { createClient } from "redis";
import { urlOf, type Site } from "./site.ts";

/** A client of Redis. */
export type RedisClient = ReturnType<typeof createClient>;

/** Connects to Redis. */
export async function redisClient(site: Site): Promise<RedisClient> {
  const { createClient: create } = await import("redis");
  const client: RedisClient = create({ url: urlOf(site, "redis") });
  await client.connect();
  site.opened?.(() => client.close());
  return client;
}

/** A pool of connections to PostgreSQL: ten at most, as it is by default. */
export async function postgresPool(site: Site): Promise<PostgresPool> {
  const { Pool } = await import("pg");
  const pool = new Pool({ connectionString: urlOf(site, "postgres") });
  site.opened?.(() => pool.end());
  return pool;
}

/** A pool of connections to MariaDB: ten at most, as it is by default. */
export async function mysqlPool(site: Site): Promise<MysqlPool> {
  const { createPool } = await import("mysql2/promise");
  const pool = createPool(urlOf(site, "mariadb"));
  site.opened?.(() => pool.end());
  return pool;
}

/** A client of Memcached, which connects when it is first used. */
export async function memcachedClient(site: Site): Promise<Memjs> {
  const { Client } = await import("memjs");
  const client = Client.create(urlOf(site, "memcached"));
  site.opened?.(() => client.close());
  return client;
}

/** A bucket of NATS, which is made where there is none. */
export async function natsBucket(site: Site): Promise<KV> {
  const { connect } = await import("@nats-io/transport-node");
  const { Kvm } = await import("@nats-io/kv");
  const connection = await connect({ servers: urlOf(site, "nats") });
  site.opened?.(() => connection.close());
  return await new Kvm(connection).create("sessions", { replicas: 1 });
}
