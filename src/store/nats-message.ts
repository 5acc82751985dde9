/**
 * A message of the stream of a bucket, whichever way it came.
 *
 * @module
 */
import type { BucketParts, Delivered } from "./nats-bucket.ts";

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

/** What a message says. */
export function messageIn(
  parts: BucketParts,
  { subject, data }: Pick<Delivered, "subject" | "data">,
  headers: Delivered["headers"],
): Pick<Kept, "name" | "bytes" | "isMarker"> {
  const isMarker = headers?.has("KV-Operation") === true || headers?.has("Nats-Marker-Reason") === true;
  const name = subject.slice(parts.subjectForKey("").length);
  return { name, bytes: isMarker ? data : decoded(parts.codec, data), isMarker };
}

function decoded({ value }: BucketParts["codec"], data: Uint8Array): Uint8Array {
  try {
    return value.decode(data);
  } catch {
    // What nobody of us has written, or under a key that is gone, is found as what it is: no record of ours.
    return data;
  }
}
