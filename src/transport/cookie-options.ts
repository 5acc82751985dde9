/**
 * The options of `cookie()`: what they mean, and which of them go together.
 *
 * @module
 */
import type { TrustProxy } from "./forwarded.ts";
import { isTokenForm, type TokenForm } from "./token-form.ts";
import { isFieldToken } from "./wire-syntax.ts";

/** A name prefix by which a browser guarantees how a cookie was set. */
export type CookiePrefix = "__Host-Http-" | "__Host-" | "__Secure-" | "";

/**
 * How a session cookie looks. Every option has a safe default; `HttpOnly` is always on and cannot be switched off (ASVS
 * 5.0 3.3.4). What cannot work is refused with a `TypeError` that names the option.
 */
export interface CookieOptions {
  /**
   * The name of the cookie, without prefix. Default: the definition's name. A `token` (RFC 6265bis §4.1.1), at most 256
   * characters. Names are visible to everybody: say nothing in it about the software behind.
   */
  readonly name?: string | undefined;

  /**
   * What the browser is asked to guarantee by the cookie's name (RFC 6265bis §4.1.3, layered cookies; ASVS 5.0 3.3.1
   * and 3.3.3).
   *
   * - `"__Host-Http-"`, the default where `path` is `"/"` and there is no `domain`: set by this very host, over TLS, by a
   *   response and not by a script. A sibling subdomain or an injected script cannot plant a session. A browser that does
   *   not know it treats it as `__Host-`, and one that does not know that either, as any name.
   * - `"__Host-"`: the same, but scripts of this host may set it.
   * - `"__Secure-"`, the default otherwise: set over TLS. Sibling subdomains may set it.
   * - `""`, the default with `secure: false`, and the only choice there: no guarantee.
   */
  readonly prefix?: CookiePrefix | undefined;

  /**
   * The domain whose hosts all get the cookie, such as `"example.com"`, in ASCII and without a dot in front. Default: none,
   * only the host that set it. Every host below the domain can then read the session from requests to it, and overwrite it
   * (RFC 6265bis §8.6); the prefix can be no stronger than `__Secure-`.
   */
  readonly domain?: string | undefined;

  /**
   * The path below which the browser sends the cookie. Default `"/"`. It begins with `/` and has at most 1024 characters. A
   * path protects nothing (RFC 6265bis §8.5), and another than `"/"` rules the `__Host-` prefixes out.
   */
  readonly path?: string | undefined;

  /**
   * Which requests that start on other sites carry the cookie (RFC 6265bis §4.1.2.7; ASVS 5.0 3.3.2). It is always sent by
   * name: a browser's own default lets cross-site POST requests through for two minutes.
   *
   * - `"lax"`, the default: links that lead to us do; forms, images and fetches of other sites do not.
   * - `"strict"`: none do, so that a visitor who follows a link seems signed out.
   * - `"none"`: all do. Needs `secure`, and a defence against forged requests of its own.
   *
   * Sibling subdomains are the same site: against them it is no defence.
   */
  readonly sameSite?: "lax" | "strict" | "none" | undefined;

  /**
   * Whether the cookie travels over TLS only (RFC 6265bis §4.1.2.5; ASVS 5.0 3.3.1). Default true: an insecure request
   * that would set a cookie gets an error, except on the developer's own machine (plain http on localhost, outside
   * production), where a name without prefix and no `Secure` is used. `false` is for sites that have no https: then
   * everybody on the way can read and take over every session.
   */
  readonly secure?: boolean | undefined;

  /**
   * Whether an embedded page gets a cookie jar of its own for each site that embeds it (CHIPS). Default false. Needs
   * `secure`; goes with `sameSite: "none"`.
   */
  readonly partitioned?: boolean | undefined;

  /**
   * Which cookies a Chromium evicts last when a domain has too many. Default: not sent, which means `"medium"`. `"high"`
   * makes it a little harder to flush a session out by a flood of cookies.
   */
  readonly priority?: "low" | "medium" | "high" | undefined;

