/**
 * Loading sessions by id: which of the tokens of a request, if any, stands for a session (protocol §2).
 *
 * @module
 */
import { chain, isPromise, run, settled, type MaybePromise, type Steps } from "../internal/maybe-promise.ts";
import type { StoredRecord } from "../store/store.ts";
import { baseOf, fromStored, keyOf, proofOf, type ById, type ByIdBase } from "./by-id.ts";
import type { RejectionReason } from "./events.ts";
import type { Exchange } from "./exchange.ts";
import { absoluteEnd } from "./policy.ts";
import type { Loaded } from "./tracker.ts";
import type { OpenedToken, ParsedToken } from "./token.ts";

/** How long a renewed secret is still accepted after its successor was first seen, in milliseconds (P6). */
const GRACE = 30_000;
/** From when on a renewed secret is a replay, in milliseconds (P6). */
const REPLAY_AFTER = 5 * 60_000;

type Verdict = { readonly base: ByIdBase } | Refusal;

interface Refusal {
  readonly reason: RejectionReason;
  /** The session, when the token named one. */
  readonly id?: string;
  /** See `Loaded.straggler`. */
  readonly straggler?: boolean;
}

/** Tries the tokens of a request. */
export function loadById(
  byId: ById,
  tokens: readonly string[],
  exchange: Exchange,
  verify: boolean,
): MaybePromise<Loaded<ByIdBase>> {
  const [text = ""] = tokens;
  const known = byId.codec.recall(text);
  const opened = tokens.length > 1 ? undefined : (known ?? openedAtOnce(byId, text));
  if (opened === undefined) return run(tried(byId, tokens, exchange, verify));
  return chain(read(byId, opened.id, exchange, verify), (stored): MaybePromise<Loaded<ByIdBase>> => {
    const verdict = judge(byId, opened, opened.mine, exchange, stored);
    if ("base" in verdict) {
      if (known === undefined) byId.codec.remember(text, verdict.base);
      return verdict;
    }
    return run(byId.calls.cached && !verify ? tried(byId, tokens, exchange, verify) : refusedAll(byId, [verdict]));
  });
}

/** A token that is one, where nothing has to be waited for. */
function openedAtOnce({ codec }: ById, text: string): OpenedToken | undefined {
  const token = codec.parse(text);
  if (typeof token === "string" || isPromise(token)) return undefined;
  const mine = codec.verifier(token.secret);
  return isPromise(mine) ? undefined : { ...token, mine };
}

/** What the store or a copy holds: not an older copy than what the client was last told that it has written. */
function read(byId: ById, id: string, { view }: Exchange, verify: boolean): MaybePromise<StoredRecord | undefined> {
  const key = keyOf(byId, id);
  if (verify) return byId.calls.read(key, FRESH);
  const found = byId.calls.read(key);
  const written = (byId.calls.cached && byId.versions?.place.read(view)) || [];
  if (written.length === 0) return found;
  // Of several, such as one of another path, nobody knows which is the latest.
  return chain(found, (stored) =>
    stored === undefined || written.every((version) => version === stored.version)
      ? stored
      : byId.calls.read(key, FRESH),
  );
}

const FRESH = { fresh: true };

function* tried(byId: ById, tokens: readonly string[], exchange: Exchange, verify: boolean): Steps<Loaded<ByIdBase>> {
  const valid: ByIdBase[] = [];
  const refused: Refusal[] = [];
  for (const text of tokens) {
    const token = yield* settled(byId.codec.parse(text));
    const verdict = typeof token === "string" ? { reason: token } : yield* judged(byId, token, exchange, verify);
    if ("base" in verdict) {
      byId.codec.remember(text, verdict.base);
      addValid(valid, verdict.base);
    } else refused.push(verdict);
  }
  if (valid.length === 1) return { base: valid[0] };
  return valid.length > 1 ? rejected(byId, undefined, "ambiguous") : yield* refusedAll(byId, refused);
}

