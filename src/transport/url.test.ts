import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RequestView } from "./transport.ts";
import { takeApart, withToken, type UrlForm } from "./url-syntax.ts";
import { url } from "./url.ts";

const CONTEXT = { name: "user", byValue: false };
const TOKEN = "Zm9v-_YmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZ";

function request(target: string, more: Partial<RequestView> & { headers?: Record<string, string> } = {}): RequestView {
  const { headers = { host: "shop.example" }, ...rest } = more;
  return { header: (name) => headers[name], method: "GET", url: target, secure: true, peer: "192.0.2.1", ...rest };
}

describe("a token in a request target", () => {
  test.each<[form: UrlForm, target: string, rest: string, values: string[]]>([
    ["query", "/?user=a", "/", ["a"]],
    ["query", "/cart?user=a&x=1", "/cart?x=1", ["a"]],
    ["query", "/cart?x=1&user=a&y=%20", "/cart?x=1&y=%20", ["a"]],
    ["query", "/cart?user=a&user=b&user=a", "/cart", ["a", "b"]],
    ["query", "/cart?user=", "/cart", []],
    ["query", "/cart?xuser=a&users=b&user", "/cart?xuser=a&users=b&user", []],
    ["query", "/cart?USER=a&%75ser=b", "/cart?USER=a&%75ser=b", []],
    ["query", "/user=a?x=user=b", "/user=a?x=user=b", []],
    ["query", "/cart;user=a?b", "/cart;user=a?b", []],
    ["query", "http://shop.example/?user=a#f", "http://shop.example/#f", ["a"]],
    ["query", "*", "*", []],
    ["query", "", "", []],
    ["path", "/cart;user=a", "/cart", ["a"]],
    ["path", "/cart;user=a?x=1", "/cart?x=1", ["a"]],
    ["path", "/b;x=1;user=a;user=b", "/b;x=1", ["a", "b"]],
    ["path", "/b;user=a;x=1", "/b;user=a;x=1", []],
    ["path", "/shop/;user=a", "/shop/", ["a"]],
    ["path", "/;user=a", "/", ["a"]],
    ["path", "/cart;xuser=b;user=", "/cart;xuser=b", []],
    ["path", "/cart;user=;xuser=b", "/cart;user=;xuser=b", []],
    ["path", "/cart?user=a;user=b", "/cart?user=a;user=b", []],
    ["path", "https://shop.example/;user=a", "https://shop.example/", ["a"]],
    // What would become another path, or another host, stays as it is.
    ["path", "/admin;user=a/users", "/admin;user=a/users", []],
    ["path", "/;user=a/evil.example/b;user=c", "/;user=a/evil.example/b", ["c"]],
    ["path", "//evil.example/b;user=c", "//evil.example/b;user=c", []],
    ["path", "/pub/..;user=a", "/pub/..;user=a", []],
    ["path", "/pub/.;user=a?x", "/pub/.;user=a?x", []],
    ["path", "..;user=a", "..;user=a", []],
    ["path", "https://shop.example;user=a", "https://shop.example;user=a", []],
  ])("%s: %s is %s with %j", (form, target, rest, values) => {
    expect(takeApart(target, "user", form)).toEqual({ url: rest, values });
  });

  test("never makes reading throw, and nothing else in the target changes", () => {
    const piece = fc.constantFrom("user=", ";user=", "?", "&", "/", "#", "a", "=", ";", "%", "%zz", "\u0000", "é");
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }).map((all) => all.join("")),
        fc.constantFrom<UrlForm>("query", "path"),
        (target, form) => {
          const once = takeApart(target, "user", form);
          expect(takeApart(once.url, "user", form).values).toEqual([]);
          if (once.values.length === 0 && !target.includes("user=")) expect(once.url).toBe(target);
        },
      ),
      { numRuns: 5000 },
    );
  });
});

