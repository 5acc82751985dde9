/**
 * Tokens in request targets and links: `/cart?user=TOKEN`, and `/cart;user=TOKEN` as Tomcat writes it. Everything else in a
 * URL stays as it is, to the byte.
 *
 * @module
 */
import { MAX_CANDIDATES } from "./transport.ts";

/** As many as are tried, and one, so that "too many" shows. */
const MOST_VALUES = MAX_CANDIDATES + 1;

/** Where in a URL a token stands: as a parameter of the query, or of the path. */
export type UrlForm = "query" | "path";

/** A URL without its tokens, and the tokens. */
export interface TakenApart {
  readonly url: string;
  /** As they came, empty ones left out. */
  readonly values: readonly string[];
}

/** Takes the tokens out of a request target or a link: of the path, from its very end only, which is where we write them. */
export function takeApart(url: string, name: string, form: UrlForm): TakenApart {
  if (!url.includes(`${name}=`)) return { url, values: [] };
  const { path, query, fragment } = partsOf(url);
  const values: string[] = [];
  const take = (value: string): false => {
    if (value !== "" && values.length < MOST_VALUES && !values.includes(value)) values.push(value);
    return false;
  };
  if (form === "path") {
    const rest = path.replace(new RegExp(`(?:;${name}=[^;/]*)+$`), "");
    if (rest === path || !meansTheSame(rest)) return { url, values };
    for (const parameter of path.slice(rest.length + 1).split(";")) take(parameter.slice(name.length + 1));
    return { url: rest + query + fragment, values };
  }
  const pairs = query.slice(1).split("&");
  const kept = pairs.filter((pair) => !pair.startsWith(`${name}=`) || take(pair.slice(name.length + 1)));
  if (kept.length === pairs.length) return { url, values };
  return { url: path + (kept.length === 0 ? "" : `?${kept.join("&")}`) + fragment, values };
}

/**
 * Whether a path is what it was with a parameter at its end: that was no part of a host, and without it the last segment does
 * not become a dot segment, nor the path the name of another host.
 */
function meansTheSame(path: string): boolean {
  return !/^[a-z][a-z0-9+.-]*:\/\/[^/]*$|^\/\/|(?:^|\/)\.{1,2}$/i.test(path);
}

/** Where a link stands. */
export interface LinkContext {
  /** The target of the request whose answer has the link, without its tokens. */
  readonly target: string;
  /** The host that the request was for, and its port. */
  readonly host: string | undefined;
  /** Whether links by plain http leave the site's security. */
  readonly secure: boolean;
}

/** A link with a token, if it leads to this very site; else the link as it was. */
export function withToken(href: string, name: string, form: UrlForm, token: string, context: LinkContext): string {
  if (href.startsWith("#")) return href;
  const link = isPlainReference(href) ? completed(href, form, context.target) : sameSiteLink(href, context);
  if (link === undefined) return href;
  const { path: bare, query, fragment } = partsOf(takeApart(link, name, form).url);
  if (bare.startsWith("//") || (form === "path" && new RegExp(`;${name}=[^;/]*$`).test(bare))) return href;
  // A parameter of a dot segment would make it an ordinary one.
  const path = form === "path" && /(?:^|\/)\.{1,2}$/.test(bare) ? `${bare}/` : bare;
  if (form === "path") return `${path};${name}=${token}${query}${fragment}`;
  const separator = query === "" ? "?" : query === "?" || query.endsWith("&") ? "" : "&";
  return `${path}${query}${separator}${name}=${token}${fragment}`;
}

/**
 * Whether a link can only lead to the same host, without a look at what browsers make of it: no scheme, no `//`, and none of
 * the characters that they drop, or read as a slash.
 */
function isPlainReference(href: string): boolean {
  // oxlint-disable-next-line no-control-regex -- these are what browsers drop
  return !/^[a-z][a-z0-9+.-]*:|\/\/|[\u0000-\u0020\\]/i.test(partsOf(href).path);
}

/** A link to the page itself says nothing of its path, or of its query either. */
function completed(href: string, form: UrlForm, target: string): string {
  const { path, query, fragment } = partsOf(href);
  if (path !== "") return href;
  const current = partsOf(target);
  const segment = current.path.slice(current.path.lastIndexOf("/") + 1);
  const rest = (query === "" ? current.query : query) + fragment;
  // With "./" before it no segment can be taken for a scheme.
  return form === "query" ? rest : `./${segment}${rest}`;
}

/** The link as browsers read it, when it leads to the same host and not out of TLS. */
function sameSiteLink(href: string, { target, host, secure }: LinkContext): string | undefined {
  const absolute = /^\s*[a-z][a-z0-9+.-]*:/i.test(href);
  const base = baseOf(target, host, secure);
  if (base === undefined || !URL.canParse(href, base)) return undefined;
  const url = new URL(href, base);
  const safe = url.protocol === "https:" || (url.protocol === "http:" && !secure);
  if (!safe || url.host !== new URL(base.href.replace(/^https?:/, url.protocol)).host) return undefined;
  if (url.username !== "" || url.password !== "") return undefined;
  // Without the origin before it, such a path would be read as a host.
  if (url.pathname.startsWith("//")) return undefined;
  return absolute ? url.href : url.pathname + url.search + url.hash;
}

function baseOf(target: string, host: string | undefined, secure: boolean): URL | undefined {
  if (/^https?:\/\//i.test(target)) return URL.canParse(target) ? new URL(target) : undefined;
  const origin = `${secure ? "https" : "http"}://${host ?? ""}`;
  return host !== undefined && URL.canParse(origin) ? new URL(origin + partsOf(target).path) : undefined;
}

interface Parts {
  readonly path: string;
  /** With its `?`; empty when there is none. */
  readonly query: string;
  /** With its `#`. */
  readonly fragment: string;
}

function partsOf(url: string): Parts {
  const hash = url.indexOf("#");
  const end = hash === -1 ? url.length : hash;
  const mark = url.indexOf("?");
  const at = mark === -1 || mark > end ? end : mark;
  return { path: url.slice(0, at), query: url.slice(at, end), fragment: url.slice(end) };
}
