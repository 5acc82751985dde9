/** Memcached servers, and what goes wrong with them. */
import { startMemcached, type MemcachedServer } from "../servers/memcached.ts";
import { fault, type Fault, type FaultOn, type Scene, type Servers, type Topology } from "./fault.ts";
import { startProxy, type Proxy } from "./proxy.ts";
import { wrongClock } from "./wrong-clock.ts";

/** One server. */
export interface Single extends Servers {
  readonly server: MemcachedServer;
}

/** One server, started with some arguments. */
export function single(
  client: string,
  args: readonly string[] = [],
  launcher: readonly string[] = [],
): Topology<Single> {
  return {
    name: "one server",
    async start() {
      const server = await startMemcached(args, launcher);
      return { store: { engine: "memcached", client, ports: [server.port] }, server, stop: server.stop };
    },
  };
}

/** What may happen to one server. */
export const singleFaults: readonly FaultOn<Single>[] = [
  {
    name: "kill",
    title: "killed (SIGKILL) in mid-traffic, back after 2 s, empty",
    promised: "503 meanwhile, then on without a restart; everyone is anonymous",
    fails: "must",
    lasts: 2_000,
    inject: ({ server }, { lose }) => lose("all", () => server.process.kill()),
    clear: ({ server }) => server.restart(),
  },
  {
    name: "stop",
    title: "stands still (SIGSTOP) for 5 s",
    promised: "503 within the store timeout; nobody is signed out",
    fails: "must",
    lasts: 5_000,
    inject: ({ server }) => server.process.pause(),
    clear: ({ server }) => server.process.resume(),
  },
  {
    name: "garbage",
    title: "half of the records are overwritten with garbage",
    promised: "their owners are anonymous, nothing crashes",
    fails: "never",
    inject: ({ server }, scene) => spoil(server, scene),
  },
];

/** Puts what is no record of ours where records are. */
async function spoil(server: MemcachedServer, { lose, sessions }: Scene): Promise<void> {
  const chosen = sessions().filter((_, at) => at % 2 === 0);
  const garbage = ["", "garbage", "{}", "1", "\u0000\u0001\u0002", "1zzzzzzzzzzzv\t", `9${"9".repeat(4_000)}`];
  await lose(chosen, async () => {
    for (const [at, session] of chosen.entries()) {
      const text = garbage[at % garbage.length] ?? "";
      // Those that are there: nothing is to be where sessions have ended.
      await server.ask(`replace coatcheck:user/${session} 0 3600 ${text.length}\r\n${text}`);
    }
  });
}

/** A small server: 2 MB, of which each size of values has some of its own, and few such sizes. */
export const SMALL: readonly string[] = ["-m", "2", "-f", "4"];

/** One of each of those sizes, as sessions are, and how many of it are a megabyte. */
const SIZES = [300, 1_400, 6_000].map((size) => ({ size, count: Math.ceil(1_048_576 / size) }));
let fillings = 0;

const linesOf = (line: (name: string, size: number) => string): string =>
  SIZES.flatMap(({ size, count }) => Array.from({ length: count }, (_, at) => line(`${size}:${at}`, size))).join("");

/** Writes what another application keeps, again and again something else, until memory is full. */
async function fill({ server }: Single): Promise<void> {
  const filling = ++fillings;
  const line = (name: string, size: number): string =>
    `set cache:${filling}:${name} 0 0 ${size} noreply\r\n${"x".repeat(size)}\r\n`;
  await server.ask(`${linesOf(line)}version`);
}

async function empty({ server }: Single): Promise<void> {
  for (; fillings > 0; fillings--) {
    await server.ask(`${linesOf((name) => `delete cache:${fillings}:${name} noreply\r\n`)}version`);
  }
}

/** What happens to a server that is too small. */
export const evicting: FaultOn<Single> = {
  name: "evicting",
  title: "memory is full, and it evicts (its default) for 2 s",
  promised: "some are signed out, with their changes; nothing comes back, nothing else happens",
  fails: "never",
  allows: ["lost", "signedOut"],
  lasts: 2_000,
  every: 200,
  inject: fill,
  async clear({ server }) {
    if ((await server.stat("evictions")) === 0) throw new Error("nothing was evicted");
  },
};

