/**
 * Sessions of express-session in a store of ours: compare-and-set, so that logging out wins over a save that was under way,
 * and saves of one session at a time all count, key by key.
 *
 * @module
 */
import { ConflictError } from "../errors.ts";
import { isPlainObject, parseJson } from "../internal/json.ts";
import { chain, run, settled, type MaybePromise, type Steps } from "../internal/maybe-promise.ts";
import { newVersion } from "../session/by-id.ts";
import { difference } from "../session/verbs.ts";
import type { SessionStore, StoredRecord } from "../store/store.ts";
import { NO_DATA } from "./session.ts";
import type { Found, LegacyRecord, Seen, StoreKeeper, Write } from "./keeper.ts";

/** How records are kept. */
export interface RecordOptions {
  /** What their keys begin with. */
  readonly prefix: string;
  /** How long a session whose cookie has no end is kept after its last use, at least, in milliseconds. */
  readonly ttl: number;
  /** Whether the store answers everything at once. */
  readonly atOnce: boolean;
}

/** {@link StoreKeeper} over a store of ours. */
export interface RecordKeeper extends StoreKeeper {
  /** Writes without asking what was there. */
  put(id: string, session: object, text: string): MaybePromise<Seen>;
  touch(id: string, write: Write): MaybePromise<void>;
}

const MOST_TRIES = 50;
const NO_ONE: Seen = Object.freeze({ text: NO_DATA });

/** Keeps records in a store of ours. What a store answers at once is answered at once, without a generator in the usual case. */
export function recordKeeper(store: SessionStore, { prefix, ttl, atOnce }: RecordOptions): RecordKeeper {
  const keyOf = keysUnder(prefix);
  const found = recordReader();

  function update(id: string, write: Write): MaybePromise<Seen | "gone"> {
    const { stored: base, merged } = write.seen;
    const draft = draftOf(write, ttl, write.seen);
    if (base === undefined || merged === true) return run(merging(store, keyOf(id), write, draft));
    const stored = storedAs(draft);
    return chain(store.update(keyOf(id), stored, base, now()), (outcome) => {
      if (outcome === "ok") return seenOf(draft, stored, false);
      return outcome === "gone" ? "gone" : run(merging(store, keyOf(id), write, draft));
    });
  }

  function put(id: string, session: object, text: string): MaybePromise<Seen> {
    const draft = draftOf({ session, text }, ttl);
    const stored = storedAs(draft);
    return chain(store.create(keyOf(id), stored, now()), (created) =>
      created ? seenOf(draft, stored, false) : run(replacing(id, draft)),
    );
  }

  /** Somebody has an id that is given again and again. */
  function* replacing(id: string, draft: Draft): Steps<Seen> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const stored = storedAs(draft);
      const base = yield* settled(store.read(keyOf(id), { ...now(), fresh: true }));
      const outcome = yield* settled<boolean | string>(
        base === undefined ? store.create(keyOf(id), stored, now()) : store.update(keyOf(id), stored, base, now()),
      );
      if (outcome === true || outcome === "ok") return seenOf(draft, stored, false);
    }
    throw new ConflictError("retries");
  }

  /** A touch only prolongs: another cookie, or an earlier end, has to be written. */
  function touch(id: string, write: Write): MaybePromise<unknown> {
    const { cookie } = write.session as LegacyRecord;
    const { stored, cookie: kept, text } = write.seen;
    const end = cookieEnd(cookie) ?? Infinity;
    if (stored === undefined || end < stored.expiresAt || !sameCookie(kept, cookie as LegacyRecord)) {
      return update(id, { ...write, text: text ?? write.text });
    }
    const isDue = end !== Infinity || stored.expiresAt < Date.now() + ttl;
    return isDue ? store.touch(keyOf(id), endOf(cookie, ttl), now()) : undefined;
  }

  return {
    atOnce,
    touches: true,
    nothing: () => NO_ONE,
    get: (id) => chain(store.read(keyOf(id), now()), found),
    set: (id, write) => (write.seen.stored === undefined ? put(id, write.session, write.text) : update(id, write)),
    put,
    touch: (id, write) => chain(touch(id, write), () => undefined),
    destroy: (id) => chain(store.delete(keyOf(id), now()), () => undefined),
  };
}

