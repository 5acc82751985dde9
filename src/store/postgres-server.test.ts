import { Client } from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ConnectedPostgres, POSTGRES_CLIENTS } from "../../test/servers/postgres-clients.ts";
import {
  POSTGRES_PROGRAMS,
  postgresAt,
  type PostgresServer,
  startPostgresServer,
} from "../../test/servers/postgres.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { until } from "../../test/servers/server-process.ts";
import { Browser, type Data, MINUTE } from "../../test/testbed.ts";
import { defineSession, type SessionDefinition } from "../index.ts";
import { fakeClock, type FakeClock } from "../testing/fake-clock.ts";
import { type PostgresClient, type PostgresStore, postgresStore } from "./postgres.ts";
import { EXPIRED_FOR, type ExpiredRecord, type StoredRecord } from "./store.ts";

const NOW = Date.now();
const call = { now: NOW };
let made = 0;
const record = (fields: Partial<StoredRecord> = {}): StoredRecord => ({
  version: `v${++made}`,
  expiresAt: NOW + 60_000,
  value: '{"a":1}',
  ...fields,
});

let server: PostgresServer;

/** A table of its own, for a test. */
async function tableOf(client: PostgresClient): Promise<{ readonly table: string; readonly store: PostgresStore }> {
  const table = `t${++made}`;
  const store = postgresStore(client, { table, sweepInterval: false });
  await store.createSchema();
  return { table, store };
}

/** The statements that ran meanwhile, by their first word. */
async function during(work: () => Promise<unknown>): Promise<readonly string[]> {
  const before = server.output().length;
  await work();
  const ran = server
    .output()
    .slice(before)
    .matchAll(/LOG: {2}(?:execute [^:]+|statement): (\w+)/g);
  return [...ran].map(([, word = ""]) => word);
}

