import { describe, expect, test } from "vitest";
import type { Findings } from "./check.ts";
import { calmWithFlaw, sqlite } from "./engine-local.ts";
import type { Flaw } from "./flaws.ts";
import { QUICK, runFault } from "./run.ts";

const RUN = { seed: 1, pace: QUICK };

describe("bad weather for SQLite", () => {
  test.each(sqlite.faults.filter(({ isQuick }) => isQuick).map((fault) => [fault.name, fault] as const))(
    "%s: what was promised is kept",
    { timeout: 60_000 },
    async (_, fault) => {
      const { complaints, findings } = await runFault(fault, RUN);
      expect(complaints, JSON.stringify(findings, null, 2)).toEqual([]);
    },
  );
});

describe("the fault harness finds", () => {
  const flaws: readonly (readonly [Flaw, keyof Findings, string])[] = [
    ["blind-update", "lost", "lost updates of a store that writes without comparing"],
    ["create-on-gone", "resurrected", "resurrected sessions of a store that makes an update a creation"],
    ["delete-nothing", "resurrected", "ended sessions of a store that does not delete"],
    ["empty-on-failure", "signedOut", "visitors who are sent away by a store that takes an error for an answer"],
  ];

  test.each(flaws)("%s: %s, that is %s", { timeout: 60_000 }, async (flaw, kind) => {
    const { figures, complaints } = await runFault(calmWithFlaw(flaw), RUN);
    expect(figures.found[kind]).toBeGreaterThan(0);
    expect(complaints.join()).toContain(kind);
  });
});
