/**
 * How the SQL stores wait for a server.
 *
 * @module
 */
import type { StoreCall } from "./store.ts";

/** How often a statement is tried that the server has undone. */
const ATTEMPTS = 5;

/** The longest pause before the second attempt, in milliseconds; before each other one twice as long. */
const PAUSE = 4;

/**
 * Runs a statement, and again, a few times, when it has failed in a way that says that nothing was done (`wasUndone`): a
 * deadlock, a serialization failure. Stops when nobody waits any more.
 */
export async function retried<T>(
  statement: () => PromiseLike<T>,
  wasUndone: (error: unknown) => boolean,
  call: StoreCall,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await statement();
    } catch (error) {
      if (attempt === ATTEMPTS || !wasUndone(error)) throw error;
      await pause(Math.random() * PAUSE * 2 ** attempt);
      if (call.signal?.aborted === true) throw error;
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Waits for an answer, or until nobody wants it any more: then it rejects with the reason. */
export function untilAborted<T>(answer: PromiseLike<T>, { signal }: StoreCall): PromiseLike<T> {
  if (signal === undefined) return answer;
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
    const ended = (): void => signal.removeEventListener("abort", abort);
    answer.then(
      (value) => {
        ended();
        resolve(value);
      },
      (error: unknown) => {
        ended();
        reject(error as Error);
      },
    );
  });
}
