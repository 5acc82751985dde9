import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { fakeClock } from "../testing/fake-clock.ts";
import { storeCases } from "../testing/store-cases.ts";
import { type Disk, machineDisk } from "./directory-disk.ts";
import { pathsIn } from "./directory-path.ts";
import { type DirectoryStore, type DirectoryStoreOptions, directoryStore } from "./directory.ts";
import { EXPIRED_FOR, type ListedRecord, type StoredRecord } from "./store.ts";

const home = mkdtempSync(join(tmpdir(), "coatcheck-directory-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

let made = 0;
const newRoot = (): string => join(home, `r${++made}`);

const NOW = Date.now();
const call = { now: NOW };
const record = (fields: Partial<StoredRecord> = {}): StoredRecord => ({
  version: `v${++made}`,
  expiresAt: NOW + 60_000,
  value: '{"a":1}',
  ...fields,
});

interface World {
  readonly root: string;
  readonly store: DirectoryStore;
}

function world(options: DirectoryStoreOptions = {}): World {
  const root = newRoot();
  return { root, store: directoryStore(root, { sweepInterval: false, ...options }) };
}

/** Everything under a directory, as paths from there. */
const tree = (root: string): string[] => readdirSync(root, { recursive: true }).map(String).toSorted();

/** The directory of a session, on a file system that keeps capital letters apart. */
const sessionDirectory = (root: string, key: string): string => pathsIn(root, true).session(key);
const versionsOf = (root: string, key: string): string[] => readdirSync(sessionDirectory(root, key)).toSorted();

async function keysOf(listing: AsyncIterable<ListedRecord>): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of listing) keys.push(key);
  return keys.toSorted();
}

async function keysIn(store: DirectoryStore): Promise<readonly string[]> {
  const { records, cursor } = await store.list("", { limit: 1_000 }, call);
  expect(cursor).toBeUndefined();
  return records.map(({ key }) => key).toSorted();
}

const read = (store: DirectoryStore, key: string, now = NOW): StoredRecord | undefined =>
  store.read(key, { now }) as StoredRecord | undefined;

/** A disk that calls `before` ahead of every step. */
function stepping(before: (step: keyof Disk, path: string) => void): Disk {
  const disk = machineDisk(false);
  const wrapped = Object.entries(disk).map(([name, act]) => [
    name,
    (...given: unknown[]) => {
      before(name as keyof Disk, String(given.at(-1)));
      return (act as (...values: unknown[]) => unknown)(...given);
    },
  ]);
  return Object.fromEntries(wrapped) as Disk;
}

/** A store that, once, lets somebody else work before the given step. */
function interrupted(root: string, step: keyof Disk, intrude: () => void): DirectoryStore {
  let isArmed = false;
  const disk = stepping((name) => {
    if (!isArmed || name !== step) return;
    isArmed = false;
    intrude();
  });
  const store = directoryStore(root, { sweepInterval: false, disk });
  isArmed = true;
  return store;
}

describe("directoryStore keeps the store contract:", () => {
  for (const { name, run } of storeCases) test(name, () => run(() => directoryStore(newRoot())));
});

describe("directoryStore with a cache keeps the store contract:", () => {
  const make = (): DirectoryStore => directoryStore(newRoot(), { cache: 100, cacheMaxAge: 60 });
  for (const { name, run } of storeCases) test(name, () => run(make));
});

describe("directoryStore with fsync keeps the store contract, verb by verb:", () => {
  const make = (): DirectoryStore => directoryStore(newRoot(), { fsync: true });
  for (const { name, run } of storeCases) {
    if (/^(create|read|update|touch|delete|listBySubject|deleteExpired)\b/.test(name)) test(name, () => run(make));
  }
});

describe("directoryStore on a file system that takes capital letters for small ones keeps the store contract:", () => {
  const folding = (): Disk => {
    const disk = machineDisk(false);
    const modifiedAt = (path: string): number | undefined => disk.modifiedAt(path.replace("PROBE-", "probe-"));
    return { ...disk, modifiedAt };
  };
  for (const { name, run } of storeCases) {
    if (!name.includes("capital letters")) continue;
    test(name, () => run(() => directoryStore(newRoot(), { disk: folding() })));
  }

  test("no name in it has a capital letter", () => {
    const { root, store } = world({ disk: folding() });
    store.create("User/AbC", record({ subject: "User/ME" }), call);
    const names = tree(root).filter((path) => !basename(path).startsWith("."));
    expect(names.filter((path) => !path.startsWith(".") && path !== path.toLowerCase())).toEqual([]);
  });
});

