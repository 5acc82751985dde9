/**
 * What every subject keeps in a session, and what it answers on which route.
 *
 * @module
 */

/** The data of a session: {@link DATA_BYTES} of JSON. */
export interface BenchData {
  user: string;
  role: string;
  theme: string;
  locale: string;
  cart: string[];
  count: number;
}

/** Where the counters start; the data keeps its length up to ten times as many writes. */
export const FIRST_COUNT = 1_000_000;

/** What the data of a new session takes as JSON: checked when it is made. */
export const DATA_BYTES = 113;

/** The data of a new session. */
export function newData(): BenchData {
  const data: BenchData = {
    user: "ada",
    role: "subscriber",
    theme: "dark",
    locale: "en-GB",
    cart: ["apple", "pear", "plum"],
    count: FIRST_COUNT,
  };
  const bytes = Buffer.byteLength(JSON.stringify(data));
  if (bytes !== DATA_BYTES) throw new Error(`the data of a session takes ${bytes} bytes instead of ${DATA_BYTES}`);
  return data;
}

/** The routes that are measured: no use of the session, one look at it, one change of its counter. */
export const ROUTES = ["untouched", "read", "write"] as const;

/** A route that is measured. */
export type Route = (typeof ROUTES)[number];

/** What a right answer says: a text, or on the write route the counter, in digits. */
export const ANSWERS: Readonly<Record<Route, string>> = { untouched: "untouched", read: "ada", write: "digits" };
