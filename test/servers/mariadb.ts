/**
 * Real MariaDB servers for tests: a single one, and a primary with a replica.
 */
import { execFileSync } from "node:child_process";
import { chownSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { createConnection, createPool, type Connection, type Pool, type PoolOptions } from "mysql2/promise";
import { programPath } from "./require.ts";
import { freePorts, serverDirectory, startProcess, until, type ServerProcess } from "./server-process.ts";

/** What the tests need to be installed. */
export const MARIADB_PROGRAMS: readonly string[] = ["mariadbd", "mariadb-install-db"];

/** The database that is there for tests. */
export const DATABASE = "test";

/** Settings of a server, beside those that are always given. */
export type MariadbConfig = Readonly<Record<string, string>>;

/** One server. */
export interface Mariadb {
  readonly port: number;
  readonly process: ServerProcess;
  /** How a client of the app connects. */
  readonly options: PoolOptions;
  /** Asks it something as its administrator, over a connection for this question only; returns rows. */
  ask(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** A connection of a user; default its administrator. */
  connect(user?: string): Promise<Connection>;
  /** A pool of connections to the database for tests; ended when the server is stopped. */
  pool(options?: PoolOptions): Pool;
  /** Starts it again where it was, with what is on its disk, once it was killed. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** A primary and what follows it, asynchronously or semi-synchronously. */
export interface MariadbReplicas {
  readonly primary: Mariadb;
  readonly replica: Mariadb;
  /** Waits until the replica has all that the primary has. */
  caughtUp(): Promise<void>;
  /** Makes the replica the one that is written to. */
  promote(): Promise<void>;
  stop(): Promise<void>;
}

/** The user that it runs as where the tests run as root, which it refuses: nobody. */
const NOBODY = 65_534;
const IS_ROOT = process.getuid?.() === 0;
const LAUNCHER: readonly string[] = IS_ROOT
  ? ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"]
  : [];

/** Small, and nothing waits for a disk. */
const DEFAULTS: MariadbConfig = {
  "bind-address": "127.0.0.1",
  "skip-name-resolve": "1",
  "innodb-buffer-pool-size": "64M",
  "innodb-log-file-size": "16M",
  "innodb-flush-log-at-trx-commit": "0",
  "aria-pagecache-buffer-size": "1M",
  "key-buffer-size": "1M",
  "performance-schema": "0",
};

/** The setting with which what was acknowledged is on a disk. */
export const ON_DISK: MariadbConfig = { "innodb-flush-log-at-trx-commit": "1" };

/**
 * Starts one server. `place`: an empty directory for its files, else one of its own is made. `launcher`: a command that runs
 * the server.
 */
export async function startMariadb(
  config: MariadbConfig = {},
  place?: string,
  launcher: readonly string[] = [],
): Promise<Mariadb> {
  const directory = serverDirectory("mariadb");
  const data = place ?? join(directory, "data");
  if (place === undefined) mkdirSync(data);
  if (IS_ROOT) for (const owned of [directory, data]) chownSync(owned, NOBODY, NOBODY);
  const [port = 0] = await freePorts(1);
  // A server that starts removes the temporary tables of others from where its own would be.
  const places = { datadir: data, tmpdir: directory, socket: join(directory, "socket") };
  const settings = { ...DEFAULTS, ...config, ...places, port: String(port) };
  const args = ["--no-defaults", ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`)];
  install(directory, data);
  const start = (): Promise<ServerProcess> => startServer(args, directory, port, launcher);
  let server = await start();
  const pools: Pool[] = [];
  const options: PoolOptions = { host: "127.0.0.1", port, user: "root", database: DATABASE };
  await asked(port, `CREATE DATABASE IF NOT EXISTS ${DATABASE}`);
  return {
    port,
    options,
    get process() {
      return server;
    },
    ask: (sql) => asked(port, sql),
    connect: (user) => connected(port, user),
    pool(more = {}) {
      const made = createPool({ ...options, ...more });
      pools.push(made);
      return made;
    },
    restart: async () => void (server = await start()),
    async stop() {
      // Those that end after the server wait for it.
      await Promise.allSettled(pools.map((pool) => pool.end()));
      await server.stop();
    },
  };
}

/** Makes the tables of the server itself; its administrator needs no password. */
function install(directory: string, data: string): void {
  const [command = "", ...args] = [
    ...LAUNCHER,
    programPath("mariadb-install-db") ?? "mariadb-install-db",
    "--no-defaults",
    `--datadir=${data}`,
    `--tmpdir=${directory}`,
    "--auth-root-authentication-method=normal",
    "--skip-test-db",
    "--skip-name-resolve",
    `--innodb-log-file-size=${DEFAULTS["innodb-log-file-size"]}`,
  ];
  execFileSync(command, args, { stdio: "pipe", cwd: directory });
}

async function startServer(
  args: readonly string[],
  directory: string,
  port: number,
  launcher: readonly string[],
): Promise<ServerProcess> {
  const [command = "", ...rest] = [...launcher, ...LAUNCHER, programPath("mariadbd") ?? "mariadbd", ...args];
  const started = startProcess(command, rest, directory);
  try {
    await until("mariadbd", async () => (await asked(port, "SELECT 1")).length === 1);
    return started;
  } catch (error) {
    const output = started.output();
    await started.stop();
    throw new Error(`mariadbd did not start:\n${output}`, { cause: error });
  }
}

async function connected(port: number, user = "root"): Promise<Connection> {
  const connection = await createConnection({ host: "127.0.0.1", port, user, connectTimeout: 2_000 });
  // Of a connection that is lost, what it is asked next tells.
  connection.on("error", () => {});
  return connection;
}

async function asked(port: number, sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const connection = await connected(port);
  try {
    const [rows] = await connection.query(sql);
    return Array.isArray(rows) ? (rows as Readonly<Record<string, unknown>>[]) : [];
  } finally {
    connection.destroy();
  }
}

// --- replication ------------------------------------------------------------------------------------------------------

/** What a server needs so that it can lead and follow. */
function replicating(id: number, semiSync: boolean): MariadbConfig {
  const wanted = semiSync ? "ON" : "OFF";
  return {
    "server-id": String(id),
    "log-bin": "binlog",
    "binlog-format": "ROW",
    "log-slave-updates": "1",
    "gtid-strict-mode": "1",
    "rpl-semi-sync-master-enabled": wanted,
    "rpl-semi-sync-slave-enabled": wanted,
    // An answer is given once a replica has the change, or never.
    "rpl-semi-sync-master-wait-point": "AFTER_SYNC",
    "rpl-semi-sync-master-timeout": "600000",
  };
}

/** A primary and a replica. `semiSync`: the primary answers once the replica has the change. */
export async function startMariadbReplicas(
  options: { readonly semiSync?: boolean; readonly config?: MariadbConfig } = {},
): Promise<MariadbReplicas> {
  const { semiSync = false, config = {} } = options;
  // The administrator's own statements wait for no replica before there is one.
  const settings = (id: number): MariadbConfig => ({ ...replicating(id, semiSync), ...config });
  const replica = await startMariadb({ ...settings(2), "rpl-semi-sync-master-enabled": "OFF" });
  const primary = await startMariadb({ ...settings(1), "rpl-semi-sync-master-enabled": "OFF" });
  await replica.ask("RESET MASTER");
  await replica.ask(
    `CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = ${primary.port}, MASTER_USER = 'root',` +
      " MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1",
  );
  await replica.ask("START SLAVE");
  await until("replication", async () => (await followed(replica)) && (await hasAll(primary, replica)));
  await replica.ask("SET GLOBAL read_only = 1");
  if (semiSync) {
    await primary.ask("SET GLOBAL rpl_semi_sync_master_enabled = 1");
    await until("semi-synchronous replication", async () => Number(await statusOf(primary, CLIENTS)) === 1);
  }
  return {
    primary,
    replica,
    caughtUp: () => until("the replica", () => hasAll(primary, replica)),
    async promote() {
      await until("what the replica has received", async () => await isIdle(replica));
      await replica.ask("STOP SLAVE");
      await replica.ask("RESET SLAVE ALL");
      await replica.ask("SET GLOBAL read_only = 0");
    },
    async stop() {
      await Promise.all([primary.stop(), replica.stop()]);
    },
  };
}

const CLIENTS = "Rpl_semi_sync_master_clients";

/** A status variable of a server. */
export async function statusOf(server: Mariadb, name: string): Promise<unknown> {
  return (await server.ask(`SHOW GLOBAL STATUS LIKE '${name}'`))[0]?.["Value"];
}

async function followed(replica: Mariadb): Promise<boolean> {
  const [status] = await replica.ask("SHOW SLAVE STATUS");
  return status?.["Slave_IO_Running"] === "Yes" && status["Slave_SQL_Running"] === "Yes";
}

async function hasAll(primary: Mariadb, replica: Mariadb): Promise<boolean> {
  const position = async (server: Mariadb, variable: string): Promise<unknown> =>
    (await server.ask(`SELECT @@GLOBAL.${variable} AS at`))[0]?.["at"];
  return (await position(primary, "gtid_binlog_pos")) === (await position(replica, "gtid_slave_pos"));
}

/** Whether it has carried out all that it has received. */
async function isIdle(replica: Mariadb): Promise<boolean> {
  const [status] = await replica.ask("SHOW SLAVE STATUS");
  return status?.["Gtid_IO_Pos"] === (await replica.ask("SELECT @@GLOBAL.gtid_slave_pos AS at"))[0]?.["at"];
}
