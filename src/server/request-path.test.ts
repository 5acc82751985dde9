import { describe, expect, test } from "vitest";
import { Refusal } from "./endpoint.ts";
import type { Mount } from "./mount.ts";
import { segmentsOf } from "./request-path.ts";
import { routesTo } from "./routes.ts";

describe("a path", () => {
  test("is its segments, decoded", () => {
    expect(segmentsOf("/v1/sessions/user")).toEqual(["v1", "sessions", "user"]);
    expect(segmentsOf("/a%20b/%C3%A4/..c/%25")).toEqual(["a b", "ä", "..c", "%"]);
  });

  test.each([
    ["", "*", "v1", "http://other/v1"],
    ["/", "/a/", "//a", "/a//b", "/./a", "/a/..", "/../a"],
    ["/%2e%2e/a", "/%2E/a", "/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b", "/a%00", "/a%0d%0ab", "/a%7f"],
    ["/%", "/%2", "/%zz", "/%ff", "/%c0%af", "/%ed%a0%80"],
    ["/a b", "/a#b", '/"', "/ä", "/\u0001", "/a|b", "/{a}", "/^"],
  ])("that can be written in another way is refused: %s", (...paths) => {
    for (const path of paths) expect(() => segmentsOf(path), path).toThrow(Refusal);
  });
});

describe("a route", () => {
  const endpoint = () => undefined;
  const store: Mount = { kind: "endpoint", path: "/v1/store", methods: ["POST"], endpoint };
  const sessions: Mount = { kind: "endpoint", path: "/v1/sessions", methods: ["GET"], below: true, endpoint };
  const proxy: Mount = { kind: "proxy", path: "/forward-auth/shop/user", node: () => {} };
  const routes = routesTo([store, sessions, proxy]);

  test("is found by the whole path, with or without a query", () => {
    expect(routes.find("/v1/store")).toMatchObject({ mount: store, path: [], search: "" });
    expect(routes.find("/v1/store?a=1")).toMatchObject({ mount: store, path: [], search: "a=1" });
    expect(routes.find("/v1/stor")).toBeUndefined();
    expect(routes.find("/v1/storex")).toBeUndefined();
    expect(routes.find("/v1/store/x")).toBeUndefined();
    expect(routes.find("/v1/%73tore")).toBeUndefined();
  });

  test("is found by the beginning of the path, where what is below belongs to it", () => {
    expect(routes.find("/v1/sessions/user/a%20b?subject=x&y")).toMatchObject({
      mount: sessions,
      path: ["user", "a b"],
      search: "subject=x&y",
    });
    expect(routes.find("/v1/sessionsx/user")).toBeUndefined();
    expect(() => routes.find("/v1/sessions/../store")).toThrow(Refusal);
  });

  test("of a proxy takes whatever follows: it is the path of somebody else's request", () => {
    for (const rest of ["", "?x", "/", "//a/../b", "/%2f?q"]) {
      expect(routes.find(`/forward-auth/shop/user${rest}`)?.mount, rest).toBe(proxy);
    }
    expect(routes.find("/forward-auth/shop/users")).toBeUndefined();
  });

  test("belongs to one mount", () => {
    expect(() => routesTo([store, store])).toThrow(TypeError);
  });
});
