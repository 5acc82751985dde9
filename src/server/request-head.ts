/**
 * What the server itself reads of a request's headers.
 *
 * @module
 */
import { Refusal } from "./endpoint.ts";

/** The headers that the server itself looks at, as they came; undefined where there is none. */
export interface RequestHead {
  readonly host: string | undefined;
  readonly authorization: string | undefined;
  readonly origin: string | undefined;
  readonly fetchSite: string | undefined;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** In bytes. */
  readonly contentLength: number | undefined;
  /** Whether a body comes in chunks, and nobody knows how long it is. */
  readonly chunked: boolean;
}

/** Headers of a request at most. */
const MOST_HEADERS = 100;

class Head implements RequestHead {
  host: string | undefined = undefined;
  authorization: string | undefined = undefined;
  origin: string | undefined = undefined;
  fetchSite: string | undefined = undefined;
  contentType: string | undefined = undefined;
  contentEncoding: string | undefined = undefined;
  contentLength: number | undefined = undefined;
  chunked = false;
  /** How many tokens of a session came: read by an endpoint, but never two. */
  token: string | undefined = undefined;
}

/**
 * Reads `rawHeaders` of a request: names and values in turns. Node keeps the first of two `Authorization`, others the last:
 * what counts for a decision may come once only. Throws a {@link Refusal} for those that come twice, and for too many.
 *
 * `req.headers` would be made of all of them at each request; most requests need three.
 */
export function readHead(raw: readonly string[]): RequestHead {
  if (raw.length > 2 * MOST_HEADERS) {
    throw new Refusal(431, "too-many-headers", `A request has ${MOST_HEADERS} headers at most.`);
  }
  const head = new Head();
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    // Most names are of another length than those that are looked for.
    if (LENGTHS[name.length] === true) take(head, name.toLowerCase(), raw[i + 1] as string);
  }
  return head;
}

const LENGTHS: readonly (boolean | undefined)[] = lengthsOf([
  "host",
  "authorization",
  "session-token",
  "origin",
  "sec-fetch-site",
  "content-type",
  "content-encoding",
  "content-length",
  "transfer-encoding",
]);

function lengthsOf(names: readonly string[]): readonly (boolean | undefined)[] {
  const lengths: boolean[] = Array.from({ length: 32 }, () => false);
  for (const { length } of names) lengths[length] = true;
  return lengths;
}

function take(head: Head, name: string, value: string): void {
  switch (name) {
    case "host":
      head.host = once(head.host, value);
      break;
    case "authorization":
      head.authorization = once(head.authorization, value);
      break;
    case "session-token":
      head.token = once(head.token, value);
      // Two that a proxy has made one of.
      if (value.includes(",")) throw twice();
      break;
    case "origin":
      head.origin = once(head.origin, value);
      break;
    case "sec-fetch-site":
      head.fetchSite = once(head.fetchSite, value);
      break;
    case "content-type":
      head.contentType = once(head.contentType, value);
      break;
    case "content-encoding":
      head.contentEncoding = once(head.contentEncoding, value);
      break;
    case "content-length":
      if (head.contentLength !== undefined) throw twice();
      head.contentLength = Number(value);
      break;
    case "transfer-encoding":
      if (head.chunked) throw twice();
      head.chunked = true;
      break;
    default:
  }
}

function once(before: string | undefined, value: string): string {
  if (before !== undefined) throw twice();
  return value;
}

function twice(): Refusal {
  return new Refusal(
    400,
    "duplicate-header",
    "A header that may come once came twice: Authorization, Host, Session-Token, Origin, Sec-Fetch-Site or one of the body's.",
  );
}
