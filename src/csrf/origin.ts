/**
 * Origins as browsers write them, and the server's own.
 *
 * @module
 */
import { cameSecurely, hostSaidByProxy, type TrustProxy } from "../transport/forwarded.ts";
import type { RequestView } from "../transport/transport.ts";

/**
 * An origin in the one way of writing it: lower case, without the port that its scheme has anyway. Undefined for what is
 * none: `null`, a list, an origin with a path or a user in it.
 */
export function normalOrigin(text: string): string | undefined {
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/?#@\\\s,]+$/i.test(text)) return undefined;
  const lower = text.toLowerCase();
  if (!URL.canParse(lower)) return undefined;
  const { protocol, host } = new URL(lower);
  return host === "" ? undefined : `${protocol}//${host}`;
}

/**
 * The origin under which the client has asked for this server, as far as the request and the proxies that are trusted tell;
 * undefined when they do not.
 */
export function ownOrigin(view: RequestView, trust: TrustProxy): string | undefined {
  const host = hostSaidByProxy(view, trust) ?? view.header("host") ?? hostOfTarget(view.url);
  if (host === undefined) return undefined;
  return normalOrigin(`${cameSecurely(view, trust) ? "https" : "http"}://${host}`);
}

/** The host of a request target that is an absolute URL, as on the web platform, where requests may have no `Host`. */
function hostOfTarget(target: string): string | undefined {
  return URL.canParse(target) ? new URL(target).host : undefined;
}
