/**
 * Sessions by value: the record is inside the token, sealed or signed (protocol §5). No lost-update protection, no renewal:
 * the last response wins, and an old token works until its clocks or a revocation end it.
 *
 * @module
 */
import { boundedCache, type BoundedCache } from "../internal/bounded-cache.ts";
import type { Clock } from "../internal/clock.ts";
import { isPromise, run, settled, type MaybePromise, type Steps } from "../internal/maybe-promise.ts";
import type { Protector, Unprotected } from "../protection/protection.ts";
import type { BoundTransport } from "../transport/transport.ts";
import { idleTextOf, idleTimeOf, type Envelope, type Payload } from "./envelope.ts";
import type { Events, RejectionReason } from "./events.ts";
import type { Exchange } from "./exchange.ts";
import { absoluteEnd, nextExpiry, type Policy } from "./policy.ts";
import type { Content } from "./record.ts";
import type { Revocation } from "./revocation.ts";
import type { Shape } from "./shape.ts";
import { dropData, endAll, settle, taskOf, type Base, type SessionState, type Task } from "./state.ts";
import type { Beside, CommitContext, Loaded, Tracked, Tracker } from "./tracker.ts";
import { isDataVerb, isEmpty, type Draft } from "./verbs.ts";

/** What keeps the idle clock of sessions by value. */
interface IdleClock {
  readonly protector: Protector;
  readonly transport: BoundTransport;
}

/** Everything that keeping sessions by value needs. */
export interface ByValue {
  readonly clock: Clock;
  readonly policy: Policy;
  readonly shape: Shape;
  readonly events: Events;
  readonly protector: Protector;
  /** The idle clock, when there is one: its own seal and its own place beside the token, so that a read rewrites no data. */
  readonly idle: IdleClock | undefined;
  readonly revocation: Revocation | undefined;
  /** What a token says, before it is protected. */
  readonly envelope: Envelope;
  /**
   * What was read of tokens, by what the protector opens them to, where that is the same object again. Not where there is a
   * schema, which may change what it is given, or a codec.
   */
  readonly read: BoundedCache<Unprotected, Payload> | undefined;
  newId(): string;
}

/** How many tokens' payloads are remembered: as many as protections remember tokens. */
const MOST_READ = 1024;

/** Remembers what was read of tokens. */
export function readTokens(): BoundedCache<Unprotected, Payload> {
  return boundedCache(MOST_READ);
}

/** A session by value, as it came or was last issued. */
export interface ByValueBase extends Base {
  /** The revocation epoch, for a session with a subject. */
  readonly epoch: string | undefined;
  /** Whether the token should be issued again under the current key. */
  readonly outdated: boolean;
  /** When the session was last used, as far as its idle clock tells; undefined without one. */
  readonly seenAt: number | undefined;
  readonly loadedAt: number;
}

type State = SessionState<ByValueBase>;

/** How old a load may be for its token to be issued again, in milliseconds. */
const FRESH = 5000;

/** Keeps sessions by value. */
export function trackByValue(byValue: ByValue): Tracker<ByValueBase> {
  return {
    load: (tokens, exchange) => load(byValue, tokens, exchange),
    isQuiet: (state) => isQuiet(byValue, state),
    commit: (state, context) => run(committed(byValue, state, context)),
  };
}

// --- loading ------------------------------------------------------------------------------------------------------------

type Refusal = { readonly id?: string; readonly reason: RejectionReason };
type Verdict = { readonly base: ByValueBase } | Refusal;

function load(byValue: ByValue, tokens: readonly string[], exchange: Exchange): MaybePromise<Loaded<ByValueBase>> {
  const { idle, revocation, protector } = byValue;
  const opened = tokens.length === 1 && idle === undefined && revocation === undefined;
  const only = opened ? protector.unprotect(tokens[0] as string) : undefined;
  if (!opened || isPromise(only)) return run(loaded(byValue, tokens, exchange));
  const payload = payloadOf(byValue, only);
  const verdict = "reason" in payload ? payload : admitted(byValue, payload, only?.outdated === true, undefined);
  return "base" in verdict ? verdict : refused(byValue, [verdict]);
}

