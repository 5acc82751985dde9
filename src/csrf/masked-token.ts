/**
 * CSRF tokens: the session's secret under a mask that is new each time, so that a page that is compressed together with what
 * an attacker makes it echo does not give the token away, letter by letter (BREACH).
 *
 * @module
 */
import { decodeBase64url, encodeBase64url } from "../internal/base64url.ts";
import { concat, equalBytes } from "../internal/bytes.ts";
import { randomBytes } from "../internal/crypto.ts";

/** base64url(mask ‖ mask ⊕ secret). Throws a `TypeError` when the secret is not base64url. */
export function maskedToken(secret: string): string {
  const bytes = decodeBase64url(secret);
  if (bytes === undefined) throw new TypeError("the secret of the session's CSRF tokens is not base64url");
  const mask = randomBytes(bytes.length);
  return encodeBase64url(concat(mask, xor(mask, bytes)));
}

/** Whether a token was made of this secret; in a time that does not depend on how much of it is right. */
export function isTokenOf(secret: string, token: string): boolean {
  const expected = decodeBase64url(secret);
  const bytes = decodeBase64url(token);
  if (expected === undefined || expected.length === 0 || bytes?.length !== expected.length * 2) return false;
  const mask = bytes.subarray(0, expected.length);
  return equalBytes(xor(mask, bytes.subarray(expected.length)), expected);
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, at) => byte ^ (b[at] ?? 0));
}
