/**
 * How sessions by value are ended before their clocks end them (P25): a store keeps one small entry for each subject, which
 * every load reads. A session is valid only while its epoch is the entry's, so a store that lost the entry fails closed.
 *
 * @module
 */
import { StoreError } from "../errors.ts";
import { encodeBase64url } from "../internal/base64url.ts";
import { randomBytes } from "../internal/crypto.ts";
import { isPlainObject, parseJson } from "../internal/json.ts";
import { settled, type Steps } from "../internal/maybe-promise.ts";
import type { StoredRecord } from "../store/store.ts";
import type { StoreCalls } from "./store-calls.ts";

/** What a subject's entry says. */
interface Entry {
  /** The epoch of the subject's sessions. Random, not a number that counts up: what was lost cannot come back by counting. */
  readonly e: string;
  /** The ids of sessions that ended by themselves, and until when that has to be remembered. */
  readonly x: readonly (readonly [id: string, until: number])[];
}

/** What {@link Revocation} needs. */
export interface RevocationOptions {
  /** What its keys begin with. */
  readonly prefix: string;
  readonly calls: StoreCalls;
  now(): number;
  /** How long an entry must outlive its last sign-in, in milliseconds: the absolute timeout. */
  readonly lifetime: number;
}

/** The entries of one definition. */
export interface Revocation {
  /** The subject's epoch, for a session that begins now. */
  epoch(subject: string): Steps<string>;
  /** Whether a session of that epoch and id may still be used. One store call. */
  valid(subject: string, epoch: string, id: string): Steps<boolean>;
  /** Ends one session, which would end by itself at `until`. */
  end(subject: string, id: string, until: number): Steps<void>;
  /** Ends all sessions of a subject. False when it had none that could be told. */
  endAll(subject: string): Steps<boolean>;
}

/** How many sessions of a subject may have ended by themselves within one absolute timeout. */
const MOST_ENDED = 200;
/** How often a change is tried against others. */
const TRIES = 32;

/** Keeps the entries of a definition in a session store. */
export function revocationIn({ prefix, calls, now, lifetime }: RevocationOptions): Revocation {
  const keyOf = (subject: string): string => `${prefix}revocation:${subject}`;

  const toStored = (entry: Entry): StoredRecord => ({
    version: randomText(),
    expiresAt: now() + lifetime,
    value: JSON.stringify({ ...entry, x: entry.x.filter(([, until]) => until > now()) }),
  });

  function* find(subject: string): Steps<{ stored: StoredRecord; entry: Entry } | undefined> {
    const stored = yield* settled(calls.read(keyOf(subject), { fresh: true }));
    const entry = stored === undefined ? undefined : entryOf(stored.value);
    return stored === undefined || entry === undefined ? undefined : { stored, entry };
  }

  function* change(subject: string, next: (entry: Entry) => Entry): Steps<boolean> {
    for (let tries = 0; tries < TRIES; tries++) {
      const found = yield* find(subject);
      if (found === undefined) return false;
      const outcome = yield* settled(calls.update(keyOf(subject), toStored(next(found.entry)), found.stored));
      if (outcome === "ok") return true;
    }
    return yield* settled(calls.delete(keyOf(subject)));
  }

  return {
    *epoch(subject) {
      for (let tries = 0; tries < TRIES; tries++) {
        const found = yield* find(subject);
        if (found !== undefined) {
          // Only an entry that is still there may vouch for a session that has yet to begin.
          if (yield* settled(calls.touch(keyOf(subject), now() + lifetime))) return found.entry.e;
          continue;
        }
        const entry: Entry = { e: randomText(), x: [] };
        if (yield* settled(calls.create(keyOf(subject), toStored(entry)))) return entry.e;
      }
      throw new StoreError("create", { cause: new Error("the revocation entry can be neither read nor created") });
    },
    *valid(subject, epoch, id) {
      const found = yield* find(subject);
      return found?.entry.e === epoch && !found.entry.x.some(([ended]) => ended === id);
    },
    *end(subject, id, until) {
      // Rather than a list that every read has to carry, a new epoch: it ends them all.
      yield* change(subject, ({ e, x }) =>
        x.length < MOST_ENDED ? { e, x: [...x, [id, until]] } : { e: randomText(), x: [] },
      );
    },
    *endAll(subject) {
      return yield* change(subject, () => ({ e: randomText(), x: [] }));
    },
  };
}

function randomText(): string {
  return encodeBase64url(randomBytes(12));
}

function entryOf(value: string): Entry | undefined {
  try {
    const entry = parseJson(value);
    return isPlainObject(entry) && typeof entry["e"] === "string" && Array.isArray(entry["x"])
      ? (entry as unknown as Entry)
      : undefined;
  } catch {
    return undefined;
  }
}
