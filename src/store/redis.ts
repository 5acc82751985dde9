/**
 * Sessions in Redis or Valkey: `coatcheck/store/redis`.
 *
 * @module
 */
import { type Clock, systemClock } from "../internal/clock.ts";
import type { Duration } from "../internal/duration.ts";
import { listeners } from "../internal/listeners.ts";
import { checkNames } from "../internal/option-names.ts";
import { createSweeper } from "../internal/sweeper.ts";
import { type RedisClient, redisConnection } from "./redis-client.ts";
import { deleteExpired, noteDeadline } from "./redis-deadlines.ts";
import { deletionsOn, type RedisWaitOptions } from "./redis-durable.ts";
import { countByPrefix, pageByPrefix } from "./redis-listing.ts";
import { endOf, KEPT_FOR_SWEEP, lifetimeOf, recordIn, subjectField, tailOf, UNLISTED } from "./redis-record.ts";
import { runScript, type Script, scripts } from "./redis-scripts.ts";
import { deleteRecordsOf, listUnder, recordsOf, type Redis } from "./redis-subjects.ts";
import { fromRedis, namesUnder, toRedis } from "./redis-text.ts";
import type { ExpiredRecord, SessionStore, StoreCall, StoredRecord, UpdateOutcome } from "./store.ts";

export type { BunRedisClient, GlideClient, IoredisClient, NodeRedisClient, RedisClient } from "./redis-client.ts";
export type { RedisWaitOptions } from "./redis-durable.ts";

/** Options of {@link redisStore}. */
export interface RedisStoreOptions {
  /** What the names of all keys of the store begin with. Default `"coatcheck:"`. */
  readonly prefix?: string | undefined;
  /**
   * Whether the end of a session by its clock can be listened to. It takes one more command when a session is created, some
   * 60 bytes a session, and a sweeper in every process; sessions that have ended wait for that up to a day. With false Redis
   * removes them by itself, five minutes after their end. Default true.
   */
  readonly expiredEvents?: boolean | undefined;
  /** How often this process sweeps, in seconds or as `"10m"`; false for never. Default one minute. */
  readonly sweepInterval?: Duration | false | undefined;
  /**
   * Deletions are only reported as done when so many replicas have them; otherwise the deletion fails, though the primary
   * has done it. They take three more commands, and other commands on that connection wait meanwhile: give such a store a
   * client of its own. Default: the answer of the primary is enough.
   */
  readonly wait?: RedisWaitOptions | undefined;
  /** For tests: where the sweeper gets its time from. Default: the clock of the machine. */
  readonly clock?: Clock | undefined;
}

type Capability = "listBySubject" | "deleteBySubject" | "list" | "count" | "close";

/** A {@link SessionStore} that lists and counts; `deleteExpired` and `onExpired` go with `expiredEvents`. */
export type RedisStore = SessionStore & Required<Pick<SessionStore, "name" | "cached" | Capability>>;

/** What the functions of the store share. */
interface Context extends Redis {
  /** How long a record stays in Redis after it could be removed, in milliseconds. */
  readonly kept: number;
  /** Called before a record is created. */
  note(key: string, expiresAt: number, call: StoreCall): Promise<void>;
}

/**
 * Keeps sessions in Redis (6 or later) or Valkey: on one server, behind Sentinel or in a Cluster.
 *
 * The client is the app's: of node-redis, ioredis, valkey-glide or Bun. The store neither connects nor closes it. Every verb
 * is one command. Creating a session is one more, and so is listing it under its subject, as at a sign-in.
 *
 * Throws a `TypeError` for options that cannot work, and for what is no such client.
 *
 * @example
 * import { redisStore } from "coatcheck/store/redis";
 * import { createClient } from "redis";
 *
 * const client = createClient({ url: "redis://localhost:6379" });
 * client.on("error", console.error); // without a listener it ends the process when Redis goes away
 * await client.connect();
 * const store = redisStore(client);
 */
export function redisStore(client: RedisClient, options: RedisStoreOptions = {}): RedisStore {
  checkNames("redisStore", options, ["prefix", "expiredEvents", "sweepInterval", "wait", "clock"]);
  const connection = redisConnection(client);
  const redis: Redis = {
    connection,
    scripts: scripts(),
    names: namesUnder(checkedPrefix(options)),
    runDeletion: deletionsOn(connection, options.wait),
  };
  const { note, kept, close, ...removals } = deadlines(redis, options);
  return {
    name: "redisStore",
    cached: false,
    ...verbs({ ...redis, note, kept }),
    listBySubject: (subject, call) => recordsOf(redis, subject, call),
    deleteBySubject: (subject, { except }, call) => deleteRecordsOf(redis, subject, except, call),
    list: (prefix, page, call) => pageByPrefix(redis, prefix, page, call),
    count: (prefix, call) => countByPrefix(redis, prefix, call),
    ...removals,
    close,
  };
}

function checkedPrefix({ prefix = "coatcheck:" }: RedisStoreOptions): string {
  if (typeof prefix !== "string" || /\p{Surrogate}/u.test(prefix)) throw new TypeError("prefix: expected a text");
  return prefix;
}

const SWEPT_AT_ONCE = 500;

