import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");
const page = read("docs/ktor.md");

/** The tests that the page names: `“title” `file``, or several titles before one file. */
const named = [...page.matchAll(/((?:“[^”]+”(?:, )?)+) `((?:src|test)\/[\w./-]+\.ts)`/g)].flatMap(
  ([, titles = "", file = ""]) => [...titles.matchAll(/“([^”]+)”/g)].map(([, title = ""]) => ({ title, file })),
);

/** Titles may be in any quotes in the source, which may then escape some. */
const plain = (text: string): string => text.replaceAll(/\\(["'`])/g, "$1").replaceAll(/[“”"]/g, '"');

test("every test that docs/ktor.md names is there", () => {
  expect(named.length).toBeGreaterThan(90);
  expect(named.filter(({ title, file }) => !plain(read(file)).includes(plain(title)))).toEqual([]);
});

test("docs/ktor.md says of each of Ktor's tests that we have it, with a test, or how ours differs", () => {
  const [, table = ""] = /## Ktor's tests, one by one\n([\s\S]*?)\n## /.exec(page) ?? [];
  const rows = table
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| Ktor |") && !line.startsWith("| **"));
  expect(rows.length).toBeGreaterThanOrEqual(76);
  expect(rows.filter((row) => !/“[^”]+” `(?:src|test)\//.test(row) && !row.includes("| differs: "))).toEqual([]);
});

test("docs/ktor.md names everything that coatcheck/compat/ktor exports", async () => {
  const names = [...Object.keys(await import("./ktor.ts")), ...Object.keys(await import("./ktor-directory.ts"))];
  const rarely = new Set(["generateKtorId", "ktorEncoding", "ktorSessionPath"]);
  expect(names.filter((name) => !rarely.has(name) && !page.includes(name))).toEqual([]);
});
