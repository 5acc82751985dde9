/**
 * Our stores, by what subjects are called.
 *
 * @module
 */
import { join } from "node:path";
import type { SessionStore } from "coatcheck";
import { memcachedClient, mysqlPool, natsBucket, postgresPool, redisClient } from "./drivers.ts";
import type { Site } from "./site.ts";
import type { Kind, OurKind } from "./subjects.ts";

type StoreKind = Exclude<OurKind, "sealed" | "signed" | "drop-in">;

/** The store of a subject of ours, ready for sessions. */
export async function storeOf(kind: Kind, site: Site): Promise<SessionStore> {
  if (!Object.hasOwn(STORES, kind)) throw new Error(`nobody knows a store called ${kind}`);
  return await STORES[kind as StoreKind](site);
}

/** By default a store in memory keeps 100 000 sessions, and no more. */
const USUAL_MAXIMUM = 100_000;

/** Only what is needed is loaded. */
const STORES: Readonly<Record<StoreKind, (site: Site) => Promise<SessionStore>>> = {
  async memory({ sessions }) {
    const { memoryStore } = await import("coatcheck/store/memory");
    return memoryStore({ maxSessions: Math.max(USUAL_MAXIMUM, 2 * sessions) });
  },
  async sqlite({ folder }) {
    const { sqliteStore } = await import("coatcheck/store/sqlite");
    return sqliteStore(join(folder, "sessions.db"));
  },
  async directory({ folder }) {
    const { directoryStore } = await import("coatcheck/store/directory");
    return directoryStore(join(folder, "sessions"));
  },
  async redis(site) {
    const { redisStore } = await import("coatcheck/store/redis");
    return redisStore(await redisClient(site));
  },
  async "near-redis"(site) {
    const { nearCache } = await import("coatcheck/store/near-cache");
    const { redisStore } = await import("coatcheck/store/redis");
    return nearCache(redisStore(await redisClient(site), { watch: true }));
  },
  async postgres(site) {
    const { postgresStore } = await import("coatcheck/store/postgres");
    const store = postgresStore(await postgresPool(site));
    await store.createSchema();
    return store;
  },
  async mysql(site) {
    const { mysqlStore } = await import("coatcheck/store/mysql");
    const store = mysqlStore(await mysqlPool(site));
    await store.createSchema();
    return store;
  },
  async memcached(site) {
    const { memcachedStore } = await import("coatcheck/store/memcached");
    return memcachedStore(await memcachedClient(site));
  },
  async nats(site) {
    const { natsStore } = await import("coatcheck/store/nats");
    return natsStore(await natsBucket(site));
  },
};
