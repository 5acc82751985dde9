/**
 * Load and commit for one definition: the one corridor from transport to protection, store and session, and back.
 *
 * @module
 */
import { StoreError } from "../errors.ts";
import type { Clock } from "../internal/clock.ts";
import { chain, isPromise, type MaybePromise } from "../internal/maybe-promise.ts";
import { MAX_CANDIDATES, type BoundTransport, type HeaderEdit } from "../transport/transport.ts";
import type { Events, SessionEventType, SessionListener } from "./events.ts";
import type { CommitResult, Exchange, LoadedSession } from "./exchange.ts";
import { absoluteEnd, NEVER, type Policy } from "./policy.ts";
import { emptyContent } from "./record.ts";
import type { Registry, RevokeAllOptions, SessionSummary } from "./registry.ts";
import { Session } from "./session.ts";
import type { Shape } from "./shape.ts";
import type { SessionState } from "./state.ts";
import type { Carrier, Loaded, Tracked, Tracker } from "./tracker.ts";
import { draftOf } from "./verbs.ts";

/** What happens to a request when its session cannot be read. */
export type OnStoreError = "throw" | "anonymous";

/** Everything a manager is made of; `defineSession` puts it together. */
export interface ManagerParts {
  readonly name: string;
  readonly clock: Clock;
  readonly policy: Policy;
  readonly shape: Shape;
  readonly events: Events;
  readonly transport: BoundTransport;
  /** Where the idle clock of a session by value travels. */
  readonly idleTransport: BoundTransport | undefined;
  readonly tracker: Tracker;
  readonly registry: Registry;
  readonly onStoreError: OnStoreError;
  /** See `SessionHost.rotationChangesId`. */
  readonly rotationChangesId: boolean;
  readonly description: Readonly<Record<string, unknown>>;
  newId(): string;
}

/** The sessions of one definition: loaded and committed for requests, listed and revoked for people. */
export class SessionManager {
  readonly name: string;
  readonly #parts: ManagerParts;

  /** @internal */
  constructor(parts: ManagerParts) {
    this.#parts = parts;
    this.name = parts.name;
  }

  /**
   * The sessions of a subject, of this definition.
   *
   * @throws TypeError when the store cannot list; StoreError
   */
  list(subject: string): Promise<SessionSummary[]> {
    return this.#parts.registry.list(subject);
  }

  /** Ends a session by its public id. False when there was none. @throws StoreError */
  revoke(id: string): Promise<boolean> {
    return this.#parts.registry.revoke(id);
  }

  /**
   * Ends all sessions of a subject, or all but one. Returns how many; of sessions by value, whose number nobody knows, 1 when
   * there may have been some.
   *
   * @throws TypeError when the store cannot list; StoreError
   */
  revokeAll(subject: string, options?: RevokeAllOptions): Promise<number> {
    return this.#parts.registry.revokeAll(subject, options);
  }

  /** How many sessions of this definition exist. @throws TypeError when the store cannot count; StoreError */
  count(): Promise<number> {
    return this.#parts.registry.count();
  }

  /** Calls `listener` for each event of a type, or of every type (`"*"`). Returns what ends it. */
  on(type: SessionEventType | "*", listener: SessionListener): () => void {
    return this.#parts.events.on(type, listener);
  }

  /** The policy as data: clocks in seconds, attributes, names. For a page that documents it, or a test (ASVS 7.1.1). */
  describe(): Readonly<Record<string, unknown>> {
    return this.#parts.description;
  }

  /** @internal */
  get transportNames(): readonly string[] {
    const { transport, idleTransport } = this.#parts;
    return idleTransport === undefined ? transport.names : [...transport.names, ...idleTransport.names];
  }

  /** @internal */
  get vary(): string | undefined {
    return this.#parts.transport.vary;
  }

  /** @internal */
  now(): number {
    return this.#parts.clock.now();
  }

