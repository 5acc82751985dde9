/**
 * What clients of the JSON API send, checked. What is refused says which field is wrong and what it must be, and quotes nothing.
 *
 * @module
 */
import { isPlainObject } from "../internal/json.ts";
import { Refusal, type EndpointCall } from "./endpoint.ts";
import type { Data } from "./session-definitions.ts";

/** The longest subject and level, in UTF-16 code units. */
const LONGEST_SUBJECT = 1000;
const LONGEST_LEVEL = 256;
const MOST_KEYS = 1000;
const LARGEST_PAGE = 1000;

type Fields = Readonly<Record<string, unknown>>;

/** The fields of a body, all of which have one of these names. A request without a body has none. */
export async function fieldsOf(call: EndpointCall, names: readonly string[]): Promise<Fields> {
  const body = await call.body();
  if (body === undefined) return {};
  if (!isPlainObject(body)) throw bad("body", "The body must be a JSON object.");
  // Its names are the client's and could be anything, a token even: they are not quoted.
  if (Object.keys(body).some((name) => !names.includes(name))) {
    throw bad("body", `The body has a field that is none here. Those are ${names.join(", ")}.`);
  }
  return body;
}

/** What is to be kept. */
export function dataOf(value: unknown): Data {
  if (!isPlainObject(value)) throw bad("data", "data must be a JSON object.");
  return value;
}

/** Whose session it is. */
export function subjectOf(value: unknown): string {
  return textOf(value, "subject", LONGEST_SUBJECT);
}

/** How sure the application is. */
export function levelOf(value: unknown): string | undefined {
  return value === undefined ? undefined : textOf(value, "level", LONGEST_LEVEL);
}

/** Keys of the data. */
export function keysOf(value: unknown, field: string): readonly string[] {
  if (value === undefined) return [];
  if (isKeys(value)) return value;
  throw bad(field, `${field} must be a list of at most ${MOST_KEYS} keys of the data, each a text.`);
}

function isKeys(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= MOST_KEYS && value.every((key) => typeof key === "string");
}

/** What cannot be written as UTF-8, half of a surrogate pair, could never be asked for in a query. */
function textOf(value: unknown, field: string, longest: number): string {
  if (typeof value === "string" && value !== "" && value.length <= longest && !/\p{Surrogate}/u.test(value))
    return value;
  throw bad(field, `${field} must be a text of 1 to ${longest} characters.`);
}

/** A change of single keys, as `session.patch` takes it. */
export function changesOf({ data, remove }: Fields): Data {
  if (data === undefined && remove === undefined) throw bad("body", "A change needs data, remove or both.");
  const changed = data === undefined ? {} : dataOf(data);
  const removed = keysOf(remove, "remove");
  if (removed.some((key) => Object.hasOwn(changed, key))) {
    throw bad("remove", "remove must not name a key that data sets.");
  }
  return { ...changed, ...Object.fromEntries(removed.map((key) => [key, undefined])) };
}

/** What a definition may be called. */
export function isName(text: string | undefined): text is string {
  return text !== undefined && /^[A-Za-z0-9_-]{1,64}$/.test(text);
}

/** What a public id looks like: base64url of 16 to 64 bytes. */
export function isId(text: string): boolean {
  return /^[A-Za-z0-9_-]{22,86}$/.test(text);
}

/** A query whose parameters have these names, each at most once. */
export function parametersOf({ query }: EndpointCall, names: readonly string[]): ReadonlyMap<string, string> {
  const parameters = new Map(query);
  if (parameters.size !== query.size || [...parameters.keys()].some((name) => !names.includes(name))) {
    throw bad("query", `The query takes these parameters, each once: ${names.join(", ")}.`);
  }
  return parameters;
}

/** How many sessions a page should have. */
export function limitOf(text: string | undefined): number {
  const limit = text === undefined ? 100 : /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= LARGEST_PAGE) return limit;
  throw bad("limit", `limit must be a whole number from 1 to ${LARGEST_PAGE}.`);
}

/** The entity tags of `If-Match`, or `"*"`; undefined without one. */
export function ifMatchOf({ req }: EndpointCall): "*" | readonly string[] | undefined {
  const value = req.headers["if-match"];
  if (value === undefined || value.trim() === "*") return value === undefined ? undefined : "*";
  if (LIST_OF_TAGS.test(value)) return value.match(TAG) ?? [];
  throw bad("if-match", "If-Match must be the ETag of an answer as it came, quotes included, or *.");
}

/** RFC 9110 §8.8.3, §13.1.1. A weak tag never matches, but is one. */
const LIST_OF_TAGS =
  /^[\t ]*(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"(?:[\t ]*,[\t ]*(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")*[\t ]*$/;
const TAG = /(?:W\/)?"[^"]*"/g;

/** A condition that nothing here could keep must not be passed over. */
export function requireNoIfMatch({ req }: EndpointCall): void {
  if (req.headers["if-match"] !== undefined) {
    throw bad("if-match", "If-Match goes with PUT and PATCH only: this request could not keep it.");
  }
}

function bad(what: string, message: string): Refusal {
  return new Refusal(400, `bad-${what}`, message);
}
