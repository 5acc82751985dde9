/**
 * From the samples of the rounds to what is said about them.
 *
 * @module
 */
import type { Comparison } from "./comparisons.ts";
import type { Route } from "./data.ts";
import { UNTOUCHED_TARGET, type Subject } from "./subjects.ts";

/** Microseconds a request, one for each round, by subject and route. */
export class Samples {
  readonly #values = new Map<string, number[]>();

  add(subject: string, route: Route, value: number): void {
    const values = this.of(subject, route);
    this.#values.set(`${subject} ${route}`, [...values, value]);
  }

  of(subject: string, route: Route): readonly number[] {
    return this.#values.get(`${subject} ${route}`) ?? [];
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
  /** CPU time of a request in each round, in their order. */
  readonly samples: readonly number[];
  /** CPU time of a request. */
  readonly cost: Spread;
  /** What of it is not the framework itself. */
  readonly over: Spread;
  /** Whether ours keeps within what an untouched route may cost. Undefined: there is no target. */
  readonly met: boolean | undefined;
}

/** Ours as a part of a peer, on a route. */
export interface Ratio {
  readonly ours: string;
  readonly peer: string;
  readonly route: Route;
  /** Whether whole requests are compared, and not what they cost over the framework alone. */
  readonly whole: boolean;
  readonly ratio: Spread;
  /** The ratio that is aimed at. */
  readonly target: number | undefined;
  readonly met: boolean | undefined;
}

/** Below this, in microseconds, a cost is noise, and no ratio to it means anything. */
const NOISE = 2;

/** The row of a subject on a route; undefined when it was not asked for that. */
export function rowOf(subject: Subject, route: Route, samples: Samples): Row | undefined {
  const { name, label, host, ours } = subject;
  const [bare, own] = [samples.of(`${host}/bare`, route), samples.of(name, route)];
  if (own.length === 0) return undefined;
  const over = spread([own, bare], ([mine = 0, base = 0]) => mine - base);
  const met = ours && route === "untouched" ? over.best <= UNTOUCHED_TARGET : undefined;
  const cost = spread([own], ([mine = 0]) => mine);
  return { subject: name, label, ours, route, samples: own, cost, over, met };
}

/** How two compare on a route; undefined when one was not measured, or the peer needs next to nothing. */
export function ratioOf({ ours, peer, targets, whole }: Comparison, route: Route, samples: Samples): Ratio | undefined {
  const [own, theirs] = [samples.of(ours, route), samples.of(peer, route)];
  if (own.length === 0 || theirs.length === 0) return undefined;
  const [ownBase, base] = [ours, peer].map((name) => (whole ? own.map(() => 0) : aloneOf(name, route, samples)));
  if (ownBase === undefined || base === undefined) return undefined;
  if ([minimum, median].some((of) => of(theirs) - of(base) < NOISE)) return undefined;
  const ratio = spread(
    [own, ownBase, theirs, base],
    ([mine = 0, less = 0, other = 0, otherLess = 0]) => (mine - less) / (other - otherLess),
    ([, , other = 0, less = 0]) => other - less >= NOISE,
  );
  const target = targets[route];
  return { ours, peer, route, whole, ratio, target, met: target === undefined ? undefined : ratio.best <= target };
}

/** What the framework of a subject costs without it. */
function aloneOf(name: string, route: Route, samples: Samples): readonly number[] {
  return samples.of(`${name.split("/", 1)[0]}/bare`, route);
}

/** A round that says nothing is left out of the least and the most. */
function spread(
  samples: readonly (readonly number[])[],
  combine: (values: readonly number[]) => number,
  speaks: (values: readonly number[]) => boolean = () => true,
): Spread {
  const rounds = (samples[0] ?? []).map((_, round) => samples.map((values) => values[round] ?? 0));
  const best = combine(samples.map(minimum));
  const each = rounds.filter(speaks).map(combine);
  return {
    best,
    median: combine(samples.map(median)),
    rounds: each.length === 0 ? [best, best] : [Math.min(...each), Math.max(...each)],
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
