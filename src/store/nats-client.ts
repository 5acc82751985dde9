/**
 * What `natsStore` does with a bucket.
 *
 * Beside the methods of a bucket that is what those are made of: reads that the leader answers, whatever the bucket is set to
 * (its own go to any replica when it allows direct access); writes that expect a revision; and removal of a message for good,
 * where a bucket leaves a marker.
 *
 * @module
 */
import { type BucketParts, partsOf, type StoredMessage } from "./nats-bucket.ts";
import { openConsumer, type OpenConsumer, type Receiver } from "./nats-consumer.ts";
import { type Kept, messageIn } from "./nats-message.ts";
import { checkSettings } from "./nats-settings.ts";
import { retried, untilAborted, type Waiting } from "./waiting.ts";

/** What the store needs of a bucket. */
export interface NatsConnection {
  /** What is kept under a name, as the leader of the stream has it. */
  get(name: string, call: Waiting): Promise<Kept | undefined>;
  /** The first message from a sequence on whose name matches; the pattern may end in `>`. */
  next(pattern: string, from: number, call: Waiting): Promise<Kept | undefined>;
  /**
   * Writes if the newest message under the name has the sequence `expected`, 0 for none. Returns the new sequence; undefined,
   * and nothing written, when it has another one.
   */
  put(name: string, bytes: Uint8Array, expected: number, call: Waiting): Promise<number | undefined>;
  /** Removes what is kept under a name, if it is not newer than `sequence`. Returns how many messages that were. */
  erase(name: string, sequence: number, call: Waiting): Promise<number>;
  /** The last sequence of the stream, and how large a message is, in bytes: all of them together, by their number. */
  extent(call: Waiting): Promise<{ readonly last: number; readonly size: number }>;
  /** Opens a consumer of the stream: `settings` beside what all of ours have. */
  consume(settings: object, receiver: Receiver, call: Waiting): Promise<OpenConsumer>;
  /** What the bucket is made of. */
  readonly parts: BucketParts;
}

/**
 * Wraps a bucket. Throws a `TypeError` for what is none, and for one that changes keys on the way. What is called rejects as long
 * as the bucket is set to what cannot work.
 */
export function natsConnection(bucket: unknown): NatsConnection {
  const parts = partsOf(bucket);
  const { stream, codec } = parts;
  const { streams } = parts.jsm;
  const kept = (message: StoredMessage | null): Kept | undefined =>
    message === null
      ? undefined
      : { ...messageIn(parts, message, message.header), sequence: message.seq, at: message.time.getTime() };
  const checked = untilDone(async () => {
    const { config } = await streams.info(stream);
    checkSettings(config, parts.js.nc.info?.version);
  });
  const checkedFirst = async <T>({ signal }: Waiting, work: () => Promise<T>): Promise<T> => {
    await checked();
    signal?.throwIfAborted();
    return await work();
  };
  const asked = <T>(call: Waiting, work: () => Promise<T>): Promise<T> =>
    // Requests of the client have a patience of their own, of 5 seconds.
    untilAborted(call, async () => {
      try {
        return await retried(() => checkedFirst(call, work), wasUnheard, call, PAUSE);
      } catch (error) {
        throw withoutNames(error);
      }
    });
  return {
    parts,
    async get(name, call) {
      const query = { last_by_subj: parts.subjectForKey(name) };
      return kept(await asked(call, () => streams.getMessage(stream, query)));
    },
    async next(pattern, from, call) {
      const query = { seq: from, next_by_subj: parts.subjectForKey(pattern) };
      return kept(await asked(call, () => streams.getMessage(stream, query)));
    },
    put(name, bytes, expected, call) {
      return asked(call, () => put(parts, parts.subjectForKey(name, true), codec.value.encode(bytes), expected));
    },
    async erase(name, sequence, call) {
      const of = { filter: parts.subjectForKey(name), seq: sequence + 1 };
      return (await asked(call, () => streams.purge(stream, of))).purged;
    },
    async extent(call) {
      const { state } = await asked(call, () => streams.info(stream));
      return { last: state.last_seq, size: state.bytes / Math.max(1, state.messages) };
    },
    consume: (settings, receiver, call) => asked(call, () => openConsumer(parts, settings, receiver, call.signal)),
  };
}

/** For {@link retried}, in milliseconds: its pauses are 0.4 to 0.8 s together. */
const PAUSE = 25;

/** Whether no server took what was asked: of a stream that has just been made, or is being moved, not every one knows. */
function wasUnheard(error: unknown): boolean {
  for (let link = error; link instanceof Error; link = link.cause) {
    if (link.name === "NoResponders") return true;
  }
  return false;
}

/** Errors of the client that name what was asked for name keys with it, and whose sessions they are. */
function withoutNames(error: unknown): unknown {
  for (let link = error; link instanceof Error; link = link.cause) {
    const { subject } = link as { readonly subject?: unknown };
    if (typeof subject !== "string") continue;
    const nameless = new Error(`natsStore: ${link.name}: ${subject.replace(/(\$KV\.[^.]+\.\w).*/, "$1…")}`);
    nameless.name = (error as Error).name;
    return nameless;
  }
  return error;
}

/** Does the work for those who come first, together, until it was done once; after that nothing. */
function untilDone(work: () => Promise<void>): () => Promise<void> | undefined {
  let going: Promise<void> | undefined;
  let isDone = false;
  return () => {
    if (isDone) return undefined;
    going ??= work()
      .then(() => void (isDone = true))
      .finally(() => void (going = undefined));
    return going;
  };
}

async function put(
  { js }: BucketParts,
  subject: string,
  bytes: Uint8Array,
  expected: number,
): Promise<number | undefined> {
  try {
    return (await js.publish(subject, bytes, { expect: { lastSubjectSequence: expected } })).seq;
  } catch (error) {
    if (CAME_LATER.has((error as { readonly code?: unknown } | undefined)?.code)) return undefined;
    throw error;
  }
}

/** "Wrong last sequence", in both ways in which servers number it. */
const CAME_LATER: ReadonlySet<unknown> = new Set([10_071, 10_164]);

const MOST_TRIES = 1_000;

/** Counts the tries of one who finds again and again that others came first. Throws when that has no end. */
export function tries(): () => void {
  let count = 0;
  return () => {
    if (++count > MOST_TRIES) throw new Error(`natsStore: others wrote first ${MOST_TRIES} times`);
  };
}
