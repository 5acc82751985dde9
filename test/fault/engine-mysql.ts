/** MariaDB, with all that goes wrong. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { MARIADB_PROGRAMS } from "../servers/mariadb.ts";
import { programPath } from "../servers/require.ts";
import { processFaults } from "./engine-local.ts";
import { fault, type Engine } from "./fault.ts";
import { diskFaults, replicaFaults } from "./mysql-replicas.ts";
import { settingFaults, single, singleFaults, wireFaults } from "./mysql-single.ts";

const QUICK = new Set(["kill", "rows-locked"]);

/** MariaDB with a client. */
export function mysql(client = "mysql2/promise, pool"): Engine {
  const missing = MARIADB_PROGRAMS.filter((name) => programPath(name) === undefined);
  return {
    name: "mysql",
    versions: () => ({ mariadbd: serverVersion(), client: `${client} (${clientVersion()})` }),
    missing: () => (missing.length === 0 ? undefined : missing.join(", ")),
    faults: [
      ...processFaults.map((of) => fault(single(client), of)),
      ...singleFaults().map((of) => fault(single(client), of, QUICK.has(of.name))),
      ...wireFaults(client),
      ...settingFaults(client),
      ...diskFaults(client),
      ...replicaFaults(client),
    ],
  };
}

function serverVersion(): string {
  return /Ver ([\d.]+)/.exec(execFileSync("mariadbd", ["--version"], { encoding: "utf8" }))?.[1] ?? "?";
}

function clientVersion(): string {
  const manifest = new URL("../../node_modules/mysql2/package.json", import.meta.url);
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}