describe("directoryStore on disk", () => {
  test("keeps a session in a small directory of its own, name and id being readable", () => {
    const { root, store } = world();
    store.create("user/abcdefghijklmnopqrstuv", record(), call);
    const [number] = versionsOf(root, "user/abcdefghijklmnopqrstuv");
    expect(tree(root)).toEqual([
      ".drafts",
      "user",
      "user/tu",
      "user/tu/abcdefghijklmnopqrstuv",
      `user/tu/abcdefghijklmnopqrstuv/${number}`,
    ]);
    expect(number).toMatch(/^\d{16}$/);
  });

  test("makes directories for the owner only, and files too, whatever the umask", () => {
    const before = process.umask(0);
    try {
      const { root, store } = world();
      store.create("user/id", record({ subject: "user/me" }), call);
      store.update("user/id", record({ subject: "user/you" }), read(store, "user/id")!, call);
      store.delete("user/gone", call);
      for (const path of [".", ...tree(root)]) {
        const found = statSync(join(root, path));
        expect([path, found.mode & 0o777]).toEqual([path, found.isDirectory() ? 0o700 : 0o600]);
      }
    } finally {
      process.umask(before);
    }
  });

  test("makes no path from what it is given: every odd key and subject ends up under the root", () => {
    const { root, store } = world();
    const odd = [
      "../../../x",
      "..",
      "/etc/passwd",
      "a/../../b",
      "~",
      ".drafts/x",
      ".subjects",
      "x/.subjects/y",
      "a\0b",
      "",
    ];
    for (const key of odd) expect(store.create(key, record({ subject: key }), call)).toBe(true);
    for (const path of tree(root)) {
      for (const segment of path.split("/")) expect(segment).toMatch(/^(\.drafts|\.subjects|~{0,2}[\w-]{0,100})$/);
    }
    expect(existsSync(join(home, "x"))).toBe(false);
  });

  test("keeps two files of a session at most, however often it is written", () => {
    const { root, store } = world();
    store.create("n/id", record(), call);
    const first = Number(versionsOf(root, "n/id")[0]);
    for (let i = 1; i <= 50; i++) {
      expect(store.update("n/id", record(), read(store, "n/id")!, call)).toBe("ok");
      expect(versionsOf(root, "n/id")).toEqual([String(first + i - 1), String(first + i)]);
    }
    store.touch("n/id", NOW + 90_000, call);
    expect(versionsOf(root, "n/id")).toEqual([String(first + 50), String(first + 51)]);
  });

  test("P29: leaves a tombstone where a session was deleted, and creates over it under the next number", () => {
    const { root, store } = world();
    store.create("n/id", record(), call);
    const first = Number(versionsOf(root, "n/id")[0]);
    store.delete("n/id", call);
    expect(versionsOf(root, "n/id")).toEqual([String(first), String(first + 1)]);
    expect(readFileSync(join(sessionDirectory(root, "n/id"), String(first + 1)), "utf8")).toContain('"deleted":true');
    store.create("n/id", record(), call);
    expect(versionsOf(root, "n/id")).toEqual([String(first + 1), String(first + 2)]);
  });

  test("writes nothing for what changes nothing", () => {
    const { root, store } = world();
    store.create("n/id", record(), call);
    const before = tree(root);
    store.touch("n/id", NOW + 1, call);
    store.update("n/id", record(), record(), call);
    store.create("n/id", record({ subject: "s" }), call);
    store.touch("n/other", NOW, call);
    store.update("n/other", record({ subject: "s" }), record(), call);
    store.delete("n/other", call);
    expect(tree(root)).toEqual(before);
  });

  test("takes an end that is not a whole number, and one that never comes", () => {
    const { store } = world();
    for (const expiresAt of [NOW + 1_980_000.0000000002, Infinity]) {
      const key = `n/${expiresAt}`;
      store.create(key, record({ expiresAt }), call);
      expect(read(store, key)?.expiresAt).toBe(expiresAt);
    }
    expect(store.touch(`n/${Infinity}`, NOW + 1, call)).toBe(true);
    expect(read(store, `n/${Infinity}`)?.expiresAt).toBe(Infinity);
  });

  test("two stores on one directory see what the other one does", () => {
    const { root, store } = world();
    const other = directoryStore(root);
    store.create("n/id", record({ value: "1" }), call);
    const base = read(store, "n/id")!;
    expect(other.update("n/id", record({ value: "2" }), read(other, "n/id")!, call)).toBe("ok");
    expect(store.update("n/id", record(), base, call)).toBe("conflict");
    expect(read(store, "n/id")?.value).toBe("2");
    expect(other.delete("n/id", call)).toBe(true);
    expect(store.touch("n/id", NOW + 90_000, call)).toBe(false);
    other.close();
  });

  test("finds its sessions again after the working directory has changed", () => {
    const before = process.cwd();
    const root = newRoot();
    mkdirSync(root);
    try {
      process.chdir(root);
      const store = directoryStore("sessions");
      store.create("n/id", record(), call);
      process.chdir(home);
      expect(read(store, "n/id")).toBeDefined();
    } finally {
      process.chdir(before);
    }
  });
});

