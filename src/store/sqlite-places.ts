/**
 * Where a process remembers rows to be: hashes of keys, and the rowid that each had when it was last seen.
 *
 * To find a row by its rowid reads half as many pages as to find it by its key, and of a large table each is a system call.
 *
 * @module
 */

/** Rowids by the hash of a key. Any of them may be wrong, and any may be forgotten. */
export interface Places {
  /** 0: not known. */
  get(hash: number): number;
  set(hash: number, place: number): void;
}

/** So many tables: each grows by itself, because to move all places at once would stop the process for a while. */
const TABLES = 256;
/** How many places with like hashes there are: so many as a line of the processor's cache holds. */
const WAYS = 8;
/** Numbers that these take: a hash and a place each. */
const BUCKET = 2 * WAYS;
/** The part of the places that are taken when a table grows: beyond it, some of the buckets are full. */
const FULL = 0.5;
/** All tables together, in bytes: for a million rows. */
const MOST_BYTES: number = 2 ** 24;
const LARGEST = 2 ** 32 - 1;

/** Remembers nothing at first, and takes 16 to 32 bytes for each row, up to `most` for all. */
export function createPlaces(most: number = MOST_BYTES): Places {
  const longest = most / Uint32Array.BYTES_PER_ELEMENT / TABLES;
  const tables: Uint32Array[] = Array.from({ length: TABLES }, () => new Uint32Array(BUCKET));
  const taken = new Uint32Array(TABLES);
  return {
    get(hash) {
      const table = tables[hash >>> 24] as Uint32Array;
      const start = bucketOf(table, hash);
      for (let at = start; at < start + BUCKET; at += 2) if (table[at] === hash) return table[at + 1] as number;
      return 0;
    },
    set(hash, place) {
      // Also what is no number: not every driver says where a row was inserted.
      if (!(place > 0 && place <= LARGEST)) return;
      const index = hash >>> 24;
      let table = tables[index] as Uint32Array;
      if ((taken[index] as number) > (table.length / 2) * FULL && table.length < longest) {
        table = twice(table);
        tables[index] = table;
      }
      if (insert(table, hash, place)) taken[index] = (taken[index] as number) + 1;
    },
  };
}

function bucketOf(table: Uint32Array, hash: number): number {
  return (hash * BUCKET) & (table.length - 1);
}

/** Whether one more is taken. Where all are, one of them is lost. */
function insert(table: Uint32Array, hash: number, place: number): boolean {
  const start = bucketOf(table, hash);
  let slot = start + 2 * (place % WAYS);
  for (let at = start; at < start + BUCKET; at += 2) {
    if (table[at + 1] !== 0 && table[at] !== hash) continue;
    slot = at;
    break;
  }
  const isNew = table[slot + 1] === 0;
  table[slot] = hash;
  table[slot + 1] = place;
  return isNew;
}

function twice(table: Uint32Array): Uint32Array {
  const larger = new Uint32Array(table.length * 2);
  for (let at = 0; at < table.length; at += 2) {
    const place = table[at + 1] as number;
    if (place !== 0) insert(larger, table[at] as number, place);
  }
  return larger;
}

/** Long keys end in what tells them apart. */
const HASHED_CHARACTERS = 32;

/** A hash of a key: FNV-1a, its high bits, which choose the table, folded into the low ones, which choose the bucket. */
export function placeHash(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = Math.max(0, key.length - HASHED_CHARACTERS); at < key.length; at++) {
    hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}
