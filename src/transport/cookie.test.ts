import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi, type MockInstance } from "vitest";
import { SessionError, SessionTooLargeError } from "../errors.ts";
import { cookieClient, transportCases } from "../testing/transport-cases.ts";
import { cookie } from "./cookie.ts";
import type { CookieOptions } from "./cookie-options.ts";
import type { BoundTransport, HeaderEdit, RequestView } from "./transport.ts";

const NOW = 1_800_000_000_000;
const TOKEN = "Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9";
const LOCAL = { host: "localhost:3000" };

interface More extends Partial<RequestView> {
  readonly headers?: Readonly<Record<string, string>>;
}

function secureRequest(cookieHeader?: string, { headers = {}, ...more }: More = {}): RequestView {
  const all: Record<string, string | undefined> = { host: "shop.example", cookie: cookieHeader, ...headers };
  return { header: (name) => all[name], method: "GET", url: "/", secure: true, peer: "192.0.2.1", ...more };
}

function plainRequest(headers: Readonly<Record<string, string>>, more: More = {}): RequestView {
  return secureRequest(undefined, { headers, secure: false, peer: "127.0.0.1", ...more });
}

function bind(options?: CookieOptions, byValue = false): BoundTransport {
  return cookie(options).bind({ name: "user", byValue });
}

function send(bound: BoundTransport, view: RequestView, token = TOKEN, endsAt?: number): string[] {
  return valuesOf(bound.send(view, { token, endsAt, now: NOW }));
}

function valuesOf(edits: readonly HeaderEdit[]): string[] {
  for (const { name, mode } of edits) expect([name, mode]).toEqual(["Set-Cookie", "append"]);
  return edits.map(({ value }) => value);
}

function errorOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

function insecureMessage(bound: BoundTransport, view: RequestView): string {
  const error = errorOf(() => bound.check(view));
  expect(error).toBeInstanceOf(SessionError);
  expect((error as SessionError).code).toBe("ERR_SESSION_INSECURE");
  expect(errorOf(() => send(bound, view))).toEqual(error);
  return (error as SessionError).message;
}

let warn: MockInstance<typeof console.warn>;

beforeEach(() => {
  vi.stubEnv("NODE_ENV", undefined);
  warn = vi.spyOn(console, "warn").mockImplementation(() => {});
});

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

describe.each<[title: string, options: CookieOptions]>([
  ["cookie()", {}],
  ["cookie() for a whole domain", { domain: "app.example", path: "/account", sameSite: "strict", priority: "high" }],
  ["cookie() for embedded pages", { sameSite: "none", partitioned: true, persistent: true }],
  ["cookie() without https", { secure: false, name: "sid" }],
])("%s keeps to the transport contract", (_title, options) => {
  test.each(transportCases)("$name", ({ run }) => run(() => ({ transport: cookie(options), client: cookieClient() })));
});

describe("cookie({ split }) keeps to the transport contract", () => {
  const byValue = {
    ...cookie({ split: 4 }),
    bind: ({ name }: { name: string }) => cookie({ split: 4 }).bind({ name, byValue: true }),
  };
  test.each(transportCases)("$name", ({ run }) => run(() => ({ transport: byValue, client: cookieClient() })));
});

