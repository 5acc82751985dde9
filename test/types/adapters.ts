/**
 * The doors for frameworks as an application's compiler sees them: the real types of each framework fit without a cast.
 * This file only has to type-check.
 */
import fastify, { type FastifyInstance, type FastifyPluginAsync } from "fastify";
import { Hono, type MiddlewareHandler } from "hono";
import Koa, { type Middleware } from "koa";
import { createSecureServer } from "node:http2";
import { defineSession, type Session } from "coatcheck";
import { sessions as forFastify } from "coatcheck/fastify";
import { sessions as forHono } from "coatcheck/hono";
import { sessions as forKoa } from "coatcheck/koa";
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
