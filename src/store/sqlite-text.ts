/**
 * Text for SQLite, which keeps UTF-8 and, as some drivers read it, nothing after a NUL.
 *
 * Nearly every text is kept as it is. One that has a NUL or half of a surrogate pair in it, and one that begins with the
 * mark itself, is kept as the mark and the text as JSON.
 *
 * @module
 */

const MARK = "\u0001";

/** All marked texts are from here on, and before {@link AFTER_MARKED}. */
export const MARKED: string = MARK;

/** See {@link MARKED}. */
export const AFTER_MARKED = "\u0002";

const ODD = /\0|\p{Surrogate}/u;

/** Whether a text is kept as it is. */
export function isPlain(text: string): boolean {
  return !text.startsWith(MARK) && !ODD.test(text);
}

/** A text as it is kept. */
export function toSqlite(text: string): string {
  return isPlain(text) ? text : MARK + JSON.stringify(text);
}

/** The text that was kept. One that {@link toSqlite} did not write is returned as it is. */
export function fromSqlite(kept: string): string {
  if (!kept.startsWith(MARK)) return kept;
  try {
    return String(JSON.parse(kept.slice(MARK.length)));
  } catch {
    return kept;
  }
}

/** The longest beginning of a text that is kept as it is. */
export function plainStart(text: string): string {
  return text.startsWith(MARK) ? "" : text.slice(0, ODD.exec(text)?.index);
}

/**
 * The first text after all those that begin with a plain `prefix`, in the order in which SQLite compares them; undefined
 * when nothing comes after them.
 */
export function afterAll(prefix: string): string | undefined {
  const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0);
  while (points.at(-1) === 0x10ffff) points.pop();
  const last = points.pop();
  if (last === undefined) return undefined;
  // Surrogates are no characters.
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
}