describe("a session cookie", () => {
  test.each<[options: CookieOptions, line: string]>([
    [{}, `__Host-Http-user=${TOKEN}; Path=/; HttpOnly; Secure; SameSite=Lax`],
    [{ name: "sid" }, `__Host-Http-sid=${TOKEN}; Path=/; HttpOnly; Secure; SameSite=Lax`],
    [{ prefix: "__Host-" }, `__Host-user=${TOKEN}; Path=/; HttpOnly; Secure; SameSite=Lax`],
    [{ prefix: "__Secure-" }, `__Secure-user=${TOKEN}; Path=/; HttpOnly; Secure; SameSite=Lax`],
    [{ prefix: "" }, `user=${TOKEN}; Path=/; HttpOnly; Secure; SameSite=Lax`],
    [{ path: "/app" }, `__Secure-user=${TOKEN}; Path=/app; HttpOnly; Secure; SameSite=Lax`],
    [{ domain: "example.com" }, `__Secure-user=${TOKEN}; Domain=example.com; Path=/; HttpOnly; Secure; SameSite=Lax`],
    [{ sameSite: "strict" }, `__Host-Http-user=${TOKEN}; Path=/; HttpOnly; Secure; SameSite=Strict`],
    [
      { sameSite: "none", partitioned: true },
      `__Host-Http-user=${TOKEN}; Path=/; HttpOnly; Secure; Partitioned; SameSite=None`,
    ],
    [{ priority: "high" }, `__Host-Http-user=${TOKEN}; Path=/; HttpOnly; Secure; Priority=High; SameSite=Lax`],
    [{ secure: false }, `user=${TOKEN}; Path=/; HttpOnly; SameSite=Lax`],
  ])("%j is sent as %s", (options, line) => {
    expect(send(bind(options), secureRequest())).toEqual([line]);
  });

  test.each<CookieOptions>([
    {},
    { domain: "example.com", path: "/app", sameSite: "strict", priority: "low" },
    { sameSite: "none", partitioned: true },
    { secure: false, persistent: true },
  ])("P8: %j is removed under the same name with the same attributes", (options) => {
    const bound = bind(options);
    const sent = send(bound, secureRequest());
    const [removal = "", ...others] = valuesOf(bound.clear(secureRequest()));
    expect(others).toEqual([]);
    const attributes = (line: string): string[] => line.split("; ").slice(1).toSorted();
    const expected = attributes(sent[0]!).filter((attribute) => !attribute.startsWith("Max-Age"));
    expected.push("Max-Age=0", "Expires=Thu, 01 Jan 1970 00:00:00 GMT");
    expect(attributes(removal)).toEqual(expected.toSorted());
    expect(removal.split(";")[0]).toBe(`${sent[0]!.split("=")[0]}=`);
  });

  test.each<[title: string, endsAt: number | undefined, age: number]>([
    ["whole seconds", NOW + 3_600_000, 3600],
    ["a begun second counts: the browser must not be first", NOW + 3_600_001, 3601],
    ["a session that just ended", NOW, 0],
    ["a session that ended before", NOW - 5000, 0],
    ["exactly 400 days", NOW + 34_560_000_000, 34_560_000],
    ["more than the 400 days that browsers keep", NOW + 34_560_000_001, 34_560_000],
    ["no end at all", undefined, 34_560_000],
    ["an end beyond all time", Infinity, 34_560_000],
  ])("that outlives the browser lasts as long as its session: %s", (_title, endsAt, age) => {
    const [line] = send(bind({ persistent: true }), secureRequest(), TOKEN, endsAt);
    expect(line).toBe(`__Host-Http-user=${TOKEN}; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=${age}`);
  });

  test("P5: is read by its exact name, every value of it, up to one more than are tried", () => {
    const bound = bind();
    const read = (header?: string): readonly string[] => bound.read(secureRequest(header));
    expect(read()).toEqual([]);
    expect(read("")).toEqual([]);
    expect(read("user=1; __Host-user=2; __host-http-user=3; \u00a0__Host-Http-user=4")).toEqual([]);
    expect(read(`a=1; __Host-Http-user=${TOKEN}; b=2`)).toEqual([TOKEN]);
    expect(read("__Host-Http-user=b; __Host-Http-user=a; __Host-Http-user=b")).toEqual(["b", "a"]);
    expect(read("1234567".replace(/./g, "__Host-Http-user=$&; "))).toEqual(["1", "2", "3", "4", "5"]);
  });

  test("whatever the token, it comes back from among other cookies", () => {
    const token = fc.stringMatching(/^[\w.-]{1,200}$/);
    const others = fc.array(fc.stringMatching(/^[a-z_]{1,12}=[^;]{0,20}$/), { maxLength: 4 });
    const bound = bind();
    fc.assert(
      fc.property(token, others, others, (text, before, after) => {
        const [line = ""] = send(bound, secureRequest(), text);
        const header = [...before, line.split(";")[0], ...after].join("; ");
        expect(bound.read(secureRequest(header))).toEqual([text]);
      }),
    );
  });

  test("costs a request one look at its headers to be read", () => {
    const asked: string[] = [];
    const request = secureRequest("__Host-Http-user=1");
    bind().read({ ...request, header: (name) => (asked.push(name), request.header(name)) });
    expect(asked).toEqual(["cookie"]);
  });

  test("may be 4096 bytes with its name, and not one more", () => {
    const room = 4096 - "__Host-Http-user".length;
    for (const byValue of [true, false]) {
      const bound = bind({}, byValue);
      expect(send(bound, secureRequest(), "A".repeat(room))).toHaveLength(1);
      const error = errorOf(() => send(bound, secureRequest(), "A".repeat(room + 1)));
      expect(error).toBeInstanceOf(SessionTooLargeError);
      expect(error).toMatchObject({ bytes: 4097, limit: 4096, code: "ERR_SESSION_TOO_LARGE" });
    }
  });

  test("says what to do when the session has become too large", () => {
    const large = "A".repeat(40_000);
    expect(() => send(bind({}, true), secureRequest(), large)).toThrow(/`store`.*keep less.*`cookie\({ split: 2 }\)`/);
    expect(() => send(bind({ split: 3 }, true), secureRequest(), large)).toThrow(/`cookie\({ split: 4 }\)`/);
    expect(() => send(bind({ split: 8 }, true), secureRequest(), large)).toThrow(/^(?!.*split).*`store`/);
  });

  test("is known by every name that it may ever have, so that two definitions cannot share one", () => {
    expect(bind().names).toEqual(["cookie:__Host-Http-user", "cookie:user"]);
    expect(bind({ secure: false }).names).toEqual(["cookie:user"]);
    expect(bind({ prefix: "" }).names).toEqual(["cookie:user"]);
    expect(bind({ domain: "example.com" }).names).toEqual(["cookie:__Secure-user", "cookie:user"]);
    expect(bind({ split: 2 }, true).names).toContain("cookie:__Host-Http-user.1");
  });

  test("has a place of its own beside it for a small token", () => {
    const bound = bind({ sameSite: "strict", split: 2, persistent: true }, true);
    const beside = bound.beside!("idle");
    expect(send(beside, secureRequest())).toEqual([
      `__Host-Http-user-idle=${TOKEN}; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=34560000`,
    ]);
    expect(beside.names).toEqual(["cookie:__Host-Http-user-idle", "cookie:user-idle"]);
    const request = secureRequest("__Host-Http-user=1; __Host-Http-user-idle=2");
    expect(bound.read(request)).toEqual(["1"]);
    expect(beside.read(request)).toEqual(["2"]);
  });

  test("describes itself", () => {
    expect(bind({ trustProxy: () => true, priority: "high" }).describe()).toEqual({
      kind: "cookie",
      name: "__Host-Http-user",
      localName: "user",
      prefix: "__Host-Http-",
      path: "/",
      domain: undefined,
      sameSite: "lax",
      secure: true,
      httpOnly: true,
      partitioned: false,
      priority: "high",
      persistent: false,
      trustProxy: "function",
      split: undefined,
      form: false,
    });
    expect(bind({ secure: false, trustProxy: true }).describe()).toMatchObject({
      name: "user",
      secure: false,
      trustProxy: true,
    });
  });

  test("varies by Cookie and may be renewed on any response", () => {
    expect(bind()).toMatchObject({ vary: "Cookie", renews: true });
    expect(cookie().kind).toBe("cookie");
  });
});

