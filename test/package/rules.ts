/**
 * The rules of the session protocol and the tests that name them: what `docs/rules.md` is made of.
 *
 *     node test/package/rules.ts             prints it
 *     UPDATE=1 node test/package/rules.ts    writes it
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const PAGE = join(ROOT, "docs/rules.md");

/** Each rule in half a sentence. */
export const RULES: Readonly<Record<string, string>> = {
  P1: "expired means non-existent, by the application's clock",
  P2: "a session lives at least `idleTimeout` after its last use, at most 1.1 of it",
  P3: "the absolute clock runs from the sign-in, or else from the beginning; nothing else moves it",
  P4: "a token is judged by when its request arrived",
  P5: "syntax and MAC come before the store; at most four same-named tokens, exactly one valid",
  P6: "current, offered, retired or unknown secret: who is let in, who is refused, what is a replay",
  P7: "a refusal that a cached copy led to is never final",
  P8: "who may be told to forget its cookie, and who may not",
  P9: "renewal at commit: one next secret for every holder of the old one",
  P10: "no renewal where the response cannot carry it",
  P11: "`authenticate()` and `regenerate()` kill the old secret at once",
  P12: "a request's verbs are replayed on what another request wrote",
  P13: "a request that began before a sign-in cannot write into the signed-in session",
  P14: "`destroy()` wins over everything and is final",
  P15: "gone means no write and no cookie; a double-clicked sign-in signs in",
  P16: "another subject starts with empty data; a guest's data is kept",
  P17: "what the schema refuses is never written; data must survive JSON",
  P18: "a store that timed out has an unknown outcome; nothing is applied twice",
  P19: "flash messages have ids; data is a frozen copy of its own",
  P20: "the response waits for the commit; what is kept when a handler throws; verbs after the headers",
  P21: '`onStoreError: "anonymous"` may look and not write',
  P22: "a read writes nothing and sets no cookie, but for a throttled touch, a renewal, `takeFlash`, a new key, a route (`sticky`), a copy (`trustFor`)",
  P23: "two first-time tabs make two sessions",
  P24: "options that cannot hold by value are refused there; their defaults",
  P25: "revocation of sessions by value fails closed",
  P26: "derived keys and opened tokens are checked again; nothing random too early or shared",
  P27: "version (and revision) decide an update; a resent write is recognised",
  P28: "index first, record second; a listing believes the record",
  P29: "directory store: compare-and-set by hard links, deletion by tombstone",
  P30: "the localhost exception for cookies, and what ends it",
};

/** Where a rule is named. */
export interface Naming {
  readonly file: string;
  readonly title: string;
}

/** The titles of a test file: what `test`, `it` or `describe` is called with first. */
export function titlesIn(source: string): readonly string[] {
  const code = source.replaceAll(/^\s*(?:\/\/|\*|\/\*).*$/gm, "");
  const calls = code.matchAll(/\b(?:test|it|describe)(?:\.\w+)*\s*\(\s*(["'`])((?:\\.|(?!\1)[^\\])*)\1/g);
  // `test.each(table)("title", …)`: the title follows the table's parenthesis.
  const tables = code.matchAll(/\)\s*\(\s*(["'`])((?:\\.|(?!\1)[^\\])*)\1\s*,\s*(?:async\b|\(|\{)/g);
  const titles = [...calls, ...tables].map(([, , title = ""]) => title.replaceAll(/\\(.)/g, "$1"));
  return [...new Set(titles)];
}

/** Which tests name which rule. */
export function namings(): ReadonlyMap<string, readonly Naming[]> {
  const found = new Map<string, Naming[]>(Object.keys(RULES).map((rule) => [rule, []]));
  for (const file of testFiles()) {
    for (const title of titlesIn(readFileSync(join(ROOT, file), "utf8"))) {
      for (const [rule] of title.matchAll(/\bP\d+\b/g)) found.get(rule)?.push({ file, title });
    }
  }
  return found;
}

/** The rules that no test names. */
export function unnamed(): readonly string[] {
  return [...namings()].filter(([, tests]) => tests.length === 0).map(([rule]) => rule);
}

/** `docs/rules.md` as it ought to be. */
export function rulesPage(): string {
  const all = [...namings()];
  const rows = all.map(([rule, tests]) => `| [${rule}](#${rule.toLowerCase()}) | ${RULES[rule]} | ${counted(tests)} |`);
  const lists = all.map(([rule, tests]) => `## ${rule}\n\n${sentence(RULES[rule] ?? "")}\n\n${listed(tests)}`);
  return `${HEAD}\n| Rule | What it says | Tests that name it |\n|---|---|---|\n${rows.join("\n")}\n\n${lists.join("\n\n")}\n`;
}

/** `docs/rules.md` as it is; empty when there is none. */
export function writtenPage(): string {
  try {
    return readFileSync(PAGE, "utf8");
  } catch {
    return "";
  }
}

/** Makes `docs/rules.md` what it ought to be. */
export function writePage(): void {
  writeFileSync(PAGE, rulesPage());
}

const HEAD = `# The rules, and the tests that name them

The session protocol is thirty rules, P1 to P30. This page says each in half a sentence and names its tests.
It is generated from their titles: \`UPDATE=1 node test/package/rules.ts\` writes it anew. A test fails when it is stale, or
when no test names a rule.
`;

function testFiles(): readonly string[] {
  return ["src", "test"]
    .flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((file) => `${folder}/${file}`),
    )
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => file.endsWith(".test.ts"))
    .toSorted();
}

function counted(tests: readonly Naming[]): string {
  return tests.length === 0 ? "none" : `${tests.length}`;
}

function listed(tests: readonly Naming[]): string {
  const files = [...new Set(tests.map(({ file }) => file))];
  if (files.length === 0) return "No test names it.";
  return files
    .map((file) => {
      const titles = tests.filter((test) => test.file === file).map(({ title }) => `  - ${escaped(title)}`);
      return `- [${file}](../${file})\n${titles.join("\n")}`;
    })
    .join("\n");
}

function escaped(title: string): string {
  return title.replaceAll(/\s+/g, " ").replaceAll(/[<>|*_]/g, "\\$&");
}

function sentence(text: string): string {
  return /^[a-z]/.test(text) ? `${text[0]?.toUpperCase()}${text.slice(1)}.` : `${text}.`;
}

if (import.meta.main) {
  if (process.env["UPDATE"] === "1") writePage();
  console.log(rulesPage());
}
