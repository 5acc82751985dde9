/**
 * Stores by their URL. The driver is the user's: coatcheck carries none.
 *
 * @module
 */
import { mysqlStore } from "../store/mysql.ts";
import { postgresStore } from "../store/postgres.ts";
import { redisStore } from "../store/redis.ts";
import { sqliteStore } from "../store/sqlite.ts";
import type { SessionStore } from "../store/store.ts";
import type * as mysql2 from "mysql2/promise";
import type * as pg from "pg";
import type * as redis from "redis";
import { DriverMissing, loadDriver } from "./driver.ts";

/** A store that was opened, and can be closed. */
export interface OpenedStore {
  readonly store: SessionStore;
  /** What it is, without a password. */
  readonly description: string;
  close(): Promise<void>;
}

/** Where sessions are kept when nobody says so. */
export const DEFAULT_STORE = "sqlite:coatcheck.db";

/** How long it may take to connect, in milliseconds. */
const CONNECT = 5_000;

/** Told of what a driver says while nobody has asked it anything. */
type Tell = (line: string) => void;

/** Opens a store, one that tells of changes if `watch` says so, and sees that it answers. Rejects with an `Error` that says what to do, and has no password in it. */
export async function openStore(url: string, tell: Tell, watch = false): Promise<OpenedStore> {
  const scheme = /^[a-z]+(?=:)/.exec(url)?.[0];
  const open = scheme === undefined || !Object.hasOwn(OPENERS, scheme) ? undefined : OPENERS[scheme];
  if (open === undefined) {
    throw new Error("--store takes sqlite:PATH, redis://…, rediss://…, postgres://… or mysql://…");
  }
  if (open !== openSqlite && /^[^/]*\/\/[^/?#]*[/?#].*@/s.test(url)) {
    // The rest of the password would be taken for a path or a setting, and shown.
    throw new Error("--store: write / ? # and @ in a user, a password, a name or a setting as %2F %3F %23 and %40");
  }
  const description = described(url);
  try {
    return { description, ...(await open(url, tell, watch)) };
  } catch (error) {
    if (error instanceof DriverMissing) throw error;
    throw new Error(`The store ${description} cannot be used: ${reasonOf(error)}`, { cause: error });
  }
}

/** What to say when it cannot. */
const DEAF = "it tells of no changes; say --changes own if nobody but this server writes to it";

type Opener = (url: string, tell: Tell, watch: boolean) => Promise<Omit<OpenedStore, "description">>;

const OPENERS: Readonly<Record<string, Opener>> = {
  sqlite: openSqlite,
  redis: openRedis,
  rediss: openRedis,
  postgres: openPostgres,
  postgresql: openPostgres,
  mysql: openMysql,
};

/** The URL, for people: without user, password and settings. */
function described(url: string): string {
  if (url.startsWith("sqlite:")) return url.replace(/\?.*$/, "");
  const { protocol, host, pathname } = URL.canParse(url)
    ? new URL(url)
    : { protocol: url.replace(/:.*$/, ":"), host: "…", pathname: "" };
  return `${protocol}//${host}${pathname}`;
}

function reasonOf(error: unknown): string {
  const { message, code, errors } = error as { message?: string; code?: string; errors?: readonly unknown[] };
  // Node tries all addresses of a name, and reports that as an error without a message.
  if (errors !== undefined && errors.length > 0) return reasonOf(errors[0]);
  return message || code || String(error);
}

async function openSqlite(url: string, _: Tell, watch: boolean): Promise<Omit<OpenedStore, "description">> {
  if (watch) throw new Error(DEAF);
  const [path = "", query = ""] = url.slice("sqlite:".length).split("?");
  const settings = new URLSearchParams(query);
  const unknown = [...settings.keys()].find((name) => name !== "synchronous");
  if (unknown !== undefined) throw new Error(`sqlite: knows ?synchronous=full and no ${unknown}`);
  const synchronous = settings.get("synchronous") ?? "normal";
  const store = sqliteStore(path, { synchronous: synchronous as "normal" });
  // Opens the file: what is wrong with it is said now.
  await store.read("readyz", { now: Date.now() });
  return { store, close: async () => store.close() };
}

async function openRedis(url: string, tell: Tell, watch: boolean): Promise<Omit<OpenedStore, "description">> {
  const { createClient } = await loadDriver<typeof redis>("redis");
  let connected = false;
  const reconnectStrategy = (retries: number, cause: Error): number | Error =>
    connected ? Math.min(50 * 2 ** retries, 2_000) : cause;
  const client = createClient({
    url,
    // While Redis is away, calls fail at once: a request that waits for it helps nobody.
    disableOfflineQueue: true,
    socket: { connectTimeout: CONNECT, reconnectStrategy },
  });
  client.on("error", (error: unknown) => {
    if (connected) tell(`coatcheck: redis: ${reasonOf(error)}`);
  });
  await client.connect();
  connected = true;
  const store = redisStore(client, { watch });
  await store.read("readyz", { now: Date.now() });
  return {
    store,
    async close() {
      await store.close();
      client.destroy();
    },
  };
}

async function openPostgres(url: string, tell: Tell, watch: boolean): Promise<Omit<OpenedStore, "description">> {
  const { Pool } = await loadDriver<typeof pg>("pg");
  const pool = new Pool({ connectionString: url, connectionTimeoutMillis: CONNECT, statement_timeout: CONNECT });
  pool.on("error", (error) => tell(`coatcheck: postgres: ${reasonOf(error)}`));
  const store = postgresStore(pool, { watch });
  await closingOnFailure(() => store.createSchema(), pool);
  return {
    store,
    async close() {
      await store.close();
      await pool.end();
    },
  };
}

async function openMysql(url: string, _: Tell, watch: boolean): Promise<Omit<OpenedStore, "description">> {
  if (watch) throw new Error(DEAF);
  const { createPool } = await loadDriver<typeof mysql2>("mysql2/promise");
  const pool = createPool({ uri: url, connectTimeout: CONNECT });
  const store = mysqlStore(pool);
  await closingOnFailure(() => store.createSchema(), pool);
  return {
    store,
    async close() {
      await store.close();
      await pool.end();
    },
  };
}

async function closingOnFailure(work: () => Promise<void>, pool: { end(): Promise<void> }): Promise<void> {
  try {
    await work();
  } catch (error) {
    await pool.end();
    throw error;
  }
}
