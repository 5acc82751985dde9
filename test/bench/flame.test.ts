import { describe, expect, test } from "vitest";
import { flamePlot } from "../../bench/flame-plot.ts";
import { flameOf, sharesOf, type CpuProfile } from "../../bench/flame.ts";

type Call = readonly [id: number, name: string, url: string, ...children: number[]];

const CALLS: readonly Call[] = [
  [1, "(root)", "", 2, 3, 4, 5],
  [2, "(idle)", ""],
  [3, "(garbage collector)", ""],
  [4, "run", "node:internal/modules/run_main", 9],
  [5, "parserOnIncoming", "node:_http_server", 10],
  [10, "", "file:///app/bench/server.ts", 6, 7, 8],
  [6, "handle", "file:///app/node_modules/express/lib/router.js"],
  [7, "load", "file:///app/dist/session/by-id.js"],
  [8, "load", "file:///app/dist/session/by-id.js"],
  [9, "start", "file:///app/dist/index.js"],
];

const PROFILE: CpuProfile = {
  nodes: CALLS.map(([id, functionName, url, ...children]) => ({ id, callFrame: { functionName, url }, children })),
  samples: [9, 2, 3, 5, 6, 7, 8, 8],
  timeDeltas: [9_000, 9_000, 10, 20, 30, 15, 15, 10],
};

describe("a profile", () => {
  test("is of the requests only: neither of the start nor of having nothing to do", () => {
    expect(flameOf(PROFILE).total).toBe(100);
  });

  test("has functions once, the most expensive first", () => {
    const [requests, gc] = flameOf(PROFILE).children;
    expect([requests?.name, requests?.total, gc?.total]).toEqual(["parserOnIncoming", 90, 10]);
    const [ours] = requests?.children ?? [];
    expect([ours?.name, ours?.owner]).toEqual(["(anonymous)", "bench"]);
    expect(ours?.children.map(({ name, total }) => [name, total])).toEqual([
      ["load", 40],
      ["handle", 30],
    ]);
  });

  test("says whose code took which part", () => {
    const shares = { coatcheck: 0.4, packages: 0.3, node: 0.2, gc: 0.1, native: 0, bench: 0 };
    for (const [owner, share] of Object.entries(sharesOf(flameOf(PROFILE)))) {
      expect([owner, share]).toEqual([owner, expect.closeTo(shares[owner as keyof typeof shares])]);
    }
  });

  test("is drawn as wide as the time it took", () => {
    const plot = flamePlot(flameOf(PROFILE), "a title");
    const wide = (name: string): number => Number(new RegExp(`<title>${name}, .*?width="([\\d.]+)"`).exec(plot)?.[1]);
    expect(wide("parserOnIncoming") / wide("load")).toBeCloseTo(90 / 40, 1);
    expect(plot).toContain("coatcheck 40 %");
  });
});
