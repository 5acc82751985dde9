import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { boundedCache } from "./bounded-cache.ts";

const value = (n: number): { readonly n: number } => ({ n });

describe("a bounded cache", () => {
  test("gives back what was kept, the latest of it", () => {
    const cache = boundedCache<string, { readonly n: number }>(10);
    cache.set("a", value(1));
    cache.set("b", value(2));
    cache.set("a", value(3));
    expect([cache.get("a"), cache.get("b"), cache.get("c")]).toEqual([value(3), value(2), undefined]);
  });

  test("keeps nothing when the limit is 0", () => {
    const cache = boundedCache<string, { readonly n: number }>(0);
    cache.set("a", value(1));
    expect(cache.get("a")).toBeUndefined();
  });

  test("of what is offered it keeps all while there is room, and then one in eight: of a few that come again, soon all", () => {
    const cache = boundedCache<string, { readonly n: number }>(100);
    const offered = (key: string): void => {
      if (cache.get(key) === undefined) cache.offer(key, value(0));
    };
    for (let n = 0; n < 50; n++) offered(`first ${n}`);
    expect(cache.count()).toBe(50);
    for (let n = 0; n < 40; n++) offered(`once ${n}`);
    expect(cache.count()).toBe(55);
    for (let round = 0; round < 40; round++) for (let n = 0; n < 10; n++) offered(`again ${n}`);
    for (let n = 0; n < 10; n++) expect(cache.get(`again ${n}`)).toBeDefined();
  });

  test("keeps what is used all the time, however much else comes by", () => {
    const cache = boundedCache<string, { readonly n: number }>(8);
    cache.set("used", value(0));
    for (let i = 0; i < 1000; i++) {
      cache.set(`other ${i}`, value(i));
      if (i % 3 === 0) expect(cache.get("used")).toEqual(value(0));
    }
  });

  test("property: what is there is the last value and among the last `limit` used; the half used last is there", () => {
    const moves = fc.array(fc.tuple(fc.boolean(), fc.nat(20)), { maxLength: 200 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 12 }), moves, fc.nat(20), (limit, steps, probe) => {
        const cache = boundedCache<number, { readonly n: number }>(limit);
        const used = new Map<number, { readonly n: number }>();
        for (const [n, [sets, key]] of steps.entries()) {
          const kept = sets ? value(n) : cache.get(key);
          if (kept === undefined) continue;
          used.delete(key);
          used.set(key, kept);
          if (sets) cache.set(key, kept);
        }
        const rank = [...used.keys()].toReversed().indexOf(probe);
        const found = cache.get(probe);
        if (found !== undefined) expect([found, rank < limit]).toEqual([used.get(probe), true]);
        if (rank !== -1 && rank < limit / 2) expect(found).toBeDefined();
      }),
      { numRuns: 2000 },
    );
  });
});
