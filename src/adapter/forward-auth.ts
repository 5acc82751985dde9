/**
 * Forward-auth: tells a reverse proxy whose session a request belongs to. For nginx (`auth_request`), HAProxy, Traefik, Caddy
 * and Envoy (`ext_authz`), which ask before they let a request through to what knows nothing of sessions.
 *
 * @module
 */
import type { ServerResponse } from "node:http";
import { isPromise, type MaybePromise, run, settled, type Steps } from "../internal/maybe-promise.ts";
import { Exchange, managersOf, type InstalledDefinition } from "../session/exchange.ts";
import type { Session } from "../session/session.ts";
import type { RequestView } from "../transport/transport.ts";
import { errorAnswer } from "./error-answer.ts";
import { forwardAuthPolicy, type ForwardAuthOptions, type Policy } from "./forward-auth-options.ts";
import type { NodeResponse } from "./held-response.ts";
import { NodeRequestView, type NodeRequest } from "./node-request.ts";
import { WebRequestView } from "./web-request.ts";

export type { ForwardAuthHeaders, ForwardAuthOptions, SeenSession } from "./forward-auth-options.ts";

/** What answers a proxy that asks, in two forms: mount one of them. */
export interface ForwardAuth {
  /** For servers of the web platform. Never rejects. */
  fetch(request: Request): Promise<Response>;
  /** For `node:http`, and what is built on it: Express, Fastify's and Koa's raw objects. Never throws. */
  node(req: NodeRequest, res: NodeResponse): void;
}

/** The type of a definition's data: what {@link Session} a function of the options is shown. */
export interface ForwardedDefinition<Data extends object> extends InstalledDefinition {
  from(request: never): Session<Data> | Promise<Session<Data>>;
}

/**
 * Answers a proxy's question whether a request is of somebody who is signed in, by the token that it carries:
 *
 * | Status | When | Headers |
 * |---|---|---|
 * | 200 | it has a session with a subject, of an acceptable `level` | `X-Session-Subject`, `X-Session-Id`, `X-Session-Level` |
 * | 401 | everything else: no token, an ended session, a guest, another level; all look alike | `WWW-Authenticate: Session` |
 * | 403 | `allow` said no: to sign in once more would not help | |
 * | 503 | the store failed: nobody knows (`onStoreError: "anonymous"`: 401) | |
 * | 500 | a function of the options threw | |
 *
 * Any method will do, and the body is not looked at. No answer has a body of interest, a redirect or a `Set-Cookie`, since the
 * proxy would drop it: the session is touched when that is due, never renewed, and no cookie is taken back. Those are for the
 * responses of the application that signs people in.
 *
 * The values of the headers are percent-encoded, all but letters, digits and `-._~@:`. Read them by `decodeURIComponent`, or
 * what your language has for the path of a URL. Whoever can reach the application past the proxy can write them: it must not
 * be reachable. [docs/forward-auth.md](../../docs/forward-auth.md) has a configuration for each proxy.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { defineSession } from "coatcheck";
 * import { forwardAuth } from "coatcheck/forward-auth";
 * import { sqliteStore } from "coatcheck/store/sqlite";
 *
 * const user = defineSession<{ name: string }>({ name: "user", store: sqliteStore("sessions.db") });
 *
 * createServer(forwardAuth(user).node).listen(4000, "127.0.0.1");
 * ```
 *
 * @throws TypeError that names the option, and for a definition with a `codec`, whose sessions have no subject
 */
export function forwardAuth<Data extends object>(
  definition: ForwardedDefinition<Data>,
  options: ForwardAuthOptions<Data> = {},
): ForwardAuth {
  const managers = managersOf([definition]);
  if (definition.manager.describe()["codec"] === true) {
    throw new TypeError("forwardAuth needs sessions with a subject, which those with a codec have not");
  }
  const gate: Gate<Data> = { definition, managers, policy: forwardAuthPolicy(options) };
  return {
    async fetch(request) {
      const { status, headers, body } = await judged(gate, new WebRequestView(request));
      return new Response(body, { status, headers });
    },
    node(req, res) {
      const verdict = judged(gate, new NodeRequestView(req));
      if (isPromise(verdict)) void verdict.then((later) => answerBy(res, later));
      else answerBy(res, verdict);
    },
  };
}

function answerBy(res: NodeResponse, { status, headers, body = "" }: Verdict): void {
  // The proxy may have gone.
  if (res.destroyed || res.headersSent) return;
  // For HEAD, too: an answer of unknown length costs the proxy its connection.
  const head = { ...headers, "Content-Length": String(body.length) };
  // The overloads for HTTP/1 and 2 have no call in common, but this one both take.
  (res as ServerResponse).writeHead(status, head);
  res.end(body);
}