/** Another request has saved meanwhile: what this one changed, on what that one wrote. */
function* merging(store: SessionStore, key: string, { seen, text }: Write, draft: Draft): Steps<Seen | "gone"> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const base = yield* settled(store.read(key, { ...now(), fresh: true }));
    if (base === undefined) return "gone";
    const merged = mergedText(seen.text ?? NO_DATA, text, base);
    const stored = storedAs({ ...draft, text: merged });
    const outcome = yield* settled(store.update(key, stored, base, now()));
    if (outcome === "gone") return "gone";
    if (outcome === "ok") return seenOf(draft, stored, merged !== text);
  }
  throw new ConflictError("retries");
}

/** What is to be written, but for its version. */
interface Draft {
  readonly text: string;
  readonly cookie: LegacyRecord | undefined;
  readonly cookieText: string | undefined;
  readonly expiresAt: number;
}

function draftOf({ session, text }: Pick<Write, "session" | "text">, ttl: number, seen: Seen = NO_ONE): Draft {
  const cookie = (session as LegacyRecord)["cookie"] as LegacyRecord | undefined;
  const expiresAt = endOf(cookie, ttl);
  // Without an end it is mostly the one that is there, whose text need not be made again.
  const isKept = seen.cookieText !== undefined && cookie !== undefined && sameCookie(seen.cookie, cookie);
  if (isKept && !seen.cookie?.["expires"] && !cookie["expires"]) {
    return { text, cookie: seen.cookie, cookieText: seen.cookieText, expiresAt };
  }
  const kept = keptCookie(cookie);
  return { text, cookie: kept, cookieText: kept === undefined ? undefined : JSON.stringify(kept), expiresAt };
}

function now(): { now: number } {
  return { now: Date.now() };
}

/**
 * Keys of ids. The last one is remembered: a request looks its session up more than once, and what a text is hashed to stays
 * with the text.
 */
function keysUnder(prefix: string): (id: string) => string {
  let last = { id: "", key: prefix };
  return (id) => {
    if (id !== last.id) last = { id, key: prefix + id };
    return last.key;
  };
}

/** Reads records. The last cookie without an end is remembered: where they have none, all sessions have the same. */
function recordReader(): (stored: StoredRecord | undefined) => Found | undefined {
  let last: KeptCookie | undefined;
  return (stored) => {
    if (stored === undefined) return undefined;
    const { value } = stored;
    if (last !== undefined && value.startsWith(last.text, COOKIE_START)) {
      const text = textAfter(value, COOKIE_START + last.text.length);
      if (text !== undefined) return withCookie(stored, text, last);
    }
    const end = endOfCookie(value);
    const record = recordOf(stored);
    const cookie = record["cookie"] as LegacyRecord;
    const cookieText = end === -1 ? undefined : value.slice(COOKIE_START, end);
    if (cookieText !== undefined && !cookie["expires"]) last = { text: cookieText, cookie: Object.freeze(cookie) };
    return { record, seen: { text: textAfter(value, end), stored, cookie, cookieText, merged: false } };
  };
}

/** A cookie as it is kept, and its text. */
interface KeptCookie {
  readonly text: string;
  readonly cookie: LegacyRecord;
}

/** A record whose cookie has been read before. */
function withCookie(stored: StoredRecord, text: string, { cookie, text: cookieText }: KeptCookie): Found {
  const record = parseJson(`{${text}`) as Record<string, unknown>;
  record["cookie"] = cookie;
  return { record, seen: { text, stored, cookie, cookieText, merged: false } };
}

function storedAs({ text, cookieText, expiresAt }: Draft): StoredRecord {
  return { version: newVersion(), expiresAt, value: recordText(cookieText, text) };
}

