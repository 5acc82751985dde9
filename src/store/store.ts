/**
 * The store contract: where session records are kept. This file is its specification; each sentence has a case in the
 * conformance kit (`storeCases` of `coatcheck/testing`), and every store passes the same kit.
 *
 * A store knows verbs and no policy: what a session is, when it ends and who may use it is the manager's business.
 *
 * @module
 */
import type { MaybePromise } from "../internal/maybe-promise.ts";

/** What a store keeps under a key. A store never changes one that it was given or has handed out. */
export interface StoredRecord {
  /** Opaque, and new with every write of `value`; `update` compares it for equality. */
  readonly version: string;
  /** The store's own token for the same purpose (a file number, a Memcached cas, a NATS revision), if it has one. */
  readonly revision?: unknown;
  /** When the record ends, in milliseconds since the epoch, by the application's clock. */
  readonly expiresAt: number;
  /** Whose session it is, for `listBySubject`. */
  readonly subject?: string;
  /** The session, as text. A store does not look into it. */
  readonly value: string;
}

/** What comes with every call. */
export interface StoreCall {
  /** The application's time, in milliseconds since the epoch. A record with `expiresAt <= now` does not exist. */
  readonly now: number;
  /** Aborted when the caller no longer waits. */
  readonly signal?: AbortSignal | undefined;
  /** The answer must come from where the truth is, past every cache. */
  readonly fresh?: boolean | undefined;
  /** With `update`, and with `delete` where it is known: the subject under which the base was indexed. */
  readonly previousSubject?: string | undefined;
}

/** What `update` did. `conflict`: another version is there. `gone`: nothing is there. */
export type UpdateOutcome = "ok" | "conflict" | "gone";

/** One entry of a listing. */
export interface ListedRecord {
  readonly key: string;
  readonly record: StoredRecord;
}

/** Which page of a listing is wanted. */
export interface PageRequest {
  /** What came with the page before; left out for the first page. */
  readonly cursor?: string | undefined;
  /** How many records a page should have, at least 1. A page may have fewer, none, or a few more. */
  readonly limit: number;
}

/** A page of a listing. */
export interface ListedPage {
  readonly records: readonly ListedRecord[];
  /** Where the next page begins: letters, digits, `-` and `_`, and nothing secret. Left out with the last page. */
  readonly cursor?: string | undefined;
}

/** A record that ended by its clock. */
export interface ExpiredRecord {
  readonly key: string;
  /** Whose it was, where the store still knows. */
  readonly subject?: string | undefined;
}

/**
 * When a watcher is told of everything, and when not. At first it is not; `restored` and `lost` come in turns from then on.
 * Neither throws.
 *
 * So what was copied after the last `restored`, and before the next `lost`, is as fresh as the way from the store is long.
 * A connection that went silent is noticed within {@link WATCH_SILENCE}: a copy is never older than that without `lost`.
 */
export interface WatchGaps {
  /**
   * From now on everything is told. What was done before may not have been, and never will be: every copy that was made
   * before is to be forgotten.
   */
  restored?(): void;
  /** From now on, or for some seconds already, nothing is told: no copy can be trusted. */
  lost?(): void;
  /**
   * All that was done before `askedAt` has been told, in milliseconds since the epoch by the clock of this process: the store
   * was asked then. Called now and then between `restored` and `lost`, where the store can tell.
   */
  current?(askedAt: number): void;
}

/** What a watcher is told of a change, beside the key: as much as the feed can tell. */
export interface StoreChange {
  /**
   * The version of the record as it was written. Whoever has a copy of that very version may keep it: at most its end is
   * another one. Left out for a deletion, and where the feed cannot tell.
   */
  readonly version?: string | undefined;
  /**
   * The record as it was written, where the feed carries it anyway; such a feed tells the changes of a record once each, in
   * their order. Left out for a deletion.
   */
  readonly record?: StoredRecord | undefined;
}

/** How long a watcher may go without being told, and without a `lost`, at most, in milliseconds. */
export const WATCH_SILENCE: number = 10_000;

/**
 * Where records are kept. Every verb
 *
 * - is one atomic operation on the record;
 * - treats an expired record as one that does not exist, swept or not;
 * - may answer at once or by a promise;
 * - throws (or rejects) when the store cannot do its work, and only then: "not found" is an answer;
 * - takes any string as key and as subject, and any text as value, and keeps different ones apart.
 *
 * A store that finds bytes it cannot understand returns them as `value` (with any version and a future `expiresAt`):
 * the manager reports them as `corrupt` and carries on without a session.
 */
