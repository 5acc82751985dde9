import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import Koa from "koa";
import { beforeEach, expect, test, vi } from "vitest";
import { StoreError } from "../errors.ts";
import { breakStore, kitSession, kitStore, slowStore } from "../testing/adapter-kit.ts";
import { wireFetch } from "../testing/wire-fetch.ts";
import { sessions } from "./koa.ts";

beforeEach(() => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  return () => vi.restoreAllMocks();
});

async function answerOf(app: Koa, headers: Record<string, string> = {}): Promise<Response> {
  const server = createServer(app.callback()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const response = await wireFetch(new Request(`http://127.0.0.1:${port}/`, { headers }));
  const text = await response.text();
  server.closeAllConnections();
  server.close();
  return new Response(text, response);
}

test.each([
  ["at once", kitStore],
  ["by promises", slowStore],
])("a session that cannot be saved, %s, is told to app.on('error') once", async (_, makeStore) => {
  const store = makeStore();
  breakStore(store, "create");
  const user = kitSession(store);
  const errors: unknown[] = [];
  const app = new Koa();
  app.on("error", (error) => errors.push(error));
  app.use(sessions(user));
  app.use(async (ctx) => {
    (await user.from(ctx)).set({ count: 1 });
    ctx.set("X-Handler", "1");
    ctx.body = "the handler's body";
  });
  const response = await answerOf(app);
  expect([response.status, await response.text()]).toEqual([503, "Service Unavailable"]);
  expect(response.headers.get("cache-control")).toBe("no-store");
  expect(response.headers.get("x-handler")).toBeNull();
  expect(errors).toEqual([expect.any(StoreError)]);
});

test("middleware before it may answer for a session that cannot be saved, and finds nothing of the handler's", async () => {
  const store = slowStore();
  breakStore(store, "create");
  const user = kitSession(store);
  const app = new Koa();
  app.use(async (ctx, next) => {
    ctx.set("X-Before", "1");
    try {
      await next();
    } catch (error) {
      expect(error).toBeInstanceOf(StoreError);
      expect([ctx.status, ctx.body ?? "none"]).toEqual([503, "none"]);
      ctx.body = "the app's error page";
    }
  });
  app.use(sessions(user));
  app.use(async (ctx) => {
    (await user.from(ctx)).set({ count: 1 });
    ctx.set({ "X-Handler": "1", "X-Before": "2" });
    ctx.body = { handler: true };
  });
  const response = await answerOf(app);
  expect([response.status, await response.text()]).toEqual([503, "the app's error page"]);
  expect([response.headers.get("x-before"), response.headers.get("x-handler")]).toEqual(["1", null]);
});

test("what middleware before it sets afterwards, or throws, does not undo what the client must be told", async () => {
  for (const fails of [false, true]) {
    const user = kitSession(slowStore());
    const app = new Koa();
    app.silent = true;
    app.use(async (ctx, next) => {
      await next();
      ctx.set("Cache-Control", "public, max-age=60");
      if (fails) throw new Error("a mistake outside");
    });
    app.use(sessions(user));
    app.use(async (ctx) => {
      (await user.from(ctx)).authenticate("ada");
      ctx.body = "welcome";
    });
    const response = await answerOf(app);
    expect(response.status).toBe(fails ? 500 : 200);
    expect(response.headers.getSetCookie()).toHaveLength(1);
    expect(response.headers.get("cache-control")).toBe("no-store");
  }
});

test("what the handler threw is what is answered when the session cannot be saved either: both are told", async () => {
  const store = slowStore();
  breakStore(store, "create");
  const user = kitSession(store);
  const errors: unknown[] = [];
  const app = new Koa();
  app.on("error", (error) => errors.push(error));
  app.use(sessions(user));
  app.use(async (ctx) => {
    (await user.from(ctx)).authenticate("ada");
    ctx.throw(418, "a teapot");
  });
  expect((await answerOf(app)).status).toBe(418);
  expect(errors).toEqual([expect.any(StoreError), expect.objectContaining({ status: 418 })]);
});

test("with `ctx.respond = false` a session may change until the first byte, after the middleware is done", async () => {
  const user = kitSession(slowStore());
  const app = new Koa();
  app.use(sessions(user));
  app.use(async (ctx) => {
    ctx.respond = false;
    const session = await user.from(ctx);
    setTimeout(() => {
      session.set({ count: 1 });
      ctx.res.writeHead(200).end("later");
    }, 10);
  });
  const response = await answerOf(app);
  expect([response.status, await response.text()]).toEqual([200, "later"]);
  expect(response.headers.getSetCookie()).toHaveLength(1);
});

test("a commit by raw bytes that fails is thrown to middleware before it, once", async () => {
  const store = slowStore();
  breakStore(store, "create");
  const user = kitSession(store);
  const errors: unknown[] = [];
  const app = new Koa();
  app.on("error", (error) => errors.push(error));
  app.use(async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      errors.push(error);
      ctx.body = "the app's error page";
    }
  });
  app.use(sessions(user));
  app.use(async (ctx) => {
    (await user.from(ctx)).set({ count: 1 });
    ctx.res.writeHead(201, { "X-Handler": "1" }).end("the handler's body");
  });
  const response = await answerOf(app);
  expect([response.status, await response.text()]).toEqual([503, "the app's error page"]);
  expect(response.headers.get("x-handler")).toBeNull();
  expect(errors).toEqual([expect.any(StoreError)]);
});

test("`app.proxy` decides whether a request came over TLS", async () => {
  const user = kitSession(kitStore());
  const app = new Koa({ proxy: true });
  app.use(sessions(user));
  app.use(async (ctx) => {
    (await user.from(ctx)).set({ count: 1 });
    ctx.body = "set";
  });
  const [cookie] = (await answerOf(app, { "X-Forwarded-Proto": "https" })).headers.getSetCookie();
  expect(cookie).toMatch(/^__Host-Http-user=.*; Secure/);
});

test("sessions() takes at least one definition, and only definitions", () => {
  expect(() => sessions()).toThrow(TypeError);
  expect(() => sessions({} as never)).toThrow(TypeError);
});
