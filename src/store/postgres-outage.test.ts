import { Pool } from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ConnectedPostgres } from "../../test/servers/postgres-clients.ts";
import {
  POSTGRES_PROGRAMS,
  postgresAt,
  type PostgresServer,
  startPostgresServer,
} from "../../test/servers/postgres.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { until } from "../../test/servers/server-process.ts";
import { Browser, type Data } from "../../test/testbed.ts";
import { defineSession, type SessionDefinition, StoreError } from "../index.ts";
import { postgresStore } from "./postgres.ts";

/** As the docs have it: a connection that breaks while postgres.js asks for types is an error that nobody catches. */
const TYPELESS = { fetch_types: false };

/** Clients that do not wait for long, as the docs have them. */
const CLIENTS: Readonly<Record<string, (port: number) => ConnectedPostgres>> = {
  "pg 8, Pool"(port) {
    const client = new Pool({ ...postgresAt(port), max: 3, connectionTimeoutMillis: 1_000, query_timeout: 1_000 });
    client.on("error", () => {});
    return { client, close: () => client.end() };
  },
  "postgres.js 3"(port) {
    const client = postgres({ ...postgresAt(port), max: 3, connect_timeout: 1, backoff: () => 0.05, ...TYPELESS });
    return { client, close: () => client.end({ timeout: 1 }) };
  },
};

describeWithServers("PostgreSQL", POSTGRES_PROGRAMS, () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgresServer();
  });
  afterAll(() => server?.stop());

  describe.each(Object.entries(CLIENTS))("%s:", (_, connect) => {
    let connected: ConnectedPostgres;
    let user: SessionDefinition<Data>;
    let browser: Browser;
    beforeAll(async () => {
      connected = connect(server.port);
      const store = postgresStore(connected.client, { sweepInterval: false });
      await store.createSchema();
      user = defineSession<Data>({ name: "user", store, storeTimeout: 0.3 });
      browser = new Browser(user);
      await browser.visit(user, (session) => session.set({ visits: 1 }));
    });
    afterAll(() => connected?.close());

    const visits = (): Promise<number | undefined> => browser.visit(user, ({ data }) => data?.visits);
    const fails = async (): Promise<void> => {
      const began = performance.now();
      await expect(visits()).rejects.toThrow(StoreError);
      expect(performance.now() - began).toBeLessThan(2_000);
    };
    const recovers = (): Promise<void> => until("a request that works", async () => (await visits()) === 1);

    test("a server that stands still is a StoreError within the timeout, and all works when it goes on", async () => {
      expect(await visits()).toBe(1);
      server.pause();
      try {
        await fails();
        await fails();
      } finally {
        server.resume();
      }
      await recovers();
    });

    test("a server that is gone is a StoreError, and all works when it is back", async () => {
      expect(await visits()).toBe(1);
      await server.kill();
      await fails();
      await fails();
      await server.restart();
      await recovers();
      await browser.visit(user, (session) => session.set({ visits: 1 }));
    });

    test("a pool that somebody else has exhausted is a StoreError within the timeout", async () => {
      const { client } = connected as {
        client: { query?(text: string): Promise<unknown>; unsafe?(text: string): PromiseLike<unknown> };
      };
      const sleep = "SELECT pg_sleep(30)";
      const others = Array.from({ length: 3 }, async () => await (client.unsafe?.(sleep) ?? client.query?.(sleep)));
      const ended = Promise.allSettled(others);
      await until("three statements that sleep", async () => {
        const [row] = await server.ask("SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
        return row?.["n"] === 3;
      });
      await fails();
      await server.ask("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
      expect((await ended).map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
      expect(await visits()).toBe(1);
    });
  });
});