describe("directoryStore refuses", () => {
  test.each([
    ["path", "", {}],
    ["cache", "x", { cache: -1 }],
    ["cache", "x", { cache: 1.5 }],
    ["cacheMaxAge", "x", { cacheMaxAge: 0 }],
    ["tombstoneAge", "x", { tombstoneAge: "soon" as "1s" }],
    ["sweepInterval", "x", { sweepInterval: 0 }],
    ["fsync", "x", { fsync: "yes" as unknown as boolean }],
  ])("a bad %s by name (%j, %j)", (option, path, options) => {
    const make = (): unknown => directoryStore(path === "" ? path : newRoot(), options);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(option);
  });

  test("a path where no directory can be", () => {
    const file = newRoot();
    writeFileSync(file, "");
    expect(() => directoryStore(join(file, "sessions"))).toThrow(/ENOTDIR|EEXIST/);
  });

  test("a file system without hard links, at construction, and leaves nothing there", () => {
    const root = newRoot();
    const failing = stepping((step) => {
      if (step === "link") throw Object.assign(new Error("EPERM: operation not permitted"), { code: "EPERM" });
    });
    expect(() => directoryStore(root, { disk: failing })).toThrow(/hard links/);
    expect(tree(root)).toEqual([".drafts"]);
  });

  test("a file system whose hard links replace what is there", () => {
    const disk: Disk = { ...machineDisk(false), link: () => "ok" };
    expect(() => directoryStore(newRoot(), { disk })).toThrow(/does not keep hard links/);
  });

  test("a directory that it may not write, at construction", () => {
    const root = newRoot();
    mkdirSync(root, { mode: 0o555 });
    chmodSync(home, 0o755);
    const store = JSON.stringify(new URL("./directory.ts", import.meta.url).href);
    const script = `
      import { directoryStore } from ${store};
      try { directoryStore(${JSON.stringify(join(root, "sessions"))}); } catch (error) { console.log(error.code); }
    `;
    // Whoever may do everything has to become somebody else first.
    const somebody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    const given = ["--input-type=module", "-e", script];
    const output = execFileSync(process.execPath, given, {
      ...somebody,
      env: { ...process.env, NODE_OPTIONS: "" },
      encoding: "utf8",
    });
    expect(output.trim()).toBe("EACCES");
  });

  test.each(["open", "list", "read", "write", "link"] as const)(
    "to take a failing disk (%s) for an absent session",
    (step) => {
      const root = newRoot();
      directoryStore(root).create("n/id", record(), call);
      let isDown = false;
      const disk = stepping((name) => {
        if (isDown && name === step) throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
      });
      const store = directoryStore(root, { disk });
      isDown = true;
      if (step === "list" || step === "read") expect(() => read(store, "n/id")).toThrow("EIO");
      expect(() => store.delete("n/id", call)).toThrow("EIO");
      expect(() => store.touch("n/id", NOW + 90_000, call)).toThrow("EIO");
      isDown = false;
      expect(read(store, "n/id")?.expiresAt).toBe(NOW + 60_000);
      expect(versionsOf(root, "n/id")).toHaveLength(1);
    },
  );
});

describe("directoryStore and symbolic links:", () => {
  test("a session directory that is one is refused by every verb, and what it points to stays as it is", () => {
    const { root, store } = world();
    store.create("n/real", record(), call);
    const target = join(newRoot());
    cpSync(sessionDirectory(root, "n/real"), target, { recursive: true });
    const link = sessionDirectory(root, "n/link");
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(target, link);
    const before = tree(target);
    for (const act of [
      () => store.create("n/link", record(), call),
      () => read(store, "n/link"),
      () => store.update("n/link", record(), record(), call),
      () => store.touch("n/link", NOW, call),
      () => store.delete("n/link", call),
    ]) {
      expect(act).toThrow(/symbolic link/);
    }
    expect(tree(target)).toEqual(before);
  });

  test("a version that is one is no version", () => {
    const { root, store } = world();
    store.create("n/id", record({ value: "mine" }), call);
    const secret = newRoot();
    writeFileSync(secret, "secret");
    const [number] = versionsOf(root, "n/id");
    symlinkSync(secret, join(sessionDirectory(root, "n/id"), String(Number(number) + 5)));
    expect(read(store, "n/id")?.value).toBe("mine");
    expect(store.update("n/id", record(), read(store, "n/id")!, call)).toBe("ok");
    expect(readFileSync(secret, "utf8")).toBe("secret");
  });

  test("a version that becomes one between list and read is not followed", () => {
    const { root, store } = world();
    store.create("n/id", record(), call);
    const secret = newRoot();
    writeFileSync(secret, "secret");
    const version = join(sessionDirectory(root, "n/id"), versionsOf(root, "n/id")[0]!);
    const reader = interrupted(root, "read", () => {
      rmSync(version);
      symlinkSync(secret, version);
    });
    expect(() => read(reader, "n/id")).toThrow(/ELOOP|EMLINK/);
  });

  test("listings and sweeps go past them", async () => {
    const { root, store } = world();
    store.create("n/id", record(), call);
    const elsewhere = newRoot();
    cpSync(root, elsewhere, { recursive: true });
    symlinkSync(join(elsewhere, "n"), join(root, "other"));
    symlinkSync(sessionDirectory(elsewhere, "n/id"), join(dirname(sessionDirectory(root, "n/id")), "link"));
    expect(await keysIn(store)).toEqual(["n/id"]);
    const late = { now: NOW + 60_000 + EXPIRED_FOR + 1 };
    expect(await store.deleteExpired(10, late)).toBe(1);
    expect(read(directoryStore(elsewhere), "n/id")).toBeDefined();
  });

  test("the root itself may be one", () => {
    const { root, store } = world();
    store.create("n/id", record(), call);
    const link = newRoot();
    symlinkSync(root, link);
    expect(read(directoryStore(link), "n/id")).toBeDefined();
  });
});

