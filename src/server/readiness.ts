/**
 * Whether the store answers.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { SessionStore } from "../store/store.ts";

/** How long an answer holds, in milliseconds: whoever asks more often gets the same one. */
const HOLDS = 1000;

/** Read to see whether the store answers. No namespace has such a key. */
const KEY = "readyz";

/**
 * Asks the store for a record that is not there, and waits `timeout` milliseconds for the answer. All who ask within a second
 * share one question.
 */
export function readinessOf(store: SessionStore, timeout: number, clock: Clock): () => Promise<boolean> {
  let last: { readonly at: number; readonly answer: Promise<boolean> } | undefined;
  return () => {
    const at = clock.now();
    // A clock that was set back has nobody wait.
    if (last === undefined || Math.abs(at - last.at) >= HOLDS) last = { at, answer: answers(store, timeout, clock) };
    return last.answer;
  };
}

async function answers(store: SessionStore, timeout: number, clock: Clock): Promise<boolean> {
  const controller = new AbortController();
  let cancel = (): void => {};
  const late = new Promise<boolean>((resolve) => {
    cancel = clock.after(timeout, () => {
      resolve(false);
      controller.abort();
    });
  });
  const read = async (): Promise<boolean> => {
    await store.read(KEY, { now: clock.now(), fresh: true, signal: controller.signal });
    return true;
  };
  try {
    return await Promise.race([read().catch(() => false), late]);
  } finally {
    cancel();
  }
}
