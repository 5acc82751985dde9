import { describe, expect, test } from "vitest";
import { COMPARISONS, type Comparison } from "../../bench/comparisons.ts";
import { ratioOf, rowOf, Samples } from "../../bench/statistics.ts";
import { isOnNode, SUBJECTS, subjectOf } from "../../bench/subjects.ts";

const PAIR: Comparison = { ours: "koa/memory", peer: "koa/koa-session", targets: { read: 1 / 4 }, whole: false };

/** Rounds of a read on Koa. */
function samples(rounds: Readonly<Record<string, readonly number[]>>): Samples {
  const all = new Samples();
  for (const [name, values] of Object.entries(rounds)) for (const value of values) all.add(name, "read", value);
  return all;
}

describe("a row", () => {
  test("has what a server costs over its framework: by minima, by medians, and in each round", () => {
    const found = samples({ "koa/bare": [10, 12, 20], "koa/memory": [15, 13, 40] });
    const row = rowOf(subjectOf("koa/memory"), "read", found);
    expect(row?.cost).toEqual({ best: 13, median: 15, rounds: [13, 40] });
    expect(row?.over).toEqual({ best: 3, median: 3, rounds: [1, 20] });
  });

  test("takes the mean of the two in the middle when the rounds are even", () => {
    const found = samples({ "koa/bare": [0, 0, 0, 0], "koa/memory": [4, 1, 2, 9] });
    expect(rowOf(subjectOf("koa/memory"), "read", found)?.cost.median).toBe(3);
  });

  test("is not there for what was not measured", () => {
    expect(rowOf(subjectOf("koa/memory"), "read", samples({ "koa/bare": [10] }))).toBeUndefined();
  });

  test("says whether an untouched request keeps within its half microsecond, for ours only", () => {
    const found = new Samples();
    for (const [name, cost] of [
      ["bare", 10],
      ["memory", 10.5],
      ["koa-session", 10.5],
    ] as const) {
      found.add(`koa/${name}`, "untouched", cost);
    }
    expect(rowOf(subjectOf("koa/memory"), "untouched", found)?.met).toBe(true);
    expect(rowOf(subjectOf("koa/koa-session"), "untouched", found)?.met).toBeUndefined();
    found.add("koa/memory", "untouched", 10.4);
    found.add("koa/bare", "untouched", 9.8);
    expect(rowOf(subjectOf("koa/memory"), "untouched", found)?.met).toBe(false);
  });
});

describe("a ratio", () => {
  test("compares what both cost over the framework, and says whether the aim is met", () => {
    const found = samples({ "koa/bare": [10, 11], "koa/memory": [12, 15], "koa/koa-session": [20, 19] });
    const ratio = ratioOf(PAIR, "read", found);
    expect(ratio?.ratio.best).toBeCloseTo(2 / 9);
    expect(ratio?.ratio.median).toBeCloseTo(3 / 9);
    expect(ratio?.ratio.rounds).toEqual([0.2, 0.5]);
    expect(ratio?.met).toBe(true);
    expect(ratioOf({ ...PAIR, targets: { read: 1 / 5 } }, "read", found)?.met).toBe(false);
    expect(ratioOf({ ...PAIR, targets: {} }, "read", found)?.met).toBeUndefined();
  });

  test("does not take a round into its spread in which the framework alone was disturbed", () => {
    const found = samples({ "koa/bare": [10, 90, 10], "koa/memory": [12, 15, 12], "koa/koa-session": [20, 21, 20] });
    expect(ratioOf(PAIR, "read", found)?.ratio.rounds).toEqual([0.2, 0.2]);
  });

  test("takes each over its own framework where that is another", () => {
    const found = samples({
      "express/bare": [20, 22],
      "express/memory": [23, 24],
      "go/bare": [10, 12],
      "go/scs": [40, 32],
    });
    const ratio = ratioOf({ ...PAIR, ours: "express/memory", peer: "go/scs" }, "read", found)?.ratio;
    expect(ratio).toEqual({ best: 3 / 22, median: 2.5 / 25, rounds: [0.1, 0.1] });
  });

  test("compares whole requests where that is asked for", () => {
    const found = samples({ "koa/bare": [10], "koa/memory": [12], "koa/koa-session": [20] });
    expect(ratioOf({ ...PAIR, whole: true }, "read", found)?.ratio.best).toBeCloseTo(0.6);
  });

  test("is not made of noise, nor of what was not measured", () => {
    const noise = samples({ "koa/bare": [10], "koa/memory": [12], "koa/koa-session": [11] });
    expect(ratioOf(PAIR, "read", noise)).toBeUndefined();
    const disturbed = samples({ "koa/bare": [10, 10, 10], "koa/memory": [12, 12, 12], "koa/koa-session": [9, 20, 20] });
    expect(ratioOf(PAIR, "read", disturbed)).toBeUndefined();
    expect(ratioOf(PAIR, "read", samples({ "koa/bare": [10], "koa/memory": [12] }))).toBeUndefined();
  });
});

describe("the comparisons", () => {
  test("are of subjects that there are, ours beside another's on the same framework, or on Express", () => {
    for (const { ours, peer } of COMPARISONS) {
      expect([ours, subjectOf(ours).ours]).toEqual([ours, true]);
      expect([peer, subjectOf(peer).ours]).toEqual([peer, false]);
      const { host } = subjectOf(peer);
      expect(subjectOf(ours).host).toBe(isOnNode(host) ? host : "express");
    }
  });

  test("have every peer", () => {
    const compared = new Set(COMPARISONS.map(({ peer }) => peer));
    const peers = SUBJECTS.filter(({ ours, kind }) => !ours && kind !== "bare" && kind !== "control");
    expect(peers.map(({ name }) => name).filter((name) => !compared.has(name))).toEqual([]);
  });
});