describe("a link", () => {
  const shop = { target: "/cart/list?page=2", host: "shop.example", secure: true };
  const linked = (href: string, form: UrlForm, context = shop): string => withToken(href, "user", form, "T", context);

  test.each<[href: string, query: string, path: string]>([
    ["/pay", "/pay?user=T", "/pay;user=T"],
    ["/pay?x=1", "/pay?x=1&user=T", "/pay;user=T?x=1"],
    ["/pay?", "/pay?user=T", "/pay;user=T?"],
    ["/pay#end", "/pay?user=T#end", "/pay;user=T#end"],
    ["pay", "pay?user=T", "pay;user=T"],
    ["../pay?x=1&", "../pay?x=1&user=T", "../pay;user=T?x=1&"],
    ["?page=3", "?page=3&user=T", "./list;user=T?page=3"],
    ["", "?page=2&user=T", "./list;user=T?page=2"],
    ["..", "..?user=T", "../;user=T"],
    ["./", "./?user=T", "./;user=T"],
    ["https://shop.example/pay", "https://shop.example/pay?user=T", "https://shop.example/pay;user=T"],
    ["https://SHOP.example", "https://shop.example/?user=T", "https://shop.example/;user=T"],
    ["https://shop.example:443/pay", "https://shop.example/pay?user=T", "https://shop.example/pay;user=T"],
    ["//shop.example/pay", "/pay?user=T", "/pay;user=T"],
    ["\\pay", "/pay?user=T", "/pay;user=T"],
    [" /pay", "/pay?user=T", "/pay;user=T"],
    ["/a b", "/a%20b?user=T", "/a%20b;user=T"],
    ["/pay;jsessionid=1", "/pay;jsessionid=1?user=T", "/pay;jsessionid=1;user=T"],
  ])("to %j of this site carries the token", (href, query, path) => {
    expect(linked(href, "query")).toBe(query);
    expect(linked(href, "path")).toBe(path);
  });

  test("replaces a token that it has already", () => {
    expect(linked("/pay?user=OLD&x=1", "query")).toBe("/pay?x=1&user=T");
    expect(linked("/pay;user=OLD?x=1", "path")).toBe("/pay;user=T?x=1");
  });

  test.each([
    "https://evil.example/",
    "//evil.example/pay",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "\n//evil.example",
    "ht\ntps://evil.example",
    "\\.//evil.example/",
    " /.//evil.example/",
    "https://shop.example@evil.example/",
    "https://ada@shop.example/",
    "https://shop.example.evil.example/",
    "https://sub.shop.example/",
    "https://shop.example:8443/",
    "http://shop.example/",
    "ws://shop.example/",
    "mailto:ada@shop.example",
    "javascript:alert(1)",
    "data:text/html,hi",
    "blob:https://shop.example/1",
    "https://",
    "#top",
  ])("to %j leaves as it was", (href) => {
    expect(linked(href, "query")).toBe(href);
    expect(linked(href, "path")).toBe(href);
  });

  test("never becomes one to another site by losing the token that it had", () => {
    for (const href of ["//;user=OLD", ".;user=OLD", "/..;user=OLD"]) expect(linked(href, "path")).toBe(href);
  });

  test("to the page itself is none to a script, whatever the page's address is", () => {
    for (const segment of ["javascript:alert(1)", "data:text/html,hi"]) {
      const context = { ...shop, target: `/search/${segment}?page=2` };
      for (const href of ["", "?page=3"]) {
        expect(new URL(linked(href, "path", context), "https://shop.example/search/x").protocol).toBe("https:");
      }
    }
  });

  test("is left as it was where the request target is not to be understood", () => {
    const context = { ...shop, target: "http://[/bad" };
    expect(linked("https://shop.example/", "query", context)).toBe("https://shop.example/");
  });

  test("and target of any length are read in a moment", () => {
    const long = Array.from({ length: 100_000 }, (_, index) => `user=${index}`);
    expect(takeApart(`/?${long.join("&")}`, "user", "query")).toEqual({ url: "/", values: ["0", "1", "2", "3", "4"] });
    expect(takeApart(`/a;${long.join(";")}`, "user", "path").values).toHaveLength(5);
    expect(takeApart(`/a${`;user=${"/;".repeat(50_000)}`}`, "user", "path").values).toEqual([]);
  });

  test("by plain http is given on a plain http site only", () => {
    expect(linked("http://shop.example/", "query", { ...shop, secure: false })).toBe("http://shop.example/?user=T");
    expect(linked("https://shop.example/", "query", { ...shop, secure: false })).toBe("https://shop.example/?user=T");
  });

  test("to a host is left as it was when nobody knows this one's", () => {
    expect(withToken("//shop.example/", "user", "query", "T", { ...shop, host: undefined })).toBe("//shop.example/");
    expect(withToken("//shop.example/", "user", "query", "T", { ...shop, host: "a b" })).toBe("//shop.example/");
  });

  test("never carries a token to another site, whatever it looks like to a browser", () => {
    const piece = fc.constantFrom(
      "/",
      "\\",
      "//",
      "https:",
      "http:",
      "HTTPS:",
      "evil.example",
      "shop.example",
      "@",
      ":",
      "?",
      "#",
      ";",
      ".",
      "\t",
      "\n",
      "\r",
      " ",
      "\u0000",
      "%2f",
      "user=",
      "a",
      "&",
      "[",
      "]",
      "\u3002",
      "\uff0f",
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 10 }).map((all) => all.join("")),
        fc.constantFrom<UrlForm>("query", "path"),
        (href, form) => {
          const link = linked(href, form);
          if (link === href) return;
          const seen = new URL(link, "https://shop.example/cart/list?page=2");
          expect(seen.origin).toBe("https://shop.example");
          expect(seen.href).toContain("user=T");
          const back = takeApart(seen.pathname + seen.search, "user", form);
          expect(back.values).toContain("T");
        },
      ),
      { numRuns: 20_000 },
    );
  });
});

