/**
 * The verbs of a store as `remoteStore` and the session server say them to each other, and the checks of what comes in.
 *
 * Private to both ends: they are of one version, or the server says that it does not understand.
 *
 * @module
 */
import type { ListedPage, ListedRecord, StoredRecord, UpdateOutcome } from "../store/store.ts";

/** Behind the address of a server. */
export const STORE_PATH = "v1/store";

/** The changes of the namespace, line by line. */
export const CHANGES_PATH = "v1/changes";

/** Calls in one request. */
export const MOST_CALLS = 256;

/**
 * Characters of a key, a subject, a prefix and a version. A definition makes keys of at most 87 characters, and subjects as long
 * as the app's user ids; every store of ours bears 2000 of them.
 */
export const LONGEST_TEXT = 4_096;

/** Characters of what a store makes of a key, a subject and a version: a cursor, a revision. */
const LONGEST_TOKEN = 65_536;

/** A record on the wire. Its revision is JSON, which nobody but the store reads. */
export interface WireRecord {
  readonly version: string;
  readonly revision?: string | undefined;
  readonly expiresAt: number;
  readonly subject?: string | undefined;
  readonly value: string;
}

/** What `update` has to know of the record that it replaces. */
export type WireBase = Pick<WireRecord, "version" | "revision" | "subject">;

/** What every verb takes, and beside it `now`. */
interface WireArguments {
  create: { readonly key: string; readonly record: WireRecord };
  read: { readonly key: string; readonly fresh?: boolean | undefined };
  update: {
    readonly key: string;
    readonly record: WireRecord;
    readonly base: WireBase;
    readonly previousSubject?: string | undefined;
  };
  touch: { readonly key: string; readonly expiresAt: number };
  delete: { readonly key: string; readonly previousSubject?: string | undefined };
  listBySubject: { readonly subject: string };
  deleteBySubject: { readonly subject: string; readonly except?: string | undefined };
  list: { readonly prefix: string; readonly limit: number; readonly cursor?: string | undefined };
  count: { readonly prefix: string };
}

/** What every verb answers. */
export interface WireResults {
  create: boolean;
  read: StoredRecord | undefined;
  update: UpdateOutcome;
  touch: boolean;
  delete: boolean;
  listBySubject: readonly ListedRecord[];
  deleteBySubject: readonly string[];
  list: ListedPage;
  count: number;
}

/** The verbs. */
export type WireVerb = keyof WireArguments;

/** A call of a verb. */
export type WireCallOf<Verb extends WireVerb> = Verb extends WireVerb
  ? { readonly verb: Verb; readonly now: number } & WireArguments[Verb]
  : never;

/** A call of any verb. */
export type WireCall = WireCallOf<WireVerb>;

/** Why a call was not answered. */
export type WireErrorCode = "store-unavailable" | "not-capable" | "bad-call";

/** What became of a call. */
export type WireAnswer =
  | { readonly ok: unknown }
  | {
      readonly error: WireErrorCode;
      /** For developers. Nothing of what the store said. */
      readonly message: string;
      /** The store did not answer in time: what it did is unknown. */
      readonly timedOut?: true | undefined;
    };

/** What came in is not what was agreed upon. Says where and what was expected, and nothing of what was there. */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

// --- what a server is sent ------------------------------------------------------------------------------------------------

/** The calls of a request: copies of what they should have, and nothing else. Throws {@link Malformed}. */
export function callsIn(body: unknown): readonly WireCall[] {
  const { calls } = object("the body", body);
  if (!Array.isArray(calls) || calls.length === 0 || calls.length > MOST_CALLS) {
    throw new Malformed(`calls: expected an array of 1 to ${MOST_CALLS}`);
  }
  const checked: WireCall[] = [];
  try {
    for (const call of calls) checked.push(callIn(call));
  } catch (error) {
    throw at(`calls[${checked.length}]`, error);
  }
  return checked;
}

