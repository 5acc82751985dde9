/**
 * Code that runs to its end without a microtask when nothing in it has to wait.
 *
 * `steps` are written as a generator that reads like an async function, `yield* settled(x)` in the place of `await x`;
 * `run` drives it synchronously for as long as the values are there.
 *
 * @module
 */

/** A value, or a promise of it. */
export type MaybePromise<T> = T | PromiseLike<T>;

/** The work of a generator for {@link run}. */
export type Steps<T> = Generator<PromiseLike<unknown>, T, unknown>;

/** Whether a value has to be waited for. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

/** Waits for a value in a generator driven by {@link run}. A value that is there costs nothing. */
export function* settled<T>(value: MaybePromise<T>): Steps<T> {
  return isPromise(value) ? ((yield value) as T) : (value as T);
}

/** Runs a generator: at once as far as it goes, the rest as a promise. */
export function run<T>(steps: Steps<T>): T | Promise<T> {
  const first = steps.next();
  return first.done === true ? first.value : drive(steps, first.value);
}

async function drive<T>(steps: Steps<T>, waiting: PromiseLike<unknown>): Promise<T> {
  let pending = waiting;
  for (;;) {
    let step: IteratorResult<PromiseLike<unknown>, T>;
    try {
      const value = await pending;
      step = steps.next(value);
    } catch (error) {
      step = steps.throw(error);
    }
    if (step.done === true) return step.value;
    pending = step.value;
  }
}

/** `value.then(next)` for values that may already be there. */
export function chain<T, U>(value: MaybePromise<T>, next: (value: T) => MaybePromise<U>): MaybePromise<U> {
  return isPromise(value) ? (value as PromiseLike<T>).then(next) : next(value as T);
}
