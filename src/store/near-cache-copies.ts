/**
 * The copies of a near cache: which may be served, and which answers of the store may become one.
 *
 * @module
 */
import { boundedCache, type BoundedCache } from "../internal/bounded-cache.ts";
import type { StoredRecord } from "./store.ts";

/** A copy, and when the store was asked for it, in milliseconds since the epoch. */
export interface Copy {
  readonly record: StoredRecord;
  readonly askedAt: number;
  /** Whether the news have brought it: how long they were on their way nobody knows, so they prove nothing by themselves. */
  readonly isTold?: boolean;
}

/** An answer that is under way. */
export interface Fill {
  /** What was told of the record meanwhile: the version that it has now, where that is known. */
  told: { readonly version: string | undefined } | undefined;
}

/** Of records above it, in characters, no copies are kept: a few would take the memory of many. */
const LONGEST = 65_536;

/**
 * Also a copy that all news speak for is not trusted for ever: what is removed past the store (a bucket that is purged) no news
 * tell of. So many times `maxAge`.
 */
const LONGEST_UNASKED = 10;

/** How many own writes are remembered whose news have not come. */
const MOST_EXPECTED = 1_000;

/** Copies of at most `most` records, none served when it was not known to be right for `maxAge` milliseconds. */
export class Copies {
  readonly #kept: BoundedCache<string, Copy>;
  readonly #maxAge: number;
  /** Of each record the latest answer that is under way: what comes of those before it is not kept. */
  readonly #fills = new Map<string, Fill>();
  /** Of records that this process writes, the version of which the news have not come: those that come are older. */
  readonly #expected = boundedCache<string, { readonly version: string | undefined }>(MOST_EXPECTED);
  /** What was changed since `gather`. */
  #gathered: Set<string> | undefined;
  #currentAt = -Infinity;

  constructor(most: number, maxAge: number) {
    this.#kept = boundedCache(most);
    this.#maxAge = maxAge;
  }

  /** A copy that may be served at `now`; undefined when there is none. */
  servable(key: string, now: number): Copy | undefined {
    const copy = this.#kept.get(key);
    if (copy === undefined) return undefined;
    const age = this.age(copy, now);
    const isOld = now - copy.askedAt >= LONGEST_UNASKED * this.#maxAge;
    // A clock that was set back makes ages that say nothing.
    if (age >= 0 && age < this.#maxAge && !isOld && copy.record.expiresAt > now) return copy;
    this.#kept.delete(key);
    return undefined;
  }

  /** For how long nobody has known whether a copy is still right, in milliseconds. */
  age({ askedAt, isTold }: Copy, now: number): number {
    return now - (isTold === true ? this.#currentAt : Math.max(askedAt, this.#currentAt));
  }

  /** To be called before the store is asked, or told to write. */
  begin(key: string): Fill {
    const fill: Fill = { told: undefined };
    this.#fills.set(key, fill);
    return fill;
  }

  /** What came of it becomes a copy, unless another version was told of meanwhile. */
  end(key: string, fill: Fill, copy: Copy | undefined): void {
    if (this.#fills.get(key) !== fill) return;
    this.#fills.delete(key);
    const isLatest = fill.told === undefined || fill.told.version === copy?.record.version;
    if (copy === undefined || !isLatest) this.#kept.delete(key);
    else this.#put(key, copy);
  }

  /** This process is about to write; without a version, to delete. */
  expect(key: string, version: string | undefined): void {
    this.#expected.set(key, { version });
  }

  /** It has not. */
  unexpect(key: string): void {
    this.#expected.delete(key);
  }

  /** This process has written, of which the news may have come before. Without a version nobody knows what is there. */
  wrote(key: string, version: string | undefined): void {
    const fill = this.#fills.get(key);
    if (fill !== undefined) fill.told ??= { version };
    if (version === undefined || this.#kept.get(key)?.record.version !== version) this.#kept.delete(key);
  }

  /** This process has moved the end; without one nobody knows to where. */
  touched(key: string, expiresAt: number | undefined): void {
    const fill = this.#fills.get(key);
    if (fill !== undefined) fill.told ??= { version: undefined };
    if (expiresAt === undefined || (this.#kept.get(key)?.record.expiresAt ?? 0) < expiresAt) this.#kept.delete(key);
  }

  /** The record has changed; a copy of the version that it has now may stay. False when nothing was known of it. */
  changed(key: string, version?: string): boolean {
    this.#gathered?.add(key);
    const copy = this.#kept.get(key);
    const fill = this.#fills.get(key);
    // What is under way may have been asked for before the change: its version will tell.
    if (fill !== undefined) fill.told = { version };
    if (copy !== undefined && (version === undefined || copy.record.version !== version)) this.#kept.delete(key);
    return copy !== undefined || fill !== undefined;
  }

  /** The news have brought the record itself, which is newer than whatever was asked for before. */
  brought(key: string, record: StoredRecord, now: number): void {
    const expected = this.#expected.get(key);
    if (expected !== undefined && expected.version !== record.version) return void this.changed(key);
    this.#expected.delete(key);
    this.#gathered?.add(key);
    this.#fills.delete(key);
    this.#put(key, { record, askedAt: now, isTold: true });
  }

  /** From now on, until `settle`, what is changed is remembered: so that `offer` knows what is older than that. */
  gather(): void {
    this.#gathered = new Set();
  }

  /** A record that the store was asked for since `gather` becomes a copy, unless something newer is known. */
  offer(key: string, copy: Copy): void {
    if (this.#gathered?.has(key) === false && this.#kept.get(key) === undefined) this.#put(key, copy);
  }

  settle(): void {
    this.#gathered = undefined;
  }

  /** All news of what was done before have come: at that moment every copy was right. */
  current(at: number): void {
    this.#currentAt = at;
  }

  /** Nothing that was copied, or is on its way, is to be served. */
  forget(): void {
    this.#kept.clear();
    this.#fills.clear();
    this.#expected.clear();
    this.#gathered = undefined;
    this.#currentAt = -Infinity;
  }

  count(): number {
    return this.#kept.count();
  }

  #put(key: string, copy: Copy): void {
    const { record } = copy;
    if (record.value.length > LONGEST) this.#kept.delete(key);
    else this.#kept.set(key, Object.isFrozen(record) ? copy : { ...copy, record: Object.freeze({ ...record }) });
  }
}
