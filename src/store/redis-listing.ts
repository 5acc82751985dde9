/**
 * The listings of `redisStore`: by `SCAN`, primary by primary, because nothing else knows the keys of all sessions.
 *
 * @module
 */
import type { Send } from "./redis-connection.ts";
import { isAlive, recordIn } from "./redis-record.ts";
import type { Redis } from "./redis-subjects.ts";
import { hashOf, patternOf } from "./redis-text.ts";
import type { ListedPage, ListedRecord, PageRequest, StoreCall } from "./store.ts";

/** How many names a server looks at before it sees to others: at least, and at most (some tenths of a millisecond). */
const [LEAST, MOST] = [10, 1_000];

/** After so many scans a page is handed over, full or not: the caller waits no longer than a store may take. */
const SCANS_A_PAGE = 100;

/** A page of the records whose key begins with a prefix. Of a Cluster all primaries are asked, one after the other. */
export async function pageByPrefix(
  redis: Redis,
  prefix: string,
  { cursor, limit }: PageRequest,
  call: StoreCall,
): Promise<ListedPage> {
  const { nodes, digest } = await primaries(redis, call);
  const records: ListedRecord[] = [];
  let at = positionOf(cursor, digest);
  for (let scans = 0; at.node < nodes.length; scans++) {
    if (records.length >= limit || scans === SCANS_A_PAGE) return { records, cursor: cursorAt(at, digest) };
    const send = nodes[at.node] as Send;
    const { keys, next } = await scan(redis, send, prefix, at.cursor, limit - records.length, call);
    records.push(...(await existing(redis, keys, call)));
    at = next === "0" ? { node: at.node + 1, cursor: "0" } : { node: at.node, cursor: next };
  }
  return { records };
}

/** How many records have a key that begins with a prefix. */
export async function countByPrefix(redis: Redis, prefix: string, call: StoreCall): Promise<number> {
  const counted = new Set<string>();
  for (const send of await redis.connection.nodes()) {
    let cursor = "0";
    do {
      const { keys, next } = await scan(redis, send, prefix, cursor, MOST, call);
      const heads = await Promise.all(keys.map((key) => onRecord(redis, key, ["GETRANGE"], ["0", "11"], call)));
      for (const [i, key] of keys.entries()) if (isAlive(String(heads[i]), call.now)) counted.add(key);
      cursor = next;
    } while (cursor !== "0");
  }
  return counted.size;
}

/** Some of the keys that begin with a prefix. A scan may meet a key several times. */
async function scan(
  { names }: Redis,
  send: Send,
  prefix: string,
  cursor: string,
  wanted: number,
  call: StoreCall,
): Promise<{ readonly keys: readonly string[]; readonly next: string }> {
  const count = String(Math.min(Math.max(LEAST, wanted), MOST));
  const reply = await send(["SCAN", cursor, "MATCH", patternOf(names, prefix), "COUNT", count, "TYPE", "string"], call);
  const [next, found] = reply as readonly [string, readonly string[]];
  const keys = found.flatMap((name) => names.keyOf(name) ?? []).filter((key) => key.startsWith(prefix));
  return { keys: [...new Set(keys)], next: String(next) };
}

async function existing(redis: Redis, keys: readonly string[], call: StoreCall): Promise<readonly ListedRecord[]> {
  const found = await Promise.all(keys.map((key) => onRecord(redis, key, ["GET"], [], call)));
  return keys.flatMap((key, i) => {
    const kept = found[i];
    if (typeof kept !== "string") return [];
    const record = recordIn(kept, call.now);
    return record.expiresAt > call.now ? [{ key, record }] : [];
  });
}

function onRecord(
  { connection, names }: Redis,
  key: string,
  [verb]: readonly [string],
  args: readonly string[],
  call: StoreCall,
): PromiseLike<unknown> {
  const name = names.record(key);
  return connection.command(name, [verb, name, ...args], call);
}

// --- cursors --------------------------------------------------------------------------------------------------------------

interface Position {
  readonly node: number;
  /** Of `SCAN` on that node. */
  readonly cursor: string;
}

interface Primaries {
  readonly nodes: readonly Send[];
  /** What tells them from others. */
  readonly digest: string;
}

/** A cursor of `SCAN` says something only to the process that gave it: another one, after a failover, mixes keys otherwise. */
async function primaries({ connection }: Redis, call: StoreCall): Promise<Primaries> {
  const sends = await connection.nodes();
  const nodes = await Promise.all(
    sends.map(async (send) => {
      const info = String(await send(["INFO", "server"], call));
      return { send, id: /^run_id:(\w+)/m.exec(info)?.[1] ?? "" };
    }),
  );
  nodes.sort((a, b) => (a.id < b.id ? -1 : 1));
  return { nodes: nodes.map(({ send }) => send), digest: digestOf(nodes.map(({ id }) => id).join()) };
}

function digestOf(text: string): string {
  return hashOf(text).toString(16).padStart(8, "0");
}

function cursorAt({ node, cursor }: Position, digest: string): string {
  return `${digest}-${node}-${cursor}`;
}

/** Where a walk goes on; at the beginning, if the primaries are others by now, or somebody made the cursor up. */
function positionOf(cursor: string | undefined, digest: string): Position {
  const [, of, node = "0", at = "0"] = /^([0-9a-f]{8})-(\d{1,4})-(\d{1,19})$/.exec(cursor ?? "") ?? [];
  return of === digest ? { node: Number(node), cursor: at } : { node: 0, cursor: "0" };
}
