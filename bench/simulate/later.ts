/**
 * An answer that comes at a simulated time: what a promise is to the product, without the event loop. Whoever waits is told at
 * once when it is there, so that a run is one thread of work in the order of the agenda, and the same every time.
 *
 * @module
 */
import type { Steps } from "../../src/internal/maybe-promise.ts";

/** A value that is there later. None of them fails: a simulated store is never away. */
export class Later<T> implements PromiseLike<T> {
  #isThere = false;
  #value: T | undefined;
  readonly #waiting: ((value: T) => void)[] = [];

  settle(value: T): void {
    this.#isThere = true;
    this.#value = value;
    for (const told of this.#waiting) told(value);
  }

  // oxlint-disable-next-line unicorn/no-thenable -- it is one: the near cache waits for it as for a promise
  then<U = T, V = never>(next?: ((value: T) => U | PromiseLike<U>) | null): PromiseLike<U | V> {
    const later = new Later<U>();
    const told = (value: T): void => later.settle(next?.(value) as U);
    if (this.#isThere) told(this.#value as T);
    else this.#waiting.push(told);
    return later;
  }
}

/** Runs a generator as far as it goes, and on when what it waits for is there. */
export function follow(steps: Steps<void>, ended: () => void): void {
  const go = (value: unknown): void => {
    const step = steps.next(value);
    if (step.done === true) ended();
    else void step.value.then(go);
  };
  go(undefined);
}
