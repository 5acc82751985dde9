/**
 * The cookie of an express-session session: attributes, and a clock of its own.
 *
 * @module
 */
import { stringifySetCookie, type SetCookie } from "cookie";

/** What may be said about the cookie. */
export interface CookieOptions {
  /** How long the session and its cookie live after each request, in milliseconds. Default: until the browser is closed. */
  maxAge?: number | Date | null | undefined;
  /** When they end. `maxAge` is what you want. */
  expires?: Date | null | undefined;
  /** Default `"/"`. */
  path?: string | undefined;
  domain?: string | undefined;
  /** Default true. */
  httpOnly?: boolean | undefined;
  /** `"auto"`: where the request came over TLS. Default none, as in express-session. */
  secure?: boolean | "auto" | undefined;
  /** `"auto"`: `"none"` where the request came over TLS, `"lax"` elsewhere. Default none, as in express-session. */
  sameSite?: boolean | "lax" | "strict" | "none" | "auto" | undefined;
  priority?: "low" | "medium" | "high" | undefined;
  partitioned?: boolean | undefined;
}

/** The attributes of a cookie as a store keeps them. */
export interface CookieData extends Omit<CookieOptions, "maxAge"> {
  originalMaxAge: number | null | undefined;
}

/** The cookie of a session. What is changed here goes out with the response and is kept with the session. */
export class Cookie {
  /** How long a session lives after each request, in milliseconds; null until the browser is closed. */
  declare originalMaxAge: number | null | undefined;
  declare path: string | undefined;
  declare domain: string | undefined;
  declare httpOnly: boolean | undefined;
  declare secure: boolean | "auto" | undefined;
  declare sameSite: boolean | "lax" | "strict" | "none" | "auto" | undefined;
  declare priority: "low" | "medium" | "high" | undefined;
  declare partitioned: boolean | undefined;
  /** Where stores look for it, too. */
  declare _expires: Date | null | undefined;

  constructor(options?: CookieOptions | CookieData) {
    if (options !== undefined && options !== null && typeof options !== "object") {
      throw new TypeError("argument options must be an object");
    }
    this.path = "/";
    this._expires = null;
    this.originalMaxAge = null;
    this.httpOnly = true;
    for (const key in options) if (key !== "data") (this as Record<string, unknown>)[key] = options[key as never];
    this.originalMaxAge ??= this.maxAge as number | null;
  }

  /** When the cookie ends; null with the browser. */
  get expires(): Date | null | undefined {
    return this._expires;
  }

  set expires(date: Date | null | undefined) {
    this._expires = date;
    this.originalMaxAge = this.maxAge as number | null;
  }

  /** How long the cookie still lives, in milliseconds. */
  get maxAge(): number | null | undefined {
    const expires: unknown = this._expires;
    return expires instanceof Date ? expires.getTime() - Date.now() : (expires as null | undefined);
  }

  /** Throws a `TypeError` for what is no number (or `Date`). */
  set maxAge(ms: number | Date | null | undefined) {
    if (ms && typeof ms !== "number" && !(ms instanceof Date)) throw new TypeError("maxAge must be a number or Date");
    this.expires = typeof ms === "number" ? new Date(Date.now() + ms) : ms;
  }

  /** The attributes, as they are kept. */
  get data(): CookieData {
    return {
      originalMaxAge: this.originalMaxAge,
      partitioned: this.partitioned,
      priority: this.priority,
      expires: this._expires,
      secure: this.secure,
      httpOnly: this.httpOnly,
      domain: this.domain,
      path: this.path,
      sameSite: this.sameSite,
    };
  }

  /** The `Set-Cookie` line for a name and a value. Throws a `TypeError` for attributes that make none. */
  serialize(name: string, value: string): string {
    return setCookieLine(name, value, this.data);
  }

  toJSON(): CookieData {
    return this.data;
  }
}

/** The `Set-Cookie` line of a cookie. Throws a `TypeError` for attributes that make none. */
export function setCookieLine(name: string, value: string, data: CookieData): string {
  const { expires } = data;
  if (expires instanceof Date && Number.isNaN(expires.getTime())) throw new TypeError("option expires is invalid");
  const attributes: Record<string, unknown> = { name, value };
  for (const key of ATTRIBUTES) {
    const given = data[key];
    if (given !== undefined && given !== null) attributes[key] = given;
  }
  return stringifySetCookie(attributes as unknown as SetCookie);
}

const ATTRIBUTES = [
  "domain",
  "path",
  "expires",
  "httpOnly",
  "secure",
  "partitioned",
  "priority",
  "sameSite",
] as const satisfies readonly (keyof CookieData)[];

/**
 * The cookie of a record. Throws a `TypeError` when the record has none.
 */
export function cookieOf(record: { readonly cookie?: unknown }): Cookie {
  const kept = record.cookie as CookieData;
  // Read before anything else, so that a record without a cookie is an error that says so.
  const expires: unknown = kept.expires;
  const cookie = new Cookie();
  for (const key in kept) {
    if (key !== "expires" && key !== "data") (cookie as unknown as Record<string, unknown>)[key] = kept[key as never];
  }
  cookie._expires = typeof expires === "string" ? new Date(expires) : (expires as Date | null | undefined);
  cookie.originalMaxAge = kept.originalMaxAge;
  return cookie;
}
