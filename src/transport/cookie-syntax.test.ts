import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readCookie } from "./cookie-syntax.ts";

/** The same reading, as plainly as it can be said. */
function naively(header: string | undefined, name: string, max: number): string[] {
  const values = new Set<string>();
  for (const pair of (header ?? "").split(";")) {
    const equals = pair.indexOf("=");
    if (equals !== -1 && strip(pair.slice(0, equals)) === name) values.add(strip(pair.slice(equals + 1)));
  }
  return [...values].slice(0, max);
}

function strip(text: string): string {
  return text.replace(/^[ \t]+/, "").replace(/[ \t]+$/, "");
}

const NBSP = "\u00a0";

describe("reading a Cookie header", () => {
  test.each<[title: string, header: string | undefined, name: string, values: string[]]>([
    ["no header", undefined, "a", []],
    ["an empty header", "", "a", []],
    ["one cookie", "a=1", "a", ["1"]],
    ["the first of several", "a=1; b=2; c=3", "a", ["1"]],
    ["one in the middle", "a=1; b=2; c=3", "b", ["2"]],
    ["the last one", "a=1; b=2; c=3", "c", ["3"]],
    ["one that is not there", "a=1; b=2", "c", []],
    ["no blank after the semicolon", "a=1;b=2;c=3", "b", ["2"]],
    ["more semicolons than cookies", ";;; a=1;; ;b=2;", "b", ["2"]],
    ["spaces and tabs around name and value", " \t a \t = \t 1 \t ; b=2", "a", ["1"]],
    ["blanks inside a value", "a=1 2\t3; b=2", "a", ["1 2\t3"]],
    ["an empty value", "a=; b=2", "a", [""]],
    ["a value of blanks", "a= \t ; b=2", "a", [""]],
    ["equals signs in a value", "a=b=c==; b=2", "a", ["b=c=="]],
    ["a value that begins with an equals sign", "a==1", "a", ["=1"]],
    ["a comma in a value, which is not the end of it", "a=1,b=2; b=3", "b", ["3"]],
    ["a comma in front of a name, which belongs to the name", "a=1; ,b=2", "b", []],
    ["the name within another name", "xa=1; ax=2; a.b=3; -a=4", "a", []],
    ["the name as a value", "b=a; c=a=1; a=2", "a", ["2"]],
    ["the name with its value inside another value", "b= a=1; c=x a=2", "a", []],
    ["the name as the beginning of a longer one, and then itself", "user-idle=1; user=2", "user", ["2"]],
    ["a name in other letters", "A=1; a=2", "a", ["2"]],
    ["a pair without an equals sign", "a; b=2", "a", []],
    ["a nameless pair whose value looks like a cookie", "=a=1; =a; a", "a", []],
    ["a nameless pair that smuggles a prefix", "=__Host-a=1", "__Host-a", []],
    [
      "a no-break space before the name, which browsers keep",
      `${NBSP}__Host-a=evil; __Host-a=good`,
      "__Host-a",
      ["good"],
    ],
    ["a no-break space after the name", `__Host-a${NBSP}=evil`, "__Host-a", []],
    ["a no-break space around the value, which belongs to it", `a=${NBSP}1${NBSP}`, "a", [`${NBSP}1${NBSP}`]],
    ["other blanks before the name: line feed, vertical tab, form feed", "\na=1; \va=2; \fa=3", "a", []],
    ["NUL before the name", "\u0000a=1", "a", []],
    ["NUL within the value", "a=1\u00002", "a", ["1\u00002"]],
    ["quotes, which belong to the value", 'a="1"; b=2', "a", ['"1"']],
    ["a quoted value with a semicolon, which ends it", 'a="x; b=evil; c="; d=1', "b", ["evil"]],
    ["an open quote that would swallow its neighbours elsewhere", 'q="; a=secret; r=x"', "a", ["secret"]],
    ["a backslash before a semicolon", "a=1\\; b=2", "b", ["2"]],
    ["$Version, an ordinary name", "$Version=1; a=2; $Path=/", "$Version", ["1"]],
    ["a percent-encoded name, which is another name", "%61=1; a=2", "a", ["2"]],
    ["a percent-encoded value, which stays as it is", "a=%41%zz", "a", ["%41%zz"]],
    ["a plus sign, which stays one", "a=1+2", "a", ["1+2"]],
    ["letters beyond ASCII", "a=\u00e4\u00f6; b=\ud83c\udf6a", "b", ["\ud83c\udf6a"]],
    ["names that objects have by nature", "toString=1; __proto__=2; constructor=3", "__proto__", ["2"]],
    ["a name that an object has by nature and the header has not", "a=1", "toString", []],
    ["two values of one name, in their order", "a=2; b=x; a=1", "a", ["2", "1"]],
    ["one value twice", "a=1; a=1; a=2; a=1", "a", ["1", "2"]],
    ["values that differ in blanks only", "a=1; a= 1; a=1 ", "a", ["1"]],
    ["attributes, which are ordinary cookies here", "a=1; Path=/; Secure; HttpOnly=x", "Path", ["/"]],
    ["a name of special characters", "!#$%&'*+-.^_`|~=1", "!#$%&'*+-.^_`|~", ["1"]],
  ])("%s", (_title, header, name, values) => {
    expect(readCookie(header, name, 5)).toEqual(values);
    expect(naively(header, name, 5)).toEqual(values);
  });

  test("P5: gives no more values than asked for", () => {
    const header = "a=1; a=2; a=3; a=4; a=5; a=6";
    expect(readCookie(header, "a", 5)).toEqual(["1", "2", "3", "4", "5"]);
    expect(readCookie(header, "a", 1)).toEqual(["1"]);
    expect(readCookie(header, "a", 0)).toEqual([]);
  });

  test("finds the last of a thousand pairs", () => {
    const header = Array.from({ length: 1000 }, (_, index) => `name${index}=${index}`).join("; ");
    expect(readCookie(header, "name999", 5)).toEqual(["999"]);
    expect(readCookie(header, "name", 5)).toEqual([]);
  });

  test("finds a cookie behind 17 kB of another", () => {
    expect(readCookie(`big=${"x".repeat(17_000)}; a=1`, "a", 5)).toEqual(["1"]);
  });

  test.each([
    ["the name again and again", "a".repeat(1_000_000)],
    ["blanks", " ".repeat(1_000_000)],
    ["the name and blanks", "a ".repeat(500_000)],
    ["semicolons", ";".repeat(1_000_000)],
    ["a pair without end", "a=".repeat(500_000)],
    ["values of its own", "a=1;".repeat(250_000)],
    ["names that come close", ` ${"\t".repeat(500_000)}a${" ".repeat(500_000)}b`],
  ])("takes time in proportion to a hostile header: %s", (_title, header) => {
    const start = performance.now();
    readCookie(header, "a", 5);
    // A second look at every pair for each pair would take minutes.
    expect(performance.now() - start).toBeLessThan(1000);
  });

  test("never throws and reads as the plainest reader does: 100 000 made-up headers", () => {
    const names = ["a", "user", "__Host-Http-user", "__proto__", "a a", "aa", "$Version", `${NBSP}a`];
    const piece = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...names) },
      {
        weight: 6,
        arbitrary: fc.constantFrom(";", "=", "; ", " ", "\t", ",", '"', "\\", NBSP, "\u0000", "\n", "1", "x"),
      },
      { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 4 }) },
    );
    const header = fc.array(piece, { maxLength: 24 }).map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(header, fc.constantFrom(...names), fc.integer({ min: 0, max: 5 }), (text, name, max) => {
        expect(readCookie(text, name, max)).toEqual(naively(text, name, max));
      }),
      { numRuns: 100_000 },
    );
  });
});
