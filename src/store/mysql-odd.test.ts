import { createPool, type Pool } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { DATABASE, MARIADB_PROGRAMS, startMariadb, statusOf, type Mariadb } from "../../test/servers/mariadb.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { Browser, COOKIE, eventsOf, type Data } from "../../test/testbed.ts";
import { defineSession } from "../index.ts";
import { mysqlStore, type MysqlStore, type MysqlStoreOptions } from "./mysql.ts";
import { namesOf } from "./mysql-schema.ts";
import { statementsFor } from "./mysql-statements.ts";
import { EXPIRED_FOR, type StoredRecord } from "./store.ts";

let made = 0;
const now = Date.now();
const call = { now };
const record = (fields: Partial<StoredRecord> = {}): StoredRecord => ({
  version: `v${++made}`,
  expiresAt: now + 60_000,
  value: "{}",
  ...fields,
});

describeWithServers("mysqlStore and what else may be in MariaDB:", MARIADB_PROGRAMS, () => {
  let server: Mariadb;
  let pool: Pool;
  beforeAll(async () => {
    server = await startMariadb();
    pool = server.pool();
  });
  afterAll(() => server?.stop());

  async function fresh(
    options: MysqlStoreOptions = {},
  ): Promise<{ readonly store: MysqlStore; readonly table: string }> {
    const table = `odd_${++made}`;
    const store = mysqlStore(pool, { table, sweepInterval: false, ...options });
    await store.createSchema();
    return { store, table };
  }

  // --- what somebody else has written ---------------------------------------------------------------------------------

  const GARBAGE: Readonly<Record<string, string>> = {
    "no text at all": "0xff00fe80",
    nothing: "''",
    "a mark and no JSON after it": "0x017b",
    "somebody's JSON": `'{"user":1}'`,
  };

  test.each(Object.entries(GARBAGE))(
    "%s in the place of a session, a subject or a long text: comes back as text, and can be deleted",
    async (_, bytes) => {
      const { store, table } = await fresh();
      await pool.query(
        `INSERT INTO ${table} VALUES ('user/1', ${bytes}, ${now + 60_000}, ${bytes}, ${bytes}, ${bytes})`,
      );
      const found = await store.read("user/1", call);
      expect(typeof found?.value).toBe("string");
      expect(found?.expiresAt).toBeGreaterThan(now);
      expect(await store.create("user/1", record(), call)).toBe(false);
      expect((await store.list("", { limit: 10 }, call)).records.map(({ key }) => key)).toEqual(["user/1"]);
      expect(await store.delete("user/1", call)).toBe(true);
      expect(await store.count("", call)).toBe(0);
    },
  );

  test("garbage in the place of a session is an anonymous session and an event, and no error", async () => {
    const { store, table } = await fresh();
    const user = defineSession<Data>({ name: "user", store });
    const browser = new Browser(user);
    const events = eventsOf(user);
    await browser.visit(user, (session) => session.set({ visits: 1 }));
    expect(browser.jar.has(COOKIE)).toBe(true);
    await pool.query(`UPDATE ${table} SET value = 0xff00fe`);
    expect(await browser.visit(user, ({ isNew }) => isNew)).toBe(true);
    expect(events.some((event) => event.startsWith("rejected:"))).toBe(true);
  });

  // --- texts and numbers at the ends ------------------------------------------------------------------------------------

  test("keys and subjects longer than any index: kept apart, listed whole, found by their beginning, revoked", async () => {
    const { store } = await fresh();
    const long = "é😀\0".repeat(5_000);
    const [one, other] = [`user/${long}1`, `user/${long}2`];
    await store.create(one, record({ subject: one }), call);
    await store.create(other, record({ subject: other }), call);
    expect((await store.read(one, call))?.subject).toBe(one);
    const { records } = await store.list(`user/${long}1`, { limit: 10 }, call);
    expect(records.map(({ key }) => key === one)).toEqual([true]);
    expect(await store.count("user/", call)).toBe(2);
    expect((await store.deleteBySubject(one, {}, call)).map((key) => key === one)).toEqual([true]);
    expect((await store.read(other, call))?.subject).toBe(other);
  });

  test("keys and subjects of the very length that the columns take, and one byte more", async () => {
    const { store } = await fresh();
    const keys = [254, 255, 256, 257].map((length) => "x".repeat(length));
    for (const key of keys) expect(await store.create(key, record({ subject: key }), call)).toBe(true);
    for (const key of keys) expect((await store.read(key, call))?.subject).toBe(key);
    expect((await store.list("x", { limit: 10 }, call)).records.map(({ key }) => key.length).toSorted()).toEqual([
      254, 255, 256, 257,
    ]);
  });

  test.each([true, false])("times with fractions, far away and without an end; prepared: %s", async (prepare) => {
    const { store } = await fresh({ prepare });
    for (const expiresAt of [now + 0.123, 8.64e15, Number.MAX_SAFE_INTEGER, Infinity]) {
      const key = `user/${expiresAt}`;
      const base = record({ expiresAt });
      await store.create(key, base, call);
      expect((await store.read(key, call))?.expiresAt).toBe(expiresAt);
      expect(await store.touch(key, now + 1, call)).toBe(true);
      expect((await store.read(key, call))?.expiresAt).toBe(Math.max(expiresAt, now + 1));
      expect(await store.update(key, record({ expiresAt }), base, call)).toBe("ok");
      expect((await store.read(key, call))?.expiresAt).toBe(expiresAt);
    }
  });

  test("a subject with many sessions is listed, and revoked but for one, to the last", async () => {
    const { store } = await fresh();
    const keys = Array.from({ length: 450 }, (_, i) => `user/${String(i).padStart(4, "0")}`);
    await Promise.all(keys.map((key) => store.create(key, record({ subject: "ada" }), call)));
    const listed: string[] = [];
    for await (const { key } of store.listBySubject("ada", call)) listed.push(key);
    expect(listed).toEqual(keys);
    const except = keys[200]!;
    const removed = await store.deleteBySubject("ada", { except }, call);
    expect(removed.toSorted()).toEqual(keys.filter((key) => key !== except));
    expect(await store.count("", call)).toBe(1);
  });

  // --- how a server or a connection is set up ---------------------------------------------------------------------------

  const SESSIONS: Readonly<Record<string, string>> = {
    "backslashes mean nothing, quotes are names": "sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES,PIPES_AS_CONCAT'",
    "nothing is strict": "sql_mode = ''",
    "everything is strict": "sql_mode = 'TRADITIONAL,NO_UNSIGNED_SUBTRACTION,ONLY_FULL_GROUP_BY'",
    "assignments take place at once": "sql_mode = 'SIMULTANEOUS_ASSIGNMENT'",
    "another time zone": "time_zone = '-11:00'",
    "another character set": "character_set_client = latin1, character_set_connection = utf8mb4",
    "NULL equals everything odd": "sql_auto_is_null = 1",
    "read uncommitted": "TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
    serializable: "TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "updates need a key": "sql_safe_updates = 1",
    "texts have three bytes a character at most": "character_set_client = utf8mb3, character_set_connection = utf8mb3",
  };

  test.each(Object.entries(SESSIONS))("a connection on which %s changes nothing", async (_, setting) => {
    for (const prepare of [true, false]) {
      const own = createPool({ ...server.options, connectionLimit: 2 });
      onTestFinished(() => own.end());
      own.on("connection", (connection) => void connection.query(`SET SESSION ${setting}`));
      const table = `odd_${++made}`;
      const store = mysqlStore(own, { table, prepare, sweepInterval: false });
      await store.createSchema();
      const value = "'\"`\\' OR 1=1 -- \0 \ud800 é 😀 trailing  ";
      const base = record({ subject: value, value });
      const key = `user/${value}`;
      expect(await store.create(key, base, call)).toBe(true);
      expect(await store.create(key, record(), call)).toBe(false);
      expect(await store.read(key, call)).toEqual(base);
      const next = record({ value: `${value}!`, subject: "other" });
      expect(await store.update(key, next, record(), call)).toBe("conflict");
      expect(await store.update(key, next, base, call)).toBe("ok");
      expect(await store.touch(key, now + 90_000, call)).toBe(true);
      expect(await store.read(key, call)).toEqual({ ...next, expiresAt: now + 90_000 });
      expect(await store.update("user/2", next, base, call)).toBe("gone");
      expect(await store.deleteExpired(10, { now: now + 3_600_000 })).toBe(1);
      expect(await store.create(key, base, call)).toBe(true);
      expect(await store.deleteBySubject(value, {}, call)).toEqual([key]);
    }
  });

  describe("a change that would not stay is an error,", () => {
    test("on connections that do not commit by themselves: when the tables are made, and by every change", async () => {
      for (const prepare of [true, false]) {
        const own = server.pool({ connectionLimit: 2 });
        own.on("connection", (connection) => void connection.query("SET autocommit = 0"));
        const { store, table } = await fresh();
        const base = record();
        await store.create("user/1", base, call);
        const other = mysqlStore(own, { table, prepare, sweepInterval: false });
        await expect(other.create("user/2", record(), call)).rejects.toThrow(/autocommit off/);
        await expect(other.update("user/1", record(), base, call)).rejects.toThrow(/autocommit off/);
        await expect(other.delete("user/1", call)).rejects.toThrow(/autocommit off/);
        expect(await store.read("user/1", call)).toEqual(base);
        expect(await store.read("user/2", call)).toBeUndefined();
        const untouched = mysqlStore(own, { table: `odd_${++made}`, prepare });
        await expect(untouched.createSchema()).rejects.toThrow(/autocommit off/);
      }
    });

    test("on one that the app left within a transaction: once, and nobody gets that connection again", async () => {
      const { store, table } = await fresh();
      const base = record();
      await store.create("user/1", base, call);
      const own = server.pool({ connectionLimit: 1 });
      const other = mysqlStore(own, { table, sweepInterval: false });
      const left = await own.getConnection();
      await left.query("BEGIN");
      left.release();
      const next = record();
      await expect(other.update("user/1", next, base, call)).rejects.toThrow(/within a transaction/);
      expect(await other.update("user/1", next, base, call)).toBe("ok");
      expect(await store.read("user/1", call)).toEqual(next);
    });
  });

  test("a table in another database, of a name that SQL uses itself", async () => {
    await server.ask("CREATE DATABASE IF NOT EXISTS elsewhere");
    const store = mysqlStore(pool, { table: "elsewhere.select", sweepInterval: false });
    await store.createSchema();
    await store.create("user/1", record(), call);
    expect(await server.ask("SELECT COUNT(*) AS found FROM elsewhere.`select`")).toEqual([{ found: 1 }]);
    expect(await store.deleteExpired(10, { now: now + 3_600_000 })).toBe(1);
  });

  test("P18: statements that are sent twice after a lost connection do no harm", async () => {
    const { store, table } = await fresh();
    const { pool: inner } = pool;
    const twice = {
      promise: () => pool,
      query: (...args: readonly unknown[]) => Reflect.apply(inner.query, inner, args) as unknown,
      execute: (sql: unknown, values: unknown, answered: unknown) =>
        inner.execute(sql as never, values as never, () => {
          Reflect.apply(inner.execute, inner, [sql, values, answered]);
        }),
    };
    const again = mysqlStore(twice, { table, sweepInterval: false });
    const first = record();
    expect(await again.create("user/1", first, call)).toBe(false);
    expect((await store.read("user/1", call))?.version).toBe(first.version);
    const next = record();
    expect(await again.update("user/1", next, first, call)).toBe("conflict");
    expect((await store.read("user/1", call))?.version).toBe(next.version);
    const user = defineSession<Data>({ name: "user", store: again });
    const browser = new Browser(user);
    await browser.visit(user, (session) => session.set({ visits: 1 }));
    await browser.visit(user, (session) => session.update((data) => ({ visits: (data?.visits ?? 0) + 1 })));
    expect(await browser.visit(user, ({ data }) => data)).toEqual({ visits: 2 });
  });

  // --- tables -----------------------------------------------------------------------------------------------------------

  describe("createSchema", () => {
    test("may be called by ten processes at once, and again by those who may not make tables", async () => {
      const table = `odd_${++made}`;
      const pools = Array.from({ length: 10 }, () => server.pool({ connectionLimit: 1 }));
      await Promise.all(pools.map((one) => mysqlStore(one, { table }).createSchema()));
      const store = mysqlStore(pool, { table, sweepInterval: false });
      expect(await store.create("user/1", record(), call)).toBe(true);
      await server.ask("CREATE USER IF NOT EXISTS reader@'127.0.0.1'");
      await server.ask(`GRANT SELECT ON ${DATABASE}.* TO reader@'127.0.0.1'`);
      await mysqlStore(server.pool({ user: "reader" }), { table }).createSchema();
    });

    test("and what schemaSql returns make the same tables, twice as well as once", async () => {
      const { table } = await fresh();
      const other = `odd_${++made}`;
      const sql = mysqlStore(pool, { table: other }).schemaSql();
      const several = server.pool({ multipleStatements: true });
      for (const _ of [1, 2]) await several.query(sql);
      await mysqlStore(pool, { table: other }).createSchema();
      const made1 = await server.ask(`SHOW CREATE TABLE ${DATABASE}.${table}`);
      const made2 = await server.ask(`SHOW CREATE TABLE ${DATABASE}.${other}`);
      expect(String(made2[0]?.["Create Table"]).replaceAll(other, table)).toBe(made1[0]?.["Create Table"]);
    });

    test("refuses tables of a newer version", async () => {
      const { store, table } = await fresh();
      await pool.query(`UPDATE ${table}_schema SET version = 2`);
      await expect(store.createSchema()).rejects.toThrow(/version 2.*version 1 only/);
    });

    test("is what a verb asks for when there is no table", async () => {
      const store = mysqlStore(pool, { table: "nowhere" });
      await expect(store.read("user/1", call)).rejects.toThrow(/there is no table nowhere.*createSchema\(\)/s);
      await expect(store.create("user/1", record(), call)).rejects.toThrow(/createSchema\(\)/);
    });
  });

  // --- sweeping ---------------------------------------------------------------------------------------------------------

  describe("expired rows", () => {
    const later = { now: now + 60_000 + EXPIRED_FOR + 1 };

    async function filled(rows: number): Promise<{ readonly store: MysqlStore; readonly table: string }> {
      const { store, table } = await fresh();
      await insert(table, rows, (n) => [`user/${n}`, "v", now + 60_000, null, "{}", null]);
      return { store, table };
    }

    async function insert(table: string, rows: number, row: (n: number) => readonly unknown[]): Promise<void> {
      await pool.query(`INSERT INTO ${table} VALUES ?`, [Array.from({ length: rows }, (_, i) => row(i + 1))]);
    }

    test("are removed by one process at a time, 500 with a statement, each told of", async () => {
      const { store, table } = await filled(3_000);
      const others = [1, 2, 3].map(() => mysqlStore(server.pool(), { table, sweepInterval: false }));
      const told: string[] = [];
      for (const one of [store, ...others]) one.onExpired(({ key }) => void told.push(key));
      const before = Number(await statusOf(server, "Com_delete_multi"));
      const removed = await Promise.all([store, ...others].map((one) => one.deleteExpired(5_000, later)));
      expect(removed.toSorted((a, b) => a - b)).toEqual([0, 0, 0, 3_000]);
      expect(new Set(told).size).toBe(3_000);
      expect(told).toHaveLength(3_000);
      expect(Number(await statusOf(server, "Com_delete_multi")) - before).toBe(6);
    });

    test("of a process that died while it was at it are left to another one, a minute later", async () => {
      const { store, table } = await filled(10);
      const leased = (seconds: number): Promise<unknown> =>
        pool.query(`UPDATE ${table}_schema SET sweeper = 'dead', swept_until = UNIX_TIMESTAMP() + ${seconds}`);
      await leased(59);
      expect(await store.deleteExpired(100, later)).toBe(0);
      await leased(0);
      expect(await store.deleteExpired(3, later)).toBe(3);
      // By a clock that was ahead, before it was put right.
      await leased(86_400);
      expect(await store.deleteExpired(100, later)).toBe(7);
      const [rows] = await pool.query(`SELECT swept_until FROM ${table}_schema`);
      expect(rows).toEqual([{ swept_until: 0 }]);
    });

    test("and all others are found by an index, and written by their primary keys", async () => {
      const { table } = await filled(2_000);
      await insert(table, 5, (n) => [`live/${n}`, "v", 9e15, "ada", "{}", null]);
      const statements = statementsFor(namesOf({ schema: undefined, table }));
      const keys = Array.from({ length: 500 }, (_, i) => `user/${i}`);
      const plans: readonly [sql: string, values: readonly unknown[], index: string][] = [
        [statements.read, ["user/1", 1], "PRIMARY"],
        [statements.update, ["v", 1, null, "{}", null, "user/1", 1, "v"], "PRIMARY"],
        [statements.touch, [1, "user/1", 1], "PRIMARY"],
        [statements.delete, ["user/1", 1], "PRIMARY"],
        [statements.deleteOf, ["live/1", "ada", 1], "PRIMARY"],
        [statements.deleteDue(500), [...keys, 1], "PRIMARY"],
        [statements.byKey(200, true), ["user/", "user0", 1], "PRIMARY"],
        [statements.bySubject(200), ["ada", "", 1], `${table}_subject`],
        [statements.due(500), [1], `${table}_expires_at`],
      ];
      for (const [sql, values, index] of plans) {
        const [rows] = await pool.query(`EXPLAIN FORMAT = TRADITIONAL ${sql}`, [...values]);
        const plan = (rows as { type: string; key: string; Extra: string }[])[0];
        expect([plan?.key, plan?.type === "index" || plan?.type === "ALL"], sql).toEqual([index, false]);
        expect(String(plan?.Extra)).not.toMatch(/filesort|temporary/);
      }
    });

    test("that are swept while sessions are used: no session is held up by a lock", async () => {
      const { store, table } = await filled(5_000);
      const waits = Number(await statusOf(server, "Innodb_row_lock_waits"));
      const state = { isSweeping: true };
      const sweep = (async () => await store.deleteExpired(5_000, later))().finally(() => (state.isSweeping = false));
      const end = later.now + 60_000;
      let requests = 0;
      while (state.isSweeping) {
        const key = `live/${++requests}`;
        const base = record({ expiresAt: end, subject: "ada" });
        expect(await store.create(key, base, later)).toBe(true);
        expect(await store.update(key, record({ expiresAt: end + 1 }), base, later)).toBe("ok");
        expect(await store.delete(key, later)).toBe(true);
      }
      expect(await sweep).toBe(5_000);
      expect(requests).toBeGreaterThan(5);
      expect(Number(await statusOf(server, "Innodb_row_lock_waits")) - waits).toBe(0);
      const [rows] = await pool.query(`SELECT COUNT(*) AS found FROM ${table}`);
      expect(rows).toEqual([{ found: 0 }]);
    });
  });
});
