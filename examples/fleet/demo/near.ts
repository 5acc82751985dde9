import type { SessionStore } from "coatcheck";
import { nearCache, type NearCacheRead } from "coatcheck/store/near-cache";

/** One read of a session: whether a local copy was served, and how old it was, in milliseconds. */
export type NearRead = NearCacheRead;

/**
 * What stands between a server and the shared store: copies of the sessions that were read here, where the store tells of what
 * other servers change. Where it does not (a SQLite file), every read asks the store.
 */
export function near(store: SessionStore, onRead: (read: NearRead) => void): SessionStore {
  if (store.watch !== undefined) return nearCache(store, { maxSessions: 10_000, maxAge: "10s", onRead });
  return {
    ...store,
    read(key, call) {
      onRead({ hit: false, age: 0 });
      return store.read(key, call);
    },
  };
}