describe("P30: plain http on the developer's own machine", () => {
  test.each<More>([
    { headers: LOCAL },
    { headers: { host: "shop.localhost" } },
    { headers: { host: "127.0.0.1:8080" }, peer: "::ffff:127.0.0.1" },
    { headers: { host: "[::1]:3000" }, peer: "::1" },
    { headers: LOCAL, peer: undefined },
    { headers: { "sec-fetch-site": "same-origin", origin: "http://localhost:3000", ...LOCAL } },
  ])("%j: the cookie has neither prefix nor Secure", ({ headers = {}, ...more }) => {
    const bound = bind();
    expect(() => bound.check(plainRequest(headers, more))).not.toThrow();
    expect(send(bound, plainRequest(headers, more))).toEqual([`user=${TOKEN}; Path=/; HttpOnly; SameSite=Lax`]);
    expect(bound.read(plainRequest({ cookie: "user=1; __Host-Http-user=2", ...headers }, more))).toEqual(["1"]);
    expect(valuesOf(bound.clear(plainRequest(headers, more)))[0]).toMatch(
      /^user=; Max-Age=0; Path=\/;.* HttpOnly; SameSite=Lax$/,
    );
  });

  test.each<[title: string, headers: Record<string, string>, more: More]>([
    ["another host", { host: "shop.example" }, {}],
    ["a host that only begins like one", { host: "localhost.example" }, {}],
    ["the address of a private network", { host: "192.168.1.20:3000" }, {}],
    ["localhost by name, but from another machine", LOCAL, { peer: "172.17.0.1" }],
    ["no host", { host: undefined as never }, {}],
    ["behind a proxy that adds X-Forwarded-For", { ...LOCAL, "x-forwarded-for": "203.0.113.9" }, {}],
    ["behind a proxy that adds X-Forwarded-Proto", { ...LOCAL, "x-forwarded-proto": "https" }, {}],
    ["behind a proxy that adds X-Forwarded-Host", { ...LOCAL, "x-forwarded-host": "shop.example" }, {}],
    ["behind a proxy that adds X-Real-IP", { ...LOCAL, "x-real-ip": "203.0.113.9" }, {}],
    ["behind a proxy that adds Via", { ...LOCAL, via: "1.1 varnish" }, {}],
    ["behind a proxy that adds Forwarded", { ...LOCAL, forwarded: "for=203.0.113.9" }, {}],
    [
      "behind a proxy that adds nothing",
      { ...LOCAL, "sec-fetch-site": "same-origin", origin: "https://shop.example" },
      {},
    ],
  ])("%s: no insecure cookie, an error that says what to set", (_title, headers, more) => {
    const bound = bind();
    const message = insecureMessage(bound, plainRequest(headers, more));
    expect(message).toContain("`cookie({ trustProxy: true })`");
    expect(message).toContain("`cookie({ secure: false })`");
    expect(bound.read(plainRequest({ ...headers, cookie: "user=1; __Host-Http-user=2" }, more))).toEqual(["2"]);
    expect(valuesOf(bound.clear(plainRequest(headers, more)))[0]).toMatch(/^__Host-Http-user=; Max-Age=0;.* Secure/);
    expect(warn).not.toHaveBeenCalled();
  });

  test("a default nginx in front sends Host: localhost:3000 with X-Forwarded-For: an error, not an insecure cookie", () => {
    const proxied = plainRequest({ ...LOCAL, "x-forwarded-for": "203.0.113.9", connection: "close" });
    const message = insecureMessage(bind(), proxied);
    expect(message).toContain("It has the header X-Forwarded-For");
    expect(message).not.toContain("203.0.113.9");
  });

  test("in production there is no exception", () => {
    vi.stubEnv("NODE_ENV", "production");
    const bound = bind();
    expect(insecureMessage(bound, plainRequest(LOCAL))).toContain("in production");
    expect(bound.read(plainRequest({ ...LOCAL, cookie: "user=1; __Host-Http-user=2" }))).toEqual(["2"]);
  });

  test.each(["development", "test", "Production", ""])("NODE_ENV %j is not production", (value) => {
    vi.stubEnv("NODE_ENV", value);
    expect(() => bind().check(plainRequest(LOCAL))).not.toThrow();
  });

  test("a runtime without process, or one that does not let us ask, is not production", () => {
    vi.stubGlobal("process", undefined);
    expect(errorOf(() => bind().check(plainRequest(LOCAL)))).toBeUndefined();
    const forbidden = (): never => {
      throw new Error("NotCapable");
    };
    vi.stubGlobal("process", { get env() { return forbidden(); } }); // prettier-ignore
    const error = errorOf(() => bind().check(plainRequest(LOCAL)));
    vi.unstubAllGlobals();
    expect(error).toBeUndefined();
  });

  test("is said once for a definition, when a cookie is first sent", () => {
    const bound = bind();
    bound.check(plainRequest(LOCAL));
    bound.read(plainRequest({ ...LOCAL, cookie: "user=1" }));
    bound.clear(plainRequest(LOCAL));
    send(bound, secureRequest());
    expect(warn).not.toHaveBeenCalled();
    send(bound, plainRequest(LOCAL));
    send(bound, plainRequest(LOCAL));
    send(bound.beside!("idle"), plainRequest(LOCAL));
    expect(warn).toHaveBeenCalledOnce();
    expect(warn.mock.calls[0]![0]).toMatch(/session "user".*cookie "user" without Secure.*"__Host-Http-user"/);
    send(bind(), plainRequest(LOCAL));
    expect(warn).toHaveBeenCalledTimes(2);
  });

  test("whatever would make a browser refuse the cookie there is left out", () => {
    const options: CookieOptions = { domain: "example.com", path: "/app", sameSite: "none", partitioned: true };
    expect(send(bind(options), plainRequest(LOCAL))).toEqual([`user=${TOKEN}; Path=/app; HttpOnly; SameSite=Lax`]);
    expect(send(bind({ sameSite: "strict" }), plainRequest(LOCAL))[0]).toContain("SameSite=Strict");
  });

  test("https on localhost is as secure as anywhere", () => {
    const [line] = send(bind(), plainRequest(LOCAL, { secure: true }));
    expect(line).toContain("__Host-Http-user=");
    expect(warn).not.toHaveBeenCalled();
  });
});

