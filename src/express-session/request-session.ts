/**
 * One request and its session: what is read before the handler runs, and what is written before the response goes out.
 *
 * @module
 */
import { StoreError, type StoreVerb } from "../errors.ts";
import { systemClock } from "../internal/clock.ts";
import { chain, isPromise, run, settled, type MaybePromise, type Steps } from "../internal/maybe-promise.ts";
import type { CommitResult, ExchangeManager, LoadedSession } from "../session/exchange.ts";
import type { HeaderEdit } from "../transport/transport.ts";
import { Cookie, setCookieLine } from "./cookie.ts";
import type { Found, Seen, Write } from "./keeper.ts";
import { idsIn, isSecure } from "./request-facts.ts";
import { dataText, KEEPER, NO_DATA, Session, sessionFrom, type SessionKeeper, type SessionRequest } from "./session.ts";
import type { Settings } from "./settings.ts";
import type { Signer } from "./signature.ts";

/** A session's data at some moment of the request. */
interface Mark {
  readonly id: string;
  readonly text: string;
}

const NOTHING: CommitResult = Object.freeze({ outcome: "unchanged", edits: Object.freeze([]) });

/** The session of a request; for the exchange a definition of its own. */
export class RequestSession implements ExchangeManager, LoadedSession, SessionKeeper {
  readonly name: string;
  /** None: several of these may use one cookie name for different paths. */
  readonly transportNames: readonly string[] = [];
  /** As with express-session, what caches may keep is the application's business. */
  readonly vary: undefined;
  readonly strippers: readonly never[] = [];
  readonly always: undefined;
  /** Nobody asks the exchange for it. */
  readonly session: never = undefined as never;

  readonly #req: SessionRequest;
  readonly #settings: Settings;
  readonly #signer: Signer;
  readonly #report: (error: unknown) => void;
  /** The id that the client came with, whether or not there is a session of it. */
  #cookieId: string | undefined;
  /** The session that the request began with. */
  #original: Mark | undefined;
  /** The session as it was last saved, or as it was read where that will do. */
  #saved: Mark | undefined;
  /** What the store is known to have under the id of the session. */
  #seen: Seen;
  #touched = false;
  /** The id of a session that had been ended when it was to be written, or whose writing failed: the client is not told of it. */
  #lost: string | undefined;
  /** Whether `req.session = null` has been obeyed. */
  #unset = false;
  /** What the handler has begun and may not have waited for. */
  #pending: Promise<unknown> | undefined;
  /** What the response waits for, or has waited for. */
  #committing: MaybePromise<CommitResult> | undefined;

  /** `report` is told of every error that comes too late for the response. */
  constructor(req: SessionRequest, settings: Settings, signer: Signer, report: (error: unknown) => void) {
    this.#req = req;
    this.#settings = settings;
    this.#signer = signer;
    this.#report = report;
    this.#seen = settings.keeper.nothing();
    this.name = settings.name;
    req.sessionStore = settings.store;
    req[KEEPER] = this;
  }

  now(): number {
    return Date.now();
  }

  /** See `StoreKeeper.atOnce`. */
  get atOnce(): boolean {
    return this.#settings.keeper.atOnce;
  }

  // --- before the handler -------------------------------------------------------------------------------------------

  load(): MaybePromise<LoadedSession> {
    const ids = idsIn(this.#req, this.#settings.name, this.#signer);
    this.#cookieId = ids[0];
    this.#req.sessionID = ids[0];
    return this.#loaded(ids, 0);
  }

  /** The session of the first id that has one; else a new one. */
  #loaded(ids: readonly string[], at: number): MaybePromise<LoadedSession> {
    const id = ids[at];
    if (id === undefined) {
      this.#begin();
      return this;
    }
    const reading = this.#within("read", () => this.#settings.keeper.get(id));
    return chain(reading, (found) => {
      if (found === undefined) return this.#loaded(ids, at + 1);
      this.#cookieId = id;
      this.#inflate(id, found);
      return this;
    });
  }

