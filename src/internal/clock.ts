/**
 * Time, as one thing that tests can replace.
 *
 * @module
 */

/** Where coatcheck gets its time from. `fakeClock()` of `coatcheck/testing` is the other implementation. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Runs `callback` once after `ms` milliseconds, without keeping the process alive. Returns what cancels it. */
  after(ms: number, callback: () => void): () => void;
}

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, callback) {
    // Beyond 24 days setTimeout would not wait at all.
    const timer: unknown = setTimeout(callback, Math.min(ms, 2 ** 31 - 1));
    if (hasUnref(timer)) timer.unref();
    return () => clearTimeout(timer as ReturnType<typeof setTimeout>);
  },
};

function hasUnref(timer: unknown): timer is { unref(): void } {
  return typeof timer === "object" && timer !== null && "unref" in timer;
}
