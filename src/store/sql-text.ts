/**
 * Texts in SQL databases, which keep UTF-8 and, some of them, no NUL and nothing after it.
 *
 * Nearly every text is kept as it is. One that has a NUL or half of a surrogate pair in it, and one that begins with the
 * mark itself, or with a byte order mark, which some drivers drop, is kept as the mark and the text as JSON.
 *
 * @module
 */

/** Begins what is not kept as it is. */
export const MARK = "\u0001";

/** Comes after all marked texts, and before all others but the empty one. */
export const AFTER_MARKED = "\u0002";

/** What a text begins with that is kept as its hash. */
export const HASHED: string = `${MARK}#`;

const ODD = /^\ufeff|\0|\p{Surrogate}/u;

/** Whether a text is kept as it is. */
export function isPlain(text: string): boolean {
  return !text.startsWith(MARK) && !ODD.test(text);
}

/** A text as it is kept. */
export function toSql(text: string): string {
  return isPlain(text) ? text : MARK + JSON.stringify(text);
}

/** The text that was kept. One that {@link toSql} did not write is returned as it is. */
export function fromSql(kept: string): string {
  if (!kept.startsWith(MARK)) return kept;
  try {
    return String(JSON.parse(kept.slice(MARK.length)));
  } catch {
    return kept;
  }
}

/** What all marked texts begin with that begin with `prefix`; `isExact`: and no others do. */
export function markedStart(prefix: string): { readonly start: string; readonly isExact: boolean } {
  // The first half of a pair is written otherwise when the second follows.
  const certain = prefix.replace(/[\ud800-\udbff]$/, "");
  return { start: MARK + JSON.stringify(certain).slice(0, -1), isExact: certain === prefix };
}

/** The longest beginning of a text that is kept as it is. */
export function plainStart(text: string): string {
  return text.startsWith(MARK) ? "" : text.slice(0, ODD.exec(text)?.index);
}

/**
 * The first text after all those that begin with a plain `prefix`, in the order of their characters; undefined
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

/** A name as SQL has it. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
