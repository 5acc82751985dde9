/**
 * Sessions for handlers of the web platform, from `Request` to `Response`: Bun, Deno, workerd, and any router on top.
 *
 * @module
 */
import { isSessionError } from "../errors.ts";
import { isPromise } from "../internal/maybe-promise.ts";
import { EXCHANGE, Exchange, managersOf, type InstalledDefinition } from "../session/exchange.ts";
import { exchangeOf, type ExchangeCarrier } from "../session/request.ts";
import type { HeaderEdit } from "../transport/transport.ts";
import { errorAnswer } from "./error-answer.ts";
import { applyToHeaders, WebRequestView } from "./web-request.ts";

/**
 * Wraps a handler, so that `definition.from(request)` works in it. The response is returned once the sessions are written.
 *
 * What the handler throws is thrown on, with two exceptions: coatcheck's own errors are answered with their status (503 for a
 * failing store), and where the client must be told something (somebody had just signed in), with 500. Both go to stderr.
 *
 * @example
 * ```ts
 * import { defineSession } from "coatcheck";
 * import { withSessions } from "coatcheck/fetch";
 * import { memoryStore } from "coatcheck/store/memory";
 *
 * const user = defineSession<{ visits: number }>({ name: "user", store: memoryStore() });
 *
 * export default {
 *   fetch: withSessions(async (request: Request) => {
 *     const session = await user.from(request);
 *     session.update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
 *     return new Response(`visit ${session.data?.visits}`);
 *   }, user),
 * };
 * ```
 *
 * @throws TypeError without a definition, or when two use one cookie name
 */
export function withSessions<Rest extends readonly unknown[]>(
  handler: (request: Request, ...rest: Rest) => Response | Promise<Response>,
  ...definitions: readonly InstalledDefinition[]
): (request: Request, ...rest: Rest) => Promise<Response> {
  const managers = managersOf(definitions);
  const inner = async (outer: Exchange, request: Request, rest: Rest): Promise<Response> => {
    outer.install(managers);
    return await handler(seenOf(outer, request), ...rest);
  };
  return (request: Request & ExchangeCarrier, ...rest) => {
    const outer = exchangeOf(request);
    if (outer !== undefined) return inner(outer, request, rest);
    const view = new WebRequestView(request);
    const exchange = (request[EXCHANGE] = new Exchange(view, managers, view));
    return answered(exchange, () => handler(seenOf(exchange, request), ...rest));
  };
}

/** The request without tokens in its URL. */
function seenOf(exchange: Exchange, request: Request): Request {
  const { view } = exchange;
  if (!(view instanceof WebRequestView)) return request;
  (view.rest as ExchangeCarrier)[EXCHANGE] = exchange;
  return view.rest;
}

async function answered(exchange: Exchange, handle: () => Response | Promise<Response>): Promise<Response> {
  let response: Response;
  try {
    response = await handle();
  } catch (thrown) {
    // A thrown Response is how some routers redirect: an answer like any other.
    if (!(thrown instanceof Response)) return await afterThrow(exchange, thrown);
    response = thrown;
  }
  try {
    const edits = exchange.finish({ failed: false });
    return edited(response, isPromise(edits) ? await edits : edits);
  } catch (error) {
    response?.body?.cancel().catch(() => {});
    return failure(error, exchange.owed());
  }
}

async function afterThrow(exchange: Exchange, thrown: unknown): Promise<Response> {
  try {
    await exchange.finish({ failed: true });
  } catch (error) {
    // What the handler threw is what the app must see.
    console.error(error);
  }
  return failure(thrown, exchange.owed());
}

/** The answer to an error, where there is one that is ours to give; else the error is thrown on. */
function failure(error: unknown, edits: readonly HeaderEdit[]): Response {
  const owed = edits.some(({ name }) => name !== "Vary");
  if (!owed && !isSessionError(error)) throw error;
  console.error(error);
  const { body, ...rest } = errorAnswer(error);
  return edited(new Response(body, rest), edits);
}

function edited(response: Response, edits: readonly HeaderEdit[]): Response {
  if (edits.length === 0) return response;
  // A copy: the app may return one response to many visitors, and some cannot be changed at all.
  const copy = new Response(response.body, response);
  applyToHeaders(edits, copy.headers);
  return copy;
}
