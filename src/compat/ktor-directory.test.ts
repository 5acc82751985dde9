import fc from "fast-check";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ktorDirectory } from "./ktor-directory.ts";
import { generateKtorId, ktorSessionPath } from "./ktor-id.ts";

const TEXT = '{"userId":"id2","cart":[]}';
/** What Ktor refuses as an id, and what some file system would read in its own way. */
const BAD_IDS = [
  "",
  "..",
  "a..b",
  "../x",
  "/etc/passwd",
  "a/b",
  "a\\b",
  "a!b",
  "a?b",
  "a>b",
  "a<b",
  "a\u0000b",
  "a:b",
  "a*b",
  "a|b",
  'a"b',
  "a b",
  "żółć",
  "a\nb",
  "a\n",
  "x".repeat(201),
];

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "coatcheck-ktor-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("where a session is", () => {
  test.each([
    ["id1", "id/1.dat"],
    ["777", "77/7.dat"],
    ["a", "a.dat"],
    ["ab", "ab.dat"],
    ["abcd", "ab/cd.dat"],
    ["custom-1000-TestB", "cu/st/om/-1/00/0-/Te/st/B.dat"],
    ["0123456789abcdef".repeat(4), `${"01/23/45/67/89/ab/cd/ef/".repeat(4).slice(0, -1)}.dat`],
  ])("%s: %s", (id, path) => expect(ktorSessionPath(id)?.join("/")).toBe(path));

  test.each(BAD_IDS)("%j is nowhere", (id) => expect(ktorSessionPath(id)).toBeNull());

  test("property: no id leads out of the directory", () => {
    const characters = fc.constantFrom(..."ab./\\~:%\u0000 -ż");
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: characters }), fc.string({ unit: "binary" })), (id) => {
        const path = ktorSessionPath(id);
        if (path === null) return;
        expect(join(root, ...path).startsWith(root + sep)).toBe(true);
        expect(join(root, ...path)).toBe([root, ...path].join(sep));
        expect(path.join("")).toBe(`${id}.dat`);
      }),
      { numRuns: 10_000 },
    );
  });
});

describe("ktorDirectory", () => {
  test("reads what a Ktor server has written", () => {
    mkdirSync(join(root, "id"));
    writeFileSync(join(root, "id/1.dat"), TEXT);
    expect(ktorDirectory(root).read("id1")).toBe(TEXT);
  });

  test("writes what a Ktor server reads: the text, in its place, and nothing else", () => {
    const id = generateKtorId();
    const directory = ktorDirectory(root);
    directory.write(id, TEXT);
    expect(readFileSync(join(root, ...(id.match(/../g) ?? [])) + ".dat", "utf8")).toBe(TEXT);
    expect(directory.read(id)).toBe(TEXT);
    expect(files()).toHaveLength(1);
  });

  test("a shorter text leaves no tail, and no draft stays", () => {
    const directory = ktorDirectory(root);
    directory.write("id1", TEXT.repeat(10));
    directory.write("id1", "{}");
    expect(directory.read("id1")).toBe("{}");
    expect(files()).toEqual(["id/1.dat"]);
  });

  test("what is not there is null, and looking for it makes nothing", () => {
    const directory = ktorDirectory(join(root, "new"));
    expect(directory.read(generateKtorId())).toBeNull();
    expect(directory.delete(generateKtorId())).toBe(false);
    expect([...directory.ids()]).toEqual([]);
    expect(existsSync(join(root, "new"))).toBe(false);
  });

  test("an empty file, and one that is not UTF-8, is null", () => {
    mkdirSync(join(root, "id"));
    writeFileSync(join(root, "id/1.dat"), "");
    writeFileSync(join(root, "id/2.dat"), Uint8Array.of(0xff, 0xfe));
    expect(ktorDirectory(root).read("id1")).toBeNull();
    expect(ktorDirectory(root).read("id2")).toBeNull();
  });

  test.each(BAD_IDS)("the id %j reads nothing, deletes nothing, and cannot be written", (id) => {
    writeFileSync(join(root, "x.dat"), "secret");
    const directory = ktorDirectory(join(root, "sessions"));
    expect(directory.read(id)).toBeNull();
    expect(directory.delete(id)).toBe(false);
    expect(() => directory.write(id, TEXT)).toThrow(TypeError);
    expect(files()).toEqual(["x.dat"]);
  });

  test("an id below another one's file is not there", () => {
    const directory = ktorDirectory(root);
    directory.write("ab", TEXT);
    expect(directory.read("ab.dat")).toBeNull();
    expect(directory.read("ab.datx")).toBeNull();
    directory.write("abcd", "{}");
    expect(directory.read("ab")).toBe(TEXT);
    expect(directory.read("abcd")).toBe("{}");
  });

  test("an empty text, which Ktor cannot read, is a TypeError", () => {
    expect(() => ktorDirectory(root).write("id1", "")).toThrow(TypeError);
    expect(() => ktorDirectory(root).write("id1", undefined as never)).toThrow(TypeError);
  });

  test("delete() takes the empty directories along, and stops at one that is used and at the root", () => {
    const directory = ktorDirectory(root);
    directory.write("aabbcc", TEXT);
    directory.write("aabbdd", TEXT);
    expect(directory.delete("aabbcc")).toBe(true);
    expect(files()).toEqual(["aa/bb/dd.dat"]);
    expect(directory.delete("aabbdd")).toBe(true);
    expect(directory.delete("aabbdd")).toBe(false);
    expect(readdirSync(root)).toEqual([]);
  });

  test("files and directories are for their owner only", () => {
    ktorDirectory(root).write("id1", TEXT);
    expect(statSync(join(root, "id/1.dat")).mode & 0o777).toBe(0o600);
    expect(statSync(join(root, "id")).mode & 0o777).toBe(0o700);
  });

  test("a symbolic link in the place of a session is an error, and is not followed", () => {
    writeFileSync(join(root, "secret"), "secret");
    mkdirSync(join(root, "s", "id"), { recursive: true });
    symlinkSync(join(root, "secret"), join(root, "s/id/1.dat"));
    expect(() => ktorDirectory(join(root, "s")).read("id1")).toThrow(/ELOOP|EMLINK/);
    ktorDirectory(join(root, "s")).write("id1", TEXT);
    expect(readFileSync(join(root, "secret"), "utf8")).toBe("secret");
    expect(ktorDirectory(join(root, "s")).read("id1")).toBe(TEXT);
  });

  test("ids() finds every session, and nothing that is none", () => {
    const directory = ktorDirectory(root);
    const ids = ["777", "id1", "abcd", "ab", ...Array.from({ length: 20 }, generateKtorId)];
    for (const id of ids) directory.write(id, TEXT);
    writeFileSync(join(root, "notes.txt"), "x");
    writeFileSync(join(root, "README.dat"), "x");
    writeFileSync(join(root, "id/1.dat.0123456789abcdef.tmp"), "x");
    mkdirSync(join(root, "lost+found"));
    writeFileSync(join(root, "lost+found/ab.dat"), "x");
    expect([...directory.ids()].toSorted()).toEqual(ids.toSorted());
  });

  test("path must be that of a directory", () => {
    writeFileSync(join(root, "file"), "");
    for (const path of ["", 7, undefined, join(root, "file")]) {
      expect(() => ktorDirectory(path as never)).toThrow(/^path must be/);
    }
  });
});

function files(): readonly string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(root.length + 1)
        .replaceAll(sep, "/"),
    )
    .toSorted();
}
