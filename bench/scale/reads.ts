/**
 * What a request that reads costs, with few and with many sessions in the store: `reads.ts <store> <a,b,…> <folder>`. All are
 * measured in turn in one process, so that whatever else the machine does hits all of them.
 *
 * @module
 */
import { join } from "node:path";
import type { SessionStore } from "coatcheck";
import { directoryStore } from "coatcheck/store/directory";
import { memoryStore } from "coatcheck/store/memory";
import { sqliteStore } from "coatcheck/store/sqlite";
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
const READS = 10_000;

/** A store with its sessions, and what was measured so far. */
interface Contestant {
  readonly sessions: number;
  readonly requests: number[];
  readonly reads: number[];
  request(turn: number): Promise<void>;
  read(turn: number): Promise<void>;
  end(): unknown;
}

const [name = "", counts = "", folder = ""] = process.argv.slice(2);
const contestants: Contestant[] = [];
for (const count of counts.split(",")) contestants.push(await entered(Number(count)));
for (let round = 0; round < ROUNDS; round++) {
  for (const { request, read, requests, reads } of contestants) {
    requests.push(await costOf(request, round));
    reads.push(await costOf(read, round));
  }
}
const costs = contestants.map(({ sessions, requests, reads }): ReadCost => {
  return { sessions, request: Math.min(...requests), store: Math.min(...reads) };
});
for (const { end } of contestants) await end();
console.log(JSON.stringify(costs));

async function entered(sessions: number): Promise<Contestant> {
  const store = storeOf(sessions);
  const population = populationIn(store);
  const every = Math.max(1, Math.floor(sessions / MOST_VISITED));
  const cookies: string[] = [];
  for (let made = 0; made < sessions; made++) {
    const pair = await population.make(`user-${made}`);
    if (made % every === 0) cookies.push(pair);
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
    end: () => store.close?.(),
  };
}

function storeOf(sessions: number): SessionStore {
  const path = join(folder, `${name}-${sessions}`);
  if (name === "memory") return memoryStore({ maxSessions: sessions + 1, sweepInterval: false });
  if (name === "sqlite") return sqliteStore(`${path}.db`, { sweepInterval: false });
  if (name === "directory") return directoryStore(path, { sweepInterval: false });
  throw new Error(`no store ${name}`);
}

/** The id in a cookie: the first 16 bytes of its token. */
function idOf(pair: string): string {
  const token = pair.slice(pair.indexOf("=") + 1);
  return Buffer.from(token, "base64url").subarray(0, 16).toString("base64url");
}

/** Microseconds of CPU time a turn. */
async function costOf(work: (turn: number) => Promise<void>, round: number): Promise<number> {
  const before = process.cpuUsage();
  for (let turn = 0; turn < READS; turn++) await work(round * READS + turn);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / READS;
}

function shuffle(list: string[]): void {
  for (let at = list.length - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1));
    [list[at], list[other]] = [list[other] as string, list[at] as string];
  }
}
