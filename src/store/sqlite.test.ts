import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, test, vi } from "vitest";
import { fakeClock } from "../testing/fake-clock.ts";
import { storeCases } from "../testing/store-cases.ts";
import type { BoundStatement, SqliteDatabase, SqliteValue } from "./sqlite-client.ts";
import { createPlaces, placeHash } from "./sqlite-places.ts";
import { afterAll as textAfter, fromSql, plainStart, toSql } from "./sql-text.ts";
import { type SqliteStore, sqliteStore, type SqliteStoreOptions } from "./sqlite.ts";
import { EXPIRED_FOR, type ListedPage, type ListedRecord, type StoredRecord } from "./store.ts";

const home = mkdtempSync(join(tmpdir(), "coatcheck-sqlite-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

let made = 0;
const newFile = (): string => join(home, `s${++made}.db`);

const NOW = Date.now();
const call = { now: NOW };
const record = (fields: Partial<StoredRecord> = {}): StoredRecord => ({
  version: `v${++made}`,
  expiresAt: NOW + 60_000,
  value: '{"a":1}',
  ...fields,
});

interface World {
  readonly file: string;
  readonly store: SqliteStore;
  /** Another connection, to look from outside. */
  readonly outside: DatabaseSync;
}

/** A store with one session, `n/id`. */
function world(options: SqliteStoreOptions = {}): World {
  const file = newFile();
  const store = sqliteStore(file, { sweepInterval: false, ...options });
  store.create("n/id", record({ value: "first" }), call);
  return { file, store, outside: new DatabaseSync(file) };
}

const read = (store: SqliteStore, key: string, now = NOW): StoredRecord | undefined =>
  store.read(key, { now }) as StoredRecord | undefined;

/** The keys that begin with `many/`, by pages of `limit`; `after` is called after each. */
async function walk(store: SqliteStore, limit: number, after?: (seen: readonly string[]) => void): Promise<string[]> {
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page: ListedPage = await store.list("many/", { cursor, limit }, call);
    seen.push(...page.records.map(({ key }) => key));
    after?.(seen);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return seen;
}

async function keysOf(listing: AsyncIterable<ListedRecord>): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of listing) keys.push(key);
  return keys;
}

const pragma = (database: DatabaseSync, name: string): unknown =>
  Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0];

/** A database whose statements are wrapped. */
function wrapping(
  database: DatabaseSync,
  wrap: (statement: BoundStatement, sql: string) => BoundStatement,
): SqliteDatabase {
  return {
    exec: (sql) => database.exec(sql),
    prepare: (sql) => wrap(database.prepare(sql) as unknown as BoundStatement, sql),
  };
}

const isReader = (sql: string): boolean => /^(SELECT|PRAGMA)| RETURNING /.test(sql);

/** As better-sqlite3: `run` is for what returns no rows, `get` and `all` for what does; integers are BigInts if asked for. */
const likeBetterSqlite = (database: DatabaseSync): SqliteDatabase =>
  wrapping(database, (statement, sql) => {
    const rows =
      <T>(act: (...values: SqliteValue[]) => T) =>
      (...values: SqliteValue[]): T => {
        if (!isReader(sql)) throw new TypeError("This statement does not return data. Use run() instead");
        return act(...values);
      };
    const big = (row: unknown): unknown =>
      row === undefined
        ? undefined
        : Object.fromEntries(Object.entries(row as object).map(([name, value]) => [name, asBig(value)]));
    return {
      get: rows((...values) => big(statement.get(...values))),
      all: rows((...values) => statement.all(...values).map(big)),
      run(...values) {
        if (isReader(sql)) throw new TypeError("This statement returns data. Use get(), all(), or iterate() instead");
        return { changes: BigInt(statement.run(...values).changes) };
      },
    };
  });

const asBig = (value: unknown): unknown =>
  typeof value === "number" && value < 1e9 ? BigInt(Math.trunc(value)) : value;

/** As bun:sqlite: a row that is not there is null. */
const likeBun = (database: DatabaseSync): SqliteDatabase =>
  wrapping(database, (statement) => ({
    get: (...values) => statement.get(...values) ?? null,
    all: (...values) => statement.all(...values),
    run: (...values) => statement.run(...values),
  }));

const PACKAGE = "better-sqlite3";
const betterSqlite = (await import(PACKAGE).catch(() => undefined)) as
  | { readonly default: new (path: string) => SqliteDatabase }
  | undefined;

