/**
 * Sessions in PostgreSQL: `coatcheck/store/postgres`.
 *
 * @module
 */
import { type Clock, systemClock } from "../internal/clock.ts";
import type { Duration } from "../internal/duration.ts";
import { checkNames } from "../internal/option-names.ts";
import { type ChangeFeed, changeFeed } from "./change-feed.ts";
import { flag } from "./option-check.ts";
import { type PostgresClient, type PostgresConnection, postgresConnection } from "./postgres-client.ts";
import { changeIn, LONGEST, type PostgresDialect, postgresQueries } from "./postgres-queries.ts";
import { namesFor, postgresSchema } from "./postgres-schema.ts";
import { type BaseSqlStore, missingTable, schemaVerbs, type SqlSchemaVerbs, sqlStore, tableName } from "./sql.ts";
import type { SessionStore } from "./store.ts";
import { retried, untilAborted } from "./waiting.ts";

export type { PgClient, PgliteClient, PostgresClient, PostgresJsClient } from "./postgres-client.ts";

/** Options of {@link postgresStore}. */
export interface PostgresStoreOptions {
  /** The name of the table, `table` or `schema.table`: letters, digits and `_`. Default `"coatcheck_sessions"`. */
  readonly table?: string | undefined;
  /**
   * Whether changes and deletions can be watched, by all stores over that table: with true each of them is notified, which
   * PostgreSQL does one after the other; and whoever watches keeps a connection for it. Default false.
   */
  readonly watch?: boolean | undefined;
  /**
   * Whether statements are prepared once a connection. Say false behind PgBouncer and the like, where a connection changes
   * from transaction to transaction. Default true.
   */
  readonly prepare?: boolean | undefined;
  /** How often expired sessions are swept, in seconds or as `"10m"`; false for never. Default one minute. */
  readonly sweepInterval?: Duration | false | undefined;
  /** For tests: where the sweeper gets its time from. Default: the clock of the machine. */
  readonly clock?: Clock | undefined;
}

/** A {@link SessionStore} with every capability; `watch` goes with the option. */
export type PostgresStore = BaseSqlStore & SqlSchemaVerbs & Pick<SessionStore, "watch">;

const NAME = "postgresStore";

/**
 * Keeps sessions in a table of PostgreSQL (12 or later), for any number of servers. Every verb is one statement, a
 * transaction of its own.
 *
 * The client is the app's: a `Pool` or a connected `Client` of pg, a `sql` of postgres.js, or a PGlite. The store neither
 * connects nor closes it. The table is made by `createSchema()`, or by your migrations from `schemaSql()`.
 *
 * Throws a `TypeError` for options that cannot work, and for what is no such client.
 *
 * @example
 * import { postgresStore } from "coatcheck/store/postgres";
 * import { Pool } from "pg";
 *
 * const pool = new Pool({ connectionString: "postgres://localhost/shop" });
 * pool.on("error", console.error); // without a listener it ends the process when a connection is lost
 * const store = postgresStore(pool);
 * await store.createSchema();
 */
export function postgresStore(client: PostgresClient, options: PostgresStoreOptions = {}): PostgresStore {
  checkNames(NAME, options, ["table", "watch", "prepare", "sweepInterval", "clock"]);
  const { table = "coatcheck_sessions", clock = systemClock, sweepInterval } = options;
  const name = tableName(table);
  const connection = postgresConnection(client, options.prepare === undefined || flag("prepare", options.prepare));
  const channel = flag("watch", options.watch) ? name.table : undefined;
  const queries = postgresQueries({
    ...runnersOn(connection, table),
    names: namesFor(name),
    channel: channel === undefined ? undefined : `'${channel}'`,
  });
  const store = {
    ...sqlStore({ name: NAME, queries, longest: LONGEST, sweepInterval, clock }),
    ...schemaVerbs(NAME, table, postgresSchema(connection, name)),
  };
  return channel === undefined ? store : watched(store, feedOf(connection, channel, clock));
}

function watched(store: PostgresStore, feed: ChangeFeed): PostgresStore {
  return {
    ...store,
    watch: feed.watch,
    close() {
      feed.close();
      void store.close();
    },
  };
}

function feedOf({ listening }: PostgresConnection, channel: string, clock: Clock): ChangeFeed {
  return changeFeed({ connect: (listener) => listening(channel, listener), clock, changeIn });
}

/** Deadlock, serialization failure: the server has undone the statement. */
const UNDONE = new Set(["40P01", "40001"]);
/** No such table, schema or column. */
const MISSING = new Set(["42P01", "3F000", "42703"]);

type Runners = Pick<PostgresDialect, "run" | "ask">;

function runnersOn({ query }: PostgresConnection, table: string): Runners {
  const fail = (error: unknown): never => {
    throw MISSING.has(codeOf(error)) ? missingTable(NAME, table, error) : error;
  };
  const wasUndone = (error: unknown): boolean => UNDONE.has(codeOf(error));
  const run: Runners["run"] = (text, values, call) =>
    untilAborted(call, () => retried(() => query(text, values), wasUndone, call).catch(fail));
  return {
    run,
    // Nobody is held up by a reading that goes on unheard; and a signal costs who asks for it.
    ask: (text, values, call) =>
      query(text, values).then(undefined, (error: unknown) =>
        wasUndone(error) ? run(text, values, call) : fail(error),
      ),
  };
}

/** The SQLSTATE of an error of the server, as all drivers give it. */
function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | null | undefined)?.code);
}
