import { describe, expect, test } from "vitest";
import { memoryStore } from "../store/memory.ts";
import { callersOf, checkedCredentials, newCredential } from "./credentials.ts";

describe("a credential", () => {
  const shop = newCredential("shop", "shop");
  const other = newCredential("shop", "shop");
  const blog = newCredential("blog", "news");
  const callers = callersOf([shop.credential, other.credential, blog.credential], memoryStore());

  test("is 32 random bytes that a scanner finds, and is kept as a hash", () => {
    expect(shop.text).toMatch(/^coatcheck_[A-Za-z0-9_-]{43}$/);
    expect(shop.text).not.toBe(other.text);
    expect(JSON.stringify(shop.credential)).not.toContain(shop.text.slice(10));
    expect(shop.credential.sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  test("tells whose a request is, each of several for one application", () => {
    expect(callers.of(`Bearer ${shop.text}`)).toMatchObject({ application: "shop", namespace: "shop" });
    expect(callers.of(`bearer ${other.text}`)).toBe(callers.of(`Bearer ${shop.text}`));
    expect(callers.of(`Bearer ${blog.text}`)).toMatchObject({ application: "blog", namespace: "news" });
    expect(callers.applications).toEqual(["shop", "blog"]);
  });

  test("is nothing else", () => {
    const wrong = [
      shop.text,
      `Basic ${shop.text}`,
      `Bearer  ${shop.text}`,
      `Bearer ${shop.text} `,
      `Bearer ${shop.text}x`,
    ];
    const hashes = [`Bearer ${shop.credential.sha256}`, "Bearer ", "Bearer", "", `Bearer ${"x".repeat(10_000)}`];
    for (const text of [undefined, ...wrong, ...hashes]) expect(callers.of(text), text).toBeUndefined();
  });

  test("is made for names that can be only", () => {
    for (const name of ["", "a b", "-a", "a\n", "x".repeat(65), "ä"])
      expect(() => newCredential(name, "shop")).toThrow(TypeError);
    for (const name of ["", "Shop", "a:b", "a/b"]) expect(() => newCredential("shop", name)).toThrow(TypeError);
  });
});

describe("a list of credentials", () => {
  const { credential } = newCredential("shop", "shop");
  const another = newCredential("shop", "shop").credential;

  test("is taken when it is one", () => {
    expect(checkedCredentials([credential, another])).toEqual([credential, another]);
    expect(checkedCredentials([])).toEqual([]);
  });

  test.each([
    [undefined, /expected a list/],
    [{}, /expected a list/],
    [[credential, null], /number 2: expected an object/],
    [[{ ...credential, sha256: "x" }], /number 1: sha256/],
    [[{ ...credential, namespace: "A" }], /number 1: namespace/],
    [[{ ...credential, application: "" }], /number 1: application/],
    [[{ ...credential, createdAt: "soon" }], /number 1: createdAt/],
    [[{ ...credential, id: 7 }], /number 1: id/],
    [[credential, credential], /number 2: another one has the id/],
    [[credential, { ...credential, id: "2" }], /number 2: it is there already/],
    [[credential, { ...another, namespace: "blog" }], /number 2: shop has the namespace shop already/],
  ])("is refused with where it is wrong: %#", (given, message) => {
    expect(() => checkedCredentials(given)).toThrow(message);
  });
});
