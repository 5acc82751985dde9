/**
 * Sessions by value: the record is inside the token, sealed or signed (protocol §5). No lost-update protection, no renewal:
 * the last response wins, and an old token works until its clocks or a revocation end it.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { run, settled, type Steps } from "../internal/maybe-promise.ts";
import type { Protector } from "../protection/protection.ts";
import type { BoundTransport } from "../transport/transport.ts";
import { idleTextOf, idleTimeOf, type Envelope, type Payload } from "./envelope.ts";
import type { Events, RejectionReason } from "./events.ts";
import type { Exchange } from "./exchange.ts";
import { absoluteEnd, nextExpiry, type Policy } from "./policy.ts";
import type { Revocation } from "./revocation.ts";
import type { Shape } from "./shape.ts";
import { dropData, endAll, settle, taskOf, type Base, type SessionState, type Task } from "./state.ts";
import type { CommitContext, Loaded, Tracked, Tracker } from "./tracker.ts";
import { isDataVerb, isEmpty, type Draft } from "./verbs.ts";

/** Everything that keeping sessions by value needs. */
export interface ByValue {
  readonly clock: Clock;
  readonly policy: Policy;
  readonly shape: Shape;
  readonly events: Events;
  readonly protector: Protector;
  /** The idle clock, when there is one: its own seal and its own place beside the token, so that a read rewrites no data. */
  readonly idle: { readonly protector: Protector; readonly transport: BoundTransport } | undefined;
  readonly revocation: Revocation | undefined;
  /** What a token says, before it is protected. */
  readonly envelope: Envelope;
  newId(): string;
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
    load: (tokens, exchange) => run(loaded(byValue, tokens, exchange)),
    commit: (state, context) => run(committed(byValue, state, context)),
  };
}

// --- loading ------------------------------------------------------------------------------------------------------------

type Verdict = { readonly base: ByValueBase } | { readonly id?: string; readonly reason: RejectionReason };

function* loaded(byValue: ByValue, tokens: readonly string[], exchange: Exchange): Steps<Loaded<ByValueBase>> {
  const valid: ByValueBase[] = [];
  let refused: RejectionReason | undefined;
  for (const token of tokens) {
    const verdict = yield* judged(byValue, token, exchange);
    if ("base" in verdict) valid.push(verdict.base);
    else {
      byValue.events.emit("rejected", verdict);
      refused = refused === undefined || refused === "expired" ? verdict.reason : refused;
    }
  }
  if (valid.length <= 1) return { base: valid[0], reason: refused };
  byValue.events.emit("rejected", { reason: "ambiguous" });
  return { base: undefined, reason: "ambiguous" };
}

function* judged(byValue: ByValue, token: string, exchange: Exchange): Steps<Verdict> {
  const opened = yield* settled(byValue.protector.unprotect(token));
  if (opened === undefined) return { reason: "forged" };
  const now = byValue.clock.now();
  const payload = byValue.envelope.read(opened.text, now);
  if (payload === undefined) return { reason: "corrupt" };
  const { id, content, epoch } = payload;
  const seenAt = byValue.idle === undefined ? undefined : yield* lastSeen(byValue.idle, payload, exchange);
  const expiresAt =
    seenAt === undefined ? absoluteEnd(byValue.policy, content) : nextExpiry(byValue.policy, content, seenAt);
  if (expiresAt <= now) return { id, reason: "expired" };
  if (byValue.revocation !== undefined && content.subject !== undefined) {
    if (epoch === undefined || !(yield* byValue.revocation.valid(content.subject, epoch, id)))
      return { id, reason: "revoked" };
  }
  const data = byValue.shape.read(content.data);
  if (data === undefined) return { id, reason: "invalid-data" };
  if (data.migrated) byValue.events.emit("migrated", { id, subject: content.subject });
  const read = { ...content, data: data.data };
  const lastSeenAt = seenAt ?? payload.issuedAt;
  return {
    base: { id, content: read, expiresAt, lastSeenAt, epoch, outdated: opened.outdated, seenAt, loadedAt: now },
  };
}

/**
 * When the session was last used: when its token was issued, or as its idle clocks say, the latest of those that are ours. A
 * late answer may have put the clock of another session in the place of ours; that must not end one that was just begun.
 */
function* lastSeen(idle: NonNullable<ByValue["idle"]>, { id, issuedAt }: Payload, { view }: Exchange): Steps<number> {
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
  const destroyed = yield* endAll(state, (ending) => ended(byValue, ending));
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
  const epoch = yield* epochOf(byValue, base, draft);
  const token = yield* settled(
    byValue.protector.protect(byValue.envelope.write({ id, issuedAt: now, content: draft, epoch })),
  );
  const idleToken = yield* idleTokenOf(byValue, id, now);
  fits(token);
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
  return { outcome: "written", token, idleToken };
}

function* epochOf({ revocation }: ByValue, base: ByValueBase | undefined, draft: Draft): Steps<string | undefined> {
  if (revocation === undefined || draft.subject === undefined) return undefined;
  return draft.rotated === "authenticated" || base === undefined ? yield* revocation.epoch(draft.subject) : base.epoch;
}

function announce({ events }: ByValue, base: Base | undefined, { draft, log }: Task, id: string): void {
  const detail = { id, subject: draft.subject };
  if (base === undefined) events.emit("created", detail);
  if (draft.rotated !== undefined) events.emit(draft.rotated, detail);
  if (base !== undefined && log.some(isDataVerb)) events.emit("updated", detail);
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
  const due = policy.idle !== undefined && base.seenAt !== undefined && now - base.seenAt >= policy.idle / 10;
  if (due) events.emit("touched", detail);
  return { outcome: "unchanged", token, idleToken: due ? yield* idleTokenOf(byValue, base.id, now) : undefined };
}

function* idleTokenOf({ idle }: ByValue, id: string, now: number): Steps<string | undefined> {
  return idle === undefined ? undefined : yield* settled(idle.protector.protect(idleTextOf(id, now)));
}
