/**
 * The rounds: framework by framework, every server in turn, on every route, again and again.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { checkSignIn, checkWrite, lostWrites, seeded } from "./client.ts";
import type { Path, Route } from "./data.ts";
import { setupTitle } from "./figures.ts";
import { load, type Keep } from "./load-process.ts";
import type { Setup } from "./options.ts";
import type { Usage } from "./server.ts";
import { fileNameOf, startServer, type ServerOptions, type ServerProcess } from "./server-process.ts";
import type { Samples } from "./statistics.ts";
import { COLD, isOnNode, USUAL, WARM_UPS, type Subject } from "./subjects.ts";

/** A server, and those who visit it. */
interface Contestant {
  readonly entry: Entry;
  readonly server: ServerProcess;
  readonly visitors: readonly string[];
  /** Files with the cookies of those who have a session, and of one who has none. */
  readonly files: { readonly known: string; readonly unknown: string };
}

/** What is enough to put load on one. */
type Visited = Pick<Contestant, "server" | "files">;

/** What is done in a group of rounds. */
export interface Programme {
  readonly routes: readonly Route[];
  readonly rounds: number;
  readonly seconds: number;
  /** How long a server on Node is warmed up on each route, in seconds; for others see `WARM_UPS`. */
  readonly warmUp: number;
}

/** A subject with the sessions of a setup. */
export interface Entry {
  readonly subject: Subject;
  readonly setup: Setup;
  readonly options: ServerOptions;
  /** Where what is found goes. */
  readonly samples: Samples;
  readonly lost: Lost;
}

/** Of how many writes how many were not in the store at the end, by subject. */
export type Lost = Record<string, { readonly writes: number; readonly lost: number }>;

/** Measures servers side by side, and tells of every round. Sign-ins come last: they leave sessions behind. */
export async function contest(
  entries: readonly Entry[],
  { routes, rounds, seconds, warmUp }: Programme,
  tell: (line: string) => void,
): Promise<void> {
  const contestants: Contestant[] = [];
  try {
    for (const entry of entries) contestants.push(await enter(entry));
    const onSessions = routes.filter((route) => route !== "sign-in");
    await warm(contestants, onSessions, warmUp);
    await measure(contestants, { routes: onSessions, rounds, seconds, tell });
    for (const contestant of contestants) await lookForWrites(contestant);
    if (routes.includes("sign-in")) {
      await warm(contestants, ["sign-in"], warmUp);
      await measure(contestants, { routes: ["sign-in"], rounds, seconds, tell });
    }
  } finally {
    await Promise.all(contestants.map(({ server }) => server.end()));
  }
}

async function enter(entry: Entry): Promise<Contestant> {
  const { subject, setup, options } = entry;
  const server = await startServer(subject, options);
  try {
    const hasSessions = subject.kind !== "bare" && subject.kind !== "control";
    if (hasSessions) await checkSignIn(server);
    const start = join(options.site.folder, `${fileNameOf(subject)}-cookies`);
    const files = { known: `${start}-known`, unknown: `${start}-unknown` };
    writeFileSync(files.unknown, "\n");
    const most = visitorsOf(subject, setup);
    const spread = hasSessions && !subject.byValue && setup.sessions > most;
    const visitors = spread ? await filled({ server, files }, setup.sessions, most) : await seeded(server, most);
    writeFileSync(files.known, `${visitors.join("\n")}\n`);
    return { entry, server, visitors, files };
  } catch (error) {
    await server.end();
    throw error;
  }
}

/** How many sessions take turns. */
function visitorsOf({ kind, cold }: Subject, { sessions, clients }: Setup): number {
  if (kind === "bare" || kind === "control") return USUAL;
  return cold || clients === "another" ? COLD : Math.min(sessions, USUAL);
}

/** Makes many sessions. Returns the cookies of some, from everywhere among them: where they are in a store matters. */
async function filled(contestant: Visited, sessions: number, visitors: number): Promise<string[]> {
  const { requests } = await contestant.server.usage();
  const keep = { file: `${contestant.files.known}-all`, oneIn: Math.floor(sessions / visitors) };
  for (let made = 0; made < sessions; made = (await contestant.server.usage()).requests - requests) {
    await loaded(contestant, "seed", 1, keep);
  }
  const cookies = readFileSync(keep.file, "utf8").trimEnd().split("\n");
  const order = cookies.map((cookie) => ({ cookie, at: Math.random() })).toSorted((a, b) => a.at - b.at);
  return order.slice(0, visitors).map(({ cookie }) => cookie);
}

