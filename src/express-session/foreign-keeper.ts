/**
 * Stores of express-session, as the middleware calls them. They know no compare-and-set: what can be done about that within
 * one process is done here.
 *
 * @module
 */
import { answerOf } from "../internal/answer.ts";
import { isPromise, run, settled, type MaybePromise, type Steps } from "../internal/maybe-promise.ts";
import type { Found, LegacyRecord, Seen, StoreKeeper, Write } from "./keeper.ts";
import { NO_DATA } from "./session.ts";
import type { ExpressStore } from "./store.ts";

/** How many endings are remembered: enough for those that a slow request may have missed. */
const REMEMBERED = 10_000;

/** What this process has ended in a store, and what it is writing there. */
class Endings {
  /** Counts what happens, so that "before" and "after" need no clock. */
  #count = 0;
  readonly #ended = new Map<string, number>();
  readonly #writing = new Map<string, Promise<unknown>>();

  get now(): number {
    return this.#count;
  }

  /** Whether an id was ended after `at`. */
  since(id: string, at: number): boolean {
    return (this.#ended.get(id) ?? -1) >= at;
  }

  add(id: string): void {
    this.#ended.delete(id);
    this.#ended.set(id, this.#count++);
    if (this.#ended.size <= REMEMBERED) return;
    for (const oldest of this.#ended.keys()) {
      this.#ended.delete(oldest);
      break;
    }
  }

  /** Remembers a write until it is done. */
  writes(id: string, write: MaybePromise<unknown>): void {
    if (!isPromise(write)) return;
    const done: Promise<void> = Promise.allSettled([this.#writing.get(id), write]).then(() => {
      if (this.#writing.get(id) === done) this.#writing.delete(id);
    });
    this.#writing.set(id, done);
  }

  /** What has to be waited for before an id can be ended. */
  underWay(id: string): Promise<unknown> | undefined {
    return this.#writing.get(id);
  }
}

const endings = new WeakMap<object, Endings>();

function endingsOf(store: object): Endings {
  const known = endings.get(store) ?? new Endings();
  endings.set(store, known);
  return known;
}

/**
 * Calls a store of express-session. A session that this process has ended stays so, whatever saves were under way; of what
 * other processes end, only the store could know.
 */
export function foreignKeeper(store: ExpressStore): StoreKeeper {
  const ended = endingsOf(store);

  function* got(id: string): Steps<Found | undefined> {
    const at = ended.now;
    const record = yield* unlessAbsent(() => answerOf<LegacyRecord>(store, "get", id));
    return record ? { record, seen: { text: undefined, at } } : undefined;
  }

  function* set(id: string, { session, text, seen }: Write): Steps<Seen | "gone"> {
    if (ended.since(id, seen.at ?? 0)) return "gone";
    const writing = answerOf<unknown>(store, "set", id, session);
    ended.writes(id, writing);
    yield* settled(writing);
    return { ...seen, text };
  }

  function* touched(id: string, { session, seen }: Write): Steps<void> {
    if (ended.since(id, seen.at ?? 0)) return;
    yield* unlessAbsent(() => {
      const writing = answerOf<unknown>(store, "touch", id, session);
      ended.writes(id, writing);
      return writing;
    });
  }

  function* destroyed(id: string): Steps<void> {
    ended.add(id);
    yield* settled(ended.underWay(id));
    yield* settled(answerOf<unknown>(store, "destroy", id));
  }

  return {
    atOnce: false,
    get touches() {
      return typeof store.touch === "function";
    },
    nothing: () => ({ text: NO_DATA, at: ended.now }),
    get: (id) => run(got(id)),
    set: (id, write) => run(set(id, write)),
    touch: (id, write) => run(touched(id, write)),
    destroy: (id) => run(destroyed(id)),
  };
}

/** File stores say that they have not found a file. */
function* unlessAbsent<T>(ask: () => MaybePromise<T>): Steps<T | undefined> {
  try {
    return yield* settled(ask());
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code === "ENOENT") return undefined;
    throw error;
  }
}
