/**
 * Walks through the records of a bucket, from message to message, in the order in which they were written.
 *
 * Few are asked for one by one. Where there are more, a consumer delivers them, which takes a thirtieth of the time: all
 * messages of the stream and not some alone, since a server counts first how many pass a filter. A consumer may be on a
 * server that is behind, or end early. So when it has no more the leader is asked what comes next, until that is nothing.
 *
 * @module
 */
import { systemClock } from "../internal/clock.ts";
import type { NatsConnection, Waiting } from "./nats-client.ts";
import type { Delivery } from "./nats-consumer.ts";
import type { Kept } from "./nats-message.ts";

/** So many are asked for one by one: about what a consumer costs before it delivers anything. */
const FEW = 25;

/** A consumer delivers so many at a time, and is as many ahead: values of a megabyte take 128 MB at most. */
const AT_ONCE = 64;

/** A consumer that delivers nothing for so long, in milliseconds, has nothing: what it had was removed meanwhile. */
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
  for (let at = from; ;) {
    const few: Kept[] = [];
    while (few.length < FEW) {
      const kept = await nats.next(`${root}>`, at, call);
      if (kept === undefined) break;
      few.push(kept);
      at = kept.sequence + 1;
    }
    if (few.length > 0) yield { records: few, length: few.length, end: at - 1 };
    if (few.length < FEW) return;
    for await (const many of delivered(nats, at, call)) {
      at = (many.at(-1) as Delivery).sequence + 1;
      yield { records: many.filter(({ name }) => name.startsWith(root)), length: many.length, end: at - 1 };
    }
  }
}

/** What a consumer has from a sequence on, as it comes. */
async function* delivered(
  nats: NatsConnection,
  from: number,
  call: Waiting,
): AsyncGenerator<readonly Delivery[], void> {
  const { last } = await nats.ends(call);
  const arrivals = arrivalsUntil(last);
  const settings = {
    deliver_policy: "by_start_sequence",
    opt_start_seq: from,
    // An acknowledgement of one is one of all before it.
    ack_policy: "all",
    max_ack_pending: 2 * AT_ONCE,
  };
  const consumer = await nats.consume(settings, { deliver: arrivals.add, broken: arrivals.end }, call);
  if (consumer.pending === 0) arrivals.end();
  call.signal?.addEventListener("abort", arrivals.end, { once: true });
  try {
    for (let some = await arrivals.take(); some.length > 0; some = await arrivals.take()) {
      call.signal?.throwIfAborted();
      nats.parts.js.nc.publish((some.at(-1) as Delivery).reply, "+ACK");
      yield some;
    }
    call.signal?.throwIfAborted();
  } finally {
    call.signal?.removeEventListener("abort", arrivals.end);
    consumer.close();
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

/** Ends with the message `last`, or a later one. */
function arrivalsUntil(last: number): Arrivals {
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
      else if (arrived.length >= AT_ONCE) wake();
    },
    end,
    async take() {
      if (!isOver && arrived.length < AT_ONCE) await wait();
      const taken = arrived;
      arrived = [];
      return taken;
    },
  };
}
