/**
 * Sessions in MySQL or MariaDB: `coatcheck/store/mysql`.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { Duration } from "../internal/duration.ts";
import { checkNames } from "../internal/option-names.ts";
import { isTableMissing, type MysqlClient, type MysqlRunner, mysqlRunner, wasUndone } from "./mysql-client.ts";
import { mysqlQueries } from "./mysql-queries.ts";
import { LONGEST, namesOf, schemaStatements } from "./mysql-schema.ts";
import { type MysqlStatements, statementsFor } from "./mysql-statements.ts";
import {
  type BaseSqlStore,
  missingTable,
  schemaVerbs,
  type SqlSchema,
  type SqlSchemaVerbs,
  sqlStore,
  tableName,
} from "./sql.ts";
import type { StoreCall } from "./store.ts";
import { retried } from "./waiting.ts";

export type { MysqlClient } from "./mysql-client.ts";

/** Options of {@link mysqlStore}. */
export interface MysqlStoreOptions {
  /** The name of the table, `table` or `database.table`: letters, digits and `_`. Default `"coatcheck_sessions"`. */
  readonly table?: string | undefined;
  /**
   * Whether statements are prepared. False for proxies that pass connections from hand to hand and cannot; then values are
   * written into the statement by the driver, as hexadecimal digits. Default true.
   */
  readonly prepare?: boolean | undefined;
  /** How often expired sessions are swept, in seconds or as `"10m"`; false for never. Default one minute. */
  readonly sweepInterval?: Duration | false | undefined;
  /** For tests: where the sweeper gets its time from. Default: the clock of the machine. */
  readonly clock?: Clock | undefined;
}

/** A {@link SessionStore} with every capability except `watch`, which makes its tables on request. */
export interface MysqlStore extends BaseSqlStore, SqlSchemaVerbs {}

const NAME = "mysqlStore";

/**
 * Keeps sessions in MySQL (8.0.1 or later) or MariaDB (10.6 or later), for any number of servers.
 *
 * The client is the app's: a pool of mysql2, with callbacks or promises, or a connection that nothing else uses. The store
 * neither connects nor closes it. Every verb is one statement that commits by itself. The tables are made by `createSchema()`,
 * or by what `schemaSql()` returns.
 *
 * Throws a `TypeError` for options that cannot work, and for what is no such client.
 *
 * @example
 * import { mysqlStore } from "coatcheck/store/mysql";
 * import { createPool } from "mysql2/promise";
 *
 * const store = mysqlStore(createPool("mysql://localhost/shop"));
 * await store.createSchema();
 */
export function mysqlStore(client: MysqlClient, options: MysqlStoreOptions = {}): MysqlStore {
  checkNames(NAME, options, ["table", "prepare", "sweepInterval", "clock"]);
  const { table = "coatcheck_sessions", prepare = true, sweepInterval, clock } = options;
  if (typeof prepare !== "boolean") throw new TypeError("prepare: expected true or false");
  const names = namesOf(tableName(table));
  const plain = patient(mysqlRunner(client, "query"));
  const others = explaining(plain, table);
  const verbs = prepare ? explaining(patient(mysqlRunner(client, "execute")), table) : others;
  const statements = statementsFor(names);
  const queries = mysqlQueries({ verbs, others }, statements);
  return {
    ...sqlStore({ name: NAME, queries, longest: LONGEST, sweepInterval, clock }),
    ...schemaVerbs(NAME, table, schemaOf(schemaStatements(names), plain, statements)),
  };
}

type Over = <T>(statement: () => Promise<T>, call: StoreCall) => Promise<T>;

function around(runner: MysqlRunner, over: Over): MysqlRunner {
  return {
    rows: (sql, values, call) => over(() => runner.rows(sql, values, call), call),
    write: (sql, values, call) => over(() => runner.write(sql, values, call), call),
  };
}

/** Tries again what was undone. */
function patient(runner: MysqlRunner): MysqlRunner {
  return around(runner, (statement, call) => retried(statement, wasUndone, call));
}

/** Says what to do when there is no table. */
function explaining(runner: MysqlRunner, table: string): MysqlRunner {
  return around(runner, async (statement) => {
    try {
      return await statement();
    } catch (error) {
      throw isTableMissing(error) ? missingTable(NAME, table, error) : error;
    }
  });
}

function schemaOf(sql: readonly string[], runner: MysqlRunner, statements: MysqlStatements): SqlSchema {
  const call: StoreCall = { now: 0 };
  return {
    sql: sql.map((statement) => `${statement};\n`).join("\n"),
    async create() {
      for (const statement of sql) await runner.write(statement, [], call);
    },
    async version() {
      try {
        const [row] = await runner.rows(statements.version, [], call);
        return row === undefined ? undefined : Number(row[0]);
      } catch (error) {
        if (isTableMissing(error)) return undefined;
        throw error;
      }
    },
  };
}
