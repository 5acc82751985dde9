/**
 * A cache in this process in front of a store that others write to, too: `coatcheck/store/near-cache`.
 *
 * @module
 */
import { type Duration, milliseconds } from "../internal/duration.ts";
import { isPromise, type MaybePromise } from "../internal/maybe-promise.ts";
import { checkNames } from "../internal/option-names.ts";
import { type Copies, copies } from "./near-cache-copies.ts";
import { flag, optionalFunction, positiveInteger } from "./option-check.ts";
import type { SessionStore, StoreCall, StoredRecord } from "./store.ts";

/** One read of a session, as {@link NearCacheOptions.onRead} is told of it. */
export interface NearCacheRead {
  /** Whether a copy was served; otherwise the store was asked. */
  readonly hit: boolean;
  /** How long before the store was asked for what was served, in milliseconds; 0 without a hit. */
  readonly age: number;
}

/** Options of {@link nearCache}. */
export interface NearCacheOptions {
  /** Of how many sessions copies are kept; those that were not read for long go first. Default 10 000. */
  readonly maxSessions?: number | undefined;
  /**
   * How old a copy may become, in seconds or as `"30s"`. It is the longest that a session can still be served here after
   * another process has ended or changed it, should the store's news of that be lost; otherwise that takes some
   * milliseconds. Default 10 seconds.
   */
  readonly maxAge?: Duration | undefined;
  /**
   * Says that this process is the only one that writes to the store, so that nobody has to tell it of changes. Needed for a
   * store without `watch`; refused in a worker of `node:cluster` or PM2. Default false.
   */
  readonly soleProcess?: boolean | undefined;
  /** Told of every read. Must not throw. */
  readonly onRead?: ((read: NearCacheRead) => void) | undefined;
}

/** What a near cache has done since it was made. */
export interface NearCacheStats {
  /** Of how many sessions there are copies. */
  readonly sessions: number;
  readonly hits: number;
  readonly misses: number;
  /** How often a copy was dropped, or not made, because its session had changed. */
  readonly invalidations: number;
  /** How often all copies were dropped, because changes may have been missed. */
  readonly flushes: number;
  /** Whether changes are told of, so that copies are made. */
  readonly live: boolean;
}

/** A {@link SessionStore} that reads from copies. */
export type NearCache = SessionStore & {
  readonly name: string;
  stats(): NearCacheStats;
  close(): MaybePromise<void>;
};

const OPTIONS = ["maxSessions", "maxAge", "soleProcess", "onRead"] as const;

/**
 * Keeps copies of sessions in the memory of this process, so that reading one again asks nobody. Writes go to the store
 * first. What other processes change, the store tells (`watch`), and the copy is dropped within milliseconds.
 *
 * What holds: no copy is served longer than `maxAge` after the store was asked for it, whatever happens. While the store
 * cannot tell of changes none is made, and when that begins all are dropped. A refusal that a copy led to is never final: the
 * store is asked (P7). An update that was computed on an old copy meets its `conflict` as ever, and nothing is lost. What a
 * visitor did through another process it sees here at once, where a cookie can travel beside its token. Where even
 * milliseconds are too long, ask with `from(request, { verify: true })`.
 *
 * Closing it closes the store.
 *
 * @example
 * import { nearCache } from "coatcheck/store/near-cache";
 * import { postgresStore } from "coatcheck/store/postgres";
 * import { Pool } from "pg";
 *
 * const store = nearCache(postgresStore(new Pool(), { watch: true }), { maxSessions: 50_000, maxAge: "10s" });
 *
 * @throws TypeError for options that cannot work; for a store without `watch`, unless `soleProcess` is said; and for a near
 * cache of a near cache
 */
export function nearCache(store: SessionStore, options: NearCacheOptions = {}): NearCache {
  checkNames("nearCache", options, OPTIONS);
  checkStore(store, flag("soleProcess", options.soleProcess));
  const maxAge = milliseconds("maxAge", options.maxAge ?? "10s");
  const onRead = optionalFunction("onRead", options.onRead);
  const kept = copies(positiveInteger("maxSessions", options.maxSessions, 10_000), maxAge);
  const count = { hits: 0, misses: 0, invalidations: 0, flushes: 0 };
  const isSole = options.soleProcess === true;
  let live = isSole;

  const flush = (isLive: boolean): void => {
    live = isLive;
    count.flushes++;
    kept.forget();
  };
  const dropped = (key: string, version?: string): void => {
    if (kept.changed(key, version)) count.invalidations++;
  };
  const unwatch = isSole
    ? undefined
    : store.watch?.((key, change) => dropped(key, change?.version), {
        restored: () => flush(true),
        lost: () => flush(false),
      });

  return {
    name: `nearCache(${store.name ?? "custom"})`,
    cached: true,
    cachedFor: maxAge,
    returnsSame: true,
    ...others(store),
    ...writes(store, kept, () => live),
    read(key, call) {
      const copy = live && call.fresh !== true ? kept.servable(key, call.now) : undefined;
      if (copy === undefined) {
        count.misses++;
        onRead?.({ hit: false, age: 0 });
        return live ? filled(kept, key, call, () => store.read(key, call)) : store.read(key, call);
      }
      count.hits++;
      onRead?.({ hit: true, age: call.now - copy.askedAt });
      return copy.record;
    },
    stats: () => ({ sessions: kept.count(), ...count, live }),
    close() {
      unwatch?.();
      flush(false);
      return store.close?.();
    },
  };
}

