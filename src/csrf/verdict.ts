/**
 * What the headers of a request say of where it came from, and what follows from that. Pure: no session, no token.
 *
 * @module
 */
import type { CsrfReason } from "../errors.ts";
import type { TrustProxy } from "../transport/forwarded.ts";
import type { RequestView } from "../transport/transport.ts";
import { normalOrigin, ownOrigin } from "./origin.ts";

/** What a guard goes by. */
export interface OriginRules {
  /** Origins besides the server's own, as {@link normalOrigin} writes them. */
  readonly trusted: ReadonlySet<string>;
  readonly trustProxy: TrustProxy;
}

/** `"unsaid"`: the headers do not tell, which is not what a browser of today does. Otherwise why the request is refused. */
export type Verdict = "pass" | "unsaid" | Exclude<CsrfReason, "token-missing" | "token-invalid">;

/** Judges a request by its headers. `sentAs`: the method that it came with, where middleware has put another in its place. */
export function verdictOn(view: RequestView, sentAs: string | undefined, rules: OriginRules): Verdict {
  if (isSafe(view.method) && (sentAs === undefined || isSafe(sentAs)) && !opensWebSocket(view)) return "pass";
  const site = view.header("sec-fetch-site");
  if (site === "same-origin" || site === "none") return "pass";
  const origin = view.header("origin");
  if (origin === undefined) return site === undefined ? "unsaid" : refusalBySite(site);
  const normal = normalOrigin(origin);
  if (normal !== undefined && rules.trusted.has(normal)) return "pass";
  if (site !== undefined) return refusalBySite(site);
  if (normal !== undefined && normal === ownOrigin(view, rules.trustProxy)) return "pass";
  return origin === "null" ? "null-origin" : "origin";
}

function refusalBySite(site: string): Verdict {
  return site === "cross-site" || site === "same-site" ? site : "unknown-site";
}

/** Methods by which a client asks for nothing to be changed (RFC 9110 §9.2.1), `TRACE` left out. Upper case, as methods are. */
function isSafe(method: string): boolean {
  return method === "GET" || method === "HEAD" || method === "OPTIONS";
}

/** A WebSocket begins with a GET, from whatever page, with the visitor's cookies; and what it is used for is anything but safe. */
function opensWebSocket(view: RequestView): boolean {
  const upgrade = view.header("upgrade");
  return upgrade !== undefined && /(?:^|,)[ \t]*websocket[ \t]*(?:$|[,/])/i.test(upgrade);
}
