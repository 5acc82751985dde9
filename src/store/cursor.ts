/**
 * Cursors of listings that go by the order of a text: the text, as base64url.
 *
 * @module
 */
import { decodeBase64url, encodeBase64url } from "../internal/base64url.ts";
import { fromUtf8, utf8 } from "../internal/bytes.ts";

/** The cursor for a position in the order: a text without halves of surrogate pairs. */
export function cursorAt(position: string): string {
  return encodeBase64url(utf8(position));
}

/** The position of a cursor; undefined for none, and for one that {@link cursorAt} did not write. */
export function positionOf(cursor: string | undefined): string | undefined {
  const bytes = cursor === undefined ? undefined : decodeBase64url(cursor);
  if (bytes === undefined || bytes.length === 0) return undefined;
  try {
    return fromUtf8(bytes);
  } catch {
    // A client made it up: the walk begins anew.
    return undefined;
  }
}
