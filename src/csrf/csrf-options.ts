/**
 * The options of a CSRF guard: what they may be, and their defaults.
 *
 * @module
 */
import type { CsrfError } from "../errors.ts";
import { isPromise, type MaybePromise } from "../internal/maybe-promise.ts";
import { checkNames } from "../internal/option-names.ts";
import type { SessionRequest } from "../session/request.ts";
import type { Session } from "../session/session.ts";
import type { TrustProxy } from "../transport/forwarded.ts";
import { normalOrigin } from "./origin.ts";
import type { OriginRules } from "./verdict.ts";

/** What a guard takes of a definition. */
export interface GuardedSession {
  readonly name: string;
  from(request: SessionRequest): Session<object> | Promise<Session<object>>;
}

/** Where a token is looked for. The first place that has one counts. */
export interface CsrfTokenPlaces {
  /** A request header. Default `"X-CSRF-Token"`. */
  readonly header?: string | undefined;
  /** A field of a body that has been parsed by then: `req.body`, Koa's `ctx.request.body`. Default `"_csrf"`. */
  readonly field?: string | undefined;
  /** Anywhere else. What is no string counts as no token; what it throws goes where errors go. */
  read?(request: SessionRequest): unknown;
}

/** What a guard is made of. Every option but `session` has a default. */
export interface CsrfOptions {
  /** The session that tokens belong to: what `defineSession` returned. It has to be installed before the guard. */
  readonly session: GuardedSession;
  /**
   * Other origins whose pages may send anything here, as browsers write them: `"https://admin.example"`. Sibling subdomains
   * are other origins. Default none.
   */
  readonly trustedOrigins?: readonly string[] | undefined;
  /**
   * Whether `X-Forwarded-Proto`, `X-Forwarded-Host` and `Forwarded` tell the server's own origin: from every peer, or from those
   * for which a function of its address says so. Default false. Needed behind a proxy that rewrites `Host`, or that ends TLS
   * where the framework does not know of it, for browsers that send no `Sec-Fetch-Site`.
   */
  readonly trustProxy?: TrustProxy | undefined;
  /**
   * What becomes of a request with neither `Sec-Fetch-Site` nor `Origin`, which no browser of today sends. `"refuse"` (default):
   * it needs a token. `"allow"`: it passes. A function: it passes when that returns true, say for an API key in a header, and
   * needs a token otherwise.
   */
  nonBrowser?: "refuse" | "allow" | ((request: SessionRequest) => boolean) | undefined;
  /** Where a token is looked for. */
  readonly token?: CsrfTokenPlaces | undefined;
  /** Called for every request that is refused: for a log or a counter. What it throws is reported and changes nothing. */
  onRefused?(error: CsrfError, request: SessionRequest): unknown;
}

/** The options, resolved. */
export interface GuardPolicy extends OriginRules {
  readonly session: GuardedSession;
  readonly token: ResolvedPlaces;
  nonBrowser(request: SessionRequest): boolean;
  onRefused(error: CsrfError, request: SessionRequest): void;
}

/** Where a token is looked for, the header's name in lower case. */
export interface ResolvedPlaces {
  readonly header: string;
  readonly field: string;
  read(request: SessionRequest): MaybePromise<unknown>;
}

const OPTION_NAMES: readonly (keyof CsrfOptions)[] = [
  "session",
  "trustedOrigins",
  "trustProxy",
  "nonBrowser",
  "token",
  "onRefused",
];
const PLACE_NAMES: readonly (keyof CsrfTokenPlaces)[] = ["header", "field", "read"];

/** Checks and resolves the options. Throws a `TypeError` that names the one that cannot work. */
export function guardPolicy(options: CsrfOptions): GuardPolicy {
  checkNames("csrf", options, OPTION_NAMES);
  const { session, trustedOrigins = [], trustProxy = false, nonBrowser = "refuse" } = options;
  if (typeof session?.from !== "function") throw new TypeError("session must be what defineSession() returned");
  if (typeof trustProxy !== "boolean" && typeof trustProxy !== "function") {
    throw new TypeError("trustProxy must be true, false, or a function of the peer's address");
  }
  if (nonBrowser !== "refuse" && nonBrowser !== "allow" && typeof nonBrowser !== "function") {
    throw new TypeError('nonBrowser must be "refuse", "allow", or a function of the request');
  }
  if (options.onRefused !== undefined && typeof options.onRefused !== "function") {
    throw new TypeError("onRefused must be a function");
  }
  return Object.freeze({
    session,
    trusted: originsOf(trustedOrigins),
    trustProxy,
    token: placesOf(options.token === undefined ? {} : options.token),
    nonBrowser: typeof nonBrowser === "function" ? nonBrowser : () => nonBrowser === "allow",
    onRefused: (error: CsrfError, request: SessionRequest) => tell(options, error, request),
  });
}

function originsOf(list: readonly string[]): ReadonlySet<string> {
  if (!Array.isArray(list)) throw new TypeError("trustedOrigins must be a list of origins");
  return new Set(
    list.map((entry: unknown) => {
      const origin = typeof entry === "string" ? normalOrigin(entry) : undefined;
      if (origin !== undefined && !origin.includes("*")) return origin;
      throw new TypeError(
        `trustedOrigins must be origins such as "https://admin.example", with no path, and ${JSON.stringify(entry)} is none`,
      );
    }),
  );
}

function placesOf(places: CsrfTokenPlaces): ResolvedPlaces {
  checkNames("token", places, PLACE_NAMES);
  const { header = "X-CSRF-Token", field = "_csrf" } = places;
  if (typeof header !== "string" || !/^[\w!#$%&'*+.^`|~-]+$/.test(header)) {
    throw new TypeError("token.header must be the name of a request header");
  }
  if (/^(?:cookie|origin|sec-fetch-site|host)$/i.test(header)) {
    throw new TypeError(`token.header must be a header of its own: browsers send ${header} by themselves`);
  }
  if (typeof field !== "string" || field === "") throw new TypeError("token.field must be the name of a form field");
  if (places.read !== undefined && typeof places.read !== "function") {
    throw new TypeError("token.read must be a function of the request");
  }
  return Object.freeze({
    header: header.toLowerCase(),
    field,
    read: (request: SessionRequest) => places.read?.(request),
  });
}

/** A log that fails, now or later, must not decide what becomes of a request. */
function tell(options: CsrfOptions, error: CsrfError, request: SessionRequest): void {
  try {
    const returned = options.onRefused?.(error, request);
    if (isPromise(returned)) returned.then(undefined, complain);
  } catch (thrown) {
    complain(thrown);
  }
}

function complain(thrown: unknown): void {
  console.error("coatcheck: onRefused threw", thrown);
}
