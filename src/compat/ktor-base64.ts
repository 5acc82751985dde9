/**
 * base64 with padding (RFC 4648 §4), canonical form only.
 *
 * @module
 */
import { decodeBase64url, encodeBase64url } from "../internal/base64url.ts";

/** Bytes as text. */
export function encodeBase64(bytes: Uint8Array): string {
  const text = encodeBase64url(bytes).replaceAll("-", "+").replaceAll("_", "/");
  return text.padEnd(Math.ceil(text.length / 4) * 4, "=");
}

/** Text as bytes; undefined for anything that {@link encodeBase64} does not write. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  const match = /^([A-Za-z0-9+/]*)={0,2}$/.exec(text);
  if (match === null || text.length % 4 !== 0) return undefined;
  const [, digits = ""] = match;
  return decodeBase64url(digits.replaceAll("+", "-").replaceAll("/", "_"));
}
