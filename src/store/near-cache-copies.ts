/**
 * The copies of a near cache: which may be served, and which answers of the store may become one.
 *
 * @module
 */
import { boundedCache } from "../internal/bounded-cache.ts";
import type { StoredRecord } from "./store.ts";

/** A copy, and when the store was asked for it, in milliseconds since the epoch. */
export interface Copy {
  readonly record: StoredRecord;
  readonly askedAt: number;
}

/** An answer that is under way. */
export interface Fill {
  /** What was told of the record meanwhile: the version that it has now, where that is known. */
  told: { readonly version: string | undefined } | undefined;
}

/** See {@link copies}. */
export interface Copies {
  /** A copy that may be served at `now`; undefined when there is none. */
  servable(key: string, now: number): Copy | undefined;
  /** To be called before the store is asked, or told to write. */
  begin(key: string): Fill;
  /** What came of it becomes a copy, unless another version was told of meanwhile. */
  end(key: string, fill: Fill, copy: Copy | undefined): void;
  /** The same after a write of this process, of which others may have been told before; undefined: nobody knows what is there. */
  wrote(key: string, fill: Fill, copy: Copy | undefined): void;
  /** The record has changed; a copy of the version that it has now may stay. False when nothing was known of it. */
  changed(key: string, version?: string): boolean;
  /** Nothing that was copied, or is on its way, is to be served. */
  forget(): void;
  count(): number;
}

/** Of records above it, in characters, no copies are kept: a few would take the memory of many. */
const LONGEST = 65_536;

/** Copies of at most `most` records, none served longer than `maxAge` milliseconds after the store was asked for it. */
export function copies(most: number, maxAge: number): Copies {
  const kept = boundedCache<string, Copy>(most);
  /** Of each record the latest answer that is under way: what comes of those before it is not kept. */
  const fills = new Map<string, Fill>();

  function end(key: string, fill: Fill, copy: Copy | undefined): void {
    if (fills.get(key) !== fill) return;
    fills.delete(key);
    const isLatest = fill.told === undefined || fill.told.version === copy?.record.version;
    if (copy === undefined || !isLatest || copy.record.value.length > LONGEST) kept.delete(key);
    else kept.set(key, { ...copy, record: frozen(copy.record) });
  }

  return {
    servable(key, now) {
      const copy = kept.get(key);
      if (copy === undefined) return undefined;
      const age = now - copy.askedAt;
      // A clock that was set back makes ages that say nothing.
      if (age >= 0 && age < maxAge && copy.record.expiresAt > now) return copy;
      kept.delete(key);
      return undefined;
    },
    begin(key) {
      const fill: Fill = { told: undefined };
      fills.set(key, fill);
      return fill;
    },
    end,
    wrote(key, fill, copy) {
      const other = fills.get(key);
      if (other !== undefined && other !== fill) other.told ??= { version: copy?.record.version };
      kept.delete(key);
      end(key, fill, copy);
    },
    changed(key, version) {
      const copy = kept.get(key);
      const fill = fills.get(key);
      // What is under way may have been asked for before the change: its version will tell.
      if (fill !== undefined) fill.told = { version };
      if (copy !== undefined && (version === undefined || copy.record.version !== version)) kept.delete(key);
      return copy !== undefined || fill !== undefined;
    },
    forget() {
      kept.clear();
      fills.clear();
    },
    count: () => kept.count(),
  };
}

function frozen(record: StoredRecord): StoredRecord {
  return Object.isFrozen(record) ? record : Object.freeze({ ...record });
}
