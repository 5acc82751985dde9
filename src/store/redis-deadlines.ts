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
import type { Send } from "./redis-connection.ts";
import { runScript, type Script } from "./redis-scripts.ts";
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
  const names = [shardName(redis, shard), minuteName(redis, shard, minute)] as const;
  const args = [`${toRedis(key)}\n`, String(minute), lifetimeOf(end, call.now, 2 * KEPT_FOR_SWEEP)];
  await onShard(redis, redis.scripts.note, names, args, call);
}

/** The further away an end is, the coarser: the minutes of many records fall together, and are refined when they come near. */
function minuteFor(end: number, now: number): number {
  const away = Math.max(1, (end - now) / MINUTE / 32);
  const width = 2 ** Math.floor(Math.log2(away));
  return Math.floor(end / MINUTE / width) * width;
}

/** A sweep: what it works on, and who is told. */
interface Sweep {
  readonly redis: Redis;
  readonly expired: Listeners<ExpiredRecord>;
  readonly call: StoreCall;
}

/** Tells of up to `limit` records that are over and removes them. Shards that another process is at are left to it. */
export async function deleteExpired(
  redis: Redis,
  expired: Listeners<ExpiredRecord>,
  limit: number,
  call: StoreCall,
): Promise<number> {
  const first = Math.floor(Math.random() * SHARDS);
  let removed = 0;
  for (let i = 0; i < SHARDS && removed < limit; i++) {
    removed += await sweepShard({ redis, expired, call }, (first + i) % SHARDS, limit - removed);
  }
  return removed;
}

async function sweepShard(sweep: Sweep, shard: number, limit: number): Promise<number> {
  const { redis, call } = sweep;
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
      if (removed < limit) removed += await sweepMinute(sweep, shard, Number(minute), limit - removed);
    }
    return removed;
  } finally {
    await send(["DEL", lease]);
  }
}

async function sweepMinute(sweep: Sweep, shard: number, minute: number, limit: number): Promise<number> {
  const { redis, call } = sweep;
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
    const fates = await Promise.all(some.map((line) => examine(sweep, fromRedis(line), minute)));
    removed += fates.filter((fate) => fate === "removed").length;
    kept.push(...some.filter((_, i) => fates[i] === "stays"));
  }
  const rest = [...kept, ...lines.slice(at)].map((line) => `${line}\n`).join("");
  await onShard(redis, redis.scripts.strike, [shardName(redis, shard), name], [text, rest, String(minute)], call);
  return removed;
}

/** What becomes of a line: the record was removed; the line stays where it is; or it is needed no more. */
type Fate = "removed" | "stays" | "done";

async function examine({ redis, expired, call }: Sweep, key: string, minute: number): Promise<Fate> {
  const name = redis.names.record(key);
  const send = (args: readonly string[]): PromiseLike<unknown> => redis.connection.command(name, args, call);
  const kept = await textUnder(send, name);
  if (kept === undefined) return "done";
  const { expiresAt, subject } = recordIn(kept, call.now);
  const before = call.now - EXPIRED_FOR;
  if (expiresAt >= before) {
    if (minuteFor(expiresAt, call.now) === minute) return "stays";
    await noteDeadline(redis, key, expiresAt, call);
    return "done";
  }
  expired.tell({ key, subject });
  // `before` is the first end that is not over.
  const removed = await runScript(send, redis.scripts.expire, [name], [String(before - 1)]);
  return Number(removed) === 1 ? "removed" : "stays";
}

async function textUnder(send: Send, name: string): Promise<string | undefined> {
  try {
    const kept = await send(["GET", name]);
    return typeof kept === "string" ? kept : undefined;
  } catch (error) {
    // Another application has put something else there: it is not ours, and must not stop the sweep.
    if (error instanceof Error && error.message.includes("WRONGTYPE")) return undefined;
    throw error;
  }
}

async function onShard(
  { connection }: Redis,
  script: Script,
  names: readonly [shard: string, minute: string],
  args: readonly string[],
  call: StoreCall,
): Promise<void> {
  await runScript((command) => connection.command(names[0], command, call), script, names, args);
}

/** What is in braces decides about the slot. */
function shardName({ names }: Redis, shard: number): string {
  return `${names.prefix}~t:{${shard}}`;
}

function minuteName(redis: Redis, shard: number, minute: number): string {
  return `${shardName(redis, shard)}:${minute}`;
}
