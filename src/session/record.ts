/**
 * What is kept of a session, and how it is written down for a store.
 *
 * @module
 */
import { isPlainObject, parseJson } from "../internal/json.ts";
import type { StoredRecord } from "../store/store.ts";

/** A message that is shown once. */
export interface FlashEntry {
  readonly id: string;
  readonly name: string;
  readonly value: unknown;
}

/** What a session says, whichever way it is kept. */
export interface Content {
  /** The application's data; undefined when there is none yet. */
  readonly data: unknown;
  readonly flash: readonly FlashEntry[];
  readonly subject: string | undefined;
  readonly level: string | undefined;
  readonly createdAt: number;
  readonly authenticatedAt: number | undefined;
  /** What the CSRF tokens of this session are made of; undefined until somebody asks for one. */
  readonly csrf: string | undefined;
}

/** A session kept by id (protocol §1). Times are milliseconds since the epoch, verifiers are hashes of secrets. */
export interface SessionRecord {
  readonly content: Content;
  /** Counts `authenticate` and `regenerate`. */
  readonly generation: number;
  readonly verifier: string;
  /** The next secret, handed out and not yet seen from a client. */
  readonly pending: { readonly nonce: string; readonly verifier: string } | undefined;
  /** The secret before, and when its successor was first seen. */
  readonly retired: { readonly verifier: string; readonly at: number } | undefined;
  readonly secretSince: number;
  /** When the record was last written. */
  readonly lastSeenAt: number;
}

/**
 * What was last read of a session by one token: until somebody writes, a store hands out the same text again. With the token
 * and not in a `WeakMap`, which costs the garbage collector more than reading a record anew.
 */
export interface RecordMemo {
  stored: StoredRecord | undefined;
  record: SessionRecord | undefined;
}

/** A session that says nothing yet. */
export function emptyContent(now: number): Content {
  return {
    data: undefined,
    flash: [],
    subject: undefined,
    level: undefined,
    createdAt: now,
    authenticatedAt: undefined,
    csrf: undefined,
  };
}

/** The written form: short names, and times as distances from `c`, because every byte of it is kept for every session. */
interface Written {
  v: string;
  g?: number;
  c: number;
  a?: number;
  s?: number;
  l?: number;
  p?: [nonce: string, verifier: string];
  r?: [verifier: string, at: number];
  k?: string;
  x?: string;
  f?: [id: string, name: string, value: unknown][];
  d?: unknown;
}

/** A record as text. The subject is not in it: stores keep it beside. */
export function writeRecord(record: SessionRecord): string {
  const { content, pending, retired } = record;
  const since = content.createdAt;
  const written: Written = { v: record.verifier, c: since };
  if (record.generation !== 0) written.g = record.generation;
  if (content.authenticatedAt !== undefined) written.a = content.authenticatedAt - since;
  if (record.secretSince !== since) written.s = record.secretSince - since;
  if (record.lastSeenAt !== since) written.l = record.lastSeenAt - since;
  if (pending !== undefined) written.p = [pending.nonce, pending.verifier];
  if (retired !== undefined) written.r = [retired.verifier, retired.at - since];
  if (content.level !== undefined) written.k = content.level;
  if (content.csrf !== undefined) written.x = content.csrf;
  if (content.flash.length > 0) written.f = content.flash.map(({ id, name, value }) => [id, name, value]);
  if (content.data !== undefined) written.d = content.data;
  return JSON.stringify(written);
}

/** The record of a text; undefined when it is none. Never throws. */
export function readRecord(value: string, subject: string | undefined): SessionRecord | undefined {
  const written = parsed(value);
  if (!isWritten(written)) return undefined;
  const since = written.c;
  const { a, p, r } = written;
  return {
    content: {
      data: written.d,
      flash: (written.f ?? []).map(([id, name, entry]) => ({ id, name, value: entry })),
      subject,
      level: written.k,
      createdAt: since,
      authenticatedAt: a === undefined ? undefined : since + a,
      csrf: written.x,
    },
    generation: written.g ?? 0,
    verifier: written.v,
    pending: p === undefined ? undefined : { nonce: p[0], verifier: p[1] },
    retired: r === undefined ? undefined : { verifier: r[0], at: since + r[1] },
    secretSince: since + (written.s ?? 0),
    lastSeenAt: since + (written.l ?? 0),
  };
}

function parsed(value: string): unknown {
  try {
    return parseJson(value);
  } catch {
    return undefined;
  }
}

function isWritten(value: unknown): value is Written {
  if (!isPlainObject(value)) return false;
  const { v, g, c, a, s, l, p, r, k, x, f, d } = value as Partial<Record<keyof Written, unknown>>;
  return (
    typeof v === "string" &&
    typeof c === "number" &&
    [g, a, s, l].every((entry) => entry === undefined || typeof entry === "number") &&
    (p === undefined || (isTuple(p, 2) && typeof p[0] === "string" && typeof p[1] === "string")) &&
    (r === undefined || (isTuple(r, 2) && typeof r[0] === "string" && typeof r[1] === "number")) &&
    [k, x].every((entry) => entry === undefined || typeof entry === "string") &&
    isFlash(f) &&
    (d === undefined || (typeof d === "object" && d !== null))
  );
}

/** Whether a value is the written form of flash entries, or nothing. */
export function isFlash(value: unknown): value is Written["f"] | undefined {
  if (value === undefined) return true;
  return (
    Array.isArray(value) &&
    value.every((entry) => isTuple(entry, 3) && typeof entry[0] === "string" && typeof entry[1] === "string")
  );
}

function isTuple(value: unknown, length: number): value is unknown[] {
  return Array.isArray(value) && value.length === length;
}
