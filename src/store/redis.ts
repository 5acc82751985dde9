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
import type { ChangeFeed } from "./change-feed.ts";
import { flag } from "./option-check.ts";
import { type IoredisClient, type NodeRedisClient, type RedisClient, redisConnection } from "./redis-client.ts";
import type { RedisConnection } from "./redis-connection.ts";
import { deleteExpired, noteDeadline } from "./redis-deadlines.ts";
import { deletionsOn, type RedisWaitOptions } from "./redis-durable.ts";
import { countByPrefix, pageByPrefix } from "./redis-listing.ts";
import { KEPT_FOR_SWEEP } from "./redis-record.ts";
import { scripts } from "./redis-scripts.ts";
import { deleteRecordsOf, recordsOf, type Redis } from "./redis-subjects.ts";
import { type Names, namesUnder } from "./redis-text.ts";
import { redisVerbs, type VerbContext } from "./redis-verbs.ts";
import { redisFeed } from "./redis-watch.ts";
import type { ExpiredRecord, SessionStore } from "./store.ts";

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
  /**
   * Whether changes and deletions can be watched, by all stores over that prefix: with true each of them is published, by the
   * command that does it, and whoever watches has one more connection, in a Cluster one to each primary. Say it in every
   * process that writes. Default false: it takes a tenth more of what Redis does for a change, and a user of Redis needs to
   * be allowed the channels under the prefix.
   */
  readonly watch?: boolean | undefined;
  /**
   * A client like which the connections are made that listen: of node-redis or ioredis, to the same servers. For clients that
   * make none: of valkey-glide and Bun. Default: the client.
   */
  readonly subscriber?: NodeRedisClient | IoredisClient | undefined;
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

const OPTIONS = ["prefix", "expiredEvents", "watch", "subscriber", "sweepInterval", "wait", "clock"] as const;

type Capability = "listBySubject" | "deleteBySubject" | "list" | "count" | "close";

/**
 * A {@link SessionStore} that lists and counts; `deleteExpired` and `onExpired` go with `expiredEvents`, and `watch` with the
 * option, which throws a `TypeError` over a client that cannot listen.
 */
export type RedisStore = SessionStore & Required<Pick<SessionStore, "name" | "cached" | Capability>>;

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
  checkNames("redisStore", options, OPTIONS);
  const connection = redisConnection(client);
  const names = namesUnder(checkedPrefix(options));
  const feed = feedOf(connection, names, options);
  const redis: Redis = {
    connection,
    scripts: scripts(feed && names.changes),
    names,
    runDeletion: deletionsOn(connection, options.wait),
  };
  const { note, kept, close, ...removals } = deadlines(redis, options);
  return {
    name: "redisStore",
    cached: false,
    ...redisVerbs({ ...redis, note, kept }),
    listBySubject: (subject, call) => recordsOf(redis, subject, call),
    deleteBySubject: (subject, { except }, call) => deleteRecordsOf(redis, subject, except, call),
    list: (prefix, page, call) => pageByPrefix(redis, prefix, page, call),
    count: (prefix, call) => countByPrefix(redis, prefix, call),
    ...removals,
    ...(feed === undefined ? {} : { watch: feed.watch }),
    close() {
      feed?.close();
      return close();
    },
  };
}

function checkedPrefix({ prefix = "coatcheck:" }: RedisStoreOptions): string {
  if (typeof prefix !== "string" || /\p{Surrogate}/u.test(prefix)) throw new TypeError("prefix: expected a text");
  return prefix;
}

function feedOf(connection: RedisConnection, names: Names, options: RedisStoreOptions): ChangeFeed | undefined {
  const { subscriber, clock = systemClock } = options;
  const { listening } = subscriber === undefined ? connection : redisConnection(subscriber);
  if (subscriber !== undefined && listening === undefined) {
    throw new TypeError("subscriber: expected a client of node-redis or ioredis");
  }
  if (!flag("watch", options.watch)) return undefined;
  return listening === undefined ? DEAF : redisFeed(listening, names, clock);
}

/** Others may still want to hear of what this process changes. */
const DEAF: ChangeFeed = {
  watch() {
    throw new TypeError(
      "redisStore: this client makes no connections that listen; give the store a `subscriber`, a client of node-redis or ioredis",
    );
  },
  close: () => {},
};

const SWEPT_AT_ONCE = 500;

type Deadlines = Pick<VerbContext, "note" | "kept"> &
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