/** What happens to one that must not evict. */
export const full: FaultOn<Single> = {
  name: "full",
  title: "memory is full, and it must not evict (`-M`) for 3 s",
  promised: "reads and sign-outs go on, changes are 503; nobody is signed out",
  fails: "must",
  lasts: 3_000,
  every: 200,
  inject: fill,
  clear: empty,
};

// --- a wire that can be cut ---------------------------------------------------------------------------------------------

interface Wired extends Single {
  readonly wire: Proxy;
}

function wired(client: string): Topology<Wired> {
  return {
    name: "one server",
    async start(folder) {
      const servers = await single(client).start(folder);
      const wire = await startProxy(servers.server.port);
      const stop = async (): Promise<void> => {
        await wire.stop();
        await servers.stop();
      };
      return { ...servers, wire, stop, store: { engine: "memcached", client, ports: [wire.port] } };
    },
  };
}

/** What may happen to the connections. */
export function wireFaults(client: string): readonly Fault[] {
  return [
    fault(
      wired(client),
      {
        name: "answers",
        title: "does what it is told, and its answers are lost with all connections, again and again for 3 s",
        promised: "503; nothing is done twice",
        fails: "may",
        lasts: 3_000,
        every: 100,
        inject: ({ wire }) => wire.loseAnswers(5),
      },
      true,
    ),
  ];
}

// --- a clock of its own -----------------------------------------------------------------------------------------------

interface Clocked extends Single {
  setClock(seconds: number): void;
}

/** A server with its clock so many seconds ahead. */
function clocked(client: string, seconds: number): Topology<Clocked> {
  return {
    name: "one server",
    async start(folder) {
      const clock = wrongClock(folder, seconds);
      const servers = await single(client, [], clock.launcher).start(folder);
      return { ...servers, setClock: clock.set };
    },
  };
}

const HOUR = 3_600;

/** What may happen to its clock. */
export function clockFaults(client: string): readonly Fault[] {
  const off = (name: string, title: string, from: number, to: number): Fault =>
    fault(clocked(client, from), {
      name,
      title,
      promised: "nobody notices",
      fails: "never",
      async inject({ server, setClock }) {
        const ahead = (await server.stat("time")) - Date.now() / 1_000;
        if (Math.abs(ahead - from) > 5) throw new Error("the server goes by another clock");
        setClock(to);
      },
    });
  return [
    off("clock-ahead", "its clock is an hour ahead of that of the apps", HOUR, HOUR),
    off("clock-behind", "its clock is an hour behind that of the apps", -HOUR, -HOUR),
    off("clock-back", "its clock is set back by an hour in mid-traffic", 0, -HOUR),
    off("clock-jump", "its clock is set ahead by an hour in mid-traffic", 0, HOUR),
  ];
}

// --- several servers --------------------------------------------------------------------------------------------------------

/** Three servers, of which each session is on one. */
export interface Fleet extends Servers {
  readonly servers: readonly [MemcachedServer, MemcachedServer, MemcachedServer];
}

/** Three servers. */
export function fleet(client: string): Topology<Fleet> {
  return {
    name: "three servers",
    async start() {
      const servers = await Promise.all([startMemcached(), startMemcached(), startMemcached()]);
      return {
        store: { engine: "memcached", client, ports: servers.map(({ port }) => port) },
        servers,
        stop: async () => void (await Promise.all(servers.map(({ stop }) => stop()))),
      };
    },
  };
}

/** What may happen to one of three. */
export const fleetFaults: readonly FaultOn<Fleet>[] = [
  {
    name: "one-killed",
    title: "one of three is killed (SIGKILL), back after 3 s, empty",
    promised: "503 for its sessions, and then those are over; nothing comes back",
    fails: "must",
    allows: ["lost", "signedOut"],
    lasts: 3_000,
    inject: ({ servers }) => servers[1].process.kill(),
    clear: ({ servers }) => servers[1].restart(),
  },
  {
    name: "one-paused",
    title: "one of three stands still (SIGSTOP) for 3 s",
    promised: "503 for its sessions within the store timeout; nobody is signed out",
    fails: "must",
    lasts: 3_000,
    inject: ({ servers }) => servers[1].process.pause(),
    clear: ({ servers }) => servers[1].process.resume(),
  },
];
