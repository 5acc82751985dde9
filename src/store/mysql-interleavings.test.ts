import fc from "fast-check";
import { createPool, type Pool } from "mysql2/promise";
import { afterAll, beforeAll, expect, test } from "vitest";
import { emptyTally, interleave } from "../../test/interleavings.ts";
import { overConnections } from "../../test/over-connections.ts";
import { MARIADB_PROGRAMS, startMariadb, type Mariadb } from "../../test/servers/mariadb.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { mysqlStore, type MysqlStore } from "./mysql.ts";
import type { StoredRecord } from "./store.ts";

const RUNS = Number(process.env["RUNS"] ?? 1_000);

describeWithServers("MariaDB", MARIADB_PROGRAMS, () => {
  let server: Mariadb;
  let pools: readonly Pool[] = [];
  let stores: readonly MysqlStore[] = [];
  beforeAll(async () => {
    server = await startMariadb();
    // As far apart as two apps can be set up.
    const other = createPool({ ...server.options, flags: ["-FOUND_ROWS"] });
    other.on("connection", (connection) => {
      connection.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    });
    pools = [createPool(server.options), other];
    stores = pools.map((pool, i) => mysqlStore(pool, { sweepInterval: false, prepare: i === 0 }));
    await stores[0]!.createSchema();
  });
  afterAll(async () => {
    await Promise.all(pools.map((pool) => pool.end()));
    await server?.stop();
  });

  test(`P6 P9 P11 P12 P13 P14 P15: ${RUNS} interleavings over two connections lose no update, resurrect nothing, accept no dead secret, log nobody out`, async () => {
    const tally = emptyTally();
    const { alternating, settle } = overConnections();
    const choices = fc.array(fc.nat(999), { minLength: 40, maxLength: 120 });
    await fc.assert(
      fc.asyncProperty(choices, (list) => interleave(() => alternating(stores), list, tally, settle)),
      { numRuns: RUNS, ...(process.env["SEED"] === undefined ? {} : { seed: Number(process.env["SEED"]) }) },
    );
    console.log(JSON.stringify(tally));
    expect(tally.runs).toBe(RUNS);
    expect(Math.min(tally.written, tally.gone, tally.ended, tally.rotated, tally.conflicts)).toBeGreaterThan(RUNS / 20);
  }, 900_000);

  test("everything at once on a few rows, sweeps included: no call fails, and every answered update counts", async () => {
    const calls = 150;
    const now = Date.now();
    const subject = "user/ada";
    let made = 0;
    /** Additions that were answered, by the life of a record that they belong to. */
    const added = new Map<string, number>();
    let additions = 0;
    const recordOf = (life: string, n: number, expiresAt: number): StoredRecord => ({
      version: `v${++made}`,
      expiresAt,
      subject,
      value: JSON.stringify({ life, n }),
    });
    const worker = async (store: MysqlStore, id: number): Promise<void> => {
      for (let i = 0; i < calls; i++) {
        const key = `user/${(id + i) % 4}`;
        const base = await store.read(key, { now });
        if (base === undefined) {
          const life = `l${++made}`;
          // Some have ended long ago: what others sweep, this one takes over.
          const gone = recordOf("none", 0, now - 3_600_000);
          if (i % 3 === 0) await store.create(key, gone, { now: now - 7_200_000 });
          if (await store.create(key, recordOf(life, 0, now + 60_000), { now })) added.set(life, added.get(life) ?? 0);
          continue;
        }
        const { life, n } = JSON.parse(base.value) as { life: string; n: number };
        const dice = (id * 7 + i * 13) % 20;
        if (dice < 14) {
          const outcome = await store.update(key, recordOf(life, n + 1, now + 60_000), base, { now });
          if (outcome === "ok") added.set(life, (added.get(life) ?? 0) + 1);
          if (outcome === "ok") additions++;
        } else if (dice < 16) await store.touch(key, now + 60_000 + i, { now });
        else if (dice === 16) await store.deleteBySubject(subject, { except: `user/${id % 4}` }, { now });
        else if (dice === 17) await store.deleteExpired(100, { now });
        else await store.delete(key, { now });
      }
    };
    await Promise.all(Array.from({ length: 12 }, (_, id) => worker(stores[id % 2]!, id)));
    for (let i = 0; i < 4; i++) {
      const last = await stores[0]!.read(`user/${i}`, { now });
      if (last === undefined) continue;
      const { life, n } = JSON.parse(last.value) as { life: string; n: number };
      expect(n, `additions to ${life}`).toBe(added.get(life));
    }
    expect(additions).toBeGreaterThan(calls);
  });
});
