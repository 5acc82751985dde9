/**
 * The listings of `sqliteStore`: some rows at a time, so that no statement stays open while others write.
 *
 * @module
 */
import { cursorAt, positionOf } from "./cursor.ts";
import type { Row, Statements } from "./sqlite-statements.ts";
import { afterAll, AFTER_MARKED, fromSqlite, isPlain, MARKED, plainStart, toSqlite } from "./sqlite-text.ts";
import type { ListedPage, ListedRecord, PageRequest, StoredRecord } from "./store.ts";

const PAGE = 200;

/** Far enough in the future for whoever is shown a row that cannot be understood. */
const DAY = 86_400_000;

/** A row as a record. One that somebody has written otherwise than this store does comes back as text. */
export function recordOf({ version, expires_at: end, subject, value }: Row, now: number): StoredRecord {
  const expiresAt = Number(end);
  if (typeof value !== "string" || typeof version !== "string" || Number.isNaN(expiresAt)) {
    return { version: String(version), expiresAt: now + DAY, value: String(value) };
  }
  const record = { version: fromSqlite(version), expiresAt, value: fromSqlite(value) };
  return typeof subject === "string" ? { ...record, subject: fromSqlite(subject) } : record;
}

/** All records of a subject. */
export function listBySubject(statements: Statements, subject: string, now: number): AsyncGenerator<ListedRecord> {
  const kept = toSqlite(subject);
  return pages((from) => statements.bySubject.all(kept, from, now, PAGE), "", now);
}

/** A page of the records whose key begins with a prefix. Its cursor is the first key of the next page. */
export function pageByPrefix(
  statements: Statements,
  prefix: string,
  { cursor, limit }: PageRequest,
  now: number,
): ListedPage {
  const records: ListedRecord[] = [];
  for (const range of rangesOf(prefix, positionOf(cursor))) {
    const wanted = limit - records.length + 1;
    const rows = statements.byKey.all(range.from, range.to ?? null, now, wanted) as readonly Row[];
    const next = rows.length === wanted ? rows.at(-1) : undefined;
    for (const row of rows) {
      const key = fromSqlite(row.key);
      if (row !== next && key.startsWith(prefix)) records.push({ key, record: recordOf(row, now) });
    }
    if (next !== undefined) return { records, cursor: cursorAt(next.key) };
  }
  return { records };
}

/** How many records have a key that begins with a prefix. */
export async function countByPrefix(statements: Statements, prefix: string, now: number): Promise<number> {
  let found = 0;
  for (const { from, to, isExact } of rangesOf(prefix)) {
    if (isExact) {
      const row = statements.count.get(from, to ?? null, now) as { readonly found: number | bigint };
      found += Number(row.found);
      continue;
    }
    const fetch = (start: string): readonly unknown[] => statements.byKey.all(start, to ?? null, now, PAGE);
    for await (const { key } of pages(fetch, from, now)) if (key.startsWith(prefix)) found++;
  }
  return found;
}

/** Keys from one on and before another, in the order of SQLite. */
interface KeyRange {
  readonly from: string;
  readonly to: string | undefined;
  /** Whether all of them begin with the prefix. */
  readonly isExact: boolean;
}

/** Where keys with a prefix can be, in ascending order: first the marked ones. From `start` on, if that is given. */
function rangesOf(prefix: string, start = ""): readonly KeyRange[] {
  const plain = plainStart(prefix);
  const marked = { from: later(MARKED, start), to: AFTER_MARKED, isExact: prefix === "" };
  const exact = isPlain(prefix);
  const others = { from: later(later(plain, AFTER_MARKED), start), to: afterAll(plain), isExact: exact };
  return start < AFTER_MARKED ? [marked, others] : [others];
}

/** The later of two texts that are kept as they are, in the order of SQLite: that of their characters. */
function later(a: string, b: string): string {
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) > 0 ? a : b;
}

/** `fetch` returns the next rows in the order of their keys, from a key on that may be gone by then. */
async function* pages(
  fetch: (from: string) => readonly unknown[],
  from: string,
  now: number,
): AsyncGenerator<ListedRecord> {
  let last: string | undefined;
  for (;;) {
    const rows = fetch(last ?? from) as readonly Row[];
    for (const row of rows) if (row.key !== last) yield { key: fromSqlite(row.key), record: recordOf(row, now) };
    if (rows.length < PAGE) return;
    last = rows.at(-1)?.key;
    await turn();
  }
}

/** Lets everything else that waits go first. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0);
  });
}
