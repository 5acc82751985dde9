/**
 * The files of `directoryStore`: a line of JSON that says what it is, and the value as it is.
 *
 * @module
 */
import type { StoredRecord } from "./store.ts";

/** What a file says. `unreadable`: it is not one of ours, or not all of it. */
export type FileContent =
  | { readonly kind: "record"; readonly record: StoredRecord }
  | { readonly kind: "tombstone" }
  | { readonly kind: "unreadable"; readonly text: string };

/** The first line. */
interface Head {
  /** The version of this format. */
  readonly coatcheck: 1;
  /** The key; the path cannot always be read back. */
  readonly key: string;
  readonly deleted?: true;
  readonly version?: string;
  /** Null: never. JSON knows no Infinity. */
  readonly expiresAt?: number | null;
  readonly subject?: string;
  /** How long the value is, so that half a file is not taken for a whole one. */
  readonly length?: number;
  /** Set when the value is written as JSON, because UTF-8 cannot write it (half of a surrogate pair). */
  readonly quoted?: true;
}

/** The file of a record. */
export function recordFile(key: string, { version, expiresAt, subject, value }: StoredRecord): string {
  const quoted = /\p{Surrogate}/u.test(value);
  const head: Head = {
    coatcheck: 1,
    key,
    version,
    expiresAt: expiresAt === Infinity ? null : expiresAt,
    ...(subject === undefined ? {} : { subject }),
    length: value.length,
    ...(quoted ? { quoted } : {}),
  };
  return `${JSON.stringify(head)}\n${quoted ? JSON.stringify(value) : value}`;
}

/** The file that says that the record before it was deleted. */
export function tombstoneFile(key: string): string {
  return `${JSON.stringify({ coatcheck: 1, key, deleted: true } satisfies Head)}\n`;
}

/** What a file says, and of which key, if that can be read. */
export interface ParsedFile {
  readonly key: string | undefined;
  readonly content: FileContent;
}

/** Reads a file. Never throws. */
export function parseFile(text: string): ParsedFile {
  const end = text.indexOf("\n");
  const head = end === -1 ? undefined : parseHead(text.slice(0, end));
  if (head === undefined) return { key: undefined, content: { kind: "unreadable", text } };
  if (head.deleted === true) return { key: head.key, content: { kind: "tombstone" } };
  const record = parseRecord(head, text.slice(end + 1));
  return { key: head.key, content: record === undefined ? { kind: "unreadable", text } : { kind: "record", record } };
}

function parseHead(line: string): Head | undefined {
  const head = parseJson(line) as Partial<Head> | null | undefined;
  return head?.coatcheck === 1 && typeof head.key === "string" ? (head as Head) : undefined;
}

function parseRecord({ version, expiresAt, subject, length, quoted }: Head, rest: string): StoredRecord | undefined {
  const value = quoted === true ? parseJson(rest) : rest;
  const end = expiresAt === null ? Infinity : expiresAt;
  if (typeof version !== "string" || typeof end !== "number") return undefined;
  if (typeof value !== "string" || value.length !== length) return undefined;
  return { version, expiresAt: end, ...(typeof subject === "string" ? { subject } : {}), value };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