  /**
   * Whether the cookie outlives the browser. Default false: no `Max-Age`. `true` sends `Max-Age`, the seconds until the
   * session ends for good, at most 400 days (RFC 6265bis §5.5), and 400 days for a session without such an end. When a
   * session really ends is decided on the server either way; but who shares a computer inherits what persists.
   */
  readonly persistent?: boolean | undefined;

  /**
   * Whether to believe what a proxy says about how the client came: the first entry of `X-Forwarded-Proto`, else the
   * `proto` of `Forwarded` (RFC 7239).
   *
   * - `false`, the default: nobody is believed; TLS is what ends in this process.
   * - `true`: every peer is believed. Only where nobody but the proxy can reach this process, and the proxy overwrites these
   *   headers: otherwise a client on plain http is handed its cookie by claiming to have come by https.
   * - a function: asked with the address of the peer; a request whose peer is not known is not believed.
   */
  readonly trustProxy?: TrustProxy | undefined;

  /**
   * How many cookies one token may take, 2 to 8. Default: one, as ASVS 5.0 3.3.5 has it. For sessions by value only. Each
   * cookie holds 4096 bytes, and all of them travel with every request: Node and most proxies refuse request headers above
   * 8 to 16 kB with a 431, so that a session too many locks its visitor out. Prefer a `store`.
   */
  readonly split?: number | undefined;

  /**
   * How a token is spelt in the cookie's value, for a server of another kind that reads the cookie too: see
   * `coatcheck/compat/ktor`. Default: as it is. What it writes must be printable ASCII without `;`, or sending is a
   * `TypeError`. Not with `split`.
   */
  readonly form?: TokenForm | undefined;
}

/** {@link CookieOptions} that were checked, with every default filled in. */
export interface CookiePolicy {
  readonly name: string | undefined;
  readonly prefix: CookiePrefix;
  readonly domain: string | undefined;
  readonly path: string;
  readonly sameSite: "lax" | "strict" | "none";
  readonly secure: boolean;
  readonly partitioned: boolean;
  readonly priority: "low" | "medium" | "high" | undefined;
  readonly persistent: boolean;
  readonly trustProxy: TrustProxy;
  readonly split: number | undefined;
  readonly form: TokenForm | undefined;
}

/** The most cookies that one token may ever take. */
export const LARGEST_SPLIT = 8;

/** Longer values of attributes are ignored by browsers (RFC 6265bis §5.6). */
const MAX_ATTRIBUTE = 1024;
const MAX_NAME = 256;
const MAX_DOMAIN = 253;
const DOMAIN = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i;
// Without `;`, which ends an attribute, and `<`, which the `cookie` package refuses.
const PATH = /^\/[!-:=-~]*$/;
// Browsers compare prefixes without regard to case (RFC 6265bis §5.4).
const PREFIXED = /^__(?:secure|host|http)-/i;

type Option = keyof CookieOptions;
type Rule = readonly [holds: (value: unknown) => boolean, expected: string];

const RULES: Readonly<Record<Option, Rule>> = {
  name: [
    isBaseName,
    `must be a cookie name of 1 to ${MAX_NAME} characters (A-Z a-z 0-9 and !#$%&'*+-.^_\`|~), without prefix`,
  ],
  prefix: oneOf("__Host-Http-", "__Host-", "__Secure-", ""),
  domain: [isDomain, 'must be a domain such as "example.com", in ASCII, without a dot in front'],
  path: [isPath, 'must begin with "/", in ASCII without spaces, ";" and "<", of at most 1024 characters'],
  sameSite: oneOf("lax", "strict", "none"),
  secure: [isBoolean, "must be true or false"],
  partitioned: [isBoolean, "must be true or false"],
  priority: oneOf("low", "medium", "high"),
  persistent: [isBoolean, "must be true or false"],
  trustProxy: [
    (value) => isBoolean(value) || typeof value === "function",
    "must be true, false, or a function of the peer",
  ],
  split: [isSplit, `must be a whole number from 2 to ${LARGEST_SPLIT}`],
  form: [isTokenForm, "must be an object with the methods read and write"],
};