type Deadlines = Pick<Context, "note" | "kept"> &
  Pick<RedisStore, "close"> &
  Pick<SessionStore, "deleteExpired" | "onExpired">;

function deadlines(redis: Redis, options: RedisStoreOptions): Deadlines {
  const { expiredEvents = true, sweepInterval = "1m", clock = systemClock } = options;
  if (typeof expiredEvents !== "boolean") throw new TypeError("expiredEvents: expected true or false");
  const expired = listeners<ExpiredRecord>();
  const sweep = (): Promise<number> => deleteExpired(redis, expired, SWEPT_AT_ONCE, { now: clock.now() });
  const sweeper = createSweeper({
    clock,
    interval: sweepInterval,
    slice: async () => (await sweep()) === SWEPT_AT_ONCE,
  });
  if (!expiredEvents) return { kept: 0, note: async () => {}, close: () => {} };
  return {
    kept: KEPT_FOR_SWEEP,
    note(key, expiresAt, call) {
      sweeper.start();
      return noteDeadline(redis, key, expiresAt, call);
    },
    deleteExpired: (limit, call) => deleteExpired(redis, expired, limit, call),
    onExpired(listener) {
      sweeper.start();
      return expired.add(listener);
    },
    close: () => sweeper.stop(),
  };
}

type Verb = "create" | "read" | "update" | "touch" | "delete";

function verbs(context: Context): Pick<SessionStore, Verb> {
  const { connection, names, scripts: known, runDeletion } = context;
  return {
    create: (key, record, call) => create(context, key, record, call),
    async read(key, call) {
      const name = names.record(key);
      const kept = await connection.command(name, ["GET", name], call);
      if (typeof kept !== "string") return undefined;
      const record = recordIn(kept, call.now);
      return record.expiresAt > call.now ? record : undefined;
    },
    update: (key, record, base, call) => update(context, key, record, base, call),
    touch: (key, expiresAt, call) => touch(context, key, expiresAt, call),
    async delete(key, { now }) {
      const name = names.record(key);
      return Number(await runDeletion(name, (send) => runScript(send, known.delete, [name], [String(now)]))) === 1;
    },
  };
}

async function onRecord(
  { connection, names }: Context,
  script: Script,
  key: string,
  args: readonly string[],
  call: StoreCall,
): Promise<number | string> {
  const name = names.record(key);
  const send = (command: readonly string[]): PromiseLike<unknown> => connection.command(name, command, call);
  const reply = await runScript(send, script, [name], [String(call.now), ...args]);
  return typeof reply === "string" && reply.startsWith("=") ? reply : Number(reply);
}

// A client that lost its connection may send a script once more (ioredis does): a second `create` or `update` of one version
// finds that version and changes nothing, and by it the caller knows that the first one succeeded (P18).

async function create(context: Context, key: string, record: StoredRecord, call: StoreCall): Promise<boolean> {
  const { subject, expiresAt } = record;
  await context.note(key, expiresAt, call);
  const hour = subject === undefined ? UNLISTED : (await listUnder(context, subject, key, expiresAt, call)).digits;
  const args = [`1${endOf(expiresAt)}${hour}${tailOf(record)}`, lifetimeOf(expiresAt, call.now, context.kept)];
  return (await onRecord(context, context.scripts.create, key, args, call)) === 1;
}

const OUTCOMES: readonly UpdateOutcome[] = ["gone", "conflict", "ok"];

/**
 * Lists the record first where it is known to be new to its subject; otherwise the script looks, and is run again after that
 * if it finds that the record is not listed, or not long enough.
 */
async function update(
  context: Context,
  key: string,
  record: StoredRecord,
  base: StoredRecord,
  call: StoreCall,
): Promise<UpdateOutcome> {
  const { subject, expiresAt } = record;
  const attempt = async (hour: string): Promise<UpdateOutcome | undefined> => {
    const lifetime = lifetimeOf(expiresAt, call.now, context.kept);
    const args = [toRedis(base.version), endOf(expiresAt), hour, tailOf(record), lifetime, subjectField(subject)];
    return OUTCOMES[Number(await onRecord(context, context.scripts.update, key, args, call))];
  };
  if (subject === undefined) return (await attempt(UNLISTED)) ?? "conflict";
  const outcome = (call.previousSubject ?? base.subject) === subject ? await attempt("") : undefined;
  if (outcome !== undefined) return outcome;
  const { digits } = await listUnder(context, subject, key, expiresAt, call);
  return (await attempt(digits)) ?? "conflict";
}

async function touch(context: Context, key: string, expiresAt: number, call: StoreCall): Promise<boolean> {
  const args = [endOf(expiresAt), lifetimeOf(expiresAt, call.now, context.kept)];
  let answer = await onRecord(context, context.scripts.touch, key, [...args, "", ""], call);
  // Once in half a day or less, except when the subject changes meanwhile.
  while (typeof answer === "string") {
    const subject = answer.slice(1);
    const { digits } = await listUnder(context, fromRedis(subject), key, expiresAt, call);
    answer = await onRecord(context, context.scripts.touch, key, [...args, digits, subject], call);
  }
  return answer === 1;
}
