/**
 * A real PostgreSQL server for tests of stores for express-session.
 */
import { execFileSync } from "node:child_process";
import { chownSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { Pool } from "pg";
import { programPath } from "../servers/require.ts";
import { freePorts, serverDirectory, startProcess, until } from "../servers/server-process.ts";

/** What the tests need to be installed. */
export const POSTGRES_PROGRAMS: readonly string[] = ["initdb", "postgres"];

/** The user that it runs as where the tests run as root, which it refuses: nobody. */
const NOBODY = 65_534;

/** A server, and a pool of connections to it. */
export interface Postgres {
  readonly pool: Pool;
  stop(): Promise<void>;
}

/** Starts one in a directory of its own, for this machine only. Nothing is synced to a disk. */
export async function startPostgres(): Promise<Postgres> {
  const directory = serverDirectory("postgres");
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(directory, NOBODY, NOBODY);
  const launcher = isRoot ? ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"] : [];
  // The programs find what they need beside where they really are.
  const program = (name: string): string => join(dirname(realpathSync(programPath("postgres") ?? name)), name);
  const data = join(directory, "data");
  const [init = "", ...initArgs] = [...launcher, program("initdb"), "-D", data, "-U", "test", "-A", "trust", "-N"];
  execFileSync(init, initArgs, { stdio: "ignore", cwd: directory });
  const [port = 0] = await freePorts(1);
  const settings = ["-k", directory, "-h", "127.0.0.1", "-p", String(port), "-F"];
  const [start = "", ...startArgs] = [...launcher, program("postgres"), "-D", data, ...settings];
  const server = startProcess(start, startArgs, directory);
  const pool = new Pool({ host: "127.0.0.1", port, user: "test", database: "postgres" });
  // Connections that are idle when the server ends.
  pool.on("error", () => {});
  await until("postgres", async () => (await pool.query("SELECT 1")).rowCount === 1);
  return {
    pool,
    async stop() {
      await pool.end();
      await server.stop();
    },
  };
}
