/** PostgreSQL, with all that goes wrong. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { POSTGRES_PROGRAMS } from "../servers/postgres.ts";
import { programPath } from "../servers/require.ts";
import { processFaults } from "./engine-local.ts";
import { fault, type Engine } from "./fault.ts";
import { diskFaults, pairFaults } from "./postgres-pair.ts";
import { settingFaults, single, singleFaults, wireFaults } from "./postgres-single.ts";

const QUICK = new Set(["kill", "rows-locked"]);

/** PostgreSQL with a client. */
export function postgres(client = "pg 8, Pool"): Engine {
  const missing = POSTGRES_PROGRAMS.filter((name) => programPath(name) === undefined);
  return {
    name: "postgres",
    versions: () => ({ postgres: serverVersion(), client: `${client} (${packageVersion(client)})` }),
    missing: () => (missing.length === 0 ? undefined : missing.join(", ")),
    faults: [
      ...processFaults.map((of) => fault(single(client), of)),
      ...singleFaults().map((of) => fault(single(client), of, QUICK.has(of.name))),
      ...wireFaults(client),
      ...settingFaults(client),
      ...diskFaults(client),
      ...pairFaults(client),
    ],
  };
}

function serverVersion(): string {
  return /([\d.]+)/.exec(execFileSync("postgres", ["--version"], { encoding: "utf8" }))?.[1] ?? "?";
}

function packageVersion(client: string): string {
  const folder = client.startsWith("pg ") ? "pg" : "postgres";
  const manifest = new URL(`../../node_modules/${folder}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}
