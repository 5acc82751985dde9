/**
 * The bucket that `natsStore` works with, by its shape: what `Kvm` of @nats-io/kv 3 creates or opens.
 *
 * Beside the methods of a bucket the store uses what those are made of: reads that the leader answers, whatever the bucket is
 * set to (its own go to any replica when it allows direct access); writes that expect a revision; and removal of a message
 * for good, where a bucket leaves a marker.
 *
 * @module
 */
import type { StoreCall } from "./store.ts";

/** A bucket that the app has made, on a connection of its own. */
export interface NatsBucket {
  get(...args: never[]): unknown;
  put(...args: never[]): unknown;
  purge(...args: never[]): unknown;
  watch(...args: never[]): unknown;
}

/** A message that the stream of the bucket has. */
export interface Kept {
  /** Its key in the bucket. */
  readonly name: string;
  readonly sequence: number;
  readonly bytes: Uint8Array;
  /** When it was written, by the clock of the server. */
  readonly at: number;
  /** Whether somebody deleted the key by the means of a bucket. */
  readonly isMarker: boolean;
}

/** What a call of the store says about waiting. */
export type Waiting = Pick<StoreCall, "signal">;

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
  /** The first and the last sequence of the stream. */
  ends(call: Waiting): Promise<{ readonly first: number; readonly last: number }>;
  /** What the feed of changes works on. */
  readonly parts: BucketParts;
}

/** Headers of a message. */
export interface NatsHeaders {
  readonly code: number;
  readonly description: string;
  get(name: string): string;
  has(name: string): boolean;
}

interface StoredMessage {
  readonly subject: string;
  readonly seq: number;
  readonly data: Uint8Array;
  readonly time: Date;
  readonly header: NatsHeaders;
}

/** A message of a subscription. */
export interface Delivered {
  readonly subject: string;
  readonly reply?: string;
  readonly headers?: NatsHeaders;
}

/** The connection of the app. */
export interface NatsCoreConnection {
  readonly options: { readonly inboxPrefix?: string };
  isClosed(): boolean;
  status(): AsyncIterable<{ readonly type: string }> & { stop(): void };
  subscribe(
    subject: string,
    options: { readonly callback: (error: unknown, message: Delivered) => void },
  ): { unsubscribe(): void };
}

/** What a bucket of @nats-io/kv is made of. */
export interface BucketParts {
  readonly stream: string;
  readonly codec: {
    readonly key: { encode(key: string): string };
    readonly value: { encode(value: Uint8Array): Uint8Array; decode(value: Uint8Array): Uint8Array };
  };
  readonly js: {
    readonly nc: NatsCoreConnection;
    publish(
      subject: string,
      bytes: Uint8Array,
      options: { readonly msgID?: string; readonly expect: { readonly lastSubjectSequence: number } },
    ): Promise<{ readonly seq: number; readonly duplicate: boolean }>;
  };
  readonly jsm: { readonly streams: Streams; readonly consumers: Consumers };
  subjectForKey(name: string, isEdit?: boolean): string;
}

interface Streams {
  getMessage(
    stream: string,
    query: { readonly last_by_subj?: string; readonly next_by_subj?: string; readonly seq?: number },
  ): Promise<StoredMessage | null>;
  purge(stream: string, of: { readonly filter: string; readonly seq: number }): Promise<{ readonly purged: number }>;
  info(stream: string): Promise<{ readonly state: { readonly first_seq: number; readonly last_seq: number } }>;
}

interface Consumers {
  add(stream: string, config: object): Promise<{ readonly name: string }>;
  delete(stream: string, name: string): Promise<boolean>;
}

