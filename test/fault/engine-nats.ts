/** NATS, with all that goes wrong. */
import { readFileSync } from "node:fs";
import { NATS_CLUSTER_PROGRAMS, NATS_VERSION } from "../servers/nats.ts";
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
    versions: () => ({ "nats-server": NATS_VERSION ?? "?", "@nats-io/kv": clientVersion() }),
    missing: () => NATS_CLUSTER_PROGRAMS.find((name) => programPath(name) === undefined),
    faults: [
      ...processFaults.map((of) => fault(single, of)),
      ...singleFaults.map((of) => fault(single, of)),
      ...settingFaults(),
      ...wireFaults,
      ...clusterFaults().map((of) => fault(cluster, of, QUICK.has(of.name))),
    ],
  };
}

function clientVersion(): string {
  const manifest = new URL("../../node_modules/@nats-io/kv/package.json", import.meta.url);
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}