function checkStore(store: SessionStore, isSole: boolean): void {
  const { name = "this store", cached, watch } = (store ?? {}) as Partial<SessionStore>;
  if (typeof store?.read !== "function")
    throw new TypeError("nearCache: expected a session store, such as redisStore(client)");
  if (cached === true) throw new TypeError(`nearCache: ${name} is a cache already`);
  if (isSole && isOneOfSeveral()) {
    throw new TypeError(
      "soleProcess: this is a worker of several (node:cluster, PM2), so others may write to the store",
    );
  }
  if (watch === undefined && !isSole) {
    throw new TypeError(
      `nearCache: ${name} cannot tell of what other processes change (it has no watch), so copies would outlive sessions. ` +
        "Use the store without it, take one with watch (Redis or PostgreSQL with watch: true, NATS), or say soleProcess: true where no other process writes to it",
    );
  }
}

/** Whether node:cluster or PM2 has started this process as one of several that share their work. */
function isOneOfSeveral(): boolean {
  try {
    const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
    const { NODE_UNIQUE_ID, NODE_APP_INSTANCE } = process?.env ?? {};
    return NODE_UNIQUE_ID !== undefined || Number(NODE_APP_INSTANCE ?? 0) > 0;
  } catch {
    // Deno without --allow-env.
    return false;
  }
}

/** The members that have nothing to do with copies, of those that the store has. */
function others(store: SessionStore): Partial<SessionStore> {
  const { listBySubject, list, count, deleteExpired, onExpired, watch } = store;
  const has = { listBySubject, list, count, deleteExpired, onExpired, watch };
  const bound = Object.entries(has).flatMap(([name, member]) =>
    typeof member === "function" ? [[name, member.bind(store) as unknown] as const] : [],
  );
  return Object.fromEntries(bound) as Partial<SessionStore>;
}

type Writing = "create" | "update" | "touch" | "delete" | "deleteBySubject";

/** Whatever writes drops the copy before, so that none is served while it is under way, and after, whatever came of it. */
function writes(store: SessionStore, kept: Copies, isLive: () => boolean): Pick<SessionStore, Writing> {
  const around = <T>(key: string, write: () => MaybePromise<T>): MaybePromise<T> => {
    kept.changed(key);
    return finished(write, () => void kept.changed(key));
  };
  const { deleteBySubject } = store;
  return {
    create: (key, record, call) => around(key, () => store.create(key, record, call)),
    update(key, record, base, call) {
      const write = (): ReturnType<SessionStore["update"]> => store.update(key, record, base, call);
      // Of a store with revisions nobody knows here which one the record has now.
      if (base.revision !== undefined || !isLive()) return around(key, write);
      kept.changed(key);
      const fill = kept.begin(key);
      return finished(write, (outcome) => {
        kept.wrote(key, fill, outcome === "ok" ? { record, askedAt: call.now } : undefined);
      });
    },
    touch: (key, expiresAt, call) => around(key, () => store.touch(key, expiresAt, call)),
    delete: (key, call) => around(key, () => store.delete(key, call)),
    ...(deleteBySubject !== undefined && {
      deleteBySubject: (subject, rest, call) =>
        finished(
          () => deleteBySubject.call(store, subject, rest, call),
          (keys) => keys?.forEach((key) => void kept.changed(key)),
        ),
    }),
  };
}

/** What the store answers, and a copy of it. */
function filled(
  kept: Copies,
  key: string,
  { now: askedAt }: StoreCall,
  read: () => MaybePromise<StoredRecord | undefined>,
): MaybePromise<StoredRecord | undefined> {
  const fill = kept.begin(key);
  return finished(read, (record) => kept.end(key, fill, record && { record, askedAt }));
}

/** Tells `end` of an answer, or of nothing when there is none, before anybody else. */
function finished<T>(work: () => MaybePromise<T>, end: (answer: T | undefined) => void): MaybePromise<T> {
  let answer: MaybePromise<T>;
  try {
    answer = work();
  } catch (error) {
    end(undefined);
    throw error;
  }
  if (!isPromise(answer)) {
    end(answer);
    return answer;
  }
  return answer.then(
    (value) => {
      end(value);
      return value;
    },
    (error: unknown) => {
      end(undefined);
      throw error;
    },
  ) as Promise<T>;
}
