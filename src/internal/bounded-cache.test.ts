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

  test("forgets a deleted key, whichever generation it is in", () => {
    for (let others = 0; others < 12; others++) {
      const cache = boundedCache<string, { readonly n: number }>(10);
      cache.set("a", value(1));
      for (let i = 0; i < others; i++) cache.set(`other ${i}`, value(i));
      cache.get("a");
      cache.delete("a");
      expect(cache.get("a")).toBeUndefined();
    }
  });

  test("keeps nothing when the limit is 0", () => {
    const cache = boundedCache<string, { readonly n: number }>(0);
    cache.set("a", value(1));
    expect(cache.get("a")).toBeUndefined();
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
    const moves = fc.array(fc.tuple(fc.constantFrom("get", "set", "delete"), fc.nat(20)), { maxLength: 200 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 12 }), moves, fc.nat(20), (limit, steps, probe) => {
        const cache = boundedCache<number, { readonly n: number }>(limit);
        // In order of use; a deleted key keeps its place, since others went for it.
        const used = new Map<number, { readonly n: number } | undefined>();
        for (const [n, [move, key]] of steps.entries()) {
          const kept = move === "set" ? value(n) : cache.get(key);
          if (kept !== undefined) used.delete(key);
          if (kept !== undefined) used.set(key, move === "delete" ? undefined : kept);
          if (move === "delete") cache.delete(key);
          if (move === "set" && kept !== undefined) cache.set(key, kept);
        }
        const keys = [...used.keys()].toReversed();
        const there = keys.filter((key) => used.get(key) !== undefined);
        const found = cache.get(probe);
        if (found !== undefined) expect(found).toBe(used.get(probe));
        if (found !== undefined) expect(there.indexOf(probe)).toBeLessThan(limit);
        if (there.includes(probe) && keys.indexOf(probe) < limit / 2) expect(found).toBeDefined();
      }),
      { numRuns: 2000 },
    );
  });
});
