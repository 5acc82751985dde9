import * as fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { decodeBase64url, decodePortably, encodeBase64url, encodePortably, encodeTextBase64url } from "./base64url.ts";

const CODECS = [
  { name: "Buffer", encode: encodeBase64url, decode: decodeBase64url },
  { name: "portable", encode: encodePortably, decode: decodePortably },
];

const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom(..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") }),
  fc.string({ unit: fc.constantFrom(..."AQgw-_+/= \n.é") }),
);

describe.each(CODECS)("base64url, $name", ({ encode, decode }) => {
  test("RFC 4648 §10: the test vectors, without padding", () => {
    const vectors = { "": "", f: "Zg", fo: "Zm8", foo: "Zm9v", foob: "Zm9vYg", fooba: "Zm9vYmE", foobar: "Zm9vYmFy" };
    for (const [text, encoded] of Object.entries(vectors)) {
      const bytes = new TextEncoder().encode(text);
      expect(encode(bytes)).toBe(encoded);
      expect(decode(encoded)).toEqual(bytesLike(bytes));
    }
  });

  test("uses the URL alphabet", () => {
    expect(encode(new Uint8Array([0xfb, 0xff, 0xfe]))).toBe("-__-");
  });

  test.each([
    "QR",
    "Zh",
    "Zm9",
    "Zm8=",
    "Zg==",
    "A",
    "AAAAA",
    "+/+/",
    "Zm9v ",
    " Zm9v",
    "Zm\n9v",
    "Zm9v.",
    "Zm9é",
    "🧥🧥",
    "\uD800AAA",
    "Zm9v\0",
  ])("A6: refuses what it does not write itself: %j", (text) => {
    expect(decode(text)).toBeUndefined();
  });

  test("a byte string has one text only: whatever is decoded is written the same way again", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const bytes = decode(text);
        if (bytes !== undefined) expect(encode(bytes)).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });

  test("reads a part of a larger buffer as that part", () => {
    const whole = new Uint8Array(64).map((_, i) => i);
    expect(decode(encode(whole.subarray(7, 41)))).toEqual(bytesLike(whole.subarray(7, 41)));
  });
});

describe("base64url, Buffer and portable", () => {
  test("write the same text for the same bytes, and read it back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(encodePortably(bytes)).toBe(encodeBase64url(bytes));
        expect(decodePortably(encodePortably(bytes))).toEqual(bytes);
      }),
      { numRuns: 1000 },
    );
  });

  test("accept and refuse the same texts", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const bytes = decodeBase64url(text);
        expect(decodePortably(text)).toEqual(bytes === undefined ? undefined : new Uint8Array(bytes));
      }),
      { numRuns: 5000 },
    );
  });

  test("the portable one is taken where there is no Buffer", async () => {
    vi.stubGlobal("Buffer", undefined);
    vi.resetModules();
    const without = await import("./base64url.ts");
    vi.unstubAllGlobals();
    const bytes = new Uint8Array([1, 2, 3, 4]);
    expect(without.encodeBase64url(bytes)).toBe(encodeBase64url(bytes));
    for (const text of ["", "Ada", "żółć 🧥", "\ud800"]) {
      const expected = encodeBase64url(new TextEncoder().encode(text));
      expect([encodeTextBase64url(text), without.encodeTextBase64url(text)]).toEqual([expected, expected]);
    }
    const decoded = without.decodeBase64url("AQIDBA");
    expect(decoded).toEqual(bytes);
    expect(Object.getPrototypeOf(decoded)).toBe(Uint8Array.prototype);
  });
});

function bytesLike(bytes: Uint8Array): unknown {
  return expect.toSatisfy((other: Uint8Array) => Array.from(other).join() === Array.from(bytes).join());
}
