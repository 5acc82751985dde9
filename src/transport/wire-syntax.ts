/**
 * What the headers that carry tokens have in common: which texts may stand in them, and what is around them.
 *
 * @module
 */

const SPACE = 0x20;
const TAB = 0x09;
const FIELD_TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const SESSION_TOKEN = /^[\w.-]+$/;

/** Whether a text is a `token` of RFC 9110 §5.6.2: what names of headers and cookies are made of. */
export function isFieldToken(text: unknown): text is string {
  return typeof text === "string" && FIELD_TOKEN.test(text);
}

/**
 * Throws a `TypeError` for a session token with characters that a protection must not use: the last check before a
 * foreign protection's text becomes part of a header.
 */
export function requireTokenSyntax(token: string): void {
  if (SESSION_TOKEN.test(token)) return;
  throw new TypeError("a token may not be empty, and may only contain A-Z a-z 0-9 - _ . (see Protector.protect)");
}

/** Whether a character is one of the two that HTTP and browsers drop around a value. JavaScript's `trim()` drops more. */
export function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** A part of a text without the blanks around it. */
export function trimmedSlice(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}
