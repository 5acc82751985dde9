/**
 * How keys are written, and which ones are refused.
 *
 * @module
 */
import { decodeBase64url } from "../internal/base64url.ts";
import { equalBytes } from "../internal/bytes.ts";

/** What to say to somebody who needs a key. */
export const HOW_TO_MAKE_A_KEY: string = `Make a key with: node -e "console.log(require('crypto').randomBytes(32).toString('base64url'))"`;

/** The shortest key: as strong as AES-256 and the hashes under it. */
const MIN_BYTES = 32;
/** 32 random bytes have 30 different values; fewer than 16 are beyond chance (10^-15). */
const MIN_DISTINCT = 16;

/**
 * The keys that are written in a text (with commas or white space between them), in bytes, or in a list of both.
 *
 * @throws TypeError that names `keys`, says which of them is not good enough and why, and contains none of them
 */
export function readKeys(input: unknown): readonly Uint8Array<ArrayBuffer>[] {
  const given = (Array.isArray(input) ? (input as unknown[]) : [input]).flatMap(splitText);
  if (given.length === 0) throw refusal("keys must have at least one key, and is empty");
  const keys = given.map((key, at) =>
    readKey(key, given.length === 1 ? "the key" : `key ${at + 1} of ${given.length}`),
  );
  for (const [at, key] of keys.entries()) {
    const first = keys.findIndex((other) => equalBytes(other, key));
    if (first < at) throw refusal(`keys must differ, and key ${at + 1} is the same as key ${first + 1}`);
  }
  return keys;
}

function splitText(key: unknown): unknown[] {
  return typeof key === "string" ? key.split(/[\s,]+/).filter((part) => part !== "") : [key];
}

function readKey(key: unknown, which: string): Uint8Array<ArrayBuffer> {
  const bytes = typeof key === "string" ? decodeText(key, which) : copyBytes(key, which);
  const weakness = weaknessOf(bytes);
  if (weakness !== undefined)
    throw refusal(`keys must be random bytes, ${MIN_BYTES} or more, and ${which} ${weakness}`);
  return bytes;
}

function copyBytes(key: unknown, which: string): Uint8Array<ArrayBuffer> {
  // Not instanceof: test runners and frames have a Uint8Array of their own.
  if (Object.prototype.toString.call(key) === "[object Uint8Array]") return new Uint8Array(key as Uint8Array);
  const hint = key === undefined ? " (is the environment variable set?)" : "";
  throw refusal(`keys must be text or a Uint8Array, and ${which} is ${key === null ? "null" : typeof key}${hint}`);
}

function decodeText(text: string, which: string): Uint8Array<ArrayBuffer> {
  if (/^(?:[0-9a-f]{2})+$/i.test(text)) {
    return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
  }
  const bytes = /^(?:[\w-]+|[a-z0-9+/]+)={0,2}$/i.test(text) ? decodeBase64url(base64urlOf(text)) : undefined;
  if (bytes === undefined) {
    throw refusal(`keys must be random bytes as base64url, base64 or hex, and ${which} is something else`);
  }
  if (bytes.length >= MIN_BYTES && looksWritten(text)) {
    throw refusal(`keys must be random bytes, and ${which} looks like a passphrase or a name`);
  }
  // A copy of its own: what a Buffer decodes may lie in memory that it shares.
  return new Uint8Array(bytes);
}

function base64urlOf(text: string): string {
  return text.replace(/=+$/, "").replaceAll("+", "-").replaceAll("/", "_");
}

function weaknessOf(bytes: Uint8Array): string | undefined {
  if (bytes.length < MIN_BYTES) return `has ${bytes.length}`;
  if (new Set(bytes).size < MIN_DISTINCT) return "repeats few different bytes";
  if (bytes.every((byte) => byte >= 0x20 && byte < 0x7f)) return "is a text in bytes";
  return undefined;
}

const LETTERS_BY_FREQUENCY = "etaoinshrdlcumwfgypbvkjxqz";

/**
 * Whether a person, and not a random generator, wrote this base64: it lacks one of the two cases (for 32 random bytes a
 * chance of 10^-9), or the letters are spread as in words. For that it weighs, in bits, how much likelier each character is in
 * English in small letters than by chance, where all 64 cost 6 bits. Random text reaches 20 at most once in 2^20 times, by
 * Markov's inequality, since the prices below are those of a probability distribution; in truth far more rarely.
 */
function looksWritten(text: string): boolean {
  if (!/[a-z]/.test(text) || !/[A-Z]/.test(text)) return true;
  let likelier = 0;
  for (const character of text) {
    const small = character.toLowerCase();
    const rank = LETTERS_BY_FREQUENCY.indexOf(small);
    likelier += rank === -1 ? 6 - 8.6 : 6 - (3 + rank / 5) - (character === small ? 0.25 : 2.75);
  }
  return likelier >= 20;
}

function refusal(message: string): TypeError {
  return new TypeError(`${message}. ${HOW_TO_MAKE_A_KEY}`);
}
