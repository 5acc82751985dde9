/**
 * The runs of `npm run simulate`, and what is said of each.
 *
 * @module
 */
import type { Plan } from "./options.ts";
import { seen, type Quantiles } from "./summary.ts";
import type { Routing } from "./traffic.ts";
import { simulate, type Outcome, type World } from "./world.ts";

/** What a run came to. */
export interface Row {
  readonly servers: number;
  readonly routing: Routing;
  readonly requests: number;
  /** The part of the reads that a copy answered. */
  readonly hitRate: number;
  /** Calls of the store for each request. */
  readonly storeReads: number;
  readonly storeWrites: number;
  /** Messages for each request; each server hears all of them. */
  readonly messages: number;
  /** Of sign-outs: how many, of how many of a hundred another server had a copy, and for how long that lived on, in ms. */
  readonly signOuts: number;
  readonly copies: Quantiles & { readonly share: number };
  /** How often a visitor did not see its own write: never. */
  readonly wrong: number;
}

/** One thing that is different. */
export interface Varied extends Row {
  readonly what: string;
}

/** How long copies outlive their sessions: the curve of one line of the plot. */
export interface Curve {
  readonly label: string;
  readonly signOuts: number;
  readonly copies: Quantiles & { readonly share: number };
  /** Sorted, in milliseconds: 200 values or fewer that stand for all. */
  readonly values: readonly number[];
}

/** Everything that a run of the command found. */
export interface Found {
  readonly world: Omit<World, "weather" | "servers" | "routing">;
  readonly rows: readonly Row[];
  readonly varied: readonly Varied[];
  readonly curves: readonly Curve[];
}

/** Runs a plan; `tell` is told of each run that has come to its end. */
export function runAll({ world, servers, routings, isWhole }: Plan, tell: (text: string) => void): Found {
  const timed = (name: string, changed: Partial<World>): Outcome => {
    const began = performance.now();
    const outcome = simulate({ ...world, ...changed });
    tell(`${name}: ${outcome.requests} requests in ${((performance.now() - began) / 1000).toFixed(1)} s`);
    return outcome;
  };
  const rows = servers.flatMap((count) =>
    routings.map((routing) =>
      rowOf(count, routing, timed(`${count} servers, ${routing}`, { servers: count, routing })),
    ),
  );
  const varied = (isWhole ? variations(world) : []).map(([what, changed]): Varied => {
    const { servers: count = 30, routing = "sticky" } = changed;
    const outcome = timed(`30 servers, sticky, ${what}`, { ...changed, servers: count, routing });
    return Object.assign(rowOf(count, routing, outcome), { what });
  });
  const curves = (isWhole ? curvesOf(world) : []).map(([label, changed, of]) =>
    curveOf(label, timed(label, changed)[of]),
  );
  const { weather: _, servers: __, routing: ___, ...common } = world;
  return { world: common, rows, varied, curves };
}

function rowOf(servers: number, routing: Routing, outcome: Outcome): Row {
  const { requests, hitRate, storeReads, storeWrites, messages, latencies, wrong } = outcome;
  const signOuts = latencies.length;
  return {
    servers,
    routing,
    requests,
    hitRate,
    storeReads,
    storeWrites,
    messages,
    signOuts,
    copies: seen(latencies),
    wrong,
  };
}

function variations({ traffic, policy }: World): readonly (readonly [what: string, changed: Partial<World>])[] {
  return [
    ["as above", {}],
    ["Zipf exponent 0.6", { traffic: { ...traffic, exponent: 0.6 } }],
    ["Zipf exponent 0.8", { traffic: { ...traffic, exponent: 0.8 } }],
    ["5 requests a visit", { traffic: { ...traffic, burst: 5 } }],
    ["20 requests a visit", { traffic: { ...traffic, burst: 20 } }],
    ["20 requests a visit, to any server", { traffic: { ...traffic, burst: 20 }, routing: "random" }],
    ["maxAge 2 s", { maxAge: 2_000 }],
    ["maxAge 60 s", { maxAge: 60_000, warmUp: 80_000 }],
    ["maxSessions 100", { maxSessions: 100 }],
    ["a fifth of the requests writes", { traffic: { ...traffic, writes: 0.2 } }],
    ["idleTimeout 1 day", { policy: { ...policy, idle: 86_400_000, absolute: 30 * 86_400_000 } }],
  ];
}

/** More sign-outs than else, so that there are enough of them to tell 99 of 100. */
function curvesOf(world: World): readonly (readonly [string, Partial<World>, "latencies" | "cutOff"])[] {
  const traffic = { ...world.traffic, signOuts: 0.03 };
  const { warmUp } = world;
  const silent = { server: 0, from: warmUp, to: Infinity, noticedAt: undefined };
  // Silence is noticed when a ping is not answered: they are sent every 4 s, and waited for as long.
  const noticed = { server: 0, from: warmUp, to: warmUp + 60_000, noticedAt: warmUp + 6_000 };
  return [
    ["3 servers, calm", { traffic, servers: 3 }, "latencies"],
    ["30 servers, calm", { traffic, servers: 30 }, "latencies"],
    ["300 servers, calm", { traffic, servers: 300 }, "latencies"],
    ["cut off, noticed after 6 s", { traffic, servers: 3, cuts: [noticed], measured: 12_000 }, "cutOff"],
    ["cut off, maxAge 2 s", { traffic, servers: 3, cuts: [silent], maxAge: 2_000 }, "cutOff"],
    ["cut off, maxAge 10 s", { traffic, servers: 3, cuts: [silent] }, "cutOff"],
  ];
}

const POINTS = 200;

function curveOf(label: string, latencies: Outcome["latencies"]): Curve {
  const sorted = latencies.filter((ms) => ms !== undefined).toSorted((a, b) => a - b);
  const count = Math.min(POINTS, sorted.length);
  const values = Array.from(
    { length: count },
    (_, at) => sorted[Math.floor(((at + 0.5) * sorted.length) / count)] ?? 0,
  );
  return { label, signOuts: latencies.length, copies: seen(latencies), values };
}
