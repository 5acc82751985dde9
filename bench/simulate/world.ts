/**
 * One run: visitors, servers, a store, and what came of it.
 *
 * @module
 */
import type { Policy } from "../../src/session/policy.ts";
import { agendaFrom, type Agenda } from "./agenda.ts";
import { chanceOf } from "./chance.ts";
import { server, type Cut, type Server } from "./fleet.ts";
import { follow } from "./later.ts";
import { remote, type Remote } from "./remote.ts";
import { ledger, type Ledger } from "./revocation.ts";
import { comeUntil, router, type Request, type Routing, type TrafficOptions } from "./traffic.ts";
import { keptBefore, newKey, newVisitor, requested, type Kept, type Place, type Visitor } from "./visitor.ts";
import type { Weather } from "./weather.ts";

/** What is simulated. Times in milliseconds. */
export interface World {
  readonly traffic: TrafficOptions;
  readonly servers: number;
  readonly routing: Routing;
  readonly maxSessions: number;
  readonly maxAge: number;
  readonly policy: Policy;
  readonly weather: Weather;
  /** Of each way between a server and the store, beside what was measured. */
  readonly hop: number;
  /** Before anything is counted. */
  readonly warmUp: number;
  /** While everything is. */
  readonly measured: number;
  /** Of what is measured: which server hears nothing, from when to when, and when it notices. */
  readonly cuts: readonly Cut[];
  /** Whether visitors have their sessions when it begins, or have to sign in. */
  readonly begins: "signed-in" | "empty";
}

/** What came of a run. */
export interface Outcome {
  readonly requests: number;
  /** The part of the reads that a copy answered. */
  readonly hitRate: number;
  /** Calls of the store for each request. */
  readonly storeReads: number;
  readonly storeWrites: number;
  /** Messages of the feed for each request; each server hears all of them. */
  readonly messages: number;
  /**
   * From the answer of each sign-out until the last server had dropped its copy, in milliseconds; undefined where no other
   * server had one.
   */
  readonly latencies: readonly (number | undefined)[];
  /** The same, of the server that was cut off alone. */
  readonly cutOff: readonly (number | undefined)[];
  /** How often a visitor did not see what it had written. */
  readonly wrong: number;
}

interface Counted {
  readonly requests: number;
  readonly hits: number;
  readonly misses: number;
  readonly reads: number;
  readonly writes: number;
  readonly news: number;
}

/** Runs it. */
export function simulate(world: World): Outcome {
  const { warmUp, measured, cuts } = world;
  const agenda = agendaFrom(0);
  const run = begun(world, agenda);
  agenda.runTo(warmUp);
  run.listen();
  const before = run.counted();
  run.measuring = true;
  agenda.runTo(warmUp + measured);
  run.listen();
  const after = run.counted();
  run.measuring = false;
  // What was told last is still to be heard.
  agenda.runTo(warmUp + measured + 60_000);
  run.listen();
  const per = (of: keyof Counted): number => (after[of] - before[of]) / (after.requests - before.requests);
  const [hits, misses] = [per("hits"), per("misses")];
  return {
    requests: after.requests - before.requests,
    hitRate: hits / (hits + misses),
    storeReads: per("reads"),
    storeWrites: per("writes"),
    messages: per("news"),
    latencies: run.ended.latencies(),
    cutOff: cuts.length === 0 ? [] : run.ended.latencies(cuts[0]?.server),
    wrong: run.wrong,
  };
}

interface Run {
  readonly ended: Ledger;
  measuring: boolean;
  wrong: number;
  counted(): Counted;
  /** Lets every server hear what has come. */
  listen(): void;
}

function begun(world: World, agenda: Agenda): Run {
  const { traffic, weather, hop, routing, warmUp, measured } = world;
  const store = remote(agenda, { weather, hop });
  const ended = ledger();
  const fleet = Array.from({ length: world.servers }, (_, place) => server(place, world, { agenda, store, ended }));
  const routes = router(world.servers, routing);
  if (routing === "drained") replaceEach(agenda, fleet, routes.replace, [warmUp, measured]);
  const visitorOf = visitors(world, store, agenda, (rank) => arrivals.share(rank));
  let requests = 0;
  let versions = 0;
  const run: Run = {
    ended,
    measuring: false,
    wrong: 0,
    listen: () => fleet.forEach((one) => one.listen()),
    counted: () => ({
      requests,
      hits: sum(fleet, "hits"),
      misses: sum(fleet, "misses"),
      reads: store.count.reads,
      writes: store.count.writes,
      news: store.news.length,
    }),
  };
  const place = (at: Server): Place => ({
    get near() {
      at.listen();
      return at.near;
    },
    policy: world.policy,
    maxAge: world.maxAge,
    now: () => agenda.now,
    version: () => `v${versions++}`,
    ended: (key) => void (run.measuring && ended.ended(key, agenda.now)),
    wrong: () => void run.wrong++,
  });
  const places = fleet.map(place);
  const arrivals = comeUntil(warmUp + measured, traffic, agenda, (request: Request) => {
    requests++;
    const visitor = visitorOf(request.visitor);
    const at = places[routes.server(request)]!;
    inTurn(visitor, (done) => follow(requested(at, visitor, request.verb), done));
  });
  return run;
}

/** One request of a visitor after the other. */
function inTurn(visitor: Visitor, work: (done: () => void) => void): void {
  const done = (): void => {
    const next = visitor.waiting?.shift();
    if (next === undefined) visitor.waiting = undefined;
    else next();
  };
  if (visitor.waiting !== undefined) return void visitor.waiting.push(() => work(done));
  visitor.waiting = [];
  work(done);
}

/** A visitor is made when it first comes; of a hundred million only those that come are. */
function visitors(
  { begins, policy, traffic }: World,
  store: Remote,
  agenda: Agenda,
  share: (rank: number) => number,
): (rank: number) => Visitor {
  const known = new Map<number, Visitor>();
  const chance = chanceOf(traffic.seed, 4);
  return (rank) => {
    let visitor = known.get(rank);
    if (visitor !== undefined) return visitor;
    visitor = newVisitor(rank);
    known.set(rank, visitor);
    // Who signed out at its last request is not signed in.
    if (begins === "signed-in" && chance() >= traffic.signOuts) {
      const every = (1000 * traffic.burst) / (traffic.rate * share(rank));
      const record: Kept = keptBefore(policy, every, `before.${rank}`, agenda.now, chance);
      store.records.set(newKey(visitor), record);
    }
    return visitor;
  };
}

/** A deploy: each server is replaced once, one after the other, evenly over what is measured. */
function replaceEach(
  agenda: Agenda,
  fleet: readonly Server[],
  replace: (server: number) => void,
  [from, length]: readonly [number, number],
): void {
  fleet.forEach((one, place) => {
    agenda.at(from + (length * (place + 0.5)) / fleet.length, () => {
      replace(place);
      one.restart();
    });
  });
}

function sum(fleet: readonly Server[], of: keyof Server["count"]): number {
  return fleet.reduce((all, { count }) => all + count[of], 0);
}
