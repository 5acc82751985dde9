/**
 * What the stores in SQL databases share: verbs, listings and sweeping over statements that each of them words itself.
 *
 * A dialect (postgres.ts, mysql.ts, sqlite.ts) provides
 *
 * - {@link SqlQueries}: one statement each. Every one commits by itself; what it says about `call.now` it must do itself,
 *   because a record with `expires_at <= call.now` does not exist. Keys and subjects that it is given are as they are kept:
 *   UTF-8 without NUL, never longer than `longest` bytes, to be compared and ordered by their bytes, every byte counting
 *   (`COLLATE "C"`, `VARBINARY`). Rows that it returns have the names of {@link RowColumns}.
 * - a table with the columns `key` (primary key), `version`, `expires_at` (double precision), `subject` (null for none),
 *   `value` and `long` (text, null for nearly all), an index on (`subject`, `key`) and one on `expires_at`;
 * - a {@link SqlSchema}, unless the tables are made by themselves.
 *
 * The answers may come at once or by a promise: over a synchronous driver the whole store is synchronous.
 *
 * @module
 */
import { type Clock, systemClock } from "../internal/clock.ts";
import type { Duration } from "../internal/duration.ts";
import { type Listeners, listeners } from "../internal/listeners.ts";
import { chain, type MaybePromise } from "../internal/maybe-promise.ts";
import { createSweeper } from "../internal/sweeper.ts";
import { countByPrefix, type KeyRange, listBySubject, pageByPrefix } from "./sql-listing.ts";
import { deleteExpired, SWEPT_AT_ONCE } from "./sql-removal.ts";
import {
  heldText,
  type KeyColumns,
  keyOf,
  recordOf,
  type RecordColumns,
  type RowColumns,
  rowOf,
  type SqlRow,
} from "./sql-row.ts";
import { toSql } from "./sql-text.ts";
import type { ExpiredRecord, SessionStore, StoreCall, UpdateOutcome } from "./store.ts";

/** The statements of a dialect. */
export interface SqlQueries {
  /** Inserts the row, or replaces one that has ended; false when one is there that has not. */
  create(row: SqlRow, call: StoreCall): MaybePromise<boolean>;
  read(key: string, call: StoreCall): MaybePromise<RecordColumns | undefined>;
  /** Replaces the row (`row.key` says which) if it is there and has the version. */
  update(row: SqlRow, version: string, call: StoreCall): MaybePromise<UpdateOutcome>;
  /** Sets `expires_at` to the later of both. */
  touch(key: string, expiresAt: number, call: StoreCall): MaybePromise<boolean>;
  delete(key: string, call: StoreCall): MaybePromise<boolean>;
  /** Rows of a subject in the order of their keys, from a key on, that one included. */
  bySubject(subject: string, from: string, limit: number, call: StoreCall): MaybePromise<readonly RowColumns[]>;
  /** Rows in the order of their keys. */
  byKey(range: KeyRange, limit: number, call: StoreCall): MaybePromise<readonly RowColumns[]>;
  /** How many rows are in a range. */
  count(range: KeyRange, call: StoreCall): MaybePromise<number>;
  /** Removes the rows of a subject but that of the key `except`, and returns what it has removed. */
  deleteBySubject(subject: string, except: string | null, call: StoreCall): MaybePromise<readonly KeyColumns[]>;
  /** Rows with `expires_at < end`, the oldest first. */
  due(end: number, limit: number, call: StoreCall): MaybePromise<readonly KeyColumns[]>;
  /** Removes those of the rows that still have `expires_at < end`, and returns how many those were. */
  deleteDue(keys: readonly string[], end: number, call: StoreCall): MaybePromise<number>;
  /**
   * Makes this process the one that sweeps, for a minute at most, by the clock of the server; undefined while another one
   * is. Returns what ends it. Left out where it does not matter.
   */
  lease?(call: StoreCall): MaybePromise<(() => MaybePromise<unknown>) | undefined>;
}

/** How long a process is the one that sweeps, at most, in seconds: it may die. */
export const LEASE_SECONDS = 60;

/** The tables of a dialect. */
export interface SqlSchema {
  /** The statements that make the tables, for those who run them themselves; running them again does nothing. */
  readonly sql: string;
  /** Runs them. Any number of processes may do so at once. */
  create(): Promise<void>;
  /** The version that the tables say they have; it is written when all of them are there. Undefined where it is not. */
  version(): Promise<number | undefined>;
}

/** The version of the tables as this code makes and reads them. */
export const SCHEMA_VERSION = 1;

/** What {@link sqlStore} takes. */
export interface SqlStoreParts {
  /** The name of the store, for messages. */
  readonly name: string;
  readonly queries: SqlQueries;
  /** How many bytes of a key and of a subject an index takes. Infinity: there is no column `long`. */
  readonly longest: number;
  readonly sweepInterval?: Duration | false | undefined;
  readonly clock?: Clock | undefined;
}

/** A {@link SessionStore} with every capability except `watch`. */
export type BaseSqlStore = Required<Omit<SessionStore, "watch" | "cachedFor">>;

