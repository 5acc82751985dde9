import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, equalBytes, equalText, fromUtf8, hex, lengthPrefixed, utf8 } from "./bytes.ts";

describe("bytes", () => {
  test("text goes to UTF-8 and back as it was, a byte order mark at its beginning included", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.boolean(), (text, marked) => {
        const whole = marked ? `\uFEFF${text}` : text;
        expect(fromUtf8(utf8(whole))).toBe(whole);
      }),
    );
  });

  test("what is not UTF-8 is refused", () => {
    expect(() => fromUtf8(new Uint8Array([0x61, 0xff]))).toThrow(TypeError);
    expect(() => fromUtf8(new Uint8Array([0xc0, 0x80]))).toThrow(TypeError);
  });

  test("hex writes two digits a byte", () => {
    expect(hex(new Uint8Array([0, 1, 0xab, 0xff]))).toBe("0001abff");
  });

  test("concat joins", () => {
    expect(concat(new Uint8Array([1]), new Uint8Array(0), new Uint8Array([2, 3]))).toEqual(new Uint8Array([1, 2, 3]));
    expect(concat()).toEqual(new Uint8Array(0));
  });

  test("lengthPrefixed puts two bytes of length before each part", () => {
    expect(lengthPrefixed("ab", new Uint8Array([9]), "")).toEqual(new Uint8Array([0, 2, 97, 98, 0, 1, 9, 0, 0]));
    expect(lengthPrefixed("é".repeat(200)).subarray(0, 2)).toEqual(new Uint8Array([1, 144]));
  });

  test("lengthPrefixed never gives the same bytes for different lists", () => {
    const list = fc.array(fc.string({ unit: fc.constantFrom("a", "\0", "\u0001"), maxLength: 4 }), { maxLength: 4 });
    fc.assert(
      fc.property(list, list, (one, two) => {
        fc.pre(JSON.stringify(one) !== JSON.stringify(two));
        expect(hex(lengthPrefixed(...one))).not.toBe(hex(lengthPrefixed(...two)));
      }),
      { numRuns: 2000 },
    );
  });

  test("lengthPrefixed refuses a part that is too long for its length", () => {
    expect(() => lengthPrefixed("x".repeat(65_536))).toThrow(TypeError);
  });

  test("equalBytes and equalText agree with plain comparison", () => {
    fc.assert(
      fc.property(fc.uint8Array({ max: 2, maxLength: 4 }), fc.uint8Array({ max: 2, maxLength: 4 }), (one, two) => {
        const same = hex(one) === hex(two);
        expect(equalBytes(one, two)).toBe(same);
        expect(equalText(hex(one), hex(two))).toBe(same);
      }),
      { numRuns: 2000 },
    );
  });
});
