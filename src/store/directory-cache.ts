/**
 * The read cache of `directoryStore`.
 *
 * @module
 */
import { boundedCache } from "../internal/bounded-cache.ts";
import type { Clock } from "../internal/clock.ts";
import type { StoredRecord } from "./store.ts";

/** Records that were read a moment ago. */
export interface ReadCache {
  get(key: string): StoredRecord | undefined;
  set(key: string, record: StoredRecord): void;
  delete(key: string): void;
}

interface Cached {
  /** Undefined: forgotten. */
  readonly record: StoredRecord | undefined;
  readonly readAt: number;
}

/** Keeps up to `size` records, each for `maxAge` milliseconds; none if `size` is 0. */
export function readCache(size: number, maxAge: number, clock: Clock): ReadCache {
  const cache = boundedCache<string, Cached>(size);
  return {
    get(key) {
      const cached = cache.get(key);
      return cached !== undefined && Math.abs(clock.now() - cached.readAt) <= maxAge ? cached.record : undefined;
    },
    set(key, record) {
      if (size > 0) cache.set(key, { record: Object.freeze(record), readAt: clock.now() });
    },
    delete(key) {
      if (cache.get(key)?.record !== undefined) cache.set(key, { record: undefined, readAt: 0 });
    },
  };
}