describe("a proxy that ends TLS", () => {
  const https = { "x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9" };

  test("is not believed unasked: a spoofed X-Forwarded-Proto has no effect", () => {
    for (const headers of [https, { forwarded: "proto=https" }, { ...LOCAL, ...https }]) {
      expect(insecureMessage(bind(), plainRequest(headers))).toContain("trustProxy: true");
    }
    // Nor does one that says http make a secure request less so.
    expect(() => bind().check(secureRequest(undefined, { headers: { "x-forwarded-proto": "http" } }))).not.toThrow();
  });

  test("is not needed to read: the cookie has its secure name all the same", () => {
    expect(bind().read(plainRequest({ ...https, cookie: "__Host-Http-user=1; user=2" }))).toEqual(["1"]);
  });

  test.each<Record<string, string>>([https, { forwarded: "for=203.0.113.9;proto=https" }, { ...LOCAL, ...https }])(
    "is believed with trustProxy: true (%j)",
    (headers) => {
      expect(send(bind({ trustProxy: true }), plainRequest(headers))[0]).toMatch(/^__Host-Http-user=.* Secure/);
      expect(warn).not.toHaveBeenCalled();
    },
  );

  test("is believed when trustProxy knows its address", () => {
    const bound = bind({ trustProxy: (peer) => peer === "10.0.0.7" });
    expect(() => bound.check(plainRequest(https, { peer: "10.0.0.7" }))).not.toThrow();
    expect(insecureMessage(bound, plainRequest(https, { peer: "10.0.0.8" }))).toContain("let `trustProxy` say yes");
    expect(insecureMessage(bound, plainRequest(https, { peer: undefined }))).toContain("X-Forwarded-For");
  });

  test("that says the client came by http is believed too, even when it came to us over TLS", () => {
    const message = insecureMessage(
      bind({ trustProxy: true }),
      secureRequest(undefined, { headers: { "x-forwarded-proto": "http" } }),
    );
    expect(message).toContain("the client came by plain http");
    expect(message).toContain("secure: false");
  });

  test("that is trusted and says nothing is asked to", () => {
    const message = insecureMessage(
      bind({ trustProxy: true }),
      plainRequest({ host: "shop.example", "x-forwarded-for": "203.0.113.9" }),
    );
    expect(message).toContain("without X-Forwarded-Proto");
  });

  test("that is trusted is no obstacle to working on localhost without it", () => {
    expect(send(bind({ trustProxy: true }), plainRequest(LOCAL))[0]).toMatch(/^user=/);
  });
});

