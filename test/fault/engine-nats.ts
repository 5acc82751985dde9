/** NATS, with all that goes wrong. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { NATS_PROGRAMS } from "../servers/nats.ts";
import { programPath } from "../servers/require.ts";
import { processFaults } from "./engine-local.ts";
import { fault, type Engine } from "./fault.ts";
import { cluster, clusterFaults, settingFaults, single, singleFaults, wireFaults } from "./nats-faults.ts";

/** With that all connections break. What else is quick to try the tests beside the store do: one server that is killed or stands still. */
const QUICK = new Set(["leader-killed"]);

/** NATS with its client. */
export function nats(): Engine {
  return {
    name: "nats",
    versions: () => ({ "nats-server": serverVersion(), "@nats-io/kv": clientVersion() }),
    missing: () => (programPath("nats-server") === undefined ? NATS_PROGRAMS.join(", ") : undefined),
    faults: [
      ...processFaults.map((of) => fault(single, of)),
      ...singleFaults.map((of) => fault(single, of)),
      ...settingFaults(),
      ...wireFaults,
      ...clusterFaults().map((of) => fault(cluster, of, QUICK.has(of.name))),
    ],
  };
}

function serverVersion(): string {
  return /v([\d.]+)/.exec(execFileSync("nats-server", ["--version"], { encoding: "utf8" }))?.[1] ?? "?";
}

function clientVersion(): string {
  const manifest = new URL("../../node_modules/@nats-io/kv/package.json", import.meta.url);
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}