/** Tells why, and ends what has to end (P6). */
export function* refusedAll(byId: ById, refused: readonly Refusal[]): Steps<Loaded<ByIdBase>> {
  for (const { id, reason } of refused) {
    rejected(byId, id, reason);
    if (reason === "replay" && id !== undefined) yield* endReplayed(byId, id);
  }
  const straggler = refused.some((refusal) => refusal.straggler === true);
  return { base: undefined, reason: strongest(refused.map(({ reason }) => reason)), straggler };
}

/** Finds the session of a client who is known otherwise. That there is none is no refusal: it may begin one. */
export function* identifyById(
  byId: ById,
  client: string,
  exchange: Exchange,
  verify: boolean,
): Steps<Loaded<ByIdBase>> {
  const identity = yield* settled(byId.codec.identity(client));
  const verdict = yield* judged(byId, identity, exchange, verify);
  if ("base" in verdict) return { base: verdict.base, identity };
  const { id, reason } = verdict;
  return reason === "unknown" ? { base: undefined, identity } : { ...rejected(byId, id, reason), identity };
}

/** Two tokens of one session (an old cookie of another path beside the new one) are no ambiguity: the newer secret counts. */
function addValid(valid: ByIdBase[], base: ByIdBase): void {
  const rank = { pending: 2, current: 1, retired: 0 };
  const at = valid.findIndex(({ id }) => id === base.id);
  const other = valid[at];
  if (other === undefined) valid.push(base);
  else if (rank[base.proof] > rank[other.proof]) valid[at] = base;
}

function rejected(byId: ById, id: string | undefined, reason: RejectionReason): Loaded<ByIdBase> {
  byId.events.emit("rejected", { id, reason });
  return { base: undefined, reason };
}

/** A token that is merely stale may be taken back from the client; one that was refused for another reason may not (P8). */
function strongest(reasons: readonly RejectionReason[]): RejectionReason | undefined {
  return reasons.find((reason) => reason !== "unknown" && reason !== "expired") ?? reasons[0];
}

function* endReplayed(byId: ById, id: string): Steps<void> {
  if (byId.onReplay === "reject") return;
  if (yield* settled(byId.calls.delete(keyOf(byId, id)))) byId.events.emit("destroyed", { id, reason: "replay" });
}

/** A refusal that a cached copy led to is never final (P7). */
function* judged(byId: ById, token: ParsedToken, exchange: Exchange, verify: boolean): Steps<Verdict> {
  const mine = yield* settled(byId.codec.verifier(token.secret));
  const verdict = judge(byId, token, mine, exchange, yield* settled(read(byId, token.id, exchange, verify)));
  if ("base" in verdict || verify || !byId.calls.cached) return verdict;
  return judge(byId, token, mine, exchange, yield* settled(byId.calls.read(keyOf(byId, token.id), FRESH)));
}

/** What a record is to the holder of a token: a session, or the reason why not. */
export function judge(
  byId: ById,
  { id, secret, outdated, memo }: ParsedToken & Pick<OpenedToken, "memo">,
  mine: string,
  exchange: Exchange,
  stored: StoredRecord | undefined,
): Verdict {
  if (stored === undefined) return { id, reason: "unknown" };
  const record = fromStored(byId, stored, memo);
  if (record === undefined) return { id, reason: "corrupt" };
  const { content, retired, secretSince } = record;
  if (absoluteEnd(byId.policy, content) <= byId.clock.now()) return { id, reason: "expired" };
  const proof = proofOf(record, mine);
  if (proof === undefined) {
    return { id, reason: "unknown-secret", straggler: exchange.arrivedAt - secretSince < REPLAY_AFTER };
  }
  if (proof === "retired" && retired !== undefined) {
    const age = exchange.arrivedAt - retired.at;
    if (age >= REPLAY_AFTER) return { id, reason: "replay" };
    if (age > GRACE) return { id, reason: "superseded", straggler: true };
  }
  const data = byId.shape.read(content.data);
  if (data === undefined) return { id, reason: "invalid-data" };
  if (data.migrated) byId.events.emit("migrated", { id, subject: content.subject });
  const seen = data.data === content.data ? content : { ...content, data: data.data };
  const { migrated } = data;
  return {
    base: baseOf(byId, {
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
      isOwn: false,
    }),
  };
}
