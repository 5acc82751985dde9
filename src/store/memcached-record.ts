/**
 * What `memcachedStore` keeps in Memcached, and under which names. A record is one text:
 *
 *     1 | expiresAt, 11 digits of base 36 | version | tab | = subject, if it has one | tab | value
 *
 * @module
 */
import { encodeBase64url } from "../internal/base64url.ts";
import { utf8 } from "../internal/bytes.ts";
import { systemClock } from "../internal/clock.ts";
import { sha256 } from "../internal/crypto.ts";
import { chain, type MaybePromise } from "../internal/maybe-promise.ts";
import type { MemcachedItem } from "./memcached-client.ts";
import { EXPIRED_FOR, type StoredRecord } from "./store.ts";

const FORM = /^1([0-9a-z]{11})([^\t]*)\t(?:=([^\t]*))?\t/;
const DAY = 24 * 3_600_000;

/** The record in what was found; what this store has not written comes back as its value (see the contract). */
export function recordIn({ value: text, token }: MemcachedItem, now: number): StoredRecord {
  const [header, end = "", kept = "", subject] = FORM.exec(text) ?? [];
  if (header === undefined) return { version: "", revision: `${token} `, expiresAt: now + DAY, value: text };
  const version = unescaped(kept);
  const record = {
    version,
    // Of what a base says of itself both have to be true.
    revision: `${token} ${version}`,
    expiresAt: Number.parseInt(end, 36),
    value: unescaped(text.slice(header.length)),
  };
  return subject === undefined ? record : { ...record, subject: unescaped(subject) };
}

/** The cas token that a record was found with, if it was and has the same version still. */
export function tokenOf({ version, revision }: StoredRecord): string | undefined {
  if (typeof revision !== "string") return undefined;
  const token = revision.slice(0, revision.indexOf(" "));
  return revision === `${token} ${version}` ? token : undefined;
}

/** Whether this store has written a text. */
export function isRecord(text: string): boolean {
  return FORM.test(text);
}

/** A record as it is kept. */
export function textOf({ version, expiresAt, subject, value }: StoredRecord): string {
  const whose = subject === undefined ? "" : `=${escaped(subject)}`;
  return `1${endOf(expiresAt)}${escaped(version)}\t${whose}\t${escaped(value)}`;
}

/** The text of a record with another end. */
export function withEnd(text: string, expiresAt: number): string {
  const end = endOf(expiresAt);
  return text.slice(0, 1) + end + text.slice(1 + end.length);
}

function endOf(expiresAt: number): string {
  const end = Math.min(Math.max(0, Math.ceil(expiresAt)), Number.MAX_SAFE_INTEGER);
  return end.toString(36).padStart(11, "0");
}

// UTF-8 has no halves of surrogate pairs, and clients change line ends each in its own way.
const ODD = /[~\p{Cc}\p{Surrogate}]/gu;

function escaped(text: string): string {
  return text.replace(ODD, (character) => `~${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function unescaped(text: string): string {
  if (!text.includes("~")) return text;
  return text.replace(/~([0-9a-f]{4})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

/** More seconds than this are a date to Memcached. */
const LONGEST_TIME = 30 * 24 * 3600;
/** The last date that every version of Memcached understands. */
const LATEST_DATE = 2 ** 31 - 1;

/**
 * When Memcached may drop the record, as it wants to be told: after so many seconds by its own clock, so that the clocks of
 * apps do not matter (P1). It cannot be told more than 30 days that way: then it is a date, a day later than it would have to
 * be, or never.
 */
export function exptimeOf(expiresAt: number, now: number): number {
  // Its clock ticks once a second.
  const seconds = Math.max(1, Math.ceil((expiresAt - now + EXPIRED_FOR) / 1000) + 2);
  if (seconds <= LONGEST_TIME) return seconds;
  const date = Math.ceil((systemClock.now() + DAY) / 1000) + seconds;
  return date <= LATEST_DATE ? date : 0;
}

/** The longest name that Memcached takes, in bytes. */
export const LONGEST_NAME = 250;

/** How much of that a prefix may take: the rest is for keys, or their hashes. */
export const LONGEST_PREFIX = 200;

// No $, which the client `memcached` would replace, and no ~, with which the names of other keys begin.
const PLAIN = /^[\w.:/=@+-]*$/;

/** The name under which the record of a key is kept: the key itself if it can be one, else its SHA-256. */
export function namer(prefix: string, namespace: string): (key: string) => MaybePromise<string> {
  const room = LONGEST_NAME - namespace.length - prefix.length;
  return (key) => {
    if (key.length <= room && PLAIN.test(key)) return prefix + key;
    // As JSON: in UTF-8 alone halves of surrogate pairs would all be the same.
    return chain(sha256(utf8(JSON.stringify(key))), (hash) => `${prefix}~${encodeBase64url(hash)}`);
  };
}
