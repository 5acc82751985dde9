/**
 * Chance that can be had again: the same seed makes the same choices.
 *
 * @module
 */

/** A number from 0 up to, not including, 1. */
export type Chance = () => number;

/** A generator of its own for each stream of a seed (SplitMix32): one that is asked more often leaves the others as they are. */
export function chanceOf(seed: number, stream: number): Chance {
  let state = Math.imul(seed, 0x9e3779b9) ^ Math.imul(stream + 1, 0x85ebca6b);
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** The time until the next one of what comes at random, so long on average. */
export function waiting(chance: Chance, mean: number): number {
  return -Math.log(1 - chance()) * mean;
}

/** Who is how busy: the visitor of rank k comes as 1 / k^exponent. */
export interface Zipf {
  /** The rank of the next one, from 1. */
  rank(): number;
  /** How likely a rank is. */
  share(rank: number): number;
}

/**
 * Ranks from 1 to `most` by rejection-inversion (Hörmann and Derflinger, 1996), which needs no table: a hundred million ranks
 * cost what ten do.
 */
export function zipf(most: number, exponent: number, chance: Chance): Zipf {
  const area = (x: number): number => (exponent === 1 ? Math.log(x) : (x ** (1 - exponent) - 1) / (1 - exponent));
  const inverse = (y: number): number =>
    exponent === 1 ? Math.exp(y) : (1 + y * (1 - exponent)) ** (1 / (1 - exponent));
  const height = (k: number): number => k ** -exponent;
  const [low, high] = [area(1.5) - 1, area(most + 0.5)];
  const sum = sumOf(most, exponent, area);
  return {
    rank() {
      for (;;) {
        const y = high + chance() * (low - high);
        const k = Math.min(most, Math.max(1, Math.round(inverse(y))));
        if (y >= area(k + 0.5) - height(k)) return k;
      }
    },
    share: (rank) => height(rank) / sum,
  };
}

/** The sum of 1 / k^exponent: the first ones added up, the rest as an area. */
function sumOf(most: number, exponent: number, area: (x: number) => number): number {
  const exact = Math.min(most, 10_000);
  let sum = 0;
  for (let k = 1; k <= exact; k++) sum += k ** -exponent;
  return most === exact ? sum : sum + area(most + 0.5) - area(exact + 0.5);
}
