/**
 * The simulation beside the real fleet of three, under the same visitors.
 *
 * @module
 */
import { observe, type Real } from "./real.ts";
import { quantiles, seen, type Quantiles } from "./summary.ts";
import type { Weather } from "./weather.ts";
import { simulate, type Outcome, type World } from "./world.ts";

/** How far the simulation may be off, as a part of what is real. */
export const TOLERANCE = 0.2;

/** Or in milliseconds: below that it is the scheduler of the machine who decides. */
export const LEAST = 0.1;

/**
 * Where requests are sent later than that, in milliseconds, others use the machine: then a tenth of a millisecond between its
 * processes is theirs, and is not judged.
 */
export const BUSY = 10;

/** One figure of both. */
export interface Compared {
  readonly figure: string;
  readonly unit: "%" | "a request" | "ms";
  readonly real: number;
  readonly simulated: number;
  /** The simulated as a part of the real, less one. */
  readonly deviation: number;
  /** Whether it is near enough; undefined for what hangs on single hiccups of the machine, and is only shown. */
  readonly holds: boolean | undefined;
}

/** One scenario. */
export interface Checked {
  readonly name: string;
  readonly requests: number;
  readonly signOuts: number;
  /** How late requests were sent to the real servers, and how many failed. */
  readonly late: number;
  readonly failed: number;
  readonly answers: Quantiles;
  readonly lags: Quantiles;
  readonly compared: readonly Compared[];
}

/** What is checked: three servers, small enough copies and short enough clocks that everything happens within half a minute. */
export function scenarios(seed: number, seconds: number): readonly (readonly [name: string, world: World])[] {
  const calm: World = {
    traffic: { seed, sessions: 1_500, exponent: 1, rate: 300, burst: 1, writes: 0.05, signOuts: 0.05 },
    servers: 3,
    routing: "random",
    maxSessions: 400,
    maxAge: 5_000,
    policy: { idle: 60_000, absolute: 43_200_000, renewal: 10_000 },
    weather: [],
    hop: 0,
    warmUp: 15_000,
    measured: seconds * 1000,
    cuts: [],
    begins: "empty",
  };
  const deaf = { server: 2, from: calm.warmUp, to: Infinity, noticedAt: undefined };
  return [
    ["random routing, calm", calm],
    ["sticky routing, calm", { ...calm, routing: "sticky" }],
    ["one of three hears no news, and does not notice; maxAge 2 s", { ...calm, maxAge: 2_000, cuts: [deaf] }],
  ];
}

/** Runs one on real servers and then in the simulation, with the weather that the real one had. */
export async function check(name: string, world: World): Promise<Checked & { readonly weather: Weather }> {
  const real = await observe(world);
  const simulated = simulate({ ...world, weather: real.weather });
  return {
    name,
    requests: real.outcome.requests,
    signOuts: real.outcome.latencies.length,
    late: real.late,
    failed: real.failed,
    answers: quantiles(real.weather.map(({ answer }) => answer)),
    lags: quantiles(real.weather.flatMap(({ lags }) => lags)),
    compared: comparedOf(world, real, simulated),
    weather: real.weather,
  };
}

function comparedOf(world: World, { outcome, late }: Real, simulated: Outcome): readonly Compared[] {
  const figures: Compared[] = [
    compared("hit rate", "%", 100 * outcome.hitRate, 100 * simulated.hitRate),
    compared("reads of the store", "a request", outcome.storeReads, simulated.storeReads),
    compared("writes to the store", "a request", outcome.storeWrites, simulated.storeWrites),
    compared("messages to each server", "a request", outcome.messages, simulated.messages),
  ];
  // Only its own server has a copy, which it drops first.
  if (world.routing === "sticky") return figures;
  const of = world.cuts.length > 0 ? "cutOff" : "latencies";
  const [found, expected] = [seen(outcome[of]), seen(simulated[of])];
  const isCut = world.cuts.length > 0;
  return [
    ...figures,
    compared("sign-outs of which another server had a copy", "%", found.share, expected.share),
    compared("that copy lived on for: median", "ms", found.median, expected.median, isCut || late <= BUSY),
    compared("p99", "ms", found.p99, expected.p99, isCut),
    compared("at most", "ms", found.most, expected.most, isCut),
  ];
}

function compared(figure: string, unit: Compared["unit"], real: number, simulated: number, counts = true): Compared {
  const deviation = simulated === real ? 0 : simulated / real - 1;
  const isNear = Math.abs(deviation) <= TOLERANCE || (unit === "ms" && Math.abs(simulated - real) <= LEAST);
  return { figure, unit, real, simulated, deviation, holds: counts ? isNear : undefined };
}
