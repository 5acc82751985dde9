/**
 * What every subject keeps in a session, and what it answers on which route.
 *
 * @module
 */

/** The data of a session. */
export interface BenchData {
  user: string;
  role: string;
  theme: string;
  locale: string;
  cart: string[];
  count: number;
  /** Only where a session is to be larger. */
  text?: string;
}

/** Where the counters start; the data keeps its length up to ten times as many writes. */
export const FIRST_COUNT = 1_000_000;

/** What the data of a new session takes as JSON, unless it is to be larger: checked when it is made. */
export const DATA_BYTES = 113;

const USER = "ada";

/** Makes the data of new sessions that take so many bytes as JSON; {@link DATA_BYTES} are the least. */
export function dataOf(bytes: number): () => BenchData {
  const text = bytes > DATA_BYTES ? "x".repeat(bytes - DATA_BYTES - ',"text":""'.length) : undefined;
  const make = (): BenchData => ({
    user: USER,
    role: "subscriber",
    theme: "dark",
    locale: "en-GB",
    cart: ["apple", "pear", "plum"],
    count: FIRST_COUNT,
    ...(text !== undefined && { text }),
  });
  const found = Buffer.byteLength(JSON.stringify(make()));
  if (found !== bytes) throw new Error(`the data of a session takes ${found} bytes instead of ${bytes}`);
  return make;
}

/**
 * The routes that are measured: no use of the session, one look at it, one change of its counter, and the sign-in of a
 * visitor who brings no cookie.
 */
export const ROUTES = ["untouched", "read", "write", "sign-in"] as const;

/** A route that is measured. */
export type Route = (typeof ROUTES)[number];

/** All that a server answers: `seed` makes the sessions beforehand, `count` looks at what became of them. */
export type Path = Route | "seed" | "count";

/** Their names. */
export const PATHS: readonly Path[] = [...ROUTES, "seed", "count"];

/** What a right answer says: a text, or on some routes the counter, in digits. */
export const ANSWERS: Readonly<Record<Path, string>> = {
  untouched: "untouched",
  read: USER,
  write: "digits",
  "sign-in": "welcome",
  seed: "seeded",
  count: "digits",
};
