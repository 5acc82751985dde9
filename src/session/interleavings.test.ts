import fc from "fast-check";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { emptyTally, interleave } from "../../test/interleavings.ts";
import type { SessionStore } from "../index.ts";
import type { Clock } from "../internal/clock.ts";
import { directoryStore } from "../store/directory.ts";
import { memoryStore } from "../store/memory.ts";
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

test.each(Object.entries(stores))(
  `P6 P9 P11 P12 P13 P14 P15: ${RUNS} interleavings over %s lose no update, resurrect nothing, accept no dead secret, log nobody out`,
  async (_, make) => {
    const tally = emptyTally();
    const choices = fc.array(fc.nat(999), { minLength: 40, maxLength: 120 });
    await fc.assert(
      fc.asyncProperty(choices, (list) => interleave(make, list, tally)),
      { numRuns: RUNS, ...(process.env["SEED"] === undefined ? {} : { seed: Number(process.env["SEED"]) }) },
    );
    console.log(JSON.stringify(tally));
    expect(tally.runs).toBe(RUNS);
    expect(Math.min(tally.written, tally.gone, tally.ended, tally.rotated, tally.conflicts)).toBeGreaterThan(RUNS / 20);
  },
  120_000,
);
