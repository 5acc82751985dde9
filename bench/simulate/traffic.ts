/**
 * Who comes when, and what they do. The same seed makes the same requests, for whoever answers them: simulated servers or real
 * ones.
 *
 * @module
 */
import type { Agenda } from "./agenda.ts";
import { chanceOf, waiting, zipf, type Zipf } from "./chance.ts";

/** What a visitor wants. Who has no session signs in instead. */
export type Verb = "read" | "write" | "sign-out";

/** One request. */
export interface Request {
  /** When, in milliseconds since the start. */
  readonly at: number;
  /** The rank of the visitor, from 1: the busiest. */
  readonly visitor: number;
  readonly verb: Verb;
  /** Where a load balancer that deals at random sends it: a part of the fleet, from 0 to 1. */
  readonly lot: number;
}

/** What visitors are like. */
export interface TrafficOptions {
  readonly seed: number;
  /** How many visitors there are, each with a session while it is signed in. */
  readonly sessions: number;
  /** Of the Zipf distribution. */
  readonly exponent: number;
  /** Requests a second of all visitors. */
  readonly rate: number;
  /** How many requests a visitor sends at a time, on average: a page and what it fetches. */
  readonly burst: number;
  /** Parts of the requests. */
  readonly writes: number;
  readonly signOuts: number;
}

/** Between two requests of one visit, in milliseconds on average. */
const WITHIN_A_VISIT = 200;

/** Lets visitors come until `end`. */
export function comeUntil(
  end: number,
  options: TrafficOptions,
  agenda: Agenda,
  come: (request: Request) => void,
): Zipf {
  const { seed, burst, writes, signOuts } = options;
  const chance = chanceOf(seed, 1);
  const visitors = zipf(options.sessions, options.exponent, chanceOf(seed, 2));
  const between = (1000 * burst) / options.rate;
  const verb = (): Verb => {
    const part = chance();
    return part < signOuts ? "sign-out" : part < signOuts + writes ? "write" : "read";
  };
  const request = (visitor: number): void => {
    come({ at: agenda.now, visitor, verb: verb(), lot: chance() });
    if (chance() < 1 - 1 / burst) later(waiting(chance, WITHIN_A_VISIT), () => request(visitor));
  };
  const later = (ms: number, work: () => void): void => {
    if (agenda.now + ms <= end) agenda.at(agenda.now + ms, work);
  };
  const visit = (): void => {
    later(waiting(chance, between), visit);
    request(visitors.rank());
  };
  later(waiting(chance, between), visit);
  return visitors;
}

/** How a load balancer deals requests out. */
export type Routing = "random" | "sticky" | "drained";

/** Remembers where visitors were sent, if it is to. */
export interface Router {
  /** The server for a request, from 0. */
  server(request: Request): number;
  /** Takes a server out and puts a new one in its place: its visitors go anywhere. */
  replace(server: number): void;
}

/** By its route cookie a visitor finds its server again, unless that one was replaced. */
export function router(servers: number, routing: Routing): Router {
  const bound = new Map<number, { readonly server: number; readonly generation: number }>();
  const generations = Array.from({ length: servers }, () => 0);
  return {
    server({ visitor, lot }) {
      if (routing === "random") return Math.floor(lot * servers);
      const known = bound.get(visitor);
      if (known !== undefined && known.generation === generations[known.server]) return known.server;
      const server = Math.floor(lot * servers);
      bound.set(visitor, { server, generation: generations[server] ?? 0 });
      return server;
    },
    replace: (server) => void (generations[server] = (generations[server] ?? 0) + 1),
  };
}