describe("directoryStore and files that it did not write:", () => {
  const GARBAGE = {
    "an empty file": "",
    "something else": "hello",
    "half a head": '{"coatcheck":1,"key":"n/id","ver',
    "JSON that is no head": '[1,2]\n{"a":1}',
    "a head of a later format": '{"coatcheck":2,"key":"n/id","version":"1","expiresAt":9e15,"length":2}\n{}',
    "a head without an end": '{"coatcheck":1,"key":"n/id","version":"1","length":2}\n{}',
    "a value of another length": `{"coatcheck":1,"key":"n/id","version":"1","expiresAt":${NOW + 60_000},"length":3}\n{}`,
    "the record of another key": `{"coatcheck":1,"key":"n/other","version":"1","expiresAt":${NOW + 60_000},"length":2}\n{}`,
  } as const;

  const withFile = (text: string | Buffer): World => {
    const { root, store } = world();
    mkdirSync(sessionDirectory(root, "n/id"), { recursive: true });
    writeFileSync(join(sessionDirectory(root, "n/id"), "7"), text);
    return { root, store };
  };

  test.each(Object.entries(GARBAGE))("%s comes back as value, and can be replaced and deleted", (_, text) => {
    const { store } = withFile(text);
    const found = read(store, "n/id")!;
    expect(found.value).toBe(text);
    expect(found.expiresAt).toBeGreaterThan(NOW);
    expect(store.create("n/id", record(), call)).toBe(false);
    expect(store.update("n/id", record(), record(), call)).toBe("conflict");
    expect(store.touch("n/id", NOW + 2 * 86_400_000, call)).toBe(true);
    expect(read(store, "n/id")?.value).toBe(text);
    const next = record();
    expect(store.update("n/id", next, found, call)).toBe("ok");
    expect(read(store, "n/id")).toEqual(next);
    const second = withFile(text).store;
    expect(second.delete("n/id", call)).toBe(true);
    expect(read(second, "n/id")).toBeUndefined();
  });

  test("bytes that are no UTF-8 come back as some value", () => {
    const { store } = withFile(Buffer.from([0xff, 0xfe, 0x00, 0x80]));
    expect(read(store, "n/id")?.value).toBeTypeOf("string");
  });

  test("a truncated file is not taken for a record, wherever it was cut", () => {
    const { root, store } = world();
    store.create("n/id", record({ subject: "s" }), call);
    const file = join(sessionDirectory(root, "n/id"), versionsOf(root, "n/id")[0]!);
    for (let size = statSync(file).size - 1; size >= 0; size -= 3) {
      truncateSync(file, size);
      expect(read(store, "n/id")?.version).toMatch(/^unreadable-/);
    }
  });

  test("an older version is never gone back to", () => {
    const { root, store } = world();
    store.create("n/id", record({ value: "old" }), call);
    store.delete("n/id", call);
    const newest = join(sessionDirectory(root, "n/id"), versionsOf(root, "n/id").at(-1)!);
    truncateSync(newest, 0);
    expect(read(store, "n/id")?.value).toBe("");
  });

  test("names that are no numbers are nothing: directories, leading zeros, other words", () => {
    const { root, store } = world();
    store.create("n/id", record({ value: "mine" }), call);
    const directory = sessionDirectory(root, "n/id");
    for (const name of ["0", "007", "9e15", "99999999999999999", "-1", "readme", "1793180000000000.bak"]) {
      writeFileSync(join(directory, name), "");
    }
    mkdirSync(join(directory, "9000000000000000"));
    expect(read(store, "n/id")?.value).toBe("mine");
    expect(store.update("n/id", record(), read(store, "n/id")!, call)).toBe("ok");
  });

  test("a file in the place of a session directory is an error, and no session", () => {
    const { root, store } = world();
    store.create("n/xx", record(), call);
    const directory = sessionDirectory(root, "n/idid");
    mkdirSync(dirname(directory), { recursive: true });
    writeFileSync(directory, "");
    expect(() => read(store, "n/idid")).toThrow(/not a directory/);
  });

  test("listings leave them out, and copies that were made beside the original", async () => {
    const { root, store } = withFile("hello");
    store.create("n/good", record(), call);
    const directory = sessionDirectory(root, "n/good");
    cpSync(directory, `${directory}-copy`, { recursive: true });
    expect(await keysIn(store)).toEqual(["n/good"]);
    expect(await store.count("n/", call)).toBe(1);
  });
});

describe("directoryStore and backups:", () => {
  const full = (): World => {
    const found = world();
    found.store.create("n/id", record({ subject: "s" }), call);
    found.store.touch("n/id", NOW + 3_600_000, call);
    return found;
  };

  test("a copy with new times logs nobody out, and lets nobody live longer", async () => {
    const { root } = full();
    const copy = newRoot();
    cpSync(root, copy, { recursive: true });
    for (const path of tree(copy)) utimesSync(join(copy, path), 1, 1);
    const store = directoryStore(copy);
    expect(read(store, "n/id", NOW + 3_599_999)).toBeDefined();
    expect(read(store, "n/id", NOW + 3_600_000)).toBeUndefined();
    expect(await keysOf(store.listBySubject("s", call))).toEqual(["n/id"]);
  });

  test("a copy that was made between two steps has one version or the other, and can be written", () => {
    const { root, store } = full();
    const copies: string[] = [];
    const disk = stepping(() => {
      const copy = newRoot();
      cpSync(root, copy, { recursive: true });
      copies.push(copy);
    });
    const slow = directoryStore(root, { disk });
    const [before, after] = [read(store, "n/id")!, record()];
    expect(slow.update("n/id", after, before, call)).toBe("ok");
    const versions = copies.map((copy) => {
      const restored = directoryStore(copy);
      const found = read(restored, "n/id")!;
      expect(restored.update("n/id", record(), found, call)).toBe("ok");
      return found.version;
    });
    expect(new Set(versions)).toEqual(new Set([before.version, after.version]));
  });
});

