import { afterAll, beforeAll, describe, test } from "vitest";
import { type ConnectedPostgres, pglite, POSTGRES_CLIENTS } from "../../test/servers/postgres-clients.ts";
import { POSTGRES_PROGRAMS, startPostgresServer, type PostgresServer } from "../../test/servers/postgres.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { storeCases } from "../testing/store-cases.ts";
import { type PostgresStoreOptions, postgresStore } from "./postgres.ts";

/** The clients, and what is tried with them. */
const VARIANTS: Readonly<Record<string, PostgresStoreOptions>> = {
  "pg 8, Pool": {},
  "pg 8, Client": { watch: true, prepare: false },
  "postgres.js 3": {},
};

let made = 0;

/** The kit over a client; each of these has a table of its own. */
function kit(title: string, connect: () => Promise<ConnectedPostgres>, options: PostgresStoreOptions = {}): void {
  describe(title, () => {
    const table = `sessions_${++made}`;
    let connected: ConnectedPostgres;
    beforeAll(async () => {
      connected = await connect();
      await postgresStore(connected.client, { table }).createSchema();
    });
    afterAll(() => connected?.close());

    for (const { name, run } of storeCases) {
      test(name, () => run(() => postgresStore(connected.client, { table, ...options })));
    }
  });
}

describeWithServers("PostgreSQL", POSTGRES_PROGRAMS, () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgresServer();
  });
  afterAll(() => server?.stop());

  for (const [name, options] of Object.entries(VARIANTS)) {
    kit(`${name}:`, () => POSTGRES_CLIENTS[name]!(server.port), options);
  }
});

kit("PGlite:", pglite);
