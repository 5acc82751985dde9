/**
 * Reads of the same thing at the same time, as one.
 *
 * A read never joins one that was begun before it was asked for: its answer might be older than what the reader's own client
 * has been told meanwhile. So those who come while a read is under way share the next one, which begins when that one has come
 * to its end. Of each thing at most one read is under way, and one waits; no answer is stale, and a refusal found in one is
 * final (P7 is about answers that may be).
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../internal/maybe-promise.ts";

/** See {@link singleFlight}. */
export interface SingleFlight<T> {
  /** Whether a read of a thing is under way. */
  isBusy(key: string): boolean;
  /** Begins a read; none must be under way. */
  begin(key: string, fresh: boolean): MaybePromise<T>;
  /** The answer of the read that begins when the one under way has come to its end: fresh if anyone asks for that. */
  join(key: string, fresh: boolean): Promise<T>;
}

interface Flight<T> {
  next: NextFlight<T> | undefined;
}

interface NextFlight<T> {
  fresh: boolean;
  readonly answer: Promise<T>;
  settle(answer: MaybePromise<T>): void;
  fail(error: unknown): void;
}

/** `read` begins a read. What it throws or rejects with, everybody gets who has joined. */
export function singleFlight<T>(read: (key: string, fresh: boolean) => MaybePromise<T>): SingleFlight<T> {
  const flights = new Map<string, Flight<T>>();

  function begin(key: string, fresh: boolean): MaybePromise<T> {
    const answer = read(key, fresh);
    if (!isPromise(answer)) return answer;
    const flight: Flight<T> = { next: undefined };
    flights.set(key, flight);
    const land = (): void => {
      flights.delete(key);
      if (flight.next !== undefined) depart(key, flight.next);
    };
    answer.then(land, land);
    return answer;
  }

  function depart(key: string, next: NextFlight<T>): void {
    try {
      next.settle(begin(key, next.fresh));
    } catch (error) {
      next.fail(error);
    }
  }

  return {
    isBusy: (key) => flights.size > 0 && flights.has(key),
    begin,
    join(key, fresh) {
      const flight = flights.get(key);
      if (flight === undefined) throw new Error("singleFlight: nothing to join");
      flight.next ??= nextFlight();
      flight.next.fresh ||= fresh;
      return flight.next.answer;
    },
  };
}

function nextFlight<T>(): NextFlight<T> {
  let settle!: (answer: MaybePromise<T>) => void;
  let fail!: (error: unknown) => void;
  const answer = new Promise<T>((resolve, reject) => {
    settle = resolve;
    fail = reject;
  });
  return { fresh: false, answer, settle, fail };
}
