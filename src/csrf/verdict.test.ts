import { describe, expect, test } from "vitest";
import type { TrustProxy } from "../transport/forwarded.ts";
import type { RequestView } from "../transport/transport.ts";
import { normalOrigin, ownOrigin } from "./origin.ts";
import { verdictOn } from "./verdict.ts";

type Headers = Readonly<Record<string, string | undefined>>;

function view(headers: Headers, more: Partial<RequestView> = {}): RequestView {
  const all: Headers = { host: "shop.example", ...headers };
  return { header: (name) => all[name], method: "POST", url: "/", secure: true, peer: "10.0.0.7", ...more };
}

const RULES = { trusted: new Set(["https://admin.example", "https://pay.shop.example"]), trustProxy: false };

describe("method × Sec-Fetch-Site × Origin", () => {
  const ORIGINS = {
    absent: undefined,
    own: "https://shop.example",
    trusted: "https://admin.example",
    trustedSibling: "https://pay.shop.example",
    sibling: "https://evil.shop.example",
    parent: "https://example",
    foreign: "https://evil.example",
    otherScheme: "http://shop.example",
    otherPort: "https://shop.example:8443",
    opaque: "null",
    empty: "",
    malformed: "https://shop.example/",
    several: "https://shop.example, https://evil.example",
  } as const;
  type OriginKind = keyof typeof ORIGINS;

  const SITES = {
    absent: undefined,
    sameOrigin: "same-origin",
    none: "none",
    sameSite: "same-site",
    crossSite: "cross-site",
    empty: "",
    wrongCase: "Same-Origin",
    several: "same-origin, cross-site",
    invented: "friendly",
  } as const;
  type SiteKind = keyof typeof SITES;

  const TRUSTED: ReadonlySet<OriginKind> = new Set(["trusted", "trustedSibling"]);

  /** What becomes of a request that is not safe: by what `Sec-Fetch-Site` says, for an origin that is not trusted. */
  const BY_SITE: Readonly<Record<Exclude<SiteKind, "absent">, string>> = {
    sameOrigin: "pass",
    none: "pass",
    sameSite: "same-site",
    crossSite: "cross-site",
    empty: "unknown-site",
    wrongCase: "unknown-site",
    several: "unknown-site",
    invented: "unknown-site",
  };

  /** Where `Sec-Fetch-Site` is absent: by what `Origin` says. */
  const BY_ORIGIN: Readonly<Record<OriginKind, string>> = {
    absent: "unsaid",
    own: "pass",
    trusted: "pass",
    trustedSibling: "pass",
    sibling: "origin",
    parent: "origin",
    foreign: "origin",
    otherScheme: "origin",
    otherPort: "origin",
    opaque: "null-origin",
    empty: "origin",
    malformed: "origin",
    several: "origin",
  };

  const METHODS: readonly (readonly [method: string, upgrade: string | undefined, safe: boolean])[] = [
    ["GET", undefined, true],
    ["HEAD", undefined, true],
    ["OPTIONS", undefined, true],
    ["GET", "h2c", true],
    ["POST", undefined, false],
    ["PUT", undefined, false],
    ["PATCH", undefined, false],
    ["DELETE", undefined, false],
    ["TRACE", undefined, false],
    ["CONNECT", undefined, false],
    ["QUERY", undefined, false],
    ["PROPFIND", undefined, false],
    ["get", undefined, false],
    ["", undefined, false],
    ["GET", "websocket", false],
    ["GET", "WebSocket", false],
    ["GET", "h2c, websocket", false],
    ["GET", "websocket/13", false],
    ["GET", " websocket ,h2c", false],
  ];

  function expected(safe: boolean, site: SiteKind, origin: OriginKind): string {
    if (safe) return "pass";
    if (site === "absent") return BY_ORIGIN[origin];
    return TRUSTED.has(origin) ? "pass" : BY_SITE[site];
  }

  const rows = METHODS.flatMap(([method, upgrade, safe]) =>
    (Object.keys(SITES) as SiteKind[]).flatMap((site) =>
      (Object.keys(ORIGINS) as OriginKind[]).map((origin) => ({ method, upgrade, safe, site, origin })),
    ),
  );

  test("is complete", () => {
    expect(rows).toHaveLength(19 * 9 * 13);
    const outcomes = new Set(rows.map(({ safe, site, origin }) => expected(safe, site, origin)));
    expect([...outcomes].toSorted()).toEqual(
      ["cross-site", "null-origin", "origin", "pass", "same-site", "unknown-site", "unsaid"].toSorted(),
    );
  });

  test.each(METHODS)("%s, Upgrade: %s (safe: %s): every row", (method, upgrade, safe) => {
    for (const row of rows.filter((entry) => entry.method === method && entry.upgrade === upgrade)) {
      const headers = { upgrade, "sec-fetch-site": SITES[row.site], origin: ORIGINS[row.origin] };
      const verdict = verdictOn(view(headers, { method }), undefined, RULES);
      expect({ ...row, verdict }).toEqual({ ...row, verdict: expected(safe, row.site, row.origin) });
    }
  });

  test("a method that middleware has put in the place of another: both have to be safe", () => {
    const cross = { "sec-fetch-site": "cross-site" };
    expect(verdictOn(view(cross, { method: "DELETE" }), "GET", RULES)).toBe("cross-site");
    expect(verdictOn(view(cross, { method: "GET" }), "POST", RULES)).toBe("cross-site");
    expect(verdictOn(view(cross, { method: "GET" }), "HEAD", RULES)).toBe("pass");
  });
});

