/**
 * One after the other for the same key, side by side for different ones.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "./maybe-promise.ts";

/** Runs tasks of one key in the order they came. A task for a free key starts at once and may end at once. */
export class SerialQueue {
  readonly #tails = new Map<string, Promise<unknown>>();

  run<T>(key: string, task: () => MaybePromise<T>): MaybePromise<T> {
    const tail = this.#tails.get(key);
    const result = tail === undefined ? task() : tail.then(task);
    if (!isPromise(result)) return result;
    const settled: Promise<unknown> = Promise.resolve(result).then(nothing, nothing);
    this.#tails.set(key, settled);
    void settled.then(() => {
      if (this.#tails.get(key) === settled) this.#tails.delete(key);
    });
    return result;
  }
}

function nothing(): void {}
