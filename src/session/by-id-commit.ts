/**
 * Committing sessions by id: compare-and-set, and on a conflict the request's verbs once more on the fresh record
 * (protocol §4).
 *
 * @module
 */
import { ConflictError, SessionError, StoreError } from "../errors.ts";
import { isPlainObject, sameJson } from "../internal/json.ts";
import { run, settled, type MaybePromise, type Steps } from "../internal/maybe-promise.ts";
import {
  baseOf,
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
import {
  firstSecrets,
  FRESH,
  maintainedSecrets,
  renewalDue,
  replacedSecrets,
  type SecretsChange,
} from "./by-id-secrets.ts";
import type { EndReason, GoneReason } from "./events.ts";
import { nextExpiry, touchDue } from "./policy.ts";
import type { Content, SessionRecord } from "./record.ts";
import { dropData, endAll, settle, taskOf, type SessionState, type Task } from "./state.ts";
import { newSecret, type Secret } from "./token.ts";
import type { CommitContext, Tracked } from "./tracker.ts";
import { draftOf, isDataVerb, isEmpty, replay, type Draft, type Verb } from "./verbs.ts";

type State = SessionState<ByIdBase>;

/** What a step of a commit did, before the token is written. */
interface Step {
  readonly outcome: Tracked["outcome"];
  /** The secret that the client must be told. */
  readonly owed?: Secret | undefined;
}

const UNCHANGED: Step = { outcome: "unchanged" };
const GONE: Step = { outcome: "gone" };

/** Writes what a request did. Commits of one session queue within the process (P12). */
export function commitById(byId: ById, state: State, context: CommitContext): MaybePromise<Tracked> {
  if (isQuiet(byId, state)) return UNCHANGED;
  const work = (): MaybePromise<Tracked> => run(committed(byId, state, context));
  const id = state.base?.id;
  return id === undefined || state.log.length === 0 ? work() : byId.queue.run(id, work);
}

/** Whether there is nothing to write and nothing to say, as after nearly every read: told at once, without a generator. */
function isQuiet(byId: ById, { base, log, ended, unsettled, owed }: State): boolean {
  if (log.length + ended.length > 0 || unsettled !== undefined || owed !== undefined) return false;
  if (base === undefined) return true;
  const secretsRest = base.proof === "current" && base.record.pending === undefined && !base.outdated;
  return secretsRest && !renewalDue(byId, base) && !outlives(byId, base) && !isTouchDue(byId, base);
}

function isTouchDue({ policy, clock }: ById, { content, expiresAt }: ByIdBase): boolean {
  return touchDue(policy, content, expiresAt, clock.now());
}

function* committed(byId: ById, state: State, context: CommitContext): Steps<Tracked> {
  const end = (base: ByIdBase, reason: EndReason): Steps<void> => removed(byId, base, reason);
  const settledNow = yield* settledAttempt(byId, state);
  const ended = yield* endAll(state, end);
  if (context.failed) dropData(state);
  const step = yield* written(byId, state, context);
  if (step.owed !== undefined && state.base !== undefined) state.owed = { id: state.base.id, secret: step.owed };
  yield* endAll(state, end);
  return yield* told(byId, state, settledNow || ended ? "written" : step.outcome);
}

/** What the client must be told, once nothing can go wrong any more: it stays owed until then. */
function* told(byId: ById, state: State, outcome: Tracked["outcome"]): Steps<Tracked> {
  const { base, owed } = state;
  state.owed = undefined;
  if (owed === undefined || owed.id !== base?.id) return { outcome };
  return { outcome, token: yield* settled(byId.codec.write(owed.id, owed.secret)) };
}

function* written(byId: ById, state: State, context: CommitContext): Steps<Step> {
  const { base } = state;
  if (state.unchecked && base !== undefined) state.draft = merged(byId, state.log, base);
  state.unchecked = false;
  const task = taskOf(state);
  const { draft, log } = task;
  if (base === undefined) {
    const nothing = isEmpty(draft) || (state.gone && !signsIn(task));
    return nothing ? lost(byId, state) : yield* created(byId, state, task, context);
  }
  if (log.length === 0) return yield* maintained(byId, state, base, task, context);
  // Somebody else signed in: the session that this one replaces is ended afterwards (P16).
  return draft.separate ? yield* created(byId, state, task, context) : yield* updated(byId, state, base, task, context);
}

/** A request whose session turned out to be gone begins a new one only by signing in (P13, P15). */
function signsIn({ log }: Task): boolean {
  return log.some(({ kind }) => kind === "authenticate");
}

/** What was done is not written: there is nothing to write, or nowhere to write it. */
function lost({ events }: ById, state: State): Step {
  const meant = state.gone && state.log.length > 0;
  state.log = [];
  if (!meant) return UNCHANGED;
  events.emit("gone", { reason: "signed-in-anew" });
  return GONE;
}

function* removed(byId: ById, { id, stored, content }: ByIdBase, reason: EndReason): Steps<void> {
  const existed = yield* settled(byId.calls.delete(keyOf(byId, id), { previousSubject: stored.subject }));
  if (existed) byId.events.emit("destroyed", { id, subject: content.subject, reason });
}

// --- a new record -------------------------------------------------------------------------------------------------------

function* created(byId: ById, state: State, task: Task, { carrier }: CommitContext): Steps<Step> {
  carrier.require();
  const now = byId.clock.now();
  const secret = newSecret();
  const mine = yield* settled(byId.codec.verifier(secret));
  const content = contentOf(task.draft);
  const record: SessionRecord = { content, lastSeenAt: now, ...firstSecrets(mine, 0, now) };
  const stored = toStored(byId, record, newVersion(), now);
  for (let tries = 0; tries < 3; tries++) {
    const id = state.id ?? byId.codec.newId();
    const kept = { id, stored, record, content, migrated: false, secret, mine, outdated: false };
    const base = baseOf(byId, { ...kept, proof: "current" });
    state.unsettled = { base, from: undefined, task, owed: true };
    if (yield* creates(byId, base)) return begun(byId, state, base, task);
    state.unsettled = undefined;
    state.id = undefined;
  }
  throw new StoreError("create", { cause: new Error("three new ids in a row exist already: check generateId") });
}

/** Whether the record is there now by this write: by this call, or by an earlier one whose answer was lost (P18). */
function* creates(byId: ById, base: ByIdBase): Steps<boolean> {
  if (yield* settled(byId.calls.create(keyOf(byId, base.id), base.stored))) return true;
  return (yield* settled(freshlyRead(byId, base)))?.version === base.stored.version;
}

function begun(byId: ById, state: State, base: ByIdBase, task: Task): Step {
  const detail = { id: base.id, subject: base.content.subject };
  byId.events.emit("created", detail);
  if (base.content.subject !== undefined) byId.events.emit("authenticated", detail);
  done(state, base, task);
  return { outcome: "written", owed: base.secret };
}

// --- a record that exists -----------------------------------------------------------------------------------------------

function* updated(byId: ById, state: State, loaded: ByIdBase, task: Task, context: CommitContext): Steps<Step> {
  if (task.draft.rotated !== undefined) context.carrier.require();
  const version = newVersion();
  const rotation = newSecret();
  const deadline = byId.clock.now() + byId.timeout;
  let base = loaded;
  let { draft } = task;
  for (let tries = 1; ; tries++) {
    const change = yield* changedSecrets(byId, base, draft, context, rotation);
    const next = nextBase(byId, base, contentOf(draft), change, version);
    state.unsettled = { base: next, from: base, task, owed: change.change === "replaced" };
    const outcome = yield* settled(byId.calls.update(keyOf(byId, base.id), next.stored, base.stored));
    if (outcome === "ok") return accepted(byId, state, next, change, task);
    const fresh = outcome === "gone" ? "ended" : yield* freshBase(byId, base, version);
    if (fresh === "ours") return accepted(byId, state, next, change, task);
    state.unsettled = undefined;
    if (typeof fresh === "string") return yield* vanished(byId, state, loaded, task, context, fresh);
    byId.events.emit("conflict", { id: base.id, subject: base.content.subject });
    if (byId.concurrency === "reject" && !sameContent(base, fresh)) throw new ConflictError("rejected");
    if (byId.clock.now() >= deadline) throw new ConflictError("retries");
    if (byId.concurrency === "merge") draft = merged(byId, task.log, fresh);
    base = fresh;
    yield* pause(byId, tries);
  }
}

/** The session as it is now, or why it is gone; `"ours"` when the write that seemed to fail had been done. */
function* freshBase(byId: ById, base: ByIdBase, version: string): Steps<ByIdBase | "ours" | GoneReason> {
  const stored = yield* settled(freshlyRead(byId, base));
  if (stored?.version === version) return "ours";
  return rebased(byId, base, stored) ?? (stored === undefined ? "ended" : "signed-in-anew");
}

function* changedSecrets(
  byId: ById,
  base: ByIdBase,
  draft: Draft,
  { carrier }: CommitContext,
  rotation: Secret,
): Steps<SecretsChange> {
  if (draft.rotated !== undefined) return yield* replacedSecrets(byId, base.record.generation, rotation);
  return yield* maintainedSecrets(byId, base, { renews: carrier.renews });
}

/** What the session is with this content, and these secrets. */
function nextBase(byId: ById, base: ByIdBase, seen: Content, change: SecretsChange, version: string): ByIdBase {
  const now = byId.clock.now();
  const content = seen === base.content ? base.record.content : { ...seen, data: withUnseen(base, seen.data) };
  const record: SessionRecord = { content, lastSeenAt: now, ...change.secrets };
  const stored = toStored(byId, record, version, now);
  const next = { ...base, stored, record, content: seen, migrated: base.migrated && seen === base.content };
  if (change.change !== "replaced" || change.owed === undefined) return baseOf(byId, next);
  return baseOf(byId, { ...next, secret: change.owed, mine: record.verifier, proof: "current", outdated: false });
}

/** The data, with the keys that a newer server wrote and this one's schema left out: they are not ours to remove. */
function withUnseen({ record, content, migrated }: ByIdBase, data: unknown): unknown {
  const raw = record.content.data;
  const seen = content.data;
  if (migrated || raw === seen || !isPlainObject(raw) || !isPlainObject(seen) || !isPlainObject(data)) return data;
  const unseen = Object.entries(raw).filter(([key]) => !Object.hasOwn(seen, key));
  return unseen.length === 0 ? data : { ...Object.fromEntries(unseen), ...data };
}

/** A renewal or a touch in between is no conflict that anybody has to see (P13). */
function sameContent(a: ByIdBase, b: ByIdBase): boolean {
  return sameJson(contentOf(a.record.content), contentOf(b.record.content));
}

function accepted(byId: ById, state: State, next: ByIdBase, { change, owed }: SecretsChange, task: Task): Step {
  const { rotated, subject } = task.draft;
  const detail = { id: next.id, subject };
  if (rotated !== undefined) byId.events.emit(rotated, detail);
  if (task.log.some(isDataVerb)) byId.events.emit("updated", detail);
  if (change === "confirmed" || change === "renewed") byId.events.emit(change, detail);
  done(state, next, task);
  return { outcome: "written", owed };
}

/** The request's verbs on what the other request wrote (P12, P17). */
function merged(byId: ById, log: readonly Verb[], fresh: ByIdBase): Draft {
  try {
    const draft = replay(log, fresh.content);
    return draft.data === undefined ? draft : { ...draft, data: byId.shape.accept(draft.data) };
  } catch (cause) {
    throw new ConflictError("merge-invalid", { cause: cause instanceof SessionError ? cause : undefined });
  }
}

function* vanished(
  byId: ById,
  state: State,
  { id, content }: ByIdBase,
  task: Task,
  context: CommitContext,
  reason: GoneReason,
): Steps<Step> {
  byId.events.emit("gone", { id, subject: content.subject, reason });
  state.base = undefined;
  state.gone = true;
  if (signsIn(task)) return yield* created(byId, state, task, context);
  state.log = [];
  return GONE;
}

/** Two writers that keep meeting step aside for a random while; the first tries need none. */
function* pause({ clock }: ById, tries: number): Steps<void> {
  if (tries < 3) return;
  const ms = Math.random() * Math.min(2 ** tries, 64);
  yield* settled(new Promise<void>((resolve) => void clock.after(ms, resolve)));
}

// --- a record that nobody changed ---------------------------------------------------------------------------------------

/** What a request that only looked may still have to write (P22). The response does not depend on it. */
function* maintained(byId: ById, state: State, base: ByIdBase, task: Task, { carrier }: CommitContext): Steps<Step> {
  const how = { renews: carrier.renews };
  const change = yield* maintainedSecrets(byId, base, how);
  if (change.change !== undefined || outlives(byId, base)) {
    const next = nextBase(byId, base, base.content, change, newVersion());
    return (yield* bestEffort(secretsWritten(byId, state, base, next, change, task, how))) ?? UNCHANGED;
  }
  if (isTouchDue(byId, base)) {
    if ((yield* bestEffort(touched(byId, state, base, task))) === false) return UNCHANGED;
  }
  const owed = change.owed ?? (mayReissue(byId, base, how) ? base.secret : undefined);
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
  state: State,
  base: ByIdBase,
  next: ByIdBase,
  { change, owed }: SecretsChange,
  task: Task,
  how: { renews: boolean },
): Steps<Step> {
  const outcome = yield* settled(byId.calls.update(keyOf(byId, base.id), next.stored, base.stored));
  if (outcome === "ok") {
    const type = change === "confirmed" || change === "renewed" ? change : "touched";
    byId.events.emit(type, { id: base.id, subject: base.content.subject });
    done(state, next, task);
    return { outcome: "unchanged", owed };
  }
  if (change !== "renewed") return UNCHANGED;
  // Another request renewed first: its offer is ours too, so that both hand out the same next secret (P9).
  const fresh = outcome === "gone" ? undefined : rebased(byId, base, yield* settled(freshlyRead(byId, base)));
  const theirs = fresh === undefined ? undefined : yield* maintainedSecrets(byId, fresh, how);
  return theirs === undefined || theirs.change !== undefined ? UNCHANGED : { outcome: "unchanged", owed: theirs.owed };
}

function* touched(byId: ById, state: State, base: ByIdBase, task: Task): Steps<boolean> {
  const { expiresAt } = toStored(byId, base.record, base.stored.version, byId.clock.now());
  const exists = yield* settled(byId.calls.touch(keyOf(byId, base.id), expiresAt));
  const detail = { id: base.id, subject: base.content.subject };
  byId.events.emit(exists ? "touched" : "gone", exists ? detail : { ...detail, reason: "ended" });
  if (exists) done(state, { ...base, stored: { ...base.stored, expiresAt }, expiresAt }, task);
  else {
    state.base = undefined;
    state.gone = true;
  }
  return exists;
}

// --- writes whose outcome is unknown (P18) ------------------------------------------------------------------------------

/**
 * Sends a write that the store did not answer once more, as it was: its version tells whether it was done. False when there
 * is none, or when it came to nothing. Throws a `ConflictError` when others have written since, so that nobody can tell.
 */
function* settledAttempt(byId: ById, state: State): Steps<boolean> {
  const { unsettled } = state;
  if (unsettled === undefined) return false;
  const { base, from, task, owed } = unsettled;
  const outcome = from === undefined ? yield* creates(byId, base) : yield* resent(byId, base, from);
  state.unsettled = undefined;
  if (outcome === "unknown") {
    state.log = [];
    state.draft = draftOf(state.base?.content ?? state.draft);
    throw new ConflictError("retries");
  }
  if (outcome !== true && outcome !== "ok") return false;
  done(state, base, task);
  if (owed) state.owed = { id: base.id, secret: base.secret };
  return true;
}

function* resent(byId: ById, base: ByIdBase, from: ByIdBase): Steps<"ok" | "gone" | "unknown"> {
  const outcome = yield* settled(byId.calls.update(keyOf(byId, base.id), base.stored, from.stored));
  if (outcome !== "conflict") return outcome;
  const stored = yield* settled(freshlyRead(byId, base));
  if (stored === undefined) return "gone";
  if (stored.version === base.stored.version) return "ok";
  return rebased(byId, from, stored) === undefined ? "gone" : "unknown";
}

/** The store has it. What another subject's sign-in replaced is still to be ended (P16). */
function done(state: State, base: ByIdBase, task: Task): void {
  state.unsettled = undefined;
  const replaced = state.incarnation === task.incarnation && task.draft.separate ? state.base : undefined;
  if (replaced !== undefined) state.ended.push({ base: replaced, reason: "other-subject" });
  settle(state, base, task);
}

function contentOf({ data, flash, subject, level, createdAt, authenticatedAt }: Content): Content {
  return { data, flash, subject, level, createdAt, authenticatedAt };
}
