import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ConnectedPostgres, pglite, POSTGRES_CLIENTS } from "../../test/servers/postgres-clients.ts";
import { POSTGRES_PROGRAMS, type PostgresServer, startPostgresServer } from "../../test/servers/postgres.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { until } from "../../test/servers/server-process.ts";
import { fakeClock, type FakeClock } from "../testing/fake-clock.ts";
import { changeFeed, type FeedConnect } from "./change-feed.ts";
import { pgPoolListening } from "./postgres-listening.ts";
import { type PostgresClient, type PostgresStore, postgresStore } from "./postgres.ts";
import { type StoreChange, type StoredRecord, WATCH_SILENCE } from "./store.ts";

const NOW = Date.now();
const call = { now: NOW };
let made = 0;
const record = (fields: Partial<StoredRecord> = {}): StoredRecord => ({
  version: `v${++made}`,
  expiresAt: NOW + 60_000,
  value: "{}",
  ...fields,
});

/** What a watcher heard, in order: keys, `+` for restored, `-` for lost. */
interface Watching {
  readonly heard: string[];
  /** What was told with each key. */
  readonly changes: (StoreChange | undefined)[];
  readonly store: PostgresStore;
  readonly clock: FakeClock;
  readonly end: () => void;
}

const isUp = ({ heard }: Watching): boolean => heard.findLast((text) => text === "+" || text === "-") === "+";

/** Waits until a watcher has heard something. */
const hears = ({ heard }: Watching, text: string): Promise<void> =>
  until(`hearing ${text.slice(0, 20)}`, async () => heard.includes(text));

async function watching(client: PostgresClient, table: string): Promise<Watching> {
  const clock = fakeClock();
  const store = postgresStore(client, { table, watch: true, clock, sweepInterval: false });
  const heard: string[] = [];
  const changes: Watching["changes"] = [];
  const listener = (key: string, change?: StoreChange): void => {
    heard.push(key);
    changes.push(change);
  };
  const end = store.watch!(listener, { restored: () => void heard.push("+"), lost: () => void heard.push("-") });
  const found = { heard, changes, store, clock, end };
  await until("a connection that listens", async () => isUp(found));
  return found;
}

const changes = (store: PostgresStore): Record<string, () => Promise<unknown>> => ({
  async updated() {
    const base = record();
    await store.create("n/updated", base, call);
    expect(await store.update("n/updated", record(), base, call)).toBe("ok");
  },
  async touched() {
    await store.create("n/touched", record(), call);
    await store.touch("n/touched", NOW + 90_000, call);
  },
  async deleted() {
    await store.create("n/deleted😀\0", record(), call);
    await store.delete("n/deleted😀\0", call);
  },
  async revoked() {
    for (const i of [1, 2]) await store.create(`n/revoked${i}`, record({ subject: "s" }), call);
    await store.deleteBySubject("s", {}, call);
  },
});

const ALL = ["n/updated", "n/touched", "n/deleted😀\0", "n/revoked1", "n/revoked2"];

function feeds(title: string, connect: () => Promise<ConnectedPostgres>, isServer: boolean): void {
  describe(title, () => {
    const table = `w${++made}`;
    let connected: ConnectedPostgres;
    /** The connection of somebody else, where there can be one. */
    let other: ConnectedPostgres;
    let writer: PostgresStore;
    beforeAll(async () => {
      connected = await connect();
      other = isServer ? await connect() : connected;
      writer = postgresStore(other.client, { table, watch: true, sweepInterval: false });
      await writer.createSchema();
    });
    afterAll(async () => {
      await connected?.close();
      if (isServer) await other?.close();
    });

    test("keys that another process has changed or deleted are told, and no others", async () => {
      const watcher = await watching(connected.client, table);
      const quiet = postgresStore(other.client, { table, sweepInterval: false });
      expect(quiet.watch).toBeUndefined();
      await quiet.create("n/quiet", record(), call);
      await quiet.delete("n/quiet", call);
      for (const change of Object.values(changes(writer))) await change();
      expect(await writer.update("n/none", record(), record(), call)).toBe("gone");
      await hears(watcher, "n/revoked2");
      expect(watcher.heard.slice(1)).toEqual(ALL);
      await watcher.store.close();
    });

    test("versions of what was written are told, but for very long ones", async () => {
      const watcher = await watching(connected.client, table);
      const [odd, long] = ['\u0001["\0\ud800😀\t', "\u0001".repeat(3_000)];
      const longest = `n/${"\u0001".repeat(150)}`;
      for (const key of ["n/versioned", longest]) {
        const records = [record(), record({ version: odd }), record({ version: long })] as const;
        await writer.create(key, records[0], call);
        await writer.update(key, records[1], records[0], call);
        await writer.touch(key, NOW + 90_000, call);
        await writer.update(key, records[2], records[1], call);
        await writer.delete(key, call);
        await until("hearing all", async () => watcher.changes.length === 4);
        expect(watcher.changes).toEqual([{ version: odd }, { version: odd }, undefined, undefined]);
        expect(watcher.heard.splice(1)).toEqual([key, key, key, key]);
        watcher.changes.length = 0;
      }
      await watcher.store.close();
    });

    test("a key too long to be told of is a gap", async () => {
      const watcher = await watching(connected.client, table);
      const long = `n/${"😀".repeat(5_000)}`;
      await writer.create(long, record(), call);
      await writer.delete(long, call);
      await hears(watcher, "-");
      expect(watcher.heard).toEqual(["+", "-", "+"]);
      await watcher.store.close();
    });

    test("what a server of before told is understood: a key alone", async () => {
      const watcher = await watching(connected.client, table);
      const notify = (payload: string): unknown =>
        (connected.client as { query(text: string, values: readonly string[]): unknown }).query(
          "SELECT pg_notify($1, $2)",
          [table, payload],
        );
      const unsafe = (connected.client as { unsafe?(text: string): unknown }).unsafe;
      if (unsafe === undefined) await notify("n/[1");
      else await unsafe.call(connected.client, `SELECT pg_notify('${table}', 'n/[1')`);
      await hears(watcher, "n/[1");
      expect(watcher.changes).toEqual([undefined]);
      await watcher.store.close();
    });

    test("several can watch; who has ended it hears nothing more", async () => {
      const watcher = await watching(connected.client, table);
      const keys: string[] = [];
      const signs: string[] = [];
      const end = watcher.store.watch!((key) => void keys.push(key), { restored: () => void signs.push("+") });
      await until("being told that it is up", async () => signs.length === 1);
      watcher.end();
      watcher.end();
      await changes(writer)["touched"]!();
      await until("hearing it", async () => keys.length > 0);
      await writer.delete("n/touched", call);
      expect(watcher.heard).toEqual(["+"]);
      end();
      // And again, over a new connection.
      const again = await watching(connected.client, table);
      await again.store.close();
      await watcher.store.close();
    });
  });
}

