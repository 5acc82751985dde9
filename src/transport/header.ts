/**
 * Tokens in a request header, for APIs and apps.
 *
 * @module
 */
import { SessionTooLargeError } from "../errors.ts";
import { isTokenForm, readForm, writeForm, type TokenForm } from "./token-form.ts";
import { MAX_CANDIDATES } from "./transport.ts";
import type { BoundTransport, HeaderEdit, Transport, TransportContext } from "./transport.ts";
import { isFieldToken, requireTokenSyntax, trimmedSlice } from "./wire-syntax.ts";

/** How a session header behaves. */
export interface HeaderOptions {
  /**
   * Whether the client is given a changed token on any response, unasked (P10). Default false: a token changes when the
   * session is made, signs in or is regenerated. `true` only for clients that look for the header in every response
   * and keep what they find: any other loses its session when the renewed secret has outlived its grace.
   */
  readonly renew?: boolean | undefined;

  /**
   * How a token is spelt in the header's value, for a server of another kind that reads the header too: see
   * `coatcheck/compat/ktor`. Default: as it is. What it writes must be printable ASCII, or sending is a `TypeError`. The
   * whole value is one token then, and not a list of them: commas are its own.
   */
  readonly form?: TokenForm | undefined;
}

/** {@link HeaderOptions} that were checked, with every default filled in. */
interface HeaderPolicy {
  readonly renew: boolean;
  readonly form: TokenForm | undefined;
}

/** The longest header line that Apache accepts by default; nginx and Node accept a little more. */
const MAX_LINE_BYTES = 8190;
const MOST_READ = MAX_CANDIDATES + 1;
/** They mean something else, to browsers, proxies or servers; or clients may not set them. */
const TAKEN = new Set([
  "accept",
  "age",
  "cache-control",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "cookie",
  "date",
  "etag",
  "expect",
  "expires",
  "forwarded",
  "host",
  "keep-alive",
  "location",
  "origin",
  "referer",
  "server",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "vary",
  "via",
  "www-authenticate",
]);
const TAKEN_FAMILY = /^(?:sec-|proxy-|access-control-|x-forwarded-)/;

/**
 * The token travels in a header of the same name both ways: the response that starts a session, or changes its token, has
 * it, and the client sends it back with every request. An empty value tells the client to forget it.
 *
 * Browsers do not send it by themselves, so that requests cannot be forged across sites; but a script has to keep the
 * token, and what a script can read, an injected script can steal: for pages in a browser take `cookie()`. Serve it over
 * TLS only: a header has no `Secure`.
 *
 * For calls from another origin (CORS) the answer to the preflight needs `Access-Control-Allow-Headers: X-Session`, and
 * the response `Access-Control-Expose-Headers: X-Session`, or the script cannot read it.
 *
 * Beside another transport (`transport: [cookie(), header()]`) a client that has no token yet asks for one in the header by
 * sending it empty: `X-Session:`.
 *
 * A token that does not fit a header line of 8190 bytes is a `SessionTooLargeError`.
 *
 * @param name The header's name. Default `"X-Session"`. A `token` (RFC 9110 §5.1) that means nothing else in HTTP;
 *   `Authorization` exists in requests only, so no response could hand the token out. Anything else is a `TypeError`.
 */
export function header(name = "X-Session", options: HeaderOptions = {}): Transport {
  requireName(name);
  const resolved = checked(options);
  return { kind: "header", bind: (context) => bindHeader(name, resolved, context) };
}

function requireName(name: unknown): void {
  if (!isFieldToken(name)) throw new TypeError("header(): the name must be a header name (a token of RFC 9110)");
  const lowerCase = name.toLowerCase();
  if (lowerCase === "authorization") {
    throw new TypeError(
      'header(): the name "authorization" means nothing in a response, so no token could be handed out: take "X-Session"',
    );
  }
  if (TAKEN.has(lowerCase) || TAKEN_FAMILY.test(lowerCase)) {
    throw new TypeError(
      `header(): the name "${name}" means something else in HTTP: take "X-Session" or another of your own`,
    );
  }
}

/** A copy of the options, each found to be of its kind. */
function checked(options: HeaderOptions): HeaderPolicy {
  if (typeof options !== "object" || options === null) throw new TypeError("header(): the options must be an object");
  const unknown = Object.keys(options).find((key) => key !== "renew" && key !== "form");
  if (unknown !== undefined) throw new TypeError(`header(): there is no option ${JSON.stringify(unknown)}`);
  const { renew = false, form } = options;
  if (typeof renew !== "boolean") throw new TypeError('header(): the option "renew" must be true or false');
  if (form !== undefined && !isTokenForm(form)) {
    throw new TypeError('header(): the option "form" must be an object with the methods read and write');
  }
  return { renew, form };
}

function bindHeader(name: string, { renew, form }: HeaderPolicy, { byValue }: TransportContext): BoundTransport {
  const lowerCase = name.toLowerCase();
  const valuesOf = form === undefined ? listed : whole;
  const room = MAX_LINE_BYTES - name.length - ": ".length;
  const removal: readonly HeaderEdit[] = [Object.freeze({ name, value: "", mode: "set" })];
  return {
    names: [`header:${lowerCase}`],
    vary: name,
    renews: renew,
    read: (view) => readForm(form, valuesOf(view.header(lowerCase))),
    asked: (view) => view.header(lowerCase) !== undefined,
    check() {},
    send(_view, { token }) {
      requireTokenSyntax(token);
      const value = writeForm(form, token);
      if (value.length > room) throw tooLarge(value.length + MAX_LINE_BYTES - room, byValue);
      return [{ name, value, mode: "set" }];
    },
    clear: () => removal,
    describe: () => ({ kind: "header", name, renew, form: form !== undefined }),
  };
}

function tooLarge(bytes: number, byValue: boolean): SessionTooLargeError {
  const advice = byValue
    ? "store the session on the server with `store`, or keep less in it"
    : "give the header a shorter name";
  return new SessionTooLargeError(bytes, MAX_LINE_BYTES, advice);
}

/** The distinct values of a comma-separated list, at most {@link MOST_READ}; empty ones say nothing (RFC 9110 §5.6.1). */
function listed(list: string | undefined): readonly string[] {
  const values: string[] = [];
  if (list === undefined) return values;
  for (let from = 0; from <= list.length && values.length < MOST_READ;) {
    const comma = list.indexOf(",", from);
    const end = comma === -1 ? list.length : comma;
    const value = trimmedSlice(list, from, end);
    if (value !== "" && !values.includes(value)) values.push(value);
    from = end + 1;
  }
  return values;
}

/** The one value of a header; an empty one says nothing. */
function whole(value: string | undefined): readonly string[] {
  return value === undefined || value === "" ? [] : [value];
}
