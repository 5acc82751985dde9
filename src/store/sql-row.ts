/**
 * Records as rows, and back.
 *
 * Keys and subjects that are too long for an index are kept as a hash; then what they are in full is in a column of its own.
 *
 * @module
 */
import { hex, utf8 } from "../internal/bytes.ts";
import { nodeCrypto, primitives } from "../internal/crypto.ts";
import { chain, type MaybePromise } from "../internal/maybe-promise.ts";
import { fromSql, HASHED, toSql } from "./sql-text.ts";
import type { StoredRecord } from "./store.ts";

/** A row to be written. Every text in it is one that any SQL database keeps. */
export interface SqlRow {
  readonly key: string;
  readonly version: string;
  /** Milliseconds, perhaps with a fraction: a column of double precision. */
  readonly expiresAt: number;
  readonly subject: string | null;
  readonly value: string;
  /** Key and subject in full, as JSON, when one of them is too long for an index; null for nearly every row. */
  readonly long: string | null;
}

/** The columns of a key, as a driver returns them. */
export interface KeyColumns {
  readonly key: string;
  readonly subject: string | null;
  readonly long?: string | null;
}

/** The columns of a record, as a driver returns them; somebody else may have written them. */
export interface RecordColumns {
  readonly version: unknown;
  readonly expires_at: unknown;
  readonly subject: string | null;
  readonly value: unknown;
  readonly long?: string | null;
}

/** All columns, as a driver returns them. */
export type RowColumns = KeyColumns & RecordColumns;

/** What there is to know of a row without its session. */
export interface RowKey {
  readonly key: string;
  readonly subject: string | undefined;
}

/** Far enough in the future for whoever is shown a row that cannot be understood. */
const DAY = 86_400_000;

const { sha256 } = primitives(nodeCrypto);

/** A key or a subject as it is kept. `longest`: how many bytes an index takes. */
export function heldText(text: string, longest: number): MaybePromise<string> {
  const kept = toSql(text);
  if (kept.length * 3 <= longest || utf8(kept).length <= longest) return kept;
  return chain(sha256(utf8(kept)), (digest) => HASHED + hex(digest));
}

/** A record as a row. */
export function rowOf(key: string, record: StoredRecord, longest: number): MaybePromise<SqlRow> {
  const { version, expiresAt, subject, value } = record;
  return chain(heldText(key, longest), (heldKey) =>
    chain(subject === undefined ? null : heldText(subject, longest), (heldSubject) => ({
      key: heldKey,
      version: toSql(version),
      expiresAt,
      subject: heldSubject,
      value: toSql(value),
      long: longTexts(isHeldAsHash(heldKey) ? key : undefined, isHeldAsHash(heldSubject) ? subject : undefined),
    })),
  );
}

/** Whether a kept text does not say what the text was. */
export function isHeldAsHash(held: string | null): boolean {
  return held?.startsWith(HASHED) === true;
}

function longTexts(key: string | undefined, subject: string | undefined): string | null {
  return key === undefined && subject === undefined ? null : JSON.stringify({ key, subject });
}

/** Key and subject of a row. */
export function keyOf({ key, ...others }: KeyColumns): RowKey {
  const full = typeof others.long === "string" ? textsIn(others.long).key : undefined;
  return { key: full ?? fromSql(String(key)), subject: subjectOf(others) };
}

function subjectOf({ subject, long }: Pick<KeyColumns, "subject" | "long">): string | undefined {
  if (typeof subject !== "string") return undefined;
  return (typeof long === "string" ? textsIn(long).subject : undefined) ?? fromSql(subject);
}

function textsIn(long: string): { readonly key?: string; readonly subject?: string } {
  try {
    const { key, subject } = Object(JSON.parse(long)) as { key?: unknown; subject?: unknown };
    return {
      ...(typeof key === "string" ? { key } : {}),
      ...(typeof subject === "string" ? { subject } : {}),
    };
  } catch {
    return {};
  }
}

/** A row as a record. One that somebody has written otherwise than the store does comes back as text. */
export function recordOf(row: RecordColumns, now: number): StoredRecord {
  const { version, expires_at: end, value } = row;
  const expiresAt = Number(end);
  if (typeof value !== "string" || typeof version !== "string" || Number.isNaN(expiresAt)) {
    return { version: String(version), expiresAt: now + DAY, value: String(value) };
  }
  const subject = subjectOf(row);
  if (subject === undefined) return { version: fromSql(version), expiresAt, value: fromSql(value) };
  return { version: fromSql(version), expiresAt, value: fromSql(value), subject };
}