describe("directoryStore lets writers meet:", () => {
  test("P29: one that was overtaken by five writes, and their tidying, conflicts and writes nothing", () => {
    const { root, store } = world();
    store.create("n/id", record(), call);
    const base = read(store, "n/id")!;
    const slow = interrupted(root, "link", () => {
      for (let i = 0; i < 5; i++) store.update("n/id", record({ value: `${i}` }), read(store, "n/id")!, call);
    });
    expect(slow.update("n/id", record({ value: "late" }), base, call)).toBe("conflict");
    expect(read(store, "n/id")?.value).toBe("4");
    expect(versionsOf(root, "n/id")).toHaveLength(2);
    expect(readdirSync(sessionDirectory(root, "n/id")).join()).not.toContain(".");
  });

  test("one that was overtaken by a delete, the sweep and a new session does not touch that one", async () => {
    const { root, store } = world();
    store.create("n/id", record(), call);
    const base = read(store, "n/id")!;
    const next = record({ value: "new" });
    const slow = interrupted(root, "link", () => {
      store.delete("n/id", call);
      rmSync(sessionDirectory(root, "n/id"), { recursive: true });
      store.create("n/id", next, call);
    });
    expect(slow.update("n/id", record({ value: "late" }), base, call)).toBe("conflict");
    expect(read(store, "n/id")).toEqual(next);
  });

  test("one whose intent was swept tries again, and loses nothing", () => {
    const { root, store } = world();
    store.create("n/id", record(), call);
    const directory = sessionDirectory(root, "n/id");
    const slow = interrupted(root, "link", () => {
      for (const name of readdirSync(directory)) if (name.startsWith(".")) rmSync(join(directory, name));
    });
    expect(slow.update("n/id", record({ value: "kept" }), read(store, "n/id")!, call)).toBe("ok");
    expect(read(store, "n/id")?.value).toBe("kept");
  });

  test("P27: a touch in between is no conflict, and an update in between does not lose the touch", () => {
    const { root, store } = world();
    store.create("n/id", record(), call);
    const base = read(store, "n/id")!;
    const updating = interrupted(root, "link", () => void store.touch("n/id", NOW + 90_000, call));
    expect(updating.update("n/id", record({ value: "new" }), base, call)).toBe("ok");
    const touching = interrupted(root, "link", () => {
      store.update("n/id", record({ value: "newer" }), read(store, "n/id")!, call);
    });
    expect(touching.touch("n/id", NOW + 120_000, call)).toBe(true);
    expect(read(store, "n/id")).toMatchObject({ value: "newer", expiresAt: NOW + 120_000 });
  });

  test("a touch that was stopped for long does not shorten what others have made longer", () => {
    const { root, store } = world();
    store.create("n/id", record(), call);
    for (const step of ["open", "list", "read", "write", "link"] as const) {
      const key = `n/${step}`;
      store.create(key, record(), call);
      const slow = interrupted(root, step, () => void store.touch(key, NOW + 3_600_000, call));
      expect(slow.touch(key, NOW + 90_000, call)).toBe(true);
      expect(read(store, key)?.expiresAt).toBe(NOW + 3_600_000);
    }
  });

  test("a version that was linked by somebody who died right then is the record", () => {
    const { root, store } = world();
    store.create("n/id", record(), call);
    const base = read(store, "n/id")!;
    let isArmed = false;
    let isDead = false;
    const disk = stepping(() => {
      if (isDead) throw new Error("killed");
    });
    const link: Disk["link"] = (from, to) => {
      const outcome = disk.link(from, to);
      isDead = isArmed;
      return outcome;
    };
    const dying = directoryStore(root, { disk: { ...disk, link } });
    isArmed = true;
    expect(() => dying.update("n/id", record({ value: "written" }), base, call)).toThrow("killed");
    expect(readdirSync(sessionDirectory(root, "n/id")).filter((name) => name.startsWith("."))).toHaveLength(1);
    expect(read(store, "n/id")?.value).toBe("written");
    store.touch("n/id", NOW + 90_000, call);
    expect(readdirSync(sessionDirectory(root, "n/id"))).toHaveLength(2);
  });

  test("a writer that is outrun for ever gives up with an error", () => {
    const { root, store } = world();
    store.create("n/id", record(), call);
    let isArmed = false;
    const disk = stepping((step) => {
      if (!isArmed || step !== "link") return;
      isArmed = false;
      store.touch("n/id", (read(store, "n/id")?.expiresAt ?? 0) + 1, call);
      isArmed = true;
    });
    const slow = directoryStore(root, { disk });
    isArmed = true;
    expect(() => slow.delete("n/id", call)).toThrow(/gave up/);
    expect(read(store, "n/id")).toBeDefined();
  });
});

