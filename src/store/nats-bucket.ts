/**
 * The bucket that `natsStore` works with, by its shape: what `Kvm` of @nats-io/kv 3 creates or opens.
 *
 * @module
 */
import type { StreamSettings } from "./nats-settings.ts";

/** A bucket that the app has made, on a connection of its own. */
export interface NatsBucket {
  get(...args: never[]): unknown;
  put(...args: never[]): unknown;
  purge(...args: never[]): unknown;
  watch(...args: never[]): unknown;
}

/** Headers of a message. */
export interface NatsHeaders {
  readonly code: number;
  readonly description: string;
  get(name: string): string;
  has(name: string): boolean;
}

/** A message as the server has it. */
export interface StoredMessage {
  readonly subject: string;
  readonly seq: number;
  readonly data: Uint8Array;
  readonly time: Date;
  readonly header: NatsHeaders;
}

/** A message of a subscription. */
export interface Delivered {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply?: string;
  readonly headers?: NatsHeaders;
}

/** The connection of the app. */
export interface NatsCoreConnection {
  readonly options: { readonly inboxPrefix?: string };
  /** What the server that it is connected to says of itself; undefined before it has. */
  readonly info?: { readonly version: string };
  isClosed(): boolean;
  status(): AsyncIterable<{ readonly type: string }> & { stop(): void };
  subscribe(
    subject: string,
    options: { readonly callback: (error: unknown, message: Delivered) => void },
  ): { unsubscribe(): void };
  publish(subject: string, text: string): void;
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
      options: { readonly expect: { readonly lastSubjectSequence: number } },
    ): Promise<{ readonly seq: number }>;
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
  info(stream: string): Promise<{
    readonly config: StreamSettings;
    readonly state: { readonly last_seq: number; readonly messages: number; readonly bytes: number };
  }>;
}

interface Consumers {
  add(stream: string, config: object): Promise<{ readonly name: string; readonly num_pending: number }>;
  delete(stream: string, name: string): Promise<boolean>;
}

const PROBE = "r.name.id-_=";

/** What a bucket is made of. Throws a `TypeError` for what is none, and for one that changes keys on the way. */
export function partsOf(bucket: unknown): BucketParts {
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