const MAKERS: Readonly<Record<string, () => SqliteStore>> = {
  "by path": () => sqliteStore(newFile()),
  "in memory": () => sqliteStore(":memory:"),
  "on a database of node:sqlite": () => sqliteStore(new DatabaseSync(":memory:")),
  "on a database that is like better-sqlite3 with safe integers": () =>
    sqliteStore(likeBetterSqlite(new DatabaseSync(":memory:"))),
  "on a database that is like bun:sqlite": () => sqliteStore(likeBun(new DatabaseSync(":memory:"))),
};

for (const [name, make] of Object.entries(MAKERS)) {
  describe(`sqliteStore ${name} keeps the store contract:`, () => {
    for (const { name: promise, run } of storeCases) test(promise, () => run(make));
  });
}

describe("sqliteStore keeps the whole store contract", () => {
  const failures = async (make: () => SqliteStore): Promise<readonly string[]> => {
    const failed: string[] = [];
    for (const { name, run } of storeCases)
      await run(make).catch((error: unknown) => failed.push(`${name}: ${String(error)}`));
    return failed;
  };

  test.skipIf(betterSqlite === undefined)("on better-sqlite3, where it is installed", async () => {
    expect(await failures(() => sqliteStore(new betterSqlite!.default(":memory:")))).toEqual([]);
  });

  test.skipIf(process.versions["bun"] === undefined)("on bun:sqlite, in Bun", async () => {
    const module = "bun:sqlite";
    const { Database } = (await import(module)) as { readonly Database: new (path: string) => SqliteDatabase };
    expect(await failures(() => sqliteStore(new Database(":memory:")))).toEqual([]);
  });
});

