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

  /** All records whose key begins with `prefix`, in any order. */
  list?(prefix: string, call: StoreCall): AsyncIterable<ListedRecord>;

  /** How many records have a key that begins with `prefix`. */
  count?(prefix: string, call: StoreCall): MaybePromise<number>;

  /**
   * Removes up to `limit` records that ended more than five minutes before `call.now` (a clock of another server may be
   * late). Returns how many it removed; fewer than `limit` means that there are no more.
   */
  deleteExpired?(limit: number, call: StoreCall): MaybePromise<number>;

  /** Tells of keys that were changed or deleted elsewhere. Returns what ends it. */
  watch?(listener: (key: string) => void): () => void;

  /** Lets go of what the store itself opened: files, timers. A client that the app made is left open. */
  close?(): MaybePromise<void>;
}

/** How long after its end a record may still be removed at the earliest, in milliseconds (P1). */
export const EXPIRED_FOR: number = 5 * 60_000;
