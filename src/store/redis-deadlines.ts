/**
 * The index of deadlines of `redisStore`: which records may have ended by a given minute. It is written when a record is
 * created, with a minute that is not after its end, and moved on by the sweeper when it finds the record alive; so touches
 * and updates have nothing to do with it.
 *
 * A minute's keys are a text, a line each, which costs a session little more than its key. The index is in a few shards; all
 * of a shard is in one slot.
 *
 * @module
 */
import type { Listeners } from "../internal/listeners.ts";
import { KEPT_FOR_SWEEP, lifetimeOf, recordIn } from "./redis-record.ts";
import { runScript } from "./redis-scripts.ts";
import type { Redis } from "./redis-subjects.ts";
import { fromRedis, hashOf, toRedis } from "./redis-text.ts";
import { EXPIRED_FOR, type ExpiredRecord, type StoreCall } from "./store.ts";

const SHARDS = 8;
const MINUTE = 60_000;

/** How long a sweeper has a shard for itself, in milliseconds. Should it take longer, some records are told of twice. */
const LEASE = "30000";

const AT_ONCE = 100;

/** Notes that a record may be over at `end`. */
export async function noteDeadline(redis: Redis, key: string, end: number, call: StoreCall): Promise<void> {
  const minute = minuteFor(end, call.now);
  const shard = hashOf(key) % SHARDS;
  const keys = [shardName(redis, shard), minuteName(redis, shard, minute)];
  const args = [`${toRedis(key)}\n`, String(minute), lifetimeOf(end, call.now, 2 * KEPT_FOR_SWEEP)];
  await onShard(redis, shard, call)(redis.scripts.note, keys, args);
}

/** The further away an end is, the coarser: the minutes of many records fall together, and are refined when they come near. */
function minuteFor(end: number, now: number): number {
  const away = Math.max(1, (end - now) / MINUTE / 32);
  const width = 2 ** Math.floor(Math.log2(away));
  return Math.floor(end / MINUTE / width) * width;
}

/** Tells of up to `limit` records that are over and removes them. Shards that another process is at are left to it. */
export async function deleteExpired(
  redis: Redis,
  expired: Listeners<ExpiredRecord>,
  limit: number,
  call: StoreCall,
): Promise<number> {
  let removed = 0;
  const first = Math.floor(Math.random() * SHARDS);
  for (let i = 0; i < SHARDS && removed < limit; i++) {
    removed += await sweepShard(redis, (first + i) % SHARDS, expired, limit - removed, call);
  }
  return removed;
}

async function sweepShard(
  redis: Redis,
  shard: number,
  expired: Listeners<ExpiredRecord>,
  limit: number,
  call: StoreCall,
): Promise<number> {
  const name = shardName(redis, shard);
  const send = (args: readonly string[]): PromiseLike<unknown> => redis.connection.command(name, args, call);
  const latest = String(Math.floor((call.now - EXPIRED_FOR) / MINUTE));
  const due = (await send(["ZRANGEBYSCORE", name, "-inf", latest])) as readonly string[];
  if (due.length === 0) return 0;
  const lease = `${name}:lease`;
  if ((await send(["SET", lease, "1", "NX", "PX", LEASE])) === null) return 0;
  try {
    let removed = 0;
    for (const minute of due) {
      if (removed < limit) removed += await sweepMinute(redis, shard, Number(minute), expired, limit - removed, call);
    }
    return removed;
  } finally {
    await send(["DEL", lease]);
  }
}

async function sweepMinute(
  redis: Redis,
  shard: number,
  minute: number,
  expired: Listeners<ExpiredRecord>,
  limit: number,
  call: StoreCall,
): Promise<number> {
  const name = minuteName(redis, shard, minute);
  const text = String((await redis.connection.command(name, ["GET", name], call)) ?? "");
  // A sweeper that died may have noted a record a second time.
  const lines = [...new Set(text.split("\n").slice(0, -1))];
  const kept: string[] = [];
  let removed = 0;
  let at = 0;
  while (at < lines.length && removed < limit) {
    const some = lines.slice(at, at + Math.min(AT_ONCE, limit - removed));
    at += some.length;
    const fates = await Promise.all(some.map((line) => examine(redis, fromRedis(line), minute, expired, call)));
    for (const [i, fate] of fates.entries()) {
      if (fate === "removed") removed++;
      else if (fate === "stays") kept.push(some[i] ?? "");
    }
  }
  const rest = [...kept, ...lines.slice(at)].map((line) => `${line}\n`).join("");
  const keys = [shardName(redis, shard), name];
  await onShard(redis, shard, call)(redis.scripts.strike, keys, [text, rest, String(minute)]);
  return removed;
}

/** What becomes of a line: the record was removed; the line stays where it is; or it is needed no more. */
type Fate = "removed" | "stays" | "done";

async function examine(
  redis: Redis,
  key: string,
  minute: number,
  expired: Listeners<ExpiredRecord>,
  call: StoreCall,
): Promise<Fate> {
  const { connection, names, scripts } = redis;
  const name = names.record(key);
  const send = (args: readonly string[]): PromiseLike<unknown> => connection.command(name, args, call);
  const kept = await send(["GET", name]);
  if (typeof kept !== "string") return "done";
  const { expiresAt, subject } = recordIn(kept, call.now);
  const before = call.now - EXPIRED_FOR;
  if (expiresAt >= before) {
    if (minuteFor(expiresAt, call.now) === minute) return "stays";
    await noteDeadline(redis, key, expiresAt, call);
    return "done";
  }
  expired.tell({ key, subject });
  // `before` is the first end that is not over.
  const removed = await runScript(send, scripts.expire, [name], [String(before - 1)]);
  return Number(removed) === 1 ? "removed" : "stays";
}

function onShard({ connection }: Redis, shard: number, call: StoreCall) {
  return (script: Parameters<typeof runScript>[1], keys: readonly string[], args: readonly string[]) =>
    runScript((command) => connection.command(keys[0] ?? String(shard), command, call), script, keys, args);
}

/** What is in braces decides about the slot. */
function shardName({ names }: Redis, shard: number): string {
  return `${names.prefix}~t:{${shard}}`;
}

function minuteName(redis: Redis, shard: number, minute: number): string {
  return `${shardName(redis, shard)}:${minute}`;
}