/** Makes a store of statements. The sweeper starts with the first record that is created. */
export function sqlStore({
  name,
  queries,
  longest,
  sweepInterval = "1m",
  clock = systemClock,
}: SqlStoreParts): BaseSqlStore {
  const expired = listeners<ExpiredRecord>();
  const sweeper = createSweeper({
    clock,
    interval: sweepInterval,
    slice: () =>
      chain(
        deleteExpired(queries, expired, SWEPT_AT_ONCE, { now: clock.now() }),
        (removed) => removed === SWEPT_AT_ONCE,
      ),
  });
  return {
    name,
    cached: false,
    returnsSame: false,
    ...verbs(queries, longest, sweeper.start),
    ...listings(queries, longest),
    ...removals(queries, longest, expired),
    onExpired(listener) {
      sweeper.start();
      return expired.add(listener);
    },
    close: () => sweeper.stop(),
  };
}

type Verb = "create" | "read" | "update" | "touch" | "delete";

function verbs(queries: SqlQueries, longest: number, created: () => void): Pick<BaseSqlStore, Verb> {
  return {
    create(key, record, call) {
      const done = chain(rowOf(key, record, longest), (row) => queries.create(row, call));
      created();
      return done;
    },
    read: (key, call) =>
      chain(
        chain(heldText(key, longest), (held) => queries.read(held, call)),
        (row) => (row === undefined ? undefined : recordOf(row, call.now)),
      ),
    update: (key, record, base, call) =>
      chain(rowOf(key, record, longest), (row) => queries.update(row, toSql(base.version), call)),
    touch: (key, expiresAt, call) => chain(heldText(key, longest), (held) => queries.touch(held, expiresAt, call)),
    delete: (key, call) => chain(heldText(key, longest), (held) => queries.delete(held, call)),
  };
}

function listings(queries: SqlQueries, longest: number): Pick<BaseSqlStore, "listBySubject" | "list" | "count"> {
  const hashes = longest < Infinity;
  return {
    async *listBySubject(subject, call) {
      yield* listBySubject(queries, await heldText(subject, longest), call);
    },
    list: (prefix, page, call) => pageByPrefix(queries, { prefix, hashes }, page, call),
    count: (prefix, call) => countByPrefix(queries, { prefix, hashes }, call),
  };
}

function removals(
  queries: SqlQueries,
  longest: number,
  expired: Listeners<ExpiredRecord>,
): Pick<BaseSqlStore, "deleteBySubject" | "deleteExpired"> {
  return {
    deleteBySubject: (subject, { except }, call) =>
      chain(heldText(subject, longest), (held) =>
        chain(except === undefined ? null : heldText(except, longest), (kept) =>
          chain(queries.deleteBySubject(held, kept, call), (rows) => rows.map((row) => keyOf(row).key)),
        ),
      ),
    deleteExpired: (limit, call) => deleteExpired(queries, expired, limit, call),
  };
}

/** What a store offers whose tables are made on request. */
export interface SqlSchemaVerbs {
  /**
   * Makes the tables and indexes where they are missing; any number of processes may do so at once. Throws when they are
   * those of a newer version.
   */
  createSchema(): Promise<void>;
  /** The statements by which `createSchema` does so, for your own migrations. */
  schemaSql(): string;
}

/** The members of a store that are about its tables. */
export function schemaVerbs(name: string, table: string, schema: SqlSchema): SqlSchemaVerbs {
  return {
    async createSchema() {
      // Who may not make tables can still find that they are there.
      if ((await schema.version()) === undefined) await schema.create();
      checkVersion(name, table, await schema.version());
    },
    schemaSql: () => schema.sql,
  };
}

/** Throws when the tables are not those that this code knows. */
export function checkVersion(name: string, table: string, version: number | undefined): void {
  if (version === SCHEMA_VERSION) return;
  throw new Error(
    `${name}: the table ${table} has the form of version ${version}, and this coatcheck knows version ${SCHEMA_VERSION} only`,
  );
}

/** What to say when the server knows no such table. */
export function missingTable(name: string, table: string, cause: unknown): Error {
  return new Error(
    `${name}: there is no table ${table}, or it is not one of this store's: await createSchema() of the store when you` +
      " deploy, or run what its schemaSql() returns",
    { cause },
  );
}

/** The parts of a table's name. */
export interface TableName {
  /** The schema or database it is in; undefined where the connection looks for it. */
  readonly schema: string | undefined;
  readonly table: string;
}

/** Names of indexes are that of the table and so much more. */
const LONGEST_TABLE = 50;

/** The name of a table, `table` or `schema.table`. Throws a `TypeError` for what needs more than letters, digits and `_`. */
export function tableName(name: string): TableName {
  const [, schema, table] =
    /^(?:([A-Za-z_]\w{0,62})\.)?([A-Za-z_]\w*)$/.exec(typeof name === "string" ? name : "") ?? [];
  if (table !== undefined && table.length <= LONGEST_TABLE) return { schema, table };
  throw new TypeError(
    `table: expected a name of up to ${LONGEST_TABLE} letters, digits and _, perhaps after that of a schema and a dot`,
  );
}
