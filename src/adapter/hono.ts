/**
 * Sessions for Hono 4, on every runtime.
 *
 * @module
 */
import { isPromise } from "../internal/maybe-promise.ts";
import { EXCHANGE, Exchange, managersOf, type ExchangeHooks, type InstalledDefinition } from "../session/exchange.ts";
import { exchangeOf, type ExchangeCarrier } from "../session/request.ts";
import type { HeaderEdit } from "../transport/transport.ts";
import { certificateOf } from "./tls-certificate.ts";
import { applyToHeaders, WebRequestView } from "./web-request.ts";

/** The part of Hono's context that is used here. */
export interface HonoContext {
  readonly req: { raw: Request };
  /** What the platform gives: on Node the request of `node:http`. */
  readonly env?: unknown;
  get res(): Response;
  set res(response: Response | undefined);
  readonly error: Error | undefined;
  readonly finalized: boolean;
  status(status: 200): void;
  newResponse(body: null, status: 200): Response;
}

/** Hono middleware, without a dependency on Hono. */
export type HonoMiddleware = (c: HonoContext, next: () => Promise<void>) => Promise<void>;

/**
 * Middleware that lets `definition.from(c)` work in the handlers after it. Install it for the app or for a path; several
 * definitions side by side, or in several calls. The response is returned once the sessions are written; middleware that
 * changes the headers of responses belongs inside.
 *
 * A session that cannot be saved goes to `app.onError`, as does everything in Hono, and nothing that the handler prepared
 * goes out; without an `onError` the answer has the error's status (503 for a failing store). When a handler throws, an
 * `HTTPException` included, `destroy`, `authenticate` and `regenerate` are kept and changed data is not.
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { defineSession } from "coatcheck";
 * import { sessions } from "coatcheck/hono";
 * import { memoryStore } from "coatcheck/store/memory";
 *
 * const user = defineSession<{ visits: number }>({ name: "user", store: memoryStore() });
 *
 * const app = new Hono();
 * app.use(sessions(user));
 * app.get("/", async (c) => {
 *   const session = await user.from(c);
 *   session.update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
 *   return c.text(`visit ${session.data?.visits}`);
 * });
 *
 * export default app; // on Node: serve(app) of @hono/node-server
 * ```
 *
 * @throws TypeError without a definition, or when two use one cookie name
 */
export function sessions(...definitions: readonly InstalledDefinition[]): HonoMiddleware {
  const managers = managersOf(definitions);
  return async function coatcheck(c, next) {
    const outer = exchangeOf(c);
    if (outer !== undefined) {
      outer.install(managers);
      show(c, outer);
      await next();
      return;
    }
    const view = new HonoView(c);
    const exchange = new Exchange(view, managers, view);
    // Some middleware gives `c.req` another raw request.
    (c as ExchangeCarrier)[EXCHANGE] = exchange;
    show(c, exchange);
    try {
      await next();
    } catch (thrown) {
      // Hono answers only errors: anything else goes through to whoever called the app.
      await finished(exchange).catch(console.error);
      throw thrown;
    }
    if (exchange.touched) await answered(c, exchange, view);
    else exchange.close();
  };
}

/** Gives the handler the request without tokens in its URL. */
function show(c: HonoContext, exchange: Exchange): void {
  const { view } = exchange;
  if (!(view instanceof WebRequestView)) return;
  if (c.req.raw.url !== view.rest.url) c.req.raw = view.rest;
  (c.req.raw as ExchangeCarrier)[EXCHANGE] = exchange;
}

async function finished(exchange: Exchange): Promise<void> {
  await exchange.finish({ failed: true });
}

async function answered(c: HonoContext, exchange: Exchange, view: HonoView): Promise<void> {
  const thrown = c.error !== undefined;
  try {
    const edits = exchange.finish({ failed: thrown });
    edit(c, isPromise(edits) ? await edits : edits);
  } catch (error) {
    if (thrown) {
      // It is answered already; that the session could not be saved either is told beside it.
      console.error(error);
      edit(c, exchange.owed());
      return;
    }
    view.forget();
    edit(c, exchange.owed());
    throw error;
  }
}

function edit(c: HonoContext, edits: readonly HeaderEdit[]): void {
  if (edits.length === 0) return;
  try {
    applyToHeaders(edits, c.res.headers);
  } catch {
    // The headers of Response.redirect() and of a fetched response cannot be changed, but copied.
    const copy = new Response(c.res.body, c.res);
    applyToHeaders(edits, copy.headers);
    replace(c, copy);
  }
}

/** Hono adds the headers of the response before to the next one, unless there is none. */
function replace(c: HonoContext, response: Response): void {
  c.res = undefined;
  c.res = response;
}

/** A request, and the headers that were set for its response before a session was asked for. */
class HonoView extends WebRequestView implements ExchangeHooks {
  readonly #c: HonoContext;
  #before: Headers | undefined;

  constructor(c: HonoContext) {
    super(c.req.raw);
    this.#c = c;
  }

  override get peer(): string | undefined {
    return this.#socket?.remoteAddress;
  }

  override get certificate(): string | undefined {
    return certificateOf(this.#socket);
  }

  /** On Node, the connection. */
  get #socket(): { readonly remoteAddress?: string } | undefined {
    return ((this.#c.env ?? {}) as { incoming?: { socket?: { remoteAddress?: string } } }).incoming?.socket;
  }

  override stripped(strip: (target: string) => string): void {
    super.stripped(strip);
    this.touched();
  }

  touched(): void {
    if (this.#before !== undefined) return;
    // Hono hands out the headers that were set so far only with a response; it may go on changing them.
    this.#before = new Headers(this.#c.newResponse(null, 200).headers);
  }

  /** Takes back what the handler prepared. */
  forget(): void {
    const c = this.#c;
    if (c.finalized) c.res.body?.cancel().catch(() => {});
    replace(c, new Response(null, { headers: this.#before ?? new Headers() }));
    c.status(200);
  }
}