interface Gate<Data extends object> {
  readonly definition: InstalledDefinition;
  readonly managers: ReturnType<typeof managersOf>;
  readonly policy: Policy<Data>;
}

interface Verdict {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** Neither throws nor rejects: whatever goes wrong lets nobody in. */
function judged<Data extends object>(gate: Gate<Data>, asked: RequestView): MaybePromise<Verdict> {
  return run(steps(gate, asked));
}

function* steps<Data extends object>(gate: Gate<Data>, asked: RequestView): Steps<Verdict> {
  const { definition, managers, policy } = gate;
  try {
    const exchange = new Exchange(new ForwardedView(asked), managers, { carries: false });
    const session = (yield* settled(exchange.from(definition.manager, policy.verify))) as unknown as Session<Data>;
    // Before the verdict: should it have ended meanwhile, that shows when it is touched. What edits there are (a cookie to be
    // taken back) is for responses that reach the client. After it, no function of the options can change the session.
    yield* settled(exchange.finish({ failed: false }));
    return yield* verdictOn(gate, session);
  } catch (error) {
    tell(policy, error);
    return errorAnswer(error);
  }
}

function tell({ onError }: Pick<Policy<never>, "onError">, error: unknown): void {
  try {
    onError(error);
  } catch (another) {
    console.error(another);
  }
}

function* verdictOn<Data extends object>(
  { definition: { name, manager }, policy }: Gate<Data>,
  session: Session<Data>,
): Steps<Verdict> {
  const headers: Record<string, string> = { "Cache-Control": "no-store" };
  if (manager.vary !== undefined) headers["Vary"] = manager.vary;
  if (session.isNew || session.subject === undefined || !isAcceptable(policy, session.level)) {
    // A scheme is due with every 401 (RFC 9110 §15.5.2). This one is no browser's, so none asks for a password.
    headers["WWW-Authenticate"] = `Session realm="${name}"`;
    return { status: 401, headers, body: undefined };
  }
  if (policy.allow !== undefined && (yield* settled(policy.allow(session))) !== true)
    return { status: 403, headers, body: undefined };
  for (const [header, valueOf] of policy.headers) {
    const value = valueOf(session);
    if (value !== undefined && value !== "") headers[header] = encoded(value);
  }
  return { status: 200, headers, body: undefined };
}

function isAcceptable({ levels }: Pick<Policy<never>, "levels">, level: string | undefined): boolean {
  return levels === undefined || (level !== undefined && levels.includes(level));
}

/** Half a pair, which no encoding of text can write down. */
const LONE = /\p{Surrogate}/gu;
/** What no proxy, list or form decoder takes for anything but itself stays readable. Most texts have nothing else. */
const PLAIN = /^[A-Za-z0-9\-._~@:]*$/;
const SPECIAL = /[^A-Za-z0-9\-._~@:]/gu;

/** A text as a header can carry it: `decodeURIComponent` gives it back. */
function encoded(text: string): string {
  if (typeof text !== "string") throw new TypeError("headers of forwardAuth must be text, or undefined");
  if (PLAIN.test(text)) return text;
  return text.replaceAll(LONE, "\ufffd").replaceAll(SPECIAL, percentEncoded);
}

function percentEncoded(character: string): string {
  const escaped = encodeURIComponent(character);
  // Of ASCII it leaves `!'()*` as they are.
  return escaped === character ? `%${character.charCodeAt(0).toString(16).toUpperCase()}` : escaped;
}

/**
 * A proxy's request, as transports are to see it: what it says of the connection is about the proxy's, not the client's.
 */
class ForwardedView implements RequestView {
  readonly #asked: RequestView;

  constructor(asked: RequestView) {
    this.#asked = asked;
  }

  header(name: string): string | undefined {
    return this.#asked.header(name);
  }

  /** The client's, where the proxy tells: what a copy is good for (`trustFor`) depends on it. */
  get method(): string {
    const { method } = this.#asked;
    const isSafe = method === "GET" || method === "HEAD";
    return isSafe ? (this.#asked.header("x-forwarded-method") ?? method) : method;
  }

  get url(): string {
    return this.#asked.url;
  }

  /**
   * Whatever is between proxy and server, it is no developer's browser at `http://localhost`, whose cookies have other names
   * (P30): they are those that the application sets behind the same proxy.
   */
  get secure(): boolean {
    return true;
  }

  get peer(): string | undefined {
    return this.#asked.peer;
  }

  /** That of the connection would be the proxy's, and all clients one. */
  get certificate(): string | undefined {
    return undefined;
  }
}
