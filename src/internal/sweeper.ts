/**
 * Repeated tidying in the background, in slices, so that no request waits for it.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { type Duration, milliseconds } from "./duration.ts";
import { isPromise, type MaybePromise } from "./maybe-promise.ts";

/** What {@link createSweeper} takes. */
export interface SweeperOptions {
  readonly clock: Clock;
  /** Between two sweeps, in seconds or as a text; false for none. */
  readonly interval: Duration | false;
  /** Does one slice of a sweep; true when there is more to do. */
  readonly slice: () => MaybePromise<boolean>;
}

/** Sweeps from `start` to `stop`. */
export interface Sweeper {
  /** Begins, the first sweep being one interval away. Does nothing when it has begun, or has been stopped. */
  start(): void;
  /** Ends it for good. */
  stop(): void;
}

/** Between two slices of one sweep, in milliseconds: long enough for the requests that wait. */
const PAUSE = 5;

/** The longest time that `setTimeout` can wait for: 24 days. */
const LONGEST = 2 ** 31 - 1;

/** Makes a sweeper. Throws a `TypeError` that names `sweepInterval` when the interval is not a duration. */
export function createSweeper({ clock, interval, slice }: SweeperOptions): Sweeper {
  const ms = interval === false ? LONGEST : Math.min(milliseconds("sweepInterval", interval), LONGEST);
  let stopped = interval === false;
  let cancel: (() => void) | undefined;

  const wait = (more: boolean): void => {
    if (!stopped) cancel = clock.after(more ? PAUSE : ms, sweep);
  };
  const sweep = (): void => {
    const more = attempt(slice);
    if (isPromise(more)) more.then(wait, () => wait(false));
    else wait(more as boolean);
  };

  return {
    start() {
      if (cancel === undefined) wait(false);
    },
    stop() {
      stopped = true;
      cancel?.();
    },
  };
}

/** A sweep that fails has nobody to tell: what is left over does no harm, and the next sweep tries again. */
function attempt(slice: () => MaybePromise<boolean>): MaybePromise<boolean> {
  try {
    return slice();
  } catch {
    return false;
  }
}
