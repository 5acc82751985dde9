/**
 * The exact reading of a `Cookie` header: what a browser put in comes out, byte by byte, and nothing else does.
 *
 * Where readers of cookies are lenient, attackers live: a reader that trims more than the browser does takes
 * `\u00a0__Host-user` for a prefixed cookie, one that understands quotes reads across the `;` of a neighbour, one that
 * decodes names finds prefixes that the browser never saw.
 *
 * @module
 */

import { isBlank, trimmedSlice } from "./wire-syntax.ts";

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const NONE: readonly string[] = Object.freeze([]);

/**
 * The distinct values that a `Cookie` header has under one name, in their order, at most `max`.
 *
 * Pairs end at `;` and nowhere else. The first `=` of a pair divides it; a pair without one has no name and is not ours.
 * Only SP and HTAB around name and value are dropped (RFC 6265bis §5.6). Names are compared exactly. Nothing is decoded or
 * unquoted. One pass, no copy of anything but the values found, and no input makes it throw.
 *
 * @param name A cookie name: not empty, and without `;`, `=`, spaces and tabs.
 */
export function readCookie(header: string | undefined, name: string, max: number): readonly string[] {
  if (header === undefined) return NONE;
  let values: string[] | undefined;
  // Each round leaves the pair in which the name was found, so every pair is looked at once at most.
  for (let at = header.indexOf(name); at !== -1 && (values?.length ?? 0) < max;) {
    const found = header.indexOf(";", at);
    const end = found === -1 ? header.length : found;
    const equals = startsPair(header, at) ? equalsAfter(header, at + name.length) : -1;
    if (equals !== -1) {
      const value = trimmedSlice(header, equals + 1, end);
      if (values === undefined) values = [value];
      else if (!values.includes(value)) values.push(value);
    }
    at = header.indexOf(name, end + 1);
  }
  return values ?? NONE;
}

function startsPair(header: string, at: number): boolean {
  let before = at - 1;
  while (isBlank(header.charCodeAt(before))) before--;
  return before === -1 || header.charCodeAt(before) === SEMICOLON;
}

/** Where the `=` is that ends a name which ends at `at`; -1 when the name goes on, or no `=` comes. */
function equalsAfter(header: string, at: number): number {
  let next = at;
  while (isBlank(header.charCodeAt(next))) next++;
  return header.charCodeAt(next) === EQUALS ? next : -1;
}
