/**
 * Tokens in the URL, for clients that keep no cookies.
 *
 * @module
 */
import { checkNames } from "../internal/option-names.ts";
import { saidByProxy } from "./forwarded.ts";
import type { BoundTransport, HeaderEdit, RequestView, Transport } from "./transport.ts";
import { requireTokenSyntax } from "./wire-syntax.ts";
import { takeApart, withToken, type UrlForm } from "./url-syntax.ts";

/** How a session travels in URLs. */
export interface UrlOptions {
  /** The name of the parameter: letters, digits, `-` and `_`. Default: the definition's. */
  readonly name?: string | undefined;
  /**
   * `"query"` (default): `/cart?user=TOKEN`. `"path"`: `/cart;user=TOKEN`, as Tomcat does; for Hono and Fastify, which choose
   * the handler before any middleware runs, see `docs/transports.md`.
   */
  readonly form?: UrlForm | undefined;
}

const NO_STORE: HeaderEdit = Object.freeze({ name: "Cache-Control", value: "no-store", mode: "set" });
const NO_REFERRER: HeaderEdit = Object.freeze({ name: "Referrer-Policy", value: "no-referrer", mode: "set" });

/**
 * The token travels in the URL of every link that `session.link(href)` made. **Only for clients that cannot keep a cookie**, and
 * never where a `cookie()` would do: ASVS 5.0 row 14.2.1 forbids session tokens in URLs, because they end up in histories,
 * bookmarks, access logs, screenshots and chats, and whoever has the link has the session. Not a default, and no fall-back:
 * say it by name, beside a `cookie()` perhaps, in a list of transports.
 *
 * What is done about it: links to other sites get no token; every response to such a request has `Referrer-Policy: no-referrer`
 * (so that no other site is told the address) and `Cache-Control: no-store`; handlers, routers and loggers behind the adapter
 * see the URL without the token. A proxy in front sees, and may log, all of it. Take short
 * timeouts, and `authenticate()` at sign-in, which makes the links of before worthless.
 *
 * Needs a store. The token is replaced by `authenticate()` and `regenerate()` only, never unasked. After them, and for a new
 * session, `await session.commit()` before the first `session.link()`.
 *
 * Throws a `TypeError` that names the option when the options cannot work.
 *
 * @example
 * ```ts
 * defineSession({ name: "kiosk", store, transport: [cookie(), url()], idleTimeout: "5m" });
 * ```
 */
export function url(options: UrlOptions = {}): Transport {
  checkNames("url", options, ["name", "form"]);
  const { name, form = "query" } = options;
  if (form !== "query" && form !== "path") throw new TypeError('url(): the option "form" must be "query" or "path"');
  if (name !== undefined && !isParameterName(name)) {
    throw new TypeError('url(): the option "name" must be 1 to 64 letters, digits, - and _');
  }
  return {
    kind: "url",
    bind(context) {
      if (context.byValue) {
        throw new TypeError("transport: url() needs a store: what a session says must not stand in an address");
      }
      return bindUrl(name ?? context.name, form);
    },
  };
}

function isParameterName(name: unknown): boolean {
  return typeof name === "string" && /^[A-Za-z0-9_-]{1,64}$/.test(name);
}

function bindUrl(name: string, form: UrlForm): BoundTransport {
  return {
    names: [`url:${name}`],
    vary: undefined,
    renews: false,
    always: [NO_REFERRER, NO_STORE],
    read: (view) => takeApart(view.url, name, form).values,
    check() {},
    send: (_view, { token }) => {
      requireTokenSyntax(token);
      return [NO_STORE];
    },
    clear: () => [],
    strip: (target) => takeApart(target, name, form).url,
    link(view, href, token) {
      const target = takeApart(view.url, name, form).url;
      return withToken(href, name, form, token, { target, host: view.header("host"), secure: cameByTls(view) });
    },
    describe: () => ({ kind: "url", name, form }),
  };
}

/** Anybody's word that there was TLS is enough not to lead out of it. */
function cameByTls(view: RequestView): boolean {
  return view.secure || saidByProxy(view, true) === "https";
}
