/**
 * The listings of `natsStore`: from message to message, in the order in which they were written. A record that is changed
 * meanwhile comes later once more.
 *
 * @module
 */
import type { NatsConnection } from "./nats-client.ts";
import { alive, foundIn } from "./nats-record.ts";
import { patternOf, RECORDS } from "./nats-text.ts";
import type { ListedPage, ListedRecord, PageRequest, StoreCall } from "./store.ts";

/** After so many messages a page is handed over, full or not: the caller waits no longer than a store may take. */
const MESSAGES_A_PAGE = 250;

/** So many walks go through the stream side by side to count. */
const WALKS = 32;

/** A page of the records whose key begins with a prefix. */
export async function pageByPrefix(
  nats: NatsConnection,
  prefix: string,
  { cursor, limit }: PageRequest,
  call: StoreCall,
): Promise<ListedPage> {
  const pattern = patternOf(RECORDS, prefix);
  const records = new Map<string, ListedRecord>();
  let from = positionOf(cursor);
  for (let messages = 0; messages < MESSAGES_A_PAGE && records.size < limit; messages++) {
    const kept = await nats.next(pattern, from, call);
    if (kept === undefined) return { records: [...records.values()] };
    from = kept.sequence + 1;
    const found = alive(foundIn(kept, call.now), call.now);
    if (found?.key.startsWith(prefix) === true) records.set(found.key, { key: found.key, record: found.record });
  }
  return { records: [...records.values()], cursor: String(from) };
}

/** How many records have a key that begins with a prefix. */
export async function countByPrefix(nats: NatsConnection, prefix: string, call: StoreCall): Promise<number> {
  const pattern = patternOf(RECORDS, prefix);
  const { first, last } = await nats.ends(call);
  const width = Math.ceil((last - first + 1) / WALKS);
  const counted = new Set<string>();
  const walk = async (from: number, to: number): Promise<void> => {
    for (let at = from; at < to;) {
      const kept = await nats.next(pattern, at, call);
      if (kept === undefined || kept.sequence >= to) return;
      at = kept.sequence + 1;
      const found = alive(foundIn(kept, call.now), call.now);
      if (found?.key.startsWith(prefix) === true) counted.add(kept.name);
    }
  };
  const starts = Array.from({ length: WALKS }, (_, i) => first + i * width);
  // What is written while they walk has a later sequence than all of them look at, but the last one.
  await Promise.all(starts.map((from, i) => walk(from, i === WALKS - 1 ? Infinity : from + width)));
  return counted.size;
}

/** Where a walk goes on; at the beginning, if somebody made the cursor up. */
function positionOf(cursor: string | undefined): number {
  return /^[1-9]\d{0,14}$/.test(cursor ?? "") ? Number(cursor) : 1;
}
