/**
 * What a request did to its session, as a log that can be replayed on another base (P12). Pure.
 *
 * @module
 */
import { frozenJson, isPlainObject, sameJson } from "../internal/json.ts";
import { emptyContent, type Content, type FlashEntry } from "./record.ts";

/** One thing that a request did. */
export type Verb =
  /** `set` and `patch` of an object: the keys they changed or removed against what they saw. */
  | { readonly kind: "patch"; readonly changed: Readonly<Record<string, unknown>>; readonly removed: readonly string[] }
  /** `set` of data that has no keys to compare, such as an array. */
  | { readonly kind: "replace"; readonly data: unknown }
  | { readonly kind: "update"; readonly change: (data: unknown) => unknown }
  | { readonly kind: "flash"; readonly entry: FlashEntry }
  | { readonly kind: "take-flash"; readonly id: string }
  | {
      readonly kind: "authenticate";
      readonly subject: string;
      readonly level: string | undefined;
      readonly keep: readonly string[];
      readonly at: number;
    }
  | { readonly kind: "regenerate" }
  /** A secret for CSRF tokens, where there is none yet: of two requests that ask at once, the first is heard. */
  | { readonly kind: "csrf"; readonly secret: string };

/** What a session says after some verbs, and what they mean for its secret and id. */
export interface Draft extends Content {
  /** The secret is to be replaced, and why. */
  readonly rotated: "authenticated" | "regenerated" | undefined;
  /** Somebody else signed in: what follows is another session, with an id of its own (P16). */
  readonly separate: boolean;
}

/** How many flash messages are kept: a client that never shows them must not make its session grow. */
const MOST_FLASH = 50;

/** A draft in which nothing has been done yet. */
export function draftOf(content: Content): Draft {
  return { ...content, rotated: undefined, separate: false };
}

/** The draft after one more verb. */
export function apply(draft: Draft, verb: Verb): Draft {
  switch (verb.kind) {
    case "patch":
      return { ...draft, data: patched(draft.data, verb.changed, verb.removed) };
    case "replace":
      return { ...draft, data: verb.data };
    case "update":
      return { ...draft, data: verb.change(draft.data) };
    case "flash":
      return { ...draft, flash: [...draft.flash, verb.entry].slice(-MOST_FLASH) };
    case "take-flash":
      return { ...draft, flash: draft.flash.filter(({ id }) => id !== verb.id) };
    case "authenticate":
      return authenticated(draft, verb);
    case "regenerate":
      return { ...draft, csrf: undefined, rotated: draft.rotated ?? "regenerated" };
    case "csrf":
      return { ...draft, csrf: draft.csrf ?? verb.secret };
  }
}

/** Whether there is nothing to keep: an empty new session is neither stored nor sent (design: invariant 5). */
export function isEmpty({ data, subject, flash, csrf }: Content): boolean {
  return data === undefined && subject === undefined && flash.length === 0 && csrf === undefined;
}

/** A whole log, replayed on another base. */
export function replay(log: readonly Verb[], content: Content): Draft {
  return log.reduce(apply, draftOf(content));
}

/** Whether a verb changes what the handler wrote, and not just who may use the session: such are dropped when it threw (P20). */
export function isDataVerb(verb: Verb): boolean {
  return verb.kind !== "authenticate" && verb.kind !== "regenerate";
}

/** What turns `before` into `after`. */
export function difference(before: unknown, after: unknown): Verb {
  if (!isPlainObject(after) || (before !== undefined && !isPlainObject(before)))
    return { kind: "replace", data: after };
  const old = before ?? {};
  const changed = Object.fromEntries(
    Object.entries(after).filter(([key, value]) => !(Object.hasOwn(old, key) && sameJson(old[key], value))),
  );
  return { kind: "patch", changed, removed: Object.keys(old).filter((key) => !Object.hasOwn(after, key)) };
}

/** What a `patch()` of an application does: `undefined` removes a key (P12). */
export function patchVerb(patch: Readonly<Record<string, unknown>>): Verb {
  const removed = Object.keys(patch).filter((key) => patch[key] === undefined && key !== "__proto__");
  const changed = frozenJson(patch, "session data") as Readonly<Record<string, unknown>>;
  return { kind: "patch", changed, removed };
}

function patched(data: unknown, changed: Readonly<Record<string, unknown>>, removed: readonly string[]): unknown {
  const merged = { ...(isPlainObject(data) ? data : {}), ...changed };
  for (const key of removed) delete merged[key];
  return merged;
}

function authenticated(draft: Draft, verb: Extract<Verb, { kind: "authenticate" }>): Draft {
  const { subject, level, at } = verb;
  const other = draft.subject !== undefined && draft.subject !== subject;
  const content: Content = other ? { ...emptyContent(at), data: kept(draft.data, verb.keep) } : draft;
  return {
    ...content,
    subject,
    level: level ?? content.level,
    authenticatedAt: at,
    csrf: undefined,
    rotated: "authenticated",
    separate: draft.separate || other,
  };
}

function kept(data: unknown, keys: readonly string[]): unknown {
  if (!isPlainObject(data)) return undefined;
  const entries = keys.filter((key) => Object.hasOwn(data, key)).map((key) => [key, data[key]] as const);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}
