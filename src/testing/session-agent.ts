/**
 * A client with a cookie jar, for tests of an application with sessions.
 *
 * @module
 */

/** What a {@link SessionAgent} talks to: the origin of a running server, or a handler of the web platform. */
export type AgentTarget = string | ((request: Request) => Response | Promise<Response>);

/** A cookie that the server has set. */
export interface AgentCookie {
  readonly value: string;
  /** The attributes as they came, names in lower case: `{ path: "/", httponly: "" }`. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** A browser of sorts: it keeps the cookies it is given and sends them back. */
export interface SessionAgent {
  /** The cookies of the jar, by name. Change it to play the thief, the forger or the forgetful. */
  readonly cookies: Map<string, AgentCookie>;
  /** Sends a request with the cookies of the jar and keeps those that come back. Redirects are not followed. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** The `Cookie` header that the next request will have. */
  cookieHeader(): string;
  /** Another agent with the same cookies: a second tab, or a copied cookie. */
  clone(): SessionAgent;
}

/**
 * Makes an agent.
 *
 * @example
 * ```ts
 * import { sessionAgent } from "coatcheck/testing";
 *
 * const agent = sessionAgent("http://localhost:3000");
 * await agent.fetch("/login", { method: "POST", body: new URLSearchParams({ username: "ada" }) });
 * const account = await agent.fetch("/account");
 * ```
 */
export function sessionAgent(
  target: AgentTarget,
  cookies: Iterable<readonly [string, AgentCookie]> = [],
): SessionAgent {
  const jar = new Map(cookies);
  const origin = typeof target === "string" ? target : "http://localhost";
  const send = typeof target === "string" ? (request: Request) => fetch(request) : target;

  const agent: SessionAgent = {
    cookies: jar,
    async fetch(path, init = {}) {
      const headers = new Headers(init.headers);
      if (jar.size > 0 && !headers.has("Cookie")) headers.set("Cookie", agent.cookieHeader());
      const response = await send(new Request(new URL(path, origin), { redirect: "manual", ...init, headers }));
      for (const line of response.headers.getSetCookie()) keep(jar, line);
      return response;
    },
    cookieHeader: () => [...jar].map(([name, { value }]) => `${name}=${value}`).join("; "),
    clone: () => sessionAgent(target, jar),
  };
  return agent;
}

function keep(jar: Map<string, AgentCookie>, line: string): void {
  const [pair = "", ...rest] = line.split(";");
  const [name, value] = halves(pair);
  const attributes = Object.fromEntries(rest.map(halves).map(([key, text]) => [key.toLowerCase(), text]));
  if (isOver(attributes)) jar.delete(name);
  else jar.set(name, { value, attributes });
}

/** `Max-Age` goes before `Expires` (RFC 6265 §5.3). */
function isOver({ "max-age": maxAge, expires }: Readonly<Record<string, string>>): boolean {
  return maxAge === undefined ? Date.parse(expires ?? "") <= Date.now() : Number(maxAge) <= 0;
}

function halves(pair: string): [name: string, value: string] {
  const at = pair.indexOf("=");
  return at === -1 ? [pair.trim(), ""] : [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
}
