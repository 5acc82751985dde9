/**
 * The index of subjects of `redisStore`: for each, the keys of its records. It is written before the record (P28), and may
 * list what is not there any more: the records themselves decide.
 *
 * @module
 */
import { listingOf, recordIn, type Listing } from "./redis-record.ts";
import { runScript, type Scripts } from "./redis-scripts.ts";
import type { Run } from "./redis-durable.ts";
import type { RedisConnection } from "./redis-connection.ts";
import { fromRedis, type Names, toRedis, WHOLE_KEY } from "./redis-text.ts";
import { EXPIRED_FOR, type ListedRecord, type StoreCall } from "./store.ts";

/** What the index works on. */
export interface Redis {
  readonly connection: RedisConnection;
  readonly scripts: Scripts;
  readonly names: Names;
  readonly runDeletion: Run;
}

/** A member, and when it came, in seconds. */
interface Member {
  readonly key: string;
  readonly text: string;
}

/**
 * A member without a record is removed when it is older than this, in seconds: the minute in which its record may still be
 * on the way (P28), and the five by which the clocks of servers may differ (P1).
 */
const PRUNED_AFTER = 60 + EXPIRED_FOR / 1000;

const HOUR = 3_600_000;
const AT_ONCE = 100;

/** Lists a record under its subject. */
export async function listUnder(
  { connection, scripts, names }: Redis,
  subject: string,
  key: string,
  expiresAt: number,
  call: StoreCall,
): Promise<Listing> {
  const { now } = call;
  const index = names.subject(subject);
  const listing = listingOf(expiresAt, now);
  const [second, hour] = [Math.floor(now / 1000), Math.floor(now / HOUR)].map(String) as [string, string];
  const args = [memberOf(subject, key), String(listing.hour), second, hour, listing.lifetime];
  await runScript((command) => connection.command(index, command, call), scripts.list, [index], args);
  return listing;
}

/** All records of a subject. Members whose records are gone are removed on the way. */
export async function* recordsOf(redis: Redis, subject: string, call: StoreCall): AsyncGenerator<ListedRecord> {
  const { connection, names } = redis;
  const stale: string[] = [];
  const members = await membersOf(redis, subject, call);
  for (let at = 0; at < members.length; at += AT_ONCE) {
    const some = members.slice(at, at + AT_ONCE);
    const found = await Promise.all(
      some.map(({ key }) => {
        const name = names.record(key);
        return connection.command(name, ["GET", name], call);
      }),
    );
    for (const [i, { key, text }] of some.entries()) {
      const kept = found[i];
      if (typeof kept !== "string") stale.push(text);
      else {
        const record = recordIn(kept, call.now);
        if (record.subject === subject && record.expiresAt > call.now) yield { key, record };
      }
    }
  }
  await prune(redis, subject, stale, call);
}

/** Removes all records of a subject but one, and returns the keys of those that existed. Members go when they are next read. */
export async function deleteRecordsOf(
  redis: Redis,
  subject: string,
  except: string | undefined,
  call: StoreCall,
): Promise<readonly string[]> {
  const { names, scripts, runDeletion } = redis;
  const deleted: string[] = [];
  const keys = (await membersOf(redis, subject, call)).map(({ key }) => key).filter((key) => key !== except);
  for (let at = 0; at < keys.length; at += AT_ONCE) {
    const some = keys.slice(at, at + AT_ONCE);
    const args = [String(call.now), toRedis(subject)];
    const answers = await Promise.all(
      some.map((key) =>
        runDeletion(names.record(key), (send) => runScript(send, scripts.delete, [names.record(key)], args)),
      ),
    );
    deleted.push(...some.filter((_, i) => Number(answers[i]) === 1));
  }
  return deleted;
}

async function membersOf(
  { connection, scripts, names }: Redis,
  subject: string,
  call: StoreCall,
): Promise<readonly Member[]> {
  const index = names.subject(subject);
  const reply = await runScript((command) => connection.command(index, command, call), scripts.members, [index], []);
  const texts = (reply as readonly string[]).filter((_, i) => i % 2 === 0);
  return texts.map((text) => ({ text, key: keyOf(subject, text) }));
}

/** Removes members, except those whose record may still be on the way. */
async function prune(
  { connection, scripts, names }: Redis,
  subject: string,
  stale: readonly string[],
  call: StoreCall,
): Promise<void> {
  const index = names.subject(subject);
  const before = String(Math.floor(call.now / 1000) - PRUNED_AFTER);
  for (let at = 0; at < stale.length; at += AT_ONCE) {
    const args = [before, ...stale.slice(at, at + AT_ONCE)];
    await runScript((command) => connection.command(index, command, call), scripts.prune, [index], args);
  }
}

/** What key and subject have in common, up to the first `/`, is left out: it is kept for every session. */
function memberOf(subject: string, key: string): string {
  const scope = scopeOf(subject);
  return key.startsWith(scope) ? toRedis(key.slice(scope.length)) : WHOLE_KEY + toRedis(key);
}

function keyOf(subject: string, text: string): string {
  return text.startsWith(WHOLE_KEY) ? fromRedis(text.slice(WHOLE_KEY.length)) : scopeOf(subject) + fromRedis(text);
}

function scopeOf(subject: string): string {
  return subject.slice(0, subject.indexOf("/") + 1);
}
