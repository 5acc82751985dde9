/**
 * Load and commit for one definition: the one corridor from transport to protection, store and session, and back.
 *
 * @module
 */
import { StoreError } from "../errors.ts";
import type { Clock } from "../internal/clock.ts";
import { chain, isPromise, type MaybePromise } from "../internal/maybe-promise.ts";
import {
  couldSend,
  MAX_CANDIDATES,
  type BoundSticky,
  type BoundTransport,
  type HeaderEdit,
  type OutgoingToken,
  type RequestView,
} from "../transport/transport.ts";
import type { Events, SessionEventType, SessionListener } from "./events.ts";
import type { CommitResult, Exchange, LoadedSession } from "./exchange.ts";
import { absoluteEnd, NEVER, type Policy } from "./policy.ts";
import { emptyContent, type Content } from "./record.ts";
import type {
  DeleteExpiredOptions,
  ListAllOptions,
  Registry,
  RevokeAllOptions,
  SessionPage,
  SessionSummary,
} from "./registry.ts";
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
  /** The ways in which tokens travel, the first that carries one being the one that counts. At least one. */
  readonly transports: readonly BoundTransport[];
  /** The places beside the token that the definition uses: they are emptied when the client is to forget it. */
  readonly beside: readonly BoundTransport[];
  /** What binds clients to this server, where something does. */
  readonly sticky: BoundSticky | undefined;
  readonly tracker: Tracker;
  readonly registry: Registry;
  readonly onStoreError: OnStoreError;
  /** See `SessionHost.rotationChangesId`. */
  readonly rotationChangesId: boolean;
  /** See `SessionHost.dataOnly`. */
  readonly dataOnly: boolean;
  readonly description: Readonly<Record<string, unknown>>;
  newId(): string;
}

/** The sessions of one definition: loaded and committed for requests, listed and revoked for people. */
export class SessionManager {
  readonly name: string;
  readonly #vary: string | undefined;
  readonly #strippers: readonly BoundTransport[];
  readonly #parts: ManagerParts;

  /** @internal */
  constructor(parts: ManagerParts) {
    const { name, transports } = parts;
    this.#parts = parts;
    this.name = name;
    const headers = new Set(transports.flatMap(({ vary }) => vary ?? []));
    this.#vary = headers.size === 0 ? undefined : [...headers].join(", ");
    this.#strippers = transports.filter(({ strip }) => strip !== undefined);
  }

  /**
   * The sessions of a subject, of this definition.
   *
   * @throws TypeError when the store cannot list; StoreError
   */
  list(subject: string): Promise<SessionSummary[]> {
    return this.#parts.registry.list(subject);
  }

