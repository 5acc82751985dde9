/**
 * One request and its response, as the session layer sees them. Adapters make one for each request, hang it on the request
 * by {@link EXCHANGE}, and ask it for header edits when the response begins.
 *
 * @module
 */
import { SessionError } from "../errors.ts";
import { isPromise, run, settled, type MaybePromise, type Steps } from "../internal/maybe-promise.ts";
import type { BoundTransport, HeaderEdit, RequestView } from "../transport/transport.ts";
import type { SessionManager } from "./manager.ts";
import type { Session } from "./session.ts";

/** What an exchange needs of a definition's manager. */
export interface ExchangeManager {
  readonly name: string;
  /** See `BoundTransport.names`. */
  readonly transportNames: readonly string[];
  /** See `BoundTransport.vary`. */
  readonly vary: string | undefined;
  /** The transports that put tokens into request targets. */
  readonly strippers: readonly BoundTransport[];
  now(): number;
  load(exchange: Exchange, verify: boolean): MaybePromise<LoadedSession>;
}

/** A session in the hands of one request. */
export interface LoadedSession {
  readonly session: Session<never>;
  /** See `BoundTransport.always`. */
  readonly always: readonly HeaderEdit[] | undefined;
  /** Asks the store whether the session is still what it was taken for, if it was taken from a copy. */
  verify?(): MaybePromise<void>;
  /**
   * Writes what is to be written, and returns what the client must be told. `failed`: the handler threw, so data is not
   * written (P20). `responding`: the response begins, so that a token may go out that nobody asked for; one that is decided
   * on earlier may be overtaken by a sign-in (P9).
   */
  commit(options: { failed: boolean; responding: boolean }): MaybePromise<CommitResult>;
}

/** What a commit did. */
export type CommitOutcome = "written" | "unchanged" | "gone";

/** What a commit did, and the header edits that follow from it. */
export interface CommitResult {
  readonly outcome: CommitOutcome;
  readonly edits: readonly HeaderEdit[];
  /** Whether the client gets a token, or is to forget the one that it has: then nothing holds of what it was told before. */
  readonly isAnew?: boolean;
}

/** How an adapter is told of things while the handler runs. */
export interface ExchangeHooks {
  /** Called when a session is asked for, the first time only: the response has to be held from here on. */
  touched?(): void;
  /**
   * Called when the request target has tokens, which `strip` takes out of it: no handler is to see them. The response has to
   * be held from here on.
   */
  stripped?(strip: (target: string) => string): void;
  /** Whether the client went away. */
  aborted?(): boolean;
  /** Called instead of throwing when a load fails, by adapters whose framework cannot take a rejection. */
  loadFailed?(error: unknown): void;
  /** Whether the response can carry a cookie at all. Default true. */
  readonly carries?: boolean;
}

/** Where an exchange hangs on a request. A registered symbol: two copies of the package see each other's. */
export const EXCHANGE: unique symbol = Symbol.for("coatcheck.exchange") as never;

/** A session that was asked for. */
interface Entry {
  readonly manager: ExchangeManager;
  /** As the store tells it: what the commit waits for. */
  loading: MaybePromise<LoadedSession>;
  /** As whoever asked is told. */
  answer: MaybePromise<Session<never>>;
  /** The same, once somebody wanted it verified. */
  verified: MaybePromise<Session<never>> | undefined;
  /** What the client must be told because of this session, as far as it is known. */
  edits: readonly HeaderEdit[];
  /** The latest commit by hand, or look into the store: those of one request come one after the other. */
  committing: Promise<unknown> | undefined;
}

/** A request and its response. */
export class Exchange {
  readonly view: RequestView;
  /** When the adapter first saw the request, in milliseconds since the epoch (P4). */
  readonly arrivedAt: number;
  #managers: readonly ExchangeManager[];
  readonly #hooks: ExchangeHooks;
  readonly #entries: Entry[] = [];
  #closed = false;
  #sent = false;
  /** What the response needs because the request target had tokens. */
  #always: readonly HeaderEdit[] = [];

