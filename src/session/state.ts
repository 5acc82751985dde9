/**
 * What a request knows of its session: shared by the session that the handler holds and the tracker that commits it.
 *
 * @module
 */
import type { StoreError } from "../errors.ts";
import type { Exchange } from "./exchange.ts";
import type { Content } from "./record.ts";
import { replay, type Draft, type Verb } from "./verbs.ts";

/** The session as it was loaded, or last committed. */
export interface Base {
  readonly id: string;
  readonly content: Content;
  readonly expiresAt: number;
  readonly lastSeenAt: number;
}

/** A session in the hands of one request. */
export interface SessionState<B extends Base = Base> {
  readonly exchange: Exchange;
  /** Undefined for a new session. */
  base: B | undefined;
  /** What has been done since, in order. */
  log: Verb[];
  /** The base's content after the log. */
  draft: Draft;
  /** The id that a new session will have, once somebody asked for it. */
  id: string | undefined;
  /** What `destroy()` ended and is still to be ended in the store. */
  readonly ended: B[];
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
  /**
   * A write that the store did not answer: the base if it was done after all, what it was to write, and whether the client
   * still lacks the base's secret (P18).
   */
  unsettled: { readonly base: B; readonly task: Task; readonly owed: boolean } | undefined;
  /** Why the session could not be read, where the app chose to go on without (P21). */
  readonly unavailable: StoreError | undefined;
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
    state.ended.push(base);
    state.forget = true;
    return;
  }
  state.base = base;
  state.id = undefined;
  state.log = state.log.slice(task.log.length);
  state.draft = replay(state.log, base.content);
}
