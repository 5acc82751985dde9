/**
 * Sessions by id: what loading and committing share.
 *
 * @module
 */
import { StoreError } from "../errors.ts";
import { encodeBase64url } from "../internal/base64url.ts";
import { equalText, utf8 } from "../internal/bytes.ts";
import type { Clock } from "../internal/clock.ts";
import { randomBytes } from "../internal/crypto.ts";
import type { MaybePromise, Steps } from "../internal/maybe-promise.ts";
import type { SerialQueue } from "../internal/serial-queue.ts";
import type { StoredRecord } from "../store/store.ts";
import type { BoundTransport } from "../transport/transport.ts";
import type { Events } from "./events.ts";
import { absoluteEnd, nextExpiry, touchedAt, type Policy } from "./policy.ts";
import { readRecord, writeRecord, type RecordMemo, type SessionRecord } from "./record.ts";
import type { Shape } from "./shape.ts";
import type { Base } from "./state.ts";
import type { StoreCalls } from "./store-calls.ts";
import type { Secret, TokenCodec } from "./token.ts";

/** What happens when another request wrote first. */
export type Concurrency = "merge" | "reject" | "overwrite";

/** What happens when a secret comes back long after it was renewed. */
export type OnReplay = "end" | "reject";

/** Everything that keeping sessions by id needs. */
export interface ById {
  readonly name: string;
  /** What its keys begin with. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly policy: Policy;
  readonly shape: Shape;
  readonly codec: TokenCodec;
  readonly calls: StoreCalls;
  readonly events: Events;
  readonly queue: SerialQueue;
  readonly concurrency: Concurrency;
  readonly onReplay: OnReplay;
  /** How long a commit goes on trying, in milliseconds. */
  readonly timeout: number;
  /**
   * How long the text of a record may be, in characters, for what it says to be remembered. 0 where there is a schema: some
   * change what they are given to check.
   */
  readonly remembers: number;
  /**
   * Where a client is told which version it has written, so that no other will do when it is read from a copy; undefined
   * where reads are never from copies, or no place is to be had.
   */
  readonly versions: VersionPlace | undefined;
}

/** See `ById.versions`. */
export interface VersionPlace {
  readonly place: BoundTransport;
  /** How long copies of older versions may live, in seconds; undefined when that is not known. */
  readonly lifetime: number | undefined;
}

/** Which of a record's secrets a request came with (P6). */
export type Proof = "current" | "pending" | "retired";

/** A session by id, as loaded or last committed. */
export interface ByIdBase extends Base {
  readonly stored: StoredRecord;
  /** As it is stored: its data may have keys that `content`, which the schema has seen, has not. */
  readonly record: SessionRecord;
  /** Whether `content` went through `migrate`. */
  readonly migrated: boolean;
  /** The secret that the request came with, or was given. */
  readonly secret: Secret;
  /** Its verifier. */
  readonly mine: string;
  readonly proof: Proof;
  /** Whether the token should be issued again under the current key. */
  readonly outdated: boolean;
  /** What happened later is not in it: when it was read, or just before it was written. */
  readonly loadedAt: number;
  /** See `OpenedToken.memo`. */
  readonly memo: RecordMemo | undefined;
  /** Whether this request has written it. */
  readonly isOwn: boolean;
  /** Whether it is what a copy says that the client brought (`trustFor`), and the store was not asked. */
  readonly isCopy: boolean;
}

/** What the keys of a definition begin with: definitions never share records, nor do audiences. */
export function prefixOf(name: string, audience: string): string {
  return audience === "" ? `${name}/` : `${name}.${encodeBase64url(utf8(audience))}/`;
}

/** The store key of a session. */
export function keyOf({ prefix }: { readonly prefix: string }, id: string): string {
  return prefix + id;
}

/** The subject as the store knows it. */
export function subjectKeyOf({ prefix }: { readonly prefix: string }, subject: string): string {
  return prefix + subject;
}

/** A record in the form that a store keeps. */
export function toStored(byId: ById, record: SessionRecord, version: string, now: number): StoredRecord {
  const { content } = record;
  const expiresAt = nextExpiry(byId.policy, content, now);
  const value = writeRecord(record);
  // Frozen: what nobody can change a store in memory need not copy.
  if (content.subject === undefined) return Object.freeze({ version, expiresAt, value });
  return Object.freeze({ version, expiresAt, value, subject: subjectKeyOf(byId, content.subject) });
}

