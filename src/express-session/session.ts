/**
 * The object on `req.session`.
 *
 * @module
 */
import type { IncomingMessage } from "node:http";
import { answerOf, handOver, type AnswerCallback } from "../internal/answer.ts";
import { chain, type MaybePromise } from "../internal/maybe-promise.ts";
import { cookieOf, type Cookie } from "./cookie.ts";
import type { Store } from "./store.ts";

/** What the middleware does for the session of a request. */
export interface SessionKeeper {
  save(session: Session): MaybePromise<void>;
  reload(session: Session): MaybePromise<void>;
  destroy(session: Session): MaybePromise<void>;
  regenerate(): MaybePromise<void>;
  /** Puts a new session on the request. */
  generate(): void;
}

/** Where the middleware's part of a request hangs. */
export const KEEPER: unique symbol = Symbol("coatcheck.express-session") as never;

/** A request with a session. */
export interface SessionRequest extends IncomingMessage {
  session?: Session | null | undefined;
  sessionID?: string | undefined;
  sessionStore?: Store | undefined;
  [KEEPER]?: SessionKeeper;
}

const HOST: unique symbol = Symbol("coatcheck.host") as never;

/** Whose session an object is. */
interface Host {
  readonly req: SessionRequest;
  readonly id: string;
}

function hostOf(session: object): Host {
  return (session as { readonly [HOST]: Host })[HOST];
}

/**
 * A visitor's session: the data, as properties, beside these methods, which data cannot hide. Every method that takes time
 * takes a callback or, without one, returns a promise.
 */
export class Session {
  /** What the session's cookie says. */
  declare cookie: Cookie;
  constructor(req: SessionRequest, data?: object | null) {
    // One property that does not show, and not two: defining them is slow.
    Object.defineProperty(this, HOST, { value: { req, id: req.sessionID } });
    if (typeof data === "object" && data !== null) fill(this, data);
  }

  /** What the client holds, signed, in its cookie. */
  get id(): string {
    return hostOf(this).id;
  }

  /** The request that the session is on. */
  get req(): SessionRequest {
    return hostOf(this).req;
  }

  /** Lets the session live for its whole `maxAge` from now. The middleware does it with every request. */
  touch(): this {
    return this.resetMaxAge();
  }

  /** The same as `touch`. */
  resetMaxAge(): this {
    this.cookie.maxAge = this.cookie.originalMaxAge;
    return this;
  }

  /** Writes the session now. At the end of a request that happens by itself. */
  save(): Promise<void>;
  save(callback: AnswerCallback<void> | undefined): this;
  save(callback?: AnswerCallback<void>): this | Promise<void> {
    const keeper = this.req[KEEPER];
    return done(this, () => (keeper === undefined ? call(this, "set", this.id, this) : keeper.save(this)), callback);
  }

  /** Reads the session again: `req.session` is another object afterwards. Fails when the session is no longer there. */
  reload(): Promise<void>;
  reload(callback: AnswerCallback<void> | undefined): this;
  reload(callback?: AnswerCallback<void>): this | Promise<void> {
    const { req } = this;
    const keeper = req[KEEPER];
    const again = (): MaybePromise<void> =>
      chain(answerOf<object>(req.sessionStore as Store, "get", this.id), (found) => {
        if (!found) throw new Error("failed to load session");
        req.session = sessionFrom(req, found);
      });
    return done(this, () => (keeper === undefined ? again() : keeper.reload(this)), callback);
  }

  /** Ends the session: `req.session` is gone afterwards. */
  destroy(): Promise<void>;
  destroy(callback: AnswerCallback<void> | undefined): this;
  destroy(callback?: AnswerCallback<void>): this | Promise<void> {
    const { req } = this;
    const keeper = req[KEEPER];
    delete req.session;
    return done(this, () => (keeper === undefined ? call(this, "destroy", this.id) : keeper.destroy(this)), callback);
  }

  /** Ends the session and begins another one, empty and with a new id, on `req.session`. */
  regenerate(): Promise<void>;
  regenerate(callback: AnswerCallback<void> | undefined): this;
  regenerate(callback?: AnswerCallback<void>): this | Promise<void> {
    const { req } = this;
    const keeper = req[KEEPER];
    const anew = (): MaybePromise<void> =>
      chain(call(this, "destroy", this.id), () => req.sessionStore?.generate?.(req));
    return done(this, () => (keeper === undefined ? anew() : keeper.regenerate()), callback);
  }
}

/** The store's own verb, for sessions outside of a request. */
function call({ req }: Session, verb: string, ...args: readonly unknown[]): MaybePromise<void> {
  return chain(answerOf<unknown>(req.sessionStore as Store, verb, ...args), () => undefined);
}

function done<S extends Session>(
  session: S,
  work: () => MaybePromise<void>,
  callback: AnswerCallback<void> | undefined,
): S | Promise<void> {
  const promise = handOver(work, callback);
  return callback === undefined ? promise : session;
}

/** The session of a record. Throws a `TypeError` when the record has no cookie. */
export function sessionFrom(req: SessionRequest, record: object): Session {
  const session = new Session(req);
  session.cookie = cookieOf(record);
  fill(session, record);
  return session;
}

/** Hands data to a session, but for what the session has already. */
function fill(session: Session, data: object): void {
  const to = session as unknown as Record<string, unknown>;
  for (const key in data) if (!(key in session)) to[key] = (data as Record<string, unknown>)[key];
}

/**
 * The session's data, without its cookie, as JSON without the first brace: so it is a part of the record's text, which is
 * compared and not made. Throws a `TypeError` where JSON does.
 */
export function dataText(session: object): string {
  const { cookie: _, ...data } = session as { cookie?: unknown };
  return JSON.stringify(data).slice(1);
}

/** The text of no data. */
export const NO_DATA = "}";
