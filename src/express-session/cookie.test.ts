import { createHmac, createSecretKey, randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { Cookie, cookieOf } from "./cookie.ts";
import { signerOf } from "./signature.ts";

const MINUTE = 60_000;

describe("the cookie of a session", () => {
  test("lives until the browser is closed, is for every path, and out of reach of scripts, unless said otherwise", () => {
    const cookie = new Cookie();
    expect([cookie.path, cookie.httpOnly, cookie.expires, cookie.maxAge, cookie.originalMaxAge]).toEqual([
      "/",
      true,
      null,
      null,
      null,
    ]);
    expect(cookie.serialize("name", "a b")).toBe("name=a%20b; Path=/; HttpOnly");
  });

  test("takes every attribute that is given", () => {
    const attributes = {
      path: "/foo",
      domain: "a.example",
      httpOnly: false,
      secure: true,
      sameSite: "strict",
    } as const;
    const cookie = new Cookie({ ...attributes, priority: "high", partitioned: true });
    expect(cookie.data).toMatchObject({ ...attributes, priority: "high", partitioned: true });
    expect(cookie.serialize("n", "v")).toBe(
      "n=v; Domain=a.example; Path=/foo; Secure; Partitioned; Priority=High; SameSite=Strict",
    );
  });

  test("maxAge is a time from now on, and originalMaxAge what it was", () => {
    const before = Date.now();
    const cookie = new Cookie({ maxAge: MINUTE });
    const end = cookie.expires?.getTime() ?? 0;
    expect(end - before).toBeGreaterThanOrEqual(MINUTE);
    expect(end - before).toBeLessThan(MINUTE + 1000);
    expect(Math.abs((cookie.maxAge ?? 0) - MINUTE)).toBeLessThan(1000);
    expect(Math.abs((cookie.originalMaxAge ?? 0) - MINUTE)).toBeLessThan(1000);
  });

  test("maxAge may be a Date, and expires gives maxAge", () => {
    const end = new Date(Date.now() + MINUTE);
    expect(new Cookie({ maxAge: end }).expires).toBe(end);
    expect(Math.abs((new Cookie({ expires: end }).maxAge ?? 0) - MINUTE)).toBeLessThan(1000);
  });

  test.each(["42", true, {}, () => {}])("maxAge %s is refused", (maxAge) => {
    expect(() => new Cookie({ maxAge: maxAge as never })).toThrow(/maxAge/);
  });

  test.each([42, "foo", true, () => {}])("options %s are refused", (options) => {
    expect(() => new Cookie(options as never)).toThrow(/options/);
  });

  test("an option data changes nothing: it would hide the attributes", () => {
    expect(new Cookie({ data: { path: "/x" }, path: "/foo" } as never).data.path).toBe("/foo");
  });

  test("an end that is no date is refused when the cookie goes out", () => {
    expect(() => new Cookie({ expires: new Date(Number.NaN) }).serialize("n", "v")).toThrow(
      "option expires is invalid",
    );
  });

  test("as JSON and back, it is the same cookie", () => {
    const cookie = new Cookie({ maxAge: MINUTE, sameSite: "lax", secure: true });
    const back = cookieOf({ cookie: JSON.parse(JSON.stringify(cookie)) as unknown });
    expect(back.data).toEqual(cookie.data);
    expect(back.expires).toBeInstanceOf(Date);
  });

  test("a record without a cookie is an error that says so", () => {
    expect(() => cookieOf({ cookie: undefined })).toThrow(/Cannot read prop.*expires/);
  });
});

describe("the signature", () => {
  const value = (id: string, secret: string | Buffer): string =>
    `s:${id}.${createHmac("sha256", secret).update(id).digest("base64").replaceAll("=", "")}`;

  test("is that of express-session: the id, and its HMAC-SHA-256 without padding", () => {
    const signer = signerOf(["keyboard cat"]);
    for (const id of ["apple", "%", "/foo", "ünï", ""]) {
      expect(signer.sign(id)).toBe(value(id, "keyboard cat"));
      expect(signer.unsign(signer.sign(id))).toBe(id);
      expect(signer.read(encodeURIComponent(signer.sign(id)))).toBe(id);
    }
  });

  test("the first secret signs, all are accepted, as text, bytes or key", () => {
    const bytes = randomBytes(32);
    const signer = signerOf(["new", bytes, createSecretKey(bytes), "old"]);
    expect(signer.sign("a")).toBe(value("a", "new"));
    for (const secret of ["new", bytes, "old"]) expect(signer.unsign(value("a", secret))).toBe("a");
    expect(signer.unsign(value("a", "other"))).toBeUndefined();
  });

  test.each(["", "s:", "s:a", "s:a.", "a.b", "j:{}", "s:.", "%", "%E0%A4%A", '"', '""', "s:a.%00"])(
    "%j is signed by nobody",
    (text) => {
      const signer = signerOf(["secret"]);
      expect([signer.unsign(text), signer.read(text), signer.read(text)]).toEqual([undefined, undefined, undefined]);
    },
  );

  test("one changed character of id or signature is refused, also after the right one was seen", () => {
    const signer = signerOf(["secret"]);
    const good = signer.sign("abcdef");
    expect(signer.read(good)).toBe("abcdef");
    for (let at = 2; at < good.length; at++) {
      const bad = good.slice(0, at) + (good[at] === "A" ? "B" : "A") + good.slice(at + 1);
      expect(signer.read(bad), String(at)).toBeUndefined();
    }
  });

  test("a cookie in quotes is read", () => {
    const signer = signerOf(["secret"]);
    expect(signer.read(`"${signer.sign("a")}"`)).toBe("a");
  });
});
