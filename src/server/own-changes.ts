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

/** Who is told. */
interface Watcher {
  readonly listener: Listener;
  readonly gaps: WatchGaps;
}

/** What is done through the store, and to whom it is told. */
class OwnChanges {
  readonly #clock: Clock;
  readonly #watchers = new Set<Watcher>();
  /** When the writes began that are under way, in this order: of them nothing is told yet. */
  readonly #underWay = new Set<{ readonly since: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  tell(key: string, change?: StoreChange): void {
    for (const { listener } of this.#watchers) listener(key, change);
  }

  /** Carries out a write, and tells of it by `done` before it is answered. */
  of<T>(write: () => MaybePromise<T>, done: (answer: T) => void): MaybePromise<T> {
    const begun = { since: this.#clock.now() };
    let answer: MaybePromise<T>;
    try {
      answer = write();
    } catch (error) {
      this.#missed();
      throw error;
    }
    if (isPromise(answer)) return this.#later(answer, begun, done);
    done(answer);
    return answer;
  }

  async #later<T>(answer: PromiseLike<T>, begun: { readonly since: number }, done: (answer: T) => void): Promise<T> {
    this.#underWay.add(begun);
    try {
      const value = await answer;
      done(value);
      return value;
    } catch (error) {
      this.#missed();
      throw error;
    } finally {
      this.#underWay.delete(begun);
    }
  }

  /** What a write that failed has done nobody knows. */
  #missed(): void {
    for (const { gaps } of this.#watchers) {
      gaps.lost?.();
      gaps.restored?.();
    }
  }

  watch(listener: Listener, gaps: WatchGaps = {}): () => void {
    const watcher: Watcher = { listener, gaps };
    let isOver = false;
    let cancel = (): void => {};
    const current = (): void => {
      const [oldest] = this.#underWay;
      gaps.current?.(oldest?.since ?? this.#clock.now());
      cancel = this.#clock.after(CURRENT, current);
    };
    // Not before `watch` has returned.
    void Promise.resolve().then(() => {
      if (isOver) return;
      this.#watchers.add(watcher);
      gaps.restored?.();
      current();
    });
    return () => {
      isOver = true;
      this.#watchers.delete(watcher);
      cancel();
    };
  }
}

/**
 * The store, with a `watch` that tells of what is done through it, and of nothing else: for a store that nobody else writes to.
 * When a call fails, what it has done is unknown, and watchers are told that something may be missing.
 */
export function withOwnChanges(store: SessionStore, clock: Clock): SessionStore {
  const changes = new OwnChanges(clock);
  const { deleteBySubject } = store;
  const told = (key: string) => (isDone: boolean) => isDone && changes.tell(key);
  return {
    ...store,
    update: (key, record, base, call) =>
      changes.of(
        () => store.update(key, record, base, call),
        (outcome) => outcome === "ok" && changes.tell(key, { version: record.version }),
      ),
    touch: (key, expiresAt, call) => changes.of(() => store.touch(key, expiresAt, call), told(key)),
    delete: (key, call) => changes.of(() => store.delete(key, call), told(key)),
    ...(deleteBySubject && {
      deleteBySubject: (subject, options, call) =>
        changes.of(
          () => deleteBySubject.call(store, subject, options, call),
          (keys) => keys.forEach((key) => changes.tell(key)),
        ),
    }),
    watch: (listener, gaps) => changes.watch(listener, gaps),
  };
}
