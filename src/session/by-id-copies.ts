/**
 * Sessions by id whose records clients bring along: which copies are believed, and when a client gets one.
 *
 * @module
 */
import { chain, run, settled, type Steps } from "../internal/maybe-promise.ts";
import { judge } from "./by-id-load.ts";
import type { ByIdState } from "./by-id-step.ts";
import { isAtRest } from "./by-id-upkeep.ts";
import { proofOf, type ById, type ByIdBase } from "./by-id.ts";
import type { StoredRecord } from "../store/store.ts";
import type { Exchange } from "./exchange.ts";
import type { OpenedToken } from "./token.ts";
import type { CommitContext, Loaded, Tracked, Tracker } from "./tracker.ts";
import type { Copy, TrustedCopies } from "./trusted-copy.ts";

/** Tracks sessions by id as `tracker` does, and asks the store only where no copy is to be trusted. */
export function withCopies(tracker: Tracker<ByIdBase>, byId: ById, copies: TrustedCopies): Tracker<ByIdBase> {
  return {
    ...tracker,
    load: (tokens, exchange, verify) => run(loaded(tracker, byId, copies, tokens, exchange, verify)),
    isQuiet: (state) => tracker.isQuiet?.(state) === true && !isCopyDue(byId, copies, state),
    commit: (state, context) =>
      chain(tracker.commit(state, context), (tracked) => run(told(byId, copies, state, context, tracked))),
  };
}

// --- loading ------------------------------------------------------------------------------------------------------------

function* loaded(
  tracker: Tracker<ByIdBase>,
  byId: ById,
  copies: TrustedCopies,
  tokens: readonly string[],
  exchange: Exchange,
  verify: boolean,
): Steps<Loaded<ByIdBase>> {
  const copied = verify || changes(exchange) ? undefined : yield* copiedBase(byId, copies, tokens, exchange);
  if (copied !== undefined) return { base: copied };
  const loadedAt = byId.clock.now();
  const found = yield* settled(tracker.load(tokens, exchange, verify));
  return found.base === undefined ? found : { ...found, base: { ...found.base, loadedAt } };
}

/**
 * Whether a request is about to change something, as far as its method tells: then the truth is asked for, so that what was
 * ended elsewhere acts no more, and nothing is decided by what an earlier answer said. Nor is a WebSocket opened on a copy,
 * which it would outlive.
 */
function changes({ view }: Exchange): boolean {
  return (view.method !== "GET" && view.method !== "HEAD") || view.header("upgrade") !== undefined;
}

/** The session as a copy tells it; undefined when the store has to say. What is wrong with a copy is no event: it is not final (P7). */
function* copiedBase(
  byId: ById,
  copies: TrustedCopies,
  tokens: readonly string[],
  exchange: Exchange,
): Steps<ByIdBase | undefined> {
  const [text, ...others] = tokens;
  if (text === undefined || others.length > 0) return undefined;
  const recalled = byId.codec.recall(text);
  const token = recalled ?? (yield* opened(byId, text));
  if (token === undefined) return undefined;
  let latest: ByIdBase | undefined;
  for (const copy of yield* copies.read(exchange.view)) {
    const base = isOutdated(byId, copy.stored, exchange) ? undefined : baseIn(byId, copy, token, exchange);
    if (base !== undefined && (latest === undefined || base.loadedAt > latest.loadedAt)) latest = base;
  }
  if (latest !== undefined && recalled === undefined) byId.codec.remember(text, latest);
  return latest;
}

function* opened({ codec }: ById, text: string): Steps<OpenedToken | undefined> {
  const token = yield* settled(codec.parse(text));
  return typeof token === "string" ? undefined : { ...token, mine: yield* settled(codec.verifier(token.secret)) };
}

/**
 * What a copy is to the holder of a token. Only a session of which nothing is due is taken from it: a secret that is being
 * renewed, or a clock that has to be moved, is the store's business, and it is from there that the answer must come (P6, P9).
 */
function baseIn(
  byId: ById,
  { id, readAt, stored }: Copy,
  token: OpenedToken,
  exchange: Exchange,
): ByIdBase | undefined {
  if (id !== token.id) return undefined;
  const verdict = judge(byId, token, token.mine, exchange, stored);
  if (!("base" in verdict) || !isAtRest(byId, verdict.base)) return undefined;
  return { ...verdict.base, isCopy: true, loadedAt: readAt };
}

// --- handing copies out -------------------------------------------------------------------------------------------------

/**
 * Whether a copy is due. Of a secret that is being renewed there is none: who comes with it has to be told the next one. Nor
 * of a record that is not the client's latest write, for as long as it says so: that copy would not be believed.
 */
function isCopyDue(byId: ById, { trustFor }: TrustedCopies, { base, exchange, transport }: ByIdState): boolean {
  // Who brings its token in a header, a link or a certificate keeps no cookies beside it.
  if (base === undefined || base.isCopy || transport.beside === undefined) return false;
  const age = byId.clock.now() - base.loadedAt;
  if (age < 0 || age >= trustFor || base.record.pending !== undefined) return false;
  if (proofOf(base.record, base.mine) !== "current") return false;
  return base.isOwn || !isOutdated(byId, base.stored, exchange);
}

/**
 * Whether the client has written another version, as far as it says. A slow answer to a request that only looked may bring a
 * copy from before that write, and replace a newer one.
 */
function isOutdated({ versions }: ById, { version }: StoredRecord, { view }: Exchange): boolean {
  return versions?.place.read(view).some((written) => written !== version) === true;
}

function* told(
  byId: ById,
  copies: TrustedCopies,
  state: ByIdState,
  { carrier }: CommitContext,
  tracked: Tracked,
): Steps<Tracked> {
  const { base, exchange } = state;
  if (base === undefined || !carrier.renews || !isCopyDue(byId, copies, state)) return tracked;
  const copy = { id: base.id, readAt: base.loadedAt, stored: base.stored };
  const sent = yield* copies.sent(exchange.view, copy);
  return sent === undefined ? tracked : { ...tracked, beside: [...(tracked.beside ?? []), sent] };
}
