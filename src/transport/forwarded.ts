/**
 * How a request came: over TLS, from the developer's own machine, or otherwise.
 *
 * @module
 */
import type { RequestView } from "./transport.ts";

/** Whose word counts on how a client came: see `CookieOptions.trustProxy`. */
export type TrustProxy = boolean | ((peer: string) => boolean);

/** Whether a client came over TLS: by the word of a trusted proxy, or else of the adapter. */
export function cameSecurely(view: RequestView, trust: TrustProxy): boolean {
  const said = trust === false ? undefined : saidByProxy(view, trust);
  return said === undefined ? view.secure : said === "https";
}

/**
 * What a trusted proxy says the client came by. `X-Forwarded-Proto` counts before `Forwarded` (RFC 7239), since proxies
 * that write the one often hand the other through as the client sent it; the first entry of a list is the client's side.
 */
export function saidByProxy(view: RequestView, trust: TrustProxy): "https" | "http" | undefined {
  if (!isTrusted(view, trust)) return undefined;
  const scheme = firstOf(view.header("x-forwarded-proto")) ?? forwarded(view, "proto");
  if (scheme === undefined) return undefined;
  return /^(?:https|wss)$/i.test(scheme) ? "https" : "http";
}

/** The host that a trusted proxy says the client has asked for, by the rules of {@link saidByProxy}; undefined when none does. */
export function hostSaidByProxy(view: RequestView, trust: TrustProxy): string | undefined {
  if (!isTrusted(view, trust)) return undefined;
  return firstOf(view.header("x-forwarded-host")) ?? forwarded(view, "host");
}

/** Whether the peer of this connection is a proxy to believe. */
export function isTrusted({ peer }: RequestView, trust: TrustProxy): boolean {
  if (typeof trust === "boolean") return trust;
  return peer !== undefined && trust(peer) === true;
}

function firstOf(list: string | undefined): string | undefined {
  const first = list?.split(",", 1)[0]?.trim();
  return first === "" ? undefined : first;
}

/** A parameter of the first element of a `Forwarded` header (RFC 7239 §4); undefined when it has none or is malformed. */
function forwarded(view: RequestView, name: "proto" | "host"): string | undefined {
  const header = view.header("forwarded");
  if (header === undefined) return undefined;
  const pair = /[ \t]*([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"[ \t]*|([^;,"]*))(;|,|$)/y;
  for (let match = pair.exec(header); match !== null; match = pair.exec(header)) {
    if (match[1]?.toLowerCase() === name) return firstOf(match[2] ?? match[3]);
    if (match[4] !== ";") return undefined;
  }
  return undefined;
}

const FORWARDING = new Map(
  [
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "Forwarded",
    "Via",
    "X-Real-IP",
    "X-Forwarded-Port",
    "X-Forwarded-Server",
    "X-Forwarded-By",
    "X-Forwarded-Prefix",
    "X-Forwarded-Protocol",
    "X-Forwarded-Scheme",
    "X-Forwarded-Ssl",
    "X-Forwarded-Uri",
  ].map((name) => [name.toLowerCase(), name]),
);

/** The name of a header by which a proxy shows itself; undefined when there is none. */
export function forwardingHeader(view: RequestView): string | undefined {
  for (const [lowerCase, name] of FORWARDING) {
    if (view.header(lowerCase) !== undefined) return name;
  }
  return undefined;
}

/** Whether the request names this machine itself as its host: `localhost`, `*.localhost`, `127.0.0.0/8`, `[::1]`. */
export function isForLoopback(view: RequestView): boolean {
  const host = view.header("host");
  const target = hostOfUrl(view.url);
  if (host === undefined && target === undefined) return false;
  return (host === undefined || isLoopbackHost(host)) && (target === undefined || isLoopbackHost(target));
}

/** Whether a request came from this machine itself, for a loopback host, with no sign of a proxy between (P30). */
export function isLocal(view: RequestView): boolean {
  return (
    isForLoopback(view) &&
    (view.peer === undefined || isLoopbackAddress(view.peer)) &&
    forwardingHeader(view) === undefined &&
    !cameFromElsewhere(view)
  );
}

const OCTET = "(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)";
const LOOPBACK_IPV4 = `127(?:\\.${OCTET}){3}`;
const LOOPBACK_HOST = new RegExp(`^(?:(?:[\\w-]+\\.)*localhost|${LOOPBACK_IPV4}|\\[::1\\])(?::\\d{0,5})?$`, "i");
const LOOPBACK_ADDRESS = new RegExp(`^(?:(?:::ffff:)?${LOOPBACK_IPV4}|::1)$`, "i");

function isLoopbackHost(host: string): boolean {
  return LOOPBACK_HOST.test(host);
}

function isLoopbackAddress(address: string): boolean {
  return LOOPBACK_ADDRESS.test(address);
}

/**
 * Whether the browser calls this request same-origin and names another origin than the loopback host we were told: then
 * a proxy has rewritten `Host`, as nginx does by default, without leaving a header of its own.
 */
function cameFromElsewhere(view: RequestView): boolean {
  if (view.header("sec-fetch-site") !== "same-origin") return false;
  const origin = hostOfUrl(view.header("origin") ?? view.header("referer") ?? "");
  return origin !== undefined && !isLoopbackHost(origin);
}

function hostOfUrl(url: string): string | undefined {
  return /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(url)?.[1];
}
