/**
 * A drop-in for express-session 1.19: `coatcheck/express-session`.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { isPromise, type MaybePromise } from "../internal/maybe-promise.ts";
import { Cookie, type CookieOptions } from "../express-session/cookie.ts";
import { MemoryStore, toExpressStore } from "../express-session/kept-store.ts";
import { isUnder } from "../express-session/request-facts.ts";
import { generateOn, RequestSession } from "../express-session/request-session.ts";
import {
  Session as SessionClass,
  type Session as SessionObject,
  type SessionRequest,
} from "../express-session/session.ts";
import { installGenerate, settingsOf, type SessionOptions } from "../express-session/settings.ts";
import { Store, type ExpressStore } from "../express-session/store.ts";
import { EXCHANGE, type Exchange } from "../session/exchange.ts";
import type { ExchangeCarrier } from "../session/request.ts";
import { commitOnSending } from "./express-session-memory.ts";
import { HeldResponse } from "./held-response.ts";

export { asExpressSession, type AsExpressSessionOptions } from "./express-session-native.ts";
export type { CookieData, CookieOptions } from "../express-session/cookie.ts";
export type { KeptStore, ToExpressStoreOptions } from "../express-session/kept-store.ts";
export type { ExpressStore } from "../express-session/store.ts";
export type { SessionOptions } from "../express-session/settings.ts";

/**
 * What your sessions have in `req.session`, for all of an application: add to it by declaration merging. Without merging,
 * `session<Data>(…)` and its `from(req)` know the data of one middleware.
 */
// oxlint-disable-next-line typescript/no-empty-interface, typescript/no-empty-object-type -- applications fill it
export interface SessionData {}

/** What `req.session` is: the methods, beside the data. */
export type Session<Data extends object = SessionData> = SessionObject & Partial<Data>;

/** The class of `req.session`. */
export const Session: typeof SessionClass = SessionClass;

