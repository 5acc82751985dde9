/**
 * Sessions in a NATS JetStream key-value bucket: `coatcheck/store/nats`.
 *
 * @module
 */
import { type Clock, systemClock } from "../internal/clock.ts";
import type { Duration } from "../internal/duration.ts";
import { listeners } from "../internal/listeners.ts";
import { checkNames } from "../internal/option-names.ts";
import { createSweeper, type Sweeper } from "../internal/sweeper.ts";
import type { NatsBucket } from "./nats-bucket.ts";
import { natsConnection } from "./nats-client.ts";
import { countByPrefix, pageByPrefix } from "./nats-listing.ts";
import { recordsOf } from "./nats-subjects.ts";
import { deleteExpired, type Swept } from "./nats-sweep.ts";
import { natsVerbs } from "./nats-verbs.ts";
import { watchRecords } from "./nats-watch.ts";
import type { ExpiredRecord, SessionStore, StoreCall } from "./store.ts";

export type { NatsBucket } from "./nats-bucket.ts";

/** Options of {@link natsStore}. */
export interface NatsStoreOptions {
  /** How often this process sweeps, in seconds or as `"10m"`; false for never. Default 5 minutes. */
  readonly sweepInterval?: Duration | false | undefined;
  /** For tests: where the sweeper gets its time from. Default: the clock of the machine. */
  readonly clock?: Clock | undefined;
}

/** A {@link SessionStore} with every capability. */
export type NatsStore = Required<Omit<SessionStore, "cachedFor">>;

/**
 * Keeps sessions in a key-value bucket of NATS JetStream: on one server (2.9 or later), or replicated in a cluster (2.10.21 or
 * later).
 *
 * The bucket is the app's: of @nats-io/kv 3, for sessions alone. The store neither connects nor closes anything. A read, a
 * change and a sign-out are one message each; a sign-in is two more, for the list of the subject. With its first call it asks
 * what the bucket is set to: with a ttl, a history, or what else it cannot work with every verb rejects, and says what to change.
 *
 * Throws a `TypeError` for options that cannot work, and for what is no such bucket.
 *
 * @example
 * import { Kvm } from "@nats-io/kv";
 * import { connect } from "@nats-io/transport-node";
 * import { natsStore } from "coatcheck/store/nats";
 *
 * const connection = await connect({ servers: "nats://localhost:4222", maxReconnectAttempts: -1 });
 * const store = natsStore(await new Kvm(connection).create("sessions", { replicas: 1 }));
 */
export function natsStore(bucket: NatsBucket, options: NatsStoreOptions = {}): NatsStore {
  checkNames("natsStore", options, ["sweepInterval", "clock"]);
  const nats = natsConnection(bucket);
  const expired = listeners<ExpiredRecord>();
  const sweep = (limit: number, call: StoreCall, most?: number): Promise<Swept> =>
    deleteExpired({ nats, expired, call }, limit, most);
  const sweeper = sweeperOf(sweep, options);
  const verbs = natsVerbs(nats);
  return {
    name: "natsStore",
    cached: false,
    returnsSame: false,
    ...verbs,
    create(key, record, call) {
      sweeper.start();
      return verbs.create(key, record, call);
    },
    async *listBySubject(subject, call) {
      for await (const found of recordsOf(nats, subject, call))
        for (const { key, record } of found) yield { key, record };
    },
    list: (prefix, page, call) => pageByPrefix(nats, prefix, page, call),
    count: (prefix, call) => countByPrefix(nats, prefix, call),
    deleteExpired: async (limit, call) => (await sweep(limit, call)).removed,
    onExpired(listener) {
      sweeper.start();
      return expired.add(listener);
    },
    watch: (listener, gaps) => watchRecords(nats, listener, gaps),
    close: () => sweeper.stop(),
  };
}

/** So many records are removed, and so many messages noted, before requests have their turn. */
const [REMOVED_AT_ONCE, NOTED_AT_ONCE] = [500, 2_500];

function sweeperOf(
  sweep: (limit: number, call: StoreCall, most: number) => Promise<Swept>,
  { sweepInterval = "5m", clock = systemClock }: NatsStoreOptions,
): Sweeper {
  return createSweeper({
    clock,
    interval: sweepInterval,
    slice: async () => (await sweep(REMOVED_AT_ONCE, { now: clock.now() }, NOTED_AT_ONCE)).hasMore,
  });
}