/** The record in what a store keeps; undefined when it cannot be read. */
export function fromStored(byId: ById, stored: StoredRecord, memo?: RecordMemo): SessionRecord | undefined {
  const { subject, value } = stored;
  const known = memo?.stored;
  if (known === stored || (known?.value === value && known.subject === subject)) return memo?.record;
  if (subject !== undefined && !subject.startsWith(byId.prefix)) return undefined;
  const record = readRecord(value, subject?.slice(byId.prefix.length));
  if (record !== undefined) memorise(byId, memo, stored, record);
  return record;
}

/** See `ById.remembers`. Where texts are there anyway, as in a store in memory, remembering them takes no room. */
export function longestRemembered(isThereAnyway: boolean): number {
  return isThereAnyway ? 2_048 : 1_024;
}

/** Remembers what a record says, if it is not too long: many large ones would fill the memory. */
export function memorise(
  { remembers }: ById,
  memo: RecordMemo | undefined,
  stored: StoredRecord,
  record: SessionRecord,
): void {
  if (memo === undefined || stored.value.length > remembers) return;
  memo.stored = stored;
  memo.record = record;
}

const VERSION_LENGTH = 12;
const VERSIONS_AT_ONCE = 128;
const VERSIONS_LIVE = 1000;
let versions = "";
let versionsAt = 0;

/**
 * A new version of a record (protocol §1): 72 random bits. Versions are made many at once, because encoding each costs more
 * than the rest of a write; as all that is random they are thrown away after a second (P26).
 */
export function newVersion(): string {
  const now = Date.now();
  if (versions === "" || now - versionsAt >= VERSIONS_LIVE || now < versionsAt) {
    versions = encodeBase64url(randomBytes((VERSIONS_AT_ONCE * VERSION_LENGTH * 3) / 4));
    versionsAt = now;
  }
  const version = versions.slice(0, VERSION_LENGTH);
  versions = versions.slice(VERSION_LENGTH);
  return version;
}

/** What a request holds once it has proved its right to a record. */
export function baseOf(
  byId: ById,
  found: Pick<ByIdBase, Exclude<keyof ByIdBase, "expiresAt" | "lastSeenAt" | "loadedAt" | "isCopy">>,
): ByIdBase {
  const { id, stored, record, content, migrated, secret, mine, proof, outdated, memo, isOwn } = found;
  return {
    id,
    stored,
    record,
    content,
    migrated,
    secret,
    mine,
    proof,
    outdated,
    expiresAt: Math.min(stored.expiresAt, absoluteEnd(byId.policy, content)),
    lastSeenAt: Math.max(record.lastSeenAt, touchedAt(byId.policy, content, stored.expiresAt) ?? 0),
    loadedAt: byId.clock.now(),
    memo,
    isOwn,
    isCopy: false,
  };
}

/** Which of a record's secrets has this verifier. */
export function proofOf(record: SessionRecord, mine: string): Proof | undefined {
  if (equalText(record.verifier, mine)) return "current";
  if (record.pending !== undefined && equalText(record.pending.verifier, mine)) return "pending";
  if (record.retired !== undefined && equalText(record.retired.verifier, mine)) return "retired";
  return undefined;
}

/** What the store holds now. */
export function freshlyRead(byId: ById, { id }: ByIdBase): MaybePromise<StoredRecord | undefined> {
  return byId.calls.read(keyOf(byId, id), { fresh: true });
}

/** The same session, as the store holds it now; undefined when it is gone: ended, or signed in anew (P13). */
export function rebased(byId: ById, base: ByIdBase, stored: StoredRecord | undefined): ByIdBase | undefined {
  const record = stored === undefined ? undefined : fromStored(byId, stored);
  if (stored === undefined || record === undefined || record.generation !== base.record.generation) return undefined;
  const read = byId.shape.read(record.content.data);
  if (read === undefined) return undefined;
  const content = { ...record.content, data: read.data };
  return baseOf(byId, { ...base, stored, record, content, migrated: read.migrated, isOwn: false });
}

/** Does work that a request can do without. `undefined` when the store failed: its event is the trace. */
export function* bestEffort<T>(steps: Steps<T>): Steps<T | undefined> {
  try {
    return yield* steps;
  } catch (error) {
    if (error instanceof StoreError) return undefined;
    throw error;
  }
}