describe("sqliteStore by path", () => {
  test("opens nothing before the first call", () => {
    const file = newFile();
    const store = sqliteStore(file);
    expect(existsSync(file)).toBe(false);
    expect(read(store, "n/id")).toBeUndefined();
    expect(existsSync(file)).toBe(true);
    store.close();
  });

  test("makes a file for the owner only, and the files beside it too, whatever the umask", () => {
    const before = process.umask(0);
    try {
      const { file } = world();
      for (const suffix of ["", "-wal", "-shm"]) expect(statSync(`${file}${suffix}`).mode & 0o777).toBe(0o600);
    } finally {
      process.umask(before);
    }
  });

  test("leaves the permissions of a file as they are", () => {
    const file = newFile();
    writeFileSync(file, "", { mode: 0o640 });
    sqliteStore(file).create("n/id", record(), call);
    expect(statSync(file).mode & 0o777).toBe(0o640);
  });

  test("uses the write-ahead log, waits for others, and syncs as asked", () => {
    const { outside } = world();
    expect(pragma(outside, "journal_mode")).toBe("wal");
    const seen: string[] = [];
    const exec = vi.spyOn(DatabaseSync.prototype, "exec").mockImplementation(function (
      this: DatabaseSync,
      sql: string,
    ) {
      seen.push(sql);
    });
    try {
      const open = (options: SqliteStoreOptions): unknown => read(sqliteStore(newFile(), options), "n/id");
      expect(() => open({ synchronous: "full" })).toThrow();
      expect(() => open({})).toThrow();
    } finally {
      exec.mockRestore();
    }
    expect(seen.filter((sql) => sql.startsWith("PRAGMA"))).toEqual([
      "PRAGMA synchronous = FULL",
      "PRAGMA synchronous = NORMAL",
    ]);
  });

  test("waits for a writer no longer than busyTimeout, and then fails", () => {
    const { store, outside } = world({ busyTimeout: 0.1 });
    outside.exec("BEGIN IMMEDIATE");
    const started = performance.now();
    expect(() => store.touch("n/id", NOW + 90_000, call)).toThrow(/locked|busy/i);
    expect(performance.now() - started).toBeGreaterThan(80);
    expect(performance.now() - started).toBeLessThan(1_500);
    expect(read(store, "n/id")).toBeDefined();
    outside.exec("ROLLBACK");
    expect(store.touch("n/id", NOW + 90_000, call)).toBe(true);
  });

  test("finds its file again after the working directory has changed", () => {
    const before = process.cwd();
    try {
      process.chdir(home);
      const store = sqliteStore("relative.db");
      process.chdir(tmpdir());
      store.create("n/id", record(), call);
      expect(existsSync(join(home, "relative.db"))).toBe(true);
    } finally {
      process.chdir(before);
    }
  });

  test("lets go of the file when it is closed, and says so afterwards", async () => {
    const { file, store, outside } = world();
    outside.close();
    await store.close();
    expect(existsSync(`${file}-wal`)).toBe(false);
    expect(() => read(store, "n/id")).toThrow(/closed/);
    const again = sqliteStore(file);
    expect(read(again, "n/id")?.value).toBe("first");
    again.close();
  });

  test("P27: two stores on one file see what the other one does", () => {
    const { file, store } = world();
    const other = sqliteStore(file, { sweepInterval: false });
    const base = read(store, "n/id")!;
    expect(other.update("n/id", record({ value: "2" }), read(other, "n/id")!, call)).toBe("ok");
    expect(store.update("n/id", record(), base, call)).toBe("conflict");
    expect(read(store, "n/id")?.value).toBe("2");
    expect(other.delete("n/id", call)).toBe(true);
    expect(store.update("n/id", record(), base, call)).toBe("gone");
    expect(store.create("n/id", record(), call)).toBe(true);
    expect(other.create("n/id", record(), call)).toBe(false);
  });

  test("two tables in one file are two stores", () => {
    const { file, store, outside } = world();
    const other = sqliteStore(file, { table: "Other_1", sweepInterval: false });
    expect(read(other, "n/id")).toBeUndefined();
    other.create("n/id", record({ value: "other" }), call);
    expect(read(store, "n/id")?.value).toBe("first");
    const tables = outside.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all();
    expect(tables.map(({ name }) => name)).toEqual([
      "Other_1",
      "Other_1_schema",
      "coatcheck_sessions",
      "coatcheck_sessions_schema",
    ]);
  });

  test("takes an end that is not a whole number, and one that never comes", () => {
    const { store } = world();
    for (const expiresAt of [NOW + 1_980_000.0000000002, Infinity]) {
      store.create(`n/${expiresAt}`, record({ expiresAt }), call);
      expect(read(store, `n/${expiresAt}`)?.expiresAt).toBe(expiresAt);
    }
    expect(store.deleteExpired(Infinity, { now: NOW + 9e12 })).toBe(2);
  });

  test("reads a database that cannot be written, and fails to write it", () => {
    const { file, store, outside } = world();
    outside.close();
    store.close();
    const reader = sqliteStore(`file:${file}?mode=ro`, { sweepInterval: false });
    expect(read(reader, "n/id")?.value).toBe("first");
    expect(() => reader.touch("n/id", NOW + 90_000, call)).toThrow(/readonly/);
    expect(() => reader.create("n/new", record(), call)).toThrow(/readonly/);
    expect(read(reader, "n/id")?.expiresAt).toBe(NOW + 60_000);
    reader.close();
  });

  test("reads one that is not in WAL mode and cannot be written", () => {
    const { file, store, outside } = world();
    store.close();
    outside.exec("PRAGMA journal_mode = DELETE");
    outside.close();
    const reader = sqliteStore(`file:${file}?mode=ro`, { sweepInterval: false });
    expect(read(reader, "n/id")?.value).toBe("first");
    reader.close();
  });

  test("fails in a directory that is not there, and works when it is", () => {
    const directory = newFile();
    const store = sqliteStore(join(directory, "s.db"));
    expect(() => read(store, "n/id")).toThrow(/ENOENT/);
    mkdirSync(directory);
    expect(read(store, "n/id")).toBeUndefined();
    store.close();
  });

  test("fails on a file that is no database, leaves it as it is, and works when it is gone", () => {
    const file = newFile();
    const text = "this is not a database ".repeat(100);
    writeFileSync(file, text);
    const store = sqliteStore(file);
    for (let i = 0; i < 3; i++) expect(() => store.create("n/id", record(), call)).toThrow(/not a database/);
    expect(readFileSync(file, "utf8")).toBe(text);
    rmSync(file);
    expect(store.create("n/id", record(), call)).toBe(true);
    store.close();
  });

  test("a damaged database is an error, and no absent session", () => {
    const { file, store, outside } = world();
    outside.close();
    store.close();
    const bytes = readFileSync(file);
    bytes.fill(0x5a, 4096);
    writeFileSync(file, bytes);
    const damaged = sqliteStore(file, { sweepInterval: false });
    expect(() => read(damaged, "n/id")).toThrow(/malformed|corrupt/);
    damaged.close();
  });

  test("goes on with the file that it opened when that is moved", () => {
    const { file, store } = world();
    renameSync(file, `${file}-moved`);
    expect(read(store, "n/id")).toBeDefined();
    store.close();
  });
});