describe("directoryStore's subject index", () => {
  const subjectTree = (root: string): string[] => tree(root).filter((path) => path.includes(".subjects/"));

  test("has a member for each session of a subject, and nothing is left of it in the end", () => {
    const { root, store } = world();
    store.create("n/a", record({ subject: "n/me" }), call);
    store.create("n/b", record({ subject: "n/me" }), call);
    expect(subjectTree(root)).toHaveLength(3);
    store.update("n/a", record({ subject: "n/you" }), read(store, "n/a")!, call);
    expect(subjectTree(root)).toHaveLength(4);
    store.delete("n/a", call);
    store.update("n/b", record(), read(store, "n/b")!, call);
    expect(subjectTree(root)).toEqual([]);
  });

  test("P28: says too much rather than too little: a writer that dies in between leaves a member without a record", async () => {
    const clock = fakeClock(Date.now());
    const { root, store } = world({ clock });
    let isDead = false;
    const dying = directoryStore(root, {
      disk: stepping((step) => {
        isDead ||= step === "moveDirectory";
        if (isDead) throw new Error("killed");
      }),
    });
    expect(() => dying.create("n/id", record({ subject: "s" }), call)).toThrow("killed");
    expect(subjectTree(root)).toHaveLength(2);
    expect(await keysOf(store.listBySubject("s", call))).toEqual([]);
    expect(subjectTree(root)).toHaveLength(2);
    clock.advance(61_000);
    expect(await keysOf(store.listBySubject("s", call))).toEqual([]);
    expect(subjectTree(root)).toEqual([]);
  });

  test("P28: does not prune a member whose record has only expired", async () => {
    const clock = fakeClock(Date.now());
    const { root, store } = world({ clock });
    store.create("n/id", record({ subject: "s" }), call);
    clock.advance(61_000);
    expect(await keysOf(store.listBySubject("s", { now: NOW + 60_000 }))).toEqual([]);
    expect(subjectTree(root)).toHaveLength(2);
    expect(await keysOf(store.listBySubject("s", call))).toEqual(["n/id"]);
  });

  test("goes past members that cannot be read", async () => {
    const { root, store } = world();
    store.create("n/id", record({ subject: "s" }), call);
    const directory = dirname(join(root, subjectTree(root).at(-1)!));
    writeFileSync(join(directory, "half"), '"n/');
    writeFileSync(join(directory, "number"), "7");
    expect(await keysOf(store.listBySubject("s", call))).toEqual(["n/id"]);
  });

  test("P28: is never short of a session, wherever one writer stands still while another one works", async () => {
    const [A, B] = ["n/a", "n/b"];
    const free = { ...call };
    const late = { now: NOW + 60_000 };
    const subject = (name: string): StoredRecord => record({ subject: name, expiresAt: NOW + 600_000 });
    type Act = (store: DirectoryStore) => unknown;
    const ACTS: readonly Act[] = [
      (store) => store.create("n/id", subject(A), late),
      (store) => store.create("n/id", subject(B), late),
      (store) => store.delete("n/id", free),
      (store) => store.update("n/id", subject(A), read(store, "n/id") ?? record(), free),
      (store) => store.update("n/id", subject(B), read(store, "n/id") ?? record(), free),
      (store) => store.update("n/id", record(), read(store, "n/id") ?? record(), free),
    ];
    const BEGINNINGS: readonly (readonly Act[])[] = [
      [],
      [(store) => store.create("n/id", record({ subject: A }), free)],
      [(store) => store.create("n/id", record({ subject: A }), free), (store) => store.delete("n/id", free)],
    ];
    for (const beginning of BEGINNINGS) {
      for (const one of ACTS) {
        for (const two of ACTS) {
          for (let at = 0, more = true; more; at++) {
            const { root, store } = world();
            for (const act of beginning) act(store);
            let steps = 0;
            const disk = stepping(() => {
              if (++steps === at) two(store);
            });
            const slow = directoryStore(root, { disk, sweepInterval: false });
            steps = 0;
            one(slow);
            more = steps >= at;
            const found = read(store, "n/id");
            for (const name of [A, B]) {
              const expected = found?.subject === name ? ["n/id"] : [];
              expect(await keysOf(store.listBySubject(name, free))).toEqual(expected);
            }
            rmSync(root, { recursive: true });
          }
        }
      }
    }
  }, 90_000);
});

