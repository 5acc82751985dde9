/** One Redis server, and what goes wrong with it. */
import { startRedis, type RedisNode } from "../servers/redis.ts";
import { fault, type Fault, type FaultOn, type Scene, type Servers, type Topology } from "./fault.ts";
import { startProxy, type Proxy } from "./proxy.ts";
import { wrongClock } from "./wrong-clock.ts";

/** One server. */
export interface Single extends Servers {
  readonly node: RedisNode;
}

/** What is acknowledged is on a disk: of a process that is killed nothing gets lost. */
const ON_DISK = { appendonly: "yes", appendfsync: "everysec" };

/** A server that keeps what it acknowledges on its disk. */
export function single(client: string, launcher: readonly string[] = []): Topology<Single> {
  return {
    name: "one server",
    async start() {
      const servers = await startRedis(ON_DISK, launcher);
      const [node] = servers.nodes as [RedisNode];
      const store = { engine: "redis", topology: "single", client, nodes: [node.port] } as const;
      return { store, node, stop: servers.stop };
    },
  };
}

/** What may happen to one server. */
export const singleFaults: readonly FaultOn<Single>[] = [
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
    lasts: 1_000,
    inject: async ({ node }) => void (await node.ask("EVAL", FOREIGN_KEYS, "0")),
    clear: async (_, { apps, sessions }) => {
      const counted = Number(await (await fetch(`${apps[0].origin}/count`)).json());
      if (!(counted > 0 && counted <= sessions().length)) throw new Error(`${counted} sessions were counted`);
    },
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
for i = 1, 24000 do
  redis.call('SET', 'cache:' .. i, string.rep('x', 100))
  redis.call('HSET', 'user:' .. i, 'name', 'ada')
  redis.call('RPUSH', 'queue:' .. i, 'one', 'two')
  redis.call('ZADD', 'coatcheck-of-others:user/' .. i, i, 'member')
end
for i = 1, 1000 do
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

// --- a wire that can be cut ---------------------------------------------------------------------------------------------

interface Wired extends Single {
  readonly wire: Proxy;
}

function wired(client: string): Topology<Wired> {
  return {
    name: "one server",
    async start(folder) {
      const servers = await single(client).start(folder);
      const wire = await startProxy(servers.node.port);
      const stop = async (): Promise<void> => {
        await wire.stop();
        await servers.stop();
      };
      return { ...servers, wire, stop, store: { engine: "redis", topology: "single", client, nodes: [wire.port] } };
    },
  };
}

/** What may happen to the connections. */
export function wireFaults(client: string): readonly Fault[] {
  return [
    fault(wired(client), {
      name: "answers",
      title: "does what it is told, and its answers are lost with all connections, again and again for 3 s",
      promised: "503, or the client asks again; nothing is done twice",
      fails: "may",
      lasts: 3_000,
      every: 100,
      // Not longer: everybody would wait for what a request begins with, a read.
      inject: ({ wire }) => wire.loseAnswers(5),
    }),
  ];
}

// --- a clock of its own -----------------------------------------------------------------------------------------------

interface Clocked extends Single {
  /** Sets the server's clock so many seconds ahead of that of the apps. */
  setClock(seconds: number): Promise<void>;
}

/** A server with its clock so many seconds ahead. */
function clocked(client: string, seconds: number): Topology<Clocked> {
  return {
    name: "one server",
    async start(folder) {
      const clock = wrongClock(folder, seconds);
      const servers = await single(client, clock.launcher).start(folder);
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

/** What may happen to its clock. */
export function clockFaults(client: string): readonly Fault[] {
  const off = (name: string, title: string, seconds: number): Fault =>
    fault(clocked(client, seconds), { name, title, promised: "nobody notices", fails: "never", inject: () => {} });
  return [
    off("clock-ahead", "its clock is an hour ahead of that of the apps", HOUR),
    off("clock-behind", "its clock is an hour behind that of the apps", -HOUR),
    fault(clocked(client, 0), {
      name: "clock-back",
      title: "its clock is set back by an hour in mid-traffic",
      promised: "nobody notices",
      fails: "never",
      inject: ({ setClock }) => setClock(-HOUR),
    }),
    fault(clocked(client, 0), {
      name: "clock-jump",
      title: "its clock is set ahead by an hour in mid-traffic",
      promised: "nobody notices",
      fails: "never",
      inject: ({ setClock }) => setClock(HOUR),
    }),
  ];
}
