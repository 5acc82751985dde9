/**
 * The rounds: every server in turn, on every route, again and again.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { lostWrites, seeded } from "./client.ts";
import type { Route } from "./data.ts";
import { load } from "./load-process.ts";
import type { Options } from "./options.ts";
import type { Results } from "./report.ts";
import { startServer, type ServerOptions, type ServerProcess } from "./server-process.ts";
import { Samples } from "./statistics.ts";
import type { Subject } from "./subjects.ts";

/** A server, and the sessions that it is asked for. */
export interface Contestant {
  readonly server: ServerProcess;
  readonly cookies: readonly string[];
  readonly cookieFile: string;
}

/** How long a server is warmed up on each route, in seconds: twice, because what is learned on one route helps on another. */
const WARM_UP = 0.25;

/** Those that keep nothing. */
const PLAIN: ReadonlySet<string> = new Set(["bare", "control"]);

/** Starts the server of a subject and makes its sessions. */
export async function enter(subject: Subject, options: ServerOptions): Promise<Contestant> {
  const server = await startServer(subject, options);
  const cookies = await seeded(server);
  const cookieFile = join(options.folder, `${subject.name}-cookies`);
  writeFileSync(cookieFile, `${cookies.join("\n")}\n`);
  return { server, cookies, cookieFile };
}

/** Ends a server. */
export async function end({ server }: Contestant): Promise<void> {
  await server.end();
}

/** Lets every server compile what it runs. */
export async function warmUp(contestants: readonly Contestant[], routes: readonly Route[]): Promise<void> {
  for (const contestant of contestants) {
    for (const route of [...routes, ...routes]) {
      if (runs(contestant, route)) await costOf(contestant, route, WARM_UP);
    }
  }
}

/** Measures all, and tells of every round. */
export async function measure(
  contestants: readonly Contestant[],
  { routes, rounds, seconds }: Options,
  tell: (line: string) => void,
): Promise<Samples> {
  const samples = new Samples();
  for (let round = 1; round <= rounds; round++) {
    for (const route of routes) {
      const found: string[] = [];
      for (const contestant of contestants.filter((each) => runs(each, route))) {
        const { name } = contestant.server.subject;
        const cost = await costOf(contestant, route, seconds);
        samples.add(name, route, cost);
        found.push(`${name} ${cost.toFixed(1)}`);
      }
      tell(`round ${round} of ${rounds}, ${route}, µs a request: ${found.join(", ")}`);
    }
  }
  return samples;
}

function runs({ server }: Contestant, route: Route): boolean {
  return server.subject.routes?.includes(route) ?? true;
}

/** The CPU time of a request, in microseconds. */
async function costOf({ server, cookieFile }: Contestant, route: Route, seconds: number): Promise<number> {
  const before = await server.usage();
  await load({ subject: server.subject, port: server.port, route, cookies: cookieFile, seconds });
  const after = await server.usage();
  return (after.cpu - before.cpu) / (after.requests - before.requests);
}

/** Looks for the writes in the sessions. Throws an `Error` when one of ours is missing. */
export async function lost(contestants: readonly Contestant[]): Promise<Results["lost"]> {
  const found: Record<string, { writes: number; lost: number }> = {};
  for (const { server, cookies } of contestants) {
    const { name, ours, byValue } = server.subject;
    const { writes } = await server.usage();
    if (writes === 0 || PLAIN.has(name)) continue;
    const missing = await lostWrites(server, cookies, writes);
    if (missing !== 0 && (ours || byValue)) throw new Error(`${name}: ${missing} of ${writes} writes were lost`);
    if (!byValue) found[name] = { writes, lost: missing };
  }
  return found;
}
