/**
 * What a request that reads costs, with few and with many sessions in the store: `reads.ts <store> <a,b,…> <folder>`. All are
 * measured in turn in one process, so that whatever else the machine does hits all of them. The time of the store's server counts, too.
 *
 * @module
 */
import { join } from "node:path";
import type { SessionStore } from "coatcheck";
import { directoryStore } from "coatcheck/store/directory";
import { memoryStore } from "coatcheck/store/memory";
import { sqliteStore } from "coatcheck/store/sqlite";
import { natsStore } from "coatcheck/store/nats";
import { connectNats, startNats, type NatsNode } from "../../test/servers/nats.ts";
import { processTime } from "../process-time.ts";
import { populationIn } from "./sessions.ts";

/** What was found, in microseconds of CPU time: the least of the rounds. */
export interface ReadCost {
  readonly sessions: number;
  /** A whole request that reads its session, always another one. */
  readonly request: number;
  /** The store's part in it. */
  readonly store: number;
}

/** How many sessions take turns at most. The more there are, the less the caches of the processor help, as in life. */
const MOST_VISITED = 50_000;
const ROUNDS = 15;
const [name = "", counts = "", folder = ""] = process.argv.slice(2);
/** A call over a network takes longer. */
const READS = name === "nats" ? 3000 : 10_000;
/** How many sessions are made at a time. */
const AT_ONCE = name === "nats" ? 64 : 1;

/** A store with its sessions, and what was measured so far. */
interface Contestant {
  readonly sessions: number;
  readonly requests: number[];
  readonly reads: number[];
  request(turn: number): Promise<void>;
  read(turn: number): Promise<void>;
  /** CPU time of its server so far, in microseconds. */
  serverTime(): number;
  end(): unknown;
}

const contestants: Contestant[] = [];
for (const count of counts.split(",")) contestants.push(await entered(Number(count)));
for (let round = 0; round < ROUNDS; round++) {
  for (const { request, read, requests, reads, serverTime } of contestants) {
    requests.push(await costOf(request, round, serverTime));
    reads.push(await costOf(read, round, serverTime));
  }
}
const costs = contestants.map(({ sessions, requests, reads }): ReadCost => {
  return { sessions, request: Math.min(...requests), store: Math.min(...reads) };
});
for (const { end } of contestants) await end();
console.log(JSON.stringify(costs));

async function entered(sessions: number): Promise<Contestant> {
  const { store, serverTime = () => 0, stop } = await placeFor(sessions);
  const population = populationIn(store);
  const every = Math.max(1, Math.floor(sessions / MOST_VISITED));
  const cookies: string[] = [];
  for (let made = 0; made < sessions; made += AT_ONCE) {
    const numbers = Array.from({ length: Math.min(AT_ONCE, sessions - made) }, (_, i) => made + i);
    const pairs = await Promise.all(numbers.map((number) => population.make(`user-${number}`)));
    cookies.push(...pairs.filter((_, i) => (made + i) % every === 0));
  }
  shuffle(cookies);
  const keys = cookies.map((pair) => `scale/${idOf(pair)}`);
  return {
    sessions,
    requests: [],
    reads: [],
    request: (turn) => population.read(cookies[turn % cookies.length] as string),
    async read(turn) {
      const record = store.read(keys[turn % keys.length] as string, { now: Date.now() });
      if ((await record) === undefined) throw new Error("a record was not found");
    },
    serverTime,
    async end() {
      await store.close?.();
      await stop?.();
    },
  };
}

/** A store, and its server, if it has one. */
interface Place {
  readonly store: SessionStore;
  readonly serverTime?: () => number;
  stop?(): Promise<void>;
}

async function placeFor(sessions: number): Promise<Place> {
  const path = join(folder, `${name}-${sessions}`);
  if (name === "memory") return { store: memoryStore({ maxSessions: sessions + 1, sweepInterval: false }) };
  if (name === "sqlite") return { store: sqliteStore(`${path}.db`, { sweepInterval: false }) };
  if (name === "directory") return { store: directoryStore(path, { sweepInterval: false }) };
  if (name === "nats") return await placeInNats();
  throw new Error(`no store ${name}`);
}

async function placeInNats(): Promise<Place> {
  const servers = await startNats();
  const [node] = servers.nodes as readonly [NatsNode];
  const client = await connectNats(servers);
  return {
    store: natsStore(await client.bucket("sessions", { replicas: 1 }), { sweepInterval: false }),
    serverTime: processTime(node.process.pid),
    async stop() {
      await client.close();
      await servers.stop();
    },
  };
}

/** The id in a cookie: the first 16 bytes of its token. */
function idOf(pair: string): string {
  const token = pair.slice(pair.indexOf("=") + 1);
  return Buffer.from(token, "base64url").subarray(0, 16).toString("base64url");
}

/** Microseconds of CPU time a turn. */
async function costOf(work: (turn: number) => Promise<void>, round: number, serverTime: () => number): Promise<number> {
  const others = serverTime();
  const before = process.cpuUsage();
  for (let turn = 0; turn < READS; turn++) await work(round * READS + turn);
  const { user, system } = process.cpuUsage(before);
  return (user + system + serverTime() - others) / READS;
}

function shuffle(list: string[]): void {
  for (let at = list.length - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1));
    [list[at], list[other]] = [list[other] as string, list[at] as string];
  }
}
