/** Real PostgreSQL servers, on free ports, for this machine only. */
import { execFileSync } from "node:child_process";
import { chownSync, existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { Client, Pool } from "pg";
import { programPath } from "./require.ts";
import {
  freePorts,
  serverDirectory,
  signal,
  standStill,
  startProcess,
  until,
  type ServerProcess,
} from "./server-process.ts";

/** What the tests need to be installed. */
export const POSTGRES_PROGRAMS: readonly string[] = ["initdb", "postgres"];

/** Who runs it where the tests run as root, which it refuses: nobody. */
const NOBODY = 65_534;

/** Settings of a server, as in postgresql.conf. */
export type PostgresConfig = Readonly<Record<string, string>>;

/** A server. */
export interface PostgresServer {
  readonly port: number;
  /** Ends all its processes without warning. */
  kill(): Promise<void>;
  /** Starts it again, when it has been killed. */
  restart(): Promise<void>;
  /** Whether it answers: it may have ended by itself. */
  isUp(): Promise<boolean>;
  /** Lets all its processes stand still. */
  pause(): void;
  resume(): void;
  /** All its processes. */
  pids(): readonly number[];
  /** What it has logged so far. */
  output(): string;
  /** Asks over a connection of its own. */
  ask(text: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
  stop(): Promise<void>;
}

/** A server, and a pool of connections to it. */
export interface Postgres extends PostgresServer {
  readonly pool: Pool;
}

/** A server and one that follows it and can take its place. */
export interface PostgresPair {
  readonly primary: PostgresServer;
  readonly standby: PostgresServer;
  /** Makes the standby the primary. */
  promote(): Promise<void>;
  stop(): Promise<void>;
}

/** How to reach a server. */
export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

/** Where a server of the tests is. */
export function postgresAt(port: number): PostgresAddress {
  return { host: "127.0.0.1", port, user: "test", database: "postgres" };
}

/** Nothing is synced to a disk: the machine does not fail. */
const UNSYNCED: PostgresConfig = { fsync: "off" };

/** Starts a server in a directory of its own, with a pool. */
export async function startPostgres(config: PostgresConfig = {}): Promise<Postgres> {
  const server = await startPostgresServer(config);
  const pool = new Pool(postgresAt(server.port));
  // Connections that are idle when the server ends.
  pool.on("error", () => {});
  return {
    ...server,
    pool,
    async stop() {
      await pool.end();
      await server.stop();
    },
  };
}

/** Starts a server. `directory`: to be in, for one that is to fill up. `launcher`: a command that runs it. */
export async function startPostgresServer(
  config: PostgresConfig = {},
  directory: string = serverDirectory("postgres"),
  launcher: readonly string[] = [],
): Promise<PostgresServer> {
  hand(directory);
  runProgram("initdb", ["-D", join(directory, "data"), "-U", "test", "-A", "trust", "-N", "-E", "UTF8"], directory);
  return await serve(directory, config, launcher);
}

/** Starts a server and a standby. What is committed is on both, and can be read on the standby. */
export async function startPostgresPair(config: PostgresConfig = {}): Promise<PostgresPair> {
  const primary = await startPostgresServer({ wal_level: "replica", hot_standby: "on", ...config });
  const directory = serverDirectory("postgres-standby");
  hand(directory);
  const data = join(directory, "data");
  const source = `host=127.0.0.1 port=${primary.port} user=test application_name=standby`;
  runProgram("pg_basebackup", ["-D", data, "-d", source, "-R", "-X", "stream", "-c", "fast", "-N"], directory);
  const standby = await serve(directory, config);
  await primary.ask("ALTER SYSTEM SET synchronous_standby_names = 'standby'");
  await primary.ask("SELECT pg_reload_conf()");
  await until("the standby", async () => {
    const [row] = await primary.ask("SELECT sync_state FROM pg_stat_replication");
    return row?.["sync_state"] === "sync";
  });
  return {
    primary,
    standby,
    promote: async () => {
      await standby.ask("ALTER SYSTEM SET synchronous_standby_names = ''");
      await standby.ask("SELECT pg_promote(true)");
    },
    async stop() {
      await Promise.all([primary.stop(), standby.stop()]);
    },
  };
}

const isRoot = process.getuid?.() === 0;

function hand(directory: string): void {
  if (isRoot) chownSync(directory, NOBODY, NOBODY);
}

/** The programs find what they need beside where they really are. */
function command(name: string): [string, ...string[]] {
  const program = join(dirname(realpathSync(programPath("postgres") ?? name)), name);
  return isRoot ? ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", program] : [program];
}

function runProgram(name: string, args: readonly string[], directory: string): void {
  const [program, ...rest] = command(name);
  execFileSync(program, [...rest, ...args], { stdio: ["ignore", "ignore", "pipe"], cwd: directory });
}

async function serve(
  directory: string,
  config: PostgresConfig,
  launcher: readonly string[] = [],
): Promise<PostgresServer> {
  const [port = 0] = await freePorts(1);
  const configuration = {
    ...UNSYNCED,
    max_connections: "60",
    unix_socket_directories: "",
    listen_addresses: "127.0.0.1",
    ...config,
  };
  const settings = Object.entries(configuration).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const [program, ...rest] = [...launcher, ...command("postgres")] as [string, ...string[]];
  const data = join(directory, "data");
  const ask: PostgresServer["ask"] = (text, values = []) => asked(port, text, values);
  const start = async (): Promise<ServerProcess> => {
    const started = startProcess(program, [...rest, "-D", data, "-p", String(port), ...settings], directory);
    try {
      await until("postgres", async () => (await ask("SELECT 1")).length === 1);
      return started;
    } catch (error) {
      const output = started.output();
      await started.stop();
      throw new Error(`postgres did not start:\n${output}`, { cause: error });
    }
  };
  let server = await start();
  return {
    port,
    async kill() {
      const all = familyOf(server.pid);
      await server.kill();
      for (const pid of all.slice(1)) signal(pid, "SIGKILL");
      await until("the end of postgres", async () => !all.some((pid) => existsSync(`/proc/${pid}`)));
    },
    restart: async () => void (server = await start()),
    isUp: () =>
      ask("SELECT 1").then(
        () => true,
        () => false,
      ),
    pause() {
      // First the one that would start others.
      standStill(server.pid);
      familyOf(server.pid).forEach(standStill);
    },
    resume: () => familyOf(server.pid).forEach((pid) => signal(pid, "SIGCONT")),
    pids: () => familyOf(server.pid),
    output: () => server.output(),
    ask,
    stop: () => server.stop(),
  };
}

/** A server is a process that starts one for each connection. */
function familyOf(pid: number): readonly number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
  return [pid, ...children.map(Number)];
}

async function asked(
  port: number,
  text: string,
  values: readonly unknown[],
): Promise<readonly Record<string, unknown>[]> {
  const client = new Client({ ...postgresAt(port), connectionTimeoutMillis: 5_000 });
  // Of a connection that is cut while it is open.
  client.on("error", () => {});
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(text, [...values]);
    return rows;
  } finally {
    await client.end();
  }
}
