/**
 * One token in several cookies: `name=3~…`, `name.1=…`, `name.2=…`. A `~` is never part of a token, so a first cookie that
 * begins with a number and `~` cannot be mistaken for a token of its own, nor the other way round.
 *
 * Chunks carry no mark of which token they belong to: tokens are sealed or signed as a whole, so chunks of two tokens make
 * none.
 *
 * @module
 */
import { MAX_COOKIE_BYTES } from "./cookie-form.ts";
import { readCookie } from "./cookie-syntax.ts";

/** The mark of the number of chunks, and the suffix of the names of all but the first. Both are two bytes. */
const OVERHEAD = 2;
const FIRST_CHUNK = /^[2-8]~/;

/** The values of the cookies that one token takes: itself alone where it fits. Undefined when it needs more than `most`. */
export function splitToken(token: string, name: string, most: number): readonly string[] | undefined {
  if (name.length + token.length <= MAX_COOKIE_BYTES) return [token];
  const room = MAX_COOKIE_BYTES - name.length - OVERHEAD;
  const count = Math.ceil(token.length / room);
  if (count > most) return undefined;
  const chunks = Array.from({ length: count }, (_, index) => token.slice(index * room, (index + 1) * room));
  return chunks.map((chunk, index) => (index === 0 ? `${count}~${chunk}` : chunk));
}

/** What a token takes in the fewest cookies that hold it, in bytes of names and values. */
export function splitSize(token: string, name: string): number {
  const room = MAX_COOKIE_BYTES - name.length - OVERHEAD;
  return token.length + Math.ceil(token.length / room) * (name.length + OVERHEAD);
}

/**
 * The distinct tokens that a `Cookie` header has under the names of a split cookie, at most `max`. A first chunk whose
 * others are not all there is nothing; where a name comes twice, each value is tried.
 */
export function readSplit(header: string, names: readonly string[], max: number): readonly string[] {
  const tokens = new Set<string>();
  for (const first of readCookie(header, names[0] as string, max)) {
    const found = FIRST_CHUNK.test(first) ? joined(header, names, first, max) : [first];
    for (const token of found) tokens.add(token);
  }
  return [...tokens].slice(0, max);
}

function joined(header: string, names: readonly string[], first: string, max: number): readonly string[] {
  const others = names.slice(1, Number(first[0]));
  return others.reduce(
    (begun, name) =>
      begun.flatMap((begin) => readCookie(header, name, max).map((chunk) => begin + chunk)).slice(0, max),
    [first.slice(OVERHEAD)],
  );
}
