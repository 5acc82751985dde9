/**
 * The read cache of `directoryStore`.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { StoredRecord } from "./store.ts";

/** Records that were read a moment ago. */
export interface ReadCache {
  get(key: string): StoredRecord | undefined;
  set(key: string, record: StoredRecord): void;
  delete(key: string): void;
}

interface Cached {
  readonly record: StoredRecord;
  readonly readAt: number;
}

/** Keeps up to `size` records, the newest ones, each for `maxAge` milliseconds; none if `size` is 0. */
export function readCache(size: number, maxAge: number, clock: Clock): ReadCache {
  const entries = new Map<string, Cached>();
  const isYoung = ({ readAt }: Cached): boolean => Math.abs(clock.now() - readAt) <= maxAge;
  return {
    get(key) {
      const cached = entries.get(key);
      return cached !== undefined && isYoung(cached) ? cached.record : undefined;
    },
    set(key, record) {
      if (size === 0) return;
      entries.delete(key);
      entries.set(key, { record: Object.freeze(record), readAt: clock.now() });
      const [oldest] = entries.keys();
      if (entries.size > size && oldest !== undefined) entries.delete(oldest);
    },
    delete: (key) => void entries.delete(key),
  };
}
