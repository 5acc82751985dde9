/**
 * The store contract: any string is a key and a subject, any text a value, and different ones are kept apart.
 *
 * @module
 */
import type { ListedRecord } from "../store/store.ts";
import { type Bench, equal, keysOf, sameRecord, sameTexts, type StoreCase, storeCase } from "./store-kit.ts";

const LONG = "x".repeat(2_000);

/** Texts that have been mistaken for something else: by file systems, query languages, protocols and objects. */
const ODD_TEXTS: Readonly<Record<string, readonly string[]>> = {
  "paths (.. and /)": [
    "..",
    ".",
    "/",
    "//",
    "",
    "a/..",
    "../a",
    "../../etc/passwd",
    "a/b/c",
    "a//b",
    "/a",
    "a/",
    "a",
    "a\\b",
  ],
  "names of files that mean something": ["CON", "nul", ".git", "~", "-rf", ".subjects", ".tmp", "a.b", "a:b", "a b"],
  "capital letters": ["Abc", "abc", "ABC", "aBC"],
  "spaces at the ends": ["s", " s", "s ", "s  ", "\ts", "s\n"],
  "quotes and query languages": ["'", '"', "`", "''", "' OR 1=1 --", "%", "_", "*", "?", "[a-z]", "$1", "{a}", ";"],
  "control characters, NUL among them": ["\0", "a\0", "a\0b", "a\u0001b", "\r\n", "a\r\nset b 0 0 1", "\u007f"],
  "names of objects": ["__proto__", "constructor", "toString", "hasOwnProperty", "null", "undefined", "0", "-1"],
  "letters of the world": ["é", "e\u0301", "ß", "ss", "日本語", "😀", "\u200b", "\ufeff", "ı", "i", "\u{10ffff}"],
  "halves of surrogate pairs": ["\ud800", "\ud801", "\udc00", "\ufffd", "a\ud83d", '"\\ud800"'],
  "two thousand characters": [LONG, `${LONG}y`, `${LONG.slice(1)}y`, `a/${LONG}`, `${LONG}/a`],
  "name/id shapes": ["user/1", "user/10", "use/r1", "user1", "user/1/", "user%2F1", "user:1", "USER/1"],
};

const KINDS = Object.entries(ODD_TEXTS);

async function keepsKeysApart(b: Bench, keys: readonly string[]): Promise<void> {
  const records = keys.map(() => b.record());
  for (const [i, key] of keys.entries()) {
    await b.delete(key);
    equal(await b.create(key, records[i]!), true, `create under ${JSON.stringify(key.slice(0, 40))}`);
  }
  for (const [i, key] of keys.entries()) sameRecord(await b.read(key), records[i]!, JSON.stringify(key.slice(0, 40)));
  for (const [i, key] of keys.entries()) {
    equal(await b.delete(key), true, `delete of ${JSON.stringify(key.slice(0, 40))}`);
    const next = keys[i + 1];
    if (next !== undefined) sameRecord(await b.read(next), records[i + 1]!, "the next one after that delete");
  }
}

async function keepsSubjectsApart(b: Bench, subjects: readonly string[]): Promise<void> {
  const all: ListedRecord[] = [];
  for (const subject of subjects) all.push(await b.stored({ subject }));
  for (const [i, { key, record }] of all.entries()) {
    sameRecord(await b.read(key), record, `the record of subject ${JSON.stringify(subjects[i]!.slice(0, 40))}`);
    if (b.store.listBySubject === undefined) continue;
    const keys = await keysOf(b.store.listBySubject(subjects[i]!, { now: b.now }));
    sameTexts(
      keys.filter((found) => all.some((made) => made.key === found)),
      [key],
      "the records of a subject",
    );
  }
  for (const { key } of all) equal(await b.delete(key), true, "delete");
}

const VALUES: Readonly<Record<string, string>> = {
  "that is empty": "",
  "of a megabyte": `{"text":"${"0123456789abcdef".repeat(65_536)}"}`,
  "with letters of the world": '{"é":"日本語 😀 \u{10ffff} e\u0301 \u2028 \ufeff"}',
  "with half of a surrogate pair": "a\ud800b\udc00",
  "with control characters": "\0\u0001\r\n\t\u007f",
  "that begins with a control character": '\u0001"a"',
  "with quotes and backslashes": "'\"`\\ \\u0000 %s $1 ${x}",
  "with line ends": "\n\n{}\r\n",
};

/** Cases about odd keys, subjects and values. */
export const textCases: readonly StoreCase[] = [
  ...KINDS.map(([kind, texts]) =>
    storeCase(`any string is a key, and different ones are kept apart: ${kind}`, async (b) => {
      await keepsKeysApart(b, texts);
      const [name, id] = [b.unique(), b.unique()];
      await keepsKeysApart(b, [...texts.map((text) => `${name}/${text}`), ...texts.map((text) => `${text}/${id}`)]);
    }),
  ),
  ...KINDS.map(([kind, texts]) =>
    storeCase(`any string is a subject, and different ones are kept apart: ${kind}`, async (b) => {
      await keepsSubjectsApart(b, texts);
      const name = b.unique();
      await keepsSubjectsApart(
        b,
        texts.map((text) => `${name}/${text}`),
      );
    }),
  ),
  ...Object.entries(VALUES).map(([kind, value]) =>
    storeCase(`any text is a value: one ${kind}`, async (b) => {
      const { key } = await b.stored({ value });
      equal((await b.existing(key)).value, value, "value after create");
      await b.update(key, b.record({ value: `${value}${value}` }), await b.existing(key));
      equal((await b.existing(key)).value, `${value}${value}`, "value after update");
    }),
  ),
];
