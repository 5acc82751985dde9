/**
 * A record as a Redis string:
 *
 *     1 | expiresAt, 11 digits | listed until, 4 digits | version | tab subject | line end | value
 *
 * Digits are those of base 36. What is of fixed length comes first, so that a script reads and a touch writes nothing else.
 * "Listed until" is the hour up to which the index of subjects has the record; 0 for a record without a subject.
 *
 * @module
 */
import { fromRedis, toRedis } from "./redis-text.ts";
import { EXPIRED_FOR, type StoredRecord } from "./store.ts";

const FORM = /^1([0-9a-z]{11})[0-9a-z]{4}([^\t\n]*)(?:\t([^\n]*))?\n/;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** The latest hour that four digits can say, in the year 2161: the index then keeps the record for good. */
const LAST_HOUR = 36 ** 4 - 1;

/** How long the index lists a record beyond its end, at least: so touches seldom have to see to the index. */
const LISTED_LONGER = 12 * HOUR;

/** `listed until` of a record without a subject. */
export const UNLISTED = "0000";

/** The record in a string; one that this store has not written comes back as text (see the contract). */
export function recordIn(kept: string, now: number): StoredRecord {
  const [header, end = "", version = "", subject] = FORM.exec(kept) ?? [];
  if (header === undefined) return { version: "", expiresAt: now + DAY, value: kept };
  const record = {
    version: fromRedis(version),
    expiresAt: Number.parseInt(end, 36),
    value: fromRedis(kept.slice(header.length)),
  };
  return subject === undefined ? record : { ...record, subject: fromRedis(subject) };
}

/** Whether `head`, the first 12 bytes of a string or more, is that of a record that exists. */
export function isAlive(head: string, now: number): boolean {
  if (head === "") return false;
  const end = /^1([0-9a-z]{11})/.exec(head)?.[1];
  return end === undefined || Number.parseInt(end, 36) > now;
}

/** The end of a record, in 11 digits. */
export function endOf(expiresAt: number): string {
  const end = Math.min(Math.max(0, Math.ceil(expiresAt)), Number.MAX_SAFE_INTEGER);
  return end.toString(36).padStart(11, "0");
}

/** The subject between version and value. */
export function subjectField(subject: string | undefined): string {
  return subject === undefined ? "\n" : `\t${toRedis(subject)}\n`;
}

/** Everything that comes after `listed until`. */
export function tailOf({ version, subject, value }: StoredRecord): string {
  return toRedis(version) + subjectField(subject) + toRedis(value);
}

/** How long a record that is over waits for a sweeper to tell of it, in milliseconds. */
export const KEPT_FOR_SWEEP: number = DAY;

/**
 * After how many milliseconds Redis removes the record: by its own clock, so the time is a relative one (P1). `longer` is for
 * whoever still has to look at it.
 */
export function lifetimeOf(expiresAt: number, now: number, longer = 0): string {
  return String(Math.max(1, Math.ceil(expiresAt) - now + EXPIRED_FOR + longer));
}

/** Until when the index of subjects lists a record. */
export interface Listing {
  /** In hours since the epoch. */
  readonly hour: number;
  /** The same, as the record has it. */
  readonly digits: string;
  /** After how many milliseconds Redis may remove an index with nothing else in it. */
  readonly lifetime: string;
}

/**
 * Until when the index lists a record that ends at `expiresAt`: longer, by its whole life or half a day. The index itself stays
 * for a day more, so that it outlives its records also where Redis evicts what ends first.
 */
export function listingOf(expiresAt: number, now: number): Listing {
  const until = Math.ceil((expiresAt + Math.max(expiresAt - now, LISTED_LONGER)) / HOUR);
  const hour = Math.min(until, LAST_HOUR);
  return { hour, digits: hour.toString(36).padStart(4, "0"), lifetime: lifetimeOf(until * HOUR, now, KEPT_FOR_SWEEP) };
}
