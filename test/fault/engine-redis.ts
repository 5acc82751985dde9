/** Redis: its servers and what goes wrong with them. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import {
  REDIS_PROGRAMS,
  startRedis,
  startRedisCluster,
  startRedisSentinels,
  type RedisNode,
  type RedisTopology,
} from "../servers/redis.ts";
import { programPath } from "../servers/require.ts";
import { processFaults } from "./engine-local.ts";
import { fault, type Engine, type Fault, type FaultOn, type Scene, type Servers, type Topology } from "./fault.ts";
import { migrateSlots } from "./redis-slots.ts";
import type { RedisOrders } from "./stores.ts";
import { hasWrongClock, wrongClock } from "./wrong-clock.ts";

interface Single extends Servers {
  readonly node: RedisNode;
}

interface Sentinel extends Servers {
  readonly nodes: readonly RedisNode[];
  readonly sentinel: RedisNode;
  primary(): Promise<RedisNode>;
}

interface Cluster extends Servers {
  readonly nodes: readonly RedisNode[];
}

/** Which client the apps use, and what they wait for. */
export type RedisChoice = Pick<RedisOrders, "client" | "wait">;

/** What is acknowledged is on a disk: of a process that is killed nothing gets lost. */
const ON_DISK = { appendonly: "yes", appendfsync: "everysec" };

function portsOf({ nodes }: RedisTopology): readonly number[] {
  return nodes.map(({ port }) => port);
}

// --- one server -------------------------------------------------------------------------------------------------------

function single({ client }: RedisChoice, launcher: readonly string[] = []): Topology<Single> {
  return {
    name: "one server",
    async start() {
      const servers = await startRedis(ON_DISK, launcher);
      const [node] = servers.nodes as [RedisNode];
      const store = { engine: "redis", topology: "single", client, nodes: portsOf(servers) } as const;
      return { store, node, stop: servers.stop };
    },
  };
}

const singleFaults: readonly FaultOn<Single>[] = [
  {
    name: "kill",
    title: "killed (SIGKILL) in mid-traffic, back after 2 s",
    promised: "503 meanwhile, then on without a restart; nothing acknowledged is lost",
    fails: "must",
    lasts: 2_000,
    inject: ({ node }) => node.process.kill(),
    clear: ({ node }) => node.restart(),
  },
  {
    name: "stop",
    title: "stands still (SIGSTOP) for 5 s",
    promised: "503 within the store timeout",
    fails: "must",
    lasts: 5_000,
    inject: ({ node }) => node.process.pause(),
    clear: ({ node }) => node.process.resume(),
  },
  {
    name: "full",
    title: "memory is full (maxmemory, noeviction) for 3 s",
    promised: "reads and sign-outs go on, changes are 503",
    fails: "must",
    lasts: 3_000,
    inject: async ({ node }) => void (await configured(node, { "maxmemory-policy": "noeviction", maxmemory: "1mb" })),
    clear: async ({ node }) => void (await configured(node, { maxmemory: "0" })),
  },
  {
    name: "read-only",
    title: "becomes a read-only replica for 3 s",
    promised: "reads go on, changes are 503",
    fails: "must",
    lasts: 3_000,
    // Nobody listens on port 1: it goes on with the data that it has.
    inject: async ({ node }) => void (await node.ask("REPLICAOF", "127.0.0.1", "1")),
    clear: async ({ node }) => void (await node.ask("REPLICAOF", "NO", "ONE")),
  },
  {
    name: "connections",
    title: "drops all connections, ten times in 2 s",
    promised: "requests on the way may be 503; the next one works",
    fails: "may",
    lasts: 2_000,
    every: 200,
    inject: async ({ node }) => void (await node.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")),
  },
  {
    name: "scripts",
    title: "forgets all scripts (SCRIPT FLUSH), again and again for 2 s",
    promised: "nobody notices",
    fails: "never",
    lasts: 2_000,
    every: 50,
    inject: async ({ node }) => void (await node.ask("SCRIPT", "FLUSH")),
  },
  {
    name: "garbage",
    title: "half of the records are overwritten with garbage",
    promised: "their owners are anonymous, nothing crashes",
    fails: "never",
    inject: ({ node }, scene) => spoil(node, scene),
  },
  {
    name: "foreign-keys",
    title: "100 000 keys of another application come",
    promised: "nobody notices; they are not counted",
    fails: "never",
    inject: async ({ node }) => void (await node.ask("EVAL", FOREIGN_KEYS, "0")),
  },
  {
    name: "flushall",
    title: "emptied (FLUSHALL)",
    promised: "everyone is anonymous, nothing crashes",
    fails: "never",
    inject: ({ node }, { lose }) => lose("all", async () => void (await node.ask("FLUSHALL"))),
  },
];

async function configured(node: RedisNode, config: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, value] of Object.entries(config)) await node.ask("CONFIG", "SET", name, value);
}

