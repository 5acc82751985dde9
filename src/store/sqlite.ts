/**
 * Sessions in a SQLite database: `coatcheck/store/sqlite`.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { type Duration, milliseconds } from "../internal/duration.ts";
import { sqlStore } from "./sql.ts";
import { type OwnDatabase, type SqliteDatabase, sqliteOpener } from "./sqlite-client.ts";
import { sqliteQueries } from "./sqlite-queries.ts";
import { prepareSchema } from "./sqlite-schema.ts";
import { type Statements, statementsFor } from "./sqlite-statements.ts";
import type { SessionStore } from "./store.ts";

export type { SqliteDatabase, SqliteStatement, SqliteValue } from "./sqlite-client.ts";

/** Options of {@link sqliteStore}. */
export interface SqliteStoreOptions {
  /** The name of the table: letters, digits and `_`. Default `"coatcheck_sessions"`. */
  readonly table?: string | undefined;
  /**
   * With a path: `"full"` waits until every write is on the medium; after a power failure `"normal"`, the default, may have
   * lost the last writes, but is whole.
   */
  readonly synchronous?: "normal" | "full" | undefined;
  /** With a path: how long a call may wait for another process, in seconds or as a text. Default 2 seconds. */
  readonly busyTimeout?: Duration | undefined;
  /** How often expired sessions are swept, in seconds or as `"10m"`; false for never. Default one minute. */
  readonly sweepInterval?: Duration | false | undefined;
  /** For tests: where the sweeper gets its time from. Default: the clock of the machine. */
  readonly clock?: Clock | undefined;
}

/** A {@link SessionStore} with every capability except `watch`. */
export type SqliteStore = Required<Omit<SessionStore, "watch" | "cachedFor">>;

/**
 * Keeps sessions in SQLite, for any number of processes on one machine. Synchronous: while another process writes, a call
 * waits for it, and with it the process. Every verb is one statement that commits by itself.
 *
 * A path is opened by `node:sqlite` at the first call, in WAL mode; the file is made with mode 0600. A database of the
 * app's own (`node:sqlite`, better-sqlite3, bun:sqlite) is used as it is set up: give the store a connection of its own,
 * so that it does not take part in the app's transactions. The tables are made at the first call. A process remembers in
 * which row a session is that it has made or read, in 16 MiB at most.
 *
 * Throws a `TypeError` for options that cannot work, and for a path where there is no `node:sqlite`.
 *
 * @example
 * const store = sqliteStore("sessions.db");
 */
export function sqliteStore(source: string | SqliteDatabase, options: SqliteStoreOptions = {}): SqliteStore {
  const table = tableName(options.table ?? "coatcheck_sessions");
  const connection = connect(source, table, options);
  const store = sqlStore({
    name: "sqliteStore",
    queries: sqliteQueries(connection.statements),
    longest: Infinity,
    sweepInterval: options.sweepInterval,
    clock: options.clock,
  });
  return {
    ...store,
    close() {
      void store.close();
      connection.close();
    },
  };
}

function tableName(table: string): string {
  if (typeof table === "string" && /^[A-Za-z_]\w{0,99}$/.test(table) && !/^sqlite_/i.test(table)) return table;
  throw new TypeError("table: expected a name of letters, digits and _");
}

/** A database that is opened, and its tables made, when it is first needed; tried again when that fails. */
interface Connection {
  readonly statements: () => Statements;
  close(): void;
}

function connect(source: string | SqliteDatabase, table: string, options: SqliteStoreOptions): Connection {
  let own: OwnDatabase | undefined;
  let statements: Statements | undefined;
  let closed = false;
  const open = typeof source === "string" ? opener(source, options) : undefined;
  if (open === undefined) checkDatabase(source, options);

  const start = (): Statements => {
    if (closed && open !== undefined) throw new Error("sqliteStore: the store was closed");
    const database = open === undefined ? (source as SqliteDatabase) : (own = open());
    try {
      prepareSchema(database, table);
      return statementsFor(database, table);
    } catch (error) {
      own?.close();
      own = undefined;
      throw error;
    }
  };
  return {
    statements: () => (statements ??= start()),
    close() {
      closed = true;
      own?.close();
      own = undefined;
      if (open !== undefined) statements = undefined;
    },
  };
}

function opener(path: string, options: SqliteStoreOptions): () => OwnDatabase {
  const { synchronous = "normal", busyTimeout = 2 } = options;
  if (path === "") throw new TypeError("path: expected the path of a database");
  if (synchronous !== "normal" && synchronous !== "full") {
    throw new TypeError('synchronous: expected "normal" or "full"');
  }
  return sqliteOpener(path, { synchronous, busyTimeout: milliseconds("busyTimeout", busyTimeout) });
}

function checkDatabase(source: unknown, options: SqliteStoreOptions): void {
  const database = source as Partial<SqliteDatabase> | null | undefined;
  if (typeof database?.prepare !== "function" || typeof database.exec !== "function") {
    throw new TypeError("sqliteStore: expected a path, or a database of node:sqlite, better-sqlite3 or bun:sqlite");
  }
  for (const option of ["synchronous", "busyTimeout"] as const) {
    if (options[option] !== undefined) throw new TypeError(`${option}: is for a path; set it on the database itself`);
  }
}