function* loaded(byValue: ByValue, tokens: readonly string[], exchange: Exchange): Steps<Loaded<ByValueBase>> {
  const valid: ByValueBase[] = [];
  const refusals: Refusal[] = [];
  for (const token of tokens) {
    const verdict = yield* judged(byValue, token, exchange);
    if ("base" in verdict) valid.push(verdict.base);
    else refusals.push(verdict);
  }
  if (valid.length > 1) return refused(byValue, [...refusals, { reason: "ambiguous" }], "ambiguous");
  const { reason } = refused(byValue, refusals);
  return { base: valid[0], reason };
}

/** Tells of the refusals. The reason is that of the last, unless others were of tokens that are no longer good for anything. */
function refused({ events }: ByValue, refusals: readonly Refusal[], reason = strongest(refusals)): Loaded<ByValueBase> {
  for (const refusal of refusals) events.emit("rejected", refusal);
  return { base: undefined, reason };
}

function strongest(refusals: readonly Refusal[]): RejectionReason | undefined {
  return (refusals.find(({ reason }) => reason !== "expired") ?? refusals[0])?.reason;
}

function* judged(byValue: ByValue, token: string, exchange: Exchange): Steps<Verdict> {
  const { idle, revocation, clock } = byValue;
  const opened = yield* settled(byValue.protector.unprotect(token));
  const payload = payloadOf(byValue, opened);
  if ("reason" in payload) return payload;
  const { id, content, epoch } = payload;
  const seenAt = idle === undefined ? undefined : yield* lastSeen(idle, payload, exchange);
  const { subject } = content;
  if (revocation !== undefined && subject !== undefined && endOf(byValue, content, seenAt) > clock.now()) {
    if (epoch === undefined || !(yield* revocation.valid(subject, epoch, id))) return { id, reason: "revoked" };
  }
  return admitted(byValue, payload, opened?.outdated === true, seenAt);
}

/** What an opened token says. */
function payloadOf({ envelope, clock, read }: ByValue, opened: Unprotected | undefined): Payload | Refusal {
  if (opened === undefined) return { reason: "forged" };
  const known = read?.get(opened);
  if (known !== undefined) return known;
  const payload = envelope.read(opened.text, clock.now());
  if (payload === undefined) return { reason: "corrupt" };
  read?.offer(opened, payload);
  return payload;
}

function endOf({ policy }: ByValue, content: Content, seenAt: number | undefined): number {
  return seenAt === undefined ? absoluteEnd(policy, content) : nextExpiry(policy, content, seenAt);
}

/** The session, unless a clock has ended it or its data does not fit. */
function admitted(byValue: ByValue, payload: Payload, outdated: boolean, seenAt: number | undefined): Verdict {
  const { id, content, epoch, issuedAt } = payload;
  const now = byValue.clock.now();
  const expiresAt = endOf(byValue, content, seenAt);
  if (expiresAt <= now) return { id, reason: "expired" };
  const data = byValue.shape.read(content.data);
  if (data === undefined) return { id, reason: "invalid-data" };
  if (data.migrated) byValue.events.emit("migrated", { id, subject: content.subject });
  const lastSeenAt = seenAt ?? issuedAt;
  const seen = data.data === content.data ? content : { ...content, data: data.data };
  return { base: { id, content: seen, expiresAt, lastSeenAt, epoch, outdated, seenAt, loadedAt: now } };
}

/**
 * When the session was last used: when its token was issued, or as its idle clocks say, the latest of those that are ours. A
 * late answer may have put the clock of another session in the place of ours; that must not end one that was just begun.
 */
function* lastSeen(idle: IdleClock, { id, issuedAt }: Payload, { view }: Exchange): Steps<number> {
  let latest = issuedAt;
  for (const token of idle.transport.read(view)) {
    const opened = yield* settled(idle.protector.unprotect(token));
    const at = opened === undefined ? undefined : idleTimeOf(opened.text, id);
    if (at !== undefined && at > latest) latest = at;
  }
  return latest;
}

// --- committing ---------------------------------------------------------------------------------------------------------

function* committed(byValue: ByValue, state: State, { carrier, failed, fits }: CommitContext): Steps<Tracked> {
  const destroyed = state.ended.length > 0 && (yield* endAll(state, (ending) => ended(byValue, ending)));
  if (failed) dropData(state);
  const { base } = state;
  const task = taskOf(state);
  if (task.log.length > 0 && !(base === undefined && isEmpty(task.draft))) {
    carrier.require();
    return yield* issued(byValue, state, task, fits);
  }
  state.log = [];
  if (base === undefined || !carrier.renews) return { outcome: destroyed ? "written" : "unchanged" };
  return yield* maintained(byValue, base);
}

