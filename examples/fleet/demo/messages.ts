/**
 * What a shop server and the demo tell each other, over the channel that Node opens between them.
 */

/** What a server tells. */
export type Report =
  | { readonly type: "listening" }
  | { readonly type: "failed"; readonly why: string }
  /** A request was answered. */
  | { readonly type: "answered" }
  /** A session was read: whether from the local copies, and how old that copy was, in milliseconds. */
  | { readonly type: "read"; readonly hit: boolean; readonly age: number };

/** What a server is told. */
export interface Order {
  /** Whether it is to get no new requests. */
  readonly draining: boolean;
}

export function isReport(message: unknown): message is Report {
  return typeof message === "object" && message !== null && "type" in message;
}

export function isOrder(message: unknown): message is Order {
  return typeof message === "object" && message !== null && "draining" in message;
}
