/**
 * Sessions in a SQLite database: `coatcheck/store/sqlite`.
 *
 * @module
 */
import { type Clock, systemClock } from "../internal/clock.ts";
import { type Duration, milliseconds } from "../internal/duration.ts";
import { type Listeners, listeners } from "../internal/listeners.ts";
import { createSweeper } from "../internal/sweeper.ts";
import { type OwnDatabase, type SqliteDatabase, sqliteOpener } from "./sqlite-client.ts";
import { prepareSchema } from "./sqlite-schema.ts";
import { countByPrefix, listBySubject, pageByPrefix, recordOf } from "./sqlite-listing.ts";
import { type Row, type Statements, statementsFor } from "./sqlite-statements.ts";
import { fromSqlite, toSqlite } from "./sqlite-text.ts";
import { EXPIRED_FOR, type ExpiredRecord, type SessionStore, type StoredRecord } from "./store.ts";

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
export type SqliteStore = Required<Omit<SessionStore, "watch">>;

const SWEPT_AT_ONCE = 500;

/**
 * Keeps sessions in SQLite, for any number of processes on one machine. Synchronous: while another process writes, a call
 * waits for it, and with it the process. Every verb is one statement that commits by itself.
 *
 * A path is opened by `node:sqlite` at the first call, in WAL mode; the file is made with mode 0600. A database of the
 * app's own (`node:sqlite`, better-sqlite3, bun:sqlite) is used as it is set up: give the store a connection of its own,
 * so that it does not take part in the app's transactions. The tables are made at the first call.
 *
 * Throws a `TypeError` for options that cannot work, and for a path where there is no `node:sqlite`.
 *
 * @example
 * const store = sqliteStore("sessions.db");
 */
export function sqliteStore(source: string | SqliteDatabase, options: SqliteStoreOptions = {}): SqliteStore {
  const table = tableName(options.table ?? "coatcheck_sessions");
  const connection = connect(source, table, options);
  const clock = options.clock ?? systemClock;
  const expired = listeners<ExpiredRecord>();
  const { statements } = connection;
  const sweeper = createSweeper({
    clock,
    interval: options.sweepInterval ?? "1m",
    slice: () => deleteExpired(statements(), expired, SWEPT_AT_ONCE, clock.now()) === SWEPT_AT_ONCE,
  });
  return {
    name: "sqliteStore",
    cached: false,
    returnsSame: false,
    ...verbs(statements, sweeper.start),
    ...listings(statements),
    ...removals(statements, expired),
    onExpired(listener) {
      sweeper.start();
      return expired.add(listener);
    },
    close() {
      sweeper.stop();
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

type Verb = "create" | "read" | "update" | "touch" | "delete";

function verbs(statements: () => Statements, created: () => void): Pick<SqliteStore, Verb> {
  return {
    create(key, record, { now }) {
      const { changes } = statements().create.run(toSqlite(key), ...columnsOf(record), now);
      created();
      return Number(changes) > 0;
    },
    read(key, { now }) {
      const row = statements().read.get(toSqlite(key), now) as Row | null | undefined;
      return row === undefined || row === null ? undefined : recordOf(row, now);
    },
    update(key, record, base, { now }) {
      const kept = toSqlite(key);
      const { changes } = statements().update.run(...columnsOf(record), kept, toSqlite(base.version), now);
      if (Number(changes) > 0) return "ok";
      return statements().exists.all(kept, now).length > 0 ? "conflict" : "gone";
    },
    touch(key, expiresAt, { now }) {
      return Number(statements().touch.run(expiresAt, toSqlite(key), now).changes) > 0;
    },
    delete(key, { now }) {
      return Number(statements().delete.run(toSqlite(key), now).changes) > 0;
    },
  };
}

/** The columns after the key. */
function columnsOf({ version, expiresAt, subject, value }: StoredRecord): [string, number, string | null, string] {
  return [toSqlite(version), expiresAt, subject === undefined ? null : toSqlite(subject), toSqlite(value)];
}

function listings(statements: () => Statements): Pick<SqliteStore, "listBySubject" | "list" | "count"> {
  return {
    async *listBySubject(subject, { now }) {
      yield* listBySubject(statements(), subject, now);
    },
    list: (prefix, page, { now }) => pageByPrefix(statements(), prefix, page, now),
    async count(prefix, { now }) {
      return countByPrefix(statements(), prefix, now);
    },
  };
}

function removals(
  statements: () => Statements,
  expired: Listeners<ExpiredRecord>,
): Pick<SqliteStore, "deleteBySubject" | "deleteExpired"> {
  return {
    deleteBySubject(subject, { except }, { now }) {
      const kept = except === undefined ? null : toSqlite(except);
      const rows = statements().deleteBySubject.all(toSqlite(subject), kept, now) as readonly Pick<Row, "key">[];
      return rows.map(({ key }) => fromSqlite(key));
    },
    deleteExpired: (limit, { now }) => deleteExpired(statements(), expired, limit, now),
  };
}

/** Tells of what is over and removes it, some rows at a time. */
function deleteExpired(statements: Statements, expired: Listeners<ExpiredRecord>, limit: number, now: number): number {
  const end = now - EXPIRED_FOR;
  let removed = 0;
  for (;;) {
    const wanted = Math.min(limit - removed, SWEPT_AT_ONCE);
    const rows = statements.due.all(end, wanted) as readonly Pick<Row, "key" | "subject">[];
    if (rows.length === 0) return removed;
    for (const { key, subject } of rows) {
      expired.tell({ key: fromSqlite(key), subject: subject === null ? undefined : fromSqlite(subject) });
    }
    const changes = Number(statements.deleteDue.run(JSON.stringify(rows.map(({ key }) => key)), end).changes);
    removed += changes;
    // None at all: another process is at it.
    if (rows.length < wanted || removed >= limit || changes === 0) return removed;
  }
}
