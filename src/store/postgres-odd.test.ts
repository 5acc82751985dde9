import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type ConnectedPostgres, POSTGRES_CLIENTS } from "../../test/servers/postgres-clients.ts";
import { POSTGRES_PROGRAMS, type PostgresServer, startPostgresServer } from "../../test/servers/postgres.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { keysOf } from "../testing/store-kit.ts";
import { type PostgresStore, postgresStore } from "./postgres.ts";
import type { StoredRecord } from "./store.ts";

const NOW = Date.now();
const call = { now: NOW };
let made = 0;
const record = (fields: Partial<StoredRecord> = {}): StoredRecord => ({
  version: `v${++made}`,
  expiresAt: NOW + 60_000,
  value: '{"a":1}',
  ...fields,
});

describeWithServers("postgresStore and what else may be in PostgreSQL:", POSTGRES_PROGRAMS, () => {
  let server: PostgresServer;
  let connected: ConnectedPostgres;
  beforeAll(async () => {
    server = await startPostgresServer();
    connected = await POSTGRES_CLIENTS["pg 8, Client"]!(server.port);
  });
  afterAll(async () => {
    await connected?.close();
    await server?.stop();
  });

  /** A table of its own, for a test. */
  async function fresh(): Promise<{ readonly table: string; readonly store: PostgresStore }> {
    const table = `t${++made}`;
    const store = postgresStore(connected.client, { table, sweepInterval: false });
    await store.createSchema();
    return { table, store };
  }

  test("a row that somebody else has written comes back as text, and can be deleted", async () => {
    const { table, store } = await fresh();
    const rows = {
      blob: ["1", 9e15, "\u0001no JSON", null],
      nan: ["1", "NaN", "{}", null],
      long: ["1", 9e15, "{}", "]"],
    };
    for (const [key, values] of Object.entries(rows)) {
      await server.ask(`INSERT INTO ${table} (key, version, expires_at, value, long) VALUES ($1, $2, $3, $4, $5)`, [
        `n/${key}`,
        ...values,
      ]);
    }
    expect((await store.read("n/blob", call))?.value).toBe("\u0001no JSON");
    expect((await store.read("n/nan", call))?.expiresAt).toBeGreaterThan(NOW);
    expect((await store.read("n/long", call))?.value).toBe("{}");
    expect((await store.list("n/", { limit: 9 }, call)).records.map(({ key }) => key)).toEqual([
      "n/blob",
      "n/long",
      "n/nan",
    ]);
    for (const key of Object.keys(rows)) expect(await store.delete(`n/${key}`, call)).toBe(true);
  });

  test("keys and subjects may be longer than an index takes", async () => {
    const { store } = await fresh();
    const noise = (): string => randomBytes(9_000).toString("base64");
    const [first, other, subject] = [`n/${noise()}\0`, `n/${noise()}😀`, `n/${noise()}`];
    const kept = record({ subject });
    await store.create(first, kept, call);
    await store.create(other, record({ subject: `${subject}x` }), call);
    expect(await store.create(first, record(), call)).toBe(false);
    expect(await store.read(first, call)).toEqual(kept);
    expect(await keysOf(store.listBySubject(subject, call))).toEqual([first]);
    const page = await store.list("n/", { limit: 9 }, call);
    expect(page.records.map(({ key }) => key).toSorted()).toEqual([first, other].toSorted());
    expect(await store.count("n/", call)).toBe(2);
    expect(await store.count("", call)).toBe(2);
    expect(await store.count(first, call)).toBe(1);
    expect(await store.update(first, record({ subject: "short" }), kept, call)).toBe("ok");
    expect((await store.read(first, call))?.subject).toBe("short");
    expect(await store.deleteBySubject("short", {}, call)).toEqual([first]);
  });

  test("a list of half a thousand keys is in the order of their characters, in pages", async () => {
    const { table, store } = await fresh();
    await server.ask(
      `INSERT INTO ${table} SELECT 'many/' || lpad(i::text, 4, '0'), '1', $1, 's', '{}' FROM generate_series(0, 449) i`,
      [NOW + 60_000],
    );
    const keys = Array.from({ length: 450 }, (_, i) => `many/${String(i).padStart(4, "0")}`);
    expect(await keysOf(store.listBySubject("s", call))).toEqual(keys);
    const first = await store.list("many/", { limit: 400 }, call);
    const second = await store.list("many/", { limit: 400, cursor: first.cursor }, call);
    expect([...first.records, ...second.records].map(({ key }) => key)).toEqual(keys);
    expect(second.cursor).toBeUndefined();
  });

  test("a cursor that somebody made up, with what PostgreSQL does not keep in it, begins anew", async () => {
    const { store } = await fresh();
    await store.create("n/1", record(), call);
    const cursor = Buffer.from("n/\0").toString("base64url");
    expect((await store.list("n/", { limit: 9, cursor }, call)).records.map(({ key }) => key)).toEqual(["n/1"]);
  });

  test("two copies of this module may share a connection, as bundlers and reloading make them", async () => {
    const { table, store } = await fresh();
    await store.create("n/1", record(), call);
    vi.resetModules();
    const copy = await import("./postgres.ts");
    expect(copy.postgresStore).not.toBe(postgresStore);
    const other = copy.postgresStore(connected.client, { table, sweepInterval: false });
    expect(await other.read("n/1", call)).toBeDefined();
    expect(await other.delete("n/1", call)).toBe(true);
    expect(await store.read("n/1", call)).toBeUndefined();
  });
});
