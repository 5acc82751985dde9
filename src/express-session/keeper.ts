/**
 * What the middleware needs of a store, whether it is one of express-session's or one of ours.
 *
 * @module
 */
import type { MaybePromise } from "../internal/maybe-promise.ts";
import type { StoredRecord } from "../store/store.ts";

/** A record as a store of express-session gives it: `{ cookie, …data }`. */
export type LegacyRecord = Readonly<Record<string, unknown>>;

/** What was found under an id. */
export interface Found {
  readonly record: LegacyRecord;
  readonly seen: Seen;
}

/** What a request last knew the store to have under an id. */
export interface Seen {
  /** The data as `dataText` has it; undefined where it is not known without working it out. */
  readonly text: string | undefined;
  /** The cookie as it was kept. */
  readonly cookie?: Readonly<Record<string, unknown>> | undefined;
  /** That, as the text that was found. */
  readonly cookieText?: string | undefined;
  /** The record of a store of ours. */
  readonly stored?: StoredRecord | undefined;
  /** Whether the record has changes of others that this request has not seen. */
  readonly merged?: boolean;
  /** When that was, among the endings of this process. */
  readonly at?: number;
}

/** What is to be kept. */
export interface Write {
  /** The live session. */
  readonly session: object;
  /** Its data as `dataText` has it. */
  readonly text: string;
  /** What it was made from. */
  readonly seen: Seen;
}

/** A store, as the middleware calls it. All may throw or reject with what the store says. */
export interface StoreKeeper {
  /** Whether the store answers everything at once. */
  readonly atOnce: boolean;
  /** Whether `touch` does anything. */
  readonly touches: boolean;
  get(id: string): MaybePromise<Found | undefined>;
  /** A session that nobody has seen yet. */
  nothing(): Seen;
  /** Writes a session. `"gone"`: it was ended meanwhile, and stays so. */
  set(id: string, write: Write): MaybePromise<Seen | "gone">;
  touch(id: string, write: Write): MaybePromise<void>;
  destroy(id: string): MaybePromise<void>;
}
