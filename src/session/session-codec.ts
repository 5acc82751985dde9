/**
 * What the token of a session by value says when another server, with a form of its own, reads and writes it too.
 *
 * @module
 */
import { copyJson } from "../internal/json.ts";
import type { Envelope } from "./envelope.ts";
import { emptyContent } from "./record.ts";
import type { DeepReadonly } from "./session.ts";

/**
 * Turns the data of a session into the text that its token protects, and back. An application may write its own, for a server
 * that understands neither ours nor one of those in `coatcheck/compat/*`.
 */
export interface SessionCodec<Data> {
  /** The data of a text; null when it is not of this form. Data that is not JSON, and an error, count as null. Synchronous. */
  read(text: string): Data | null;
  /** Throws a `TypeError` that names the place, never the content, of what the other server could not read back. Synchronous. */
  write(data: DeepReadonly<Data>): string;
}

/** The data and nothing else. What a session has beside it begins anew with every request. */
export function dataOnly(codec: SessionCodec<object>, newId: () => string): Envelope {
  return {
    write: ({ content }) => codec.write(content.data as object),
    read(text, now) {
      const data = dataOf(codec, text);
      if (data === undefined) return undefined;
      return { id: newId(), issuedAt: now, epoch: undefined, content: { ...emptyContent(now), data } };
    },
  };
}

/** Whatever a codec does with what another server wrote: no token is an error (design: invariant 7). */
function dataOf(codec: SessionCodec<object>, text: string): unknown {
  try {
    const data = codec.read(text);
    return data === null ? undefined : copyJson(data, "session data");
  } catch {
    return undefined;
  }
}
