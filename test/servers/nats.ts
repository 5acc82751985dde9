/**
 * Real NATS servers with JetStream for tests: a single one, and a cluster of three.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { connect, type NodeConnectionOptions } from "@nats-io/transport-node";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { Kvm, type KV, type KvOptions } from "@nats-io/kv";
import { CLUSTERS_SINCE, isTooOldForClusters } from "../../src/store/nats-settings.ts";
import { programPath } from "./require.ts";
import { freePorts, serverDirectory, startProcess, until, type ServerProcess } from "./server-process.ts";

/** What the tests need to be installed. */
export const NATS_PROGRAMS: readonly string[] = ["nats-server"];

/** The version of the server that is installed, such as "2.10.27"; undefined when none is. */
export const NATS_VERSION: string | undefined =
  programPath("nats-server") === undefined
    ? undefined
    : /v([\d.]+)/.exec(execFileSync("nats-server", ["--version"], { encoding: "utf8" }))?.[1];

/** What tests over a cluster need: `natsStore` refuses older servers there. */
export const NATS_CLUSTER_PROGRAMS: readonly string[] = isTooOldForClusters(NATS_VERSION)
  ? [`nats-server ${CLUSTERS_SINCE} or later`]
  : NATS_PROGRAMS;

/** One server. */
export interface NatsNode {
  readonly port: number;
  readonly name: string;
  readonly process: ServerProcess;
  /** Starts it again where it was, with what is on its disk, once it was killed. */
  restart(): Promise<void>;
}

/** Servers that belong together. */
export interface NatsServers {
  readonly nodes: readonly NatsNode[];
  readonly replicas: number;
  stop(): Promise<void>;
}

type NatsConnection = Awaited<ReturnType<typeof connect>>;

/** A connection, and buckets over it. */
export interface NatsClient {
  readonly connection: NatsConnection;
  /** Creates or opens a bucket. */
  bucket(name: string, options?: Partial<KvOptions>): Promise<KV>;
  /** Opens a bucket that is there. */
  open(name: string): Promise<KV>;
  close(): Promise<void>;
}

/** Values of two megabytes pass, as the kit has them. */
const MAX_PAYLOAD = "max_payload: 8MB\n";

/** How a server is started. */
export interface NatsSettings {
  /** Lines of its configuration, and of the part about JetStream. */
  readonly lines?: string;
  readonly limits?: string;
  /** A command that runs the server. */
  readonly launcher?: readonly string[];
}

/** One server. */
export async function startNats(settings: NatsSettings = {}): Promise<NatsServers> {
  const [port = 0] = await freePorts(1);
  const node = await startNode("n1", port, settings);
  return { nodes: [node], replicas: 1, stop: () => node.process.stop() };
}

/** How long servers that have started may take to find each other, in milliseconds; most take one or two seconds. */
const TOGETHER_WITHIN = 10_000;

/** So often a cluster is started: of those of nats-server 2.10 one in a hundred has no peers for three replicas, and gets none. */
const STARTS = 3;

/** A cluster of three; buckets are on all of them. */
export async function startNatsCluster(): Promise<NatsServers> {
  for (let start = 1; ; start++) {
    const servers = await startThree();
    try {
      await until("the cluster", () => canStore(servers.nodes), TOGETHER_WITHIN);
      return servers;
    } catch (error) {
      await servers.stop();
      if (start === STARTS) throw error;
    }
  }
}

async function startThree(): Promise<NatsServers> {
  const ports = await freePorts(3);
  const routePorts = await freePorts(3);
  const routes = routePorts.map((port) => `nats-route://127.0.0.1:${port}`).join(", ");
  const nodes = await Promise.all(
    ports.map((port, i) => {
      const lines = `cluster { name: c, listen: "127.0.0.1:${routePorts[i]}", routes: [${routes}] }\n`;
      return startNode(`n${i + 1}`, port, { lines });
    }),
  );
  return { nodes, replicas: 3, stop: async () => void (await Promise.all(nodes.map((node) => node.process.stop()))) };
}

/** Connects to servers, by whatever connection there is at first; to those only that are given. */
export async function connectNats(
  servers: Pick<NatsServers, "replicas"> & { readonly nodes: readonly Pick<NatsNode, "port">[] },
  options: NodeConnectionOptions = {},
): Promise<NatsClient> {
  const connection = await connect({
    servers: servers.nodes.map(({ port }) => `127.0.0.1:${port}`),
    ignoreClusterUpdates: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    // Else it takes minutes to notice a server that stands still, and 20 s to give up connecting to one.
    pingInterval: 1_000,
    maxPingOut: 2,
    timeout: 1_000,
    ...options,
  });
  const kvm = new Kvm(connection);
  return {
    connection,
    bucket: (name, more = {}) => kvm.create(name, { replicas: servers.replicas, ...more }),
    open: (name) => kvm.open(name),
    close: () => connection.close(),
  };
}

/** Which of the servers leads the stream of a bucket. */
export async function leaderOf(servers: NatsServers, client: NatsClient, bucket: string): Promise<NatsNode> {
  const { streams } = await jetstreamManager(client.connection, { checkAPI: false });
  const { cluster } = await streams.info(`KV_${bucket}`);
  const found = servers.nodes.find(({ name }) => name === cluster?.leader);
  if (found === undefined) throw new Error("no leader");
  return found;
}

async function canStore(nodes: readonly NatsNode[]): Promise<boolean> {
  const client = await connectNats({ nodes, replicas: 3 });
  try {
    // What is asked before there is a leader gets no answer: so ask again soon.
    const kvm = new Kvm(jetstream(client.connection, { timeout: 500 }));
    const kv = await kvm.create("ready", { replicas: 3, storage: "memory" as never });
    await kv.put("ready", "yes");
    return await kv.destroy();
  } finally {
    await client.close();
  }
}

async function startNode(
  name: string,
  port: number,
  { lines = "", limits = "", launcher = [] }: NatsSettings,
): Promise<NatsNode> {
  const program = programPath("nats-server");
  if (program === undefined) throw new Error("nats-server is not installed");
  const directory = serverDirectory("nats");
  const config = [
    `server_name: ${name}\n`,
    `listen: "127.0.0.1:${port}"\n`,
    `jetstream {\n  store_dir: "${directory}"\n  ${limits}\n}\n`,
    MAX_PAYLOAD,
    lines,
  ];
  writeFileSync(join(directory, "server.conf"), config.join(""));
  const start = async (): Promise<ServerProcess> => {
    const [command = "", ...args] = [...launcher, program, "-c", join(directory, "server.conf")];
    const started = startProcess(command, args, directory);
    try {
      await until("nats-server", () => greets(port));
      return started;
    } catch (error) {
      const output = started.output();
      await started.stop();
      throw new Error(`nats-server did not start:\n${output}`, { cause: error });
    }
  };
  let server = await start();
  return {
    port,
    name,
    get process() {
      return server;
    },
    restart: async () => void (server = await start()),
  };
}

/** Whether a server says what it says first of all, and that it has JetStream. */
async function greets(port: number): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    const socket = createConnection(port, "127.0.0.1");
    socket.once("error", reject).once("data", (bytes) => {
      socket.destroy();
      resolve(bytes.toString().includes('"jetstream":true'));
    });
  });
}
