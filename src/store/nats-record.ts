/**
 * A record as a message:
 *
 *     1 | ["version", expiresAt, "subject" or null, "key"] | line end | value
 *
 * The first character is 2 where the value is kept as JSON, because it has halves of surrogate pairs, which have no UTF-8.
 * The key is there when its name is a hash. Of a record that was deleted a grave stays for a while, so that a late `create`
 * does not bring it back, and watchers hear of it: 0, then `[deletedAt, "subject" or null, "key"]`.
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
  readonly version: string;
  readonly expiresAt: number;
  readonly subject?: string;
}

/** What was found under the name of a record: a record, or where one was. */
export type Found = FoundRecord | Grave;

/** A record that was found. */
export interface FoundRecord {
  readonly key: string;
  readonly sequence: number;
  readonly record: StoredRecord & { readonly revision: NatsRevision };
  /** Whether the store has written it. */
  readonly isOurs: boolean;
}

/** Where a record was. */
export interface Grave {
  readonly key: string;
  readonly sequence: number;
  readonly record: undefined;
  /** Since when, by the clock of whoever deleted it. */
  readonly since: number;
  readonly subject?: string | undefined;
}

const DAY = 86_400_000;
const FORM = /^([12])(\[[^\n]*\])\n/;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A record as bytes. */
export function messageOf(name: string, key: string, record: StoredRecord): Uint8Array {
  const { version, subject = null, value } = record;
  const expiresAt = Math.min(record.expiresAt, Number.MAX_SAFE_INTEGER);
  const isPlain = !/\p{Surrogate}/u.test(value);
  const header = JSON.stringify([version, expiresAt, subject, ...keyFor(name, key)]);
  return utf8(`${isPlain ? "1" : "2"}${header}\n${isPlain ? value : JSON.stringify(value)}`);
}

/** A grave as bytes. */
export function graveOf(name: string, key: string, now: number, subject: string | undefined): Uint8Array {
  return utf8(`0${JSON.stringify([now, subject ?? null, ...keyFor(name, key)])}`);
}

function keyFor(name: string, key: string): readonly string[] {
  return textOf(RECORDS, name) === key ? [] : [key];
}

/** The token of a record that was written as message `sequence`. */
export function revisionOf(sequence: number, { version, expiresAt, subject }: StoredRecord): NatsRevision {
  return Object.freeze({ sequence, version, expiresAt, ...(subject === undefined ? {} : { subject }) });
}

/** A token that came back; undefined for none, and for another store's. */
export function revisionIn({ revision }: StoredRecord): NatsRevision | undefined {
  const found = (revision ?? {}) as Partial<NatsRevision>;
  const isOurs =
    typeof found.sequence === "number" && typeof found.version === "string" && typeof found.expiresAt === "number";
  return isOurs ? (found as NatsRevision) : undefined;
}

/** What a message says. One that the store has not written is a record with its text as value (see the contract). */
export function foundIn(kept: Kept, now: number): Found {
  const { name, sequence, at, bytes, isMarker } = kept;
  const text = decoder.decode(bytes);
  if (isMarker || text.startsWith("0[")) return graveIn(name, sequence, text, at);
  const [header, form, fields] = FORM.exec(text) ?? [];
  const [version, expiresAt, subject, key] = listIn(fields);
  const value = header === undefined ? undefined : text.slice(header.length);
  const raw = form === "2" ? jsonIn(value) : value;
  const isOurs = typeof version === "string" && typeof expiresAt === "number" && typeof raw === "string";
  const found: StoredRecord = isOurs
    ? { version, expiresAt, value: raw, ...(typeof subject === "string" ? { subject } : {}) }
    : { version: "", expiresAt: now + DAY, value: text };
  const record = { ...found, revision: revisionOf(sequence, found) };
  return { key: keyOf(name, key), sequence, record, isOurs };
}

function graveIn(name: string, sequence: number, text: string, at: number): Grave {
  const [since, subject, key] = listIn(text.slice(1));
  return {
    key: keyOf(name, key),
    sequence,
    record: undefined,
    since: typeof since === "number" ? since : at,
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