  constructor(view: RequestView, managers: readonly ExchangeManager[], hooks: ExchangeHooks) {
    this.view = view;
    this.#managers = managers;
    this.#hooks = hooks;
    this.arrivedAt = managers[0]?.now() ?? Date.now();
    this.#strip(managers);
  }

  /** Whether any session was asked for, or the response needs something all the same. */
  get touched(): boolean {
    return this.#entries.length > 0 || this.#always.length > 0;
  }

  /** Has the tokens taken out of the request target: no handler, router or logger is to see them. */
  #strip(managers: readonly ExchangeManager[]): void {
    for (const { strippers } of managers) {
      if (strippers.length === 0) continue;
      for (const { strip, always = [] } of strippers) {
        if (strip === undefined || strip(this.view.url) === this.view.url) continue;
        this.#hooks.stripped?.(strip);
        this.#always = [...this.#always, ...always];
      }
    }
  }

  /** Whether the response has begun, so that nothing can be changed any more: its sessions are being committed, or were. */
  get closed(): boolean {
    return this.#closed || this.#sent;
  }

  /** Whether the response headers are out, so that nothing can be told to the client any more. */
  get sent(): boolean {
    return this.#sent;
  }

  /** Whether the response can carry a token that the client did not ask for (P10). */
  get carries(): boolean {
    return !this.#sent && this.#hooks.carries !== false && this.#hooks.aborted?.() !== true;
  }

  /** Throws a `SessionError` when a token that the client must have cannot go out with this response. */
  requireCarrier(): void {
    if (this.#sent || this.#hooks.carries === false) throw headersSent();
  }

  /** Adds the definitions of a route to those of the app. Throws a `TypeError` when two use one cookie name. */
  install(managers: readonly ExchangeManager[]): void {
    const added = managers.filter((manager) => !this.#managers.includes(manager));
    if (added.length === 0) return;
    this.#managers = distinct([...this.#managers, ...added]);
    this.#strip(added);
  }

  /** The session of a definition: loaded when first asked for, the same one afterwards. `verify`: not from a copy. */
  from(manager: ExchangeManager, verify = false): MaybePromise<Session<never>> {
    const known = this.#entries.length === 0 ? undefined : this.#entries.find((entry) => entry.manager === manager);
    if (known !== undefined) return verify ? (known.verified ??= unheard(this.#verified(known))) : known.answer;
    if (!this.#managers.includes(manager)) throw notInstalled(manager.name);
    if (!this.touched) this.#hooks.touched?.();
    const entry = this.#loaded(manager, verify);
    this.#entries.push(entry);
    if (verify) entry.verified = entry.answer;
    return entry.answer;
  }

  #loaded(manager: ExchangeManager, verify: boolean): Entry {
    const loading = attempted(() => manager.load(this, verify));
    const rest = { manager, verified: undefined, edits: [], committing: undefined };
    if (!isPromise(loading)) return { ...rest, loading, answer: loading.session };
    const answer = Promise.resolve(loading).then(
      (loaded) => {
        entry.loading = loaded;
        return (entry.answer = loaded.session);
      },
      (error: unknown) => this.#loadFailed(error),
    );
    const entry: Entry = { ...rest, loading, answer: unheard(answer) };
    return entry;
  }

  /** In turn with commits: what one is writing is not to be taken for another's, nor the other way round. */
  async #verified(entry: Entry): Promise<Session<never>> {
    try {
      const turn = this.#checked(entry, entry.committing);
      entry.committing = turn;
      return (await turn).session;
    } catch (error) {
      // Whoever asks again has the store asked again.
      entry.verified = undefined;
      return await this.#loadFailed(error);
    }
  }

  async #checked(entry: Entry, earlier: Promise<unknown> | undefined): Promise<LoadedSession> {
    await earlier?.catch(() => {});
    const loaded = await entry.loading;
    await loaded.verify?.();
    return loaded;
  }

  #loadFailed(error: unknown): Promise<never> {
    if (this.#hooks.loadFailed === undefined) throw error;
    this.#hooks.loadFailed(error);
    return new Promise(() => {});
  }

  /** Commits one session by hand, keeping its edits for when the headers go out. */
  async commitNow(session: Session<never>): Promise<CommitOutcome> {
    const entry = this.#entries.find(({ loading }) => !isPromise(loading) && loading.session === session);
    if (entry === undefined || isPromise(entry.loading)) throw new TypeError("this session belongs to no request");
    const turn = this.#committed(entry, entry.loading, entry.committing);
    entry.committing = turn;
    return await turn;
  }

  async #committed(entry: Entry, loaded: LoadedSession, earlier: Promise<unknown> | undefined): Promise<CommitOutcome> {
    await earlier?.catch(() => {});
    const result = await loaded.commit({ failed: false, responding: false });
    if (result.edits.length > 0 && this.#sent) throw headersSent();
    keepEdits(entry, result);
    return result.outcome;
  }

  /**
   * Commits every session that was asked for, and returns the edits that the response headers need. To be called once, when
   * the response begins. Throws what a commit throws; nothing may then be sent of what the handler prepared, but `owed`.
   */
  commit(options: { failed: boolean }): MaybePromise<readonly HeaderEdit[]> {
    this.#closed = true;
    // Nearly always there is one session, and it is there: no need to be able to wait.
    const [entry] = this.#entries;
    if (entry === undefined || this.#entries.length > 1 || entry.committing !== undefined || isPromise(entry.loading)) {
      return run(this.#commitAll(options));
    }
    const committing = entry.loading.commit({ failed: options.failed, responding: true });
    if (isPromise(committing)) return this.#committedLater(entry, committing);
    keepEdits(entry, committing);
    return this.owed();
  }

  async #committedLater(entry: Entry, committing: PromiseLike<CommitResult>): Promise<readonly HeaderEdit[]> {
    const outcome = Promise.resolve(committing).then((result) => result.outcome);
    outcome.catch(() => {});
    entry.committing = outcome;
    keepEdits(entry, await committing);
    return this.owed();
  }

  /**
   * The edits that the sessions committed so far need: when a commit fails, another session of the request, or this one by
   * hand, may have been written before, and its client must be told.
   */
  owed(): readonly HeaderEdit[] {
    const [only] = this.#entries;
    const isOnly = only !== undefined && this.#entries.length === 1 && this.#always.length === 0;
    if (isOnly && !isPromise(only.loading) && only.loading.always === undefined) {
      const vary = varying(only.manager.vary);
      return only.edits.length === 0 ? vary : [...only.edits, NOT_STORED, ...vary];
    }
    const edits = this.#entries.flatMap((entry) => entry.edits);
    if (edits.length > 0) edits.push(NOT_STORED);
    for (const { manager, loading } of this.#entries) {
      if (manager.vary !== undefined) edits.push({ name: "Vary", value: manager.vary, mode: "merge" });
      if (!isPromise(loading) && loading.always !== undefined) edits.push(...loading.always);
    }
    return this.#always.length === 0 ? edits : [...edits, ...this.#always];
  }

  /** Commits what there is to commit, and closes: for adapters that hold the whole response in their hands. */
  finish(options: { failed: boolean }): MaybePromise<readonly HeaderEdit[]> {
    let edits: MaybePromise<readonly HeaderEdit[]> = [];
    try {
      if (this.touched) edits = this.commit(options);
    } catch (error) {
      this.close();
      throw error;
    }
    if (isPromise(edits)) return Promise.resolve(edits).finally(() => this.close());
    this.close();
    return edits;
  }

  /** The response headers are out. */
  close(): void {
    this.#sent = true;
  }

  *#commitAll(options: { failed: boolean }): Steps<readonly HeaderEdit[]> {
    for (const entry of this.#entries) {
      if (entry.committing !== undefined) yield* settledOrFailed(entry.committing);
      const loaded = yield* settledOrFailed(entry.loading);
      if (loaded !== undefined) {
        const committing = loaded.commit({ ...options, responding: true });
        if (isPromise(committing)) yield this.#committedLater(entry, committing);
        else keepEdits(entry, committing);
      }
    }
    return this.owed();
  }
}

