/**
 * What the codecs for Ktor's formats have in common: their two interfaces, percent-encodings, hexadecimal digits, keys.
 *
 * @module
 */
import { fromUtf8, utf8 } from "../internal/bytes.ts";
import type { MaybePromise } from "../internal/maybe-promise.ts";
import type { DeepReadonly } from "../session/session.ts";

/** Turns a text into another one and back: what Ktor calls a session transport transformer. */
export interface KtorTransform {
  /** The text that was written; null for anything that a Ktor server with the same keys would refuse. Never throws. */
  read(text: string): MaybePromise<string | null>;
  write(text: string): MaybePromise<string>;
}

/** Turns data into a text and back: what Ktor calls a session serializer. */
export interface KtorSerializer<Data> {
  /** The data of a text; null when it is not of this form. Never throws. */
  read(text: string): Data | null;
  /** Throws a `TypeError` that names the place, never the content, of what Ktor could not read back. */
  write(data: DeepReadonly<Data>): string;
}

const ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const SPACE = 0x20;

/** A percent-encoding: which characters it keeps, and what it makes of a space. */
export interface Escaping {
  readonly kept: ReadonlySet<number>;
  readonly space: string;
}

function escaping(marks: string, space: string): Escaping {
  return { kept: new Set(utf8(ALPHANUMERIC + marks)), space };
}

/** The strict form encoding: of cookies since Ktor 2.2, and of properties in the form text. */
export const FORM: Escaping = escaping("-._~", "+");

/** The names in such a form: Ktor writes a space there as `+` too, and then does not read it as one. */
export const FORM_NAME: Escaping = escaping("-._~", "%20");

/** Ktor's "query component", of what is inside a collection of the form text. It leaves `&` and `=` alone. */
export const QUERY: Escaping = escaping(":/?#[]@!$&'()*,;=-._~+", "%20");

/** {@link QUERY} for a list item or the value of a map: a `&` of its own would end it. Ktor's reader takes both. */
export const QUERY_ITEM: Escaping = escaping(":/?#[]@!$'()*,;=-._~+", "%20");

/** {@link QUERY} for the key of a map: a `=` of its own would end it. */
export const QUERY_KEY: Escaping = escaping(":/?#[]@!$'()*,;-._~+", "%20");

/** A text in a percent-encoding, over UTF-8, with capital digits. */
export function escape(text: string, { kept, space }: Escaping): string {
  let escaped = "";
  for (const byte of utf8(text)) {
    if (kept.has(byte)) escaped += String.fromCharCode(byte);
    else escaped += byte === SPACE ? space : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return escaped;
}

/**
 * The text of any of the percent-encodings; null for a bad escape, and for bytes that are not UTF-8 (in whose place Ktor puts
 * U+FFFD). `plusIsSpace`: as in forms; otherwise a `+` is one.
 */
export function unescape(text: string, plusIsSpace: boolean): string | null {
  const spaced = plusIsSpace ? text.replaceAll("+", " ") : text;
  if (!spaced.includes("%")) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    return null;
  }
}

/** The text of UTF-8; null when it is not. */
export function textOf(bytes: Uint8Array): string | null {
  try {
    return fromUtf8(bytes);
  } catch {
    return null;
  }
}

/** The bytes of lower-case hexadecimal digits, which is what Ktor writes; null for anything else. */
export function fromHex(digits: string): Uint8Array<ArrayBuffer> | null {
  if (digits.length % 2 !== 0 || !/^[0-9a-f]*$/.test(digits)) return null;
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** A secret key as a Ktor server has it: bytes, or the hexadecimal digits that are given to `hex("…")` there. */
export type KtorKey = Uint8Array | string;

/** A copy of a key. Throws a `TypeError` that names the option, and not the key, when it is none. */
export function keyBytes(option: string, key: unknown): Uint8Array<ArrayBuffer> {
  const bytes = typeof key === "string" ? fromHex(key.toLowerCase()) : key;
  if (!(bytes instanceof Uint8Array) || bytes.length === 0) {
    throw new TypeError(`${option} must be a key: bytes, or two hexadecimal digits for each; at least one`);
  }
  return new Uint8Array(bytes);
}
