/**
 * base64url without padding (RFC 4648 §5), canonical form only: one byte string has exactly one text.
 *
 * @module
 */

const NativeBuffer = (globalThis as { Buffer?: typeof Buffer }).Buffer;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** Bytes as text. */
export function encodeBase64url(bytes: Uint8Array): string {
  return NativeBuffer === undefined
    ? encodePortably(bytes)
    : NativeBuffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64url");
}

/** The UTF-8 of a text as text. */
export function encodeTextBase64url(text: string): string {
  return NativeBuffer === undefined
    ? encodePortably(new TextEncoder().encode(text))
    : NativeBuffer.from(text).toString("base64url");
}

/** Text as bytes; undefined for anything that {@link encodeBase64url} does not write. */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (NativeBuffer === undefined) return decodePortably(text);
  // Buffer forgives foreign characters and stray bits; what it writes itself is canonical, so the way back tells.
  const bytes = NativeBuffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}

/** {@link encodeBase64url} for runtimes without `Buffer`. */
export function encodePortably(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const word = ((bytes[i] as number) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    for (let shift = 18, n = Math.min(left, 3) + 1; n > 0; n--, shift -= 6) text += ALPHABET[(word >> shift) & 63];
  }
  return text;
}

/** {@link decodeBase64url} for runtimes without `Buffer`. */
export function decodePortably(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 4 === 1) return undefined;
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4));
  let word = 0;
  let bits = 0;
  let at = 0;
  for (const character of text) {
    const value = ALPHABET.indexOf(character);
    if (value === -1) return undefined;
    word = ((word << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = (word >> bits) & 0xff;
    }
  }
  return (word & ((1 << bits) - 1)) === 0 ? bytes : undefined;
}
