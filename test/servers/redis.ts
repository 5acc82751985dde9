/**
 * Real Redis servers for tests: a single one, a primary with replicas and sentinels, and a Cluster.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { RespClient, type Reply } from "./resp.ts";
import { programPath } from "./require.ts";
import { freePorts, serverDirectory, startProcess, until, type ServerProcess } from "./server-process.ts";

/** What the tests need to be installed. */
export const REDIS_PROGRAMS: readonly string[] = ["redis-server"];

/** Lines of a configuration, beside those that are always given. */
export type RedisConfig = Readonly<Record<string, string>>;

/** One server. */
export interface RedisNode {
  readonly port: number;
  readonly process: ServerProcess;
  /** Starts it again where it was, with what is on its disk, once it was killed. */
  restart(): Promise<void>;
  /** Asks it something, over a connection for this question only. */
  ask(command: string, ...args: readonly string[]): Promise<Reply>;
}

/** Servers that belong together. */
export interface RedisTopology {
  readonly nodes: readonly RedisNode[];
  stop(): Promise<void>;
}

/** A primary with replicas, and the sentinels that watch it. */
export interface RedisSentinels extends RedisTopology {
  /** What the sentinels call the primary. */
  readonly name: string;
  readonly sentinels: readonly RedisNode[];
  /** Where the sentinels say that the primary is. */
  primary(): Promise<RedisNode>;
}

/**
 * One server. Nothing is written to a disk, unless `config` says so. `launcher`: a command that runs the server, such as
 * `["env", "NAME=value"]`.
 */
export async function startRedis(
  config: RedisConfig = {},
  launcher: readonly string[] = [],
): Promise<RedisTopology & { readonly port: number }> {
  const [port = 0] = await freePorts(1);
  const node = await startNode(port, config, launcher);
  return { port, nodes: [node], stop: () => node.process.stop() };
}

/** A primary, the first, and its replicas. */
export async function startRedisReplicas(config: RedisConfig = {}, replicas = 2): Promise<RedisTopology> {
  const [port = 0, ...others] = await freePorts(1 + replicas);
  const primary = await startNode(port, config);
  const follow = { ...config, replicaof: `127.0.0.1 ${port}` };
  const nodes = [primary, ...(await Promise.all(others.map((other) => startNode(other, follow))))];
  await until("replication", async () => (await replicasOf(primary)) === replicas);
  return { nodes, stop: () => stopAll(nodes) };
}

/** A primary, two replicas and three sentinels; a failover begins when the primary has been gone for `downAfter` ms. */
export async function startRedisSentinels(config: RedisConfig = {}, downAfter = 1_000): Promise<RedisSentinels> {
  const name = "sessions";
  const { nodes, stop } = await startRedisReplicas(config);
  const port = nodes[0]?.port ?? 0;
  const sentinels = await Promise.all((await freePorts(3)).map((own) => startSentinel(own, name, port, downAfter)));
  await until("the sentinels", async () => (await Promise.all(sentinels.map(knowsAll(name)))).every(Boolean));
  return {
    name,
    nodes,
    sentinels,
    async primary() {
      const address = (await sentinels[0]?.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)) as
        | readonly string[]
        | null;
      const found = nodes.find((node) => node.port === Number(address?.[1]));
      if (found === undefined) throw new Error("no primary");
      return found;
    },
    async stop() {
      await stopAll(sentinels);
      await stop();
    },
  };
}

/** The nodes of a cluster talk to each other on a port that is so far above. */
const BUS = 10_000;

/** Nodes talk more often while they get to know each other, in milliseconds. */
const SHORT_TIMEOUT = "500";

/** Three primaries, the first ones, with a replica each; a failover begins when one has been gone for two seconds. */
export async function startRedisCluster(config: RedisConfig = {}): Promise<RedisTopology> {
  const { "cluster-node-timeout": timeout = "2000", ...others } = config;
  const clustered = { "cluster-enabled": "yes", "cluster-node-timeout": SHORT_TIMEOUT, ...others };
  const nodes = await Promise.all((await freePorts(6, BUS)).map((port) => startNode(port, clustered)));
  const primaries = nodes.slice(0, 3);
  const slots = ["0 5460", "5461 10922", "10923 16383"];
  for (const [i, node] of primaries.entries()) {
    await node.ask("CLUSTER", "SET-CONFIG-EPOCH", String(i + 1));
    await node.ask("CLUSTER", "ADDSLOTSRANGE", ...(slots[i] ?? "").split(" "));
  }
  for (const node of nodes) {
    for (const { port } of nodes) if (port !== node.port) await node.ask("CLUSTER", "MEET", "127.0.0.1", String(port));
  }
  const ids = await Promise.all(primaries.map(async (node) => String(await node.ask("CLUSTER", "MYID"))));
  const replicate = async (node: RedisNode, i: number): Promise<void> => {
    // Not before the replica has heard of the primary.
    await until("a replica", async () => (await node.ask("CLUSTER", "REPLICATE", ids[i] ?? "")) === "OK");
  };
  await Promise.all(nodes.slice(3).map(replicate));
  await until("the cluster", async () => (await Promise.all(nodes.map(isWhole))).every(Boolean));
  for (const node of nodes) await node.ask("CONFIG", "SET", "cluster-node-timeout", timeout);
  return { nodes, stop: () => stopAll(nodes) };
}

