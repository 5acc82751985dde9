/**
 * A cookie as it looks on the wire: everything of it that does not change from one request to the next, as ready text.
 *
 * @module
 */
import { stringifySetCookie } from "cookie";
import type { CookiePolicy } from "./cookie-options.ts";
import type { HeaderEdit } from "./transport.ts";

/** What a browser allows for name and value of one cookie together, in bytes (RFC 6265bis §5.6; ASVS 5.0 3.3.5). */
export const MAX_COOKIE_BYTES = 4096;

/** One cookie. */
export interface CookieForm {
  /** Its whole name, prefix included. */
  readonly name: string;
  /** What follows the value in `Set-Cookie`. */
  readonly tail: string;
  /** What makes the browser forget it. */
  readonly removal: HeaderEdit;
}

/** The look of the cookie on the developer's own machine (P30): whatever would make a browser refuse it there is left out. */
export function localPolicy(policy: CookiePolicy): CookiePolicy {
  const sameSite = policy.sameSite === "none" ? "lax" : policy.sameSite;
  return { ...policy, prefix: "", secure: false, domain: undefined, partitioned: false, sameSite };
}

/** The cookies for a token that may take `parts` of them: `name`, `name.1`, `name.2`, … */
export function cookieForms(policy: CookiePolicy, baseName: string, parts: number): readonly CookieForm[] {
  const name = policy.prefix + baseName;
  return Array.from({ length: parts }, (_, part) => cookieForm(policy, part === 0 ? name : `${name}.${part}`));
}

function cookieForm(policy: CookiePolicy, name: string): CookieForm {
  const { domain, path, sameSite, secure, partitioned, priority } = policy;
  const attributes = {
    name,
    value: "",
    path,
    httpOnly: true,
    secure,
    sameSite,
    partitioned,
    ...(domain === undefined ? {} : { domain }),
    ...(priority === undefined ? {} : { priority }),
  };
  const tail = stringifySetCookie(attributes).slice(name.length + 1);
  const removal = stringifySetCookie({ ...attributes, maxAge: 0, expires: new Date(0) });
  return Object.freeze({ name, tail, removal: setCookie(removal) });
}

/** The edit that sends one `Set-Cookie` line. */
export function setCookie(value: string): HeaderEdit {
  return Object.freeze({ name: "Set-Cookie", value, mode: "append" });
}
