/**
 * Tokens in a cookie.
 *
 * @module
 */
import { SessionError, SessionTooLargeError } from "../errors.ts";
import { cookieForms, localPolicy, MAX_COOKIE_BYTES, setCookie, type CookieForm } from "./cookie-form.ts";
import {
  badOption,
  isBaseName,
  LARGEST_SPLIT,
  resolveCookieOptions,
  type CookieOptions,
  type CookiePolicy,
} from "./cookie-options.ts";
import { readSplit, splitSize, splitToken } from "./cookie-split.ts";
import { readCookie } from "./cookie-syntax.ts";
import { cameSecurely, forwardingHeader, isForLoopback, isLocal, isTrusted, saidByProxy } from "./forwarded.ts";
import { readForm, writeForm } from "./token-form.ts";
import { MAX_CANDIDATES } from "./transport.ts";
import type {
  BoundTransport,
  HeaderEdit,
  OutgoingToken,
  RequestView,
  Transport,
  TransportContext,
} from "./transport.ts";
import { requireTokenSyntax } from "./wire-syntax.ts";

export type { CookieOptions } from "./cookie-options.ts";

/** One more than are tried, so that "too many" shows. */
const MOST_READ = MAX_CANDIDATES + 1;
/** Browsers keep no cookie longer (RFC 6265bis §5.5). */
const LONGEST_AGE = 400 * 24 * 60 * 60;

/**
 * The token travels in a cookie: `__Host-Http-<name>` with `Path=/; HttpOnly; Secure; SameSite=Lax` and no `Max-Age`, unless
 * {@link CookieOptions} say otherwise.
 *
 * A request that came without TLS can be given no such cookie: `check` throws a `SessionError` (`ERR_SESSION_INSECURE`) that
 * says what to set. The one exception is the developer's own machine: plain http on localhost, outside production, with no
 * sign of a proxy, where the name has no prefix and the cookie no `Secure`.
 *
 * Throws a `TypeError` that names the option when the options cannot work.
 *
 * @example
 * ```ts
 * defineSession({ name: "user", store, transport: cookie({ sameSite: "strict", trustProxy: true }) });
 * ```
 */
export function cookie(options: CookieOptions = {}): Transport {
  const policy = resolveCookieOptions(options);
  return {
    kind: "cookie",
    bind(context) {
      if (policy.split !== undefined && !context.byValue) {
        throw badOption(
          "split",
          "is for sessions by value only: a token that names a record in a store always fits one cookie",
        );
      }
      return bindCookie(policy, policy.name ?? context.name, context, { warned: false, production: undefined });
    },
  };
}

/** What the cookies of one definition share. */
interface Shared {
  /** Whether it was said that a cookie goes out without `Secure`. */
  warned: boolean;
  production: boolean | undefined;
}

function bindCookie(policy: CookiePolicy, baseName: string, context: TransportContext, shared: Shared): BoundTransport {
  if (!isBaseName(baseName)) {
    throw badOption(
      "name",
      `is needed: ${JSON.stringify(baseName)} cannot be the name of a cookie, or has a prefix already`,
    );
  }
  const parts = policy.split === undefined ? 1 : LARGEST_SPLIT;
  const usual = cookieForms(policy, baseName, parts);
  const local = policy.secure ? cookieForms(localPolicy(policy), baseName, parts) : usual;

  /** The cookies that suit a request; undefined when it is insecure. */
  function formsFor(view: RequestView): readonly CookieForm[] | undefined {
    if (!policy.secure) return usual;
    if (cameSecurely(view, policy.trustProxy)) return usual;
    shared.production ??= inProduction();
    return !shared.production && isLocal(view) ? local : undefined;
  }

  function send(view: RequestView, { token, endsAt, now, lifetime }: OutgoingToken): readonly HeaderEdit[] {
    const forms = formsFor(view);
    if (forms === undefined) throw insecure(view, policy, context.name);
    requireTokenSyntax(token);
    const seconds = lifetime ?? (policy.persistent ? secondsUntil(endsAt, now) : undefined);
    const age = seconds === undefined ? "" : `; Max-Age=${seconds}`;
    const values = valuesOf(writeForm(policy.form, token, ";"), forms, policy, context);
    if (forms !== usual) warnOnce(shared, context.name, forms, usual);
    const edits = values.map((value, part) => sent(forms[part] as CookieForm, value, age));
    return parts === 1 ? edits : [...edits, ...removals(view, forms.slice(values.length))];
  }

  return {
    names: [...new Set([...usual, ...local].map(({ name }) => `cookie:${name}`))],
    vary: "Cookie",
    renews: true,
    read(view) {
      const header = view.header("cookie");
      if (header === undefined) return [];
      const forms = formsFor(view) ?? usual;
      if (parts > 1) return readSplit(header, namesOf(forms), MOST_READ);
      return readForm(policy.form, readCookie(header, nameOf(forms), MOST_READ));
    },
    check(view) {
      if (formsFor(view) === undefined) throw insecure(view, policy, context.name);
    },
    send,
    clear(view) {
      const [first, ...others] = formsFor(view) ?? usual;
      return [(first as CookieForm).removal, ...removals(view, others)];
    },
    beside: (suffix) =>
      bindCookie({ ...policy, split: undefined, form: undefined }, `${baseName}-${suffix}`, context, shared),
    describe: () => description(policy, usual, local),
  };
}

