/**
 * Committing sessions by id: compare-and-set, and on a conflict the request's verbs once more on the fresh record
 * (protocol §4).
 *
 * @module
 */
import { ConflictError, SessionError, StoreError } from "../errors.ts";
import { randomBytes } from "../internal/crypto.ts";
import { sameJson } from "../internal/json.ts";
import { isPromise, run, settled, type MaybePromise, type Steps } from "../internal/maybe-promise.ts";
import {
  baseOf,
  freshlyRead,
  fromStored,
  keyOf,
  newVersion,
  rebased,
  toStored,
  type ById,
  type ByIdBase,
} from "./by-id.ts";
import { judge, refusedAll } from "./by-id-load.ts";
import {
  anewSecrets,
  firstSecrets,
  maintainedSecrets,
  replacedSecrets,
  restingSecrets,
  type SecretsChange,
} from "./by-id-secrets.ts";
import { contentOf, contentsOf, done, GONE, nextBase, UNCHANGED, type ByIdState, type Step } from "./by-id-step.ts";
import { maintained } from "./by-id-upkeep.ts";
import type { EndReason, GoneReason } from "./events.ts";
import { emptyContent, type SessionRecord } from "./record.ts";
import { dropData, endAll, taskOf, type Task, type Unsettled } from "./state.ts";
import { newSecret, type Secret } from "./token.ts";
import type { CommitContext, Tracked } from "./tracker.ts";
import { draftOf, isDataVerb, isEmpty, replay, type Draft, type Verb } from "./verbs.ts";

/** Writes what a request did. Commits of one session queue within the process (P12). */
export function commitById(byId: ById, state: ByIdState, context: CommitContext): MaybePromise<Tracked> {
  const work = (): MaybePromise<Tracked> => run(committed(byId, state, context));
  const id = state.base?.id;
  return id === undefined || state.log.length === 0 ? work() : byId.queue.run(id, work);
}

/** Each generator costs as much as what it does: those of what is rare are made when it happens. */
function* committed(byId: ById, state: ByIdState, context: CommitContext): Steps<Tracked> {
  const end = (base: ByIdBase, reason: EndReason): Steps<void> => removed(byId, state, base, reason);
  const settledNow = state.unsettled !== undefined && (yield* settledAttempt(byId, state, state.unsettled));
  const ended = state.ended.length > 0;
  if (ended) yield* endAll(state, end);
  if (context.failed) dropData(state);
  const step = yield* written(byId, state, context);
  if (step.owed !== undefined && state.base !== undefined) state.owed = { id: state.base.id, secret: step.owed };
  if (state.ended.length > 0) yield* endAll(state, end);
  const outcome = settledNow || ended ? "written" : step.outcome;
  // What the client must be told, once nothing can go wrong any more: it stays owed until then.
  const { base, owed } = state;
  state.owed = undefined;
  const beside = writtenVersion(byId, state, context);
  if (owed === undefined || owed.id !== base?.id) return { outcome, beside };
  const token = byId.codec.write(owed.id, owed.secret);
  return { outcome, token: isPromise(token) ? yield* settled(token) : token, beside };
}

function* written(byId: ById, state: ByIdState, context: CommitContext): Steps<Step> {
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
  return draft.separate && state.identity === undefined
    ? yield* created(byId, state, task, context)
    : yield* updated(byId, state, base, task, context);
}

/** The version that the client has written and is to read, whatever copies there are. Who has no cookies is told none. */
function writtenVersion({ versions }: ById, state: ByIdState, { carrier }: CommitContext): Tracked["beside"] {
  const { base, transport } = state;
  if (versions === undefined || base?.isOwn !== true || transport.beside === undefined) return undefined;
  return carrier.renews ? [{ ...versions, text: base.stored.version }] : undefined;
}

/** A request whose session turned out to be gone begins a new one only by signing in (P13, P15). */
function signsIn({ log }: Task): boolean {
  return log.some(({ kind }) => kind === "authenticate");
}

/** What was done is not written: there is nothing to write, or nowhere to write it. */
function lost({ events }: ById, state: ByIdState): Step {
  const meant = state.gone && state.log.length > 0;
  state.log = [];
  if (!meant) return UNCHANGED;
  events.emit("gone", { reason: "signed-in-anew" });
  return GONE;
}

function* removed(byId: ById, state: ByIdState, base: ByIdBase, reason: EndReason): Steps<void> {
  if (!(yield* mayEnd(byId, state, base))) return;
  const { id, stored, content } = base;
  const existed = yield* settled(byId.calls.delete(keyOf(byId, id), { previousSubject: stored.subject }));
  if (existed) byId.events.emit("destroyed", { id, subject: content.subject, reason });
}

/**
 * Whether a session may be ended by who has a copy of it. Not if its secret was dead when the request came (P6, P13): without
 * the copy there would have been nothing to end. Then no cookie is taken from who has the new one either (P8).
 */