describe("sqliteStore on a database of the app's own", () => {
  test("leaves its settings, its user_version and its other tables alone, and open when it is closed", () => {
    const database = new DatabaseSync(":memory:");
    database.exec("PRAGMA user_version = 42");
    database.exec("CREATE TABLE users (id)");
    const before = pragma(database, "synchronous");
    const store = sqliteStore(database, { sweepInterval: false });
    store.create("n/id", record(), call);
    store.close();
    expect(pragma(database, "user_version")).toBe(42);
    expect(pragma(database, "synchronous")).toBe(before);
    expect(pragma(database, "journal_mode")).toBe("memory");
    expect(database.prepare("SELECT count(*) AS found FROM coatcheck_sessions").get()).toEqual({ found: 1 });
    expect(read(store, "n/id")).toBeDefined();
  });

  test("takes part in the app's transaction if it has to", () => {
    const database = new DatabaseSync(":memory:");
    const store = sqliteStore(database, { sweepInterval: false });
    read(store, "n/id");
    database.exec("BEGIN");
    store.create("n/id", record(), call);
    database.exec("ROLLBACK");
    expect(read(store, "n/id")).toBeUndefined();
  });

  test("makes its tables within a transaction as well", () => {
    const database = new DatabaseSync(":memory:");
    const store = sqliteStore(database, { sweepInterval: false });
    database.exec("BEGIN");
    expect(store.create("n/id", record(), call)).toBe(true);
    database.exec("COMMIT");
    expect(read(store, "n/id")).toBeDefined();
  });

  test("fails when the app has closed it", () => {
    const database = new DatabaseSync(":memory:");
    const store = sqliteStore(database, { sweepInterval: false });
    read(store, "n/id");
    database.close();
    expect(() => read(store, "n/id")).toThrow(/not open|finalized/);
  });
});

/** System calls that read, of this process so far; undefined where there is no such count. */
const readCalls = (): number | undefined => {
  if (!existsSync("/proc/self/io")) return undefined;
  return Number(/^syscr: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1]);
};

