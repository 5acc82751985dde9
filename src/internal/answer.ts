/**
 * Calls to methods of other people's objects that answer by a callback, by a promise, or by both.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "./maybe-promise.ts";

/** How such a method answers. */
export type AnswerCallback<T> = (error?: unknown, value?: T) => void;

/**
 * Calls `target[name](...args, callback)`: at once where it answers at once. Whatever answers first counts. A promise of
 * nothing counts only where the method names no callback among its parameters: others may return one long before they
 * answer. Rejects with, or throws, what the method answers as its error.
 */
export function answerOf<T>(target: object, name: string, ...args: readonly unknown[]): MaybePromise<T | undefined> {
  const method = (target as Record<string, (...given: unknown[]) => unknown>)[name];
  if (typeof method !== "function") throw new TypeError(`${name} is not a function`);
  const answer = new Answer<T>();
  const returned = method.call(target, ...args, answer.callback);
  if (isPromise(returned)) answer.follow(returned as PromiseLike<T | undefined>, method.length <= args.length);
  return answer.value();
}

class Answer<T> {
  #state: "open" | "value" | "error" = "open";
  #result: unknown;
  #settle: (() => void) | undefined;

  readonly callback: AnswerCallback<T> = (error, value) => {
    if (error === undefined || error === null || error === false) this.#end("value", value);
    else this.#end("error", error);
  };

  follow(promise: PromiseLike<T | undefined>, believed: boolean): void {
    promise.then(
      (value) => {
        if (believed || value !== undefined) this.#end("value", value);
      },
      (error: unknown) => this.#end("error", error),
    );
  }

  value(): MaybePromise<T | undefined> {
    if (this.#state === "error") throw this.#result;
    if (this.#state === "value") return this.#result as T | undefined;
    return new Promise((resolve, reject) => {
      this.#settle = () => {
        if (this.#state === "error") reject(this.#result as Error);
        else resolve(this.#result as T | undefined);
      };
    });
  }

  #end(state: "value" | "error", result: unknown): void {
    if (this.#state !== "open") return;
    this.#state = state;
    this.#result = result;
    this.#settle?.();
  }
}

/**
 * Hands a result to a callback, on a turn of its own, or returns a promise of it where there is none. A promise that nobody
 * waits for never ends the process.
 */
export function handOver<T>(result: () => MaybePromise<T>, callback: AnswerCallback<T> | undefined): Promise<T> {
  const promise = new Promise<T>((resolve) => resolve(result()));
  promise.then(
    (value) => callback !== undefined && process.nextTick(callback, null, value),
    (error: unknown) => callback !== undefined && process.nextTick(callback, error),
  );
  return promise;
}
