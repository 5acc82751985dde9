/**
 * Every client that `mysqlStore` works with, connected to a server.
 */
import * as callbacks from "mysql2";
import * as promises from "mysql2/promise";
import type { MysqlClient, MysqlStoreOptions } from "../../src/store/mysql.ts";
import type { Mariadb } from "./mariadb.ts";

/** A client that is connected. */
export interface ConnectedMysql {
  readonly client: MysqlClient;
  /** What the store is to be told with it. */
  readonly options: MysqlStoreOptions;
  close(): Promise<unknown>;
}

/** How to connect a client, by its name. */
export type MysqlClients = Readonly<Record<string, (server: Pick<Mariadb, "options">) => Promise<ConnectedMysql>>>;

/** What an app may have set for its own statements. */
const SETTINGS: promises.ConnectionOptions = {
  flags: ["-FOUND_ROWS"],
  charset: "latin1_swedish_ci",
  timezone: "+05:30",
  rowsAsArray: true,
  nestTables: "_",
  namedPlaceholders: true,
  typeCast: false,
  supportBigNumbers: true,
  bigNumberStrings: true,
  dateStrings: true,
  multipleStatements: true,
  disableEval: true,
};

/** Every kind of client, with the settings of an app or without: each passes the kit. */
export const MYSQL_CLIENTS: MysqlClients = {
  "mysql2/promise, pool": async (server) => {
    const client = promises.createPool({ ...server.options });
    return { client, options: {}, close: () => client.end() };
  },
  "mysql2, pool with callbacks and settings of its own": async (server) => {
    const client = callbacks.createPool({ ...server.options, ...SETTINGS });
    return { client, options: {}, close: () => client.promise().end() };
  },
  "mysql2/promise, connection": async (server) => {
    const client = await promises.createConnection({ ...server.options });
    return { client, options: {}, close: () => client.end() };
  },
  "mysql2, connection with callbacks and settings of its own, nothing prepared": async (server) => {
    const client = callbacks.createConnection({ ...server.options, ...SETTINGS });
    return { client, options: { prepare: false }, close: () => client.promise().end() };
  },
};
