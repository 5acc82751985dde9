/**
 * The listings of `sqliteStore`: a page at a time, so that no statement stays open while others write.
 *
 * @module
 */
import type { Row, Statements } from "./sqlite-statements.ts";
import { afterAll, AFTER_MARKED, fromSqlite, isPlain, MARKED, plainStart, toSqlite } from "./sqlite-text.ts";
import type { ListedRecord, StoredRecord } from "./store.ts";

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

/** All records whose key begins with a prefix. */
export async function* listByPrefix(statements: Statements, prefix: string, now: number): AsyncGenerator<ListedRecord> {
  const start = plainStart(prefix);
  for await (const listed of range(statements, start, afterAll(start), now)) {
    if (listed.key.startsWith(prefix)) yield listed;
  }
  if (start === "") return;
  for await (const listed of range(statements, MARKED, AFTER_MARKED, now)) {
    if (listed.key.startsWith(prefix)) yield listed;
  }
}

/** How many records have a key that begins with a prefix. */
export async function countByPrefix(statements: Statements, prefix: string, now: number): Promise<number> {
  let found = 0;
  if (isPlain(prefix)) {
    const row = statements.count.get(prefix, afterAll(prefix) ?? null, now) as { readonly found: number | bigint };
    found = Number(row.found);
    if (prefix === "") return found;
  }
  const others = isPlain(prefix) ? range(statements, MARKED, AFTER_MARKED, now) : listByPrefix(statements, prefix, now);
  for await (const { key } of others) if (key.startsWith(prefix)) found++;
  return found;
}

function range(
  statements: Statements,
  from: string,
  to: string | undefined,
  now: number,
): AsyncGenerator<ListedRecord> {
  return pages((start) => statements.byKey.all(start, to ?? null, now, PAGE), from, now);
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
