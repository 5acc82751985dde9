/* oxlint-disable oxc/no-async-endpoint-handlers -- Express 5 awaits its handlers */
import { once } from "node:events";
import { createServer, request as httpRequest, type RequestListener } from "node:http";
import type { AddressInfo, Server } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import express from "express";
// @ts-expect-error -- an alias of the package, whose types are those of Express 5
import express4 from "express4";
import fastify from "fastify";
import { Hono } from "hono";
import Koa from "koa";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { SessionDefinition } from "../definition.ts";
import { sessions as forExpress } from "../adapter/express.ts";
import { sessions as forFastify } from "../adapter/fastify.ts";
import { withSessions as withFetchSessions } from "../adapter/fetch.ts";
import { sessions as forHono } from "../adapter/hono.ts";
import { sessions as forKoa } from "../adapter/koa.ts";
import { withSessions } from "../adapter/node.ts";
import { kitSession, slowStore, type KitData, type KitStore } from "../testing/adapter-kit.ts";
import { csrf, type CsrfError, type CsrfGuard } from "./csrf.ts";

const rejections: unknown[] = [];
process.on("unhandledRejection", (reason) => rejections.push(reason));

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  vi.spyOn(console, "warn").mockImplementation(() => {});
});

afterEach(() => {
  vi.restoreAllMocks();
  expect(rejections.splice(0)).toEqual([]);
});

interface App {
  readonly user: SessionDefinition<KitData>;
  readonly guard: CsrfGuard;
  /** To be called by the handler of `/act`: it must not run for a request that is refused. */
  act(): string;
}

/** Apps with a guard: `/form` answers with a token, `/act` with `done`, whatever the method; bodies are parsed as JSON. */
const APPS: Readonly<Record<string, (app: App) => Server | Promise<Server>>> = {
  "Express 5": (app) => expressServer(express, app),
  "Express 4": (app) => expressServer(express4 as typeof express, app),
  Fastify: async ({ user, guard, act }) => {
    const app = fastify();
    app.register(forFastify(user));
    app.addHook("preHandler", guard);
    app.get("/form", async (request) => await guard.token(request));
    app.all("/act", async () => act());
    await app.ready();
    return app.server;
  },
  "Fastify, in an async hook": async ({ user, guard, act }) => {
    const app = fastify();
    app.register(forFastify(user));
    app.addHook("preHandler", async (request) => await guard(request));
    app.get("/form", async (request) => await guard.token(request));
    app.all("/act", async () => act());
    await app.ready();
    return app.server;
  },
  Koa: ({ user, guard, act }) => {
    const app = new Koa();
    app.silent = true;
    app.use(forKoa(user));
    app.use(async (ctx, next) => {
      let text = "";
      for await (const chunk of ctx.req) text += String(chunk);
      (ctx.request as { body?: unknown }).body = text === "" ? {} : JSON.parse(text);
      await next();
    });
    app.use(guard);
    app.use(async (ctx) => {
      ctx.body = ctx.path === "/form" ? await guard.token(ctx) : act();
    });
    return createServer(app.callback());
  },
  Hono: ({ user, act }) => {
    const app = new Hono();
    const read = async (c: unknown): Promise<unknown> => {
      const { req } = c as { req: { header(name: string): string | undefined; json(): Promise<{ _csrf?: unknown }> } };
      return req.header("content-type") === "application/json" ? (await req.json())._csrf : undefined;
    };
    const guard = csrf({ session: user, token: { read } });
    app.use(forHono(user), guard);
    app.get("/form", async (c) => c.text(await guard.token(c)));
    app.all("/act", (c) => c.text(act()));
    return createAdaptorServer({ fetch: app.fetch }) as Server;
  },
  "node:http": ({ user, guard, act }) =>
    createServer(
      withSessions(async (req, res) => {
        let sent = "";
        for await (const chunk of req) sent += String(chunk);
        await guard(Object.assign(req, { body: sent === "" ? {} : JSON.parse(sent) }));
        const text = req.url === "/form" ? await guard.token(req) : act();
        res.end(text);
      }, user),
    ),
  fetch: ({ user, act }) => {
    const guard = csrf({
      session: user,
      token: { read: async (request) => readJson(request as Request) },
    });
    const handler = withFetchSessions(async (request: Request) => {
      await guard(request);
      return new Response(request.url.endsWith("/form") ? await guard.token(request) : act());
    }, user);
    return createAdaptorServer({ fetch: handler }) as Server;
  },
};

async function readJson(request: Request): Promise<unknown> {
  const text = await request.clone().text();
  return text === "" ? undefined : (JSON.parse(text) as { _csrf?: unknown })._csrf;
}

function expressServer(create: typeof express, { user, guard, act }: App): Server {
  const app = create();
  app.use(forExpress(user), create.json(), guard);
  app.get("/form", (req, res, next) => {
    guard.token(req).then((token) => res.send(token), next);
  });
  app.all("/act", (_req, res) => void res.send(act()));
  app.use(((error: CsrfError, _req, res, _next) => {
    res.status(error.status).send(error.reason);
  }) as express.ErrorRequestHandler);
  return createServer(app as unknown as RequestListener);
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly cookies: readonly string[];
}

type Send = (
  path: string,
  sent?: { method?: string; headers?: Record<string, string>; body?: object },
) => Promise<Answer>;

