/**
 * Sessions for Koa 3.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { managersOf, type InstalledDefinition } from "../session/exchange.ts";
import { exchangeOf } from "../session/request.ts";
import { HeldResponse } from "./held-response.ts";

/** The part of Koa's `ctx` that is used here. */
export interface KoaContext {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly app: { emit(event: "error", error: unknown, ctx: KoaContext): unknown };
  originalUrl: string;
  readonly request?: { originalUrl?: string };
  readonly secure: boolean;
  readonly respond?: boolean | undefined;
  status: number;
  body: unknown;
  onerror(error: Error): void;
}

/** Koa middleware, without a dependency on Koa. */
export type KoaMiddleware = <Context extends KoaContext>(ctx: Context, next: () => Promise<unknown>) => Promise<void>;

/**
 * Middleware that lets `definition.from(ctx)` work in the middleware after it. Install it for the app or for a route; several
 * definitions side by side, or in several calls.
 *
 * The sessions are committed when the middleware after this one is done. If that fails, the error is thrown to the
 * middleware before it and ends as every error does in Koa: `app.on("error")`, and `status` (503 for a failing store) and
 * `headers` of the error in the answer. A handler that throws keeps `destroy`, `authenticate` and `regenerate` and no data.
 * Whether a request came over TLS is what `ctx.secure` says: set `app.proxy` behind a proxy.
 *
 * A handler that writes to `ctx.res` itself commits by its first byte. With `ctx.respond = false` nothing else does.
 *
 * @example
 * ```ts
 * import Koa from "koa";
 * import { defineSession } from "coatcheck";
 * import { sessions } from "coatcheck/koa";
 * import { memoryStore } from "coatcheck/store/memory";
 *
 * const user = defineSession<{ visits: number }>({ name: "user", store: memoryStore() });
 *
 * const app = new Koa();
 * app.use(sessions(user));
 * app.use(async (ctx) => {
 *   const session = await user.from(ctx);
 *   session.update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
 *   ctx.body = `visit ${session.data?.visits}`;
 * });
 * app.listen(3000);
 * ```
 *
 * @throws TypeError without a definition, or when two use one cookie name
 */
export function sessions(...definitions: readonly InstalledDefinition[]): KoaMiddleware {
  const managers = managersOf(definitions);
  return async function coatcheck(ctx, next) {
    const outer = exchangeOf(ctx.req);
    if (outer !== undefined) {
      outer.install(managers);
      await next();
      return;
    }
    const held = new HeldResponse(ctx.req, ctx.res, (error) => ctx.onerror(error as Error));
    held.front = ctx;
    held.begin(managers);
    try {
      await next();
    } catch (error) {
      await settleAfter(error, held, ctx);
      throw error;
    }
    if (ctx.respond !== false) await settle(held, ctx);
  };
}

async function settle(held: HeldResponse, ctx: KoaContext): Promise<void> {
  try {
    await held.settle();
  } catch (error) {
    // For middleware that answers errors itself: the head is cleared already, and no body is left to go with it.
    if (!ctx.res.headersSent) ctx.body = undefined;
    if (!ctx.res.headersSent) ctx.status = statusOf(error);
    throw error;
  }
}

/** What the handler threw is what the app answers; that its session could not be saved either is told beside it. */
async function settleAfter(thrown: unknown, held: HeldResponse, ctx: KoaContext): Promise<void> {
  try {
    await held.settle({ error: thrown });
  } catch (error) {
    ctx.app.emit("error", error, ctx);
  }
}

function statusOf(error: unknown): number {
  const { status } = error as { status?: unknown };
  return typeof status === "number" ? status : 500;
}
