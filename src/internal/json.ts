/**
 * Data that survives JSON.
 *
 * @module
 */
import { SessionError } from "../errors.ts";

/** What JSON can say. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

const DEEPEST = 100;

/**
 * A copy that shares nothing with the value and is what JSON would make of it: keys that are `undefined` are left out.
 * Throws a `TypeError` that names the place of anything JSON would lose or change (a Date, a Map, a class, NaN), never its
 * content. A key `__proto__` is left out: nobody needs it but an attacker.
 */
export function copyJson(value: unknown, path: string): JsonValue {
  const copy = copied(value, undefined, false, 0);
  if (copy === NO_JSON) throw complaint(value, path, 0);
  return copy;
}

/**
 * As {@link copyJson}, and frozen through and through. `known` is such a copy from before: what the value still has of it is
 * taken as it is, so that a counter in a session of 100 kB costs what a counter costs.
 */
export function frozenJson(value: unknown, path: string, known?: unknown): JsonValue {
  const copy = copied(value, known, true, 0);
  if (copy === NO_JSON) throw complaint(value, path, 0);
  return copy;
}

const NO_JSON: unique symbol = Symbol("no JSON");

/** Where something is wrong is found out by {@link complaint}: paths are not made for the sake of what is right. */
function copied(value: unknown, known: unknown, frozen: boolean, depth: number): JsonValue | typeof NO_JSON {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  // JSON knows no -0: what is kept has to be what will be read.
  if (typeof value === "number") return !Number.isFinite(value) ? NO_JSON : value === 0 ? 0 : value;
  if (typeof value !== "object" || depth > DEEPEST) return NO_JSON;
  // Nobody else has frozen objects of ours, and those are frozen through and through.
  if (value === known && Object.isFrozen(value)) return value as JsonValue;
  const copy = Array.isArray(value) ? copiedArray(value, frozen, depth) : copiedObject(value, known, frozen, depth);
  return frozen && copy !== NO_JSON ? Object.freeze(copy) : copy;
}

function copiedArray(value: readonly unknown[], frozen: boolean, depth: number): JsonValue | typeof NO_JSON {
  const copy: JsonValue[] = [];
  for (const entry of value) {
    const part = copied(entry, undefined, frozen, depth + 1);
    if (part === NO_JSON) return NO_JSON;
    copy.push(part);
  }
  return copy;
}

function copiedObject(value: object, known: unknown, frozen: boolean, depth: number): JsonValue | typeof NO_JSON {
  if (!isPlainObject(value)) return NO_JSON;
  const before = typeof known === "object" && known !== null ? (known as Record<string, unknown>) : NOTHING;
  const copy: Record<string, JsonValue> = {};
  for (const key of Object.keys(value)) {
    const entry = value[key];
    if (entry === undefined || key === "__proto__") continue;
    const part = copied(entry, before[key], frozen, depth + 1);
    if (part === NO_JSON) return NO_JSON;
    copy[key] = part;
  }
  return copy;
}

const NOTHING: Readonly<Record<string, unknown>> = Object.freeze({});

/** What to say of a value that JSON would lose or change. */
function complaint(value: unknown, path: string, depth: number): Error {
  if (typeof value === "object" && value !== null) {
    if (depth > DEEPEST) return tooDeep(path.slice(0, 60));
    const isArray = Array.isArray(value);
    if (isArray || isPlainObject(value)) {
      for (const [key, entry] of Object.entries(value)) {
        if ((!isArray && entry === undefined) || key === "__proto__") continue;
        if (copied(entry, undefined, false, depth + 1) !== NO_JSON) continue;
        return complaint(entry, isArray ? `${path}[${key}]` : `${path}.${key}`, depth + 1);
      }
    }
  }
  return new TypeError(`${path} must survive JSON, and ${kindOf(value)} does not`);
}

/** Clients can send such data, so it is not a mistake of the program alone. */
function tooDeep(path: string): SessionError {
  const message = `${path}… is nested deeper than ${DEEPEST} levels, or contains itself`;
  return new SessionError("ERR_SESSION_INVALID_DATA", message, { status: 422 });
}

function kindOf(value: unknown): string {
  if (typeof value === "number") return "NaN or an infinity";
  if (typeof value !== "object" || value === null) return `a ${typeof value}`;
  const name: unknown = value.constructor?.name;
  return typeof name === "string" && name !== "" ? `an instance of ${name}` : "such an object";
}

/** Whether a value is an object made by `{}` or JSON, not an array and not of a class. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return true;
  // An object of another realm (a vm context, a test runner's sandbox) has that realm's Object.prototype.
  return (
    typeof prototype === "object" && Object.getPrototypeOf(prototype) === null && "isPrototypeOf" in (prototype ?? {})
  );
}

/** What others have written may be nested this deep: recursion follows it, to freeze it and to write it again. */
const DEEPEST_READ = 2_000;

/** `JSON.parse` without `__proto__` keys. Throws as it does; a `SyntaxError`, too, for what is nested deeper than 2 000 levels. */
export function parseJson(text: string): unknown {
  if (text.length > DEEPEST_READ && mayBeTooDeep(text) && isTooDeep(text)) throw new SyntaxError("nested too deep");
  // The text may spell the key with escapes, so any backslash sends us through the slow way too.
  const suspicious = text.includes("__proto__") || text.includes("\\u");
  return suspicious
    ? JSON.parse(text, (key, value: unknown) => (key === "__proto__" ? undefined : value))
    : JSON.parse(text);
}

/** What has few brackets cannot be deep, and few have many: the search takes at most a twentieth of what reading does. */
function mayBeTooDeep(text: string): boolean {
  let count = 0;
  for (const bracket of ["[", "{"])
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1))
      if (++count > DEEPEST_READ) return true;
  return false;
}

function isTooDeep(text: string): boolean {
  const withoutTexts = text.replace(/"(?:[^"\\]|\\.)*"/g, "");
  let depth = 0;
  for (const character of withoutTexts) {
    if (character === "[" || character === "{") depth++;
    else if (character === "]" || character === "}") depth--;
    if (depth > DEEPEST_READ) return true;
  }
  return false;
}

/** Freezes JSON data through and through, and returns it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const key of Object.keys(value)) deepFreeze((value as Record<string, unknown>)[key]);
  return Object.freeze(value);
}

/** Whether two JSON values say the same. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameJson((a as never)[key], (b as never)[key]))
  );
}
