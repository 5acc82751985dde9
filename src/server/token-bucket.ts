/**
 * How often something may happen.
 *
 * @module
 */

/** Fills up with time, and is emptied by what happens. */
export interface TokenBucket {
  /** Takes one, if there is one. */
  take(now: number): boolean;
}

/** A bucket of `burst` that gets `perSecond` more each second; full at first. `now` is in milliseconds, of a clock that only goes on. */
export function tokenBucket(perSecond: number, burst: number): TokenBucket {
  let left = burst;
  let filledAt: number | undefined;
  return {
    take(now) {
      left = Math.min(burst, left + ((now - (filledAt ?? now)) * perSecond) / 1000);
      filledAt = now;
      if (left < 1) return false;
      left--;
      return true;
    },
  };
}