describe("url()", () => {
  test("reads, strips and links under the definition's name or its own", () => {
    for (const [options, name] of [
      [{}, "user"],
      [{ name: "sid" }, "sid"],
    ] as const) {
      const bound = url(options).bind(CONTEXT);
      expect(bound.read(request(`/a?${name}=${TOKEN}`))).toEqual([TOKEN]);
      expect(bound.strip?.(`/a?${name}=${TOKEN}`)).toBe("/a");
      expect(bound.link?.(request(`/a?${name}=OLD`), "", TOKEN)).toBe(`?${name}=${TOKEN}`);
      expect(bound.names).toEqual([`url:${name}`]);
    }
  });

  test("P5: gives one value more than are tried, so that too many shows", () => {
    const target = `/?${"abcdefgh".replace(/./g, "user=$&&")}`;
    expect(url().bind(CONTEXT).read(request(target))).toEqual(["a", "b", "c", "d", "e"]);
  });

  test("P10: hands no token out by itself, and forbids telling other sites the address", () => {
    const bound = url().bind(CONTEXT);
    expect(bound.renews).toBe(false);
    const noStore = { name: "Cache-Control", value: "no-store", mode: "set" };
    expect(bound.send(request("/"), { token: TOKEN, endsAt: undefined, now: 0 })).toEqual([noStore]);
    expect(bound.clear(request("/"))).toEqual([]);
    expect(bound.always).toEqual([{ name: "Referrer-Policy", value: "no-referrer", mode: "set" }, noStore]);
  });

  test("does not lead out of TLS when a proxy says that there was some", () => {
    const link = (headers: Record<string, string>): string | undefined =>
      url()
        .bind(CONTEXT)
        .link?.(
          request("/", { secure: false, headers: { host: "shop.example", ...headers } }),
          "http://shop.example/",
          "T",
        );
    expect(link({})).toBe("http://shop.example/?user=T");
    expect(link({ "x-forwarded-proto": "https" })).toBe("http://shop.example/");
  });

  test("refuses what cannot work, naming the option", () => {
    expect(() => url({ form: "fragment" as never })).toThrow(
      new TypeError('url(): the option "form" must be "query" or "path"'),
    );
    expect(() => url({ name: "a b" })).toThrow(/"name"/);
    expect(() => url({ nam: "a" } as never)).toThrow(/nam is not an option/);
    expect(() => url().bind({ name: "user", byValue: true })).toThrow(/needs a store/);
  });

  test("describes itself without a token", () => {
    expect(url({ form: "path" }).bind(CONTEXT).describe()).toEqual({ kind: "url", name: "user", form: "path" });
  });
});
