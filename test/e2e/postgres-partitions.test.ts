import { afterAll, beforeAll, test } from "vitest";
import { postgresStore } from "../../src/store/postgres.ts";
import { storeCases } from "../../src/testing/store-cases.ts";
import { POSTGRES_PROGRAMS, startPostgres, type Postgres } from "../servers/postgres.ts";
import { describeWithServers } from "../servers/require.ts";

const PARTITIONS = 16;

describeWithServers(
  "a table in partitions, as in docs/scaling.md, keeps the store contract:",
  POSTGRES_PROGRAMS,
  () => {
    let server: Postgres;
    beforeAll(async () => {
      server = await startPostgres();
      await server.ask(`CREATE TABLE sessions (
      key text COLLATE "C" PRIMARY KEY, version text COLLATE "C" NOT NULL, expires_at double precision NOT NULL,
      subject text COLLATE "C", value text NOT NULL, long text
    ) PARTITION BY HASH (key)`);
      for (let n = 0; n < PARTITIONS; n++) {
        await server.ask(
          `CREATE TABLE sessions_${n} PARTITION OF sessions FOR VALUES WITH (MODULUS ${PARTITIONS}, REMAINDER ${n})` +
            " WITH (autovacuum_vacuum_scale_factor = 0.05)",
        );
      }
      await postgresStore(server.pool, { table: "sessions" }).createSchema();
    });
    afterAll(() => server?.stop());

    for (const { name, capability, run } of storeCases) {
      // Those take seconds, and are about connections rather than tables.
      if (capability === "watch" || name.startsWith("200 parallel")) continue;
      test(name, () => run(() => postgresStore(server.pool, { table: "sessions", sweepInterval: false })));
    }
  },
);