describeWithServers("PostgreSQL", POSTGRES_PROGRAMS, () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgresServer();
  });
  afterAll(() => server?.stop());

  for (const [name, connect] of Object.entries(POSTGRES_CLIENTS)) feeds(`${name}:`, () => connect(server.port), true);

  describe.each(["pg 8, Pool", "postgres.js 3"])("what is lost, with %s:", (name) => {
    let connected: ConnectedPostgres;
    let watcher: Watching;
    const table = `l${++made}`;
    const changed = async (): Promise<void> => {
      const key = `n/${++made}`;
      await watcher.store.create(key, record(), call);
      await watcher.store.delete(key, call);
      await hears(watcher, key);
    };
    /** Lets time pass until the connection is there again. */
    const restored = (): Promise<void> =>
      until("a connection that listens", async () => {
        if (!isUp(watcher)) watcher.clock.advance(50);
        return isUp(watcher);
      });
    beforeAll(async () => {
      connected = await POSTGRES_CLIENTS[name]!(server.port);
      await postgresStore(connected.client, { table }).createSchema();
      watcher = await watching(connected.client, table);
    });
    afterAll(async () => {
      await watcher?.store.close();
      await connected?.close();
    });

    test("a connection that is cut is told of, and so is that it is there again", async () => {
      await changed();
      const before = watcher.heard.length;
      await server.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'listen%' OR query = 'SELECT 1'",
      );
      await until("hearing of it", async () => watcher.heard.slice(before).includes("-"));
      await restored();
      await changed();
      expect(watcher.heard.filter((text) => text === "-").length).toBe(1);
    });

    test("a server that went silent is told of before a copy is too old", async () => {
      expect(isUp(watcher)).toBe(true);
      server.pause();
      try {
        let waited = 0;
        while (isUp(watcher) && waited < WATCH_SILENCE) {
          watcher.clock.advance(500);
          waited += 500;
          await new Promise((resolve) => {
            setTimeout(resolve, 1);
          });
        }
        expect(isUp(watcher)).toBe(false);
      } finally {
        server.resume();
      }
      await restored();
      await changed();
    });

    test("a server that was killed, and is back", async () => {
      await server.kill();
      await until("hearing of it", async () => {
        watcher.clock.advance(50);
        return !isUp(watcher);
      });
      await server.restart();
      await restored();
      await changed();
    });
  });
});

describeWithServers("PostgreSQL", POSTGRES_PROGRAMS, () => {
  let server: PostgresServer;
  let connected: ConnectedPostgres;
  beforeAll(async () => {
    server = await startPostgresServer();
    connected = await POSTGRES_CLIENTS["pg 8, Pool"]!(server.port);
  });
  afterAll(async () => {
    await connected?.close();
    await server?.stop();
  });

  test("what is missed before the connection is known to be there is no gap: that begins and ends in turns", async () => {
    const writer = postgresStore(connected.client, { table: "early", watch: true, sweepInterval: false });
    await writer.createSchema();
    const connect: FeedConnect = async (listener) => {
      const found = await pgPoolListening(connected.client)("early", listener);
      const ping = async (): Promise<void> => {
        const key = `n/${"x".repeat(2_000)}`;
        await writer.create(key, record(), call);
        await writer.delete(key, call);
        await found.ping();
      };
      return { ...found, ping };
    };
    const heard: string[] = [];
    const feed = changeFeed({ connect, clock: fakeClock(), changeIn: () => undefined });
    feed.watch(() => {}, { restored: () => void heard.push("+"), lost: () => void heard.push("-") });
    await until("a connection that listens", async () => heard.includes("+"));
    feed.close();
    expect(heard).toEqual(["+"]);
  });
});

feeds("PGlite:", pglite, false);
