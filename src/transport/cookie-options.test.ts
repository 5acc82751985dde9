import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cookie } from "./cookie.ts";
import { resolveCookieOptions, type CookieOptions, type CookiePrefix } from "./cookie-options.ts";
import type { RequestView } from "./transport.ts";

const PREFIXES: readonly CookiePrefix[] = ["__Host-Http-", "__Host-", "__Secure-", ""];
const REQUEST: RequestView = {
  header: () => undefined,
  method: "GET",
  url: "/",
  secure: true,
  peer: undefined,
};

function namedInError(options: unknown): string | undefined {
  try {
    cookie(options as CookieOptions).bind({ name: "user", byValue: true });
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError);
    return /the option "(\w+)"/.exec((error as TypeError).message)?.[1] ?? (error as TypeError).message;
  }
  return undefined;
}

describe("options of cookie()", () => {
  test("are safe when nothing is said", () => {
    expect(resolveCookieOptions({})).toEqual({
      name: undefined,
      prefix: "__Host-Http-",
      domain: undefined,
      path: "/",
      sameSite: "lax",
      secure: true,
      partitioned: false,
      priority: undefined,
      persistent: false,
      trustProxy: false,
      split: undefined,
    });
  });

  test("that are undefined count as not said", () => {
    const nothing = { name: undefined, domain: process.env["NO_SUCH_DOMAIN"], path: undefined, secure: undefined };
    expect(resolveCookieOptions(nothing)).toEqual(resolveCookieOptions({}));
  });

  test("are frozen, so that nobody changes them afterwards", () => {
    expect(Object.isFrozen(resolveCookieOptions({}))).toBe(true);
  });

  test.each<[options: CookieOptions, prefix: CookiePrefix]>([
    [{}, "__Host-Http-"],
    [{ path: "/" }, "__Host-Http-"],
    [{ path: "/app" }, "__Secure-"],
    [{ domain: "example.com" }, "__Secure-"],
    [{ domain: "example.com", path: "/app" }, "__Secure-"],
    [{ secure: false }, ""],
    [{ secure: false, path: "/app", domain: "example.com" }, ""],
    [{ sameSite: "none", partitioned: true }, "__Host-Http-"],
  ])("%j has the strongest prefix that can hold: %s", (options, prefix) => {
    expect(resolveCookieOptions(options).prefix).toBe(prefix);
  });

  describe.each(PREFIXES)("with the prefix %j", (prefix) => {
    const hosts = prefix.startsWith("__Host-");

    test.each<[title: string, options: CookieOptions, refused: string | undefined]>([
      ["and nothing else", {}, undefined],
      ['and path "/"', { path: "/" }, undefined],
      ["and another path", { path: "/app" }, hosts ? "path" : undefined],
      ["and a domain", { domain: "example.com" }, hosts ? "domain" : undefined],
      ["and secure: false", { secure: false }, prefix === "" ? undefined : "prefix"],
      ['and sameSite: "strict"', { sameSite: "strict" }, undefined],
      ['and sameSite: "none"', { sameSite: "none" }, undefined],
      [
        'and sameSite: "none" without secure',
        { sameSite: "none", secure: false },
        prefix === "" ? "sameSite" : "prefix",
      ],
      ["and partitioned", { partitioned: true }, undefined],
      [
        "and partitioned without secure",
        { partitioned: true, secure: false },
        prefix === "" ? "partitioned" : "prefix",
      ],
    ])("%s", (_title, options, refused) => {
      expect(namedInError({ prefix, ...options })).toBe(refused);
    });
  });

  test.each<[option: keyof CookieOptions, values: readonly unknown[]]>([
    ["name", ["", " ", "a b", "a=b", "a;b", "a,b", "a\r\nb", "\u00e4", "\u0000", "a".repeat(257), 7, null, ["a"]]],
    ["name", ["__Host-user", "__host-user", "__Secure-a", "__HTTP-a", "__Host-Http-a"]],
    ["prefix", ["__host-", "__Http-", "Host-", "__Secure-; Domain=x", null, true, ["__Host-"]]],
    [
      "domain",
      ["", ".example.com", "example.com.", "-a.com", "a..b", "a b", "x;y", "a\r\nb", "ex\u00e4mple.com", "a_b.com"],
    ],
    [
      "domain",
      ["a".repeat(64), `${"a.".repeat(127)}a`, 7, null, true, "example.com:80", "https://example.com", "*.a.com"],
    ],
    [
      "path",
      ["", "app", " /", "/a b", "/a;b", "/a<b", "/\u00e4", "/\u0000", "/a\n", `/${"a".repeat(1024)}`, 7, null, ["/"]],
    ],
    ["sameSite", ["Lax", "LAX", "", "lax; Domain=x", true, false, null, ["lax"]]],
    ["secure", ["auto", 0, 1, "true", null]],
    ["partitioned", ["yes", 1, null]],
    ["priority", ["High", "", "high; Domain=x", true, null, 1]],
    ["persistent", ["yes", 3600, null]],
    ["trustProxy", ["loopback", 1, null, {}, ["10.0.0.1"]]],
    ["split", [0, 1, 9, 2.5, Number.NaN, Infinity, "2", true, null, -2]],
  ])("%s is refused, by its name, when it cannot be (%#)", (option, values) => {
    for (const value of values) expect(namedInError({ [option]: value })).toBe(option);
  });

  test.each<CookieOptions>([
    { name: "sid" },
    { name: "a".repeat(256) },
    { name: "!#$%&'*+-.^_`|~" },
    { name: "__proto__" },
    { domain: "example.com" },
    { domain: "xn--bcher-kva.example" },
    { domain: "localhost" },
    { path: `/${"a".repeat(1023)}` },
    { path: "/a%20b,c?d" },
    { priority: "low" },
    { trustProxy: (peer) => peer === "::1" },
    { split: 2 },
    { split: 8 },
  ])("what is right is taken (%#)", (options) => {
    expect(namedInError(options)).toBeUndefined();
  });

  test.each(["httpOnly", "maxAge", "expires", "Secure", "samesite", "__proto__x", "toString"])(
    "an option that there is not is refused by name: %s",
    (option) => {
      expect(namedInError({ [option]: false })).toContain(`"${option}"`);
    },
  );

  test("what a prototype or a getter says is checked too", () => {
    expect(namedInError(Object.create({ domain: "x;y" }))).toBe("domain");
    let asked = 0;
    const once = { get path() { return asked++ === 0 ? "/a" : "/a; Domain=evil"; } }; // prettier-ignore
    const [edit] = cookie(once).bind({ name: "user", byValue: false }).clear(REQUEST);
    expect(edit?.value).toContain("Path=/a;");
  });

  test.each([null, 7, "lax", true, []])("%j is no set of options", (options) => {
    expect(namedInError(options)).toContain("must be an object");
  });

  test("the name of the definition is checked when it has to name the cookie", () => {
    const bind = (name: string) => () => cookie().bind({ name, byValue: false });
    for (const name of ["a b", "", "\u00e4", "__Host-user", "a;b"]) expect(bind(name)).toThrow(/the option "name"/);
    expect(() => cookie({ name: "ok" }).bind({ name: "a b", byValue: false })).not.toThrow();
  });

  test("split is for sessions by value", () => {
    expect(() => cookie({ split: 2 }).bind({ name: "user", byValue: false })).toThrow(/the option "split"/);
    expect(() => cookie({ split: 2 }).bind({ name: "user", byValue: true })).not.toThrow();
  });

  test("no options ever make a header that is not one, nor anything but a TypeError: 20 000 made-up sets", () => {
    const nasty = fc.oneof(
      fc.constantFrom("/; Domain=evil", "a\r\nX: y", "/a\u0000", "a; Secure", "\u00e4", "=", "a=b", "", ";"),
      fc.string({ unit: "binary" }),
      fc.anything(),
    );
    const mostly = (...fine: readonly unknown[]): fc.Arbitrary<unknown> =>
      fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...fine) }, { weight: 1, arbitrary: nasty });
    const some = fc.record(
      {
        name: fc.oneof(mostly("sid", "a.b"), fc.string({ minLength: 1, maxLength: 3 })),
        prefix: mostly("__Host-Http-", "__Host-", "__Secure-", ""),
        domain: mostly("example.com", undefined),
        path: fc.oneof(
          mostly("/", "/app"),
          fc.string({ maxLength: 3 }).map((text) => `/${text}`),
        ),
        sameSite: mostly("lax", "strict", "none"),
        secure: mostly(true, false),
        partitioned: mostly(true, false),
        priority: mostly("low", "medium", "high"),
        persistent: mostly(true, false),
        split: mostly(2, 8),
      },
      { requiredKeys: [] },
    );
    const good =
      /^[!#$%&'*+.^_`|~\w-]+=t(?:; (?:Path=\/[!-:=-~]*|Domain=[A-Za-z0-9.-]+|HttpOnly|Secure|Partitioned|SameSite=(?:Lax|Strict|None)|Priority=(?:Low|Medium|High)|Max-Age=\d+))*$/;
    let accepted = 0;
    fc.assert(
      fc.property(some, fc.oneof(fc.constant("user"), fc.string()), (given, name) => {
        try {
          const bound = cookie(given as CookieOptions).bind({ name, byValue: true });
          accepted++;
          const [edit] = bound.send(REQUEST, { token: "t", endsAt: undefined, now: 0 });
          expect(edit?.value).toMatch(good);
        } catch (error) {
          if (!(error instanceof TypeError)) throw error;
        }
      }),
      { numRuns: 20_000 },
    );
    expect(accepted).toBeGreaterThan(1000);
  });
});
