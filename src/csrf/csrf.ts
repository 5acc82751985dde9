/**
 * A guard against requests that another site's page makes a visitor's browser send (CSRF), for every adapter.
 *
 * @module
 */
import { CsrfError, type CsrfReason } from "../errors.ts";
import { isPromise, run, settled, type MaybePromise, type Steps } from "../internal/maybe-promise.ts";
import { HOW_TO_INSTALL, type Exchange } from "../session/exchange.ts";
import { exchangeOf, type SessionRequest } from "../session/request.ts";
import type { Session } from "../session/session.ts";
import { guardPolicy, type CsrfOptions, type GuardPolicy } from "./csrf-options.ts";
import { isTokenOf, maskedToken } from "./masked-token.ts";
import { sentToken } from "./sent-token.ts";
import { verdictOn } from "./verdict.ts";

export { CsrfError, type CsrfEvidence, type CsrfReason } from "../errors.ts";
export type { CsrfOptions, CsrfTokenPlaces, GuardedSession } from "./csrf-options.ts";

/**
 * A guard in every framework's form. It judges a request before its handler runs; what it refuses is a {@link CsrfError} on
 * the framework's own way of errors. Install it after the adapter's `sessions(…)`.
 */
export interface CsrfGuard {
  /** `coatcheck/node`, `coatcheck/fetch` and anywhere else: rejects with a {@link CsrfError}. */
  (request: SessionRequest): Promise<void>;
  /** Hono and Koa. */
  (context: SessionRequest, next: () => Promise<unknown>): Promise<void>;
  /** Express, and a hook of Fastify (`preHandler`, where the body has been parsed). */
  (request: SessionRequest, response: object, next: (error?: Error) => void): void;
  /**
   * A token for a hidden form field or a header of this session's pages: another text each time, all of them good until
   * somebody signs in, the secret is replaced, or the session ends. The first one writes the session, at once, with what the
   * request has done to it so far; a visitor without a session gets one. Only clients that send neither `Sec-Fetch-Site` nor
   * `Origin` need it.
   *
   * @throws TypeError when the session is not installed for this request, or has a `codec` that could not keep it; what
   *   `session.commit()` throws
   */
  token(request: SessionRequest): Promise<string>;
}

/**
 * Makes a guard. What it lets through: safe methods (`GET`, `HEAD`, `OPTIONS`) that open no WebSocket; what the browser calls
 * its own (`Sec-Fetch-Site: same-origin` or `none`); `trustedOrigins`; without `Sec-Fetch-Site`, an `Origin` that is the
 * server's own; and with neither, a token of this session, or what `nonBrowser` lets through. The session is looked at for a
 * token only.
 *
 * @example
 * ```ts
 * import express from "express";
 * import { defineSession } from "coatcheck";
 * import { csrf } from "coatcheck/csrf";
 * import { sessions } from "coatcheck/express";
 * import { memoryStore } from "coatcheck/store/memory";
 *
 * const user = defineSession<{ name: string }>({ name: "user", store: memoryStore() });
 * const guard = csrf({ session: user });
 *
 * const app = express();
 * app.use(sessions(user), express.urlencoded(), guard);
 * app.get("/name", async (req, res) => {
 *   const token = await guard.token(req);
 *   res.send(`<form method="post"><input type="hidden" name="_csrf" value="${token}"><input name="name"></form>`);
 * });
 * ```
 *
 * @throws TypeError that names the option
 */
export function csrf(options: CsrfOptions): CsrfGuard {
  const policy = guardPolicy(options);

  function guard(request: SessionRequest): Promise<void>;
  function guard(context: SessionRequest, next: () => Promise<unknown>): Promise<void>;
  function guard(request: SessionRequest, response: object, next: (error?: Error) => void): void;
  function guard(request: SessionRequest, second?: unknown, third?: unknown): Promise<void> | void {
    if (typeof third === "function") return callBack(policy, request, third as (error?: unknown) => void);
    return followed(policy, request, typeof second === "function" ? (second as () => unknown) : undefined);
  }

  return Object.assign(guard, {
    token: async (request: SessionRequest) => await tokenFor(await policy.session.from(request)),
  });
}

// --- the forms of a guard -----------------------------------------------------------------------------------------------

async function followed(
  policy: GuardPolicy,
  request: SessionRequest,
  next: (() => unknown) | undefined,
): Promise<void> {
  await judged(policy, request);
  await next?.();
}

function callBack(policy: GuardPolicy, request: SessionRequest, next: (error?: unknown) => void): void {
  let judging: MaybePromise<void>;
  try {
    judging = judged(policy, request);
  } catch (error) {
    return next(error);
  }
  if (isPromise(judging)) judging.then(() => next(), next);
  else next();
}

// --- judging ------------------------------------------------------------------------------------------------------------

/** Settles when a request may pass. Throws, or rejects with, a {@link CsrfError}. */
function judged(policy: GuardPolicy, request: SessionRequest): MaybePromise<void> {
  const { view } = exchangeFor(policy, request);
  const { originalMethod } = request as { originalMethod?: unknown };
  const verdict = verdictOn(view, typeof originalMethod === "string" ? originalMethod : undefined, policy);
  if (verdict === "pass") return undefined;
  if (verdict !== "unsaid") throw refusal(policy, request, verdict);
  return run(judgedByToken(policy, request));
}

function* judgedByToken(policy: GuardPolicy, request: SessionRequest): Steps<void> {
  if (policy.nonBrowser(request) === true) return;
  const { view } = exchangeFor(policy, request);
  const token = yield* settled(sentToken(policy.token, request, view));
  if (token === undefined) throw refusal(policy, request, "token-missing");
  const { csrf: kept } = yield* settled(policy.session.from(request));
  if (kept === undefined || !isTokenOf(kept.secret, token)) throw refusal(policy, request, "token-invalid");
}

function refusal(policy: GuardPolicy, request: SessionRequest, reason: CsrfReason): CsrfError {
  const { view } = exchangeFor(policy, request);
  const evidence = { method: view.method, site: view.header("sec-fetch-site"), origin: view.header("origin") };
  const error = new CsrfError(reason, evidence);
  policy.onRefused(error, request);
  return error;
}

function exchangeFor({ session }: GuardPolicy, request: SessionRequest): Exchange {
  const exchange = exchangeOf(request);
  if (exchange !== undefined) return exchange;
  throw new TypeError(`the CSRF guard came before the session "${session.name}": ${HOW_TO_INSTALL}`);
}

// --- handing out tokens -------------------------------------------------------------------------------------------------

/** A token of a secret that is written: of two requests that make one at once, only one's is kept. */
async function tokenFor(session: Session<object>): Promise<string> {
  session.makeCsrf();
  if (session.csrf?.written === false) await session.commit();
  return maskedToken(session.csrf?.secret ?? "");
}
