import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { copyJson, deepFreeze, frozenJson, parseJson } from "./json.ts";

/** Whether a value and all in it is frozen. */
function isFrozenThrough(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(isFrozenThrough);
}

/** What JSON can say, but for the key that is left out. */
const json = fc
  .jsonValue({ maxDepth: 5 })
  .map((value) => JSON.stringify(value))
  .filter((text) => !text.includes("__proto__"))
  .map((text) => JSON.parse(text) as unknown);

describe("copies of data", () => {
  test("say what JSON would, share nothing, and can be changed or are frozen, as is asked for", () => {
    fc.assert(
      fc.property(json, (value) => {
        const [copy, frozen] = [copyJson(value, "data"), frozenJson(value, "data")];
        expect([copy, frozen]).toEqual([value, value]);
        expect(isFrozenThrough(frozen)).toBe(true);
        if (typeof value === "object" && value !== null)
          expect([copy === value, frozen === value]).toEqual([false, false]);
      }),
    );
  });

  test("take what is known as it is, so that a change of a large session costs what the change costs", () => {
    const known = frozenJson({ cart: ["apple", { name: "pear" }], count: 1 }, "data") as Record<string, unknown>;
    const next = frozenJson({ ...known, count: 2 }, "data", known) as Record<string, unknown>;
    expect(next).toEqual({ cart: ["apple", { name: "pear" }], count: 2 });
    expect(next["cart"]).toBe(known["cart"]);
    expect(frozenJson(known, "data", known)).toBe(known);
  });

  test("never take what somebody could still change, wherever it comes from", () => {
    const inner = { name: "pear" };
    const known = { cart: inner };
    const copy = frozenJson(known, "data", known) as { cart: { name: string } };
    inner.name = "plum";
    expect(copy).toEqual({ cart: { name: "pear" } });
    expect(isFrozenThrough(copy)).toBe(true);
  });

  test.each([
    [{ a: [1, { b: Number.NaN }] }, "data.a[1].b must survive JSON, and NaN or an infinity does not"],
    [{ a: new Map() }, "data.a must survive JSON, and an instance of Map does not"],
    [{ a: { b: () => 1 } }, "data.a.b must survive JSON, and a function does not"],
    [[undefined], "data[0] must survive JSON, and a undefined does not"],
    [10n, "data must survive JSON, and a bigint does not"],
  ])("name the place of what JSON would lose: %#", (value, message) => {
    expect(() => copyJson(value, "data")).toThrow(new TypeError(message));
    expect(() => frozenJson(value, "data")).toThrow(new TypeError(message));
  });

  test("refuse what contains itself, as an error of the data", () => {
    const circle: Record<string, unknown> = {};
    circle["again"] = { circle };
    expect(() => frozenJson(circle, "data")).toThrow(expect.objectContaining({ code: "ERR_SESSION_INVALID_DATA" }));
  });
});

describe("JSON that somebody else has written", () => {
  test.each([5_000, 20_000, 1_000_000])(
    "is refused when it is nested %d deep, which no recursion could follow",
    (depth) => {
      for (const [open, close] of [
        ["[", "]"],
        ['{"a":', "}"],
      ] as const)
        expect(() => parseJson(`${open.repeat(depth)}1${close.repeat(depth)}`)).toThrow(SyntaxError);
    },
  );

  test("is read when it is long and flat, whatever its texts say", () => {
    const value = { many: Array.from({ length: 3_000 }, (_, i) => [i, { a: "[[{" }]), text: "[{".repeat(9_000) };
    expect(parseJson(JSON.stringify(value))).toEqual(value);
  });

  test("is never deeper than what freezing it and writing it can follow", () => {
    const value = deepFreeze(parseJson(`${"[".repeat(1_900)}1${"]".repeat(1_900)}`));
    expect(JSON.stringify(value)).toHaveLength(3_801);
  });
});
