/** NATS servers, and what goes wrong with them. */
import {
  connectNats,
  leaderOf,
  startNats,
  startNatsCluster,
  type NatsClient,
  type NatsNode,
  type NatsServers,
} from "../servers/nats.ts";
import { until } from "../servers/server-process.ts";
import { fault, type Fault, type FaultOn, type Scene, type Servers, type Topology } from "./fault.ts";
import { startProxy, type Proxy } from "./proxy.ts";

const BUCKET = "sessions";
const MEMORY = { storage: "memory" as never };

/** Servers with a bucket. */
export interface Nats extends Servers {
  readonly servers: NatsServers;
  readonly node: NatsNode;
}

async function prepared(servers: NatsServers, options = {}): Promise<Nats> {
  await using(servers, (client) => client.bucket(BUCKET, options));
  const store = { engine: "nats", ports: servers.nodes.map(({ port }) => port) } as const;
  return { store, servers, node: servers.nodes[0] as NatsNode, stop: () => servers.stop() };
}

/** Does something over a connection for this only. */
async function using<T>(servers: NatsServers, work: (client: NatsClient) => Promise<T>): Promise<T> {
  const client = await connectNats(servers);
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** One server, with files. */
export const single: Topology<Nats> = {
  name: "one server",
  start: async () => await prepared(await startNats()),
};

const inMemory: Topology<Nats> = {
  name: "one server, in memory",
  start: async () => await prepared(await startNats(), MEMORY),
};

const small: Topology<Nats> = {
  name: "one server with little room",
  start: async () => await prepared(await startNats({ limits: "max_file_store: 24MB" })),
};

/** Three servers with three replicas. */
export const cluster: Topology<Nats> = { name: "cluster", start: async () => await prepared(await startNatsCluster()) };

/** What may happen to one server. */
export const singleFaults: readonly FaultOn<Nats>[] = [
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
    name: "garbage",
    title: "half of the records are overwritten with garbage",
    promised: "their owners are anonymous, nothing crashes",
    fails: "never",
    inject: ({ servers }, scene) => using(servers, (client) => spoil(client, scene)),
  },
  {
    name: "purge",
    title: "emptied (all messages of the bucket are purged)",
    promised: "everyone is anonymous, nothing crashes",
    fails: "never",
    inject: ({ servers }, { lose }) =>
      lose("all", async () => {
        await using(servers, async (client) => (await streamsOf(client)).purge(`KV_${BUCKET}`));
      }),
  },
];

async function streamsOf({ connection }: NatsClient): Promise<{ purge(name: string): Promise<unknown> }> {
  const { jetstreamManager } = await import("@nats-io/jetstream");
  return (await jetstreamManager(connection)).streams;
}

/** Puts what is no record of ours where records are. */
async function spoil(client: NatsClient, { lose, sessions }: Scene): Promise<void> {
  const bucket = await client.open(BUCKET);
  const names: string[] = [];
  for await (const name of await bucket.keys("r.>")) names.push(name);
  const spoilt = sessions()
    .filter((_, at) => at % 2 === 0)
    .flatMap((session) => names.filter((name) => name.endsWith(session)).map((name) => ({ session, name })));
  const garbage = ["", "garbage", "{}", "1", "\u0000\u0001\u0002", '1["v",1,"x"]', `9${"9".repeat(4_000)}`];
  await lose(
    spoilt.map(({ session }) => session),
    async () => {
      for (const [at, { name }] of spoilt.entries()) await bucket.put(name, garbage[at % garbage.length] ?? "");
    },
  );
}

/** What may happen to a server with other settings. */
export function settingFaults(): readonly Fault[] {
  return [
    fault(inMemory, {
      name: "memory",
      title: "memory storage: killed, and back after 1 s with nothing; the bucket is made anew",
      promised: "503 meanwhile; everyone is anonymous, nothing crashes",
      fails: "must",
      lasts: 1_000,
      inject: ({ node }, { lose }) => lose("all", () => node.process.kill()),
      async clear({ node, servers }) {
        await node.restart();
        await using(servers, (client) => client.bucket(BUCKET, MEMORY));
      },
    }),
    fault(small, {
      name: "full",
      title: "storage is full (max_file_store) for 3 s",
      promised: "reads go on; changes are 503, and so are sign-outs",
      fails: "must",
      lasts: 3_000,
      inject: ({ servers }) => using(servers, fill),
      clear: ({ servers }) => using(servers, async (client) => void (await (await client.open("others")).destroy())),
    }),
  ];
}