  /**
   * A page of all sessions of this definition, in the store's own order: for an administrator's list. Hand the cursor of one
   * page to the next call, now or in a later request, to this process or another one. A session that exists all the while is
   * on one of the pages, on exactly one where the store can tell.
   *
   * @throws TypeError when the store cannot list, or the limit is no whole number above 0; StoreError
   */
  listAll(options?: ListAllOptions): Promise<SessionPage> {
    return this.#parts.registry.listAll(options);
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

  /**
   * Removes sessions from the store that ended by their clocks more than five minutes ago, of all its definitions, and returns
   * how many. Stores with a sweeper do that by themselves: this is for places without timers, such as a scheduled function.
   *
   * @throws TypeError when the store cannot, or the limit is no whole number above 0; StoreError
   */
  deleteExpired(options?: DeleteExpiredOptions): Promise<number> {
    return this.#parts.registry.deleteExpired(options);
  }

  /**
   * Calls `listener` for each event of a type, or of every type (`"*"`). Returns what ends it.
   *
   * @throws TypeError for `"expired"` when the store cannot tell
   */
  on(type: SessionEventType | "*", listener: SessionListener): () => void {
    return this.#parts.events.on(type, listener);
  }

  /** The policy as data: clocks in seconds, attributes, names. For a page that documents it, or a test (ASVS 7.1.1). */
  describe(): Readonly<Record<string, unknown>> {
    return this.#parts.description;
  }

  /** @internal */
  get transportNames(): readonly string[] {
    const { transports, beside, sticky } = this.#parts;
    return [...transports, ...beside, ...(sticky === undefined ? [] : [sticky])].flatMap(({ names }) => names);
  }

  /** @internal See `BoundTransport.vary`; several are joined. */
  get vary(): string | undefined {
    return this.#vary;
  }

  /** @internal The transports that put tokens into request targets. */
  get strippers(): readonly BoundTransport[] {
    return this.#strippers;
  }

  /** @internal */
  now(): number {
    return this.#parts.clock.now();
  }

  /** @internal Finds or begins the session of a request. */
  load(exchange: Exchange, verify = false): MaybePromise<LoadedSession> {
    const { transports, events } = this.#parts;
    const transport = transports.length === 1 ? (transports[0] as BoundTransport) : chosen(transports, exchange.view);
    const tokens = transport.read(exchange.view);
    if (tokens.length === 0) return this.#hold(exchange, transport, tokens, { base: undefined });
    if (tokens.length > MAX_CANDIDATES) {
      events.emit("rejected", { reason: "too-many" });
      return this.#hold(exchange, transport, tokens, { base: undefined, reason: "too-many" });
    }
    let loading: MaybePromise<Loaded>;
    try {
      loading = this.#loaded(exchange, transport, tokens, verify);
    } catch (error) {
      return this.#withoutStore(exchange, transport, tokens, error);
    }
    if (!isPromise(loading)) return this.#hold(exchange, transport, tokens, loading);
    return loading.then(
      (loaded) => this.#hold(exchange, transport, tokens, loaded),
      (error: unknown) => this.#withoutStore(exchange, transport, tokens, error),
    );
  }

  #loaded(
    exchange: Exchange,
    transport: BoundTransport,
    tokens: readonly string[],
    verify: boolean,
  ): MaybePromise<Loaded> {
    const { tracker } = this.#parts;
    if (transport.identifies === true) {
      return tracker.identify?.(tokens[0] as string, exchange, verify) ?? { base: undefined };
    }
    const loading = tracker.load(tokens, exchange, verify);
    if (transport.link === undefined) return loading;
    // Links are made while the handler runs, so their token has to be there before.
    return chain(loading, (loaded) =>
      loaded.base === undefined
        ? loaded
        : chain(tracker.token?.(loaded.base), (token): Loaded => ({ ...loaded, token })),
    );
  }

