/**
 * Sessions in the memory of this process: `coatcheck/store/memory`.
 *
 * @module
 */
import { type Clock, systemClock } from "../internal/clock.ts";
import type { Duration } from "../internal/duration.ts";
import { checkNames } from "../internal/option-names.ts";
import { createSweeper } from "../internal/sweeper.ts";
import { type Listeners, listeners } from "../internal/listeners.ts";
import { type Entry, type MemoryTable, memoryTable } from "./memory-table.ts";
import { optionalFunction, positiveInteger } from "./option-check.ts";
import {
  EXPIRED_FOR,
  type ExpiredRecord,
  type ListedPage,
  type ListedRecord,
  type PageRequest,
  type SessionStore,
  type StoredRecord,
} from "./store.ts";

/** Options of {@link memoryStore}. */
export interface MemoryStoreOptions {
  /** How many sessions are kept; beyond it the least recently used one goes. Default 100 000. */
  readonly maxSessions?: number | undefined;
  /** How often expired sessions are swept, in seconds or as `"10m"`; false for never. Default one minute. */
  readonly sweepInterval?: Duration | false | undefined;
  /** Told of every session that had to go because of `maxSessions` while it was still good. Must not throw. */
  readonly onEvict?: ((key: string, record: StoredRecord) => void) | undefined;
  /** For tests: where the sweeper gets its time from. Default: the clock of the machine. */
  readonly clock?: Clock | undefined;
}

/** What one slice of a sweep looks at: about a tenth of a millisecond. */
const SLICE = 2_000;

/** A {@link SessionStore} with every capability except `watch`: nobody else can change what is kept in memory. */
export type MemoryStore = Required<Omit<SessionStore, "watch" | "cachedFor">>;

/**
 * Keeps sessions in memory: for one process, and gone when it ends. Synchronous; a verb costs the same however many
 * sessions there are. Throws a `TypeError` for options that cannot work.
 *
 * @example
 * const store = memoryStore({ maxSessions: 10_000 });
 */
export function memoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  checkNames("memoryStore", options, ["maxSessions", "sweepInterval", "onEvict", "clock"]);
  const maxSessions = positiveInteger("maxSessions", options.maxSessions, 100_000);
  const onEvict = optionalFunction("onEvict", options.onEvict);
  const clock = options.clock ?? systemClock;
  const table = memoryTable();
  const expired = listeners<ExpiredRecord>();
  const sweeper = createSweeper({
    clock,
    interval: options.sweepInterval ?? 60,
    slice() {
      const now = clock.now();
      return table.sweep(SLICE, (entry) => void bury(table, expired, entry, now));
    },
  });
  const inserted = (now: number): void => {
    sweeper.start();
    if (table.entries.size <= maxSessions) return;
    const { key, record } = table.removeOldest();
    if (record.expiresAt > now) onEvict?.(key, record);
    else expired.tell({ key, subject: record.subject });
  };
  return {
    name: "memoryStore",
    cached: false,
    returnsSame: true,
    ...verbs(table, inserted),
    ...listings(table),
    ...removals(table, expired),
    onExpired(listener) {
      sweeper.start();
      return expired.add(listener);
    },
    close: () => sweeper.stop(),
  };
}

type Verb = "create" | "read" | "update" | "touch" | "delete";

function verbs(table: MemoryTable, inserted: (now: number) => void): Pick<MemoryStore, Verb> {
  return {
    create(key, record, { now }) {
      const entry = table.entries.get(key);
      if (entry === undefined) table.insert(key, frozen(record));
      else if (entry.record.expiresAt <= now) table.replace(entry, frozen(record));
      else return false;
      inserted(now);
      return true;
    },
    read(key, { now }) {
      const entry = find(table, key, now);
      if (entry !== undefined) table.use(entry);
      return entry?.record;
    },
    update(key, record, base, { now }) {
      const entry = find(table, key, now);
      if (entry === undefined) return "gone";
      if (entry.record.version !== base.version) return "conflict";
      table.replace(entry, frozen(record));
      return "ok";
    },
    touch(key, expiresAt, { now }) {
      const entry = find(table, key, now);
      if (entry === undefined) return false;
      table.replace(entry, expiresAt > entry.record.expiresAt ? frozen({ ...entry.record, expiresAt }) : entry.record);
      return true;
    },
    delete(key, { now }) {
      const entry = find(table, key, now);
      if (entry !== undefined) table.remove(entry);
      return entry !== undefined;
    },
  };
}

function listings(table: MemoryTable): Pick<MemoryStore, "listBySubject" | "list" | "count"> {
  return {
    listBySubject: (subject, { now }) => listed(table, table.keysOf(subject), now),
    list: (prefix, page, { now }) => pageOf(table, prefix, page, now),
    count(prefix, { now }) {
      let found = 0;
      for (const { key, record } of table.entries.values()) {
        if (record.expiresAt > now && key.startsWith(prefix)) found++;
      }
      return found;
    },
  };
}

function removals(
  table: MemoryTable,
  expired: Listeners<ExpiredRecord>,
): Pick<MemoryStore, "deleteBySubject" | "deleteExpired"> {
  return {
    deleteBySubject(subject, { except }, { now }) {
      const entries = table.keysOf(subject).flatMap((key) => (key === except ? [] : (find(table, key, now) ?? [])));
      for (const entry of entries) table.remove(entry);
      return entries.map(({ key }) => key);
    },
    deleteExpired(limit, { now }) {
      let removed = 0;
      for (const entry of table.entries.values()) {
        if (removed >= limit) break;
        if (bury(table, expired, entry, now)) removed++;
      }
      return removed;
    },
  };
}

/** Removes an entry that is over, having told of it; false when it stays, or a listener was faster. */
function bury(table: MemoryTable, expired: Listeners<ExpiredRecord>, entry: Entry, now: number): boolean {
  const { key, record } = entry;
  if (record.expiresAt >= now - EXPIRED_FOR) return false;
  expired.tell({ key, subject: record.subject });
  const stays = table.entries.get(key) !== entry || entry.record !== record;
  if (!stays) table.remove(entry);
  return !stays;
}

function find(table: MemoryTable, key: string, now: number): Entry | undefined {
  const entry = table.entries.get(key);
  return entry !== undefined && entry.record.expiresAt > now ? entry : undefined;
}

async function* listed(table: MemoryTable, keys: Iterable<string>, now: number): AsyncGenerator<ListedRecord> {
  for (const key of keys) {
    const entry = find(table, key, now);
    if (entry !== undefined) yield { key, record: entry.record };
  }
}

/**
 * The entries after the one that a cursor names by its serial number. Those before it are passed over, which takes some ten
 * milliseconds a million: for an administrator's page that is cheaper than an index that every request would pay for.
 */
function pageOf(table: MemoryTable, prefix: string, { cursor, limit }: PageRequest, now: number): ListedPage {
  const after = Number(cursor ?? 0);
  const records: ListedRecord[] = [];
  let last = 0;
  for (const { key, serial, record } of table.entries.values()) {
    if (serial <= after || record.expiresAt <= now || !key.startsWith(prefix)) continue;
    if (records.length >= limit) return { records, cursor: String(last) };
    records.push({ key, record });
    last = serial;
  }
  return { records };
}

/** What nobody can change, neither who gave the record nor who is given it, so that reading needs no copy. */
function frozen(record: StoredRecord): StoredRecord {
  if (Object.isFrozen(record)) return record;
  const { version, expiresAt, subject, value } = record;
  return Object.freeze(subject === undefined ? { version, expiresAt, value } : { version, expiresAt, value, subject });
}
