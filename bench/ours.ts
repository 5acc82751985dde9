/**
 * coatcheck, as it is deployed: behind a proxy that ends TLS, all else by default.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import type { RequestListener } from "node:http";
import { cookie, defineSession, sign, type SessionDefinition } from "coatcheck";
import { sessions as onExpress } from "coatcheck/express";
import { session as dropInSession, toExpressStore } from "coatcheck/express-session";
import { sessions as onFastify } from "coatcheck/fastify";
import { sessions as onHono } from "coatcheck/hono";
import { sessions as onKoa } from "coatcheck/koa";
import { withSessions } from "coatcheck/node";
import { memoryStore } from "coatcheck/store/memory";
import type { Express, Request, RequestHandler, Response } from "express";
import type { FastifyPluginCallback } from "fastify";
import type { MiddlewareHandler } from "hono";
import { ANSWERS, type BenchData } from "./data.ts";
import type { Handlers, Hosted, Listener } from "./host.ts";
import { expressListener } from "./hosts/express.ts";
import { fastifyListener } from "./hosts/fastify.ts";
import { h3Listener } from "./hosts/h3.ts";
import { honoListener } from "./hosts/hono.ts";
import { koaListener } from "./hosts/koa.ts";
import type { Site } from "./site.ts";
import { storeOf } from "./stores.ts";
import type { Kind, NodeHost } from "./subjects.ts";

/** The server of a subject of ours. */
export async function ourListener(host: NodeHost, kind: Kind, site: Site): Promise<Listener> {
  if (kind === "drop-in") return expressListener(dropIn(site));
  return await listenerOn(host, await definitionOf(kind, site), site);
}

async function listenerOn(host: NodeHost, user: Definition, site: Site): Promise<Listener> {
  const handlers = handlersOf(user, site);
  switch (host) {
    case "express":
      return expressListener({ handlers, install: (app) => app.use(onExpress(user) as RequestHandler) });
    case "fastify":
      return await fastifyListener({
        handlers,
        install: (app) => app.register(onFastify(user) as FastifyPluginCallback),
      });
    case "koa":
      return koaListener({ handlers, install: (app) => app.use(onKoa(user)) });
    case "hono":
      return honoListener({ handlers, install: (app) => app.use(onHono(user) as MiddlewareHandler) });
    case "h3":
      return withSessions(h3Listener({ handlers: handlersOf(user, site, nodeRequestOf) }), user) as RequestListener;
  }
}

type Definition = SessionDefinition<BenchData>;
type AnyRequest = Parameters<Definition["from"]>[0];

/** h3 keeps the request of `node:http` further below than others. */
function nodeRequestOf(event: AnyRequest): AnyRequest {
  return (event as unknown as { runtime: { node: { req: AnyRequest } } }).runtime.node.req;
}

async function definitionOf(kind: Kind, site: Site): Promise<Definition> {
  const common = { name: "bench", transport: cookie({ trustProxy: true }) } as const;
  const byValue = { ...common, keys: randomBytes(32).toString("base64url"), revocation: "none" } as const;
  if (kind === "sealed") return defineSession<BenchData>(byValue);
  if (kind === "signed") return defineSession<BenchData>({ ...byValue, protection: sign() });
  const store = await storeOf(kind, site);
  return defineSession<BenchData>({ ...common, store: site.wrap?.(store) ?? store });
}

function handlersOf(
  user: Definition,
  { newData }: Site,
  requestOf: (given: AnyRequest) => AnyRequest = (given) => given,
): Handlers<AnyRequest, unknown> {
  return {
    async seed(request) {
      const session = await user.from(requestOf(request));
      session.set(newData());
      return ANSWERS.seed;
    },
    async signIn(request) {
      const session = await user.from(requestOf(request));
      session.set(newData());
      session.authenticate("ada");
      return ANSWERS["sign-in"];
    },
    async read(request) {
      const session = await user.from(requestOf(request));
      return String(session.data?.user);
    },
    async write(request) {
      const session = await user.from(requestOf(request));
      session.update((data) => ({ ...(data ?? newData()), count: (data?.count ?? 0) + 1 }));
      return String(session.data?.count);
    },
    async count(request) {
      const session = await user.from(requestOf(request));
      return String(session.data?.count);
    },
  };
}

/** Written as the application for express-session is. */
function dropIn({ wrap, newData }: Site): Hosted<Express, Request, Response> {
  const secret = randomBytes(32).toString("base64url");
  const store = wrap === undefined ? undefined : toExpressStore(wrap(memoryStore()));
  const sessionsOf = dropInSession<BenchData>({ secret, resave: false, saveUninitialized: false, store });
  return {
    install: (app) => app.use(sessionsOf as RequestHandler),
    handlers: {
      seed(req) {
        Object.assign(sessionsOf.from(req), newData());
        return ANSWERS.seed;
      },
      signIn: (req) =>
        new Promise((resolve, reject) => {
          sessionsOf.from(req).regenerate((error: unknown) => {
            if (error !== undefined && error !== null) return reject(error as Error);
            Object.assign(sessionsOf.from(req), newData());
            resolve(ANSWERS["sign-in"]);
          });
        }),
      read: (req) => String(sessionsOf.from(req).user),
      write(req) {
        const data = sessionsOf.from(req);
        data.count = (data.count ?? 0) + 1;
        return String(data.count);
      },
      count: (req) => String(sessionsOf.from(req).count),
    },
  };
}
