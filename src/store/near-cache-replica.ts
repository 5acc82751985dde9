/**
 * Copies of all sessions, made when the news begin.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { Copies } from "./near-cache-copies.ts";
import type { SessionStore } from "./store.ts";

/** Records that are asked for at once. */
const PAGE = 500;

/** Before another try, when the store did not answer, in milliseconds. */
const PAUSE = 1_000;

/** See {@link replica}. */
export interface Replica {
  /** Whether all sessions were copied. */
  readonly isComplete: boolean;
  /** Copies all sessions, from the first. */
  begin(): void;
  end(): void;
}

/** Copies what the store lists, as long as that is wanted. What the news tell meanwhile counts for more. */
export function replica(list: NonNullable<SessionStore["list"]>, kept: Copies, clock: Clock): Replica {
  let walk = new AbortController();
  let isComplete = false;
  let cancel = (): void => {};

  async function copyAll(stopped: AbortSignal): Promise<void> {
    kept.gather();
    let cursor: string | undefined;
    do {
      const now = clock.now();
      const page = await list("", { cursor, limit: PAGE }, { now, signal: stopped });
      if (stopped.aborted) return;
      for (const { key, record } of page.records) kept.offer(key, { record, askedAt: now });
      ({ cursor } = page);
    } while (cursor !== undefined);
    kept.settle();
    isComplete = true;
  }

  function start(): void {
    const { signal } = (walk = new AbortController());
    copyAll(signal).catch(() => {
      // Until then the sessions that are not copied are read one by one, and the next read says why.
      if (!signal.aborted) cancel = clock.after(PAUSE, start);
    });
  }

  function end(): void {
    cancel();
    walk.abort();
    isComplete = false;
  }

  return {
    get isComplete() {
      return isComplete;
    },
    begin() {
      end();
      start();
    },
    end,
  };
}