/**
 * What a later commit of a session tells the client replaces what an earlier one did about the same cookie; and with a token,
 * which may take fewer cookies than the one before, all of it.
 */
function keepEdits(entry: Entry, { edits: later, isAnew = false }: CommitResult): void {
  if (isAnew || entry.edits.length === 0) entry.edits = later;
  else if (later.length > 0) {
    const told = new Set(later.map(placeOf));
    entry.edits = [...entry.edits.filter((edit) => !told.has(placeOf(edit))), ...later];
  }
}

/** What an edit is about: a header, or one cookie. */
function placeOf({ name, value, mode }: HeaderEdit): string {
  return mode === "append" ? `${name}: ${value.slice(0, value.indexOf("="))}` : name;
}

/** What an adapter takes of a definition. */
export interface InstalledDefinition {
  readonly name: string;
  readonly manager: SessionManager;
}

/** The managers of definitions that are installed together. Throws a `TypeError` when there are none or they clash. */
export function managersOf(definitions: readonly InstalledDefinition[]): readonly ExchangeManager[] {
  const bad =
    definitions.length === 0 || definitions.some((definition) => typeof definition?.manager?.load !== "function");
  if (bad) throw new TypeError("pass the session definitions to install: what defineSession() returned");
  return distinct([...new Set(definitions.map(({ manager }) => manager))]);
}

