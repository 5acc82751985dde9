import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished, test } from "vitest";
import { MARIADB_PROGRAMS } from "../servers/mariadb.ts";
import { MEMCACHED_PROGRAMS } from "../servers/memcached.ts";
import { NATS_PROGRAMS } from "../servers/nats.ts";
import { POSTGRES_PROGRAMS } from "../servers/postgres.ts";
import { REDIS_PROGRAMS } from "../servers/redis.ts";
import { describeWithServers } from "../servers/require.ts";
import type { Servers, Topology } from "./fault.ts";
import { single as memcached } from "./memcached-faults.ts";
import { single as mariadb } from "./mysql-single.ts";
import { single as nats } from "./nats-faults.ts";
import { single as postgres } from "./postgres-single.ts";
import { single as redis } from "./redis-single.ts";
import { openStore, type StoreOrders } from "./stores.ts";
import { PROCESSES, provedTogether } from "./two-processes.ts";

/** By hand `REQUESTS=10000`. */
const REQUESTS = Number(process.env["REQUESTS"] ?? 2_000);
const LOCAL_REQUESTS = 10_000;

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "coatcheck-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

async function proved(orders: StoreOrders, requests: number): Promise<void> {
  const store = await openStore(orders);
  onTestFinished(() => store.close?.());
  await provedTogether(orders, store, requests);
}

test.each(["directory", "sqlite"] as const)(
  `P12 P13 P14 P29: ${PROCESSES} processes, ${LOCAL_REQUESTS} requests over one %s: no update lost, no session resurrected, no dead secret`,
  async (engine) => {
    const path = engine === "sqlite" ? join(folder(), "sessions.db") : folder();
    await proved({ engine, path }, LOCAL_REQUESTS);
  },
  120_000,
);

const SERVERS: readonly (readonly [engine: string, programs: readonly string[], topology: Topology<Servers>])[] = [
  ["Redis", REDIS_PROGRAMS, redis("node-redis 6")],
  ["PostgreSQL", POSTGRES_PROGRAMS, postgres("pg 8, Pool")],
  ["MariaDB", MARIADB_PROGRAMS, mariadb("mysql2/promise, pool")],
  ["Memcached", MEMCACHED_PROGRAMS, memcached("memjs")],
  ["NATS", NATS_PROGRAMS, nats],
];

for (const [engine, programs, topology] of SERVERS) {
  describeWithServers(engine, programs, () => {
    test(`P12 P13 P14: ${PROCESSES} processes, ${REQUESTS} requests: no update lost, no session resurrected, no dead secret`, async () => {
      const servers = await topology.start(folder());
      onTestFinished(() => servers.stop());
      await proved(servers.store, REQUESTS);
    }, 300_000);

    // Whose feed tells of changes. What is old in a copy meets its conflict.
    const near = ["Redis", "PostgreSQL", "NATS"].includes(engine) ? test : undefined;
    near?.(
      `P7 P12 P13 P14: the same with a near cache in each process`,
      async () => {
        const servers = await topology.start(folder());
        onTestFinished(() => servers.stop());
        const store = await openStore(servers.store);
        onTestFinished(() => store.close?.());
        await provedTogether({ ...servers.store, near: { maxAge: 10_000 } }, store, REQUESTS);
      },
      300_000,
    );
  });
}
