/**
 * A store whose failures are counted.
 *
 * @module
 */
import { isPromise } from "../internal/maybe-promise.ts";
import type { ListedRecord, SessionStore, StoreCall } from "../store/store.ts";

/**
 * The store, with whatever it is capable of; `failed` is told of each call that it could not do, but not of those that nobody
 * waited for any more. Answers come as they would without it: at once, or by the very promise.
 */
export function observedStore(store: SessionStore, failed: (error: unknown) => void): SessionStore {
  const { listBySubject, deleteBySubject, list, count } = store;
  const observe = <T>(call: StoreCall, answer: T): T => {
    if (isPromise(answer)) answer.then(undefined, (error: unknown) => tell(call, error));
    return answer;
  };
  const tell = ({ signal }: StoreCall, error: unknown): void => {
    if (signal?.aborted !== true) failed(error);
  };
  const told = (call: StoreCall, error: unknown): unknown => {
    tell(call, error);
    return error;
  };
  const attempt = <T>(call: StoreCall, verb: () => T): T => {
    try {
      return observe(call, verb());
    } catch (error) {
      throw told(call, error);
    }
  };
  return {
    ...store,
    create: (key, record, call) => attempt(call, () => store.create(key, record, call)),
    read: (key, call) => attempt(call, () => store.read(key, call)),
    update: (key, record, base, call) => attempt(call, () => store.update(key, record, base, call)),
    touch: (key, expiresAt, call) => attempt(call, () => store.touch(key, expiresAt, call)),
    delete: (key, call) => attempt(call, () => store.delete(key, call)),
    ...(listBySubject && {
      async *listBySubject(subject: string, call: StoreCall): AsyncIterable<ListedRecord> {
        try {
          yield* listBySubject.call(store, subject, call);
        } catch (error) {
          throw told(call, error);
        }
      },
    }),
    ...(deleteBySubject && {
      deleteBySubject: (subject, options, call) =>
        attempt(call, () => deleteBySubject.call(store, subject, options, call)),
    }),
    ...(list && { list: (prefix, page, call) => attempt(call, () => list.call(store, prefix, page, call)) }),
    ...(count && { count: (prefix, call) => attempt(call, () => count.call(store, prefix, call)) }),
  } satisfies SessionStore;
}
