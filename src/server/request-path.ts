/**
 * Paths of requests. There is one way to write a path, and every other one is refused: what a proxy in front of the server took
 * a path for, and what it is taken for here, are never two things.
 *
 * @module
 */
import { Refusal } from "./endpoint.ts";

const [DOUBLE_QUOTE, HASH, SLASH, LESS, GREATER, BACKSLASH, CARET, BACKTICK, BRACE, BRACE_END, BAR] = [
  ...'"#/<>\\^`{}|',
].map((sign) => sign.charCodeAt(0));

/** What RFC 3986 has in no path. */
const NOT_IN_PATHS = new Set([DOUBLE_QUOTE, HASH, LESS, GREATER, BACKSLASH, CARET, BACKTICK, BRACE, BRACE_END, BAR]);

/** What most paths are: nothing in them needs a closer look. */
const PLAIN = /^(?:\/[\w-]+)+$/;

/**
 * The segments of a path that begins with `/`, percent-decoded. Throws a {@link Refusal} (400, `bad-path`) for one with a
 * segment that is empty, `.` or `..`, or has a `/`, a `\` or a control character, however they are written.
 */
export function segmentsOf(path: string): readonly string[] {
  if (PLAIN.test(path)) return path.slice(1).split("/");
  if (path.charCodeAt(0) !== SLASH) throw badPath("a path begins with /");
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code <= 0x20 || code >= 0x7f || NOT_IN_PATHS.has(code)) throw badPath("write that character as %XX");
  }
  const segments = path.slice(1).split("/");
  for (const [i, segment] of segments.entries()) segments[i] = checked(decoded(segment));
  return segments;
}

function decoded(segment: string): string {
  if (!segment.includes("%")) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    throw badPath("a % is not followed by what it takes");
  }
}

/** Control characters, and what would begin another segment for somebody else. */
// oxlint-disable-next-line no-control-regex -- those are what is looked for
const NOT_IN_SEGMENTS = /[\u0000-\u001f\u007f/\\]/;

function checked(segment: string): string {
  if (segment === "" || segment === "." || segment === "..") throw badPath("a segment is empty, . or ..");
  if (NOT_IN_SEGMENTS.test(segment)) throw badPath("a segment has a slash, a backslash or a control character");
  return segment;
}

function badPath(why: string): Refusal {
  return new Refusal(400, "bad-path", `The path cannot be read: ${why}.`);
}
