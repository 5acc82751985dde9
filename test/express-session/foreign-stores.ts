/**
 * The stores for express-session that people use most, over real servers and files.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import connectPg from "connect-pg-simple";
import { RedisStore } from "connect-redis";
import type * as original from "express-session";
import createMemoryStore from "memorystore";
import { createClient } from "redis";
import sessionFileStore from "session-file-store";
import type { ExpressStore } from "../../src/adapter/express-session.ts";
import { startRedis, REDIS_PROGRAMS } from "../servers/redis.ts";
import { POSTGRES_PROGRAMS, startPostgres } from "../servers/postgres.ts";

/** Express-session itself. */
export const originalSession: typeof original.default = createRequire(import.meta.url)("express-session") as never;

/** Somewhere to keep sessions. */
export interface ForeignPlace {
  /** A store over it: each has a connection, or a memory, of its own where the kind of store has one. */
  open(): Promise<ExpressStore>;
  stop(): Promise<void>;
}

/** A kind of store. */
export interface ForeignKind {
  readonly name: string;
  /** The programs that it needs. */
  readonly programs: readonly string[];
  /** Whether two stores see each other's sessions. */
  readonly shared: boolean;
  start(): Promise<ForeignPlace>;
}

/** All of them. */
export const FOREIGN_KINDS: readonly ForeignKind[] = [
  { name: "connect-redis", programs: REDIS_PROGRAMS, shared: true, start: redis },
  { name: "connect-pg-simple", programs: POSTGRES_PROGRAMS, shared: true, start: postgres },
  { name: "session-file-store", programs: [], shared: true, start: files },
  { name: "memorystore", programs: [], shared: false, start: async () => inMemory(() => new Bounded({})) },
  {
    name: "MemoryStore",
    programs: [],
    shared: false,
    start: async () => inMemory(() => new originalSession.MemoryStore()),
  },
];

const Bounded = createMemoryStore(originalSession);

function inMemory(open: () => unknown): ForeignPlace {
  return { open: async () => open() as ExpressStore, stop: async () => {} };
}

async function redis(): Promise<ForeignPlace> {
  const server = await startRedis();
  const clients: { destroy(): void }[] = [];
  return {
    async open() {
      const client = createClient({ url: `redis://127.0.0.1:${server.port}` });
      client.on("error", () => {});
      clients.push(client);
      await client.connect();
      return new RedisStore({ client });
    },
    async stop() {
      for (const client of clients) client.destroy();
      await server.stop();
    },
  };
}

async function postgres(): Promise<ForeignPlace> {
  const server = await startPostgres();
  const PgStore = connectPg(originalSession);
  const { pool } = server;
  await pool.query(
    `CREATE TABLE "session" ("sid" varchar NOT NULL PRIMARY KEY, "sess" json NOT NULL, "expire" timestamp(6) NOT NULL)`,
  );
  return { open: async () => new PgStore({ pool, pruneSessionInterval: false }), stop: server.stop };
}

async function files(): Promise<ForeignPlace> {
  const path = mkdtempSync(join(tmpdir(), "coatcheck-files-"));
  const FileStore = sessionFileStore(originalSession);
  return {
    open: async () => new FileStore({ path, retries: 0, reapInterval: -1, logFn: () => {} }),
    stop: async () => rmSync(path, { recursive: true, force: true }),
  };
}
