/**
 * A record as a message:
 *
 *     1 | ["version", expiresAt, "subject" or null, "key" or null, until] | line end | value
 *
 * The first character is 2 where the value is kept as JSON, because it has halves of surrogate pairs, which have no UTF-8.
 * The key is there when its name is a hash, `until` when the record once had a later end. Of a record that was deleted a grave
 * stays: 0, then `[until, "subject" or null, "key"]`. A late `create` does not bring it back, and watchers hear of it.
 *
 * A server that crashes may forget that a message has replaced an older one, if it was removed since: then that one is there
 * again (nats-crash.test.ts). So the last message under a name is kept until none of those before it is alive.
 *
 * @module
 */
import { utf8 } from "../internal/bytes.ts";
import type { Kept } from "./nats-message.ts";
import { nameOf, RECORDS, textOf } from "./nats-text.ts";
import type { StoredRecord } from "./store.ts";

/** The store's own token of a record: what is true of the message with that sequence, for good. */
export interface NatsRevision {
  readonly sequence: number;
  readonly until: number;
  readonly version: string;
  readonly expiresAt: number;
  readonly subject?: string;
}

/** The message that another one replaces. */
export interface Replaced {
  /** 0 when there is none. */
  readonly sequence: number;
  /** Until when it, or one before it, would be alive if it were there again. */
  readonly until: number;
}

/** Where nothing was yet. */
export const NOTHING: Replaced = { sequence: 0, until: 0 };

/** What was found under the name of a record: a record, or where one was. */
export type Found = FoundRecord | Grave;

/** A record that was found. */
export interface FoundRecord extends Replaced {
  readonly key: string;
  readonly record: StoredRecord & { readonly revision: NatsRevision };
  /** Whether the store has written it. */
  readonly isOurs: boolean;
}

/** Where a record was. */
export interface Grave extends Replaced {
  readonly key: string;
  readonly record: undefined;
  readonly subject?: string | undefined;
}

const DAY = 86_400_000;
const FORM = /^([12])(\[[^\n]*\])\n/;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A record as bytes, of which it, or one before it, is alive until `until`. */
export function messageOf(name: string, key: string, record: StoredRecord, until: number): Uint8Array {
  const { version, subject = null, value } = record;
  const expiresAt = finite(record.expiresAt);
  const isPlain = !/\p{Surrogate}/u.test(value);
  const more = until > expiresAt ? [keyFor(name, key)[0] ?? null, until] : keyFor(name, key);
  const header = JSON.stringify([version, expiresAt, subject, ...more]);
  return utf8(`${isPlain ? "1" : "2"}${header}\n${isPlain ? value : JSON.stringify(value)}`);
}

/** A grave as bytes. */
export function graveOf(name: string, key: string, until: number, subject: string | undefined): Uint8Array {
  return utf8(`0${JSON.stringify([until, subject ?? null, ...keyFor(name, key)])}`);
}

function keyFor(name: string, key: string): readonly string[] {
  return textOf(RECORDS, name) === key ? [] : [key];
}

/** A time that JSON can say: of a session without an end, the end of time. */
export function finite(time: number): number {
  return Math.min(time, Number.MAX_SAFE_INTEGER);
}

/** The token of a record that was written as message `sequence`. */
export function revisionOf(
  sequence: number,
  { version, expiresAt, subject }: StoredRecord,
  until: number,
): NatsRevision {
  return Object.freeze({ sequence, until, version, expiresAt, ...(subject === undefined ? {} : { subject }) });
}

/** A token that came back; undefined for none, and for another store's. */
export function revisionIn({ revision }: StoredRecord): NatsRevision | undefined {
  const found = (revision ?? {}) as Partial<NatsRevision>;
  const isOurs =
    typeof found.sequence === "number" &&
    typeof found.until === "number" &&
    typeof found.version === "string" &&
    typeof found.expiresAt === "number";
  return isOurs ? (found as NatsRevision) : undefined;
}

/** What a message says. One that the store has not written is a record with its text as value (see the contract). */
export function foundIn(kept: Kept, now: number): Found {
  const { name, sequence, at, bytes, isMarker } = kept;
  const text = decoder.decode(bytes);
  if (isMarker || text.startsWith("0[")) return graveIn(name, sequence, text, at);
  const [header, form, fields] = FORM.exec(text) ?? [];
  const [version, expiresAt, subject, key, longest] = listIn(fields);
  const value = header === undefined ? undefined : text.slice(header.length);
  const raw = form === "2" ? jsonIn(value) : value;
  const isOurs = typeof version === "string" && typeof expiresAt === "number" && typeof raw === "string";
  const found: StoredRecord = isOurs
    ? { version, expiresAt, value: raw, ...(typeof subject === "string" ? { subject } : {}) }
    : { version: "", expiresAt: now + DAY, value: text };
  const until = typeof longest === "number" ? Math.max(longest, found.expiresAt) : found.expiresAt;
  const record = { ...found, revision: revisionOf(sequence, found, until) };
  return { key: keyOf(name, key), sequence, until, record, isOurs };
}

function graveIn(name: string, sequence: number, text: string, at: number): Grave {
  const [until, subject, key] = listIn(text.slice(1));
  return {
    key: keyOf(name, key),
    sequence,
    until: typeof until === "number" ? until : at,
    record: undefined,
    subject: typeof subject === "string" ? subject : undefined,
  };
}

/** The record of a key, if there is one at a time. */
export function alive(found: Found | undefined, now: number): FoundRecord | undefined {
  return found?.record !== undefined && found.record.expiresAt > now ? found : undefined;
}

/** The name of the record with a key. */
export function recordName(key: string): string {
  return nameOf(RECORDS, key);
}

/** The key in a message; else the one that its name says. */
function keyOf(name: string, key: unknown): string {
  return typeof key === "string" ? key : (textOf(RECORDS, name) ?? name);
}

function listIn(text: string | undefined): readonly unknown[] {
  const found = jsonIn(text);
  return Array.isArray(found) ? found : [];
}

function jsonIn(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    // Somebody else wrote it.
    return undefined;
  }
}