describe("where sqliteStore remembers a row to be", () => {
  /** A store, and the statements that read a row, as they are run. */
  const watched = (file: string): { readonly store: SqliteStore; readonly run: string[] } => {
    const run: string[] = [];
    const database = wrapping(new DatabaseSync(file), (statement, sql) => ({
      all: (...values) => statement.all(...values),
      run: (...values) => statement.run(...values),
      get(...values) {
        const by = /^SELECT version.* WHERE (\w+) = \?/.exec(sql)?.[1];
        if (by !== undefined) run.push(by);
        return statement.get(...values);
      },
    }));
    return { store: sqliteStore(database, { sweepInterval: false }), run };
  };

  test("it is read by its place from the second time on, and at once where this process made it", () => {
    const { file } = world();
    const { store, run } = watched(file);
    for (let i = 0; i < 3; i++) expect(read(store, "n/id")?.value).toBe("first");
    expect(run.splice(0)).toEqual(["key", "rowid", "rowid"]);
    store.create("n/own", record({ value: "own" }), call);
    expect(read(store, "n/own")?.value).toBe("own");
    expect(run.splice(0)).toEqual(["rowid"]);
    expect(read(store, "n/none")).toBeUndefined();
    expect(run).toEqual(["key"]);
  });

  test("another row may be there by then, and is not taken for it", () => {
    const { file, store, outside } = world();
    expect(read(store, "n/id")?.value).toBe("first");
    const other = sqliteStore(file, { sweepInterval: false });
    other.delete("n/id", call);
    other.create("n/other", record({ value: "other" }), call);
    expect(outside.prepare("SELECT rowid, key FROM coatcheck_sessions").all()).toEqual([{ rowid: 1, key: "n/other" }]);
    expect(read(store, "n/id")).toBeUndefined();
    other.create("n/id", record({ value: "again" }), call);
    expect(read(store, "n/id")?.value).toBe("again");
    expect(read(store, "n/other")?.value).toBe("other");
    other.close();
  });

  test("all of them may be moved, as VACUUM may do", () => {
    const { store, outside } = world();
    for (const name of ["a", "b", "c"]) store.create(`n/${name}`, record({ value: name }), call);
    for (const place of ["-rowid", "rowid + 6"]) outside.exec(`UPDATE coatcheck_sessions SET rowid = ${place}`);
    expect(outside.prepare("SELECT rowid FROM coatcheck_sessions WHERE key = 'n/a'").get()).toEqual({ rowid: 4 });
    for (const name of ["a", "b", "c"]) expect(read(store, `n/${name}`)?.value).toBe(name);
  });

  test("one that has ended is not there, and what replaces it is, though the place of that is said wrongly", () => {
    const { store } = world();
    const later = NOW + 60_000;
    store.create("n/last", record(), call);
    expect(read(store, "n/id", later - 1)?.value).toBe("first");
    expect(read(store, "n/id", later)).toBeUndefined();
    expect(store.create("n/id", record({ value: "next", expiresAt: later + 9 }), { now: later })).toBe(true);
    for (let i = 0; i < 2; i++) expect(read(store, "n/id", later)?.value).toBe("next");
  });

  test.skipIf(readCalls() === undefined)("less than two thirds of the pages are read", () => {
    const READS = 2000;
    const file = newFile();
    const maker = new DatabaseSync(file);
    const filling = sqliteStore(maker, { sweepInterval: false });
    const keys = Array.from({ length: 20_000 }, () => `many/${randomBytes(16).toString("base64url")}`);
    maker.exec("PRAGMA journal_mode = WAL");
    filling.create("n/id", record(), call);
    maker.exec("BEGIN");
    for (const key of keys) filling.create(key, record({ value: "x".repeat(200) }), call);
    maker.exec("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
    maker.close();

    const database = new DatabaseSync(file);
    // As small for this table as what SQLite takes by itself is for a million rows.
    database.exec("PRAGMA cache_size = 20");
    const store = sqliteStore(database, { sweepInterval: false });
    const calls = (): number => {
      const before = readCalls()!;
      for (let i = 0; i < READS; i++) expect(read(store, keys[(i * 7919) % keys.length]!)).toBeDefined();
      return (readCalls()! - before) / READS;
    };
    const [byKey, byPlace] = [calls(), calls()];
    expect(byKey).toBeGreaterThan(1.8);
    expect(byPlace).toBeLessThan((byKey * 2) / 3);
    database.close();
  });
});

describe("the places of rows", () => {
  const hashes = Array.from({ length: 100_000 }, (_, i) => placeHash(`scale/${i}`));

  test("are remembered for nearly all keys, however many there are", () => {
    const places = createPlaces();
    for (const [i, hash] of hashes.entries()) places.set(hash, i + 1);
    const known = hashes.filter((hash, i) => places.get(hash) === i + 1).length;
    expect(known).toBeGreaterThan(98_000);
  });

  test("take no more memory than they may: the others are forgotten", () => {
    const places = createPlaces(65_536);
    for (const [i, hash] of hashes.entries()) places.set(hash, i + 1);
    const known = hashes.filter((hash) => places.get(hash) !== 0).length;
    expect(known).toBeGreaterThan(8000);
    expect(known).toBeLessThanOrEqual(65_536 / 8);
  });

  test("are as they were said last, and only such as a slot can hold", () => {
    const places = createPlaces();
    places.set(7, 1);
    places.set(7, 2 ** 32 - 1);
    expect(places.get(7)).toBe(2 ** 32 - 1);
    for (const odd of [0, -1, NaN, 2 ** 32]) places.set(9, odd);
    expect(places.get(9)).toBe(0);
  });
});

describe("the tables of sqliteStore", () => {
  test("have a version, and those of a newer one are refused by every verb and left as they are", () => {
    const { file, store, outside } = world();
    store.close();
    expect(outside.prepare("SELECT * FROM coatcheck_sessions_schema").all()).toEqual([{ one: 1, version: 1 }]);
    outside.exec("UPDATE coatcheck_sessions_schema SET version = 2");
    const older = sqliteStore(file);
    for (let i = 0; i < 2; i++) expect(() => read(older, "n/id")).toThrow(/has the form of version 2.*version 1 only/);
    expect(() => older.delete("n/id", call)).toThrow(/version 2/);
    outside.exec("UPDATE coatcheck_sessions_schema SET version = 1");
    expect(read(older, "n/id")?.value).toBe("first");
    older.close();
  });

  test("are completed when whoever made them died in the middle", () => {
    const { file, store, outside } = world();
    store.close();
    outside.exec("DROP INDEX coatcheck_sessions_expires_at");
    outside.exec("DELETE FROM coatcheck_sessions_schema");
    const next = sqliteStore(file, { sweepInterval: false });
    expect(read(next, "n/id")?.value).toBe("first");
    const indexes = outside.prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL").all();
    expect(indexes.map(({ name }) => name).toSorted()).toEqual([
      "coatcheck_sessions_expires_at",
      "coatcheck_sessions_subject",
    ]);
    next.close();
  });

  test("are looked up by an index, for every statement", () => {
    const { outside } = world();
    const plan = (sql: string): string =>
      outside
        .prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .all()
        .map(({ detail }) => String(detail))
        .join("; ");
    const place = "SELECT version FROM coatcheck_sessions WHERE rowid = 1 AND key = 'k'";
    expect(plan(place)).toBe("SEARCH coatcheck_sessions USING INTEGER PRIMARY KEY (rowid=?)");
    const subject =
      "SELECT * FROM coatcheck_sessions WHERE subject = 's' AND key >= 'k' AND expires_at > 1 ORDER BY key LIMIT 9";
    expect(plan(subject)).toBe(
      "SEARCH coatcheck_sessions USING INDEX coatcheck_sessions_subject (subject=? AND key>?)",
    );
    const due =
      "DELETE FROM coatcheck_sessions WHERE rowid IN (SELECT rowid FROM coatcheck_sessions WHERE expires_at < 1 ORDER BY expires_at LIMIT 9)";
    expect(plan(due)).toContain("USING COVERING INDEX coatcheck_sessions_expires_at (expires_at<?)");
    const range =
      "SELECT * FROM coatcheck_sessions WHERE key >= 'a' AND key < coalesce('b', x'') AND expires_at > 1 ORDER BY key LIMIT 9";
    expect(plan(range)).toMatch(/^SEARCH coatcheck_sessions USING INDEX \S+ \(key>\? AND key<\?\)$/);
  });

  test("a row that somebody else wrote comes back as text, and can be deleted", () => {
    const { store, outside } = world();
    const insert = outside.prepare("INSERT INTO coatcheck_sessions VALUES (?, ?, ?, ?, ?)");
    insert.run("n/blob", "1", NOW + 60_000, null, new Uint8Array([1, 2]));
    insert.run("n/date", "1", "tomorrow", null, "{}");
    insert.run("n/mark", "1", NOW + 60_000, null, "\u0001no JSON");
    expect(read(store, "n/blob")).toMatchObject({ version: "1", value: "1,2" });
    expect(read(store, "n/date")?.expiresAt).toBeGreaterThan(NOW);
    expect(read(store, "n/mark")?.value).toBe("\u0001no JSON");
    for (const key of ["n/blob", "n/date", "n/mark"]) expect(store.delete(key, call)).toBe(true);
  });
});

describe("the listings of sqliteStore", () => {
  const many = async (): Promise<World & { readonly keys: readonly string[] }> => {
    const found = world();
    const keys = Array.from({ length: 450 }, (_, i) => `many/${String(i).padStart(4, "0")}`);
    found.outside.exec("BEGIN");
    const insert = found.outside.prepare("INSERT INTO coatcheck_sessions VALUES (?, '1', ?, 's', '{}')");
    for (const key of keys) insert.run(key, NOW + 60_000);
    found.outside.exec("COMMIT");
    return { ...found, keys };
  };

  test("go on from page to page, and have every record once", async () => {
    const { store, keys } = await many();
    expect(await walk(store, 100)).toEqual(keys);
    expect(await keysOf(store.listBySubject("s", call))).toEqual(keys);
    expect(await store.count("many/", call)).toBe(450);
    expect(await store.count("", call)).toBe(451);
  });

  test("go on when the last key of a page is deleted, and hold up no writer meanwhile", async () => {
    const { store, outside, keys } = await many();
    const seen: string[] = [];
    for await (const { key } of store.listBySubject("s", call)) {
      seen.push(key);
      if (seen.length === 100) outside.exec("DELETE FROM coatcheck_sessions WHERE key IN ('many/0199', 'many/0200')");
    }
    // The first page had been read by then, the second had not.
    expect(seen).toEqual(keys.filter((key) => key !== "many/0200"));
  });
});

describe("sqliteStore sweeps", () => {
  test("P1: expired sessions in bounded batches, by itself, until it is closed", () => {
    const clock = fakeClock(NOW);
    const { store, outside } = world({ clock, sweepInterval: "1m" });
    const insert = outside.prepare("INSERT INTO coatcheck_sessions VALUES (?, '1', ?, NULL, '{}')");
    outside.exec("BEGIN");
    for (let i = 0; i < 1_200; i++) insert.run(`n/${i}`, NOW + 1);
    outside.exec("COMMIT");
    const count = (): unknown => outside.prepare("SELECT count(*) AS found FROM coatcheck_sessions").get()?.["found"];
    clock.set(NOW + EXPIRED_FOR + 2);
    clock.advance(59_000);
    expect(count()).toBe(1_201);
    clock.set(NOW + EXPIRED_FOR + 2);
    clock.advance(1_000);
    expect(count()).toBe(701);
    clock.advance(20);
    expect(count()).toBe(1);
    store.close();
    expect(clock.waiting).toBe(0);
  });

  test("again when one has failed", () => {
    const clock = fakeClock(NOW);
    const { store, outside } = world({ clock, sweepInterval: "1m", busyTimeout: 0.01 });
    clock.set(NOW + 3_600_000);
    outside.exec("BEGIN IMMEDIATE");
    clock.advance(60_000);
    outside.exec("ROLLBACK");
    expect(outside.prepare("SELECT count(*) AS found FROM coatcheck_sessions").get()).toEqual({ found: 1 });
    clock.advance(60_000);
    expect(outside.prepare("SELECT count(*) AS found FROM coatcheck_sessions").get()).toEqual({ found: 0 });
    store.close();
  });
});

describe("sqliteStore refuses", () => {
  test.each([
    ["path", "", {}],
    ["table", "x.db", { table: "a-b" }],
    ["table", "x.db", { table: "1a" }],
    ["table", "x.db", { table: "sqlite_x" }],
    ["table", "x.db", { table: 'x"; DROP TABLE users; --' }],
    ["synchronous", "x.db", { synchronous: "off" as "full" }],
    ["busyTimeout", "x.db", { busyTimeout: -1 }],
    ["sweepInterval", "x.db", { sweepInterval: "never" as "1s" }],
    ["sqliteStore", undefined as unknown as string, {}],
    ["sqliteStore", {} as unknown as string, {}],
    ["synchronous", new DatabaseSync(":memory:") as unknown as string, { synchronous: "full" }],
    ["busyTimeout", new DatabaseSync(":memory:") as unknown as string, { busyTimeout: 1 }],
  ] as const)("a bad %s by name (%#)", (option, source, options) => {
    const make = (): unknown => sqliteStore(source, options);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(option);
  });

  test("a path where there is no node:sqlite, saying what to do", () => {
    const without = vi.spyOn(process, "getBuiltinModule").mockReturnValue(undefined as never);
    try {
      expect(() => sqliteStore("sessions.db")).toThrow(TypeError);
      expect(() => sqliteStore("sessions.db")).toThrow(/22\.13.*better-sqlite3 or bun:sqlite/);
      expect(sqliteStore(likeBun(new DatabaseSync(":memory:"))).name).toBe("sqliteStore");
    } finally {
      without.mockRestore();
    }
  });
});

describe("text in SQLite", () => {
  test.each(["", "plain", "é😀", "\u0002", "a\u0001", "\0", "a\0b", "\u0001", "\u0001x", "\ud800", "a\udc00b", '"'])(
    "%j comes back",
    (text) => {
      expect(fromSql(toSql(text))).toBe(text);
    },
  );

  test("only odd text is marked", () => {
    expect(toSql("user/é😀 'x'")).toBe("user/é😀 'x'");
    expect(toSql("a\0")).toBe('\u0001"a\\u0000"');
  });

  test.each([
    ["a", "b"],
    ["user/", "user0"],
    ["a\u{10ffff}", "b"],
    ["a\ud7ff", "a\ue000"],
    ["😀", "😁"],
    ["", undefined],
    ["\u{10ffff}\u{10ffff}", undefined],
  ])("after all that begin with %j comes %j", (prefix, expected) => {
    expect(textAfter(prefix)).toBe(expected);
  });

  test.each([
    ["plain", "plain"],
    ["a\0b", "a"],
    ["a\ud800", "a"],
    ["\u0001a", ""],
    ["", ""],
  ])("the plain start of %j is %j", (text, expected) => {
    expect(plainStart(text)).toBe(expected);
  });
});
