import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { emptyTally, interleave } from "../../test/interleavings.ts";
import { overConnections } from "../../test/over-connections.ts";
import { type LocalStoreServer, startLocalServer } from "../../test/servers/local-store-server.ts";
import { namespacedStore } from "../server/namespaced-store.ts";
import { remoteStore } from "./remote.ts";
import { sqliteStore } from "./sqlite.ts";

const RUNS = Number(process.env["RUNS"] ?? 200);

let server: LocalStoreServer;
beforeAll(async () => {
  // A sweep goes by another clock than the runs.
  server = await startLocalServer(namespacedStore(sqliteStore(":memory:", { sweepInterval: false }), "shop"));
});
afterAll(() => server.stop());

test(`P6 P9 P11 P12 P13 P14 P15: ${RUNS} interleavings over two clients of a session server lose no update, resurrect nothing, accept no dead secret, log nobody out`, async () => {
  const tally = emptyTally();
  const { alternating, settle } = overConnections();
  const stores = [remoteStore(server.url), remoteStore(server.url)];
  const choices = fc.array(fc.nat(999), { minLength: 40, maxLength: 120 });
  await fc.assert(
    fc.asyncProperty(choices, (list) => interleave(() => alternating(stores), list, tally, settle)),
    { numRuns: RUNS, ...(process.env["SEED"] === undefined ? {} : { seed: Number(process.env["SEED"]) }) },
  );
  console.log(JSON.stringify(tally));
  expect(tally.runs).toBe(RUNS);
  expect(Math.min(tally.written, tally.gone, tally.ended, tally.rotated, tally.conflicts)).toBeGreaterThan(RUNS / 20);
}, 120_000);
