/**
 * A store that cannot tell of changes, in a server that makes all of them.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { isPromise, type MaybePromise } from "../internal/maybe-promise.ts";
import type { SessionStore, StoreChange, WatchGaps } from "../store/store.ts";

type Listener = (key: string, change?: StoreChange) => void;

/** How often watchers are told that all is told, in milliseconds. */
const CURRENT = 1_000;

/**
 * The store, with a `watch` that tells of what is done through it, and of nothing else: for a store that nobody else writes to.
 * When a call fails, what it has done is unknown, and watchers are told that something may be missing.
 */
export function withOwnChanges(store: SessionStore, clock: Clock): SessionStore {
  const watchers = new Set<{ readonly listener: Listener; readonly gaps: WatchGaps }>();
  const tell = (key: string, change?: StoreChange): void => {
    for (const { listener } of watchers) listener(key, change);
  };
  const missed = (): void => {
    for (const { gaps } of watchers) {
      gaps.lost?.();
      gaps.restored?.();
    }
  };
  const telling = <T>(write: () => MaybePromise<T>, done: (answer: T) => void): MaybePromise<T> => {
    try {
      const answer = write();
      if (!isPromise(answer)) {
        done(answer);
        return answer;
      }
      return answer.then(
        (value) => {
          done(value);
          return value;
        },
        (error: unknown) => {
          missed();
          throw error;
        },
      ) as Promise<T>;
    } catch (error) {
      missed();
      throw error;
    }
  };
  const { deleteBySubject } = store;
  return {
    ...store,
    update: (key, record, base, call) =>
      telling(
        () => store.update(key, record, base, call),
        (outcome) => outcome === "ok" && tell(key, { version: record.version }),
      ),
    touch: (key, expiresAt, call) =>
      telling(
        () => store.touch(key, expiresAt, call),
        (done) => done && tell(key),
      ),
    delete: (key, call) =>
      telling(
        () => store.delete(key, call),
        (done) => done && tell(key),
      ),
    ...(deleteBySubject && {
      deleteBySubject: (subject, options, call) =>
        telling(
          () => deleteBySubject.call(store, subject, options, call),
          (keys) => keys.forEach((key) => tell(key)),
        ),
    }),
    watch(listener, gaps = {}) {
      const watcher = { listener, gaps };
      let cancel = (): void => {};
      const current = (): void => {
        gaps.current?.(clock.now());
        cancel = clock.after(CURRENT, current);
      };
      // Not before `watch` has returned.
      void Promise.resolve().then(() => {
        if (isOver) return;
        watchers.add(watcher);
        gaps.restored?.();
        current();
      });
      let isOver = false;
      return () => {
        isOver = true;
        watchers.delete(watcher);
        cancel();
      };
    },
  };
}
