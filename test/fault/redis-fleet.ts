/** Redis servers that stand in for each other, and what goes wrong with them. */
import { startRedisCluster, startRedisSentinels, type RedisNode, type RedisTopology } from "../servers/redis.ts";
import type { Findings } from "./check.ts";
import type { FaultOn, Servers, Topology } from "./fault.ts";
import { migrateSlots } from "./redis-slots.ts";
import type { RedisOrders } from "./stores.ts";

/** A primary, two replicas and three sentinels. */
export interface Sentinel extends Servers {
  readonly nodes: readonly RedisNode[];
  readonly sentinel: RedisNode;
  primary(): Promise<RedisNode>;
}

/** Three primaries with a replica each, the replica of the first one fourth. */
export interface Cluster extends Servers {
  readonly nodes: readonly RedisNode[];
}

/** Which client the apps use, and what they wait for. */
export type RedisChoice = Pick<RedisOrders, "client" | "wait">;

function portsOf({ nodes }: RedisTopology): readonly number[] {
  return nodes.map(({ port }) => port);
}

// --- Sentinel ---------------------------------------------------------------------------------------------------------

/** Starts a primary with replicas and sentinels. */
export function sentinels({ client, wait }: RedisChoice): Topology<Sentinel> {
  return {
    name: "Sentinel",
    async start() {
      const servers = await startRedisSentinels();
      const store: RedisOrders = {
        engine: "redis",
        topology: "sentinel",
        client,
        nodes: portsOf(servers),
        sentinels: servers.sentinels.map(({ port }) => port),
        ...(wait === undefined ? {} : { wait }),
      };
      const { nodes, primary, stop } = servers;
      return { store, nodes, sentinel: servers.sentinels[0] as RedisNode, primary, stop };
    },
  };
}

/**
 * What a failover may do: replication is asynchronous, so what was acknowledged last may not have arrived: a change, a
 * sign-in, a rotation. Sign-outs wait.
 */
const LOSES = ["lost", "oldSecrets", "signedOut"] as const;
/** Without `wait` sign-outs may be lost, too. */
export const LOSES_ALL: readonly (keyof Findings)[] = [...LOSES, "resurrected"];

/** What may happen to a primary that sentinels watch. */
export function sentinelFaults(): readonly FaultOn<Sentinel>[] {
  let old: RedisNode | undefined;
  return [
    {
      name: "sentinel-failover",
      title: "a failover is ordered (SENTINEL FAILOVER)",
      promised: "503 for some seconds; the last changes before it may be lost, no sign-out is",
      fails: "may",
      allows: LOSES,
      inject: async ({ sentinel }) => void (await sentinel.ask("SENTINEL", "FAILOVER", "sessions")),
    },
    {
      name: "sentinel-killed",
      title: "the primary is killed (SIGKILL), and comes back as a replica after 4 s",
      promised: "503 for some seconds; the last changes before it may be lost, no sign-out is",
      fails: "must",
      allows: LOSES,
      lasts: 4_000,
      async inject({ primary }) {
        old = await primary();
        await old.process.kill();
      },
      clear: () => old?.restart(),
    },
    {
      name: "sentinel-paused",
      title: "the primary stands still (SIGSTOP) for 5 s, and comes back after the failover",
      promised: "503 for some seconds; the last changes before it may be lost, no sign-out is",
      fails: "must",
      allows: LOSES,
      lasts: 5_000,
      async inject({ primary }) {
        old = await primary();
        old.process.pause();
      },
      clear: () => old?.process.resume(),
    },
  ];
}

// --- Cluster ----------------------------------------------------------------------------------------------------------

/** Starts a Cluster. */
export function cluster({ client, wait }: RedisChoice): Topology<Cluster> {
  return {
    name: "Cluster",
    async start() {
      const servers = await startRedisCluster();
      const store: RedisOrders = {
        engine: "redis",
        topology: "cluster",
        client,
        nodes: portsOf(servers),
        ...(wait === undefined ? {} : { wait }),
      };
      return { store, nodes: servers.nodes, stop: servers.stop };
    },
  };
}

/** What may happen to a Cluster. */
export const clusterFaults: readonly FaultOn<Cluster>[] = [
  {
    name: "cluster-failover",
    title: "a replica takes over (CLUSTER FAILOVER)",
    promised: "nothing is lost",
    fails: "may",
    inject: async ({ nodes }) => void (await nodes[3]?.ask("CLUSTER", "FAILOVER")),
  },
  {
    name: "cluster-killed",
    title: "a primary is killed (SIGKILL), and comes back as a replica after 6 s",
    promised: "503 for some seconds; the last changes before it may be lost, no sign-out is",
    fails: "must",
    allows: LOSES,
    lasts: 6_000,
    inject: async ({ nodes }) => await nodes[0]?.process.kill(),
    clear: async ({ nodes }) => await nodes[0]?.restart(),
  },
  {
    name: "slots",
    title: "a thousand slots move to another primary",
    promised: "nothing is lost; a sign-out that waits for replicas may be 503 while its slot moves",
    fails: "may",
    inject: ({ nodes }) => migrateSlots(nodes, 1_000),
  },
];