/** Keys of every type, some with names that begin nearly as ours do. */
const FOREIGN_KEYS = `
for i = 1, 24990 do
  redis.call('SET', 'cache:' .. i, string.rep('x', 100))
  redis.call('HSET', 'user:' .. i, 'name', 'ada')
  redis.call('RPUSH', 'queue:' .. i, 'one', 'two')
  redis.call('ZADD', 'coatcheck-of-others:user/' .. i, i, 'member')
end
for i = 1, 10 do
  redis.call('HSET', 'coatcheck:admin/' .. i, 'name', 'ada')
  redis.call('SET', 'coatcheck:admin/' .. i .. 'b', 'text')
  redis.call('SADD', 'coatcheck:userx/' .. i, 'one')
  redis.call('XADD', 'coatcheck' .. i, '*', 'one', 'two')
end
return 1
`;

/** Puts what is no record of ours where records are. */
async function spoil(node: RedisNode, { lose, sessions }: Scene): Promise<void> {
  const keys = (await node.ask("KEYS", "*")) as readonly string[];
  const chosen = sessions().filter((_, at) => at % 2 === 0);
  const spoilt = chosen.flatMap((session) =>
    keys.filter((key) => key.endsWith(session)).map((key) => ({ session, key })),
  );
  const garbage = ["", "garbage", "{}", "1", "\u0000\u0001\u0002", "1zzzzzzzzzzz0000v\n{}", `9${"9".repeat(4_000)}`];
  await lose(
    spoilt.map(({ session }) => session),
    async () => {
      for (const [at, { key }] of spoilt.entries()) await node.ask("SET", key, garbage[at % garbage.length] ?? "");
    },
  );
}

// --- a clock of its own -----------------------------------------------------------------------------------------------

interface Clocked extends Single {
  /** Sets the server's clock so many seconds ahead of that of the apps. */
  setClock(seconds: number): Promise<void>;
}

/** A server with its clock so many seconds ahead. */
function clocked(choice: RedisChoice, seconds: number): Topology<Clocked> {
  return {
    name: "one server",
    async start(folder) {
      const clock = wrongClock(folder, seconds);
      const servers = await single(choice, clock.launcher).start(folder);
      const setClock = async (by: number): Promise<void> => {
        clock.set(by);
        const [now] = (await servers.node.ask("TIME")) as readonly [string];
        if (Math.abs(Number(now) - by - Date.now() / 1000) > 5) throw new Error("the server goes by another clock");
      };
      await setClock(seconds);
      return { ...servers, setClock };
    },
  };
}

const HOUR = 3_600;

function clockFaults(choice: RedisChoice): readonly Fault[] {
  const off = (name: string, title: string, seconds: number): Fault =>
    fault(clocked(choice, seconds), { name, title, promised: "nobody notices", fails: "never", inject: () => {} });
  return [
    off("clock-ahead", "its clock is an hour ahead of that of the apps", HOUR),
    off("clock-behind", "its clock is an hour behind that of the apps", -HOUR),
    fault(clocked(choice, 0), {
      name: "clock-back",
      title: "its clock is set back by an hour in mid-traffic",
      promised: "nobody notices",
      fails: "never",
      inject: ({ setClock }) => setClock(-HOUR),
    }),
    fault(clocked(choice, 0), {
      name: "clock-jump",
      title: "its clock is set ahead by an hour in mid-traffic",
      promised: "nobody notices",
      fails: "never",
      inject: ({ setClock }) => setClock(HOUR),
    }),
  ];
}

// --- Sentinel ---------------------------------------------------------------------------------------------------------

function sentinels({ client, wait }: RedisChoice): Topology<Sentinel> {
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
const LOSES_ALL = [...LOSES, "resurrected"] as const;

function sentinelFaults(): readonly FaultOn<Sentinel>[] {
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

function cluster({ client, wait }: RedisChoice): Topology<Cluster> {
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

const clusterFaults: readonly FaultOn<Cluster>[] = [
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

// --- all of it ----------------------------------------------------------------------------------------------------------

const QUICK = new Set(["kill", "stop", "connections", "scripts", "flushall"]);
/** Every replica may be the next primary: a sign-out counts once all have it. */
const WAIT: Readonly<Record<"sentinel" | "cluster", RedisOrders["wait"]>> = {
  sentinel: { replicas: 2, timeout: 0.5 },
  cluster: { replicas: 1, timeout: 0.5 },
};

/** Redis with a client. */
export function redis(client = "node-redis 6"): Engine {
  const unsafe = <S extends Servers>(of: FaultOn<S>): FaultOn<S> => ({
    ...of,
    name: `${of.name}-no-wait`,
    title: `the same without \`wait\`: ${of.title}`,
    promised: "sign-outs may be lost, too",
    allows: LOSES_ALL,
  });
  const [, killed] = sentinelFaults() as [FaultOn<Sentinel>, FaultOn<Sentinel>];
  return {
    name: "redis",
    versions: () => ({ "redis-server": serverVersion(), client: `${client} (${packageVersion(client)})` }),
    missing: () => (programPath("redis-server") === undefined ? REDIS_PROGRAMS.join(", ") : undefined),
    faults: [
      ...processFaults.map((of) => fault(single({ client }), of)),
      ...singleFaults.map((of) => fault(single({ client }), of, QUICK.has(of.name))),
      ...(hasWrongClock() ? clockFaults({ client }) : []),
      ...sentinelFaults().map((of) => fault(sentinels({ client, wait: WAIT.sentinel }), of)),
      fault(sentinels({ client }), unsafe(killed)),
      ...clusterFaults.map((of) => fault(cluster({ client, wait: WAIT.cluster }), of)),
    ],
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