/** How many replicas have a command that was sent to them now: one that is still being told the beginning has not. */
async function replicasOf(node: RedisNode): Promise<number> {
  const client = await RespClient.connect(node.port);
  try {
    await client.send("PUBLISH", ["ready", ""]);
    return Number(await client.send("WAIT", ["9", "50"]));
  } finally {
    client.close();
  }
}

async function isWhole(node: RedisNode): Promise<boolean> {
  const info = String(await node.ask("CLUSTER", "INFO"));
  const shards = (await node.ask("CLUSTER", "SLOTS")) as readonly (readonly Reply[])[];
  const isReplicated = shards.length === 3 && shards.every((shard) => shard.length === 4);
  const isReplica = String(await node.ask("INFO", "replication")).includes("master_link_status:up");
  const isLinked = isReplica || (await replicasOf(node)) === 1;
  return isReplicated && isLinked && info.includes("cluster_state:ok");
}

async function startNode(port: number, config: RedisConfig, launcher: readonly string[] = []): Promise<RedisNode> {
  const always = {
    port: String(port),
    bind: "127.0.0.1",
    save: '""',
    appendonly: "no",
    "repl-diskless-sync-delay": "0",
    // A cluster shows a replica when it has heard of its primary.
    "repl-ping-replica-period": "1",
  };
  return await startServer("redis", port, { ...always, ...config }, [], launcher);
}

async function startSentinel(port: number, name: string, primary: number, downAfter: number): Promise<RedisNode> {
  const config = {
    port: String(port),
    bind: "127.0.0.1",
    "sentinel monitor": `${name} 127.0.0.1 ${primary} 2`,
    "sentinel down-after-milliseconds": `${name} ${downAfter}`,
    "sentinel failover-timeout": `${name} 5000`,
  };
  return await startServer("sentinel", port, config, ["--sentinel"]);
}

async function startServer(
  kind: string,
  port: number,
  config: RedisConfig,
  args: readonly string[],
  launcher: readonly string[] = [],
): Promise<RedisNode> {
  const program = programPath("redis-server");
  if (program === undefined) throw new Error("redis-server is not installed");
  const directory = serverDirectory(kind);
  const lines = Object.entries({ dir: directory, ...config }).map(([name, value]) => `${name} ${value}\n`);
  writeFileSync(join(directory, "server.conf"), lines.join(""));
  const [command, ...rest] = [...launcher, program, join(directory, "server.conf"), ...args] as [string, ...string[]];
  const ask: RedisNode["ask"] = (name, ...words) => asked(port, name, words);
  const start = async (): Promise<ServerProcess> => {
    const started = startProcess(command, rest, directory);
    try {
      await until("redis-server", async () => (await ask("PING")) === "PONG");
      return started;
    } catch (error) {
      const output = started.output();
      await started.stop();
      throw new Error(`redis-server did not start:\n${output}`, { cause: error });
    }
  };
  let server = await start();
  return {
    port,
    get process() {
      return server;
    },
    restart: async () => void (server = await start()),
    ask,
  };
}

async function asked(port: number, command: string, args: readonly string[]): Promise<Reply> {
  const client = await RespClient.connect(port);
  try {
    return await client.send(command, args);
  } finally {
    client.close();
  }
}

function knowsAll(name: string): (sentinel: RedisNode) => Promise<boolean> {
  return async (sentinel) => {
    const told = (await sentinel.ask("SENTINEL", "MASTER", name)) as readonly string[];
    const fields = new Map(told.flatMap((field, i) => (i % 2 === 0 ? [[field, told[i + 1]] as const] : [])));
    return fields.get("num-slaves") === "2" && fields.get("num-other-sentinels") === "2";
  };
}

async function stopAll(nodes: readonly RedisNode[]): Promise<void> {
  await Promise.all(nodes.map(({ process: server }) => server.stop()));
}