/** Waits until a statement of somebody waits for a lock. */
async function blocked(): Promise<void> {
  await until("a statement that waits", async () => {
    const [row] = await server.ask("SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
    return row?.["n"] === 1;
  });
}

/** A transaction of somebody else. */
async function transaction(work: (outside: Client) => Promise<void>): Promise<void> {
  const outside = new Client(postgresAt(server.port));
  await outside.connect();
  try {
    await outside.query("BEGIN");
    await work(outside);
  } finally {
    await outside.end();
  }
}

describeWithServers("PostgreSQL", POSTGRES_PROGRAMS, () => {
  const connected: ConnectedPostgres[] = [];
  const connect = async (name: string): Promise<PostgresClient> => {
    const found = await POSTGRES_CLIENTS[name]!(server.port);
    connected.push(found);
    return found.client;
  };
  let pool: PostgresClient;
  beforeAll(async () => {
    server = await startPostgresServer({ log_statement: "all", deadlock_timeout: "300ms" });
    pool = await connect("pg 8, Pool");
  });
  afterAll(async () => {
    await Promise.all(connected.map(({ close }) => close()));
    await server?.stop();
  });

  describe.each(Object.keys(POSTGRES_CLIENTS))("one statement a verb, with %s:", (name) => {
    interface Shop {
      readonly clock: FakeClock;
      readonly user: SessionDefinition<Data>;
      readonly browser: Browser;
    }
    let client: PostgresClient;
    const shop = async (): Promise<Shop> => {
      client ??= await connect(name);
      const clock = fakeClock();
      const user = defineSession<Data>({ name: "user", store: (await tableOf(client)).store, clock });
      const browser = new Browser(user);
      await browser.visit(user, (session) => session.set({ visits: 1 }));
      return { clock, user, browser };
    };

    test("none for a request that does not look at its session, one for one that reads, two for one that writes", async () => {
      const { user, browser } = await shop();
      expect(await during(() => browser.arrive().answer())).toEqual([]);
      expect(await during(() => browser.visit(user, ({ data }) => expect(data).toEqual({ visits: 1 })))).toEqual([
        "SELECT",
      ]);
      // The update is a WITH: its answer tells a conflict from a session that is gone.
      expect(await during(() => browser.visit(user, (session) => session.patch({ visits: 2 })))).toEqual([
        "SELECT",
        "WITH",
      ]);
    });

    test("one for a new session, two for a touch that is due, two for a sign-out", async () => {
      const { user, browser, clock } = await shop();
      const fresh = new Browser(user);
      expect(await during(() => fresh.visit(user, (session) => session.set({ visits: 1 })))).toEqual(["INSERT"]);
      clock.advance(5 * MINUTE);
      expect(await during(() => browser.visit(user, () => {}))).toEqual(["SELECT", "UPDATE"]);
      expect(await during(() => browser.visit(user, (session) => session.destroy()))).toEqual(["SELECT", "DELETE"]);
    });

    test("one to revoke all sessions of a subject", async () => {
      const { user } = await shop();
      for (let i = 0; i < 3; i++) await new Browser(user).visit(user, (session) => session.authenticate("ada"));
      expect(await during(() => user.manager.revokeAll("ada"))).toEqual(["DELETE"]);
      expect(await user.manager.count()).toBe(1);
    });
  });

  describe("a statement that meets another transaction", () => {
    const outcomeAfter = async (change: string): Promise<unknown> => {
      const { table, store } = await tableOf(pool);
      const base = record();
      await store.create("user/1", base, call);
      let outcome: unknown;
      await transaction(async (outside) => {
        await outside.query(change.replace("TABLE", table));
        const updating = Promise.resolve(store.update("user/1", record(), base, call));
        await blocked();
        await outside.query("COMMIT");
        outcome = await updating;
      });
      return outcome;
    };

    test.each([
      ["P12: a conflict, when that changes the record", "UPDATE TABLE SET version = 'other'", ["conflict"]],
      ["P14: never done, when that deletes the record", "DELETE FROM TABLE", ["conflict", "gone"]],
      ["P14: never done, when that lets it expire", "UPDATE TABLE SET expires_at = 0", ["conflict", "gone"]],
      ["done, when that touches the record", "UPDATE TABLE SET expires_at = expires_at + 1", ["ok"]],
    ])("waits for it, and is %s", async (_, change, allowed) => {
      expect(allowed).toContain(await outcomeAfter(change));
    });

    test("is tried again when a deadlock has undone it", async () => {
      const { table, store } = await tableOf(pool);
      for (const key of ["a", "b"]) await store.create(key, record({ subject: "s" }), call);
      const ran = await during(() =>
        transaction(async (outside) => {
          await outside.query("SET deadlock_timeout = '1min'");
          await outside.query(`SELECT 1 FROM ${table} WHERE key = 'b' FOR UPDATE`);
          const deleting = Promise.resolve(store.deleteBySubject("s", {}, call));
          await blocked();
          await outside.query(`SELECT 1 FROM ${table} WHERE key = 'a' FOR UPDATE`);
          await outside.query("COMMIT");
          expect(await deleting).toEqual(["a", "b"]);
        }),
      );
      expect(ran.filter((word) => word === "DELETE")).toHaveLength(2);
    });

    test("is tried again when it could not be serialized", async () => {
      const { table, store: plain } = await tableOf(pool);
      const base = record();
      await plain.create("user/1", base, call);
      await server.ask("ALTER ROLE test SET default_transaction_isolation = 'repeatable read'");
      const store = postgresStore(await connect("pg 8, Client"), { table });
      await server.ask("ALTER ROLE test RESET default_transaction_isolation");
      await transaction(async (outside) => {
        await outside.query(`UPDATE ${table} SET version = 'other'`);
        const updating = Promise.resolve(store.update("user/1", record(), base, call));
        await blocked();
        await outside.query("COMMIT");
        expect(await updating).toBe("conflict");
      });
    });

    test("stops waiting when nobody waits for it", async () => {
      const { table, store } = await tableOf(pool);
      await store.create("user/1", record(), call);
      await transaction(async (outside) => {
        await outside.query(`SELECT 1 FROM ${table} FOR UPDATE`);
        const controller = new AbortController();
        const deleting = Promise.resolve(store.delete("user/1", { ...call, signal: controller.signal }));
        await blocked();
        controller.abort(new Error("too late"));
        await expect(deleting).rejects.toThrow("too late");
      });
    });
  });

  describe("sweeping", () => {
    const DUE = { now: NOW + EXPIRED_FOR + 60_000 };
    const filled = async (
      rows: number,
    ): Promise<{ readonly table: string; readonly stores: readonly PostgresStore[] }> => {
      const { table, store } = await tableOf(pool);
      const other = postgresStore(await connect("postgres.js 3"), { table, sweepInterval: false });
      await server.ask(
        `INSERT INTO ${table} SELECT 'n/' || i, '1', $1::float8 + i, 'n/s', '{}' FROM generate_series(1, ${rows}) i`,
        [NOW],
      );
      return { table, stores: [store, other] };
    };

    test("is done by one process at a time, and each record told of once, before it goes", async () => {
      const { table, stores } = await filled(1_300);
      const told: ExpiredRecord[] = [];
      for (const store of stores) store.onExpired((expired) => void told.push(expired));
      let removed = 0;
      const ran = await during(async () => {
        for (let round = 0; round < 3; round++) {
          const counts = await Promise.all(stores.map((store) => store.deleteExpired(10_000, DUE)));
          removed += counts.reduce((sum, count) => sum + count, 0);
        }
      });
      expect(removed).toBe(1_300);
      expect(new Set(told.map(({ key }) => key)).size).toBe(1_300);
      expect(told).toHaveLength(1_300);
      expect(new Set(told.map(({ subject }) => subject))).toEqual(new Set(["n/s"]));
      expect(ran.filter((word) => word === "DELETE").length, "batches").toBe(3);
      expect(await server.ask(`SELECT 1 FROM ${table}`)).toEqual([]);
    });

    test("is left to the process that is at it, for a minute at most", async () => {
      const { table, stores } = await filled(3);
      const [store] = stores as [PostgresStore];
      const leased = (time: string): Promise<unknown> =>
        server.ask(
          `UPDATE ${table}_schema SET sweeper = 'other', sweeps_until = clock_timestamp() + interval '${time}'`,
        );
      await leased("50 seconds");
      expect(await store.deleteExpired(10, DUE)).toBe(0);
      await leased("-1 second");
      expect(await store.deleteExpired(1, DUE)).toBe(1);
      // By a clock that was ahead, before it was put right.
      await leased("1 day");
      expect(await store.deleteExpired(10, DUE)).toBe(2);
    });

    test("leaves what a long transaction has locked to the next sweep, and does not wait for it", async () => {
      const { table, stores } = await filled(3);
      const [store] = stores as [PostgresStore];
      await transaction(async (outside) => {
        await outside.query(`SELECT 1 FROM ${table} WHERE key = 'n/2' FOR UPDATE`);
        expect(await store.deleteExpired(10, DUE)).toBe(2);
      });
      expect(await store.deleteExpired(10, DUE)).toBe(1);
    });
  });

  describe("the tables", () => {
    test("are made by ten processes at once, and a second time nothing happens", async () => {
      const clients = await Promise.all(Array.from({ length: 10 }, () => connect("pg 8, Client")));
      for (let round = 0; round < 3; round++) {
        const stores = clients.map((client) => postgresStore(client, { table: `race_${round}` }));
        await Promise.all(stores.map((store) => store.createSchema()));
        await stores[0]!.createSchema();
        expect(await stores[9]!.create("k", record(), call)).toBe(true);
      }
    });

    test("are made by schemaSql(), in a schema of their own, under a name that is a word of SQL", async () => {
      await server.ask("CREATE SCHEMA shop");
      const store = postgresStore(pool, { table: "shop.Order", sweepInterval: false });
      const [first] = await server.ask("SELECT count(*)::int AS n FROM pg_class");
      await server.ask(store.schemaSql());
      await server.ask(store.schemaSql());
      await store.createSchema();
      const [second] = await server.ask("SELECT count(*)::int AS n FROM pg_class");
      expect(Number(second?.["n"])).toBeGreaterThan(Number(first?.["n"]));
      expect(await store.create("k", record(), call)).toBe(true);
      expect(await server.ask('SELECT key FROM shop."Order"')).toEqual([{ key: "k" }]);
    });

    test("in a database that cannot keep every text are refused", async () => {
      await server.ask("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
      const client = new Client({ ...postgresAt(server.port), database: "latin" });
      await client.connect();
      await expect(postgresStore(client).createSchema()).rejects.toThrow(/UTF-8.*LATIN1/);
      await client.end();
    });

    test("that are missing are an error that says what to do", async () => {
      const store = postgresStore(pool, { table: "nowhere" });
      const reading = Promise.resolve(store.read("secret/key", call));
      await expect(reading).rejects.toThrow(/no table nowhere.*createSchema\(\).*schemaSql\(\)/);
      await expect(reading).rejects.not.toThrow("secret");
    });

    test("of a newer version are refused, and need no right to make any", async () => {
      const { table, store } = await tableOf(pool);
      await server.ask(`UPDATE ${table}_schema SET version = 2`);
      await expect(store.createSchema()).rejects.toThrow(/version 2.*version 1 only/);
    });

    test("can be checked by a role that may not make any", async () => {
      const { table } = await tableOf(pool);
      await server.ask("CREATE ROLE guest LOGIN");
      await server.ask(`GRANT ALL ON ${table}, ${table}_schema TO guest`);
      const guest = new Client({ ...postgresAt(server.port), user: "guest" });
      await guest.connect();
      const store = postgresStore(guest, { table });
      await store.createSchema();
      expect(await store.create("k", record(), call)).toBe(true);
      await guest.end();
    });
  });
});

describe("postgresStore refuses", () => {
  const client: PostgresClient = { query: () => undefined, on: () => undefined };
  test.each([
    ["postgresStore", undefined, {}],
    ["postgresStore", {}, {}],
    ["postgresStore", "postgres://localhost", {}],
    ["transform.row", postgres({ transform: { row: (row: object) => ({ ...row }) } }), {}],
    ["table", client, { table: "" }],
    ["table", client, { table: "a-b" }],
    ["table", client, { table: "a.b.c" }],
    ["table", client, { table: "x".repeat(51) }],
    ["table", client, { table: 'x"; DROP TABLE users; --' }],
    ["watch", client, { watch: 1 }],
    ["prepare", client, { prepare: "no" }],
    ["sweepInterval", client, { sweepInterval: "never" }],
    ["tabel is not an option", client, { tabel: "x" }],
  ])("a bad %s by name (%#)", (option, source, options) => {
    const make = (): unknown => postgresStore(source as PostgresClient, options as object);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(option);
  });
});
