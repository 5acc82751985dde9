/**
 * A store whose failures are counted and logged.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { isPromise } from "../internal/maybe-promise.ts";
import type { ListedRecord, SessionStore, StoreCall } from "../store/store.ts";
import type { LoggedCall } from "./failure-log.ts";

/** Who watches a store. */
export interface StoreObserver {
  readonly clock: Clock;
  /** How long a call may take, in milliseconds, before it counts as failed. What it brings then is not looked at. */
  readonly timeout: number;
  /** Told once of each call that the store could not do. Does not throw. */
  failed(call: LoggedCall, error: unknown): void;
}

type Attempt = <T>(verb: string, args: readonly unknown[], call: StoreCall, does: () => T) => T;

/**
 * The store, with whatever it is capable of; the observer is told of each call that it could not do, or not in time, but not of
 * those that nobody waited for any more. Answers come as they would without it: at once, or by the very promise.
 */
export function observedStore(store: SessionStore, observer: StoreObserver): SessionStore {
  const { listBySubject, deleteBySubject, list, count } = store;
  const attempt = attempting(observer);
  return {
    ...store,
    create: (key, record, call) => attempt("create", [key, record], call, () => store.create(key, record, call)),
    read: (key, call) => attempt("read", [key], call, () => store.read(key, call)),
    update: (key, record, base, call) =>
      attempt("update", [key, record, base], call, () => store.update(key, record, base, call)),
    touch: (key, expiresAt, call) => attempt("touch", [key], call, () => store.touch(key, expiresAt, call)),
    delete: (key, call) => attempt("delete", [key], call, () => store.delete(key, call)),
    ...(listBySubject && {
      listBySubject: (subject, call) =>
        observedListing(listBySubject.call(store, subject, call), subject, call, attempt),
    }),
    ...(deleteBySubject && {
      deleteBySubject: (subject, options, call) =>
        attempt("deleteBySubject", [subject, options], call, () => deleteBySubject.call(store, subject, options, call)),
    }),
    ...(list && {
      list: (prefix, page, call) => attempt("list", [prefix, page], call, () => list.call(store, prefix, page, call)),
    }),
    ...(count && { count: (prefix, call) => attempt("count", [prefix], call, () => count.call(store, prefix, call)) }),
  } satisfies SessionStore;
}

function attempting({ clock, timeout, failed }: StoreObserver): Attempt {
  const tell = (verb: string, args: readonly unknown[], call: StoreCall, error: unknown): void => {
    if (call.signal?.aborted !== true) failed({ verb, args, previousSubject: call.previousSubject }, error);
  };
  return (verb, args, call, does) => {
    try {
      const answer = does();
      if (!isPromise(answer)) return answer;
      let isLate = false;
      const cancel = clock.after(timeout, () => {
        isLate = true;
        failed({ verb, args }, new Error(`no answer within ${timeout} ms`));
      });
      answer.then(cancel, (error: unknown) => {
        cancel();
        if (!isLate) tell(verb, args, call, error);
      });
      return answer;
    } catch (error) {
      tell(verb, args, call, error);
      throw error;
    }
  };
}

/** Each of its steps is a call: how long whoever reads it takes in between is not the store's fault. */
async function* observedListing(
  listing: AsyncIterable<ListedRecord>,
  subject: string,
  call: StoreCall,
  attempt: Attempt,
): AsyncIterable<ListedRecord> {
  const steps = listing[Symbol.asyncIterator]();
  let isOver = false;
  try {
    for (;;) {
      const { done, value } = await attempt("listBySubject", [subject], call, () => steps.next());
      if (done === true) {
        isOver = true;
        return;
      }
      yield value;
    }
  } catch (error) {
    isOver = true;
    throw error;
  } finally {
    if (!isOver) await steps.return?.();
  }
}