/** Throws a `TypeError` when two definitions use one cookie name. */
function distinct(managers: readonly ExchangeManager[]): readonly ExchangeManager[] {
  const owners = new Map<string, string>();
  for (const manager of managers) {
    for (const name of manager.transportNames) {
      const owner = owners.get(name);
      if (owner !== undefined) {
        throw new TypeError(
          `the definitions "${owner}" and "${manager.name}" both use ${name}: give one of them another name`,
        );
      }
      owners.set(name, manager.name);
    }
  }
  return managers;
}

/** The error of a verb that comes too late. */
export function headersSent(): SessionError {
  return new SessionError(
    "ERR_SESSION_HEADERS_SENT",
    "The response headers are out, so the session can no longer change: change it, and `await session.commit()`, before the first byte",
  );
}

/** What a response with a token needs (RFC 9111 §5.2.2.5). */
const NOT_STORED: HeaderEdit = Object.freeze({ name: "Cache-Control", value: "no-store", mode: "set" });

const VARYING = new Map<string, readonly HeaderEdit[]>();

/** What a response needs of a session that was only looked at: the same few for all responses. */
function varying(vary: string | undefined): readonly HeaderEdit[] {
  if (vary === undefined) return [];
  const known = VARYING.get(vary);
  if (known !== undefined) return known;
  const edits = Object.freeze([Object.freeze({ name: "Vary", value: vary, mode: "merge" as const })]);
  VARYING.set(vary, edits);
  return edits;
}

/** What to do about a request that no adapter has seen. */
export const HOW_TO_INSTALL =
  "pass its definition to the adapter for your framework, before this handler, and to from() what the framework gives the handler";

function notInstalled(name: string): TypeError {
  return new TypeError(`the session "${name}" is not installed for this request: ${HOW_TO_INSTALL}`);
}

function attempted<T>(work: () => MaybePromise<T>): MaybePromise<T> {
  try {
    return work();
  } catch (error) {
    return Promise.reject(error as Error);
  }
}

/** Whoever asked sees the rejection; one that nobody waits for must not end the process. */
function unheard<T>(answer: Promise<T>): Promise<T> {
  answer.catch(() => {});
  return answer;
}

function* settledOrFailed<T>(waiting: MaybePromise<T>): Steps<T | undefined> {
  try {
    return yield* settled(waiting);
  } catch {
    return undefined;
  }
}