  #withoutStore(
    exchange: Exchange,
    transport: BoundTransport,
    tokens: readonly string[],
    error: unknown,
  ): LoadedSession {
    if (this.#parts.onStoreError === "throw" || !(error instanceof StoreError)) throw error;
    return this.#hold(exchange, transport, tokens, { base: undefined }, error);
  }

  #hold(
    exchange: Exchange,
    transport: BoundTransport,
    tokens: readonly string[],
    { base, reason, straggler, identity, token }: Loaded,
    unavailable?: StoreError,
  ): LoadedSession {
    const stale = reason === "unknown" || reason === "expired";
    const state: SessionState = {
      exchange,
      transport,
      base,
      linker: this.#linker(transport, tokens),
      token,
      identity,
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
      always: transport.always,
      verify: () => this.#parts.tracker.verify?.(state),
      commit: (options) => this.#commit(state, options),
    };
  }

  /** Of a client that has shown no token nobody knows yet whether it keeps cookies: its links carry one, too. */
  #linker(transport: BoundTransport, tokens: readonly string[]): BoundTransport | undefined {
    if (transport.link !== undefined) return transport;
    const guesses = tokens.length === 0 && transport.identifies !== true && this.strippers.length > 0;
    return guesses ? this.strippers.find(({ link }) => link !== undefined) : undefined;
  }

  #commit(
    state: SessionState,
    { failed, responding }: { failed: boolean; responding: boolean },
  ): MaybePromise<CommitResult> {
    const { exchange, transport, forget } = state;
    if (!forget && this.#parts.tracker.isQuiet?.(state) === true) return this.#routed(state, responding, QUIET);
    const carrier = new ResponseCarrier(transport, exchange, responding);
    let fitting: Fitting | undefined;
    const fits = (token: string, content: Content): void => {
      fitting = { token, edits: transport.send(exchange.view, { ...this.#outgoing(content), token }) };
    };
    const context = { failed, carrier, fits };
    return chain(this.#parts.tracker.commit(state, context), (tracked) =>
      this.#routed(state, responding, {
        outcome: tracked.outcome,
        edits: this.#edits(state, tracked, fitting),
        isAnew: tracked.token !== undefined || isForgotten(state),
      }),
    );
  }

  /** Binds the client to this server, or lets it go: when the response begins, where its token travels by a cookie. */
  #routed(state: SessionState, responding: boolean, result: CommitResult): CommitResult {
    const { sticky } = this.#parts;
    if (sticky === undefined || !responding) return result;
    const { exchange, transport, base, forget } = state;
    if (!exchange.carries || transport.beside === undefined) return result;
    const { view } = exchange;
    const forgets = forget && base === undefined;
    const edits = sticky.edits({ view, session: base?.id, forgets, outgoing: this.#outgoing(base?.content) });
    return edits.length === 0 ? result : { ...result, edits: [...result.edits, ...edits] };
  }

  #outgoing(content: Content | undefined): Omit<OutgoingToken, "token"> {
    const { clock, policy } = this.#parts;
    const end = content === undefined ? NEVER : absoluteEnd(policy, content);
    return { endsAt: end === NEVER ? undefined : end, now: clock.now() };
  }

  #edits(state: SessionState, { token, beside = [] }: Tracked, fitting: Fitting | undefined): readonly HeaderEdit[] {
    const { exchange, transport } = state;
    const edits: HeaderEdit[] = [];
    const outgoing = this.#outgoing(state.base?.content);
    if (token !== undefined) {
      state.token = token;
      const ready = fitting?.token === token ? fitting.edits : undefined;
      edits.push(...(ready ?? transport.send(exchange.view, { ...outgoing, token })));
    }
    for (const { place, text, lifetime } of beside) {
      // Of another transport of the definition, perhaps, for whose cookies this request is not secure enough.
      if (!couldSend(place, exchange.view)) continue;
      edits.push(...place.send(exchange.view, { ...outgoing, token: text, lifetime }));
    }
    if (!isForgotten(state)) return edits;
    if (token === undefined) edits.push(...transport.clear(exchange.view));
    for (const place of this.#parts.beside) {
      const isShown = place.read(exchange.view).length > 0;
      if (isShown && !beside.some((one) => one.place === place)) edits.push(...place.clear(exchange.view));
    }
    return edits;
  }
}

/** A token that was found to fit, and what sends it. */
interface Fitting {
  readonly token: string;
  readonly edits: readonly HeaderEdit[];
}

/** Whether the client is to be told to forget its token, unless it gets another. */
function isForgotten({ forget, base, exchange }: SessionState): boolean {
  return forget && base === undefined && !exchange.sent;
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
    return couldSend(this.#transport, this.#exchange.view);
  }
}

/** What most requests come to. */
const QUIET: CommitResult = Object.freeze({ outcome: "unchanged", edits: Object.freeze([]) });

/**
 * The transport of a request: the first that carries a token; else the first that its client asks for; else the first that
 * could send one.
 */
function chosen(transports: readonly BoundTransport[], view: RequestView): BoundTransport {
  return (
    transports.find((transport) => transport.read(view).length > 0) ??
    transports.find((transport) => transport.asked?.(view) === true) ??
    transports.find((transport) => couldSend(transport, view)) ??
    (transports[0] as BoundTransport)
  );
}

/** Only the answer to a navigation may take a cookie back unasked: it is the one that nothing overtakes (P8). */
function isNavigation({ view }: Exchange): boolean {
  const mode = view.header("sec-fetch-mode");
  return mode === undefined || mode === "navigate";
}
