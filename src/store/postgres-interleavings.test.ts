import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { emptyTally, interleave } from "../../test/interleavings.ts";
import { overConnections } from "../../test/over-connections.ts";
import { type ConnectedPostgres, POSTGRES_CLIENTS } from "../../test/servers/postgres-clients.ts";
import { POSTGRES_PROGRAMS, type PostgresServer, startPostgresServer } from "../../test/servers/postgres.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { postgresStore } from "./postgres.ts";

const RUNS = Number(process.env["RUNS"] ?? 1_000);

describeWithServers("PostgreSQL", POSTGRES_PROGRAMS, () => {
  let server: PostgresServer;
  let clients: readonly ConnectedPostgres[] = [];
  beforeAll(async () => {
    server = await startPostgresServer();
    // Two drivers, each with connections of its own.
    const connect = ["pg 8, Pool", "postgres.js 3"].map((name) => POSTGRES_CLIENTS[name]!);
    clients = await Promise.all(connect.map((to) => to(server.port)));
    await postgresStore(clients[0]!.client).createSchema();
  });
  afterAll(async () => {
    await Promise.all(clients.map(({ close }) => close()));
    await server?.stop();
  });

  test(`P6 P9 P11 P12 P13 P14 P15: ${RUNS} interleavings over two connections lose no update, resurrect nothing, accept no dead secret, log nobody out`, async () => {
    const tally = emptyTally();
    const { alternating, settle } = overConnections();
    const stores = clients.map(({ client }) => postgresStore(client, { sweepInterval: false }));
    const choices = fc.array(fc.nat(999), { minLength: 40, maxLength: 120 });
    await fc.assert(
      fc.asyncProperty(choices, (list) => interleave(() => alternating(stores), list, tally, settle)),
      { numRuns: RUNS, ...(process.env["SEED"] === undefined ? {} : { seed: Number(process.env["SEED"]) }) },
    );
    console.log(JSON.stringify(tally));
    expect(tally.runs).toBe(RUNS);
    expect(Math.min(tally.written, tally.gone, tally.ended, tally.rotated, tally.conflicts)).toBeGreaterThan(RUNS / 20);
  }, 900_000);
});
