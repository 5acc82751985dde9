/**
 * The feed of changes of `natsStore`: a consumer that delivers each message of a record after it was stored.
 *
 * A subscription alone does not say what it has missed. So deliveries are counted, and every few seconds the leader is asked for
 * the next message after the last one that came: one that then does not come shows that the feed, or the server that it comes
 * from, is behind; and no answer shows that nothing can be known.
 *
 * @module
 */
import { systemClock } from "../internal/clock.ts";
import type { NatsConnection } from "./nats-client.ts";
import type { Delivery, OpenConsumer } from "./nats-consumer.ts";
import { foundIn } from "./nats-record.ts";
import { RECORDS, textOf } from "./nats-text.ts";
import type { SessionStore, WatchGaps } from "./store.ts";

/** How often the leader is asked, and how long an answer may take, in milliseconds: both together twice is well under 10 s. */
const [ASK_EVERY, ANSWER_WITHIN] = [1_500, 1_500];

/** Between two attempts to open a feed, in milliseconds. */
const RETRY = 500;

type Listener = NonNullable<Parameters<NonNullable<SessionStore["watch"]>>[0]>;

/** Tells of keys whose record was written, and of the record. Returns what ends it. */
export function watchRecords(nats: NatsConnection, listener: Listener, gaps: WatchGaps = {}): () => void {
  const stop = new AbortController();
  void follow(nats, listener, gaps, stop.signal);
  return () => stop.abort();
}

async function follow(nats: NatsConnection, listener: Listener, gaps: WatchGaps, stop: AbortSignal): Promise<void> {
  while (!stop.aborted && !nats.parts.js.nc.isClosed()) {
    try {
      await feed(nats, listener, gaps, stop);
    } catch {
      // Nobody waits for it: that nothing is told is what `lost` has said, or that `restored` has not come.
    }
    await pause(RETRY, stop);
  }
}

/** One consumer, from `restored` to `lost`. */
async function feed(nats: NatsConnection, listener: Listener, gaps: WatchGaps, stop: AbortSignal): Promise<void> {
  const { parts } = nats;
  const broken = new AbortController();
  const end = (): void => broken.abort();
  const progress = { seen: 0, since: 0 };
  const deliver = (message: Delivery): void => {
    // A server that is behind delivers late what was written before: by now a copy may be newer, or the record deleted.
    if (broken.signal.aborted || message.sequence <= progress.since) return;
    progress.seen = Math.max(message.sequence, progress.seen);
    if (!tell(message, listener)) broken.abort();
  };
  const status = parts.js.nc.status();
  stop.addEventListener("abort", end);
  let consumer: OpenConsumer | undefined;
  try {
    const settings = { deliver_policy: "new", filter_subject: parts.subjectForKey(`${RECORDS}>`) };
    consumer = await nats.consume(settings, { deliver, broken: end }, { signal: stop });
    const { last } = await nats.extent({ signal: patience() });
    progress.since = last;
    progress.seen = Math.max(progress.seen, last);
    void breakAtDisconnect(status, broken);
    if (!stop.aborted) {
      gaps.restored?.();
      await checked(nats, progress, broken, gaps);
      if (!stop.aborted) gaps.lost?.();
    }
  } finally {
    broken.abort();
    stop.removeEventListener("abort", end);
    status.stop();
    consumer?.close();
  }
}

/** Asks the leader until something is missing, nobody answers, or the watch ends. */
async function checked(
  nats: NatsConnection,
  progress: { readonly seen: number },
  broken: AbortController,
  gaps: WatchGaps,
): Promise<void> {
  let expected = 0;
  for (;;) {
    await pause(ASK_EVERY, broken.signal);
    if (broken.signal.aborted) return;
    try {
      const askedAt = systemClock.now();
      const next = await nats.next(`${RECORDS}>`, progress.seen + 1, { signal: patience() });
      if (progress.seen < expected) return broken.abort();
      expected = next?.sequence ?? 0;
      if (expected === 0 && !broken.signal.aborted) gaps.current?.(askedAt);
    } catch {
      // Not knowing is as good as knowing that something is missing.
      broken.abort();
    }
  }
}

/**
 * False for what cannot be told: the name is a hash, and the message does not say of what. One that nobody of us has written
 * has no record, and one of a deletion neither.
 */
function tell(message: Delivery, listener: Listener): boolean {
  const { key, record, ...found } = foundIn(message, 0);
  if (key === message.name && textOf(RECORDS, message.name) === undefined) return false;
  const isRecord = record !== undefined && "isOurs" in found && found.isOurs;
  listener(key, isRecord ? { version: record.version, record } : undefined);
  return true;
}

/** Until the watch ends, or the connection does. */
async function breakAtDisconnect(
  status: AsyncIterable<{ readonly type: string }>,
  broken: AbortController,
): Promise<void> {
  for await (const { type } of status) if (type === "disconnect") break;
  broken.abort();
}

/** Aborted when an answer is overdue. */
function patience(): AbortSignal {
  const overdue = new AbortController();
  systemClock.after(ANSWER_WITHIN, () => overdue.abort());
  return overdue.signal;
}

/** Waits; not longer than until `stop`. */
async function pause(ms: number, stop: AbortSignal): Promise<void> {
  if (stop.aborted) return;
  await new Promise<void>((resolve) => {
    const end = (): void => {
      cancel();
      stop.removeEventListener("abort", end);
      resolve();
    };
    const cancel = systemClock.after(ms, end);
    stop.addEventListener("abort", end);
  });
}
