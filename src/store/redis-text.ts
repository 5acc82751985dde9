/**
 * Texts as Redis keeps them: UTF-8, which has no halves of surrogate pairs.
 *
 * Nearly every text is kept as it is. Those halves, and the few characters that have a meaning in what this store writes,
 * are kept as `~` and four hexadecimal digits. So what begins with `~` and a letter beyond `f` is nobody's text.
 *
 * @module
 */

// A tab and a line end part the fields of a record.
const ODD = /[~\t\n\p{Surrogate}]/gu;
const ESCAPED = /~([0-9a-f]{4})/g;

/** A text as it is kept. */
export function toRedis(text: string): string {
  return text.replace(ODD, (character) => `~${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The text that was kept. */
export function fromRedis(kept: string): string {
  if (!kept.includes("~")) return kept;
  return kept.replace(ESCAPED, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

/** What the index of subjects puts before a key that it keeps whole. */
export const WHOLE_KEY = "~k";

/** The names under which the store keeps things, all of which begin with its prefix. */
export interface Names {
  readonly prefix: string;
  record(key: string): string;
  subject(subject: string): string;
  /** The channel on which changes are told. */
  readonly changes: string;
  /** The key of the record that is kept under a name; undefined when that is not the name of a record. */
  keyOf(name: string): string | undefined;
}

/** The names of a store. */
export function namesUnder(prefix: string): Names {
  return {
    prefix,
    record: (key) => prefix + toRedis(key),
    subject: (subject) => `${prefix}~s:${toRedis(subject)}`,
    changes: `${prefix}~w`,
    keyOf(name) {
      if (!name.startsWith(prefix) || /^~[g-z]/.test(name.slice(prefix.length, prefix.length + 2))) return undefined;
      return fromRedis(name.slice(prefix.length));
    },
  };
}

/** A pattern of `SCAN` for the names of all records whose key begins with `prefix`, and perhaps others. */
export function patternOf({ prefix }: Names, start: string): string {
  // The first half of a pair is kept otherwise when the second follows.
  const certain = toRedis(start.replace(/[\ud800-\udbff]$/, ""));
  return `${(prefix + certain).replaceAll(/[*?[\]\\^-]/g, String.raw`\$&`)}*`;
}

/** A hash of a text that spreads well (FNV-1a, 32 bits). */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
