/**
 * What a request that only looked may still have to write (P22): renewals, their confirmation, the idle clock, a token under a
 * new key. The response does not depend on it.
 *
 * @module
 */
import { settled, type Steps } from "../internal/maybe-promise.ts";
import {
  bestEffort,
  freshlyRead,
  keyOf,
  newVersion,
  proofOf,
  rebased,
  toStored,
  type ById,
  type ByIdBase,
} from "./by-id.ts";
import { FRESH, maintainedSecrets, renewalDue, restingSecrets, type SecretsChange } from "./by-id-secrets.ts";
import { done, nextBase, UNCHANGED, type ByIdState, type Step } from "./by-id-step.ts";
import { nextExpiry, touchDue } from "./policy.ts";
import type { Task } from "./state.ts";
import type { CommitContext } from "./tracker.ts";

/** Whether there is nothing to write and nothing to say, as after nearly every read: told at once, without a generator. */
export function isQuiet(byId: ById, { base, log, ended, unsettled, owed }: ByIdState): boolean {
  if (log.length + ended.length > 0 || unsettled !== undefined || owed !== undefined) return false;
  if (base === undefined) return true;
  if (base.isOwn && byId.versions !== undefined) return false;
  return isAtRest(byId, base);
}

/** Whether nothing is due of a session: its secret is the only one there is, and no clock has to be moved. */
export function isAtRest(byId: ById, base: ByIdBase): boolean {
  const secretsRest = base.proof === "current" && base.record.pending === undefined && !base.outdated;
  return secretsRest && !renewalDue(byId, base) && !outlives(byId, base) && !isTouchDue(byId, base);
}

function isTouchDue({ policy, clock }: ById, { content, expiresAt }: ByIdBase): boolean {
  return touchDue(policy, content, expiresAt, clock.now());
}

/** Writes what is due of a record that nobody changed. */
export function* maintained(
  byId: ById,
  state: ByIdState,
  base: ByIdBase,
  task: Task,
  { carrier }: CommitContext,
): Steps<Step> {
  const change = restingSecrets(byId, base) ?? (yield* maintainedSecrets(byId, base, carrier));
  if (change.change !== undefined || outlives(byId, base)) {
    const next = nextBase(byId, base, { seen: base.content, kept: base.record.content }, change, newVersion());
    return (yield* bestEffort(secretsWritten(byId, state, base, next, change, task, carrier))) ?? UNCHANGED;
  }
  if (isTouchDue(byId, base)) {
    if ((yield* bestEffort(touched(byId, state, base, task))) === false) return UNCHANGED;
  }
  const owed = change.owed ?? (mayReissue(byId, base, carrier) ? base.secret : undefined);
  if (owed === undefined || (yield* bestEffort(stillHolds(byId, base))) !== true) return UNCHANGED;
  if (change.owed === undefined) byId.events.emit("reissued", { id: base.id, subject: base.content.subject });
  return { outcome: "unchanged", owed };
}

/** Whether the record would live on longer than the clocks of today allow, because it was written under others. */
function outlives({ policy, clock }: ById, { content, stored }: ByIdBase): boolean {
  return stored.expiresAt > nextExpiry(policy, content, clock.now());
}

/** Whether the same token is to go out once more, under the key that protects now (P22). */
function mayReissue(
  { clock }: ById,
  { outdated, proof, loadedAt }: ByIdBase,
  { renews }: { renews: boolean },
): boolean {
  return outdated && renews && proof !== "retired" && clock.now() - loadedAt <= FRESH;
}

/**
 * Whether nobody signed in since the session was loaded: asked before a cookie goes out that this request did not earn by a
 * write of its own. Rare enough to be worth a call, since that cookie would replace the one that the sign-in has sent.
 */
function* stillHolds(byId: ById, base: ByIdBase): Steps<boolean> {
  const fresh = rebased(byId, base, yield* settled(freshlyRead(byId, base)));
  return fresh !== undefined && proofOf(fresh.record, base.mine) === base.proof;
}

function* secretsWritten(
  byId: ById,
  state: ByIdState,
  base: ByIdBase,
  next: ByIdBase,
  { change, owed }: SecretsChange,
  task: Task,
  carrier: CommitContext["carrier"],
): Steps<Step> {
  const outcome = yield* settled(byId.calls.update(keyOf(byId, base.id), next.stored, base.stored));
  if (outcome === "ok") {
    const type = change === "confirmed" || change === "renewed" ? change : "touched";
    byId.events.emit(type, { id: base.id, subject: base.content.subject });
    done(byId, state, next, task);
    return { outcome: "unchanged", owed };
  }
  if (change !== "renewed") return UNCHANGED;
  // Another request renewed first: its offer is ours too, so that both hand out the same next secret (P9).
  const fresh = outcome === "gone" ? undefined : rebased(byId, base, yield* settled(freshlyRead(byId, base)));
  const theirs = fresh === undefined ? undefined : yield* maintainedSecrets(byId, fresh, carrier);
  return theirs === undefined || theirs.change !== undefined ? UNCHANGED : { outcome: "unchanged", owed: theirs.owed };
}

function* touched(byId: ById, state: ByIdState, base: ByIdBase, task: Task): Steps<boolean> {
  const { expiresAt } = toStored(byId, base.record, base.stored.version, byId.clock.now());
  const exists = yield* settled(byId.calls.touch(keyOf(byId, base.id), expiresAt));
  const detail = { id: base.id, subject: base.content.subject };
  byId.events.emit(exists ? "touched" : "gone", exists ? detail : { ...detail, reason: "ended" });
  if (exists) done(byId, state, { ...base, stored: { ...base.stored, expiresAt }, expiresAt }, task);
  else {
    state.base = undefined;
    state.gone = true;
  }
  return exists;
}
