/**
 * What the steps of a commit by id share: what they tell, and how a record follows from the one before.
 *
 * @module
 */
import { isPlainObject } from "../internal/json.ts";
import { baseOf, memorise, toStored, type ById, type ByIdBase } from "./by-id.ts";
import type { SecretsChange } from "./by-id-secrets.ts";
import type { Content, SessionRecord } from "./record.ts";
import { settle, type SessionState, type Task } from "./state.ts";
import type { Secret } from "./token.ts";
import type { Tracked } from "./tracker.ts";
import type { Draft } from "./verbs.ts";

/** A session by id in the hands of one request. */
export type ByIdState = SessionState<ByIdBase>;

/** What a step of a commit did, before the token is written. */
export interface Step {
  readonly outcome: Tracked["outcome"];
  /** The secret that the client must be told. */
  readonly owed?: Secret | undefined;
}

export const UNCHANGED: Step = { outcome: "unchanged" };
export const GONE: Step = { outcome: "gone" };

/** The content of a session: as the handler sees it, and as it is kept. */
export interface Contents {
  readonly seen: Content;
  readonly kept: Content;
}

/** What a draft says, and beside it what a newer server wrote and this one's schema left out: that is not ours to remove. */
export function contentsOf(base: ByIdBase, draft: Draft): Contents {
  const seen = contentOf(draft);
  const data = draft.separate ? seen.data : withUnseen(base, seen.data);
  return { seen, kept: data === seen.data ? seen : { ...seen, data } };
}

/** What a draft says, without what it means for the secret. */
export function contentOf({ data, flash, subject, level, createdAt, authenticatedAt, csrf }: Content): Content {
  return { data, flash, subject, level, createdAt, authenticatedAt, csrf };
}

function withUnseen({ record, content, migrated }: ByIdBase, data: unknown): unknown {
  const raw = record.content.data;
  const seen = content.data;
  if (migrated || raw === seen || !isPlainObject(raw) || !isPlainObject(seen) || !isPlainObject(data)) return data;
  const unseen = Object.entries(raw).filter(([key]) => !Object.hasOwn(seen, key));
  return unseen.length === 0 ? data : { ...Object.fromEntries(unseen), ...data };
}

/** What the session is with these contents and secrets. */
export function nextBase(
  byId: ById,
  base: ByIdBase,
  { seen, kept }: Contents,
  { secrets, change, owed }: SecretsChange,
  version: string,
): ByIdBase {
  const now = byId.clock.now();
  const { generation, verifier, pending, retired, secretSince } = secrets;
  const record: SessionRecord = {
    content: kept,
    generation,
    verifier,
    pending,
    retired,
    secretSince,
    lastSeenAt: now,
  };
  const stored = toStored(byId, record, version, now);
  const migrated = base.migrated && seen === base.content;
  const { id, secret, mine, proof, outdated, memo } = base;
  if (change !== "replaced" || owed === undefined) {
    return baseOf(byId, {
      id,
      stored,
      record,
      content: seen,
      migrated,
      secret,
      mine,
      proof,
      outdated,
      memo,
      isOwn: true,
    });
  }
  const own = { secret: owed, mine: record.verifier, proof: "current", outdated: false, memo: undefined } as const;
  return baseOf(byId, { id, stored, record, content: seen, migrated, ...own, isOwn: true });
}

/** The store has it. What another subject's sign-in replaced is still to be ended (P16). */
export function done(byId: ById, state: ByIdState, base: ByIdBase, task: Task): void {
  memorise(byId, base.memo, base.stored, base.record);
  state.unsettled = undefined;
  const moved = task.draft.separate && state.identity === undefined;
  const replaced = state.incarnation === task.incarnation && moved ? state.base : undefined;
  if (replaced !== undefined) state.ended.push({ base: replaced, reason: "other-subject" });
  settle(state, base, task);
}
