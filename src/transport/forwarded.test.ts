import { describe, expect, test } from "vitest";
import { cameSecurely, forwardingHeader, isLocal, saidByProxy } from "./forwarded.ts";
import type { RequestView } from "./transport.ts";

function view(headers: Readonly<Record<string, string>>, more: Partial<RequestView> = {}): RequestView {
  return { header: (name) => headers[name], method: "GET", url: "/", secure: false, peer: "127.0.0.1", ...more };
}

describe("what a trusted proxy says", () => {
  test.each<[headers: Record<string, string>, said: "https" | "http" | undefined]>([
    [{}, undefined],
    [{ "x-forwarded-proto": "https" }, "https"],
    [{ "x-forwarded-proto": "HTTPS" }, "https"],
    [{ "x-forwarded-proto": "wss" }, "https"],
    [{ "x-forwarded-proto": " https , http" }, "https"],
    [{ "x-forwarded-proto": "http, https" }, "http"],
    [{ "x-forwarded-proto": "httpsx" }, "http"],
    [{ "x-forwarded-proto": "" }, undefined],
    [{ "x-forwarded-proto": "," }, undefined],
    [{ forwarded: "proto=https" }, "https"],
    [{ forwarded: "for=192.0.2.43;proto=https;by=203.0.113.60" }, "https"],
    [{ forwarded: 'for="[2001:db8::1]:4711"; Proto="https"' }, "https"],
    [{ forwarded: 'for="a,b;proto=http" ;proto=https' }, "https"],
    [{ forwarded: "for=1;proto=http, for=2;proto=https" }, "http"],
    [{ forwarded: "for=1, for=2;proto=https" }, undefined],
    [{ forwarded: 'for="open;proto=https' }, undefined],
    [{ forwarded: "secret-proto=https" }, undefined],
    [{ forwarded: "proto" }, undefined],
    [{ forwarded: "" }, undefined],
    [{ "x-forwarded-proto": "http", forwarded: "proto=https" }, "http"],
    [{ "x-forwarded-proto": "https", forwarded: "proto=http" }, "https"],
  ])("%j: %s", (headers, said) => {
    expect(saidByProxy(view(headers), true)).toBe(said);
  });

  test("is believed both ways, and only from whom it is to be believed", () => {
    const https = view({ "x-forwarded-proto": "https" }, { peer: "10.0.0.7" });
    const http = view({ "x-forwarded-proto": "http" }, { peer: "10.0.0.7", secure: true });
    expect(cameSecurely(https, true)).toBe(true);
    expect(cameSecurely(https, false)).toBe(false);
    expect(cameSecurely(https, (peer) => peer === "10.0.0.7")).toBe(true);
    expect(cameSecurely(https, (peer) => peer === "10.0.0.8")).toBe(false);
    expect(cameSecurely({ ...https, peer: undefined }, () => true)).toBe(false);
    expect(cameSecurely(http, true)).toBe(false);
    expect(cameSecurely(http, false)).toBe(true);
  });

  test.each([
    " ".repeat(100_000),
    `for=${" ".repeat(100_000)}"`,
    `for="${"\\".repeat(100_000)}`,
    "a=b;".repeat(30_000),
  ])("takes time in proportion to a hostile Forwarded header (%#)", (forwarded) => {
    const start = performance.now();
    saidByProxy(view({ forwarded }), true);
    expect(performance.now() - start).toBeLessThan(1000);
  });
});

describe("P30: a request from the developer's own machine", () => {
  test.each([
    "localhost",
    "LOCALHOST:3000",
    "shop.localhost",
    "a.b-c.localhost:8080",
    "127.0.0.1:3000",
    "127.255.0.9",
    "[::1]:3000",
  ])("Host: %s is this machine", (host) => {
    expect(isLocal(view({ host }))).toBe(true);
  });

  test.each([
    "localhost.example",
    "notlocalhost",
    ".localhost",
    "127.0.0.1.nip.io",
    "127.0.0.256",
    "127.1",
    "128.0.0.1",
    "0.0.0.0",
    "192.168.1.2",
    "[::2]",
    "::1",
    "localhost:3000:80",
    "localhost:x",
    "localhost@evil.example",
    "user@localhost",
    "localhost, evil.example",
    "localhost/",
    " localhost",
    "localhost\n",
    "",
  ])("Host: %j is not", (host) => {
    expect(isLocal(view({ host }))).toBe(false);
  });

  test.each(["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "::FFFF:127.0.0.1"])(
    "peer %s is this machine",
    (peer) => {
      expect(isLocal(view({ host: "localhost" }, { peer }))).toBe(true);
    },
  );

  test.each(["172.17.0.1", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "", "localhost"])("peer %j is not", (peer) => {
    expect(isLocal(view({ host: "localhost" }, { peer }))).toBe(false);
  });

  test("an unknown peer counts for nothing, either way", () => {
    expect(isLocal(view({ host: "localhost" }, { peer: undefined }))).toBe(true);
    expect(isLocal(view({ host: "shop.example" }, { peer: undefined }))).toBe(false);
  });

  test("where the target is an absolute URL, it has to agree with Host", () => {
    expect(isLocal(view({}, { url: "http://localhost:3000/a?b=//c" }))).toBe(true);
    expect(isLocal(view({}, { url: "http://shop.example/" }))).toBe(false);
    expect(isLocal(view({ host: "localhost" }, { url: "http://shop.example/" }))).toBe(false);
    expect(isLocal(view({ host: "shop.example" }, { url: "http://localhost/" }))).toBe(false);
    expect(isLocal(view({}))).toBe(false);
  });

  test.each([
    "Forwarded",
    "Via",
    "X-Real-IP",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Server",
    "X-Forwarded-By",
    "X-Forwarded-Prefix",
    "X-Forwarded-Scheme",
    "X-Forwarded-Protocol",
    "X-Forwarded-Ssl",
    "X-Forwarded-Uri",
  ])("a %s header shows a proxy, even an empty one", (name) => {
    for (const value of ["1", ""]) {
      const request = view({ host: "localhost:3000", [name.toLowerCase()]: value });
      expect(isLocal(request)).toBe(false);
      expect(forwardingHeader(request)).toBe(name);
    }
  });

  test("a browser that calls another origin the same one shows a proxy that has rewritten Host", () => {
    const from = (origin: Record<string, string>): boolean =>
      isLocal(view({ host: "localhost:3000", "sec-fetch-site": "same-origin", ...origin }));
    expect(from({ origin: "https://shop.example" })).toBe(false);
    expect(from({ referer: "https://shop.example/sign-in" })).toBe(false);
    expect(from({ origin: "http://localhost:5173" })).toBe(true);
    expect(from({ origin: "null" })).toBe(true);
    expect(from({})).toBe(true);
    // What comes back from an identity provider is another site's request, not another origin's name for ours.
    expect(from({ "sec-fetch-site": "cross-site", origin: "https://id.example" })).toBe(true);
  });
});