/** The cookie as it is kept. */
function keptCookie(cookie: unknown): LegacyRecord | undefined {
  const { toJSON } = (cookie ?? {}) as { toJSON?: unknown };
  return (typeof toJSON === "function" ? toJSON.call(cookie) : cookie) as LegacyRecord | undefined;
}

function seenOf({ text, cookie, cookieText }: Draft, stored: StoredRecord, merged: boolean): Seen {
  return { text, stored, cookie: cookie ?? {}, cookieText, merged };
}

/** How much longer than `ttl` records are kept, so that only one use in a tenth of it has to write, as by P2. */
const STRETCH = 1.1;

/** When a record ends: with its cookie, else after `ttl`. */
function endOf(cookie: unknown, ttl: number): number {
  return cookieEnd(cookie) ?? Date.now() + Math.floor(ttl * STRETCH);
}

function cookieEnd(cookie: unknown): number | undefined {
  const { expires } = (cookie ?? {}) as { expires?: unknown };
  const end =
    typeof expires === "string" ? Date.parse(expires) : expires instanceof Date ? expires.getTime() : Number.NaN;
  return Number.isNaN(end) ? undefined : end;
}

/** The written form of a session, which is that of express-session: the cookie first. */
function recordText(cookie: string | undefined, text: string): string {
  return cookie === undefined ? `{${text}` : `{"cookie":${cookie}${text === NO_DATA ? "" : ","}${text}`;
}

/** The record of a value. Its cookie ends when the store says: a touch changes nothing else. */
export function recordOf({ value, expiresAt }: StoredRecord): LegacyRecord {
  const record = parseJson(value) as Record<string, unknown>;
  const { cookie } = record;
  const expires = isPlainObject(cookie) ? cookie["expires"] : undefined;
  if (typeof expires === "string" && Date.parse(expires) !== expiresAt) {
    (cookie as Record<string, unknown>)["expires"] = new Date(expiresAt).toISOString();
  }
  return record;
}

const COOKIE_FIRST = '{"cookie":{';
const COOKIE_START = COOKIE_FIRST.length - 1;
const [QUOTE, COMMA, BACKSLASH, CLOSING_BRACE] = [0x22, 0x2c, 0x5c, 0x7d];

/** The part of a written form that is the data: found, and not made. Undefined where it is not where it should be. */
function textAfter(value: string, end: number): string | undefined {
  if (end === value.length - 1) return NO_DATA;
  return end !== -1 && value.charCodeAt(end) === COMMA ? value.slice(end + 1) : undefined;
}

/**
 * Where the cookie ends in a written form that begins with it; -1 where it cannot be told. Cookies have no objects in them.
 * Where a text in one has a backslash, which none needs, the end is not looked for.
 */
function endOfCookie(value: string): number {
  if (!value.startsWith(COOKIE_FIRST)) return -1;
  let quoted = false;
  for (let at = COOKIE_FIRST.length; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if (code === BACKSLASH) break;
    if (code === QUOTE) quoted = !quoted;
    else if (code === CLOSING_BRACE && !quoted) return at + 1;
  }
  return -1;
}

/** What this request changed, on what others have written. */
function mergedText(before: string, after: string, base: StoredRecord): string {
  const { cookie: _, ...theirs } = recordOf(base);
  const verb = difference(parseJson(`{${before}`), parseJson(`{${after}`));
  if (verb.kind !== "patch") return after;
  const merged: Record<string, unknown> = { ...theirs, ...verb.changed };
  for (const key of verb.removed) delete merged[key];
  return JSON.stringify(merged).slice(1);
}

const ATTRIBUTES = [
  "originalMaxAge",
  "path",
  "domain",
  "secure",
  "httpOnly",
  "sameSite",
  "partitioned",
  "priority",
] as const;

function sameCookie(kept: LegacyRecord | undefined, cookie: LegacyRecord): boolean {
  return kept !== undefined && ATTRIBUTES.every((name) => (kept[name] ?? undefined) === (cookie[name] ?? undefined));
}