/** One call. Throws {@link Malformed}. */
export function callIn(given: unknown): WireCall {
  const call = object("the call", given);
  const now = finite("now", call["now"]);
  const key = (): string => text("key", call["key"]);
  const previousSubject = (): string | undefined => optional("previousSubject", call["previousSubject"], text);
  switch (call["verb"]) {
    case "create":
      return { verb: "create", key: key(), record: writtenIn(call["record"]), now };
    case "read":
      return { verb: "read", key: key(), fresh: optional("fresh", call["fresh"], bool), now };
    case "update": {
      const [record, base] = [writtenIn(call["record"]), baseIn(call["base"])];
      return { verb: "update", key: key(), record, base, previousSubject: previousSubject(), now };
    }
    case "touch":
      return { verb: "touch", key: key(), expiresAt: finite("expiresAt", call["expiresAt"]), now };
    case "delete":
      return { verb: "delete", key: key(), previousSubject: previousSubject(), now };
    default:
      return listingIn(call, now);
  }
}

function listingIn(call: Fields, now: number): WireCall {
  const subject = (): string => text("subject", call["subject"]);
  const prefix = (): string => text("prefix", call["prefix"]);
  switch (call["verb"]) {
    case "listBySubject":
      return { verb: "listBySubject", subject: subject(), now };
    case "deleteBySubject":
      return { verb: "deleteBySubject", subject: subject(), except: optional("except", call["except"], text), now };
    case "list": {
      const limit = finite("limit", call["limit"]);
      if (!Number.isSafeInteger(limit) || limit < 1) throw new Malformed("limit: expected a whole number above 0");
      return { verb: "list", prefix: prefix(), limit, cursor: optional("cursor", call["cursor"], token), now };
    }
    case "count":
      return { verb: "count", prefix: prefix(), now };
    default:
      throw new Malformed("verb: expected the name of a verb of a store");
  }
}

/** What is written has no revision: the store makes it. */
function writtenIn(given: unknown): WireRecord {
  try {
    const { version, expiresAt, subject, value } = fieldsOf(object("the record", given));
    return { version, expiresAt, subject, value };
  } catch (error) {
    throw at("record", error);
  }
}

function baseIn(given: unknown): WireBase {
  try {
    const base = object("the base", given);
    return {
      version: text("version", base["version"]),
      revision: optional("revision", base["revision"], json),
      subject: optional("subject", base["subject"], text),
    };
  } catch (error) {
    throw at("base", error);
  }
}

/** A base for a store: it compares version and revision, and nothing else. */
export function baseFrom({ version, revision, subject }: WireBase): StoredRecord {
  return {
    version,
    expiresAt: 0,
    value: "",
    ...(subject === undefined ? {} : { subject }),
    ...(revision === undefined ? {} : { revision: JSON.parse(revision) }),
  };
}

/** A record to be kept. */
export function recordFrom({ version, expiresAt, subject, value }: WireRecord): StoredRecord {
  return subject === undefined ? { version, expiresAt, value } : { version, expiresAt, subject, value };
}

/** A record to be sent. */
export function wireRecord({ version, revision, expiresAt, subject, value }: StoredRecord): WireRecord {
  if (revision === undefined) return { version, expiresAt, subject, value };
  return { version, revision: JSON.stringify(revision), expiresAt, subject, value };
}

// --- what a client is answered --------------------------------------------------------------------------------------------

/** The answers to so many calls. Throws {@link Malformed}. */
export function answersIn(body: unknown, count: number): readonly WireAnswer[] {
  const { answers } = object("the body", body);
  if (!Array.isArray(answers) || answers.length !== count) throw new Malformed("answers: expected one for each call");
  return answers as readonly WireAnswer[];
}

/** What a verb has answered, from an `ok`. Throws {@link Malformed}. */
export function resultIn<Verb extends WireVerb>(verb: Verb, ok: unknown): WireResults[Verb] {
  return RESULTS[verb](ok) as WireResults[Verb];
}

