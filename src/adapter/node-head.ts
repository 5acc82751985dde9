/**
 * Status and headers of a response of Node, changed in ways that suit both `node:http` and `node:http2`.
 *
 * @module
 */
import { applyEdits } from "../internal/header-edits.ts";
import type { HeaderEdit } from "../transport/transport.ts";

type HeaderValue = number | string | readonly string[];
type Headers = Record<string, HeaderValue | undefined>;

/** The head of a response: the part of both kinds that is used here. */
export interface Head {
  statusCode: number;
  statusMessage: string | undefined;
  readonly headersSent: boolean;
  getHeader(name: string): HeaderValue | undefined;
  getHeaders(): Headers;
  getHeaderNames(): string[];
  setHeader(name: string, value: HeaderValue): unknown;
  removeHeader(name: string): void;
}

/** How a head looked at some time. */
export interface Snapshot {
  readonly statusCode: number;
  readonly statusMessage: string | undefined;
  readonly headers: Headers;
  /** HTTP/2 has no status message and warns of whoever looks at it. */
  readonly hasMessage: boolean;
}

/** Remembers a head. */
export function snapshotOf(head: Head, http2: boolean): Snapshot {
  const hasMessage = !http2;
  const headers = head.getHeaders();
  // Node appends to the very array that a header was set to.
  for (const name in headers) {
    const value = headers[name];
    if (typeof value === "object") headers[name] = [...value];
  }
  return {
    statusCode: head.statusCode,
    statusMessage: hasMessage ? head.statusMessage : undefined,
    headers,
    hasMessage,
  };
}

/** What makes no sense beside another body. */
const ABOUT_THE_BODY = [
  "Content-Disposition",
  "Content-Encoding",
  "Content-Language",
  "Content-Length",
  "Content-Location",
  "Content-Range",
  "ETag",
  "Last-Modified",
  "Location",
  "Trailer",
  "Transfer-Encoding",
];

/** Makes a head as it was; without a snapshot, takes away what is about the body. */
export function restore(head: Head, before: Snapshot | undefined): void {
  for (const name of before === undefined ? ABOUT_THE_BODY : head.getHeaderNames()) head.removeHeader(name);
  if (before === undefined) return;
  for (const [name, value] of Object.entries(before.headers)) if (value !== undefined) head.setHeader(name, value);
  head.statusCode = before.statusCode;
  if (before.hasMessage) head.statusMessage = before.statusMessage;
}

/** Applies header edits, unless it is too late. */
export function edit(head: Head, edits: readonly HeaderEdit[]): void {
  if (edits.length === 0 || head.headersSent) return;
  applyEdits(edits, {
    get: (name) => textOf(head.getHeader(name)),
    set: (name, value) => void head.setHeader(name, value),
    append: (name, value) => append(head, name, value),
  });
}

/**
 * Sets what `writeHead` was given, so that our edits find it and have the last word. Returns the arguments that are left.
 */
export function setFromWriteHead(head: Head, args: readonly unknown[]): unknown[] {
  const [status, second, third] = args;
  const reason = typeof second === "string" ? second : undefined;
  const headers = reason === undefined ? (third ?? second) : third;
  if (typeof status === "number") head.statusCode = status;
  if (Array.isArray(headers)) setPairs(head, headers as unknown[]);
  else if (typeof headers === "object" && headers !== null) {
    for (const [name, value] of Object.entries(headers)) head.setHeader(name, value as HeaderValue);
  }
  return reason === undefined ? [status] : [status, reason];
}

/** Headers as a list of names and values, flat or in pairs, in which a name may come twice. */
function setPairs(head: Head, list: unknown[]): void {
  const pairs = Array.isArray(list[0])
    ? list
    : list.flatMap((name, at) => (at % 2 === 0 ? [[name, list[at + 1]]] : []));
  const seen = new Set<string>();
  for (const [name, value] of pairs as [string, HeaderValue][]) {
    if (seen.has(name.toLowerCase())) append(head, name, value);
    else head.setHeader(name, value);
    seen.add(name.toLowerCase());
  }
}

/** Not by `appendHeader`, which pushes to the array that the app set: if that is a constant, to those of all requests. */
function append(head: Head, name: string, value: HeaderValue): void {
  const existing = head.getHeader(name);
  head.setHeader(name, existing === undefined ? value : [...linesOf(existing), ...linesOf(value)]);
}

function linesOf(value: HeaderValue): readonly string[] {
  return typeof value === "object" ? value : [String(value)];
}

function textOf(value: HeaderValue | undefined): string | undefined {
  return value === undefined ? undefined : linesOf(value).join(", ");
}