function* mayEnd(byId: ById, state: ByIdState, base: ByIdBase): Steps<boolean> {
  if (base.isOwn || !(base.isCopy || byId.calls.cached)) return true;
  const { exchange } = state;
  const stored = yield* settled(freshlyRead(byId, base));
  const verdict = judge(byId, base, base.mine, exchange, stored);
  const since = stored === undefined ? undefined : fromStored(byId, stored)?.secretSince;
  if ("base" in verdict || (since !== undefined && exchange.arrivedAt <= since)) return true;
  yield* refusedAll(byId, [verdict]);
  state.forget &&= verdict.reason === "unknown" || verdict.reason === "expired";
  state.gone ||= verdict.straggler === true;
  return false;
}

// --- a new record -------------------------------------------------------------------------------------------------------

function* created(byId: ById, state: ByIdState, task: Task, context: CommitContext): Steps<Step> {
  context.carrier.require();
  const now = byId.clock.now();
  const { identity } = state;
  const secret = identity?.secret ?? newSecret();
  const mine = yield* settled(byId.codec.verifier(secret));
  const content = contentOf(task.draft);
  // A client with an identity has one id for all its sessions: only their generations tell them apart.
  const generation = identity === undefined ? 0 : randomGeneration();
  const record: SessionRecord = { content, lastSeenAt: now, ...firstSecrets(mine, generation, now) };
  const stored = toStored(byId, record, newVersion(), now);
  for (let tries = 0; tries < 3; tries++) {
    const id = identity?.id ?? state.id ?? byId.codec.newId();
    const kept = {
      id,
      stored,
      record,
      content,
      migrated: false,
      secret,
      mine,
      outdated: false,
      memo: undefined,
      isOwn: true,
    };
    const base = baseOf(byId, { ...kept, proof: "current" });
    state.unsettled = { base, from: undefined, task, owed: true };
    if (yield* creates(byId, base)) return begun(byId, state, base, task);
    const other = identity === undefined ? undefined : yield* inTheWay(byId, state, base);
    state.unsettled = undefined;
    state.id = undefined;
    if (other === "replaced") return begun(byId, state, base, task);
    if (other !== undefined) return yield* joined(byId, state, other, task, context);
  }
  throw new StoreError("create", { cause: new Error("three new ids in a row exist already: check generateId") });
}

/** The session that another request of this client has begun meanwhile. A record that is no session is replaced by ours. */
function* inTheWay(byId: ById, { exchange }: ByIdState, base: ByIdBase): Steps<ByIdBase | "replaced" | undefined> {
  const stored = yield* settled(freshlyRead(byId, base));
  if (stored === undefined) return undefined;
  const verdict = judge(byId, { ...base, outdated: false }, base.mine, exchange, stored);
  if ("base" in verdict) return verdict.base;
  return (yield* settled(byId.calls.update(keyOf(byId, base.id), base.stored, stored))) === "ok"
    ? "replaced"
    : undefined;
}

/** Goes on with a session that another request of this client has begun: as a guest, unless this one signs in (P13). */
function* joined(byId: ById, state: ByIdState, other: ByIdBase, task: Task, context: CommitContext): Steps<Step> {
  if (other.content.subject !== undefined && !signsIn(task)) {
    return yield* vanished(byId, state, other, task, context, "signed-in-anew");
  }
  if (byId.concurrency === "reject") throw new ConflictError("rejected");
  state.base = other;
  state.draft = rewritten(byId, task.log, task.draft, other);
  return yield* updated(byId, state, other, { ...task, draft: state.draft }, context);
}

function randomGeneration(): number {
  return new DataView(randomBytes(4).buffer).getUint32(0);
}

/** Whether the record is there now by this write: by this call, or by an earlier one whose answer was lost (P18). */
function* creates(byId: ById, base: ByIdBase): Steps<boolean> {
  if (yield* settled(byId.calls.create(keyOf(byId, base.id), base.stored))) return true;
  return (yield* settled(freshlyRead(byId, base)))?.version === base.stored.version;
}

function begun(byId: ById, state: ByIdState, base: ByIdBase, task: Task): Step {
  const detail = { id: base.id, subject: base.content.subject };
  byId.events.emit("created", detail);
  if (base.content.subject !== undefined) byId.events.emit("authenticated", detail);
  done(byId, state, base, task);
  return { outcome: "written", owed: base.secret };
}

// --- a record that exists -----------------------------------------------------------------------------------------------