describe("directoryStore sweeps", () => {
  const OLD = 2 * 3_600_000;

  test("P1: expired sessions whole, five minutes after their end, with their subjects, and tells how many", async () => {
    const { root, store } = world();
    for (const id of ["a", "b", "c"]) store.create(`n/${id}${id}${id}`, record({ subject: "s" }), call);
    store.create("n/lives", record({ expiresAt: NOW + 3_600_000 }), call);
    const late = { now: NOW + 60_000 + EXPIRED_FOR + 1 };
    expect(await store.deleteExpired(2, late)).toBe(2);
    expect(await store.deleteExpired(2, late)).toBe(1);
    expect(await store.deleteExpired(2, late)).toBe(0);
    expect(tree(root).filter((path) => /\d{16}$/.test(path))).toHaveLength(1);
    expect(tree(root).filter((path) => path.includes(".subjects/"))).toEqual([]);
  });

  test("P29: tombstones when they are older than any request, and does not count them", async () => {
    const clock = fakeClock(Date.now());
    const { root, store } = world({ clock, tombstoneAge: "10m" });
    store.create("n/id", record(), call);
    store.delete("n/id", call);
    clock.advance(599_000);
    expect(await store.deleteExpired(10, call)).toBe(0);
    expect(versionsOf(root, "n/id")).toHaveLength(2);
    clock.advance(10_000);
    expect(await store.deleteExpired(10, call)).toBe(0);
    expect(existsSync(sessionDirectory(root, "n/id"))).toBe(false);
    expect(store.create("n/id", record(), call)).toBe(true);
  });

  test("drafts, intents and empty directories that dead writers left an hour ago", async () => {
    const clock = fakeClock(Date.now());
    const { root, store } = world({ clock });
    store.create("n/id", record(), call);
    const session = sessionDirectory(root, "n/id");
    const before = tree(root);
    writeFileSync(join(session, ".intent"), "half");
    mkdirSync(join(root, ".drafts", "draft"));
    writeFileSync(join(root, ".drafts", "draft", "1"), "half");
    writeFileSync(join(root, ".drafts", "member"), "");
    const empty = sessionDirectory(root, "n/empty");
    mkdirSync(empty, { recursive: true });
    writeFileSync(join(empty, ".intent"), "");
    const all = tree(root);
    await store.deleteExpired(10, call);
    expect(tree(root)).toEqual(all);
    clock.advance(OLD);
    await store.deleteExpired(10, call);
    const left = tree(root).filter((path) => !path.startsWith(`n/${basename(dirname(empty))}`));
    expect(left).toEqual(before);
    expect(existsSync(empty)).toBe(false);
  });

  test("a draft so that the one who made it, should he wake up, finds nothing to move into place", () => {
    const clock = fakeClock(Date.now());
    const { root, store } = world({ clock });
    const slow = interrupted(root, "moveDirectory", () => {
      clock.advance(OLD);
      void store.deleteExpired(10, call);
    });
    expect(slow.create("n/id", record(), call)).toBe(true);
    expect(read(store, "n/id")).toBeDefined();
  });

  test("files that nobody can read, after a month", async () => {
    const clock = fakeClock(Date.now());
    const { root, store } = world({ clock });
    const directory = sessionDirectory(root, "n/id");
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "7"), "hello");
    clock.advance(29 * 86_400_000);
    await store.deleteExpired(10, call);
    expect(read(store, "n/id")?.value).toBe("hello");
    clock.advance(2 * 86_400_000);
    expect(await store.deleteExpired(10, call)).toBe(0);
    expect(existsSync(directory)).toBe(false);
  });

  test("on from where it stopped, a shard at a time, and round", async () => {
    const { store } = world();
    const keys = Array.from({ length: 40 }, (_, i) => `n/${"abcdefghijklmnopqrst"[i % 20]}${i}0`);
    for (const key of keys) store.create(key, record(), call);
    const late = { now: NOW + 60_000 + EXPIRED_FOR + 1 };
    for (let left = 40; left > 0; left -= 4) {
      expect(await store.count("", call)).toBe(left);
      expect(await store.deleteExpired(4, late)).toBe(4);
    }
    store.create("n/0", record(), call);
    expect(await store.deleteExpired(4, late)).toBe(1);
  });

  test("by itself, from the first create on, until it is closed", async () => {
    const clock = fakeClock(NOW);
    const { root } = world();
    const store = directoryStore(root, { clock, sweepInterval: "1m" });
    expect(clock.waiting).toBe(0);
    store.create("n/id", record({ expiresAt: NOW + 1 }), call);
    expect(clock.waiting).toBe(1);
    await clock.advanceAsync(60_000);
    expect(read(store, "n/id", NOW)).toBeDefined();
    await clock.advanceAsync(EXPIRED_FOR + 1_000);
    expect(read(store, "n/id", NOW)).toBeUndefined();
    store.close();
    expect(clock.waiting).toBe(0);
  });

  test("a session that somebody deletes or renews in the middle of it, only if it is still over", async () => {
    const late = { now: NOW + 60_000 + EXPIRED_FOR + 1 };
    for (const step of ["list", "read", "open", "write", "link"] as const) {
      const { root, store } = world();
      store.create("n/id", record({ subject: "s" }), call);
      const next = record({ subject: "s", expiresAt: late.now + 60_000 });
      let isArmed = true;
      const disk = stepping((name, path) => {
        if (!isArmed || name !== step || (step !== "write" && !path.includes("/n/"))) return;
        isArmed = false;
        store.create("n/id", next, late);
      });
      const sweeper = directoryStore(root, { disk });
      isArmed = true;
      expect(await sweeper.deleteExpired(10, late)).toBe(0);
      expect(read(store, "n/id", late.now)).toEqual(next);
      expect(await keysOf(store.listBySubject("s", late))).toEqual(["n/id"]);
    }
  });
});

