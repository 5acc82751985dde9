/**
 * A transform of Ktor's as a protection of ours.
 *
 * @module
 */
import { decodeBase64url, encodeBase64url } from "../internal/base64url.ts";
import { utf8 } from "../internal/bytes.ts";
import { chain, type MaybePromise } from "../internal/maybe-promise.ts";
import type { Protection, ProtectionContext, Unprotected } from "../protection/protection.ts";
import { textOf, type KtorTransform } from "./ktor-text.ts";

/**
 * Both a text codec (`read`, `write`: the text as a Ktor server has it) and a `Protection` for a `defineSession` without a
 * store.
 *
 * As a protection the text travels as base64url, because a token may only have the characters of one: for the value that a Ktor
 * server reads take `ktorCookieSession()`, or `ktorHeaderSession()`.
 *
 * Unlike ours, Ktor's formats are bound to nothing: a token of one definition, audience or deployment is good for every other
 * with the same key, and there is no key ring. So give each definition a key of its own. They have no second purpose either:
 * `idleTimeout` must be off.
 */
export interface KtorProtection extends KtorTransform, Protection {
  /** As `read`, and whether the text came in a layout that is no longer written. */
  open(text: string): MaybePromise<Unprotected | null>;
}

/** What a transform needs to be both. */
export interface KtorProtectionParts {
  readonly kind: string;
  /** The text, and whether it came in a layout that is no longer written. */
  open(text: string): MaybePromise<Unprotected | null>;
  write(text: string): MaybePromise<string>;
}

/** Makes one of its parts. */
export function ktorProtection({ kind, open, write }: KtorProtectionParts): KtorProtection {
  return Object.freeze({
    kind,
    open,
    read: (text: string) => chain(open(text), (opened) => opened?.text ?? null),
    write,
    bind({ purpose }: ProtectionContext) {
      if (purpose !== "session") {
        throw new TypeError(
          `${kind}() protects sessions only, and not their ${purpose} clock, which Ktor does not have: leave idleTimeout off`,
        );
      }
      return {
        protect: (text: string) => chain(write(text), (written) => encodeBase64url(utf8(written))),
        unprotect(token: string): MaybePromise<Unprotected | undefined> {
          const bytes = decodeBase64url(token);
          const text = bytes === undefined ? null : textOf(bytes);
          return text === null ? undefined : chain(open(text), (opened) => opened ?? undefined);
        },
      };
    },
  });
}
