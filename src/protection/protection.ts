/**
 * The protection contract: what makes a token trustworthy that contains the session itself.
 *
 * @module
 */
import type { MaybePromise } from "../internal/maybe-promise.ts";
import type { KeyRing } from "./key-ring.ts";

/** What a protected text is bound to: a token made for one purpose, name or audience is worth nothing to another. */
export interface ProtectionContext {
  /** `"session"`, or another use of the same keys such as `"idle"`. */
  readonly purpose: string;
  /** The definition's name. */
  readonly name: string;
  /** The definition's audience; empty when it has none. */
  readonly audience: string;
  /** The definition's keys, when it has some. */
  readonly keys: KeyRing | undefined;
  /** Milliseconds since the epoch. */
  now(): number;
}

/** A token that was opened. */
export interface Unprotected {
  readonly text: string;
  /** Whether it was made with another key than the one that protects now, so that it should be issued again. */
  readonly outdated: boolean;
}

/** A protection in the service of one definition and purpose. */
export interface Protector {
  /** Whether a token that was opened is remembered, and brings the very same object again. Default false. */
  readonly returnsSame?: boolean;
  /** Turns a text into a token of characters that are safe in a cookie and a header: `A-Z a-z 0-9 - _ .` */
  protect(text: string): MaybePromise<string>;
  /** The text of a token; undefined for anything that {@link protect} did not make with a key still in the ring. Never throws. */
  unprotect(token: string): MaybePromise<Unprotected | undefined>;
}

/** What makes a token trustworthy: `seal()`, `sign()`. An app may write its own. */
export interface Protection {
  /** What it is, for messages and `describe()`: `"seal"`, `"sign"`, … */
  readonly kind: string;
  /** Takes the protection into the service of a definition. Throws a `TypeError` when it lacks what it needs, such as keys. */
  bind(context: ProtectionContext): Protector;
}
