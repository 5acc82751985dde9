/**
 * How long an ended session is still served: the same instrument for the simulation and for real servers.
 *
 * @module
 */
import type { NearCache, NearCacheRead } from "../../src/store/near-cache.ts";
import type { SessionStore } from "../../src/store/store.ts";

/**
 * Asks a near cache whether it would serve a copy, without asking the store behind it. It has no other effect on a session of
 * which the news say that it has ended: what was copied is dropped in either case, and so is what is under way.
 */
export interface Probe {
  /** Whether that is going on: such a read is nobody's. */
  readonly isOn: boolean;
  /** The store, which answers no read meanwhile. */
  behind(store: SessionStore): SessionStore;
  /** To be called by `onRead`. */
  noted(read: NearCacheRead): void;
  /** How old a copy is that would be served now, in milliseconds; undefined when there is none. */
  age(near: NearCache, key: string, now: number): number | undefined;
}

/** Makes one for a near cache. */
export function probe(): Probe {
  let isOn = false;
  let age = 0;
  return {
    get isOn() {
      return isOn;
    },
    behind: (store) => ({ ...store, read: (key, call) => (isOn ? undefined : store.read(key, call)) }),
    noted: (read) => void (age = read.age),
    age(near, key, now) {
      isOn = true;
      try {
        return near.read(key, { now }) === undefined ? undefined : age;
      } finally {
        isOn = false;
      }
    },
  };
}

/** Sign-outs, and who would have served the session for how long. Times in milliseconds, by one clock. */
export interface Ledger {
  /** The store has answered to the sign-out. */
  ended(key: string, at: number): void;
  /** That server would have served it until then. */
  served(key: string, server: number, until: number): void;
  /**
   * For each sign-out: from its answer until the last server, or that one, had dropped its copy, 0 if that was before the
   * answer. Undefined where no other server had one.
   */
  latencies(server?: number): readonly (number | undefined)[];
}

/** An empty one. */
export function ledger(): Ledger {
  const ends = new Map<string, number>();
  /** For each session, of each server the last moment. */
  const served = new Map<string, Map<number, number>>();
  return {
    ended: (key, at) => void ends.set(key, at),
    served(key, server, until) {
      const known = served.get(key) ?? new Map<number, number>();
      served.set(key, known.set(server, Math.max(until, known.get(server) ?? until)));
    },
    latencies: (wanted) =>
      Array.from(ends, ([key, at]) => {
        const untils = [...(served.get(key) ?? [])].filter(([server]) => wanted === undefined || server === wanted);
        return untils.length === 0 ? undefined : Math.max(0, ...untils.map(([, until]) => until - at));
      }),
  };
}