function* updated(byId: ById, state: ByIdState, loaded: ByIdBase, task: Task, context: CommitContext): Steps<Step> {
  if (task.draft.rotated !== undefined) context.carrier.require();
  const version = newVersion();
  const rotation = task.draft.rotated === undefined ? undefined : newSecret();
  const deadline = byId.clock.now() + byId.timeout;
  let base = loaded;
  let { draft } = task;
  for (let tries = 1; ; tries++) {
    const resting = draft.rotated === undefined ? restingSecrets(byId, base) : undefined;
    const change = resting ?? (yield* changedSecrets(byId, state, base, draft, context, rotation));
    const next = nextBase(byId, base, contentsOf(base, draft), change, version);
    state.unsettled = { base: next, from: base, task, owed: change.change === "replaced" };
    const answer = byId.calls.update(keyOf(byId, base.id), next.stored, base.stored);
    const outcome = isPromise(answer) ? yield* settled(answer) : answer;
    if (outcome === "ok") return accepted(byId, state, next, change, task);
    const fresh = outcome === "gone" ? "ended" : yield* freshBase(byId, base, version);
    if (fresh === "ours") return accepted(byId, state, next, change, task);
    state.unsettled = undefined;
    if (typeof fresh === "string") return yield* vanished(byId, state, loaded, task, context, fresh);
    byId.events.emit("conflict", { id: base.id, subject: base.content.subject });
    if (byId.concurrency === "reject" && !sameContent(base, fresh)) throw new ConflictError("rejected");
    if (byId.clock.now() >= deadline) throw new ConflictError("retries");
    draft = rewritten(byId, task.log, draft, fresh);
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
  { identity }: ByIdState,
  base: ByIdBase,
  draft: Draft,
  { carrier }: CommitContext,
  rotation: Secret | undefined,
): Steps<SecretsChange> {
  if (draft.rotated === undefined) return yield* maintainedSecrets(byId, base, carrier);
  if (identity !== undefined) return anewSecrets(byId, base.record);
  return yield* replacedSecrets(byId, base.record.generation, rotation ?? newSecret());
}

/** A renewal, a touch or a first CSRF token in between is no conflict that anybody has to see (P13). */
function sameContent(a: ByIdBase, b: ByIdBase): boolean {
  const seen = ({ record }: ByIdBase): object => ({ ...contentOf(record.content), csrf: undefined });
  return sameJson(seen(a), seen(b));
}

function accepted(byId: ById, state: ByIdState, next: ByIdBase, { change, owed }: SecretsChange, task: Task): Step {
  const { rotated, subject, separate } = task.draft;
  const detail = { id: next.id, subject };
  const before = state.base?.content.subject;
  if (separate) byId.events.emit("destroyed", { id: next.id, subject: before, reason: "other-subject" });
  if (rotated !== undefined) byId.events.emit(rotated, detail);
  if (task.log.some(isDataVerb)) byId.events.emit("updated", detail);
  if (change === "confirmed" || change === "renewed") byId.events.emit(change, detail);
  done(byId, state, next, task);
  return { outcome: "written", owed };
}

/** What is to be written now that another request wrote first. Its CSRF tokens hold, also where this request's data wins. */
function rewritten(byId: ById, log: readonly Verb[], draft: Draft, fresh: ByIdBase): Draft {
  if (byId.concurrency === "merge") return merged(byId, log, fresh);
  return draft.rotated === undefined ? { ...draft, csrf: fresh.content.csrf ?? draft.csrf } : draft;
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
  state: ByIdState,
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

// --- writes whose outcome is unknown (P18) ------------------------------------------------------------------------------

/**
 * Sends a write that the store did not answer once more, as it was: its version tells whether it was done. False when it came
 * to nothing. Throws a `ConflictError` when others have written since, so that nobody can tell.
 */
function* settledAttempt(
  byId: ById,
  state: ByIdState,
  { base, from, task, owed }: Unsettled<ByIdBase>,
): Steps<boolean> {
  const outcome = from === undefined ? yield* recreated(byId, state, base) : yield* resent(byId, base, from);
  state.unsettled = undefined;
  if (outcome === "gone" && from === undefined) forgetAll(byId, state);
  if (outcome === "unknown") {
    state.log = [];
    state.draft = draftOf(state.base?.content ?? state.draft);
    throw new ConflictError("retries");
  }
  if (outcome !== true && outcome !== "ok") return false;
  done(byId, state, base, task);
  if (owed) state.owed = { id: base.id, secret: base.secret };
  return true;
}

/**
 * Whether a session was begun whose beginning got no answer. Only its own client could have ended it since; but one with an
 * identity has other requests that could, too, and what they have ended must not begin again (design: invariant 2).
 */
function* recreated(byId: ById, { identity }: ByIdState, base: ByIdBase): Steps<boolean | "gone"> {
  if (identity === undefined) return yield* creates(byId, base);
  return (yield* settled(freshlyRead(byId, base)))?.version === base.stored.version || "gone";
}

function forgetAll({ events, clock }: ById, state: ByIdState): void {
  events.emit("gone", { id: state.identity?.id, reason: "ended" });
  state.gone = true;
  state.log = [];
  state.draft = draftOf(emptyContent(clock.now()));
}

function* resent(byId: ById, base: ByIdBase, from: ByIdBase): Steps<"ok" | "gone" | "unknown"> {
  const outcome = yield* settled(byId.calls.update(keyOf(byId, base.id), base.stored, from.stored));
  if (outcome !== "conflict") return outcome;
  const stored = yield* settled(freshlyRead(byId, base));
  if (stored === undefined) return "gone";
  if (stored.version === base.stored.version) return "ok";
  return rebased(byId, from, stored) === undefined ? "gone" : "unknown";
}
