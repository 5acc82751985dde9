import { Readable } from "node:stream";
import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { StoreError } from "../errors.ts";
import { breakStore, kitSession, kitStore, slowStore, turn } from "../testing/adapter-kit.ts";
import { sessions } from "./fastify.ts";

const rejections: unknown[] = [];
process.on("unhandledRejection", (reason) => rejections.push(reason));

beforeEach(() => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  return async () => {
    vi.restoreAllMocks();
    await turn();
    expect(rejections.splice(0)).toEqual([]);
  };
});

/** An app with one route that begins a session and replies. */
function replying(user: ReturnType<typeof kitSession>, reply: (reply: FastifyReply) => unknown): FastifyInstance {
  const app = fastify();
  app.register(sessions(user));
  app.get("/", async (request, given) => {
    (await user.from(request)).set({ count: 1 });
    return reply(given);
  });
  return app;
}

describe.each([
  ["at once", kitStore],
  ["by promises", slowStore],
])("with a store that answers %s", (_, makeStore) => {
  test.each<[string, (reply: FastifyReply) => unknown, string]>([
    ["a text", () => "hello", "hello"],
    ["JSON", () => ({ a: 1 }), '{"a":1}'],
    ["a buffer", (reply) => reply.send(Buffer.from("bytes")), "bytes"],
    ["a stream of Node", (reply) => reply.send(Readable.from(["one ", "two"])), "one two"],
    ["a stream of the web", (reply) => reply.send(new Blob(["web"]).stream()), "web"],
    ["a Response", () => new Response("response"), "response"],
    ["a redirect", (reply) => reply.redirect("/next"), ""],
    ["an error", (reply) => reply.code(418).send(new Error("a teapot")), ""],
    ["raw bytes", (reply) => (reply.raw.end("raw"), reply), "raw"],
    ["raw bytes of a hijacked reply", (reply) => void reply.hijack().raw.end("raw"), "raw"],
  ])("%s carries the session, which is written before", async (what, reply, body) => {
    const store = makeStore();
    const answer = await replying(kitSession(store), reply).inject("/");
    if (what === "an error") expect([answer.statusCode, store.calls]).toEqual([418, []]);
    else {
      if (body !== "") expect(answer.body).toBe(body);
      expect(store.calls).toEqual(["create"]);
      expect(answer.cookies).toHaveLength(1);
      expect(answer.headers["cache-control"]).toBe("no-store");
    }
  });

  test("a session that cannot be saved goes to the error handler, once, without what the handler prepared", async () => {
    const store = makeStore();
    breakStore(store, "create");
    const body = Readable.from(["the handler's body"]);
    const app = fastify();
    const errors: unknown[] = [];
    app.addHook("onRequest", (_request, reply, done) => [reply.header("X-Before", "1"), done()]);
    app.setErrorHandler((error, _request, reply) => {
      errors.push(error);
      return reply.code(503).send("the app's error page");
    });
    const user = kitSession(store);
    app.register(sessions(user));
    app.get("/", async (request, reply) => {
      (await user.from(request)).set({ count: 1 });
      return reply.code(201).header("X-Handler", "1").header("Set-Cookie", "a=1").header("X-Before", "2").send(body);
    });
    const answer = await app.inject("/");
    expect([answer.statusCode, answer.body]).toEqual([503, "the app's error page"]);
    expect(answer.headers).toMatchObject({ "x-before": "1" });
    expect(answer.headers).not.toHaveProperty("x-handler");
    expect(answer.headers).not.toHaveProperty("set-cookie");
    expect(errors).toEqual([expect.any(StoreError)]);
    expect(body.destroyed).toBe(true);
  });

  test("what the handler threw is what is answered when the session cannot be saved either", async () => {
    const store = makeStore();
    breakStore(store, "create");
    const user = kitSession(store);
    const app = fastify();
    app.register(sessions(user));
    app.get("/", async (request) => {
      (await user.from(request)).authenticate("ada");
      throw Object.assign(new Error("not today"), { statusCode: 418 });
    });
    expect((await app.inject("/")).json()).toMatchObject({ statusCode: 418, message: "not today" });
  });

  test("a header that Node refuses is a 500, not the end of the process", async () => {
    const app = replying(kitSession(makeStore()), (reply) => reply.header("X-Bad", "a\nb").send("hello"));
    expect((await app.inject("/")).statusCode).toBe(500);
  });
});

test("a definition of a plugin is known in that plugin, those of the app everywhere, in one Set-Cookie each", async () => {
  const [user, cart] = [kitSession(kitStore()), kitSession(kitStore(), { name: "cart" })];
  const app = fastify();
  app.register(sessions(user));
  app.register(
    async (scope) => {
      scope.register(sessions(cart));
      scope.get("/both", async (request) => {
        (await user.from(request)).set({ count: 1 });
        (await cart.from(request)).set({ count: 1 });
        return "both";
      });
    },
    { prefix: "/shop" },
  );
  app.get("/outside", async (request) => String((await cart.from(request)).isNew));
  expect((await app.inject("/shop/both")).cookies.map(({ name }) => name)).toEqual(["user", "cart"]);
  expect((await app.inject("/outside")).statusCode).toBe(500);
  expect(app.hasPlugin("coatcheck")).toBe(true);
});

test("definitions that clash in a plugin go to the error handler", async () => {
  const app = fastify();
  app.register(sessions(kitSession(kitStore())));
  app.register(async (scope) => {
    scope.register(sessions(kitSession(kitStore())));
    scope.get("/", () => "not reached");
  });
  expect((await app.inject("/")).json()).toMatchObject({ statusCode: 500, message: expect.stringMatching(/both use/) });
});

test("`trustProxy` of the app decides whether a request came over TLS", async () => {
  const user = kitSession(kitStore());
  const app = fastify({ trustProxy: true });
  app.register(sessions(user));
  app.get("/", async (request) => ((await user.from(request)).set({ count: 1 }), "set"));
  const { headers } = await app.inject({ url: "/", headers: { "x-forwarded-proto": "https" } });
  expect(headers["set-cookie"]).toMatch(/^__Host-Http-user=.*; Secure/);
});

test("sessions() takes at least one definition, and only definitions", () => {
  expect(() => sessions()).toThrow(TypeError);
  expect(() => sessions({} as never)).toThrow(TypeError);
});