const RESULTS: { readonly [Verb in WireVerb]: (ok: unknown) => WireResults[Verb] } = {
  create: (ok) => bool("ok", ok),
  read: (ok) => (ok === null ? undefined : storedIn(ok)),
  update(ok) {
    if (ok === "ok" || ok === "conflict" || ok === "gone") return ok;
    throw new Malformed("ok: expected an outcome of update");
  },
  touch: (ok) => bool("ok", ok),
  delete: (ok) => bool("ok", ok),
  listBySubject: (ok) => listedIn(ok),
  deleteBySubject: (ok) => list("ok", ok).map((key) => string("key", key)),
  list(ok) {
    const { records, cursor } = object("ok", ok);
    return { records: listedIn(records), ...(cursor === undefined ? {} : { cursor: token("cursor", cursor) }) };
  },
  count: (ok) => finite("ok", ok),
};

function listedIn(ok: unknown): readonly ListedRecord[] {
  return list("records", ok).map((given) => {
    const { key, record } = object("a record", given);
    return { key: string("key", key), record: storedIn(record) };
  });
}

function storedIn(given: unknown): StoredRecord {
  const { version, expiresAt, subject, value, revision } = fieldsOf(object("the record", given));
  const record = subject === undefined ? { version, expiresAt, value } : { version, expiresAt, subject, value };
  return revision === undefined ? record : { ...record, revision };
}

// --- changes --------------------------------------------------------------------------------------------------------------

/**
 * A line of the changes: JSON, and a line end. The first one is a {@link WirePulse}: from then on everything is told, until
 * `lost`, which is the last one.
 */
export type WireLine = WireChange | WirePulse | { readonly lost: true };

/** A record was changed or deleted. */
export interface WireChange {
  readonly key: string;
  readonly version?: string | undefined;
}

/** Comes every second, in milliseconds of a clock of the server's that is never set. */
export interface WirePulse {
  /** What the server has heard of before is told. */
  readonly now: number;
  /** All that was done before is told, where the store says so. */
  readonly current?: number | undefined;
}

/** Throws {@link Malformed}. */
export function lineIn(given: string): WireLine {
  const line = object("the line", JSON.parse(given));
  if (line["lost"] === true) return { lost: true };
  if (line["key"] !== undefined) {
    return { key: string("key", line["key"]), version: optional("version", line["version"], text) };
  }
  return { now: finite("now", line["now"]), current: optional("current", line["current"], finite) };
}

// --- fields ---------------------------------------------------------------------------------------------------------------

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(record: Fields): WireRecord {
  return {
    version: text("version", record["version"]),
    revision: optional("revision", record["revision"], token),
    expiresAt: finite("expiresAt", record["expiresAt"]),
    subject: optional("subject", record["subject"], text),
    value: string("value", record["value"]),
  };
}

/** The same complaint, of a field of something larger. */
function at(place: string, error: unknown): unknown {
  return error instanceof Malformed ? new Malformed(`${place}.${error.message}`) : error;
}

function object(what: string, value: unknown): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new Malformed(`${what}: expected an object`);
}

function list(what: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new Malformed(`${what}: expected an array`);
}

function optional<T>(what: string, value: unknown, check: (what: string, value: unknown) => T): T | undefined {
  return value === undefined ? undefined : check(what, value);
}

function string(what: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw new Malformed(`${what}: expected a text`);
}

function text(what: string, value: unknown): string {
  return atMost(LONGEST_TEXT, what, value);
}

function token(what: string, value: unknown): string {
  return atMost(LONGEST_TOKEN, what, value);
}

function atMost(length: number, what: string, value: unknown): string {
  if (typeof value === "string" && value.length <= length) return value;
  throw new Malformed(`${what}: expected a text of at most ${length} characters`);
}

function finite(what: string, value: unknown): number {
  if (Number.isFinite(value)) return value as number;
  throw new Malformed(`${what}: expected a number`);
}

function bool(what: string, value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw new Malformed(`${what}: expected true or false`);
}

function json(what: string, value: unknown): string {
  const given = token(what, value);
  try {
    JSON.parse(given);
    return given;
  } catch {
    throw new Malformed(`${what}: expected JSON`);
  }
}