describe("directoryStore with a cache", () => {
  const cached = (options: DirectoryStoreOptions = {}) => {
    const clock = fakeClock(NOW);
    let steps = 0;
    const root = newRoot();
    const disk = stepping(() => steps++);
    const store = directoryStore(root, { clock, cache: 2, disk, sweepInterval: false, ...options });
    const other = directoryStore(root, { sweepInterval: false });
    const stepsOf = (act: () => unknown): number => {
      const before = steps;
      act();
      return steps - before;
    };
    return { clock, store, other, stepsOf };
  };

  test("says so, and only then", () => {
    expect(cached().store.cached).toBe(true);
    expect(world().store.cached).toBe(false);
    expect(world({ cache: 0 }).store.cached).toBe(false);
  });

  test("answers without the disk for a second, and then from it", () => {
    const { clock, store, other, stepsOf } = cached();
    store.create("n/id", record({ value: "1" }), call);
    expect(stepsOf(() => read(store, "n/id"))).toBeGreaterThan(0);
    expect(stepsOf(() => read(store, "n/id"))).toBe(0);
    other.update("n/id", record({ value: "2" }), read(other, "n/id")!, call);
    expect(read(store, "n/id")?.value).toBe("1");
    clock.advance(1_001);
    expect(read(store, "n/id")?.value).toBe("2");
  });

  test("fresh goes past it, and refreshes it", () => {
    const { store, other } = cached();
    store.create("n/id", record({ value: "1" }), call);
    read(store, "n/id");
    other.update("n/id", record({ value: "2" }), read(other, "n/id")!, call);
    expect(store.read("n/id", { ...call, fresh: true })).toMatchObject({ value: "2" });
    expect(read(store, "n/id")?.value).toBe("2");
  });

  test("sees what the same store has written", () => {
    const { store } = cached();
    store.create("n/id", record({ value: "1" }), call);
    const base = read(store, "n/id")!;
    store.update("n/id", record({ value: "2" }), base, call);
    expect(read(store, "n/id")?.value).toBe("2");
    store.touch("n/id", NOW + 90_000, call);
    expect(read(store, "n/id")?.expiresAt).toBe(NOW + 90_000);
    store.delete("n/id", call);
    expect(read(store, "n/id")).toBeUndefined();
  });

  test("looks again when what it has is over: somebody may have touched it", () => {
    const { store, other } = cached({ cacheMaxAge: "1h" });
    store.create("n/id", record(), call);
    read(store, "n/id");
    other.touch("n/id", NOW + 90_000, call);
    expect(read(store, "n/id", NOW + 60_000)?.expiresAt).toBe(NOW + 90_000);
  });

  test("keeps that many at the most, at least the half that was read last, and no absent ones", () => {
    const { store, stepsOf } = cached({ cache: 4 });
    const ids = ["a", "b", "c", "d", "e", "f"];
    for (const id of ids) store.create(`n/${id}`, record(), call);
    for (const id of ids) read(store, `n/${id}`);
    expect(stepsOf(() => read(store, "n/f"))).toBe(0);
    expect(stepsOf(() => read(store, "n/e"))).toBe(0);
    expect(stepsOf(() => read(store, "n/a"))).toBeGreaterThan(0);
    expect(stepsOf(() => read(store, "n/none"))).toBeGreaterThan(0);
    expect(stepsOf(() => read(store, "n/none"))).toBeGreaterThan(0);
  });
});

describe("pathsIn", () => {
  const paths = pathsIn("/root", true);

  test("keeps names and ids readable where they are plain", () => {
    expect(paths.session("user/abcdefghijklmnopqrstuv")).toBe(join("/root/user/tu/abcdefghijklmnopqrstuv"));
    expect(paths.session("user/a")).toBe(join("/root/user/__/a"));
    expect(paths.subject("user/user-42")).toBe(join("/root/user/.subjects/user-42"));
  });

  test("takes the SHA-256 of what is not, and of the names of devices", () => {
    for (const id of ["", "..", "a/b", "é", "x".repeat(101), "con", "LPT1", "a.b"]) {
      expect(basename(paths.session(`user/${id}`))).toMatch(/^~[\w-]{43}$/);
    }
    expect(basename(paths.session("user/a b"))).toBe("~yGh6CKpdbtIEQyj6aml6uOltw0KR6MIDSujDjm_MbWU");
  });

  test("keeps a key without a slash apart from one that begins with it", () => {
    expect(paths.session("abc")).not.toBe(paths.session("/abc"));
    expect(dirname(dirname(paths.session("abc")))).toBe(join("/root/~"));
  });

  test("writes no capital letters where they do not matter", () => {
    const folded = pathsIn("/root", false);
    expect(folded.session("user/Abc")).toMatch(/^\/root\/user\/[0-9a-f]{2}\/~[0-9a-f]{64}$/);
    expect(folded.session("user/abc")).toBe(join("/root/user/ab/abc"));
  });
});

// Kept last: a session that is moved away by hand while it is in use.
test("a session directory that is moved away is an absent session, and can be moved back", () => {
  const { root, store } = world();
  store.create("n/id", record(), call);
  const directory = sessionDirectory(root, "n/id");
  renameSync(directory, `${directory}-away`);
  expect(read(store, "n/id")).toBeUndefined();
  renameSync(`${directory}-away`, directory);
  expect(read(store, "n/id")).toBeDefined();
});
