/**
 * What the token of a session by value says, as text: everything that is known of the session.
 *
 * @module
 */
import { isPlainObject, parseJson } from "../internal/json.ts";
import { isFlash, type Content } from "./record.ts";

/** What a token says of a session. */
export interface Payload {
  readonly id: string;
  /** When the token was made, in milliseconds since the epoch. */
  readonly issuedAt: number;
  readonly content: Content;
  /** The revocation epoch, for a session with a subject. */
  readonly epoch: string | undefined;
}

/** How a payload is written, and read back. */
export interface Envelope {
  write(payload: Payload): string;
  /** Undefined for a text that is not of this form. Never throws. */
  read(text: string, now: number): Payload | undefined;
}

/** All of the payload, as JSON. */
export const WHOLE: Envelope = { write: textOf, read: payloadOf };

/** Short names: every byte travels with every request. */
interface Written {
  i: string;
  t: number;
  c: number;
  a?: number | undefined;
  u?: string | undefined;
  k?: string | undefined;
  e?: string | undefined;
  x?: string | undefined;
  f?: [id: string, name: string, value: unknown][] | undefined;
  d?: unknown;
}

function textOf({ id, issuedAt, content, epoch }: Payload): string {
  const { data, flash, subject, level, createdAt, authenticatedAt, csrf } = content;
  const written: Written = { i: id, t: issuedAt, c: createdAt };
  if (authenticatedAt !== undefined) written.a = authenticatedAt;
  if (subject !== undefined) written.u = subject;
  if (level !== undefined) written.k = level;
  if (epoch !== undefined) written.e = epoch;
  if (csrf !== undefined) written.x = csrf;
  if (flash.length > 0) written.f = flash.map(({ id: at, name, value }) => [at, name, value]);
  if (data !== undefined) written.d = data;
  return JSON.stringify(written);
}

function payloadOf(text: string): Payload | undefined {
  const written = parsed(text);
  if (!isWritten(written)) return undefined;
  const {
    i: id,
    t: issuedAt,
    c: createdAt,
    a: authenticatedAt,
    u: subject,
    k: level,
    e: epoch,
    x: csrf,
    f = [],
    d: data,
  } = written;
  const flash = f.map(([at, name, value]) => ({ id: at, name, value }));
  return { id, issuedAt, epoch, content: { data, flash, subject, level, createdAt, authenticatedAt, csrf } };
}

function isWritten(value: unknown): value is Written {
  if (!isPlainObject(value)) return false;
  const { i, t, c, a, u, k, e, x, f } = value as Partial<Record<keyof Written, unknown>>;
  return (
    typeof i === "string" &&
    typeof t === "number" &&
    typeof c === "number" &&
    (a === undefined || typeof a === "number") &&
    [u, k, e, x].every((entry) => entry === undefined || typeof entry === "string") &&
    isFlash(f)
  );
}

/** What an idle clock says. */
export function idleTextOf(id: string, now: number): string {
  return JSON.stringify([id, now]);
}

/** When the session was last used, as its idle clock says; undefined for the clock of another session. */
export function idleTimeOf(text: string, id: string): number | undefined {
  const written = parsed(text);
  return Array.isArray(written) && written[0] === id && typeof written[1] === "number" ? written[1] : undefined;
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