/** By `node:http` itself: nothing but what is asked for is sent. */
function sender(port: number): Send {
  return (path, { method = "GET", headers = {}, body } = {}) =>
    new Promise((resolve, reject) => {
      const payload = body === undefined ? "" : JSON.stringify(body);
      const about = body === undefined ? {} : { "content-type": "application/json", "content-length": payload.length };
      const all = { host: "shop.example", ...about, ...headers };
      const request = httpRequest({ host: "127.0.0.1", port, path, method, agent: false, headers: all }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => (text += part));
        response.on("end", () => {
          const { statusCode = 0, headers: got } = response;
          resolve({ status: statusCode, text, cookies: got["set-cookie"] ?? [] });
        });
      });
      request.on("error", reject).end(payload);
    });
}

describe.each(Object.entries(APPS))("%s", (_name, make) => {
  async function running(
    work: (send: Send, app: { readonly store: KitStore; readonly acted: () => number }) => Promise<void>,
  ): Promise<void> {
    const store = slowStore();
    const cookie = (await import("../transport/cookie.ts")).cookie({ secure: false });
    const user = kitSession(store, { transport: cookie });
    let acts = 0;
    const act = (): string => {
      acts++;
      return "done";
    };
    const server = await make({ user, guard: csrf({ session: user }), act });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    try {
      await work(sender((server.address() as AddressInfo).port), { store, acted: () => acts });
    } finally {
      (server as Server & { closeAllConnections(): void }).closeAllConnections();
      await new Promise((resolve) => void server.close(resolve));
    }
  }

  test("headers decide, and no store is asked", async () => {
    await running(async (send, { store, acted }) => {
      const rows: readonly (readonly [method: string, headers: Record<string, string>, status: number])[] = [
        ["GET", { "Sec-Fetch-Site": "cross-site", Origin: "https://evil.example" }, 200],
        ["POST", { "Sec-Fetch-Site": "same-origin" }, 200],
        ["POST", { "Sec-Fetch-Site": "none" }, 200],
        ["POST", { "Sec-Fetch-Site": "same-site", Origin: "http://sub.shop.example" }, 403],
        ["POST", { "Sec-Fetch-Site": "cross-site", Origin: "http://shop.example" }, 403],
        ["DELETE", { "Sec-Fetch-Site": "cross-site" }, 403],
        ["POST", { Origin: "http://shop.example" }, 200],
        ["POST", { Origin: "https://shop.example" }, 403],
        ["POST", { Origin: "http://shop.example:8080" }, 403],
        ["POST", { Origin: "http://evil.example" }, 403],
        ["POST", { Origin: "null" }, 403],
        ["POST", {}, 403],
        ["POST", { "X-Forwarded-Host": "evil.example", Origin: "http://evil.example" }, 403],
      ];
      let passed = 0;
      for (const [method, headers, status] of rows) {
        const answer = await send("/act", { method, headers });
        expect({ method, headers, status: answer.status }).toEqual({ method, headers, status });
        if (status === 200) expect(answer.text).toBe("done");
        passed += status === 200 ? 1 : 0;
        expect(answer.cookies).toEqual([]);
      }
      expect(acted()).toBe(passed);
      expect(store.calls).toEqual([]);
    });
  });

  test("without headers a token of the session decides, in a header or in the body", async () => {
    await running(async (send, { acted }) => {
      const page = await send("/form");
      expect(page.status).toBe(200);
      expect(page.text).toMatch(/^[\w-]{43}$/);
      const headers = { Cookie: page.cookies[0]?.split(";")[0] ?? "" };
      const act = async (more: Record<string, string>, body?: object): Promise<number> =>
        (await send("/act", { method: "POST", headers: { ...headers, ...more }, ...(body && { body }) })).status;
      expect(await act({ "X-CSRF-Token": page.text })).toBe(200);
      expect(await act({}, { _csrf: page.text })).toBe(200);
      expect(await act({ "X-CSRF-Token": "" }, { _csrf: page.text })).toBe(200);
      expect(await act({}, { _csrf: "garbage" })).toBe(403);
      expect(await act({ "X-CSRF-Token": "garbage" })).toBe(403);
      expect(await act({ "X-CSRF-Token": page.text, Origin: "null" })).toBe(403);
      expect(await act({ "X-CSRF-Token": (await send("/form")).text })).toBe(403);
      expect(await act({ "X-CSRF-Token": page.text, Cookie: "" })).toBe(403);
      const again = await send("/form", { headers });
      expect(again.text).not.toBe(page.text);
      expect(again.cookies).toEqual([]);
      expect(await act({ "X-CSRF-Token": again.text })).toBe(200);
      expect(acted()).toBe(4);
    });
  });

  test("a store that fails is a 503 or the app's error page, and the handler does not run", async () => {
    await running(async (send, { store, acted }) => {
      const page = await send("/form");
      store.before = () => Promise.reject(new Error("the database is away"));
      const headers = { Cookie: page.cookies[0]?.split(";")[0] ?? "", "X-CSRF-Token": page.text };
      expect((await send("/act", { method: "POST", headers })).status).toBe(503);
      expect(acted()).toBe(0);
    });
  });
});

test("what a refused client is told is the status in words, and nothing of the rule, unless the app says more", async () => {
  const user = kitSession(slowStore());
  const guard = csrf({ session: user });
  const handler = withFetchSessions(async (request: Request) => {
    await guard(request);
    return new Response("done");
  }, user);
  const hono = new Hono().use(forHono(user), guard).post("/", (c) => c.text("done"));
  for (const answer of [handler, hono.fetch]) {
    const headers = { "Sec-Fetch-Site": "cross-site" };
    const response = await answer(new Request("https://shop.example/", { method: "POST", headers }));
    expect(response.status).toBe(403);
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(await response.text()).toBe("Forbidden\n");
  }
});
