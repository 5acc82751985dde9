/**
 * A consumer that delivers messages of the bucket to this process alone, for as long as it asks for them.
 *
 * @module
 */
import { encodeBase64url } from "../internal/base64url.ts";
import { randomBytes } from "../internal/crypto.ts";
import type { BucketParts, Delivered } from "./nats-bucket.ts";
import { type Kept, messageIn } from "./nats-message.ts";

/** A server removes the consumer of a process that is gone after so long, in nanoseconds. */
const GONE_AFTER = 30_000_000_000;

/** A message that was delivered. */
export interface Delivery extends Kept {
  /** How many more the consumer has for now. */
  readonly pending: number;
  /** Where an acknowledgement is to go. */
  readonly reply: string;
}

/** Who gets what a consumer delivers. */
export interface Receiver {
  deliver(message: Delivery): void;
  /** Something was missed, or the consumer is gone: nothing comes any more. */
  broken(): void;
}

/** A consumer that delivers. */
export interface OpenConsumer {
  /** How many messages there were for it when it began. */
  readonly pending: number;
  close(): void;
}

/**
 * Opens a consumer of the bucket's stream: `settings` beside what all of ours have. Rejects when there can be none. It is closed
 * with `signal`, and by whoever has it: also when nobody waits for it any more when it is there.
 */
export async function openConsumer(
  parts: BucketParts,
  settings: object,
  receiver: Receiver,
  signal?: AbortSignal,
): Promise<OpenConsumer> {
  const { stream, js, jsm } = parts;
  const inbox = `${js.nc.options.inboxPrefix ?? "_INBOX"}.${encodeBase64url(randomBytes(16))}`;
  let delivered = 0;
  let isOpen = true;
  const callback = (error: unknown, message: Delivered): void => {
    if (!isOpen) return;
    const place = placeOf(message.reply);
    // What is not a message of the stream says that the consumer is gone.
    const isNext = (error ?? undefined) === undefined && message.subject !== inbox && place.count === delivered + 1;
    isOpen = isNext;
    if (!isNext) return receiver.broken();
    delivered++;
    receiver.deliver({ ...messageIn(parts, message, message.headers), ...place, reply: message.reply ?? "" });
  };
  const subscription = js.nc.subscribe(inbox, { callback });
  let name: string | undefined;
  const close = (): void => {
    isOpen = false;
    subscription.unsubscribe();
    signal?.removeEventListener("abort", close);
    // One that cannot be removed now is removed by the server, as that of a process that is gone.
    if (name !== undefined) void jsm.consumers.delete(stream, name).catch(() => undefined);
    name = undefined;
  };
  signal?.addEventListener("abort", close);
  try {
    const info = await jsm.consumers.add(stream, {
      ack_policy: "none",
      replay_policy: "instant",
      max_deliver: 1,
      num_replicas: 1,
      mem_storage: true,
      inactive_threshold: GONE_AFTER,
      deliver_subject: inbox,
      ...settings,
    });
    ({ name } = info);
    if (signal?.aborted === true) close();
    return { pending: info.num_pending, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Where a message is: in the stream, and among those that were delivered; from the subject for its acknowledgement. */
function placeOf(reply = ""): Pick<Delivery, "sequence" | "at" | "pending"> & { readonly count: number } {
  const words = reply.split(".");
  // Servers from 2.10 on may put domain and account first.
  const [sequence, count, nanoseconds, pending] = words.slice(words.length > 9 ? 7 : 5).map(Number);
  return { sequence: sequence ?? NaN, count: count ?? NaN, at: (nanoseconds ?? NaN) / 1e6, pending: pending ?? NaN };
}
