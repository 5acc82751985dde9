/**
 * The table behind `memoryStore`: records by key and by subject, in the order of their use.
 *
 * @module
 */
import type { StoredRecord } from "./store.ts";

/** A record in the ring of all records. */
export interface Entry {
  readonly key: string;
  /** Counts the entries as they are made: their order in `entries`. */
  readonly serial: number;
  /** Frozen, and handed out as it is. */
  record: StoredRecord;
  older: Entry;
  newer: Entry;
}

/** See {@link memoryTable}. */
export interface MemoryTable {
  readonly entries: ReadonlyMap<string, Entry>;
  /** The keys that a subject has now. */
  keysOf(subject: string): readonly string[];
  /** Adds a record under a key that is not there. */
  insert(key: string, record: StoredRecord): void;
  /** Puts another record in the place of one. */
  replace(entry: Entry, record: StoredRecord): void;
  /** Makes an entry the one used last. */
  use(entry: Entry): void;
  remove(entry: Entry): void;
  /** Removes the entry that was used least recently; the table must not be empty. */
  removeOldest(): Entry;
  /** Calls `look`, which may remove entries, for the next `steps` of them; false when that was the last of a round. */
  sweep(steps: number, look: (entry: Entry) => void): boolean;
}

/**
 * An empty table. The order of use is a ring of its own, and not the order of the map: to move a key to the end of a map
 * of a million, reading would now and then wait 200 ms for the map to be laid out anew.
 */
export function memoryTable(): MemoryTable {
  const entries = new Map<string, Entry>();
  const subjects = subjectIndex();
  const ring = emptyRing();
  let cursor: Entry = ring;
  let made = 0;

  const detach = (entry: Entry): void => {
    if (cursor === entry) cursor = entry.newer;
    entry.older.newer = entry.newer;
    entry.newer.older = entry.older;
  };
  const use = (entry: Entry): void => {
    if (ring.older === entry) return;
    detach(entry);
    linkNewest(ring, entry);
  };
  const remove = (entry: Entry): void => {
    entries.delete(entry.key);
    subjects.remove(entry.record.subject, entry.key);
    detach(entry);
  };

  return {
    entries,
    keysOf: subjects.keys,
    use,
    remove,
    removeOldest() {
      const entry = ring.newer;
      remove(entry);
      return entry;
    },
    insert(key, record) {
      const entry: Entry = { key, serial: ++made, record, older: ring, newer: ring };
      entries.set(key, entry);
      subjects.add(record.subject, key);
      linkNewest(ring, entry);
    },
    replace(entry, record) {
      if (entry.record.subject !== record.subject) {
        subjects.remove(entry.record.subject, entry.key);
        subjects.add(record.subject, entry.key);
      }
      entry.record = record;
      use(entry);
    },
    sweep(steps, look) {
      if (cursor === ring) cursor = ring.newer;
      for (let done = 0; done < steps && cursor !== ring; done++) {
        const entry = cursor;
        cursor = entry.newer;
        look(entry);
      }
      return cursor !== ring;
    },
  };
}

/** Which keys a subject has. Nearly always it is one: no set is made for it. */
interface SubjectIndex {
  add(subject: string | undefined, key: string): void;
  remove(subject: string | undefined, key: string): void;
  keys(subject: string): readonly string[];
}

function subjectIndex(): SubjectIndex {
  const index = new Map<string, string | Set<string>>();
  return {
    add(subject, key) {
      if (subject === undefined) return;
      const known = index.get(subject);
      if (known === undefined) index.set(subject, key);
      else if (typeof known === "string") index.set(subject, new Set([known, key]));
      else known.add(key);
    },
    remove(subject, key) {
      if (subject === undefined) return;
      const known = index.get(subject);
      if (typeof known === "object") known.delete(key);
      if (known === key || (typeof known === "object" && known.size === 0)) index.delete(subject);
    },
    keys(subject) {
      const known = index.get(subject) ?? [];
      return typeof known === "string" ? [known] : [...known];
    },
  };
}

/** The joint of a ring: its `newer` is the oldest entry, its `older` the newest. */
function emptyRing(): Entry {
  const ring = { key: "", serial: 0, record: { version: "", expiresAt: Infinity, value: "" } } as Entry;
  ring.older = ring;
  ring.newer = ring;
  return ring;
}

function linkNewest(ring: Entry, entry: Entry): void {
  entry.older = ring.older;
  entry.newer = ring;
  ring.older.newer = entry;
  ring.older = entry;
}
