/**
 * The listings of `natsStore`: from message to message, in the order in which they were written. A record that is changed
 * meanwhile comes later once more.
 *
 * @module
 */
import type { NatsConnection } from "./nats-client.ts";
import { alive, foundIn } from "./nats-record.ts";
import { RECORDS, rootOf } from "./nats-text.ts";
import { walkRecords } from "./nats-walk.ts";
import type { ListedPage, ListedRecord, PageRequest, StoreCall } from "./store.ts";

/** After so many messages a page is handed over, full or not: the caller waits no longer than a store may take. */
const MESSAGES_A_PAGE = 1_000;

/** A page of the records whose key begins with a prefix. */
export async function pageByPrefix(
  nats: NatsConnection,
  prefix: string,
  { cursor, limit }: PageRequest,
  call: StoreCall,
): Promise<ListedPage> {
  const records = new Map<string, ListedRecord>();
  let messages = 0;
  for await (const stretch of walkRecords(nats, rootOf(RECORDS, prefix), positionOf(cursor), call)) {
    for (const kept of stretch.records) {
      const any = foundIn(kept, call.now);
      const { key } = any;
      const found = alive(any, call.now);
      if (found === undefined) records.delete(key);
      else if (key.startsWith(prefix)) records.set(key, { key, record: found.record });
      if (records.size >= limit) return { records: [...records.values()], cursor: String(kept.sequence + 1) };
    }
    messages += stretch.length;
    if (messages >= MESSAGES_A_PAGE) return { records: [...records.values()], cursor: String(stretch.end + 1) };
  }
  return { records: [...records.values()] };
}

/** How many records have a key that begins with a prefix. */
export async function countByPrefix(nats: NatsConnection, prefix: string, call: StoreCall): Promise<number> {
  const counted = new Set<string>();
  for await (const { records } of walkRecords(nats, rootOf(RECORDS, prefix), 1, call)) {
    for (const kept of records) {
      const found = alive(foundIn(kept, call.now), call.now);
      if (found === undefined) counted.delete(kept.name);
      else if (found.key.startsWith(prefix)) counted.add(kept.name);
    }
  }
  return counted.size;
}

/** Where a walk goes on; at the beginning, if somebody made the cursor up. */
function positionOf(cursor: string | undefined): number {
  return /^[1-9]\d{0,14}$/.test(cursor ?? "") ? Number(cursor) : 1;
}
