/**
 * The doors for frameworks as an application's compiler sees them: the real types of each framework fit without a cast.
 * This file only has to type-check.
 */
import express, { Router, type RequestHandler } from "express";
import fastify, { type FastifyInstance, type FastifyPluginAsync } from "fastify";
import { Hono, type MiddlewareHandler } from "hono";
import Koa, { type Middleware } from "koa";
import { createServer } from "node:http";
import { createSecureServer } from "node:http2";
import { defineSession, type Session } from "coatcheck";
import { csrf, type CsrfError, type CsrfGuard, type CsrfReason } from "coatcheck/csrf";
import { sessions as forExpress } from "coatcheck/express";
import { sessions as forFastify } from "coatcheck/fastify";
import { withSessions as withFetchSessions } from "coatcheck/fetch";
import { sessions as forHono } from "coatcheck/hono";
import { sessions as forKoa } from "coatcheck/koa";
import { withSessions } from "coatcheck/node";
import { memoryStore } from "coatcheck/store/memory";

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function assert<Truth extends true>(): Truth {
  return true as Truth;
}

interface User {
  visits: number;
}
const user = defineSession<User>({ name: "user", store: memoryStore() });
const cart = defineSession<{ items: string[] }>({ name: "cart", store: memoryStore() });

// --- Fastify --------------------------------------------------------------------------------------------------------------

const plugin: FastifyPluginAsync = async (scope) => {
  await scope.register(forFastify(cart));
  scope.get("/cart", async (request, reply) => {
    const session = await cart.from(request);
    assert<Equals<typeof session, Session<{ items: string[] }>>>();
    // @ts-expect-error a reply is not a request
    await cart.from(reply);
    return session.data?.items;
  });
};
export async function onFastify(): Promise<FastifyInstance> {
  const app = fastify();
  await app.register(forFastify(user, cart));
  app.register(forFastify(user)).after(() => {});
  await app.register(plugin, { prefix: "/inner" });
  app.get<{ Params: { id: string }; Body: { name: string } }>("/:id", async (request) => {
    const session = await user.from(request);
    assert<Equals<typeof session, Session<User>>>();
    return request.params.id;
  });
  const overHttp2 = fastify({ http2: true });
  overHttp2.register(forFastify(user));
  overHttp2.get("/", async (request) => (await user.from(request)).data);
  const overTls = fastify({ http2: true, https: {}, serverFactory: (handler) => createSecureServer(handler) });
  overTls.register(forFastify(user));
  return app;
}

// --- Hono -----------------------------------------------------------------------------------------------------------------

interface Env {
  Bindings: { DB: string };
  Variables: { requestId: string };
}
const app = new Hono<Env>();
app.use(forHono(user, cart));
app.use("/cart/*", forHono(cart));
app.get("/:id", forHono(cart), async (c) => {
  const session = await user.from(c);
  assert<Equals<typeof session, Session<User>>>();
  assert<Equals<typeof c.env.DB, string>>();
  return c.json({ id: c.req.param("id"), requestId: c.var.requestId, visits: session.data?.visits });
});
app.on(["GET", "POST"], "/either", forHono(user), async (c) => c.text(String((await user.from(c.req.raw)).isNew)));
export const middleware: MiddlewareHandler<Env> = forHono(user);

// --- Koa ------------------------------------------------------------------------------------------------------------------

interface State {
  requestId: string;
}
const koa = new Koa<State>();
koa.use(forKoa(user, cart));
koa.use(async (ctx, next) => {
  const session = await user.from(ctx);
  assert<Equals<typeof session, Session<User>>>();
  ctx.body = ctx.state.requestId;
  await next();
});
export const asMiddleware: Middleware = forKoa(user);
export const proxied: Koa = new Koa({ proxy: true }).use(forKoa(user));

// --- the CSRF guard: one callable for all ---------------------------------------------------------------------------------

const guard = csrf({ session: user, trustedOrigins: ["https://admin.example"], nonBrowser: "allow" });
export const asGuard: CsrfGuard = guard;
assert<Equals<ReturnType<typeof guard.token>, Promise<string>>>();

export const onExpress: RequestHandler = guard;
express().use(forExpress(user), express.json(), guard);
express().use("/account", guard, Router().use(guard));
express().post("/:id", guard, async (req, res) => {
  assert<Equals<typeof req.params.id, string>>();
  res.send(await guard.token(req));
});

export function guardedFastify(): FastifyInstance {
  const guarded = fastify();
  guarded.addHook("preHandler", guard);
  guarded.addHook("onRequest", guard);
  guarded.addHook("preHandler", async (request) => await guard(request));
  guarded.post<{ Body: { name: string } }>("/", { preHandler: guard }, async (request) => await guard.token(request));
  guarded.post("/both", { preHandler: [guard] }, async () => "done");
  fastify({ http2: true }).addHook("preHandler", guard);
  return guarded;
}

app.use(guard);
app.use("/cart/*", guard);
app.post("/:id", guard, async (c) => {
  assert<Equals<typeof c.env.DB, string>>();
  return c.text((await guard.token(c)) + c.req.param("id"));
});
export const onHono: MiddlewareHandler<Env> = guard;

koa.use(guard);
koa.use(async (ctx) => {
  ctx.body = await guard.token(ctx);
});
export const onKoa: Middleware = guard;

createServer(
  withSessions(async (req, res) => {
    const judged: Promise<void> = guard(req);
    await judged;
    const token = await guard.token(req);
    res.end(token);
  }, user),
);
export const onFetch: (request: Request) => Promise<Response> = withFetchSessions(async (request: Request) => {
  await guard(request);
  return new Response(await guard.token(request));
}, user);

csrf({
  session: cart,
  trustProxy: (peer) => peer.startsWith("10."),
  nonBrowser: (request) => "headers" in request,
  token: { header: "X-Form", field: "form", read: async (request: Request) => (await request.formData()).get("form") },
  onRefused(error, _request) {
    assert<Equals<typeof error, CsrfError>>();
    assert<Equals<typeof error.reason, CsrfReason>>();
  },
});
// @ts-expect-error a session is needed
csrf({ nonBrowser: "allow" });
// @ts-expect-error "deny" is not a rule
csrf({ session: user, nonBrowser: "deny" });
// @ts-expect-error a reply is not a request
guard.token(new Response());