function* ended(byValue: ByValue, base: ByValueBase): Steps<void> {
  yield* endedEarly(byValue, base);
  byValue.events.emit("destroyed", { id: base.id, subject: base.content.subject, reason: "destroy" });
}

function* endedEarly({ revocation, policy }: ByValue, { id, content }: ByValueBase): Steps<void> {
  if (content.subject !== undefined) yield* revocation?.end(content.subject, id, absoluteEnd(policy, content)) ?? [];
}

/** A new token, with what the request did. */
function* issued(byValue: ByValue, state: State, task: Task, fits: CommitContext["fits"]): Steps<Tracked> {
  const { base } = state;
  const { draft } = task;
  const now = byValue.clock.now();
  const anew = base === undefined || draft.rotated !== undefined;
  const id = anew ? (state.id ?? byValue.newId()) : base.id;
  const epoch = byValue.revocation === undefined ? undefined : yield* epochOf(byValue.revocation, base, draft);
  const sealed = byValue.protector.protect(byValue.envelope.write({ id, issuedAt: now, content: draft, epoch }));
  const token = isPromise(sealed) ? yield* settled(sealed) : sealed;
  const beside = byValue.idle === undefined ? undefined : yield* idleClockOf(byValue.idle, id, now);
  fits(token, draft);
  // The token that this one replaces is ended last: should anything fail, nothing goes out and the old one still holds.
  if (anew && base !== undefined) yield* endedEarly(byValue, base);
  announce(byValue, base, task, id);
  const { policy } = byValue;
  const seenAt = byValue.idle === undefined ? undefined : now;
  const expiresAt = nextExpiry(policy, draft, now);
  settle(
    state,
    { id, content: draft, expiresAt, lastSeenAt: now, epoch, outdated: false, seenAt, loadedAt: now },
    task,
  );
  return { outcome: "written", token, beside };
}

function* epochOf(revocation: Revocation, base: ByValueBase | undefined, draft: Draft): Steps<string | undefined> {
  if (draft.subject === undefined) return undefined;
  return draft.rotated === "authenticated" || base === undefined ? yield* revocation.epoch(draft.subject) : base.epoch;
}

function announce({ events }: ByValue, base: Base | undefined, { draft, log }: Task, id: string): void {
  const detail = { id, subject: draft.subject };
  if (base === undefined) events.emit("created", detail);
  if (draft.rotated !== undefined) events.emit(draft.rotated, detail);
  if (base !== undefined && log.some(isDataVerb)) events.emit("updated", detail);
}

/** Whether there is nothing to write and nothing to say, as after nearly every read. */
function isQuiet({ policy, clock }: ByValue, { base, log, ended: endings }: State): boolean {
  if (log.length + endings.length > 0) return false;
  return base === undefined || (!base.outdated && !isIdleDue(policy, base, clock.now()));
}

function isIdleDue({ idle }: Policy, { seenAt }: ByValueBase, now: number): boolean {
  return idle !== undefined && seenAt !== undefined && now - seenAt >= idle / 10;
}

/** What a request that only looked may still send: the token under the current key, the idle clock (P22). */
function* maintained(byValue: ByValue, base: ByValueBase): Steps<Tracked> {
  const { policy, clock, events } = byValue;
  const now = clock.now();
  const detail = { id: base.id, subject: base.content.subject };
  let token: string | undefined;
  // A slow request must not bring back a token that was taken back, or replaced, while it ran.
  if (base.outdated && now - base.loadedAt <= FRESH) {
    token = yield* settled(byValue.protector.protect(byValue.envelope.write({ ...base, issuedAt: now })));
    events.emit("reissued", detail);
  }
  const due = isIdleDue(policy, base, now);
  if (due) events.emit("touched", detail);
  const beside = due && byValue.idle !== undefined ? yield* idleClockOf(byValue.idle, base.id, now) : undefined;
  return { outcome: "unchanged", token, beside };
}

function* idleClockOf({ protector, transport: place }: IdleClock, id: string, now: number): Steps<readonly Beside[]> {
  return [{ place, text: yield* settled(protector.protect(idleTextOf(id, now))) }];
}
