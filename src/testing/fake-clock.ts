/**
 * A clock that stands still until a test moves it.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";

/** A {@link Clock} for tests. */
export interface FakeClock extends Clock {
  /** Lets `ms` milliseconds go by; runs what falls due on the way, in order, each at its own time. */
  advance(ms: number): void;
  /** The same, and lets promises settle (one turn of the event loop) before the start and after everything that ran. */
  advanceAsync(ms: number): Promise<void>;
  /** Sets the time of day, as an administrator does: nothing runs, and what waits goes on waiting as long as before. */
  set(time: number | Date): void;
  /** How many callbacks wait. */
  readonly waiting: number;
}

interface Timer {
  readonly due: number;
  readonly callback: () => void;
}

// Taken now: a test that fakes the global timers as well must not stop this clock.
const { setTimeout: laterOn } = globalThis;

/**
 * Makes a clock that stands at `start`. Default: 2026-01-01T00:00:00Z.
 *
 * @example
 * const clock = fakeClock();
 * const store = memoryStore({ clock });
 * clock.advance(60_000);
 */
export function fakeClock(start: number | Date = Date.UTC(2026, 0, 1)): FakeClock {
  let timeOfDay = Number(start);
  let elapsed = 0;
  const timers = new Set<Timer>();

  const moveTo = (moment: number): void => {
    timeOfDay += moment - elapsed;
    elapsed = moment;
  };
  /** Goes to the next timer that is due by `end` and runs it; false when there is none. */
  const step = (end: number): boolean => {
    const next = firstDue(timers, end);
    if (next === undefined) return false;
    timers.delete(next);
    moveTo(next.due);
    next.callback();
    return true;
  };

  return {
    now: () => timeOfDay,
    after(ms, callback) {
      // As setTimeout does: never at once, so that a chain of short waits always comes to the end of an `advance`.
      const timer = { due: elapsed + Math.max(1, ms), callback };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    advance(ms) {
      const end = elapsed + forwards(ms);
      while (step(end));
      moveTo(end);
    },
    async advanceAsync(ms) {
      const end = elapsed + forwards(ms);
      await nextTurn();
      while (step(end)) await nextTurn();
      moveTo(end);
    },
    set(time) {
      timeOfDay = Number(time);
    },
    get waiting() {
      return timers.size;
    },
  };
}

/** The earliest timer, of several the one that was set first. */
function firstDue(timers: ReadonlySet<Timer>, end: number): Timer | undefined {
  let first: Timer | undefined;
  for (const timer of timers) {
    if (timer.due <= end && (first === undefined || timer.due < first.due)) first = timer;
  }
  return first;
}

function forwards(ms: number): number {
  if (ms >= 0) return ms;
  throw new TypeError("fakeClock: advance() goes forwards only; set() sets the time");
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    laterOn(resolve, 0);
  });
}
