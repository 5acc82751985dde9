/**
 * From the samples of the rounds to what is said about them.
 *
 * @module
 */
import type { Route } from "./data.ts";
import { UNTOUCHED_TARGET, type Subject } from "./subjects.ts";

/** Microseconds a request, one for each round, by subject and route. */
export class Samples {
  readonly #values = new Map<string, number[]>();

  add(subject: string, route: Route, value: number): void {
    const values = this.of(subject, route);
    this.#values.set(`${subject}/${route}`, [...values, value]);
  }

  of(subject: string, route: Route): readonly number[] {
    return this.#values.get(`${subject}/${route}`) ?? [];
  }
}

/** Several values of one thing. */
export interface Spread {
  /** Made of the minima of the rounds. */
  readonly best: number;
  /** Made of their medians. */
  readonly median: number;
  /** The least and the most that one round alone gives. */
  readonly rounds: readonly [least: number, most: number];
}

/** What is known of a subject on a route. Times in microseconds. */
export interface Row {
  readonly subject: string;
  readonly label: string;
  readonly ours: boolean;
  readonly route: Route;
  /** CPU time of a request. */
  readonly cost: Spread;
  /** What of it is not Express itself. */
  readonly over: Spread;
  /** That, as a part of what the peer needs. Undefined without a peer, or where that needs next to nothing. */
  readonly ratio: Spread | undefined;
  readonly peer: string | undefined;
  /** The ratio that is aimed at. */
  readonly target: number | undefined;
  readonly met: boolean | undefined;
}

/** Below this, in microseconds, a cost is noise, and no ratio to it means anything. */
const NOISE = 3;

/** The row of a subject on a route; undefined when it was not asked for that. */
export function rowOf({ name, label, ours, peer, target }: Subject, route: Route, samples: Samples): Row | undefined {
  const [bare, own] = [samples.of("bare", route), samples.of(name, route)];
  if (own.length === 0) return undefined;
  const over = spread([own, bare], ([mine = 0, base = 0]) => mine - base);
  const theirs = peer === undefined ? [] : samples.of(peer, route);
  const parts = [own, theirs, bare];
  const comparable = theirs.length > 0 && median(theirs) - median(bare) >= NOISE;
  const ratio = comparable
    ? spread(parts, ([mine = 0, other = 0, base = 0]) => (mine - base) / (other - base))
    : undefined;
  const aim = target?.[route];
  return {
    subject: name,
    label,
    ours,
    route,
    cost: spread([own], ([mine = 0]) => mine),
    over,
    ratio,
    peer,
    target: aim,
    met: ours ? isMet(route, over, ratio, aim) : undefined,
  };
}

function isMet(route: Route, over: Spread, ratio: Spread | undefined, aim: number | undefined): boolean | undefined {
  if (route === "untouched" && aim === undefined) return over.best <= UNTOUCHED_TARGET;
  return aim === undefined || ratio === undefined ? undefined : ratio.best <= aim;
}

function spread(samples: readonly (readonly number[])[], combine: (values: readonly number[]) => number): Spread {
  const rounds = (samples[0] ?? []).map((_, round) => combine(samples.map((values) => values[round] ?? 0)));
  return {
    best: combine(samples.map(minimum)),
    median: combine(samples.map(median)),
    rounds: [Math.min(...rounds), Math.max(...rounds)],
  };
}

function minimum(values: readonly number[]): number {
  return Math.min(...values);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2;
}
