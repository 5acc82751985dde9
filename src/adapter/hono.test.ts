import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { StoreError } from "../errors.ts";
import { breakStore, kitSession, kitStore, slowStore } from "../testing/adapter-kit.ts";
import { sessions } from "./hono.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  vi.spyOn(console, "warn").mockImplementation(() => {});
  return () => vi.restoreAllMocks();
});

describe.each([
  ["at once", kitStore],
  ["by promises", slowStore],
])("with a store that answers %s", (_, makeStore) => {
  test("Response.redirect(), whose headers cannot be changed, carries the session, and cookies of the app", async () => {
    const user = kitSession(makeStore());
    const app = new Hono();
    app.use(sessions(user));
    app.get("/", async (c) => {
      (await user.from(c)).set({ count: 1 });
      c.header("Set-Cookie", "a=1");
      return Response.redirect("https://app.example/next", 303);
    });
    const response = await app.request("http://localhost/");
    expect([response.status, response.headers.get("location")]).toEqual([303, "https://app.example/next"]);
    expect(response.headers.getSetCookie()).toHaveLength(1);
  });

  test("a session that cannot be saved goes to app.onError, once, without what the handler prepared", async () => {
    const store = makeStore();
    breakStore(store, "create");
    const user = kitSession(store);
    const errors: unknown[] = [];
    const app = new Hono();
    app.use(async (c, next) => {
      c.header("X-Before", "1");
      await next();
    });
    app.use(sessions(user));
    app.get("/", async (c) => {
      (await user.from(c)).set({ count: 1 });
      c.status(201);
      c.header("X-Handler", "1");
      c.header("X-Before", "2");
      return c.text("the handler's body", { headers: { "Set-Cookie": "a=1" } });
    });
    app.onError((error, c) => {
      errors.push(error);
      return c.text("the app's error page", 503);
    });
    const response = await app.request("http://localhost/");
    expect([response.status, await response.text()]).toEqual([503, "the app's error page"]);
    expect(response.headers.get("x-before")).toBe("1");
    expect(response.headers.get("x-handler")).toBeNull();
    expect(response.headers.getSetCookie()).toEqual([]);
    expect(errors).toEqual([expect.any(StoreError)]);
  });

  test("the status that a handler set is not that of the error page", async () => {
    const store = makeStore();
    breakStore(store, "create");
    const user = kitSession(store);
    const app = new Hono();
    app.use(sessions(user));
    app.get("/", async (c) => {
      (await user.from(c)).set({ count: 1 });
      c.status(201);
      return c.text("the handler's body");
    });
    app.onError((_error, c) => c.text("a page without a status"));
    expect((await app.request("http://localhost/")).status).toBe(200);
  });

  test("an HTTPException is a throw: a sign-in is kept, data is not", async () => {
    const user = kitSession(makeStore());
    const app = new Hono();
    app.use("/in/*", sessions(user));
    app.get("/in/:how", async (c) => {
      const session = await user.from(c);
      if (c.req.param("how") === "login") session.authenticate("ada");
      session.set({ count: 1 });
      throw new HTTPException(403, { message: "no" });
    });
    const refused = await app.request("http://localhost/in/set");
    expect([refused.status, refused.headers.getSetCookie()]).toEqual([403, []]);
    expect((await app.request("http://localhost/in/login")).headers.getSetCookie()).toHaveLength(1);
  });

  test("an error that an app inside answers itself is a throw, too", async () => {
    const store = makeStore();
    const user = kitSession(store);
    const inner = new Hono().get("/", async (c) => {
      (await user.from(c)).set({ count: 1 });
      throw new Error("a handler's mistake");
    });
    inner.onError((_error, c) => c.text("inner", 500));
    const app = new Hono();
    app.use(sessions(user));
    app.route("/inner", inner);
    expect(await (await app.request("http://localhost/inner")).text()).toBe("inner");
    expect(store.calls).toEqual([]);
  });
});

test("a session is found when middleware gave the context another raw request", async () => {
  const user = kitSession(kitStore());
  const app = new Hono();
  app.use(sessions(user));
  app.use(async (c, next) => {
    c.req.raw = new Request(c.req.raw);
    await next();
  });
  app.get("/", async (c) => c.text(String((await user.from(c)).isNew)));
  expect(await (await app.request("http://localhost/")).text()).toBe("true");
});

test("what is thrown and is no error goes to whoever called the app", async () => {
  const user = kitSession(slowStore());
  const app = new Hono();
  app.use(sessions(user));
  app.get("/", async (c) => {
    (await user.from(c)).set({ count: 1 });
    // oxlint-disable-next-line typescript/only-throw-error -- that is the point
    throw "a string";
  });
  await expect(Promise.resolve(app.request("http://localhost/"))).rejects.toBe("a string");
});

test("sessions() takes at least one definition, and only definitions", () => {
  expect(() => sessions()).toThrow(TypeError);
  expect(() => sessions({} as never)).toThrow(TypeError);
});
