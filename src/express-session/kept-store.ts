/**
 * Stores of ours in the form of express-session: for the drop-in, and for express-session itself.
 *
 * @module
 */
import { handOver, type AnswerCallback } from "../internal/answer.ts";
import { milliseconds, type Duration } from "../internal/duration.ts";
import { checkNames } from "../internal/option-names.ts";
import { chain, type MaybePromise } from "../internal/maybe-promise.ts";
import { memoryStore } from "../store/memory.ts";
import type { ListedRecord, SessionStore } from "../store/store.ts";
import { foreignKeeper } from "./foreign-keeper.ts";
import type { Found, LegacyRecord, StoreKeeper } from "./keeper.ts";
import { recordKeeper, recordOf, type RecordKeeper } from "./record-keeper.ts";
import { dataText } from "./session.ts";
import { addMethods, Store, type ExpressStore } from "./store.ts";

/** Options of {@link toExpressStore}. */
export interface ToExpressStoreOptions {
  /** What the keys of the records begin with. Default `"express-session/"`. */
  readonly prefix?: string | undefined;
  /** How long a session whose cookie has no `maxAge` is kept after its last use, to a tenth. Default one day. */
  readonly ttl?: Duration | undefined;
}

/** Records by the ids of their sessions. */
export type RecordsById = Record<string, Record<string, unknown>>;

/** A store of ours in the form of express-session. Every method takes a callback or, without one, returns a promise. */
export interface KeptStore extends Store {
  get(id: string, callback?: AnswerCallback<never>): Promise<Record<string, unknown> | undefined>;
  set(id: string, session: object, callback?: AnswerCallback<void>): Promise<void>;
  touch(id: string, session: object, callback?: AnswerCallback<void>): Promise<void>;
  destroy(id: string, callback?: AnswerCallback<void>): Promise<void>;
  /** All sessions. Missing where the store cannot list. */
  all?(callback?: AnswerCallback<RecordsById>): Promise<RecordsById>;
  /** How many there are. Missing where the store cannot list. */
  length?(callback?: AnswerCallback<number>): Promise<number>;
  /** Ends them all. Missing where the store cannot list. */
  clear?(callback?: AnswerCallback<void>): Promise<void>;
}

interface Kept {
  readonly store: SessionStore;
  readonly keeper: RecordKeeper;
  readonly prefix: string;
}

const KEPT: unique symbol = Symbol("coatcheck.kept") as never;
type Keeping = KeptStore & { [KEPT]: Kept };

/**
 * Marks the cookie of a record that was read, because express-session carries nothing else from `get` to `set`: a session
 * that was read is only ever updated, so that nothing brings back one that has ended meanwhile.
 */
class Origin {
  readonly #id: string;

  constructor(id: string) {
    this.#id = id;
  }

  static of(session: object, id: string): boolean {
    const mark: unknown = (session as { cookie?: Record<string, unknown> }).cookie?.[MARK];
    return mark instanceof Origin && mark.#id === id;
  }
}
const MARK = "origin";

const METHODS = {
  get(this: Keeping, id: string, callback?: AnswerCallback<LegacyRecord | undefined>) {
    const marked = (found: Found | undefined): LegacyRecord | undefined => {
      if (found === undefined) return undefined;
      const { cookie, ...data } = found.record;
      if (typeof cookie !== "object" || cookie === null) return found.record;
      return { cookie: { ...cookie, [MARK]: new Origin(id) }, ...data };
    };
    return handOver(() => chain(this[KEPT].keeper.get(id), marked), callback);
  },

  set(this: Keeping, id: string, session: object, callback?: AnswerCallback<void>) {
    const { keeper } = this[KEPT];
    const text = dataText(session);
    const update = (found: Found | undefined): MaybePromise<unknown> =>
      found && keeper.set(id, { session, text, seen: { ...found.seen, text: dataText(found.record) } });
    const written = (): MaybePromise<unknown> =>
      Origin.of(session, id) ? chain(keeper.get(id), update) : keeper.put(id, session, text);
    return handOver(() => chain(written(), () => undefined), callback);
  },

  touch(this: Keeping, id: string, session: object, callback?: AnswerCallback<void>) {
    const { keeper } = this[KEPT];
    const touched = (found: Found | undefined): MaybePromise<void> =>
      found && keeper.touch(id, { session, text: dataText(found.record), seen: found.seen });
    return handOver(() => chain(keeper.get(id), touched), callback);
  },

  destroy(this: Keeping, id: string, callback?: AnswerCallback<void>) {
    return handOver(() => this[KEPT].keeper.destroy(id), callback);
  },
};

const LISTING = {
  all(this: Keeping, callback?: AnswerCallback<RecordsById>) {
    const collected = async (): Promise<RecordsById> => {
      const all = Object.create(null) as RecordsById;
      for await (const { key, record } of listed(this))
        all[key.slice(this[KEPT].prefix.length)] = { ...recordOf(record) };
      return all;
    };
    return handOver(collected, callback);
  },

  length(this: Keeping, callback?: AnswerCallback<number>) {
    const counted = async (): Promise<number> => {
      let count = 0;
      for await (const _ of listed(this)) count++;
      return count;
    };
    return handOver(counted, callback);
  },

  clear(this: Keeping, callback?: AnswerCallback<void>) {
    const cleared = async (): Promise<void> => {
      const { store } = this[KEPT];
      for await (const { key } of listed(this)) await store.delete(key, { now: Date.now() });
    };
    return handOver(cleared, callback);
  },
};

