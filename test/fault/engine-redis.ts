/** Redis, with all that goes wrong. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { REDIS_PROGRAMS } from "../servers/redis.ts";
import { programPath } from "../servers/require.ts";
import { processFaults } from "./engine-local.ts";
import { fault, type Engine, type FaultOn } from "./fault.ts";
import { cluster, clusterFaults, LOSES_ALL, sentinelFaults, sentinels, type Sentinel } from "./redis-fleet.ts";
import { clockFaults, single, singleFaults, wireFaults } from "./redis-single.ts";
import type { RedisOrders } from "./stores.ts";
import { hasWrongClock } from "./wrong-clock.ts";

const QUICK = new Set(["kill", "stop", "connections", "scripts", "flushall"]);
/** Every replica may be the next primary: a sign-out counts once all have it. */
const WAIT: Readonly<Record<"sentinel" | "cluster", RedisOrders["wait"]>> = {
  sentinel: { replicas: 2, timeout: 0.5 },
  cluster: { replicas: 1, timeout: 0.5 },
};

/** Redis with a client. */
export function redis(client = "node-redis 6"): Engine {
  const [failover] = sentinelFaults() as [FaultOn<Sentinel>];
  return {
    name: "redis",
    versions: () => ({ "redis-server": serverVersion(), client: `${client} (${packageVersion(client)})` }),
    missing: () => (programPath("redis-server") === undefined ? REDIS_PROGRAMS.join(", ") : undefined),
    faults: [
      ...processFaults.map((of) => fault(single(client), of)),
      ...singleFaults.map((of) => fault(single(client), of, QUICK.has(of.name))),
      ...wireFaults(client),
      ...(hasWrongClock() ? clockFaults(client) : []),
      ...sentinelFaults().map((of) => fault(sentinels({ client, wait: WAIT.sentinel }), of)),
      fault(sentinels({ client }), withoutWait(failover)),
      ...clusterFaults.map((of) => fault(cluster({ client, wait: WAIT.cluster }), of)),
    ],
  };
}

/** What `wait` is for. */
function withoutWait(of: FaultOn<Sentinel>): FaultOn<Sentinel> {
  return {
    ...of,
    name: `${of.name}-no-wait`,
    title: `the same without \`wait\`: ${of.title}`,
    promised: "none: sign-outs may be lost, too",
    allows: LOSES_ALL,
  };
}

function serverVersion(): string {
  return /v=([\d.]+)/.exec(execFileSync("redis-server", ["--version"], { encoding: "utf8" }))?.[1] ?? "?";
}

function packageVersion(client: string): string {
  const names: Readonly<Record<string, string>> = {
    "node-redis": "redis",
    ioredis: "ioredis",
    "valkey-glide": "@valkey/valkey-glide",
  };
  const [name = "", major = ""] = client.split(/[ ,]/);
  const folder = name !== "valkey-glide" && major === "5" ? `${names[name]}5` : names[name];
  const manifest = new URL(`../../node_modules/${folder}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}