/** Another bucket takes all the room there is. */
async function fill(client: NatsClient): Promise<void> {
  const others = await client.bucket("others", { replicas: 1 });
  let made = 0;
  for (const size of [1_000_000, 100_000, 10_000, 1_000, 200]) {
    let isFull = false;
    while (!isFull) {
      isFull = await others.put(`k${made++}`, "x".repeat(size)).then(
        () => false,
        () => true,
      );
    }
  }
}

// --- a wire that can be cut ---------------------------------------------------------------------------------------------

interface Wired extends Nats {
  readonly wire: Proxy;
}

const wired: Topology<Wired> = {
  name: "one server",
  async start(folder) {
    const nats = await single.start(folder);
    const wire = await startProxy(nats.node.port);
    const stop = async (): Promise<void> => {
      await wire.stop();
      await nats.stop();
    };
    return { ...nats, wire, stop, store: { engine: "nats", ports: [wire.port] } };
  },
};

/** What may happen to the connections. */
export const wireFaults: readonly Fault[] = [
  fault(
    wired,
    {
      name: "connections",
      title: "all connections break, ten times in 2 s",
      promised: "requests on the way may be 503; the next one works",
      fails: "may",
      lasts: 2_000,
      every: 200,
      inject: ({ wire }) => wire.loseAnswers(0),
    },
    true,
  ),
  fault(wired, {
    name: "answers",
    title: "does what it is told, and its answers are lost with all connections, again and again for 3 s",
    promised: "503, or the client asks again; nothing is done twice",
    fails: "must",
    lasts: 3_000,
    every: 100,
    inject: ({ wire }) => wire.loseAnswers(5),
  }),
];

// --- a cluster ----------------------------------------------------------------------------------------------------------

const OTHERS = "503 until another one leads; nothing acknowledged is lost";

/** What may happen to a cluster. */
export function clusterFaults(): readonly FaultOn<Nats>[] {
  let hit: NatsNode | undefined;
  const leader = async ({ servers }: Nats): Promise<NatsNode> =>
    await using(servers, (client) => leaderOf(servers, client, BUCKET));
  const back = async (node: NatsNode | undefined, { servers }: Nats): Promise<void> => {
    await node?.restart();
    await until(
      "a leader",
      async () => (await using(servers, (client) => leaderOf(servers, client, BUCKET))) !== undefined,
    );
  };
  return [
    {
      name: "leader-killed",
      title: "the leader of the bucket is killed (SIGKILL), and back after 6 s",
      promised: OTHERS,
      fails: "must",
      lasts: 6_000,
      inject: async (nats) => await (hit = await leader(nats)).process.kill(),
      clear: (nats) => back(hit, nats),
    },
    {
      name: "leader-paused",
      title: "the leader of the bucket stands still (SIGSTOP) for 12 s",
      promised: OTHERS,
      fails: "must",
      lasts: 12_000,
      inject: async (nats) => (hit = await leader(nats)).process.pause(),
      clear: () => hit?.process.resume(),
    },
    {
      name: "follower-killed",
      title: "a server that does not lead is killed (SIGKILL), and back after 4 s",
      promised: "requests of those that were connected to it may be 503",
      fails: "may",
      lasts: 4_000,
      async inject(nats) {
        const leads = await leader(nats);
        hit = nats.servers.nodes.find((node) => node !== leads);
        await hit?.process.kill();
      },
      clear: (nats) => back(hit, nats),
    },
    {
      name: "step-down",
      title: "another one is made leader, every 300 ms for 3 s",
      promised: OTHERS,
      fails: "may",
      lasts: 3_000,
      every: 300,
      inject: ({ servers }) =>
        using(servers, async ({ connection }) => {
          await connection
            .request(`$JS.API.STREAM.LEADER.STEPDOWN.KV_${BUCKET}`, "", { timeout: 2_000 })
            .catch(() => undefined);
        }),
    },
    {
      name: "all-killed",
      title: "all three are killed (SIGKILL), and back after 2 s",
      promised: "503 meanwhile; nothing acknowledged is lost",
      fails: "must",
      lasts: 2_000,
      inject: async ({ servers }) => void (await Promise.all(servers.nodes.map((node) => node.process.kill()))),
      async clear(nats) {
        await Promise.all(nats.servers.nodes.map((node) => node.restart()));
        await back(undefined, nats);
      },
    },
  ];
}