const PAGE = 1000;

async function* listed(kept: Keeping): AsyncGenerator<ListedRecord> {
  const { store, prefix } = kept[KEPT];
  let cursor: string | undefined;
  do {
    const page = await store.list?.(prefix, { cursor, limit: PAGE }, { now: Date.now() });
    yield* page?.records ?? [];
    cursor = page?.cursor;
  } while (cursor !== undefined);
}

/** Makes what lies between a class of stores and its instances. */
function keptPrototype(): Keeping {
  const prototype = Object.create(Store.prototype) as Keeping;
  addMethods(prototype, METHODS);
  return prototype;
}
const PROTOTYPE = keptPrototype();

function keep(
  target: object,
  store: SessionStore,
  { prefix = "express-session/", ttl = "1d" }: ToExpressStoreOptions,
  atOnce: boolean,
): void {
  const keeper = recordKeeper(store, { prefix, ttl: milliseconds("ttl", ttl), atOnce });
  const kept: Kept = { store, prefix, keeper };
  Object.defineProperty(target, KEPT, { value: kept });
}

/**
 * A store of ours for express-session and for the drop-in: `session({ store: toExpressStore(redisStore(client)) })`. Records
 * have the form that express-session gives them. A session that has ended is never brought back by a save that was under way;
 * with the drop-in, saves of one session that meet all count, key by key. Throws a `TypeError` that names the option.
 *
 * @example
 * ```ts
 * import { session, toExpressStore } from "coatcheck/express-session";
 * import { sqliteStore } from "coatcheck/store/sqlite";
 *
 * const middleware = session({
 *   secret: process.env.SESSION_SECRET,
 *   resave: false,
 *   saveUninitialized: false,
 *   store: toExpressStore(sqliteStore("sessions.db")),
 * });
 * ```
 */
export function toExpressStore(store: SessionStore, options: ToExpressStoreOptions = {}): KeptStore {
  checkNames("toExpressStore", options, ["prefix", "ttl"]);
  if (!isSessionStore(store)) throw new TypeError("store must be a session store, such as memoryStore()");
  const { prefix } = options;
  if (prefix !== undefined && typeof prefix !== "string") throw new TypeError("prefix must be a string");
  const kept = Object.create(PROTOTYPE) as Keeping;
  Store.call(kept);
  keep(kept, store, options, false);
  if (store.list !== undefined) addMethods(kept, LISTING);
  return kept;
}

/** Whether a value is a store of ours. */
export function isSessionStore(store: unknown): store is SessionStore {
  const verbs = (store ?? {}) as Partial<Record<string, unknown>>;
  return ["create", "read", "update", "touch", "delete"].every((verb) => typeof verbs[verb] === "function");
}

/** Sessions in the memory of this process: at most 100 000, those that have ended swept away. */
export interface MemoryStore extends KeptStore {
  all(callback?: AnswerCallback<RecordsById>): Promise<RecordsById>;
  length(callback?: AnswerCallback<number>): Promise<number>;
  clear(callback?: AnswerCallback<void>): Promise<void>;
}

/** How a {@link MemoryStore} is made. */
export interface MemoryStoreConstructor {
  new (): MemoryStore;
  (this: object): void;
  readonly prototype: MemoryStore;
}

function MemoryStoreFunction(this: object): void {
  Store.call(this);
  keep(this, memoryStore(), {}, true);
}
Object.defineProperty(MemoryStoreFunction, "name", { value: "MemoryStore" });
MemoryStoreFunction.prototype = Object.create(PROTOTYPE, {
  constructor: { value: MemoryStoreFunction, configurable: true, writable: true },
}) as object;
addMethods(MemoryStoreFunction.prototype as object, LISTING);
Object.setPrototypeOf(MemoryStoreFunction, Store);

/** What is used without a `store`. */
export const MemoryStore: MemoryStoreConstructor = MemoryStoreFunction as never;

/** How the middleware calls a store: past the callbacks of one of ours, unless somebody has put methods in their place. */
export function keeperOf(store: ExpressStore | KeptStore): StoreKeeper {
  const foreign = foreignKeeper(store as ExpressStore);
  const kept = (store as Keeping)[KEPT] as Kept | undefined;
  if (kept === undefined) return foreign;
  const now = (): StoreKeeper => (isIntact(store as Keeping) ? kept.keeper : foreign);
  return {
    get atOnce() {
      return now().atOnce;
    },
    touches: true,
    nothing: () => now().nothing(),
    get: (id) => now().get(id),
    set: (id, write) => now().set(id, write),
    touch: (id, write) => now().touch(id, write),
    destroy: (id) => now().destroy(id),
  };
}

function isIntact({ get, set, touch, destroy }: Keeping): boolean {
  return get === METHODS.get && set === METHODS.set && touch === METHODS.touch && destroy === METHODS.destroy;
}