/** Wraps a bucket. Throws a `TypeError` for what is none, and for one that changes keys on the way. */
export function natsConnection(bucket: unknown): NatsConnection {
  const parts = partsOf(bucket);
  const { stream, codec, js, jsm } = parts;
  const { streams } = jsm;
  const before = parts.subjectForKey("").length;
  const kept = (message: StoredMessage | null): Kept | undefined => {
    if (message === null) return undefined;
    const { subject, seq, data, header, time } = message;
    const isMarker = header.has("KV-Operation") || header.has("Nats-Marker-Reason");
    const bytes = isMarker ? data : codec.value.decode(data);
    return { name: subject.slice(before), sequence: seq, at: time.getTime(), bytes, isMarker };
  };
  return {
    parts,
    async get(name, call) {
      const query = { last_by_subj: parts.subjectForKey(name) };
      return kept(await abortable(call, () => streams.getMessage(stream, query)));
    },
    async next(pattern, from, call) {
      const query = { seq: from, next_by_subj: parts.subjectForKey(pattern) };
      return kept(await abortable(call, () => streams.getMessage(stream, query)));
    },
    async put(name, bytes, expected, call) {
      const options = { ...successor(name, expected), expect: { lastSubjectSequence: expected } };
      try {
        const subject = parts.subjectForKey(name, true);
        const { seq, duplicate } = await abortable(call, () => js.publish(subject, codec.value.encode(bytes), options));
        return duplicate ? undefined : seq;
      } catch (error) {
        if (CAME_LATER.has((error as { readonly code?: unknown } | undefined)?.code)) return undefined;
        throw error;
      }
    },
    async erase(name, sequence, call) {
      const of = { filter: parts.subjectForKey(name), seq: sequence + 1 };
      return (await abortable(call, () => streams.purge(stream, of))).purged;
    },
    async ends(call) {
      const { state } = await abortable(call, () => streams.info(stream));
      return { first: state.first_seq, last: state.last_seq };
    },
  };
}

/**
 * An id of what follows the message `expected`: the server takes one message of an id within two minutes.
 *
 * A cluster of nats-server 2.9 compares the expected sequence when a message arrives, and not once more when it is stored: of
 * four writers at once all four are told that they have done it. An id it compares when it stores. So of those that follow one
 * message one is stored, and others that are on the way by then are not; what comes later finds another sequence. A first
 * message needs none, and could have none: a name may begin anew.
 */
function successor(name: string, expected: number): { readonly msgID?: string } {
  return expected === 0 ? {} : { msgID: `${name}@${expected}` };
}

/** "Wrong last sequence", in both ways in which servers number it, and "duplicate message id is in process". */
const CAME_LATER: ReadonlySet<unknown> = new Set([10_071, 10_164, 10_158]);

const MOST_TRIES = 1_000;

/** Counts the tries of one who finds again and again that others came first. Throws when that has no end. */
export function tries(): () => void {
  let count = 0;
  return () => {
    if (++count > MOST_TRIES) throw new Error(`natsStore: others wrote first ${MOST_TRIES} times`);
  };
}

const PROBE = "r.name.id-_=";

function partsOf(bucket: unknown): BucketParts {
  const found = (bucket ?? {}) as Partial<BucketParts>;
  const { js, jsm, codec, stream } = found;
  const isBucket =
    typeof found.subjectForKey === "function" &&
    typeof stream === "string" &&
    typeof js?.publish === "function" &&
    typeof js.nc?.subscribe === "function" &&
    typeof jsm?.streams?.getMessage === "function" &&
    typeof jsm.consumers?.add === "function" &&
    typeof codec?.value?.decode === "function";
  if (!isBucket) {
    throw new TypeError("natsStore: expected a bucket of @nats-io/kv 3: await new Kvm(connection).create(name)");
  }
  if (codec.key.encode(PROBE) !== PROBE) {
    throw new TypeError("natsStore: a bucket with a codec for keys cannot be searched; values may have one");
  }
  return found as BucketParts;
}

/** Waits no longer than the caller does: requests of the client have a patience of their own, of 5 seconds. */
async function abortable<T>({ signal }: Waiting, work: () => Promise<T>): Promise<T> {
  if (signal === undefined) return await work();
  signal.throwIfAborted();
  return await new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    const done = (): void => signal.removeEventListener("abort", abort);
    work().then(resolve, reject).finally(done);
  });
}
