import type { SessionStore } from "coatcheck";

/** One read of a session. */
export interface NearRead {
  /** Whether a local copy was served. */
  readonly hit: boolean;
  /** The age of that copy in milliseconds; 0 when the store was asked. */
  readonly age: number;
}

/** What stands between a server and the shared store. For now nothing does: every read asks the store. */
export function near(store: SessionStore, onRead: (read: NearRead) => void): SessionStore {
  return {
    ...store,
    read(key, call) {
      onRead({ hit: false, age: 0 });
      return store.read(key, call);
    },
  };
}
