/**
 * Sessions for Express 4 and 5.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { managersOf, type InstalledDefinition } from "../session/exchange.ts";
import { exchangeOf } from "../session/request.ts";
import { HeldResponse } from "./held-response.ts";

/** Express middleware, without a dependency on Express. */
export type ExpressMiddleware = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void;

/**
 * Middleware that lets `definition.from(req)` work in the handlers after it. Install it for the app or for a route; several
 * definitions side by side, or in several calls.
 *
 * Express does not tell its middleware when a handler throws. A response with a status of 500 or above counts as one: then
 * `destroy`, `authenticate` and `regenerate` are kept and changed data is not, unless the handler called
 * `await session.commit()` itself. A session that cannot be saved goes to the error handlers of the app or router where this
 * middleware is installed, with `status` 503 for a failing store. With Express 4, whose handlers may not reject, a session
 * that cannot be *read* goes there too, and `from()` never answers.
 *
 * @example
 * ```ts
 * import express from "express";
 * import { defineSession } from "coatcheck";
 * import { sessions } from "coatcheck/express";
 * import { memoryStore } from "coatcheck/store/memory";
 *
 * const user = defineSession<{ visits: number }>({ name: "user", store: memoryStore() });
 *
 * const app = express();
 * app.use(sessions(user));
 * app.get("/", async (req, res) => {
 *   const session = await user.from(req);
 *   session.update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
 *   res.send(`visit ${session.data?.visits}`);
 * });
 * app.listen(3000);
 * ```
 *
 * @throws TypeError without a definition, or when two use one cookie name
 */
export function sessions(...definitions: readonly InstalledDefinition[]): ExpressMiddleware {
  const managers = managersOf(definitions);
  return (req, res, next) => {
    try {
      const outer = exchangeOf(req);
      if (outer === undefined) hold(req, res, next).begin(managers);
      else outer.install(managers);
    } catch (error) {
      next(error);
      return;
    }
    next();
  };
}

function hold(req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): HeldResponse {
  const held = new HeldResponse(req, res, next);
  held.failedStatus = isServerError;
  if (isExpress4(req)) held.loadFailed = onlyOnce(next);
  return held;
}

/** Two sessions of one request may both be unreadable, but it can go to the error handlers only once. */
function onlyOnce(next: (error: unknown) => void): (error: unknown) => void {
  let called = false;
  return (error) => {
    if (!called) next(error);
    called = true;
  };
}

function isServerError(status: number): boolean {
  return status >= 500;
}

/** `req.param()` went away with Express 5. */
function isExpress4(req: object): boolean {
  return "param" in req;
}
