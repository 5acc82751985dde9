/**
 * Walks through the records of a bucket, from message to message, in the order in which they were written.
 *
 * Few are asked for one by one. Where there are more, a consumer delivers them, which takes a tenth of the time: all messages of
 * the stream and not some alone, since a server counts first how many pass a filter. A consumer may be on a server that is behind,
 * end early, or not be had at all, where a server is gone. So when it has no more the leader is asked what comes next, one by one,
 * until that is nothing.
 *
 * @module
 */
import { systemClock } from "../internal/clock.ts";
import type { NatsConnection } from "./nats-client.ts";
import type { Delivery, OpenConsumer } from "./nats-consumer.ts";
import type { Kept } from "./nats-message.ts";
import type { Waiting } from "./waiting.ts";

/** So many are asked for one by one: about what a consumer costs before it delivers anything; and where none is to be had. */
const [FEW, WITHOUT] = [25, 250];

/** A consumer is to be there within this, in milliseconds: less than the usual `storeTimeout`. */
const OPEN_WITHIN = 1_000;

/**
 * A consumer is up to so many messages ahead, and bytes if they are as large as others: servers cut a connection off on which
 * 64 MB wait. Nor are more bytes asked for one by one before they are handed on.
 */
const [AHEAD, BYTES_AHEAD] = [128, 4_000_000];

/** How long a message may wait for its acknowledgement, in nanoseconds: whoever walks may take its time. */
const ACK_WAIT = 3_600_000_000_000;

/** Where so many were delivered and fewer than one in thirty was asked for, the leader finds the next ones faster. */
const [LOOKED_AT, ONE_IN] = [500, 30];

/** A consumer that delivers nothing for so long, in milliseconds, has no more; or is behind, or gone. */
const SILENCE = 1_000;

/** A part of the way. */
export interface Stretch {
  /** The records, and graves of records, whose name begins as was asked for. */
  readonly records: readonly Kept[];
  /** How many messages it was, and the sequence of the last. */
  readonly length: number;
  readonly end: number;
}

/** Walks from a sequence on over all whose name begins with `root`: a part of a name that ends in a dot. */
export async function* walkRecords(
  nats: NatsConnection,
  root: string,
  from: number,
  call: Waiting,
): AsyncGenerator<Stretch, void> {
  let at = from;
  for (let most = FEW; ;) {
    const few: Kept[] = [];
    let next: Kept | undefined;
    for (let bytes = 0; few.length < most && bytes < BYTES_AHEAD; bytes += next.bytes.length) {
      next = await nats.next(`${root}>`, at, call);
      if (next === undefined) break;
      few.push(next);
      at = next.sequence + 1;
    }
    if (few.length > 0) yield { records: few, length: few.length, end: at - 1 };
    if (next === undefined) return;
    let [delivered, matching] = [0, 0];
    for await (const many of deliveries(nats, at, call)) {
      const records = many.filter(({ name }) => name.startsWith(root));
      at = (many.at(-1) as Delivery).sequence + 1;
      delivered += many.length;
      matching += records.length;
      yield { records, length: many.length, end: at - 1 };
      if (delivered >= LOOKED_AT && matching * ONE_IN < delivered) break;
    }
    most = delivered === 0 ? WITHOUT : FEW;
  }
}

/** What a consumer has from a sequence on, as it comes; nothing where none is to be had. */
async function* deliveries(
  nats: NatsConnection,
  from: number,
  call: Waiting,
): AsyncGenerator<readonly Delivery[], void> {
  const { last, size } = await nats.extent(call);
  const ahead = Math.ceil(Math.min(AHEAD, Math.max(2, BYTES_AHEAD / size)));
  const arrivals = arrivalsUntil(last, ahead / 2);
  const consumer = await opened(nats, from, ahead, arrivals, call);
  call.signal?.addEventListener("abort", arrivals.end);
  try {
    if (consumer.pending === 0) arrivals.end();
    for (;;) {
      call.signal?.throwIfAborted();
      const some = await arrivals.take();
      call.signal?.throwIfAborted();
      const latest = some.at(-1);
      if (latest === undefined) return;
      // That of one is that of all before it.
      nats.parts.js.nc.publish(latest.reply, "+ACK");
      yield some;
    }
  } finally {
    call.signal?.removeEventListener("abort", arrivals.end);
    consumer.close();
  }
}

/** One that has nothing where none can be opened: a server that is gone is still chosen for it, and accounts have limits. */
async function opened(
  nats: NatsConnection,
  from: number,
  ahead: number,
  arrivals: Arrivals,
  call: Waiting,
): Promise<OpenConsumer> {
  const settings = {
    deliver_policy: "by_start_sequence",
    opt_start_seq: from,
    ack_policy: "all",
    ack_wait: ACK_WAIT,
    max_ack_pending: ahead,
  };
  const overdue = new AbortController();
  const cancel = systemClock.after(OPEN_WITHIN, () => overdue.abort());
  const signal = call.signal === undefined ? overdue.signal : AbortSignal.any([call.signal, overdue.signal]);
  try {
    return await nats.consume(settings, { deliver: arrivals.add, broken: arrivals.end }, { signal });
  } catch {
    call.signal?.throwIfAborted();
    return { pending: 0, close: () => undefined };
  } finally {
    cancel();
  }
}

/** Deliveries that nobody has taken yet. */
interface Arrivals {
  add(message: Delivery): void;
  /** There will be no more. */
  end(): void;
  /** Waits for some; none is the end. */
  take(): Promise<readonly Delivery[]>;
}

/** Ends with the message `last`, or a later one; `some` are taken at a time, or more. */
function arrivalsUntil(last: number, some: number): Arrivals {
  let arrived: Delivery[] = [];
  let isOver = false;
  let wake = (): void => undefined;
  const end = (): void => {
    isOver = true;
    wake();
  };
  const wait = async (): Promise<void> => {
    const before = arrived.length;
    const cancel = systemClock.after(SILENCE, () => (arrived.length === before ? end() : wake()));
    await new Promise<void>((resolve) => (wake = resolve));
    cancel();
  };
  return {
    add(message) {
      arrived.push(message);
      // The last one may have been removed. And servers of 2.9 count as pending what was replaced before it was delivered.
      if (message.sequence >= last || message.pending === 0) end();
      else if (arrived.length >= some) wake();
    },
    end,
    async take() {
      if (!isOver && arrived.length < some) await wait();
      const taken = arrived;
      arrived = [];
      return taken;
    },
  };
}