  #begin(): void {
    const { id } = this.generate();
    this.#original = { id, text: NO_DATA };
  }

  #inflate(id: string, { record, seen }: Found): Session {
    this.#req.sessionID = id;
    const session = sessionFrom(this.#req, record);
    const text = seen.text ?? dataText(session);
    this.#original = { id, text };
    this.#saved = this.#settings.resave ? undefined : this.#original;
    this.#seen = { ...seen, text };
    this.#req.session = session;
    return session;
  }

  generate(): Session {
    const req = this.#req;
    req.sessionID = this.#settings.newId(req);
    const session = new Session(req);
    session.cookie = newCookie(req, this.#settings);
    req.session = session;
    this.#seen = this.#settings.keeper.nothing();
    return session;
  }

  // --- by the handler -----------------------------------------------------------------------------------------------

  save(session: Session): MaybePromise<void> {
    const text = dataText(session);
    this.#saved = { id: session.id, text };
    return this.#begun(this.#write(session, text));
  }

  reload(session: Session): MaybePromise<void> {
    const reading = this.#within("read", () => this.#settings.keeper.get(session.id));
    return this.#begun(
      chain(reading, (found) => {
        if (found === undefined) throw new Error("failed to load session");
        this.#inflate(session.id, found);
      }),
    );
  }

  destroy({ id }: Session): MaybePromise<void> {
    return this.#begun(this.#within("delete", () => this.#settings.keeper.destroy(id)));
  }

  regenerate(): MaybePromise<void> {
    return this.#begun(run(this.#regenerated()));
  }

  /** The new session is there even when the old one could not be ended: the handler learns of that. */
  *#regenerated(): Steps<void> {
    const id = this.#req.sessionID;
    try {
      if (id !== undefined) yield* settled(this.#within("delete", () => this.#settings.keeper.destroy(id)));
    } finally {
      this.generate();
    }
  }

  /** The response waits for everything that was begun. */
  #begun<T>(work: MaybePromise<T>): MaybePromise<T> {
    if (isPromise(work)) this.#pending = Promise.allSettled([this.#pending, work]);
    return work;
  }

  // --- before the response ------------------------------------------------------------------------------------------

  commit(): MaybePromise<CommitResult> {
    const committing = chain(this.#current(), (session) => this.#committed(session));
    this.#committing = committing;
    return committing;
  }

  #committed(session: Session | undefined): MaybePromise<CommitResult> {
    if (session === undefined) return NOTHING;
    if (!this.#touched) session.touch();
    this.#touched = true;
    const text = dataText(session);
    const line = this.#cookieLine(session, text);
    return chain(this.#kept(session, text), () =>
      line === undefined || this.#lost === session.id ? NOTHING : { outcome: "written", edits: [line] },
    );
  }

  #kept(session: Session, text: string): MaybePromise<void> {
    if (this.#shouldSave(session, text)) return this.#saving(session, text);
    return this.#cookieId === this.#req.sessionID ? this.#touching(session, text) : undefined;
  }

  /** Writes what was changed after the response began. Never fails. */
  commitLate(): MaybePromise<void> {
    return this.#reported(() =>
      this.#committing === undefined
        ? this.commit()
        : chain(this.#committing, () => chain(this.#current(), (session) => this.#savedLate(session))),
    );
  }

  #savedLate(session: Session | undefined): MaybePromise<void> {
    if (session === undefined) return undefined;
    const text = dataText(session);
    return this.#shouldSave(session, text) ? this.#saving(session, text) : undefined;
  }

  /** The session to be kept, once all that was begun is done; undefined when there is none. */
  #current(): MaybePromise<Session | undefined> {
    const pending = this.#pending;
    if (pending !== undefined) {
      return pending.then(() => {
        if (this.#pending === pending) this.#pending = undefined;
        return this.#current();
      });
    }
    const { session, sessionID: id } = this.#req;
    if (session) return typeof id === "string" ? session : undefined;
    if (!id || !this.#settings.unsetDestroys || this.#unset) return undefined;
    this.#unset = true;
    const ending = this.#reported(() => this.#within("delete", () => this.#settings.keeper.destroy(id)));
    return chain(ending, () => undefined);
  }

  #saving(session: Session, text: string): MaybePromise<void> {
    this.#saved = { id: session.id, text };
    return this.#reported(() => this.#write(session, text));
  }

  #touching(session: Session, text: string): MaybePromise<void> {
    const { keeper } = this.#settings;
    if (!keeper.touches || this.#lost === session.id) return undefined;
    const write = { session, text, seen: this.#seen };
    return this.#reported(() => this.#within("touch", () => keeper.touch(session.id, write)));
  }

  #shouldSave(session: Session, text: string): boolean {
    const isNew = this.#saved === undefined && this.#cookieId !== this.#req.sessionID;
    return isNew && !this.#settings.saveUninitialized
      ? !isSame(this.#original, session, text)
      : !isSame(this.#saved, session, text);
  }

  #cookieLine(session: Session, text: string): HeaderEdit | undefined {
    const { name, rolling, saveUninitialized, proxy } = this.#settings;
    const modified = !isSame(this.#original, session, text);
    const due =
      this.#cookieId === this.#req.sessionID
        ? rolling || (Boolean(session.cookie.expires) && modified)
        : saveUninitialized || modified;
    if (!due) return undefined;
    if (session.cookie.secure && !isSecure(this.#req, proxy)) {
      tellOfSecure(name);
      return undefined;
    }
    try {
      const value = setCookieLine(name, this.#signer.sign(this.#req.sessionID as string), session.cookie.data);
      return { name: "Set-Cookie", value, mode: "append" };
    } catch (error) {
      this.#report(error);
      return undefined;
    }
  }

  #write(session: Session, text: string): MaybePromise<void> {
    const { id } = session;
    const write: Write = { session, text, seen: this.#seen };
    this.#lost = id;
    return chain(
      this.#within("update", () => this.#settings.keeper.set(id, write)),
      (seen) => {
        if (seen === "gone") return;
        this.#lost = undefined;
        this.#seen = seen;
      },
    );
  }

  /** What fails here does not stop the response. */
  #reported(work: () => MaybePromise<unknown>): MaybePromise<void> {
    try {
      const done = work();
      return isPromise(done) ? done.then(nothing, (error: unknown) => this.#report(error)) : undefined;
    } catch (error) {
      return this.#report(error);
    }
  }

  /** A store that does not answer is an error. */
  #within<T>(verb: StoreVerb, work: () => MaybePromise<T>): MaybePromise<T> {
    const answer = work();
    if (!isPromise(answer)) return answer;
    return new Promise((resolve, reject) => {
      const timedOut = (): void => reject(new StoreError(verb, { timedOut: true }));
      const cancel = systemClock.after(this.#settings.timeout, timedOut);
      answer.then(resolve, reject).then(cancel, cancel);
    });
  }
}

function nothing(): void {}

function isSame(mark: Mark | undefined, { id }: Session, text: string): boolean {
  return mark !== undefined && mark.id === id && mark.text === text;
}

function newCookie(req: SessionRequest, { cookieOf, proxy }: Settings): Cookie {
  const options = cookieOf(req);
  const cookie = new Cookie(options);
  if (options.secure === "auto") cookie.secure = isSecure(req, proxy);
  if (options.sameSite === "auto") cookie.sameSite = isSecure(req, proxy) ? "none" : "lax";
  return cookie;
}

const told = new Set<string>();

/** The commonest question about express-session is why there is no cookie. Said once for each name. */
function tellOfSecure(name: string): void {
  if (told.has(name)) return;
  told.add(name);
  console.warn(
    `coatcheck/express-session: the cookie "${name}" is Secure and was not sent, because the request came without TLS as far as this server can tell: behind a proxy set Express's "trust proxy" or proxy: true`,
  );
}

/** Puts a new session on a request that the middleware has not seen. */
export function generateOn(req: SessionRequest, settings: Settings): void {
  req.sessionID = settings.newId(req);
  const session = new Session(req);
  session.cookie = newCookie(req, settings);
  req.session = session;
}
