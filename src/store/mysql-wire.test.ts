import { createPool, type Pool, type PoolOptions } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { MARIADB_PROGRAMS, ON_DISK, startMariadb, statusOf, type Mariadb } from "../../test/servers/mariadb.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { until } from "../../test/servers/server-process.ts";
import { Browser, MINUTE, type Data } from "../../test/testbed.ts";
import { defineSession, type SessionDefinition } from "../index.ts";
import { fakeClock, type FakeClock } from "../testing/fake-clock.ts";
import { mysqlStore, type MysqlStore, type MysqlStoreOptions } from "./mysql.ts";
import type { StoredRecord } from "./store.ts";

let made = 0;

interface Shop {
  readonly clock: FakeClock;
  readonly store: MysqlStore;
  readonly user: SessionDefinition<Data>;
  readonly browser: Browser;
}

describeWithServers("over a real MariaDB,", MARIADB_PROGRAMS, () => {
  let server: Mariadb;
  beforeAll(async () => {
    server = await startMariadb({ ...ON_DISK, "log-output": "TABLE" });
    await mysqlStore(server.pool()).createSchema();
  });
  afterAll(() => server?.stop());

  /** How many statements wait for a lock now. The tables that tell of locks stay as they are while somebody keeps asking. */
  async function waits(): Promise<number> {
    return Number(await statusOf(server, "Innodb_row_lock_current_waits"));
  }

  /** A shop and its visitor, over one connection: so each statement is prepared once at most. */
  function shop(pool: Pool, options: MysqlStoreOptions = {}): Shop {
    const clock = fakeClock(Date.now());
    const store = mysqlStore(pool, { clock, sweepInterval: false, ...options });
    // Names that no other shop has.
    const name = `w${++made}`;
    const user = defineSession<Data>({ name, store, clock });
    return { clock, store, user, browser: new Browser(user) };
  }

  /** The statements that reach the server meanwhile, each by its first word; preparing one is a "Prepare". */
  async function during(work: () => PromiseLike<unknown> | undefined): Promise<readonly string[]> {
    await server.ask("TRUNCATE mysql.general_log");
    await server.ask("SET GLOBAL general_log = 1");
    await work();
    await server.ask("SET GLOBAL general_log = 0");
    const rows = await server.ask(
      "SELECT command_type AS kind, CONVERT(argument USING utf8mb4) AS sql_text FROM mysql.general_log" +
        " WHERE argument LIKE '%coatcheck_sessions%' ORDER BY event_time",
    );
    return rows.map((row) => {
      const verb = /^\w+/.exec(String(row["sql_text"]))?.[0] ?? "";
      return row["kind"] === "Prepare" ? "Prepare" : `${row["kind"]} ${verb}`;
    });
  }

  describe.each([
    { prepare: true, how: "Execute" },
    { prepare: false, how: "Query" },
  ])("prepare: $prepare,", ({ prepare, how }) => {
    let pool: Pool;
    beforeAll(async () => {
      pool = createPool({ ...server.options, connectionLimit: 1 });
      // Each statement is prepared now.
      const { user, browser, clock } = shop(pool, { prepare });
      await browser.visit(user, (session) => session.authenticate("ada"));
      await browser.visit(user, (session) => session.set({ visits: 1 }));
      clock.advance(5 * MINUTE);
      await browser.visit(user, () => {});
      await browser.visit(user, (session) => session.destroy());
      await browser.visit(user, (session) => session.authenticate("ada"));
      await user.manager.revokeAll("ada");
    });
    afterAll(() => pool?.end());
    const all = (...verbs: readonly string[]): readonly string[] => verbs.map((verb) => `${how} ${verb}`);

    test("no statement for a request that does not look at its session", async () => {
      const { user, browser } = shop(pool, { prepare });
      await browser.visit(user, (session) => session.set({ visits: 1 }));
      expect(await during(() => browser.arrive().answer())).toEqual([]);
    });

    test("one for a request that only reads", async () => {
      const { user, browser } = shop(pool, { prepare });
      await browser.visit(user, (session) => session.set({ visits: 1 }));
      const read = (): Promise<unknown> => browser.visit(user, ({ data }) => expect(data).toEqual({ visits: 1 }));
      expect(await during(read)).toEqual(all("SELECT"));
    });

    test("two for a request that writes, one for a new session, two for a touch that is due", async () => {
      const { user, browser, clock } = shop(pool, { prepare });
      const create = (): Promise<unknown> => browser.visit(user, (session) => session.set({ visits: 1 }));
      expect(await during(create)).toEqual(all("INSERT"));
      const write = (): Promise<unknown> => browser.visit(user, (session) => session.patch({ visits: 2 }));
      expect(await during(write)).toEqual(all("SELECT", "UPDATE"));
      clock.advance(5 * MINUTE);
      expect(await during(() => browser.visit(user, () => {}))).toEqual(all("SELECT", "UPDATE"));
    });

    test("two for a sign-in with a session before it, one without; two for a sign-out", async () => {
      const { user, browser } = shop(pool, { prepare });
      await browser.visit(user, (session) => session.set({ visits: 1 }));
      const signIn = (visitor: Browser) => (): Promise<unknown> =>
        visitor.visit(user, (session) => session.authenticate("ada"));
      expect(await during(signIn(browser))).toEqual(all("SELECT", "UPDATE"));
      expect(await during(signIn(new Browser(user)))).toEqual(all("INSERT"));
      const signOut = (): Promise<unknown> => browser.visit(user, (session) => session.destroy());
      expect(await during(signOut)).toEqual(all("SELECT", "DELETE"));
    });

    test("1 + n to revoke n sessions of a subject", async () => {
      const { user } = shop(pool, { prepare });
      for (let i = 0; i < 7; i++) await new Browser(user).visit(user, (session) => session.authenticate("ada"));
      let revoked = 0;
      const statements = await during(async () => {
        revoked = await user.manager.revokeAll("ada");
      });
      expect(revoked).toBe(7);
      expect(statements).toEqual(["Query SELECT", ...Array.from({ length: 7 }, () => `${how} DELETE`)]);
    });
  });

  test("one statement a verb, whatever it comes to: created or there, ok, conflict or gone", async () => {
    const pool = server.pool({ connectionLimit: 1 });
    const store = mysqlStore(pool, { prepare: false });
    const now = Date.now();
    const call = { now };
    const record = (): StoredRecord => ({ version: `v${++made}`, expiresAt: now + 60_000, value: "{}" });
    const [first, second] = [record(), record()];
    const verbs: readonly [answer: unknown, work: () => unknown][] = [
      [true, () => store.create("one/1", first, call)],
      [false, () => store.create("one/1", record(), call)],
      ["ok", () => store.update("one/1", second, first, call)],
      ["conflict", () => store.update("one/1", record(), first, call)],
      [true, () => store.touch("one/1", now + 70_000, call)],
      [true, () => store.touch("one/1", now + 65_000, call)],
      [true, () => store.delete("one/1", call)],
      ["gone", () => store.update("one/1", record(), second, call)],
      [false, () => store.touch("one/1", now + 70_000, call)],
      [false, () => store.delete("one/1", call)],
      [undefined, () => store.read("one/1", call)],
    ];
    for (const [answer, work] of verbs) {
      let answered: unknown;
      const statements = await during(async () => {
        answered = await work();
      });
      expect([statements.length, answered]).toEqual([1, answer]);
    }
  });

  describe("when the server does not answer,", () => {
    function patientShop(options: PoolOptions = {}): Shop & { readonly pool: Pool } {
      const pool = createPool({ ...server.options, ...options });
      onTestFinished(() => pool.end().catch(() => {}));
      const store = mysqlStore(pool, { sweepInterval: false });
      const user = defineSession<Data>({ name: `w${++made}`, store, storeTimeout: 0.3 });
      return { clock: fakeClock(), store, user, pool, browser: new Browser(user) };
    }

    async function failsFor({ user, browser }: Shop): Promise<number> {
      const from = performance.now();
      await expect(browser.visit(user, ({ data }) => data)).rejects.toThrow(
        expect.objectContaining({ name: "StoreError", status: 503 }),
      );
      return performance.now() - from;
    }

    const works = ({ user, browser }: Shop) =>
      until("sessions", async () => (await browser.visit(user, ({ data }) => data))?.visits === 1);

    test("a server that was killed is a StoreError; once it is back, all works without a restart", async () => {
      const one = patientShop();
      await one.browser.visit(one.user, (session) => session.set({ visits: 1 }));
      await server.process.kill();
      for (let i = 0; i < 8; i++) expect(await failsFor(one)).toBeLessThan(600);
      await server.restart();
      await works(one);
    });

    test("a server that stands still is a StoreError within storeTimeout, for waiting requests, too; afterwards all works", async () => {
      const one = patientShop({ connectionLimit: 2 });
      await one.browser.visit(one.user, (session) => session.set({ visits: 1 }));
      server.process.pause();
      try {
        const waited = await Promise.all(Array.from({ length: 6 }, () => failsFor(one)));
        for (const ms of waited) expect(ms).toBeLessThan(600);
      } finally {
        server.process.resume();
      }
      await works(one);
    });

    test("a pool that the app keeps busy is a StoreError; what nobody waits for any more is not sent", async () => {
      const one = patientShop({ connectionLimit: 1 });
      await one.browser.visit(one.user, (session) => session.set({ visits: 1 }));
      const taken = await one.pool.getConnection();
      await taken.query("BEGIN");
      expect(await failsFor(one)).toBeLessThan(600);
      const late = new Browser(one.user);
      await expect(late.visit(one.user, (session) => session.set({ visits: 2 }))).rejects.toThrow("did not answer");
      await taken.query("COMMIT");
      const statements = await during(async () => {
        taken.release();
        await one.pool.query("SELECT 1");
      });
      expect(statements).toEqual([]);
      await works(one);
    });

    test("a connection that does not answer long after its call was given up does not keep the pool", async () => {
      const pool = server.pool({ connectionLimit: 1 });
      const store = mysqlStore(pool);
      const base = { version: "v1", expiresAt: Date.now() + 60_000, value: "{}" };
      const call = { now: Date.now() };
      await store.create("stuck/1", base, call);
      const holder = await server.pool().getConnection();
      await holder.query("BEGIN");
      await holder.query("SELECT * FROM coatcheck_sessions WHERE `key` = 'stuck/1' FOR UPDATE");
      const controller = new AbortController();
      const touched = store.touch("stuck/1", call.now + 70_000, { ...call, signal: controller.signal });
      await until("the touch waits for the lock", async () => (await waits()) > 0);
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      controller.abort(new Error("too late"));
      await expect(touched).rejects.toThrow("too late");
      vi.advanceTimersByTime(10_000);
      vi.useRealTimers();
      expect((await store.read("stuck/1", call))?.version).toBe("v1");
      await holder.query("ROLLBACK");
      holder.release();
    });

    test("a connection that is lost fails the call that it was asked, and none of those that wait for one", async () => {
      const pool = server.pool({ connectionLimit: 1 });
      const sockets: { destroy(): unknown }[] = [];
      pool.pool.on("connection", (connection) => void sockets.push(Reflect.get(connection, "stream")));
      const store = mysqlStore(pool, { sweepInterval: false });
      const call = { now: Date.now() };
      await store.create("lost/1", { version: "v1", expiresAt: call.now + 60_000, value: "{}" }, call);
      const holder = await server.pool().getConnection();
      await holder.query("BEGIN");
      await holder.query("SELECT * FROM coatcheck_sessions WHERE `key` = 'lost/1' FOR UPDATE");
      const touched = store.touch("lost/1", call.now + 70_000, call);
      const reads = Promise.all([1, 2, 3].map(() => store.read("lost/1", call)));
      await until("the touch waits for the lock", async () => (await waits()) > 0);
      sockets[0]?.destroy();
      await expect(touched).rejects.toThrow();
      expect((await reads).map((found) => found?.version)).toEqual(["v1", "v1", "v1"]);
      await holder.query("ROLLBACK");
      holder.release();
    });

    test("a call that nobody waits for when it begins is not sent at all", async () => {
      for (const client of [server.pool(), await server.pool().getConnection()]) {
        const store = mysqlStore(client);
        const record = { version: "v1", expiresAt: Date.now() + 60_000, value: "{}" };
        const call = { now: Date.now(), signal: AbortSignal.abort(new Error("too late")) };
        await expect(store.create("late/1", record, call)).rejects.toThrow("too late");
        expect(await store.read("late/1", { now: call.now })).toBeUndefined();
      }
    });
  });

  describe("locks of others:", () => {
    const now = Date.now();
    const call = { now };
    const record = (fields: Partial<StoredRecord> = {}): StoredRecord => ({
      version: `v${++made}`,
      expiresAt: now + 60_000,
      value: "{}",
      ...fields,
    });

    test("a lock that is not given within innodb_lock_wait_timeout is waited for once more", async () => {
      const pool = server.pool({ connectionLimit: 1 });
      await pool.query("SET innodb_lock_wait_timeout = 1");
      const store = mysqlStore(pool);
      const [base, next] = [record(), record()];
      await store.create("lock/1", base, call);
      const holder = await server.pool().getConnection();
      await holder.query("BEGIN");
      await holder.query("SELECT * FROM coatcheck_sessions WHERE `key` = 'lock/1' FOR UPDATE");
      const executed = async (): Promise<number> => Number(await statusOf(server, "Com_stmt_execute"));
      const before = await executed();
      const outcome = store.update("lock/1", next, base, call);
      await until("a second try", async () => (await executed()) === before + 2);
      await holder.query("COMMIT");
      holder.release();
      expect(await outcome).toBe("ok");
      expect((await store.read("lock/1", call))?.version).toBe(next.version);
    });

    test("a deadlock with a transaction of the app is tried again", async () => {
      const pool = server.pool();
      const store = mysqlStore(pool, { sweepInterval: false });
      const expiresAt = now - 3_600_000;
      for (const key of ["dead/1", "dead/2"]) await store.create(key, record({ expiresAt }), { now: expiresAt - 1 });
      const deadlocks = Number(await statusOf(server, "Innodb_deadlocks"));
      const holder = await pool.getConnection();
      await holder.query("BEGIN");
      // Who has changed more is not the one that is sacrificed.
      for (let i = 0; i < 20; i++) {
        await holder.query("INSERT INTO coatcheck_sessions VALUES (?, '', 0, NULL, '', NULL)", [`heavy/${i}`]);
      }
      await holder.query("SELECT * FROM coatcheck_sessions WHERE `key` = 'dead/2' FOR UPDATE");
      const removed = store.deleteExpired(10, call);
      await until("the sweep has one lock and wants the other", async () => (await waits()) > 0);
      await holder.query("SELECT * FROM coatcheck_sessions WHERE `key` = 'dead/1' FOR UPDATE");
      expect(Number(await statusOf(server, "Innodb_deadlocks"))).toBe(deadlocks + 1);
      await holder.query("ROLLBACK");
      holder.release();
      expect(await removed).toBe(2);
    });

    test("long transactions that only read hold nobody up", async () => {
      const pool = server.pool();
      const store = mysqlStore(pool);
      const reader = await pool.getConnection();
      await reader.query("START TRANSACTION WITH CONSISTENT SNAPSHOT");
      await reader.query("SELECT COUNT(*) FROM coatcheck_sessions");
      const base = record();
      expect(await store.create("long/1", base, call)).toBe(true);
      expect(await store.update("long/1", record(), base, call)).toBe("ok");
      expect(await store.delete("long/1", call)).toBe(true);
      await reader.query("COMMIT");
      reader.release();
    });
  });
});
