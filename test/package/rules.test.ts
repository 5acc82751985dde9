import { describe, expect, test } from "vitest";
import { namings, RULES, rulesPage, titlesIn, unnamed, writePage, writtenPage } from "./rules.ts";

describe("the rules of the protocol", () => {
  test("each is named by a test", () => {
    expect(Object.keys(RULES)).toEqual(Array.from({ length: 30 }, (_, at) => `P${at + 1}`));
    expect(unnamed(), "rules that no test names").toEqual([]);
  });

  test("docs/rules.md is what the tests say (else: UPDATE=1 node test/package/rules.ts)", () => {
    if (process.env["UPDATE"] === "1") writePage();
    expect(writtenPage()).toBe(rulesPage());
  });

  test("titles are found however they are written", () => {
    const source = [
      `test("P90: one", () => {});`,
      `  test.each([1, 2])(\n    'P91: a "quoted" one',\n    async () => {},\n  );`,
      "describe(`P92 ${P93}`, () => {});",
      `// test("P94: not one", () => {});`,
    ].join("\n");
    expect(titlesIn(source)).toEqual(["P90: one", "P92 ${P93}", 'P91: a "quoted" one']);
  });

  test("a rule is named in a title, and not by what only looks like one", () => {
    const titles = [...namings().values()].flat().map(({ title }) => title);
    expect(titles.length).toBeGreaterThan(60);
    expect(titles.every((title) => /\bP\d+\b/.test(title))).toBe(true);
  });
});
