/**
 * The listings of the SQL stores: some rows at a time, so that no statement stays open while others write.
 *
 * @module
 */
import { type MaybePromise, run, settled, type Steps } from "../internal/maybe-promise.ts";
import { cursorAt, positionOf } from "./cursor.ts";
import { keyOf, recordOf, type RowColumns } from "./sql-row.ts";
import type { SqlQueries } from "./sql.ts";
import { afterAll, AFTER_MARKED, HASHED, isPlain, markedStart, plainStart } from "./sql-text.ts";
import type { ListedPage, ListedRecord, PageRequest, StoreCall } from "./store.ts";

const PAGE = 200;

/** Keys from one on and before another, in the order of their characters; without an end when that is undefined. */
export interface KeyRange {
  readonly from: string;
  readonly to: string | undefined;
}

/** All records of a subject, as it is kept. */
export function listBySubject(queries: SqlQueries, held: string, call: StoreCall): AsyncGenerator<ListedRecord> {
  return pages((from) => queries.bySubject(held, from, PAGE, call), "", call);
}

/** Which keys are wanted. */
export interface Prefix {
  readonly prefix: string;
  /** Whether there may be some that are kept as a hash. */
  readonly hashes: boolean;
}

/** A page of the records whose key begins with a prefix. Its cursor is the first key of the next page. */
export function pageByPrefix(
  queries: SqlQueries,
  keys: Prefix,
  page: PageRequest,
  call: StoreCall,
): MaybePromise<ListedPage> {
  return run(pageSteps(queries, keys, page, call));
}

function* pageSteps(
  queries: SqlQueries,
  { prefix, hashes }: Prefix,
  { cursor, limit }: PageRequest,
  call: StoreCall,
): Steps<ListedPage> {
  const records: ListedRecord[] = [];
  for (const range of rangesOf(prefix, hashes, startOf(cursor))) {
    const wanted = limit - records.length + 1;
    const rows = yield* settled(queries.byKey(range, wanted, call));
    const next = rows.length === wanted ? rows.at(-1) : undefined;
    for (const row of rows) {
      const { key } = keyOf(row);
      if (row !== next && key.startsWith(prefix)) records.push({ key, record: recordOf(row, call.now) });
    }
    if (next !== undefined) return { records, cursor: cursorAt(next.key) };
  }
  return { records };
}

/** Where a page begins; a client may have made up a key that no database keeps. */
function startOf(cursor: string | undefined): string | undefined {
  const start = positionOf(cursor);
  return start?.includes("\0") === true ? undefined : start;
}

/** How many records have a key that begins with a prefix. */
export async function countByPrefix(queries: SqlQueries, { prefix, hashes }: Prefix, call: StoreCall): Promise<number> {
  let found = 0;
  for (const range of rangesOf(prefix, hashes)) {
    if (range.isExact) found += await queries.count(range, call);
    else {
      const fetch = (from: string): MaybePromise<readonly RowColumns[]> =>
        queries.byKey({ from, to: range.to }, PAGE, call);
      for await (const { key } of pages(fetch, range.from, call)) if (key.startsWith(prefix)) found++;
    }
  }
  return found;
}

interface PrefixRange extends KeyRange {
  /** Whether all of them begin with the prefix. */
  readonly isExact: boolean;
}

/**
 * Where keys with a prefix can be, in ascending order: first the marked ones, then those that are kept as a hash. From
 * `start` on, if that is given.
 */
function rangesOf(prefix: string, hashes: boolean, start = ""): readonly PrefixRange[] {
  const marked = markedStart(prefix);
  const plain = plainStart(prefix);
  const hashed = { from: HASHED, to: AFTER_MARKED, isExact: prefix === "" };
  const ranges = [
    { from: marked.start, to: afterAll(marked.start), isExact: marked.isExact },
    ...(hashes ? [hashed] : []),
    { from: later(plain, AFTER_MARKED), to: afterAll(plain), isExact: isPlain(prefix) },
  ];
  return ranges
    .map(({ from, to, isExact }) => ({ from: later(from, start), to, isExact }))
    .filter(({ from, to }) => to === undefined || later(from, to) !== from);
}

/** The later of two texts that are kept as they are, in the order of their characters. */
function later(a: string, b: string): string {
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) > 0 ? a : b;
}

/** `fetch` returns the next rows in the order of their keys, from a key on that may be gone by then. */
async function* pages(
  fetch: (from: string) => MaybePromise<readonly RowColumns[]>,
  from: string,
  call: StoreCall,
): AsyncGenerator<ListedRecord> {
  let last: string | undefined;
  for (;;) {
    const rows = await fetch(last ?? from);
    for (const row of rows) {
      if (row.key !== last) yield { key: keyOf(row).key, record: recordOf(row, call.now) };
    }
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
