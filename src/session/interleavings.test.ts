import fc from "fast-check";
import { expect, test } from "vitest";
import { emptyTally, interleave } from "../../test/interleavings.ts";
import type { SessionStore } from "../index.ts";
import type { Clock } from "../internal/clock.ts";
import { memoryStore } from "../store/memory.ts";

const RUNS = Number(process.env["RUNS"] ?? 10_000);

const stores: Record<string, (clock: Clock) => SessionStore> = {
  memoryStore: (clock) => memoryStore({ clock }),
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
