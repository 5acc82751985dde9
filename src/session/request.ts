/**
 * What a framework gives a handler, and the exchange that an adapter hung on the request inside it.
 *
 * @module
 */
import { EXCHANGE, type Exchange } from "./exchange.ts";

/** A request of `node:http`, `node:http2`, Express. */
export interface NodeRequestLike {
  readonly headers: { readonly [name: string]: string | readonly string[] | undefined };
  readonly method?: string | undefined;
  readonly url?: string | undefined;
}

/** A request of the web platform. */
export interface WebRequestLike {
  readonly headers: { get(name: string): string | null };
  readonly method: string;
  readonly url: string;
}

/**
 * Whatever a framework gives a handler: Node's and Express's `req`, a web `Request`, Fastify's `request`, Hono's `c`, Koa's
 * `ctx`, an h3 event.
 */
export type SessionRequest =
  | NodeRequestLike
  | WebRequestLike
  | { readonly raw: NodeRequestLike }
  | { readonly req: { readonly raw: WebRequestLike } }
  | { readonly req: NodeRequestLike; readonly res: object; readonly request: object }
  | { readonly req: WebRequestLike }
  | { readonly node: { readonly req: NodeRequestLike } };

/** An object on which an adapter may have hung an exchange. */
export interface ExchangeCarrier {
  [EXCHANGE]?: Exchange;
}

/** The exchange of a request; undefined when no adapter has seen it. */
export function exchangeOf(request: unknown): Exchange | undefined {
  const own = on(request);
  if (own !== undefined) return own;
  const { raw, req, node } = asObject(request) as { raw?: unknown; req?: unknown; node?: unknown };
  return (
    on(raw) ?? on((asObject(req) as { raw?: unknown }).raw) ?? on((asObject(node) as { req?: unknown }).req) ?? on(req)
  );
}

const NOTHING = Object.freeze({});

function on(request: unknown): Exchange | undefined {
  return (asObject(request) as ExchangeCarrier)[EXCHANGE];
}

function asObject(value: unknown): object {
  return typeof value === "object" && value !== null ? value : NOTHING;
}
