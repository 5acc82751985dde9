/**
 * The options of `forwardAuth`, checked.
 *
 * @module
 */
import type { MaybePromise } from "../internal/maybe-promise.ts";
import { checkNames } from "../internal/option-names.ts";
import type { Session } from "../session/session.ts";

/** A session, to be looked at: it is written already, and its verbs throw. */
export type SeenSession<Data extends object> = Pick<
  Session<Data>,
  "data" | "id" | "subject" | "level" | "createdAt" | "lastSeenAt" | "authenticatedAt" | "expiresAt"
>;

/** The names of the headers that tell a proxy who it is; `false`: not told. */
export interface ForwardAuthHeaders {
  /** Whose session it is. Default `"X-Session-Subject"`. */
  readonly subject?: string | false | undefined;
  /** The session's public id. Default `"X-Session-Id"`. */
  readonly id?: string | false | undefined;
  /** The level that was given to `authenticate`, if one was. Default `"X-Session-Level"`. */
  readonly level?: string | false | undefined;
}

/** Options of `forwardAuth`. */
export interface ForwardAuthOptions<Data extends object> {
  /** The level, or the levels, that will do: any other, and none, is answered with 401. Default: all. */
  readonly level?: string | readonly string[] | undefined;
  /**
   * Says whether somebody who is signed in may pass: 403 unless it says true. Called after `level` was checked. An error in it
   * is answered with 500. Default: everybody may.
   */
  readonly allow?: ((session: SeenSession<Data>) => MaybePromise<boolean>) | undefined;
  /** What the headers are called. */
  readonly headers?: ForwardAuthHeaders | undefined;
  /**
   * More headers, by name, and where their text comes from: `{ "X-Session-Name": ({ data }) => data?.name }`. `undefined` and
   * `""`: the answer has no such header. The proxy has to strip what clients send under these names. Default none.
   */
  readonly more?: Readonly<Record<string, (session: SeenSession<Data>) => string | undefined>> | undefined;
  /**
   * Whether the store is to be asked, past every copy (a near cache, `trustFor`), so that a session which was ended elsewhere is
   * shut out at once there, too. Costs one store call a request. Default false.
   */
  readonly verify?: boolean | undefined;
  /** Told what was answered with 500 or 503: a `StoreError`, what a function of yours threw. Default `console.error`. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** The options, checked. */
export interface Policy<Data extends object> {
  readonly levels: readonly string[] | undefined;
  readonly allow: ForwardAuthOptions<Data>["allow"];
  /** The headers of an answer that lets in, and what they say. */
  readonly headers: ReadonlyMap<string, (session: SeenSession<Data>) => string | undefined>;
  readonly verify: boolean;
  readonly onError: (error: unknown) => void;
}

const OPTIONS = ["level", "allow", "headers", "more", "verify", "onError"];
const HEADERS = ["subject", "id", "level"] as const;
const DEFAULTS = { subject: "X-Session-Subject", id: "X-Session-Id", level: "X-Session-Level" };
/** What may be the name of a header for proxies: many drop one with an underscore, which others take for a hyphen. */
const NAME = /^[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*$/;
/** Headers with a meaning of their own, in answers or in what proxies make of them. */
const TAKEN =
  /^(?:authorization|cache-control|connection|content-.*|cookie|date|expect|forwarded|host|keep-alive|location|proxy-.*|set-cookie.*|te|trailer|transfer-encoding|upgrade|vary|via|www-authenticate|x-forwarded-.*|x-accel-.*)$/i;

/** Checks the options. Throws a `TypeError` that names the one which cannot work. */
export function forwardAuthPolicy<Data extends object>(options: ForwardAuthOptions<Data>): Policy<Data> {
  checkNames("forwardAuth", options, OPTIONS);
  const { allow, verify = false, onError = logged } = options;
  if (allow !== undefined && typeof allow !== "function") throw new TypeError("allow must be a function");
  if (typeof onError !== "function") throw new TypeError("onError must be a function");
  if (typeof verify !== "boolean") throw new TypeError("verify must be true or false");
  return { levels: levelsOf(options), allow, headers: headersOf(options), verify, onError };
}

function levelsOf({ level }: Pick<ForwardAuthOptions<never>, "level">): readonly string[] | undefined {
  if (level === undefined) return undefined;
  const levels: readonly unknown[] = Array.isArray(level) ? [...level] : [level];
  if (levels.length === 0 || levels.some((one) => typeof one !== "string" || one === "")) {
    throw new TypeError("level must be a level of authenticate(), or a list of them that is not empty");
  }
  return levels as readonly string[];
}

function headersOf<Data extends object>({
  headers = {},
  more = {},
}: ForwardAuthOptions<Data>): Policy<Data>["headers"] {
  checkNames("headers of forwardAuth", headers, HEADERS);
  if (typeof more !== "object" || more === null) throw new TypeError("more must be an object of functions");
  const found = new Map<string, (session: SeenSession<Data>) => string | undefined>();
  const add = (option: string, name: unknown, value: unknown): void => {
    if (typeof name !== "string" || !NAME.test(name) || TAKEN.test(name)) {
      throw new TypeError(`${option} must have names of headers of your own, such as "X-Session-Subject"`);
    }
    if ([...found.keys()].some((other) => other.toLowerCase() === name.toLowerCase())) {
      throw new TypeError(`${option} must not use ${name} twice`);
    }
    if (typeof value !== "function") throw new TypeError(`${option} must have a function for ${name}`);
    found.set(name, value as (session: SeenSession<Data>) => string | undefined);
  };
  for (const key of HEADERS) {
    const name = headers[key] ?? DEFAULTS[key];
    if (name !== false) add(`headers.${key}`, name, (session: SeenSession<Data>) => session[key]);
  }
  for (const [name, value] of Object.entries(more)) add("more", name, value);
  return found;
}

/** `console.error` as it is then: somebody may put another in its place. */
function logged(error: unknown): void {
  console.error(error);
}