  /** @internal Finds or begins the session of a request. */
  load(exchange: Exchange): MaybePromise<LoadedSession> {
    const { transport, tracker, events } = this.#parts;
    const tokens = transport.read(exchange.view);
    if (tokens.length === 0) return this.#hold(exchange, { base: undefined });
    if (tokens.length > MAX_CANDIDATES) {
      events.emit("rejected", { reason: "too-many" });
      return this.#hold(exchange, { base: undefined, reason: "too-many" });
    }
    let loading: MaybePromise<Loaded>;
    try {
      loading = tracker.load(tokens, exchange);
    } catch (error) {
      return this.#withoutStore(exchange, error);
    }
    if (!isPromise(loading)) return this.#hold(exchange, loading);
    return loading.then(
      (loaded) => this.#hold(exchange, loaded),
      (error: unknown) => this.#withoutStore(exchange, error),
    );
  }

  #withoutStore(exchange: Exchange, error: unknown): LoadedSession {
    if (this.#parts.onStoreError === "throw" || !(error instanceof StoreError)) throw error;
    return this.#hold(exchange, { base: undefined }, error);
  }

  #hold(exchange: Exchange, { base, reason, straggler }: Loaded, unavailable?: StoreError): LoadedSession {
    const stale = reason === "unknown" || reason === "expired";
    const state: SessionState = {
      exchange,
      base,
      log: [],
      draft: draftOf(base?.content ?? emptyContent(this.now())),
      id: undefined,
      ended: [],
      incarnation: 0,
      forget: stale && isNavigation(exchange),
      stale,
      gone: straggler === true,
      owed: undefined,
      unsettled: undefined,
      unchecked: false,
      unavailable,
    };
    return {
      session: new Session<never>(state, this.#parts),
      commit: (options) => this.#commit(state, options),
    };
  }

  #commit(
    state: SessionState,
    { failed, responding }: { failed: boolean; responding: boolean },
  ): MaybePromise<CommitResult> {
    const { transport } = this.#parts;
    const { exchange } = state;
    const carrier = new ResponseCarrier(transport, exchange, responding);
    const fits = (token: string): void => void transport.send(exchange.view, { token, endsAt: NEVER, now: this.now() });
    const context = { failed, carrier, fits };
    return chain(this.#parts.tracker.commit(state, context), (tracked) => ({
      outcome: tracked.outcome,
      edits: this.#edits(state, tracked),
    }));
  }

  #edits({ exchange, base, forget }: SessionState, { token, idleToken }: Tracked): readonly HeaderEdit[] {
    const { transport, idleTransport, clock, policy } = this.#parts;
    const edits: HeaderEdit[] = [];
    const end = base === undefined ? NEVER : absoluteEnd(policy, base.content);
    const outgoing = { endsAt: end === NEVER ? undefined : end, now: clock.now() };
    if (token !== undefined) edits.push(...transport.send(exchange.view, { ...outgoing, token }));
    else if (forget && base === undefined && !exchange.sent) edits.push(...transport.clear(exchange.view));
    if (idleTransport === undefined) return edits;
    if (idleToken !== undefined) edits.push(...idleTransport.send(exchange.view, { ...outgoing, token: idleToken }));
    else if (forget && base === undefined && !exchange.sent) edits.push(...idleTransport.clear(exchange.view));
    return edits;
  }
}

/** The response of an exchange. A class, because an object with a getter made for each request costs 10 µs of collection. */
class ResponseCarrier implements Carrier {
  readonly #transport: BoundTransport;
  readonly #exchange: Exchange;
  readonly #responding: boolean;

  constructor(transport: BoundTransport, exchange: Exchange, responding: boolean) {
    this.#transport = transport;
    this.#exchange = exchange;
    this.#responding = responding;
  }

  require(): void {
    this.#exchange.requireCarrier();
    this.#transport.check(this.#exchange.view);
  }

  get renews(): boolean {
    if (!this.#responding || !this.#transport.renews || !this.#exchange.carries) return false;
    try {
      this.#transport.check(this.#exchange.view);
      return true;
    } catch {
      return false;
    }
  }
}

/** Only the answer to a navigation may take a cookie back unasked: it is the one that nothing overtakes (P8). */
function isNavigation({ view }: Exchange): boolean {
  const mode = view.header("sec-fetch-mode");
  return mode === undefined || mode === "navigate";
}
