/**
 * The two ways to keep a session: by id (the record is in a store and the token names it) and by value (the record is
 * inside the token). A tracker knows tokens and records; the manager knows requests and responses.
 *
 * @module
 */
import type { MaybePromise } from "../internal/maybe-promise.ts";
import type { BoundTransport } from "../transport/transport.ts";
import type { RejectionReason } from "./events.ts";
import type { CommitOutcome, Exchange } from "./exchange.ts";
import type { Content } from "./record.ts";
import type { Base, Identity, SessionState } from "./state.ts";

/** What a tracker made of the tokens of a request. */
export interface Loaded<B extends Base = Base> {
  /** The session; undefined when there is none. */
  readonly base: B | undefined;
  /** Why the tokens, if there were any, led to none. */
  readonly reason?: RejectionReason | undefined;
  /**
   * Whether the client has, or is about to get, a newer token of this session than the one it sent: the request was on its
   * way when somebody signed in or the secret was renewed. It must not begin a session of its own, whose cookie would
   * replace the newer one (design: invariant 3).
   */
  readonly straggler?: boolean | undefined;
  /** See `SessionState.identity`. */
  readonly identity?: Identity | undefined;
  /** The token of the session, where links are to carry it. */
  readonly token?: string | undefined;
}

/** What a tracker did, and what the client must be told. */
export interface Tracked {
  readonly outcome: CommitOutcome;
  /** A token that the client must have from now on. */
  readonly token?: string | undefined;
  /** What travels beside the token: what of it the client must have from now on. */
  readonly beside?: readonly Beside[] | undefined;
}

/** Something small that travels beside the token, in a place of its own. */
export interface Beside {
  readonly place: BoundTransport;
  readonly text: string;
  /** See `OutgoingToken.lifetime`. */
  readonly lifetime?: number | undefined;
}

/** How the tracker learns whether a token can go out with the response. */
export interface Carrier {
  /** Throws a `SessionError` that says why when it cannot. */
  require(): void;
  /** Whether a token may be sent that nobody asked for (P10). */
  readonly renews: boolean;
}

/** What may be told to a commit. */
export interface CommitContext {
  readonly carrier: Carrier;
  /** Throws a `SessionTooLargeError` when a token of such a session does not fit: to be asked before anything is given up for it. */
  fits(token: string, content: Content): void;
  /** The handler threw: `destroy`, `authenticate` and `regenerate` are committed, data is not (P20). */
  readonly failed: boolean;
}

/** A way to keep sessions. */
export interface Tracker<B extends Base = Base> {
  /** Finds the session that the tokens of a request stand for. `verify`: by asking the store, past every copy. */
  load(tokens: readonly string[], exchange: Exchange, verify: boolean): MaybePromise<Loaded<B>>;
  /** Finds the session of a client who is known otherwise: see `BoundTransport.identifies`. By id only. */
  identify?(client: string, exchange: Exchange, verify: boolean): MaybePromise<Loaded<B>>;
  /** Asks the store whether a session is still what it was taken for, if it may come from a copy. By id only. */
  verify?(state: SessionState<B>): MaybePromise<void>;
  /** The token that stands for a session, for links. By id only. */
  token?(base: B): MaybePromise<string>;
  /** Whether a commit would do nothing and have nothing to say, as far as that can be told at once. */
  isQuiet?(state: SessionState<B>): boolean;
  /** Writes what the request did to its session. Throws what the app must see; nothing may then be sent to the client. */
  commit(state: SessionState<B>, context: CommitContext): MaybePromise<Tracked>;
}
