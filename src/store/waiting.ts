/**
 * How stores wait for a server.
 *
 * @module
 */
import type { StoreCall } from "./store.ts";

/** What a call of a store says about waiting. */
export type Waiting = Pick<StoreCall, "signal">;

/** How often something is tried that was not done. */
const ATTEMPTS = 5;

/**
 * Asks a server, and again, a few times, when it has failed in a way that says that nothing was done (`wasUndone`): a
 * deadlock, a serialization failure. Stops when nobody waits any more. The first pause is `pause` to twice that, in
 * milliseconds, and each other one twice as long as the one before.
 */
export async function retried<T>(
  ask: () => PromiseLike<T>,
  wasUndone: (error: unknown) => boolean,
  call: Waiting,
  pause = 4,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      if (attempt === ATTEMPTS || !wasUndone(error)) throw error;
      await sleep((1 + Math.random()) * pause * 2 ** (attempt - 1));
      // Not before: a signal costs who asks for it.
      if (call.signal?.aborted === true) throw error;
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Does what a caller waits for, and waits no longer than the caller does: then it rejects with the reason. */
export function untilAborted<T>({ signal }: Waiting, work: () => Promise<T>): Promise<T> {
  if (signal === undefined) return work();
  return new Promise<T>((resolve, reject) => {
    signal.throwIfAborted();
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    const ended = (): void => signal.removeEventListener("abort", abort);
    work().then(
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