function nameOf(forms: readonly CookieForm[]): string {
  return (forms[0] as CookieForm).name;
}

function namesOf(forms: readonly CookieForm[]): readonly string[] {
  return forms.map(({ name }) => name);
}

function sent({ name, tail }: CookieForm, value: string, age: string): HeaderEdit {
  return setCookie(`${name}=${value}${tail}${age}`);
}

/** Removes those of the cookies that the request shows. */
function removals(view: RequestView, forms: readonly CookieForm[]): readonly HeaderEdit[] {
  if (forms.length === 0) return [];
  const header = view.header("cookie");
  return forms.filter(({ name }) => readCookie(header, name, 1).length > 0).map(({ removal }) => removal);
}

/** Rounded up: a browser must not drop a cookie before its session has ended. */
function secondsUntil(endsAt: number | undefined, now: number): number {
  return endsAt === undefined ? LONGEST_AGE : Math.min(LONGEST_AGE, Math.max(0, Math.ceil((endsAt - now) / 1000)));
}

function valuesOf(
  token: string,
  forms: readonly CookieForm[],
  { split = 1, form }: CookiePolicy,
  { byValue }: TransportContext,
): readonly string[] {
  const name = nameOf(forms);
  const values = splitToken(token, name, split);
  if (values !== undefined) return values;
  const bytes = split === 1 ? name.length + token.length : splitSize(token, name);
  throw new SessionTooLargeError(
    bytes,
    split * MAX_COOKIE_BYTES,
    adviceFor(form === undefined ? split : LARGEST_SPLIT, byValue),
  );
}

function adviceFor(split: number, byValue: boolean): string {
  if (!byValue) return "give the cookie a shorter name";
  const more = split === LARGEST_SPLIT ? "" : `, or let it take more cookies with \`cookie({ split: ${split + 1} })\``;
  return `store the session on the server with \`store\`, or keep less in it${more}`;
}

function inProduction(): boolean {
  try {
    const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
    return process?.env?.["NODE_ENV"] === "production";
  } catch {
    // Deno without --allow-env.
    return false;
  }
}

function warnOnce(
  shared: Shared,
  definition: string,
  local: readonly CookieForm[],
  usual: readonly CookieForm[],
): void {
  if (shared.warned) return;
  shared.warned = true;
  console.warn(
    `coatcheck: this is plain http on localhost, so the session "${definition}" uses the cookie "${nameOf(local)}" without Secure; ` +
      `over https it is "${nameOf(usual)}". Set NODE_ENV=production where this is not a developer's machine.`,
  );
}

/** The error for a request that can be given no secure cookie. Says what to set; headers appear by name only. */
function insecure(view: RequestView, { trustProxy }: CookiePolicy, definition: string): SessionError {
  return new SessionError(
    "ERR_SESSION_INSECURE",
    `No secure cookie can be set for the session "${definition}": ${whyInsecure(view, trustProxy)}. ` +
      "For a site without https, or a development machine under another name than localhost, say so by name: `cookie({ secure: false })`",
    // It is the request that came on the wrong way, and a client may do that on purpose (design: invariant 7).
    { status: 400 },
  );
}

function whyInsecure(view: RequestView, trustProxy: CookiePolicy["trustProxy"]): string {
  if (saidByProxy(view, trustProxy) !== undefined) {
    return "the trusted proxy says (X-Forwarded-Proto or Forwarded) that the client came by plain http. Let it redirect to https";
  }
  if (isTrusted(view, trustProxy)) {
    return "the request came without TLS and, though `trustProxy` is set, without X-Forwarded-Proto. Let the proxy send it";
  }
  const header = forwardingHeader(view);
  const local = isForLoopback(view) ? localRefusal(header) : "";
  const proxy = header === undefined ? "If a proxy ends TLS" : `It has the header ${header}: if a proxy ends TLS`;
  const remedy =
    trustProxy === false ? "set `cookie({ trustProxy: true })`" : "let `trustProxy` say yes to its address";
  return `the request came without TLS${local}. ${proxy}, ${remedy} and let it send X-Forwarded-Proto`;
}

/** Why a request for localhost was not taken for one from the developer's own machine. */
function localRefusal(header: string | undefined): string {
  return header === undefined
    ? " (for localhost, but in production, or not from this machine itself)"
    : " (for localhost, but through a proxy)";
}

function description(
  policy: CookiePolicy,
  usual: readonly CookieForm[],
  local: readonly CookieForm[],
): Readonly<Record<string, unknown>> {
  const { prefix, path, domain, sameSite, secure, partitioned, priority, persistent, trustProxy, split, form } = policy;
  return {
    kind: "cookie",
    name: nameOf(usual),
    localName: nameOf(local),
    prefix,
    path,
    domain,
    sameSite,
    secure,
    httpOnly: true,
    partitioned,
    priority,
    persistent,
    trustProxy: typeof trustProxy === "function" ? "function" : trustProxy,
    split,
    form: form !== undefined,
  };
}