describe("the server's own origin", () => {
  test.each<[host: string, secure: boolean, origin: string, own: boolean]>([
    ["shop.example", true, "https://shop.example", true],
    ["Shop.EXAMPLE", true, "https://shop.example", true],
    ["shop.example", true, "HTTPS://SHOP.example", true],
    ["shop.example:443", true, "https://shop.example", true],
    ["shop.example", true, "https://shop.example:443", true],
    ["shop.example:80", false, "http://shop.example", true],
    ["shop.example:", false, "http://shop.example", true],
    ["shop.example:80", true, "https://shop.example", false],
    ["shop.example:8443", true, "https://shop.example:8443", true],
    ["shop.example:8443", true, "https://shop.example", false],
    ["shop.example", true, "https://shop.example:8443", false],
    ["shop.example", true, "http://shop.example", false],
    ["shop.example", false, "https://shop.example", false],
    ["shop.example", true, "https://shop.example.", false],
    ["shop.example", true, "https://xshop.example", false],
    ["shop.example", true, "https://shop.example.evil.example", false],
    ["shop.example", true, "https://shop.example@evil.example", false],
    ["shop.example", true, "https://evil.example#shop.example", false],
    ["shop.example", true, "https://shop.example/", false],
    ["shop.example", true, "https://shop.example\\@evil.example", false],
    ["shop.example", true, "shop.example", false],
    ["shop.example", true, "//shop.example", false],
    ["shop.example", true, " https://shop.example", false],
    ["shop.example", true, "https://shop.example https://evil.example", false],
    ["localhost:3000", false, "http://localhost:3000", true],
    ["localhost:3000", false, "http://127.0.0.1:3000", false],
    ["[::1]:3000", false, "http://[::1]:3000", true],
    ["[0:0::1]:3000", false, "http://[::1]:3000", true],
    ["xn--bcher-kva.example", true, "https://xn--bcher-kva.example", true],
    ["shop.example/evil", true, "https://shop.example", false],
    ["user@shop.example", true, "https://shop.example", false],
    ["shop.example, evil.example", true, "https://shop.example", false],
    ["shop example", true, "https://shop", false],
    ["", true, "https://", false],
    ["null", false, "null", false],
    ["shop.example:99999", true, "https://shop.example:99999", false],
  ])("Host: %s (TLS: %s), Origin: %s: %s", (host, secure, origin, own) => {
    const verdict = verdictOn(view({ host, origin }, { secure }), undefined, RULES);
    expect(verdict).toBe(own ? "pass" : origin === "null" ? "null-origin" : "origin");
  });

  const PROXIED: Headers = {
    host: "10.0.0.1:3000",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "shop.example, edge.example",
  };
  const isProxy = (peer: string): boolean => peer === "10.0.0.7";

  test.each<[what: string, trustProxy: TrustProxy, headers: Headers, own: string]>([
    ["a proxy that is not trusted", false, PROXIED, "http://10.0.0.1:3000"],
    ["a proxy that is trusted", true, PROXIED, "https://shop.example"],
    ["a proxy that is trusted by its address", isProxy, PROXIED, "https://shop.example"],
    ["another peer", () => false, PROXIED, "http://10.0.0.1:3000"],
    ["Forwarded", true, { forwarded: 'host="shop.example:8443";proto=https, host=b' }, "https://shop.example:8443"],
    ["Forwarded without a host", true, { host: "a.example", forwarded: "proto=https" }, "https://a.example"],
    [
      "both",
      true,
      { "x-forwarded-host": "a.example", forwarded: "host=b.example", "x-forwarded-proto": "http" },
      "http://a.example",
    ],
    ["an empty X-Forwarded-Host", true, { host: "a.example", "x-forwarded-host": "" }, "http://a.example"],
  ])("%s", (_what, trustProxy, headers, own) => {
    expect(ownOrigin(view(headers, { secure: false }), trustProxy)).toBe(own);
  });

  test("a forwarded host that is none is nobody's origin, and not the Host in its place", () => {
    const odd = { ...PROXIED, "x-forwarded-host": "shop.example/@evil" };
    expect(ownOrigin(view(odd), true)).toBeUndefined();
    expect(
      verdictOn(view({ ...odd, origin: "https://10.0.0.1:3000" }), undefined, { ...RULES, trustProxy: true }),
    ).toBe("origin");
  });

  test("a request of the web platform that has no Host is for the host of its URL", () => {
    const url = "https://Shop.example:443/cart?a=//evil.example";
    expect(ownOrigin(view({ host: undefined }, { url }), false)).toBe("https://shop.example");
    expect(ownOrigin(view({ host: undefined }), false)).toBeUndefined();
    const unheard = view({ host: undefined, origin: "https://shop.example" });
    expect(verdictOn(unheard, undefined, RULES)).toBe("origin");
  });

  test("Origin: null is not trusted under any name", () => {
    expect(normalOrigin("null")).toBeUndefined();
    for (const origin of ["NULL", "null://null", " null"]) {
      expect(verdictOn(view({ origin }), undefined, RULES)).toBe("origin");
    }
  });

  test("origins of apps and extensions may be trusted, too", () => {
    expect(normalOrigin("capacitor://localhost")).toBe("capacitor://localhost");
    expect(normalOrigin("chrome-extension://abcdef")).toBe("chrome-extension://abcdef");
    expect(normalOrigin("file://")).toBeUndefined();
    expect(normalOrigin("data:text/html,x")).toBeUndefined();
  });
});
