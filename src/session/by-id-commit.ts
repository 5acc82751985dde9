/**
 * Committing sessions by id: compare-and-set, and on a conflict the request's verbs once more on the fresh record
 * (protocol §4).
 *
 * @module
 */
import { ConflictError, SessionError, StoreError } from "../errors.ts";
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
import { firstSecrets, FRESH, maintainedSecrets, replacedSecrets, type SecretsChange } from "./by-id-secrets.ts";
import type { EndReason, GoneReason } from "./events.ts";
import { touchDue } from "./policy.ts";
import type { Content, SessionRecord } from "./record.ts";
import { dropData, endAll, settle, taskOf, type SessionState, type Task } from "./state.ts";
import { newSecret, type Secret } from "./token.ts";
import type { CommitContext, Tracked } from "./tracker.ts";
import { isDataVerb, isEmpty, replay, type Draft } from "./verbs.ts";

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
  const work = (): MaybePromise<Tracked> => run(committed(byId, state, context));
  const id = state.base?.id;
  return id === undefined || state.log.length === 0 ? work() : byId.queue.run(id, work);
}

function* committed(byId: ById, state: State, context: CommitContext): Steps<Tracked> {
  const earlier = yield* settledAttempt(byId, state);
  const destroyed = yield* endAll(state, (base) => removed(byId, base, "destroy"));
  if (context.failed) dropData(state);
  const step = yield* written(byId, state, context);
  const owed = step.owed ?? earlier;
  const { base } = state;
  if (owed !== undefined && base !== undefined) {
    return { outcome: "written", token: yield* settled(byId.codec.write(base.id, owed)) };
  }
  return { outcome: earlier === undefined && !destroyed ? step.outcome : "written" };
}

function* written(byId: ById, state: State, context: CommitContext): Steps<Step> {
  const { base } = state;
  const task = taskOf(state);
  const { draft, log } = task;
  if (base === undefined)
    return isEmpty(draft) || (state.gone && !signsIn(task))
      ? lost(byId, state)
      : yield* created(byId, state, task, context);
  if (log.length === 0) return yield* maintained(byId, state, base, task, context);
  if (!draft.separate) return yield* updated(byId, state, base, task, context);
  const step = yield* created(byId, state, task, context);
  yield* removed(byId, base, "other-subject");
  return step;
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
  const { draft } = task;
  const now = byId.clock.now();
  const secret = newSecret();
  const mine = yield* settled(byId.codec.verifier(secret));
  const record: SessionRecord = { content: contentOf(draft), lastSeenAt: now, ...firstSecrets(mine, 0, now) };
  const stored = toStored(byId, record, newVersion(), now);
  for (let tries = 0; tries < 3; tries++) {
    const id = state.id ?? byId.codec.newId();
    const base = baseOf(byId, { id, stored, record, secret, mine, proof: "current", outdated: false });
    state.unsettled = { base, task, owed: true };
    if (yield* settled(byId.calls.create(keyOf(byId, id), stored))) {
      byId.events.emit("created", { id, subject: draft.subject });
      if (draft.subject !== undefined) byId.events.emit("authenticated", { id, subject: draft.subject });
      done(state, base, task);
      return { outcome: "written", owed: secret };
    }
    state.id = undefined;
  }
  throw new StoreError("create", { cause: new Error("three new ids in a row exist already: check generateId") });
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
    const change = yield* changedSecrets(byId, state, base, draft, context, rotation);
    const next = nextBase(byId, base, draft, change, version);
    state.unsettled = { base: next, task, owed: change.change === "replaced" };
    const outcome = yield* settled(byId.calls.update(keyOf(byId, base.id), next.stored, base.stored));
    if (outcome === "ok") return accepted(byId, state, next, change, task);
    const fresh = outcome === "gone" ? "ended" : yield* freshBase(byId, base, version);
    if (fresh === "ours") return accepted(byId, state, next, change, task);
    state.unsettled = undefined;
    if (typeof fresh === "string") return yield* vanished(byId, state, loaded, task, context, fresh);
    byId.events.emit("conflict", { id: base.id, subject: base.content.subject });
    if (byId.concurrency === "reject") throw new ConflictError("rejected");
    if (byId.clock.now() >= deadline) throw new ConflictError("retries");
    if (byId.concurrency === "merge") draft = merged(byId, task, fresh);
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
  { exchange }: State,
  base: ByIdBase,
  draft: Draft,
  { carrier }: CommitContext,
  rotation: Secret,
): Steps<SecretsChange> {
  if (draft.rotated !== undefined) return yield* replacedSecrets(byId, base.record.generation, rotation);
  return yield* maintainedSecrets(byId, base, { renews: carrier.renews, arrivedAt: exchange.arrivedAt });
}

function nextBase(byId: ById, base: ByIdBase, content: Content, change: SecretsChange, version: string): ByIdBase {
  const now = byId.clock.now();
  const record: SessionRecord = { content: contentOf(content), lastSeenAt: now, ...change.secrets };
  const stored = toStored(byId, record, version, now);
  if (change.change !== "replaced" || change.owed === undefined) return baseOf(byId, { ...base, stored, record });
  const mine = record.verifier;
  return baseOf(byId, { ...base, stored, record, secret: change.owed, mine, proof: "current", outdated: false });
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
function merged(byId: ById, { log }: Task, fresh: ByIdBase): Draft {
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
  const how = { renews: carrier.renews, arrivedAt: state.exchange.arrivedAt };
  const change = yield* maintainedSecrets(byId, base, how);
  if (change.change !== undefined) {
    const next = nextBase(byId, base, base.content, change, newVersion());
    return (yield* bestEffort(secretsWritten(byId, state, base, next, change, task, how))) ?? UNCHANGED;
  }
  if (touchDue(byId.policy, base.content, base.expiresAt, byId.clock.now())) {
    if ((yield* bestEffort(touched(byId, state, base, task))) === false) return UNCHANGED;
  }
  const owed = change.owed ?? (mayReissue(byId, base, how) ? base.secret : undefined);
  if (owed === undefined || (yield* bestEffort(stillHolds(byId, base))) !== true) return UNCHANGED;
  if (change.owed === undefined) byId.events.emit("reissued", { id: base.id, subject: base.content.subject });
  return { outcome: "unchanged", owed };
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
  how: { renews: boolean; arrivedAt: number },
): Steps<Step> {
  const outcome = yield* settled(byId.calls.update(keyOf(byId, base.id), next.stored, base.stored));
  if (outcome === "ok" && change !== undefined && change !== "replaced") {
    byId.events.emit(change, { id: base.id, subject: base.content.subject });
    done(state, next, task);
    return { outcome: "unchanged", owed };
  }
  if (change === "confirmed") return UNCHANGED;
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

/** A write that the store did not answer: if it was done after all, go on from there. Returns the secret the client lacks. */
function* settledAttempt(byId: ById, state: State): Steps<Secret | undefined> {
  const { unsettled } = state;
  if (unsettled === undefined) return undefined;
  const { base, task, owed } = unsettled;
  const stored = yield* settled(freshlyRead(byId, base));
  state.unsettled = undefined;
  if (stored?.version !== base.stored.version) return undefined;
  settle(state, base, task);
  return owed ? base.secret : undefined;
}

/** The store has it. */
function done(state: State, base: ByIdBase, task: Task): void {
  state.unsettled = undefined;
  settle(state, base, task);
}

function contentOf({ data, flash, subject, level, createdAt, authenticatedAt }: Content): Content {
  return { data, flash, subject, level, createdAt, authenticatedAt };
}
