/**
 * The SQLite databases that `sqliteStore` works with, by their shape: `node:sqlite`, better-sqlite3 and bun:sqlite.
 *
 * @module
 */
import { closeSync, constants, openSync } from "node:fs";
import { resolve } from "node:path";

/** What is bound to a statement. */
export type SqliteValue = string | number | null;

/** A prepared statement, as its driver declares it: what can be bound differs from driver to driver. */
export interface SqliteStatement {
  /** The first row as an object; undefined or null when there is none. */
  get(...values: never[]): unknown;
  /** All rows as objects. */
  all(...values: never[]): unknown[];
  run(...values: never[]): { readonly changes: number | bigint };
}

/** A prepared statement, as the store uses it: with texts, numbers and null, which all drivers bind. */
export interface BoundStatement {
  get(...values: SqliteValue[]): unknown;
  all(...values: SqliteValue[]): unknown[];
  run(...values: SqliteValue[]): { readonly changes: number | bigint; readonly lastInsertRowid?: number | bigint };
  /** `node:sqlite` has it from Node 22.16 on. */
  setReturnArrays?(arrays: boolean): void;
}

/** A database: a `DatabaseSync` of `node:sqlite`, a `Database` of better-sqlite3, a `Database` of bun:sqlite. */
export interface SqliteDatabase {
  prepare(sql: string): SqliteStatement;
  exec(sql: string): unknown;
}

/** A database that the store opened itself. */
export interface OwnDatabase extends SqliteDatabase {
  close(): void;
}

/** How the store opens a database. */
export interface OpenOptions {
  /** How long to wait for other processes, in milliseconds. */
  readonly busyTimeout: number;
  readonly synchronous: "normal" | "full";
}

interface SqliteModule {
  readonly DatabaseSync: new (path: string, options: { readonly timeout: number }) => OwnDatabase;
}

interface ProcessWithBuiltins {
  getBuiltinModule?(id: string): unknown;
}

/** Returns what opens the database at a path. Throws a `TypeError` where there is no `node:sqlite`. */
export function sqliteOpener(path: string, options: OpenOptions): () => OwnDatabase {
  const { process: running } = globalThis as { process?: ProcessWithBuiltins };
  const found = running?.getBuiltinModule?.("node:sqlite") as SqliteModule | undefined;
  if (found === undefined) {
    throw new TypeError(
      "sqliteStore: a path needs node:sqlite, which is in Node from 22.13 on (also in Bun and Deno); or give the store" +
        " a database of better-sqlite3 or bun:sqlite instead of a path",
    );
  }
  // The working directory may be another one by the time of the first call.
  const isFile = path !== ":memory:" && !path.startsWith("file:");
  const location = isFile ? resolve(path) : path;
  return () => {
    if (isFile) createPrivately(location);
    const database = new found.DatabaseSync(location, { timeout: options.busyTimeout });
    try {
      configure(database, options);
    } catch (error) {
      database.close();
      throw error;
    }
    return database;
  };
}

/** SQLite makes its other files with the permissions of the database. */
function createPrivately(path: string): void {
  closeSync(openSync(path, constants.O_CREAT | constants.O_RDWR, 0o600));
}

function configure(database: SqliteDatabase, { busyTimeout, synchronous }: OpenOptions): void {
  database.exec(`PRAGMA synchronous = ${synchronous === "full" ? "FULL" : "NORMAL"}`);
  // To change the journal mode SQLite wants the database for itself, and does not wait for that.
  const end = Date.now() + busyTimeout;
  while (!isWriteAhead(database, end)) pause(5);
}

function isWriteAhead(database: SqliteDatabase, end: number): boolean {
  try {
    database.prepare("PRAGMA journal_mode = WAL").get();
    return true;
  } catch (error) {
    if (isBusy(error) && Date.now() < end) return false;
    if (isReadOnly(error)) return true;
    throw error;
  }
}

function isBusy(error: unknown): boolean {
  return /locked|busy/i.test(String(error));
}

function isReadOnly(error: unknown): boolean {
  return /readonly/i.test(String(error));
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
