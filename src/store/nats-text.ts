/**
 * Names of keys in a bucket: letters, digits, `-`, `_`, `=`, `/` and `.`, and the parts between dots are not empty.
 *
 * A text is kept as two parts, what is before its first `/` and what comes after, so that the records of a definition can be
 * asked for. All but letters, digits, `-` and `_` is kept as `=` and four hexadecimal digits; what gets too long, as a hash.
 *
 * @module
 */
import { createHash } from "node:crypto";

const ODD = /[^A-Za-z0-9_-]/g;
const ESCAPED = /=([0-9a-f]{4})/g;

/** A server takes commands of 4096 bytes, and a name has two parts. */
const LONGEST = 1_500;

const EMPTY = "=e";
const NO_SLASH = "=n";
const HASHED = "=h";

/** The names of what the store keeps. */
export const RECORDS = "r.";
/** See {@link RECORDS}. */
export const SUBJECTS = "s.";
/** See {@link RECORDS}. */
export const SWEEPS = "t.";

/** The name of a text under `root`. */
export function nameOf(root: string, text: string): string {
  const at = text.indexOf("/");
  return at === -1
    ? `${root}${NO_SLASH}.${part(text)}`
    : `${root}${part(text.slice(0, at))}.${part(text.slice(at + 1))}`;
}

/** The text of a name under `root`; undefined where only a hash of it is kept, or nobody of us has made it. */
export function textOf(root: string, name: string): string | undefined {
  const [first = "", rest, ...others] = name.slice(root.length).split(".");
  if (!name.startsWith(root) || rest === undefined || others.length > 0) return undefined;
  const [before, after] = [textIn(first), textIn(rest)];
  if (after === undefined) return undefined;
  if (first === NO_SLASH) return after;
  return before === undefined ? undefined : `${before}/${after}`;
}

/** How the names of all texts under `root` begin that begin with `prefix`, and perhaps those of others. */
export function rootOf(root: string, prefix: string): string {
  const at = prefix.indexOf("/");
  return at === -1 ? root : `${root}${part(prefix.slice(0, at))}.`;
}

function part(text: string): string {
  if (text === "") return EMPTY;
  const escaped = text.replace(ODD, (character) => `=${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return escaped.length <= LONGEST ? escaped : HASHED + digest(text);
}

function textIn(kept: string): string | undefined {
  if (kept === EMPTY) return "";
  const text = kept.replace(ESCAPED, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  return kept.replace(ESCAPED, "").includes("=") ? undefined : text;
}

/**
 * SHA-256 of the UTF-16 code units: halves of surrogate pairs have no UTF-8. By `node:crypto`, which every runtime has that the
 * client runs on: WebCrypto would make a promise of every name, for keys that no session has.
 */
function digest(text: string): string {
  return createHash("sha256").update(Buffer.from(text, "utf16le")).digest("base64url");
}