/** In two turns: what is learned on one route helps, or hinders, on another. */
async function warm(contestants: readonly Contestant[], routes: readonly Route[], seconds: number): Promise<void> {
  for (const contestant of contestants) {
    const turn = (seconds * (WARM_UPS[contestant.server.subject.host] ?? 1)) / 2;
    for (const route of [...routes, ...routes]) {
      if (runs(contestant, route)) await loaded(contestant, route, turn);
    }
  }
}

interface Rounds extends Pick<Programme, "routes" | "rounds" | "seconds"> {
  tell(line: string): void;
}

async function measure(contestants: readonly Contestant[], wanted: Rounds): Promise<void> {
  const { routes, rounds, seconds, tell } = wanted;
  const setups = [...new Set(contestants.map(({ entry }) => entry.setup))];
  for (let round = 1; round <= rounds; round++) {
    // There and back: nobody is always the one after a certain other.
    const order = round % 2 === 1 ? contestants : contestants.toReversed();
    for (const route of routes) {
      const found: string[] = [];
      for (const contestant of order.filter((each) => runs(each, route))) {
        const { subject, setup, samples } = contestant.entry;
        const cost = await costOf(contestant, route, seconds);
        samples.add(subject.name, route, cost);
        const title = setups.length > 1 ? ` (${setupTitle(setup, setups)})` : "";
        found.push(`${subject.name}${title} ${cost.toFixed(1)}`);
      }
      tell(`round ${round} of ${rounds}, ${route}, µs a request: ${found.join(", ")}`);
    }
  }
}

function runs({ server }: Contestant, route: Route): boolean {
  return server.subject.routes?.includes(route) ?? true;
}

/** The CPU time of a request, in microseconds. */
async function costOf(contestant: Contestant, route: Route, seconds: number): Promise<number> {
  const before = await contestant.server.usage();
  await loaded(contestant, route, seconds);
  const after = await atRest(contestant.server);
  return (after.cpu - before.cpu) / (after.requests - before.requests);
}

async function loaded({ server, files }: Visited, path: Path, seconds: number, keep?: Keep): Promise<void> {
  const { subject, port } = server;
  const cookies = path === "sign-in" || path === "seed" ? files.unknown : files.known;
  server.noted(path, await load({ subject, port, path, cookies, seconds, keep }));
}

const LOOK_MS = 10;
const LOOKS = 500;
/** What a server at rest uses between two looks, in microseconds of CPU time, most of it for being asked. */
const AT_REST = 2_000;

/** What a server has used once it has finished the requests that the load did not wait for: twice nothing to do. */
async function atRest(server: ServerProcess): Promise<Usage> {
  let last = await server.usage();
  let quiet = 0;
  for (let look = 0; look < LOOKS; look++) {
    await sleep(LOOK_MS);
    const now = await server.usage();
    quiet = now.cpu - last.cpu < AT_REST ? quiet + 1 : 0;
    if (quiet === 2) return now;
    last = now;
  }
  throw new Error(`${server.subject.name} is still busy long after the last request`);
}

/** Looks for the writes in the sessions. Throws an `Error` when one of ours is missing. */
async function lookForWrites({ entry, server, visitors }: Contestant): Promise<void> {
  const { name, host, kind, ours, byValue } = entry.subject;
  const { writes } = await server.usage();
  if (writes === 0 || kind === "bare" || kind === "get-by-hand") return;
  if (!byValue && !isOnNode(host)) {
    // Whether one that was sent and not answered was written, nobody knows.
    await checkWrite(server, visitors[0] ?? "");
    return;
  }
  const missing = await lostWrites(server, visitors, writes);
  if (missing !== 0 && (ours || byValue))
    throw new Error(`${name}: ${missing} of ${writes} writes were lost (${entry.setup.bytes} bytes)`);
  if (byValue) return;
  const before = entry.lost[name] ?? { writes: 0, lost: 0 };
  entry.lost[name] = { writes: before.writes + writes, lost: before.lost + missing };
}
