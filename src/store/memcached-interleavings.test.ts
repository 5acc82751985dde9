import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { emptyTally, interleave, TRUSTING, type Trust } from "../../test/interleavings.ts";
import { MEMCACHED_CLIENTS, type ConnectedMemcached } from "../../test/servers/memcached-clients.ts";
import { MEMCACHED_PROGRAMS, startMemcached, type MemcachedServer } from "../../test/servers/memcached.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import type { SessionStore } from "../index.ts";
import { memcachedStore } from "./memcached.ts";

const RUNS = Number(process.env["RUNS"] ?? 1_000);

/** Calls that the server has not answered yet. */
const calls = { waiting: 0, answered: (): void => {} };

/** Lets go on whoever has an answer, until nobody waits for one. */
async function settle(): Promise<void> {
  do {
    for (let turn = 0; turn < 12; turn++) await undefined;
    if (calls.waiting > 0) await new Promise<void>((resolve) => (calls.answered = resolve));
    for (let turn = 0; turn < 12; turn++) await undefined;
  } while (calls.waiting > 0);
}

type Verb = "create" | "read" | "update" | "touch" | "delete";

/** The same store over two connections: each call goes over the other one. */
function alternating(stores: readonly SessionStore[]): SessionStore {
  let turn = 0;
  const through = (verb: Verb) =>
    (async (...args: readonly unknown[]) => {
      const store = stores[turn++ % stores.length] as unknown as Record<Verb, (...all: readonly unknown[]) => unknown>;
      calls.waiting++;
      try {
        return await store[verb](...args);
      } finally {
        calls.waiting--;
        calls.answered();
      }
    }) as never;
  return {
    create: through("create"),
    read: through("read"),
    update: through("update"),
    touch: through("touch"),
    delete: through("delete"),
  };
}

describeWithServers("memcachedStore under interleavings", MEMCACHED_PROGRAMS, () => {
  let server: MemcachedServer;
  beforeAll(async () => {
    server = await startMemcached(["-M"]);
  });
  afterAll(() => server?.stop());

  test.each<[string, string, number, Trust]>([
    ["memjs", "", RUNS, {}],
    ["memcached", "", RUNS, {}],
    // A copy has no revision: an update by its version alone finds out by itself what is there.
    ["memcached", ", with trusted copies,", Math.ceil(RUNS / 4), TRUSTING],
  ])(
    "P6 P9 P11 P12 P13 P14 P15: interleavings over two connections of %s%s lose no update, resurrect nothing, accept no dead secret, log nobody out (%i)",
    async (name, _, runs, trust) => {
      const clients: readonly ConnectedMemcached[] = [1, 2].map(() => MEMCACHED_CLIENTS[name]!([server.port]));
      const tally = emptyTally();
      let run = 0;
      const make = (): SessionStore => {
        const prefix = `${name}${runs}-${++run}:`;
        return alternating(clients.map(({ client }) => memcachedStore(client, { prefix })));
      };
      const choices = fc.array(fc.nat(999), { minLength: 40, maxLength: 120 });
      await fc.assert(
        fc.asyncProperty(choices, (list) => interleave(make, list, tally, settle, trust)),
        { numRuns: runs, ...(process.env["SEED"] === undefined ? {} : { seed: Number(process.env["SEED"]) }) },
      );
      for (const { close } of clients) close();
      console.log(name, JSON.stringify(tally));
      expect(tally.runs).toBe(runs);
      if (trust === TRUSTING) expect(tally.copied).toBeGreaterThan(runs / 2);
      expect(Math.min(tally.written, tally.gone, tally.ended, tally.rotated, tally.conflicts)).toBeGreaterThan(
        runs / 20,
      );
      expect(await server.stat("evictions")).toBe(0);
    },
    600_000,
  );
});
