/**
 * What is said of many values.
 *
 * @module
 */

/** Of sorted values the one in the middle, the one below which 99 of 100 are, and the last. */
export interface Quantiles {
  readonly median: number;
  readonly p99: number;
  readonly most: number;
}

/** 0 where there are none. */
export function quantiles(values: readonly number[]): Quantiles {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
  return { median: at(0.5), p99: at(0.99), most: at(1) };
}

/** Of sign-outs: of how many of a hundred another server had a copy, and for how long those copies lived on. */
export function seen(latencies: readonly (number | undefined)[]): Quantiles & { readonly share: number } {
  const copies = latencies.filter((ms) => ms !== undefined);
  return { share: (100 * copies.length) / Math.max(1, latencies.length), ...quantiles(copies) };
}
