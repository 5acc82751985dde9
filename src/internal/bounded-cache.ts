/**
 * A small cache that forgets what was not used for long. `lru-cache` does more and would by itself take a good part of the
 * 12 kB of the root door.
 *
 * Two maps, a young and an old generation: a full young one becomes the old one, whose rest is dropped; what is used again
 * becomes young. One map in order of use does the same at four times the cost, because a `Map` steps over all the places of
 * what was deleted to find its first entry.
 *
 * @module
 */

/** At most so many entries; at least the half that was used last is there. */
export interface BoundedCache<Key, Value extends object> {
  /** The value of a key, which thereby counts as used. */
  get(key: Key): Value | undefined;
  /** Keeps a value, and forgets others when there are too many. */
  set(key: Key, value: Value): void;
  /**
   * Keeps what is offered while there is room, and then one in eight. What is used again is soon offered again and then kept; what
   * comes once would cost more to keep, and for the garbage collector to move, than it costs to make anew.
   */
  offer(key: Key, value: Value): void;
  delete(key: Key): void;
  clear(): void;
  /** How many there are; takes as long as there are many. */
  count(): number;
}

/** Where others have to go for it, one in so many offered values is kept. */
const KEPT_OF_OFFERED = 8;

/** A cache of at most `limit` entries; 0 keeps nothing. */
export function boundedCache<Key, Value extends object>(limit: number): BoundedCache<Key, Value> {
  const generation = Math.ceil(limit / 2);
  let young = new Map<Key, Value>();
  let old = new Map<Key, Value>();
  let offers = 0;

  function put(key: Key, value: Value): void {
    if (limit === 0) return;
    young.set(key, value);
    if (young.size < generation) return;
    old = young;
    young = new Map();
  }

  return {
    get(key) {
      const value = young.get(key);
      if (value !== undefined) return value;
      const aged = old.get(key);
      if (aged !== undefined) put(key, aged);
      return aged;
    },
    set: put,
    offer(key, value) {
      const hasRoom = old.size === 0;
      if (hasRoom || offers === 0) put(key, value);
      if (!hasRoom) offers = (offers + 1) % KEPT_OF_OFFERED;
    },
    delete(key) {
      young.delete(key);
      old.delete(key);
    },
    clear() {
      young = new Map();
      old = new Map();
    },
    count: () => new Set([...young.keys(), ...old.keys()]).size,
  };
}
