/**
 * What a request knows of its session: shared by the session that the handler holds and the tracker that commits it.
 *
 * @module
 */
import type { StoreError } from "../errors.ts";
import type { Steps } from "../internal/maybe-promise.ts";
import type { EndReason } from "./events.ts";
import type { Exchange } from "./exchange.ts";
import type { BoundTransport } from "../transport/transport.ts";
import { emptyContent, type Content } from "./record.ts";
import { draftOf, isDataVerb, replay, type Draft, type Verb } from "./verbs.ts";

/** The session as it was loaded, or last committed. */
export interface Base {
  readonly id: string;
  readonly content: Content;
  readonly expiresAt: number;
  readonly lastSeenAt: number;
}

/** An id and a secret. */
export interface Identity {
  readonly id: string;
  readonly secret: Uint8Array<ArrayBuffer>;
}

/** A session in the hands of one request. */
export interface SessionState<B extends Base = Base> {
  readonly exchange: Exchange;
  /** How its token came, and how it is answered. */
  readonly transport: BoundTransport;
  /** What makes links that carry the token, where they are to; and the token, once there is one. */
  readonly linker: BoundTransport | undefined;
  token: string | undefined;
  /** Undefined for a new session. */
  base: B | undefined;
  /** What has been done since, in order. */
  log: Verb[];
  /** The base's content after the log. */
  draft: Draft;
  /** Who the client is, where that is known otherwise than by a token: then a session has this id and secret, and no others. */
  readonly identity: Identity | undefined;
  /** The id that a new session will have, once somebody asked for it. */
  id: string | undefined;
  /** What ended and is still to be ended in the store, and why. */
  readonly ended: { readonly base: B; readonly reason: EndReason }[];
  /** Whether the client is to forget its token, if it gets no other. */
  forget: boolean;
  /** Whether the client sent a token of a session that no longer exists. */
  stale: boolean;
  /**
   * Whether the session turned out to be ended or signed in anew, or the request to be a straggler of one that was: for the
   * rest of the request nothing but signing in begins a session (P13, P15).
   */
  gone: boolean;
  /** How often `destroy()` was called: a commit that is under way then has written what is to be ended. */
  incarnation: number;
  /** A secret that the client must still be told. */
  owed: Identity | undefined;
  /** A write that the store did not answer (P18). */
  unsettled: Unsettled<B> | undefined;
  /** Whether the draft was computed on a base that its verbs had not seen, and is to be checked before it is written. */
  unchecked: boolean;
  /** Why the session could not be read, where the app chose to go on without (P21). */
  readonly unavailable: StoreError | undefined;
}

/** A write whose outcome is unknown. It is sent again as it was, so that it is done once. */
export interface Unsettled<B extends Base = Base> {
  /** What the session is once it is done. */
  readonly base: B;
  /** What it was to replace; undefined for a new session. */
  readonly from: B | undefined;
  readonly task: Task;
  /** Whether the client must then be told the base's secret. */
  readonly owed: boolean;
}

/** What one commit is to write: the handler may go on while the store works. */
export interface Task {
  readonly draft: Draft;
  readonly log: readonly Verb[];
  readonly incarnation: number;
}

/** What there is to write now. */
export function taskOf({ draft, log, incarnation }: SessionState): Task {
  return { draft, log: [...log], incarnation };
}

/** What a task was to write is written, and `base` is what the session is now: what was done since comes on top of it. */
export function settle<B extends Base>(state: SessionState<B>, base: B, task: Task): void {
  if (state.incarnation !== task.incarnation) {
    state.ended.push({ base, reason: "destroy" });
    state.forget = true;
    return;
  }
  state.id = undefined;
  state.log = state.log.slice(task.log.length);
  rebase(state, base);
}

/** The session is `base` now: what was done since comes on top of it. */
export function rebase<B extends Base>(state: SessionState<B>, base: B): void {
  state.base = base;
  state.unchecked = state.log.length > 0;
  state.draft = replayed(state.log, base.content);
}

/** The session turned out to be gone: what was done to it is gone, too, unless it signed somebody in (P15). */
export function bereave(state: SessionState, now: number): void {
  state.base = undefined;
  state.gone = true;
  if (!state.log.some(({ kind }) => kind === "authenticate")) state.log = [];
  state.draft = replayed(state.log, emptyContent(now));
}

/** What the handler sees until the next commit, which finds out whether its verbs still hold. */
function replayed(log: readonly Verb[], content: Content): Draft {
  try {
    return replay(log, content);
  } catch {
    return draftOf(content);
  }
}

/** Drops what a handler that threw had changed; who may use the session stays as it said (P20). */
export function dropData(state: SessionState): void {
  state.log = state.log.filter((verb) => !isDataVerb(verb));
  state.draft = replay(state.log, state.base?.content ?? emptyContent(state.draft.createdAt));
}

/** Ends what has ended, one after the other. False when there was nothing to end. */
export function* endAll<B extends Base>(
  state: SessionState<B>,
  end: (base: B, reason: EndReason) => Steps<void>,
): Steps<boolean> {
  const some = state.ended.length > 0;
  for (let next = state.ended[0]; next !== undefined; next = state.ended[0]) {
    yield* end(next.base, next.reason);
    state.ended.shift();
  }
  return some;
}