/** The middleware, and a way to the typed session of a request. */
export interface SessionMiddleware<Data extends object = SessionData> {
  (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void;
  /**
   * The same as `req.session`, with the type of this middleware's data. Throws a `TypeError` where there is none: the
   * middleware has not run, the store is away, or the session was ended.
   */
  from(req: object): Session<Data>;
}

/** The drop-in: call it with options, or take its classes. */
export interface SessionFactory {
  <Data extends object = SessionData, Request extends object = IncomingMessage>(
    options?: SessionOptions<Request>,
  ): SessionMiddleware<Data>;
  readonly Store: typeof Store;
  readonly MemoryStore: typeof MemoryStore;
  readonly Cookie: typeof Cookie;
  readonly Session: typeof Session;
}

/**
 * Middleware that puts the visitor's session on `req.session`, as express-session 1.19 does: the same options and defaults,
 * cookies and records, so that either can take the other's place on the same store. Beyond it, the response leaves after the
 * session was written, a store that does not answer ends in an error, and methods without a callback return promises.
 *
 * @example
 * ```ts
 * import express from "express";
 * import session from "coatcheck/express-session";
 *
 * const sessions = session<{ visits: number }>({ secret: "keyboard cat", resave: false, saveUninitialized: false });
 *
 * const app = express();
 * app.use(sessions);
 * app.get("/", (req, res) => {
 *   const session = sessions.from(req);
 *   session.visits = (session.visits ?? 0) + 1;
 *   res.send(`visit ${session.visits}`);
 * });
 * ```
 *
 * @throws TypeError that names the option, for what express-session refuses, too
 */
export const session: SessionFactory = Object.assign(
  <Data extends object, Request extends object>(options: SessionOptions<Request> = {}): SessionMiddleware<Data> =>
    middlewareOf<Data>(options),
  { Store, MemoryStore, Cookie, Session },
);

function middlewareOf<Data extends object>(options: SessionOptions<never>): SessionMiddleware<Data> {
  const settings = settingsOf(options);
  installGenerate(settings.store, (req) => generateOn(req, settings));

  function middleware(req: SessionRequest, res: ServerResponse, next: (error?: unknown) => void): void {
    if (req.session || !settings.isReady() || !isUnder(req, settings.cookieOf(req).path || "/")) return next();
    const signer = settings.signerFor(req);
    if (signer === undefined) return next(new Error("secret option required for sessions"));
    const current = new RequestSession(req, settings, signer, (error) => setImmediate(next, error));
    let loading: MaybePromise<unknown>;
    try {
      loading = canBeHeld(res) ? loaded(req, res, current, next) : current.load();
    } catch (error) {
      return next(error);
    }
    if (!isPromise(loading)) return next();
    // On a turn of their own: what a handler throws is not ours to catch.
    loading.then(
      () => process.nextTick(next),
      (error: unknown) => process.nextTick(next, error),
    );
  }

  return Object.assign(middleware, { from: (req: object) => sessionOn<Data>(req) });
}

/** On a WebSocket's upgrade the middleware is given `{}`: there the session is read, and saved by hand. */
function canBeHeld(res: Partial<ServerResponse>): boolean {
  return typeof res.end === "function" && typeof res.getHeaders === "function";
}

/** Loads the session, and has it committed before the response goes out. */
function loaded(
  req: SessionRequest & ExchangeCarrier,
  res: ServerResponse,
  current: RequestSession,
  next: (error?: unknown) => void,
): MaybePromise<unknown> {
  if (!current.atOnce || req[EXCHANGE] !== undefined || req.httpVersionMajor > 1) return held(req, res, current, next);
  commitOnSending(req, res, current, next);
  return current.load();
}

/** The response is held from here on, beside those of native definitions. */
function held(
  req: SessionRequest & ExchangeCarrier,
  res: ServerResponse,
  current: RequestSession,
  next: (error?: unknown) => void,
): MaybePromise<unknown> {
  if (req[EXCHANGE] === undefined) new HeldResponse(req, res, next).begin([current]);
  else req[EXCHANGE].install([current]);
  const exchange = req[EXCHANGE] as Exchange;
  const loading = exchange.from(current);
  endOnce(res, exchange, current);
  return loading;
}

/**
 * A response ends once: as with express-session, what is sent afterwards is dropped. What a handler has changed since the
 * response began is written before it ends.
 */
function endOnce(res: ServerResponse, exchange: Exchange, current: RequestSession): void {
  const end = res.end as (...args: unknown[]) => ServerResponse;
  let ended = false;
  res.end = function once(this: ServerResponse, ...args: unknown[]): ServerResponse {
    if (ended) return this;
    ended = true;
    const late = exchange.closed ? current.commitLate() : undefined;
    if (!isPromise(late)) return end.apply(this, args);
    late.then(() => end.apply(this, args));
    return this;
  };
}

function sessionOn<Data extends object>(req: object): Session<Data> {
  const { session: found } = req as SessionRequest;
  if (!found) throw new TypeError("there is no session on this request: the middleware has not run, or it was ended");
  return found as Session<Data>;
}

/** What the middleware puts on a request. */
export interface SessionProperties {
  session: SessionProperty & Partial<SessionData>;
  sessionID: string;
  sessionStore: ExpressStore;
}

/**
 * `req.session` where it is not asked for by `from(req)`. A little less exact than {@link Session}, so that
 * `@types/express-session`, which some stores' types bring along, can stay beside.
 */
export interface SessionProperty {
  readonly id: string;
  cookie: CookieProperty;
  touch(): this;
  resetMaxAge(): this;
  save(callback?: (error?: unknown) => void): this | Promise<void>;
  reload(callback?: (error?: unknown) => void): this | Promise<void>;
  destroy(callback?: (error?: unknown) => void): this | Promise<void>;
  regenerate(callback?: (error?: unknown) => void): this | Promise<void>;
}

/** `req.session.cookie`. */
export interface CookieProperty extends Omit<CookieOptions, "maxAge"> {
  originalMaxAge: number | null | undefined;
  maxAge?: number | null | undefined;
}

declare global {
  namespace Express {
    interface Request extends SessionProperties {}
  }
}

// What `require()` returns: the function itself, as with express-session.
// oxlint-disable-next-line import/no-default-export -- as the package that it takes the place of
export { session as default, session as "module.exports", Cookie, MemoryStore, Store, toExpressStore };