describe("secure: false", () => {
  test.each<[title: string, view: RequestView]>([
    ["plain http", plainRequest({ host: "intranet" })],
    ["plain http behind a proxy", plainRequest({ host: "intranet", "x-forwarded-for": "10.0.0.9" })],
    ["https", secureRequest()],
    ["localhost", plainRequest(LOCAL)],
  ])("works everywhere, in production too, and says nothing: %s", (_title, view) => {
    vi.stubEnv("NODE_ENV", "production");
    const bound = bind({ secure: false });
    expect(() => bound.check(view)).not.toThrow();
    expect(send(bound, view)).toEqual([`user=${TOKEN}; Path=/; HttpOnly; SameSite=Lax`]);
    expect(warn).not.toHaveBeenCalled();
  });
});

describe("a token in several cookies", () => {
  const NAME = "__Host-Http-user";
  const ROOM = 4096 - NAME.length - 2;

  /** Sends a token to a client that has these cookies, and returns what it has then. */
  function told(
    jar: ReadonlyMap<string, string>,
    edits: (view: RequestView) => readonly HeaderEdit[],
  ): Map<string, string> {
    const next = new Map(jar);
    for (const line of valuesOf(edits(requestOf(jar)))) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      expect(name.length + value.length).toBeLessThanOrEqual(4096);
      if (line.includes("Max-Age=0")) next.delete(name);
      else next.set(name, value);
    }
    return next;
  }

  function requestOf(jar: ReadonlyMap<string, string>): RequestView {
    return secureRequest(jar.size === 0 ? undefined : [...jar].map(([name, value]) => `${name}=${value}`).join("; "));
  }

  function textOf(length: number): string {
    return Array.from({ length }, (_, index) => "0123456789.ABCDEFGHIJKLMNOPQRSTUVWXYZ-_abcdef"[(index * 7) % 45]).join(
      "",
    );
  }

  const sendOf = (bound: BoundTransport, token: string) => (view: RequestView) =>
    bound.send(view, { token, endsAt: undefined, now: NOW });

  test("takes one cookie, as without split, while it fits", () => {
    const token = textOf(4096 - NAME.length);
    expect(send(bind({ split: 4 }, true), secureRequest(), token)).toEqual(
      send(bind({}, true), secureRequest(), token),
    );
  });

  test.each([ROOM + 3, 2 * ROOM, 2 * ROOM + 1, 3 * ROOM, 3 * ROOM + 1, 4 * ROOM])(
    "of %i characters comes back",
    (length) => {
      const bound = bind({ split: 4 }, true);
      const token = textOf(length);
      const jar = told(new Map(), sendOf(bound, token));
      expect([...jar.keys()]).toEqual([NAME, `${NAME}.1`, `${NAME}.2`, `${NAME}.3`].slice(0, Math.ceil(length / ROOM)));
      expect(bound.read(requestOf(jar))).toEqual([token]);
    },
  );

  test("carries the attributes of the cookie on every part", () => {
    const lines = send(bind({ split: 2, sameSite: "strict" }, true), secureRequest(), textOf(5000));
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).toMatch(/; Path=\/; HttpOnly; Secure; SameSite=Strict$/);
  });

  test("may not take more than it is allowed to", () => {
    const bound = bind({ split: 2 }, true);
    expect(send(bound, secureRequest(), textOf(2 * ROOM))).toHaveLength(2);
    const error = errorOf(() => send(bound, secureRequest(), textOf(2 * ROOM + 1)));
    expect(error).toBeInstanceOf(SessionTooLargeError);
    expect((error as SessionTooLargeError).limit).toBe(8192);
    expect((error as SessionTooLargeError).bytes).toBeGreaterThan(8192);
  });

  test("grows and shrinks without leaving anything behind: every order of sizes", () => {
    const bound = bind({ split: 8 }, true);
    const lengths = fc.array(fc.integer({ min: 1, max: 8 * ROOM }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(lengths, (steps) => {
        let jar: Map<string, string> = new Map();
        for (const length of steps) {
          const token = textOf(length);
          jar = told(jar, sendOf(bound, token));
          expect(bound.read(requestOf(jar))).toEqual([token]);
          expect(jar.size).toBe(length <= 4096 - NAME.length ? 1 : Math.ceil(length / ROOM));
        }
        expect(told(jar, (view) => bound.clear(view)).size).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  test("is removed only where it was: no removal of parts that the request does not show", () => {
    const bound = bind({ split: 8 }, true);
    expect(bound.clear(secureRequest())).toHaveLength(1);
    expect(bound.clear(secureRequest(`${NAME}=2~a; ${NAME}.1=b`))).toHaveLength(2);
    expect(send(bound, secureRequest(`${NAME}=1; a=2`))).toHaveLength(1);
  });

  test("is none when parts are missing, and is not held up by parts left over", () => {
    const read = (header: string): readonly string[] => bind({ split: 2 }, true).read(secureRequest(header));
    expect(read(`${NAME}=3~a; ${NAME}.1=b`)).toEqual([]);
    expect(read(`${NAME}=2~a; ${NAME}.2=c`)).toEqual([]);
    expect(read(`${NAME}.1=b; ${NAME}.2=c`)).toEqual([]);
    expect(read(`${NAME}=2~a; ${NAME}.1=b; ${NAME}.2=old`)).toEqual(["ab"]);
    expect(read(`${NAME}=plain; ${NAME}.1=old`)).toEqual(["plain"]);
  });

  test("P5: where parts come twice each is tried, and never more than a few", () => {
    const read = (header: string): readonly string[] => bind({ split: 4 }, true).read(secureRequest(header));
    expect(read(`${NAME}=2~a; ${NAME}.1=b; ${NAME}.1=c`)).toEqual(["ab", "ac"]);
    expect(read(`${NAME}=2~a; ${NAME}=x; ${NAME}.1=b`)).toEqual(["ab", "x"]);
    const sixTimes = (name: string, mark = ""): string[] => Array.from("123456", (n) => `${name}=${mark}${n}`);
    expect(read([...sixTimes(NAME, "2~"), ...sixTimes(`${NAME}.1`)].join("; "))).toHaveLength(5);
    // All combinations of these would be 300 000 tokens.
    const parts = Array.from("1234567", (part) => sixTimes(`${NAME}.${part}`));
    const start = performance.now();
    expect(read([...sixTimes(NAME, "8~"), ...parts.flat()].join("; "))).toHaveLength(5);
    expect(performance.now() - start).toBeLessThan(20);
  });

  test.each(["1~a", "9~a", "0~a", "~a", "22~a", "2.a", "a2~a"])("a value such as %s is no first part", (value) => {
    expect(bind({ split: 2 }, true).read(secureRequest(`${NAME}=${value}; ${NAME}.1=b`))).toEqual([value]);
  });

  test("without split, nothing is put together", () => {
    expect(bind({}, true).read(secureRequest(`${NAME}=2~a; ${NAME}.1=b`))).toEqual(["2~a"]);
  });

  test("P30: works on the developer's own machine too", () => {
    const lines = send(bind({ split: 2 }, true), plainRequest(LOCAL), textOf(5000));
    expect(lines.map((line) => line.split("=")[0])).toEqual(["user", "user.1"]);
  });
});