export interface SessionStore {
  /** The store's name for messages, such as `"memoryStore"`. */
  readonly name?: string;
  /** Whether `read` without `fresh` may answer from a cache. Default false. */
  readonly cached?: boolean;

  /** With `cached`: how old such an answer may be, in milliseconds. */
  readonly cachedFor?: number;

  /**
   * Whether `read` hands out the very object that was stored, again and again until it is replaced. Then what records say is
   * remembered up to 2 kB each, and not 1 kB: their text takes no room of its own. Default false.
   */
  readonly returnsSame?: boolean;

  /** Keeps a record under a free key. False, and nothing written, when the key exists. */
  create(key: string, record: StoredRecord, call: StoreCall): MaybePromise<boolean>;

  /** The record, or undefined. */
  read(key: string, call: StoreCall): MaybePromise<StoredRecord | undefined>;

  /**
   * Replaces the record if it still has `base.version` (and, for a store with revisions, `base.revision`). Never creates:
   * a record that was deleted or has expired stays so. A store that cannot tell `gone` from `conflict` may answer
   * `conflict`.
   */
  update(key: string, record: StoredRecord, base: StoredRecord, call: StoreCall): MaybePromise<UpdateOutcome>;

  /**
   * Moves the end of an existing record to the later of the stored and the given one. The version stays, though a store
   * may let a touch cause a `conflict` of an update that began before it. False when there is no record; never creates.
   */
  touch(key: string, expiresAt: number, call: StoreCall): MaybePromise<boolean>;

  /** Removes the record, whatever its version. False when there was none. */
  delete(key: string, call: StoreCall): MaybePromise<boolean>;

  /** All records of a subject, in any order. */
  listBySubject?(subject: string, call: StoreCall): AsyncIterable<ListedRecord>;

  /**
   * Removes all records of a subject but the one under the key `except`, and returns the keys of those that existed. A
   * record that has another subject by then stays.
   */
  deleteBySubject?(
    subject: string,
    options: { readonly except?: string | undefined },
    call: StoreCall,
  ): MaybePromise<readonly string[]>;

  /**
   * A page of the records whose key begins with `prefix`, in an order of the store's own. A walk from the first page to the
   * one without a cursor ends, whatever others write meanwhile that has an end. It brings each record that is there all the
   * time at least once, and exactly once where the store can. What is created or deleted meanwhile may be in it or not.
   *
   * A cursor may be used again, later and by another process over the same store. It comes from a client: one that is
   * made up, or that was given for another prefix, brings some page of this prefix, such as the first, and never an error.
   */
  list?(prefix: string, page: PageRequest, call: StoreCall): MaybePromise<ListedPage>;

  /** How many records have a key that begins with `prefix`. */
  count?(prefix: string, call: StoreCall): MaybePromise<number>;

  /**
   * Removes up to `limit` records that ended more than five minutes before `call.now` (a clock of another server may be
   * late). Returns how many it removed; fewer than `limit` means that there are no more, or that another process is at it.
   */
  deleteExpired?(limit: number, call: StoreCall): MaybePromise<number>;

  /**
   * Calls `listener` for each record that ended by its clock and that this store, by `deleteExpired` or by a sweeper of its
   * own, is about to remove: before it does, so that of a process that dies in between another one tells again. So when every
   * process that sweeps has a listener, each record is told of at least once, and now and then twice; one that was deleted, or
   * created anew, is not. A store with a sweeper starts it now, as it would at the first write. The listener does not throw.
   * Returns what ends it.
   */
  onExpired?(listener: (expired: ExpiredRecord) => void): () => void;

  /**
   * Tells of keys whose record was changed (a touch changes its end) or deleted, soon after that was done, perhaps more than
   * once: by other processes over the same store, and by this one. Of records that were created, and of those that ended by
   * their clock, it need not tell. The listener does not throw.
   *
   * Whoever keeps copies must know when nothing is told: see {@link WatchGaps}. Returns what ends it; then this listener, and
   * its gaps, are told of nothing any more. Nothing is told before `watch` has returned. Throws a `TypeError` where what the
   * store was given cannot do it, that says what can.
   */
  watch?(listener: (key: string, change?: StoreChange) => void, gaps?: WatchGaps): () => void;

  /** Lets go of what the store itself opened: files, timers. A client that the app made is left open. */
  close?(): MaybePromise<void>;
}

/** How long after its end a record may still be removed at the earliest, in milliseconds (P1). */
export const EXPIRED_FOR: number = 5 * 60_000;
