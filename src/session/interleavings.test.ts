import fc from "fast-check";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { emptyTally, interleave, TRUSTING, type ProcessStore, type Trust } from "../../test/interleavings.ts";
import type { SessionStore } from "../index.ts";
import type { Clock } from "../internal/clock.ts";
import { directoryStore } from "../store/directory.ts";
import { memoryStore } from "../store/memory.ts";
import { nearCache, type NearCache, type NearCacheStats } from "../store/near-cache.ts";
import { sqliteStore } from "../store/sqlite.ts";

const RUNS = Number(process.env["RUNS"] ?? 10_000);

// In memory where there is such a place: it is the order of the calls that counts here, not the medium.
const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "coatcheck-"));
const inFolder = directoryStore(folder);
afterAll(() => {
  void inFolder.close();
  rmSync(folder, { recursive: true, force: true });
});

const stores: Record<string, (clock: Clock) => SessionStore> = {
  memoryStore: (clock) => memoryStore({ clock }),
  directoryStore: () => ({ ...inFolder, close: () => {} }),
  sqliteStore: (clock) => sqliteStore(":memory:", { clock }),
};

test(`P7 P12 P13 P14: ${RUNS} interleavings over two near caches, whose news are late, lose no update and resurrect nothing`, async () => {
  const tally = emptyTally();
  const stats: NearCacheStats[] = [];
  const choices = fc.array(fc.nat(999), { minLength: 40, maxLength: 120 });
  const run = async (list: readonly number[]): Promise<void> => {
    const near: NearCache[] = [];
    const storeOf: ProcessStore = (shared) => {
      const store = nearCache({ ...shared, returnsSame: false });
      near.push(store);
      return store;
    };
    await interleave((clock) => memoryStore({ clock }), list, tally, undefined, { storeOf });
    stats.push(...near.map((store) => store.stats()));
  };
  await fc.assert(fc.asyncProperty(choices, run), {
    numRuns: RUNS,
    ...(process.env["SEED"] === undefined ? {} : { seed: Number(process.env["SEED"]) }),
  });
  const sum = (of: "hits" | "misses" | "invalidations"): number => stats.reduce((all, one) => all + one[of], 0);
  console.log(JSON.stringify({ ...tally, hits: sum("hits"), misses: sum("misses") }));
  expect(Math.min(tally.written, tally.gone, tally.ended, tally.rotated, tally.conflicts)).toBeGreaterThan(RUNS / 20);
  expect(Math.min(sum("hits"), sum("misses"), sum("invalidations"))).toBeGreaterThan(RUNS / 4);
}, 120_000);

const STRICT: Trust = {};
const settings: readonly (readonly [string, (clock: Clock) => SessionStore, Trust])[] = [
  ...Object.entries(stores).map(([name, make]) => [name, make, STRICT] as const),
  ["memoryStore and trusted copies", (clock) => memoryStore({ clock }), TRUSTING],
];

test.each(settings)(
  `P6 P9 P11 P12 P13 P14 P15: ${RUNS} interleavings over %s lose no update, resurrect nothing, accept no dead secret, log nobody out`,
  async (_, make, options) => {
    const tally = emptyTally();
    const choices = fc.array(fc.nat(999), { minLength: 40, maxLength: 120 });
    await fc.assert(
      fc.asyncProperty(choices, (list) => interleave(make, list, tally, undefined, options)),
      { numRuns: RUNS, ...(process.env["SEED"] === undefined ? {} : { seed: Number(process.env["SEED"]) }) },
    );
    console.log(JSON.stringify(tally));
    expect(tally.runs).toBe(RUNS);
    expect(Math.min(tally.written, tally.gone, tally.ended, tally.rotated, tally.conflicts)).toBeGreaterThan(RUNS / 20);
    if (options === TRUSTING) expect(tally.copied).toBeGreaterThan(RUNS / 2);
    else expect(tally.copied).toBe(0);
  },
  120_000,
);
