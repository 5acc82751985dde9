/** Memcached, with all that goes wrong. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { MEMCACHED_PROGRAMS } from "../servers/memcached.ts";
import { programPath } from "../servers/require.ts";
import { processFaults } from "./engine-local.ts";
import { fault, type Engine } from "./fault.ts";
import {
  clockFaults,
  evicting,
  fleet,
  fleetFaults,
  full,
  single,
  SMALL,
  singleFaults,
  wireFaults,
} from "./memcached-faults.ts";
import { hasWrongClock } from "./wrong-clock.ts";

const QUICK = new Set(["kill", "stop"]);

/** Memcached with a client. */
export function memcached(client = "memjs"): Engine {
  return {
    name: "memcached",
    versions: () => ({ memcached: serverVersion(), client: `${client} (${packageVersion(client)})` }),
    missing: () => (programPath("memcached") === undefined ? MEMCACHED_PROGRAMS.join(", ") : undefined),
    faults: [
      ...processFaults.map((of) => fault(single(client), of)),
      ...singleFaults.map((of) => fault(single(client), of, QUICK.has(of.name))),
      fault(single(client, SMALL), evicting, true),
      fault(single(client, [...SMALL, "-M"]), full),
      ...wireFaults(client),
      ...(hasWrongClock() ? clockFaults(client) : []),
      ...fleetFaults.map((of) => fault(fleet(client), of)),
    ],
  };
}

function serverVersion(): string {
  return /([\d.]+)/.exec(execFileSync("memcached", ["--version"], { encoding: "utf8" }))?.[1] ?? "?";
}

function packageVersion(client: string): string {
  const folder = client.split(" ")[0] === "memcached" ? "memcached" : "memjs";
  const manifest = new URL(`../../node_modules/${folder}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}
