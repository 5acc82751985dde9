/**
 * A cache in this process in front of a store that others write to, too: `coatcheck/store/near-cache`.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { type Duration, milliseconds } from "../internal/duration.ts";
import { isPromise, type MaybePromise } from "../internal/maybe-promise.ts";
import { checkNames } from "../internal/option-names.ts";
import { Copies } from "./near-cache-copies.ts";
import { replica } from "./near-cache-replica.ts";
import { checkStore, others } from "./near-cache-store.ts";
import { clockOption, flag, optionalFunction, positiveInteger } from "./option-check.ts";
import type { SessionStore, StoreCall, StoreChange, StoredRecord } from "./store.ts";

/** One read of a session, as {@link NearCacheOptions.onRead} is told of it. */
export interface NearCacheRead {
  /** Whether a copy was served; otherwise the store was asked. */
  readonly hit: boolean;
  /** How long ago what was served was known to be right, in milliseconds; 0 without a hit. */
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
  /**
   * Keeps copies of all sessions, and not only of those that were read here: they are fetched when the store begins to tell of
   * changes, and what it tells of replaces them. Then a copy is as good as the last proof that all news have come, which the
   * store gives every few seconds, and a read asks nobody; but once in ten times `maxAge`, because what is removed past the
   * store, such as by purging its bucket, no news tell of. For stores that list, and whose news carry the records: `natsStore`.
   * Of others a session that was changed is fetched when it is next read. `maxSessions` has to be twice as many as there are, at
   * least. Default false.
   */
  readonly replica?: boolean | undefined;
  /** Told of every read. Must not throw. */
  readonly onRead?: ((read: NearCacheRead) => void) | undefined;
  /** For tests: where time comes from. The same as that of the definition. Default: the clock of the machine. */
  readonly clock?: Clock | undefined;
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
  /** Of a replica, whether all sessions were copied since the news began. */
  readonly complete: boolean;
}

/** A {@link SessionStore} that reads from copies. */
export type NearCache = SessionStore & {
  readonly name: string;
  stats(): NearCacheStats;
  close(): MaybePromise<void>;
};

const OPTIONS = ["maxSessions", "maxAge", "replica", "soleProcess", "onRead", "clock"] as const;

/**
 * Keeps copies of sessions in the memory of this process, so that reading one again asks nobody. Writes go to the store
 * first. What other processes change, the store tells (`watch`), and the copy is dropped within milliseconds.
 *
 * What holds: no copy is served that was not known to be right within the last `maxAge`, whatever happens. While the store
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
  const clock = clockOption(options.clock);
  const isSole = flag("soleProcess", options.soleProcess);
  const isReplica = flag("replica", options.replica);
  checkStore(store, { isSole, isReplica });
  const maxAge = milliseconds("maxAge", options.maxAge ?? "10s");
  const onRead = optionalFunction("onRead", options.onRead);
  const kept = new Copies(positiveInteger("maxSessions", options.maxSessions, 10_000), maxAge);
  const all = isReplica && store.list !== undefined ? replica(store.list.bind(store), kept, clock) : undefined;
  const count = { hits: 0, misses: 0, invalidations: 0, flushes: 0 };
  let live = isSole;

  const flush = (isLive: boolean): void => {
    live = isLive;
    count.flushes++;
    kept.forget();
    if (isLive) all?.begin();
    else all?.end();
  };
  const tell = (key: string, { version, record }: StoreChange = {}): void => {
    if (all !== undefined && record !== undefined) return kept.brought(key, record, clock.now());
    kept.unexpect(key);
    if (kept.changed(key, version)) count.invalidations++;
  };
  const unwatch = isSole
    ? undefined
    : store.watch?.(tell, {
        restored: () => flush(true),
        lost: () => flush(false),
        ...(isReplica && { current: (at) => kept.current(at) }),
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
      onRead?.({ hit: true, age: kept.age(copy, call.now) });
      return copy.record;
    },
    stats: () => ({ sessions: kept.count(), ...count, live, complete: all?.isComplete ?? false }),
    close() {
      unwatch?.();
      flush(false);
      return store.close?.();
    },
  };
}

type Writing = "create" | "update" | "touch" | "delete" | "deleteBySubject";

/** Whatever writes drops the copy before, so that none is served while it is under way, and after, whatever came of it. */
function writes(store: SessionStore, kept: Copies, isLive: () => boolean): Pick<SessionStore, Writing> {
  const around = <T>(
    key: string,
    write: () => MaybePromise<T>,
    written: (answer: T | undefined) => string | undefined,
  ): MaybePromise<T> => {
    kept.changed(key);
    return finished(write, (answer) => kept.wrote(key, written(answer)));
  };
  const { deleteBySubject } = store;
  return {
    create: (key, record, call) =>
      around(
        key,
        () => store.create(key, record, call),
        (done) => (done === true ? record.version : undefined),
      ),
    update(key, record, base, call) {
      kept.changed(key);
      kept.expect(key, record.version);
      // Of a store with revisions nobody knows here which one the record has now.
      const fill = base.revision === undefined && isLive() ? kept.begin(key) : undefined;
      return finished(
        () => store.update(key, record, base, call),
        (outcome) => {
          const isDone = outcome === "ok";
          if (!isDone) kept.unexpect(key);
          kept.wrote(key, isDone ? record.version : undefined);
          if (fill !== undefined) kept.end(key, fill, isDone ? { record, askedAt: call.now } : undefined);
        },
      );
    },
    // The copy has the old end, unless the news were faster.
    touch: (key, expiresAt, call) =>
      finished(
        () => store.touch(key, expiresAt, call),
        (done) => kept.touched(key, done === true ? expiresAt : undefined),
      ),
    delete(key, call) {
      kept.expect(key, undefined);
      return around(
        key,
        () => store.delete(key, call),
        (done) => {
          if (done !== true) kept.unexpect(key);
          return undefined;
        },
      );
    },
    ...(deleteBySubject !== undefined && {
      deleteBySubject: (subject, rest, call) =>
        finished(
          () => deleteBySubject.call(store, subject, rest, call),
          (keys) =>
            keys?.forEach((key) => {
              kept.expect(key, undefined);
              kept.changed(key);
            }),
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