/** Checks options and fills in the defaults. Throws a `TypeError` that names the option that cannot be. */
export function resolveCookieOptions(options: CookieOptions): CookiePolicy {
  const given = checked(options);
  const { domain, path = "/", sameSite = "lax", secure = true, partitioned = false, persistent = false } = given;
  const { name, priority, trustProxy = false, split, form } = given;
  const prefix = given.prefix ?? strongestPrefix(secure, path, domain);
  const settled = {
    name,
    prefix,
    domain,
    path,
    sameSite,
    secure,
    partitioned,
    priority,
    persistent,
    trustProxy,
    split,
    form,
  };
  refuseContradictions(settled);
  return Object.freeze(settled);
}

/** The TypeError for an option of `cookie()`. */
export function badOption(option: Option, problem: string): TypeError {
  return new TypeError(`cookie(): the option "${option}" ${problem}`);
}

/** Whether a text can be the name of a cookie before its prefix. */
export function isBaseName(name: unknown): name is string {
  return isFieldToken(name) && name.length <= MAX_NAME && !PREFIXED.test(name);
}

/** A copy of the options, each read once and found to be of its kind. */
function checked(options: CookieOptions): CookieOptions {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TypeError("cookie(): the options must be an object");
  }
  const unknown = Object.keys(options).find((key) => !Object.hasOwn(RULES, key));
  if (unknown !== undefined) throw new TypeError(`cookie(): there is no option ${JSON.stringify(unknown)}`);
  const copy: Partial<Record<Option, unknown>> = {};
  for (const option of Object.keys(RULES) as Option[]) {
    const value = options[option];
    const [holds, expected] = RULES[option];
    if (value !== undefined && !holds(value)) throw badOption(option, expected);
    copy[option] = value;
  }
  return copy as CookieOptions;
}

function strongestPrefix(secure: boolean, path: string, domain: string | undefined): CookiePrefix {
  if (!secure) return "";
  return path === "/" && domain === undefined ? "__Host-Http-" : "__Secure-";
}

function refuseContradictions(policy: CookiePolicy): void {
  const { prefix, domain, path, sameSite, secure, partitioned, split, form } = policy;
  if (form !== undefined && split !== undefined)
    throw badOption("form", "cannot go with split: another server does not know how to put cookies together");
  if (!secure && prefix !== "")
    throw badOption("prefix", `"${prefix}" needs secure: true, or browsers refuse the cookie`);
  if (!secure && sameSite === "none")
    throw badOption("sameSite", '"none" needs secure: true, or browsers refuse the cookie');
  if (!secure && partitioned) throw badOption("partitioned", "needs secure: true, or browsers refuse the cookie");
  if (!prefix.startsWith("__Host-")) return;
  if (domain !== undefined)
    throw badOption("domain", `cannot go with the prefix "${prefix}": take "__Secure-", or no domain`);
  if (path !== "/")
    throw badOption("path", `must be "/" with the prefix "${prefix}": take "__Secure-", or the path "/"`);
}

function oneOf(...values: readonly string[]): Rule {
  const list = values.map((value) => `"${value}"`).join(", ");
  return [(value) => typeof value === "string" && values.includes(value), `must be one of ${list}`];
}

function isBoolean(value: unknown): boolean {
  return typeof value === "boolean";
}

function isDomain(value: unknown): boolean {
  return typeof value === "string" && value.length <= MAX_DOMAIN && DOMAIN.test(value);
}

function isPath(value: unknown): boolean {
  return typeof value === "string" && value.length <= MAX_ATTRIBUTE && PATH.test(value);
}

function isSplit(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 2 && value <= LARGEST_SPLIT;
}
