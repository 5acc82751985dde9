/**
 * What express-session reads of a request: its path, whether it is secure, the ids in its cookies.
 *
 * @module
 */
import type { IncomingMessage } from "node:http";
import { readCookie } from "../transport/cookie-syntax.ts";
import type { Signer } from "./signature.ts";

/** What other middleware may have put on a request. */
interface Decorated {
  readonly originalUrl?: string;
  readonly secure?: unknown;
  readonly cookies?: Readonly<Record<string, unknown>>;
  readonly signedCookies?: Readonly<Record<string, unknown>>;
}

/** The path that the client asked for, whatever routers have cut off. */
function pathOf(req: IncomingMessage): string {
  const url = (req as Decorated).originalUrl || req.url || "/";
  if (!url.startsWith("/")) return URL.parse(url)?.pathname ?? "/";
  const end = url.search(/[?#]/);
  return end === -1 ? url : url.slice(0, end);
}

/** Whether a request came over TLS. `proxy`: see `SessionOptions`. */
export function isSecure(req: IncomingMessage, proxy: boolean | undefined): boolean {
  if ((req.socket as { encrypted?: boolean } | undefined)?.encrypted === true) return true;
  if (proxy === false) return false;
  if (proxy !== true) return (req as Decorated).secure === true;
  const forwarded = req.headers["x-forwarded-proto"] ?? "";
  const [first = ""] = (typeof forwarded === "string" ? forwarded : forwarded.join(",")).split(",");
  return first.trim().toLowerCase() === "https";
}

/** Whether a request is one for the path of the cookie, or for one below it. */
export function isUnder(req: IncomingMessage, path: string): boolean {
  return path === "/" || pathOf(req).startsWith(path);
}

/** Cookies of one name that are tried. */
const MOST_COOKIES = 4;

/** The ids that a request came with, properly signed, in the order of their cookies. */
export function idsIn(req: IncomingMessage, name: string, signer: Signer): readonly string[] {
  const { cookies, signedCookies } = req as Decorated;
  const ids: string[] = [];
  for (const value of readCookie(req.headers.cookie, name, MOST_COOKIES)) {
    const id = signer.read(value);
    if (id) ids.push(id);
  }
  if (ids.length > 0) return ids;
  // What cookie-parser left, where something has taken the header away.
  const signed = signedCookies?.[name];
  if (typeof signed === "string" && signed !== "") return [signed];
  const plain = cookies?.[name];
  const id = typeof plain === "string" ? signer.unsign(plain) : undefined;
  return id === undefined ? [] : [id];
}
