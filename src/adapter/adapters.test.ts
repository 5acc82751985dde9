import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createSecureServer, createServer as createHttp2Server } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { createAdaptorServer } from "@hono/node-server";
import express from "express";
// @ts-expect-error -- an alias of the package, whose types are those of Express 5
import express4 from "express4";
import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import { Hono, type Context } from "hono";
import Koa from "koa";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { InstalledDefinition } from "../session/exchange.ts";
import {
  adapterCases,
  type AdapterAnswer,
  type AdapterCase,
  type AdapterContext,
  type AdapterRoute,
  type AdapterServer,
  type AdapterUnderTest,
} from "../testing/adapter-cases.ts";
import { nodeAdapterCases } from "../testing/node-adapter-cases.ts";
import { wireFetch } from "../testing/wire-fetch.ts";
import { sessions } from "./express.ts";
import { sessions as fastifySessions } from "./fastify.ts";
import { withSessions as withSessionsFetch } from "./fetch.ts";
import { sessions as honoSessions } from "./hono.ts";
import { sessions as koaSessions } from "./koa.ts";
import { withSessions } from "./node.ts";

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

// --- servers ------------------------------------------------------------------------------------------------------------

async function listening(server: Server, scheme: "http" | "https", http2 = false): Promise<AdapterServer> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket) => void sockets.add(socket).size);
  return {
    origin: `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fetch: (request) => wireFetch(request, { http2 }),
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => void server.close(resolve));
    },
  };
}

function certificate(): { key: Buffer; cert: Buffer } {
  const folder = mkdtempSync(join(tmpdir(), "coatcheck-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const rest = ["-subj", "/CN=localhost", "-days", "2", "-keyout", key, "-out", cert];
  execFileSync("openssl", ["req", "-x509", ...curve, ...rest], { stdio: "ignore" });
  const pair = { key: readFileSync(key), cert: readFileSync(cert) };
  rmSync(folder, { recursive: true });
  return pair;
}

const tls = certificate();

// --- node:http, https, http2 --------------------------------------------------------------------------------------------

function contextOf(req: IncomingMessage, res: ServerResponse): AdapterContext {
  return {
    request: req,
    respond: (answer) => respond(res, answer),
    gone: () => once(res, "close"),
    node: { req, res },
  };
}

async function send(res: ServerResponse, body: AsyncIterable<string>): Promise<void> {
  for await (const chunk of body) if (!res.write(chunk) && !res.destroyed) await once(res, "drain");
  res.end();
}

function respond(res: ServerResponse, { status = 200, headers = {}, body }: AdapterAnswer): unknown {
  res.statusCode = status;
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  return typeof body === "object" ? send(res, body) : res.end(body);
}

function nodeHandler(routes: readonly AdapterRoute[], definitions: readonly InstalledDefinition[]): RequestListener {
  const handlers = new Map(routes.map((route) => [route.path, handlerOf(route)]));
  return withSessions(
    (req: IncomingMessage, res: ServerResponse) => {
      const handler = handlers.get(req.url?.split("?", 1)[0] ?? "");
      if (handler === undefined) throw new Error(`no route ${req.url}`);
      return handler(req, res);
    },
    ...definitions,
  );
}

function handlerOf({
  definitions = [],
  before,
  handle,
}: AdapterRoute): (req: IncomingMessage, res: ServerResponse) => unknown {
  const handler = (req: IncomingMessage, res: ServerResponse): unknown => {
    before?.({ req, res });
    return handle(contextOf(req, res));
  };
  return definitions.length === 0 ? handler : withSessions(handler, ...definitions);
}

const overHttp: AdapterUnderTest = (routes, ...definitions) =>
  listening(createServer(nodeHandler(routes, definitions)), "http");

const overHttps: AdapterUnderTest = (routes, ...definitions) =>
  listening(createHttpsServer(tls, nodeHandler(routes, definitions)), "https");

const overHttp2: AdapterUnderTest = (routes, ...definitions) =>
  listening(createHttp2Server(nodeHandler(routes, definitions) as never), "http", true);

const overSecureHttp2: AdapterUnderTest = (routes, ...definitions) =>
  listening(createSecureServer(tls, nodeHandler(routes, definitions) as never) as never, "https", true);

// --- Express ------------------------------------------------------------------------------------------------------------

function expressApp(create: typeof express): AdapterUnderTest {
  return (routes, ...definitions) => {
    const app = create();
    if (definitions.length > 0) app.use(sessions(...definitions));
    for (const { path, definitions: more = [], before, handle } of routes) {
      if (more.length > 0) app.all(path, sessions(...more));
      if (before !== undefined) app.all(path, (req, res, next) => [before({ req, res }), next()]);
      app.all(path, (req, res, next) => {
        const handled = handle(contextOf(req, res));
        if (handled instanceof Promise) handled.catch(next);
      });
    }
    return listening(createServer(app as unknown as RequestListener), "http");
  };
}

// --- Fastify ------------------------------------------------------------------------------------------------------------

async function fastifyApp(
  app: FastifyInstance,
  routes: readonly AdapterRoute[],
  definitions: readonly InstalledDefinition[],
  answered = (context: AdapterContext, _reply: FastifyReply, handle: AdapterRoute["handle"]): unknown =>
    handle(context),
): Promise<FastifyInstance> {
  if (definitions.length > 0) await app.register(fastifySessions(...definitions));
  for (const { path, definitions: more = [], before, handle } of routes) {
    await app.register(async (scope) => {
      if (more.length > 0) await scope.register(fastifySessions(...more));
      if (before !== undefined) {
        scope.addHook("preHandler", (request, reply, done) => [before({ req: request.raw, res: reply.raw }), done()]);
      }
      scope.all(path, async (request, reply) => {
        const respondByReply = (answer: AdapterAnswer): void => void fastifyAnswer(reply, answer);
        const gone = (): Promise<unknown> => once(reply.raw, "close");
        const node = { req: request.raw, res: reply.raw };
        await answered({ request, respond: respondByReply, gone, node }, reply, handle);
        return reply;
      });
    });
  }
  return app;
}

function fastifyAnswer(reply: FastifyReply, { status = 200, headers = {}, body }: AdapterAnswer): FastifyReply {
  return reply
    .code(status)
    .headers(headers as Record<string, string>)
    .send(typeof body === "object" ? Readable.from(body, { objectMode: false, highWaterMark: 1 }) : body);
}

const overFastify: AdapterUnderTest = async (routes, ...definitions) => {
  const app = await fastifyApp(fastify(), routes, definitions);
  await app.ready();
  return listening(app.server, "http");
};

const overFastifyHttp2: AdapterUnderTest = async (routes, ...definitions) => {
  const app = await fastifyApp(fastify({ http2: true }) as never, routes, definitions);
  await app.ready();
  return listening(app.server, "http", true);
};

/** Without a server: there is no request of Node then. */
const overInject: AdapterUnderTest = async (routes, ...definitions) => {
  const app = await fastifyApp(fastify(), routes, definitions);
  const fetch = async (request: Request): Promise<Response> => {
    const { pathname, search, host } = new URL(request.url);
    const headers = { ...Object.fromEntries(request.headers), host };
    const { signal } = request;
    const answer = await app.inject({
      method: request.method as "GET",
      url: pathname + search,
      headers,
      ...(request.body === null ? {} : { payload: await request.text() }),
      signal,
      payloadAsStream: true,
    });
    const lines = Object.entries(answer.headers).flatMap(([name, value]) =>
      [value ?? []].flat().map((line): [string, string] => [name, String(line)]),
    );
    const empty = [204, 304].includes(answer.statusCode) || request.method === "HEAD";
    const body = empty ? null : (Readable.toWeb(answer.stream()) as ReadableStream<Uint8Array>);
    return new Response(body, { status: answer.statusCode, headers: lines });
  };
  return { origin: "http://localhost", fetch, close: () => app.close() };
};

/** Handlers that take the response from Fastify, which leaves their errors to them. */
const overHijackedFastify: AdapterUnderTest = async (routes, ...definitions) => {
  const app = await fastifyApp(fastify(), routes, definitions, hijacked);
  await app.ready();
  return listening(app.server, "http");
};

async function hijacked(context: AdapterContext, reply: FastifyReply, handle: AdapterRoute["handle"]): Promise<void> {
  const { raw } = reply.hijack();
  try {
    await handle({ ...context, respond: (answer) => respond(raw, answer) });
  } catch (error) {
    if (raw.headersSent) return void raw.destroy();
    const { statusCode = 500, headers = {} } = error as { statusCode?: number; headers?: Record<string, string> };
    raw.writeHead(statusCode, headers).end();
  }
}

// --- Koa ----------------------------------------------------------------------------------------------------------------

const overKoa: AdapterUnderTest = (routes, ...definitions) => koaServer(routes, definitions, false);

/** Handlers that take the response from Koa. */
const overBypassedKoa: AdapterUnderTest = (routes, ...definitions) => koaServer(routes, definitions, true);

function koaServer(
  routes: readonly AdapterRoute[],
  definitions: readonly InstalledDefinition[],
  bypassed: boolean,
): Promise<AdapterServer> {
  const app = new Koa();
  // Koa leaves a response open whose handler throws after the first byte.
  app.on("error", (error: { headerSent?: boolean }, ctx?: Koa.Context) => error.headerSent && ctx?.res.destroy());
  if (definitions.length > 0) app.use(koaSessions(...definitions));
  for (const { path, definitions: more = [], before, handle } of routes) {
    const handler = async (ctx: Koa.Context): Promise<void> => {
      const { req, res } = ctx;
      if (bypassed) [ctx.respond, res.statusCode] = [false, 200];
      before?.({ req, res });
      const respondByContext = (answer: AdapterAnswer): unknown =>
        bypassed ? respond(res, answer) : koaAnswer(ctx, answer);
      await handle({ request: ctx, respond: respondByContext, gone: () => once(res, "close"), node: { req, res } });
    };
    const own = more.length > 0 ? koaSessions(...more) : undefined;
    app.use((ctx, next) => {
      if (ctx.path !== path) return next();
      return own === undefined ? handler(ctx) : own(ctx, () => handler(ctx));
    });
  }
  return listening(createServer(app.callback()), "http");
}

function koaAnswer(ctx: Koa.Context, { status = 200, headers = {}, body }: AdapterAnswer): void {
  ctx.status = status;
  ctx.body = typeof body === "object" ? Readable.from(body, { objectMode: false, highWaterMark: 1 }) : (body ?? "");
  if (typeof body !== "string") ctx.status = status;
  for (const [name, value] of Object.entries(headers)) ctx.set(name, value as string);
}

// --- Hono ---------------------------------------------------------------------------------------------------------------

function honoApp(routes: readonly AdapterRoute[], definitions: readonly InstalledDefinition[]): Hono {
  const app = new Hono();
  if (definitions.length > 0) app.use(honoSessions(...definitions));
  for (const { path, definitions: more = [], handle } of routes) {
    if (more.length > 0) app.use(path, honoSessions(...more));
    app.all(path, async (c) => {
      const gone = (): Promise<unknown> => once(c.req.raw.signal, "abort");
      return (await handle({ request: c, respond: (answer) => honoAnswer(c, answer), gone })) as Response;
    });
  }
  return app;
}

function honoAnswer(c: Context, { status = 200, headers = {}, body = "" }: AdapterAnswer): Response {
  const content = typeof body === "string" ? body : webStream(body);
  for (const [name, value] of Object.entries(headers)) {
    for (const line of [value].flat()) c.header(name, line, { append: true });
  }
  return c.newResponse(status === 204 || status === 304 ? null : content, { status: status as 200 });
}

const overHonoOnNode: AdapterUnderTest = (routes, ...definitions) => {
  const server = createAdaptorServer({ fetch: honoApp(routes, definitions).fetch, overrideGlobalObjects: false });
  return listening(server as Server, "http");
};

const overHonoFetch: AdapterUnderTest = (routes, ...definitions) => {
  const app = honoApp(routes, definitions);
  return bridged((request) => Promise.resolve(app.fetch(request)));
};

const overHonoDirectly: AdapterUnderTest = (routes, ...definitions) => {
  const app = honoApp(routes, definitions);
  return direct((request) => Promise.resolve(app.request(request)));
};

// --- the web platform ---------------------------------------------------------------------------------------------------

function webHandler(
  routes: readonly AdapterRoute[],
  definitions: readonly InstalledDefinition[],
): (request: Request) => Promise<Response> {
  const handler = withSessionsFetch(
    async (request: Request) => {
      const route = routes.find(({ path }) => new URL(request.url).pathname === path);
      if (route === undefined) throw new Error(`no route ${request.url}`);
      const { definitions: more = [], handle } = route;
      const answer = async (): Promise<Response> => (await handle(webContextOf(request))) as Response;
      return await (more.length === 0 ? answer() : withSessionsFetch(answer, ...more)(request));
    },
    ...definitions,
  );
  return (request) => handler(request).catch(() => new Response("the runtime's answer to an error", { status: 500 }));
}

function webContextOf(request: Request): AdapterContext {
  return { request, respond: webResponse, gone: () => once(request.signal, "abort") };
}

function webResponse({ status = 200, headers = {}, body = "" }: AdapterAnswer): Response {
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    (typeof value === "string" ? [value] : value).map((line): [string, string] => [name, line]),
  );
  const content = typeof body === "string" ? body : webStream(body);
  return new Response(status === 204 || status === 304 ? null : content, { status, headers: lines });
}

function webStream(body: AsyncIterable<string>): ReadableStream<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (done === true) controller.close();
        else controller.enqueue(encoder.encode(value));
      },
    },
    { highWaterMark: 0 },
  );
}

/** What a runtime without `node:http` does: requests and responses of the web platform over sockets. */
const overBridge: AdapterUnderTest = (routes, ...definitions) => bridged(webHandler(routes, definitions));

function bridged(handler: (request: Request) => Promise<Response>): Promise<AdapterServer> {
  const bridge = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const controller = new AbortController();
    res.on("close", () => controller.abort());
    const headers = Object.entries(req.headers) as [string, string][];
    const response = await handler(
      new Request(`http://${req.headers.host}${req.url}`, {
        method: req.method ?? "GET",
        headers,
        signal: controller.signal,
      }),
    );
    const cookies = response.headers.getSetCookie();
    res.writeHead(response.status, {
      ...Object.fromEntries(response.headers),
      ...(cookies.length > 0 && { "set-cookie": cookies }),
    });
    if (response.body === null) res.end();
    else Readable.fromWeb(response.body as never).pipe(res);
  };
  return listening(
    createServer((req, res) => void bridge(req, res)),
    "http",
  );
}

const directly: AdapterUnderTest = (routes, ...definitions) => direct(webHandler(routes, definitions));

function direct(handler: (request: Request) => Promise<Response>): AdapterServer {
  const fetch = async (request: Request): Promise<Response> => {
    const aborted = once(request.signal, "abort").then(() => Promise.reject(new Error("aborted")));
    const response = await Promise.race([handler(request), aborted]);
    return request.method === "HEAD" ? new Response(null, response) : response;
  };
  return { origin: "https://app.example", fetch, close: () => {} };
}

// --- the kit ------------------------------------------------------------------------------------------------------------

const onNode: readonly [string, AdapterUnderTest][] = [
  ["/node over http", overHttp],
  ["/node over https", overHttps],
  ["/node over http2 without TLS", overHttp2],
  ["/node over http2", overSecureHttp2],
  ["/express with Express 5", expressApp(express)],
  ["/express with Express 4", expressApp(express4 as unknown as typeof express)],
];

const onNodeByReply: readonly [string, AdapterUnderTest][] = [
  ["/fastify", overFastify],
  ["/fastify over http2", overFastifyHttp2],
  ["/fastify without a server", overInject],
  ["/koa", overKoa],
];

/** Handlers that hold the response of Node, in the ways that their frameworks have for that. */
const onNodeByHand: readonly [string, AdapterUnderTest][] = [
  ["/fastify with hijacked replies", overHijackedFastify],
  ["/koa with ctx.respond = false", overBypassedKoa],
];

const onTheWeb: readonly [string, AdapterUnderTest][] = [
  ["/fetch over sockets", overBridge],
  ["/fetch called directly", directly],
  ["/hono on Node", overHonoOnNode],
  ["/hono as a fetch app, over sockets", overHonoFetch],
  ["/hono as a fetch app, called directly", overHonoDirectly],
];

/** What cannot be asked of a framework, by its way: each with its reason. */
const beyond: Readonly<Record<string, RegExp>> = {
  // A request that is injected has no connection that could break.
  "/fastify without a server": /^a client that goes away/,
  // Koa begins every error page by taking all headers away.
  "/koa with ctx.respond = false": /^when the commit fails, headers of middleware/,
};

function within(way: string, cases: readonly AdapterCase[]): readonly AdapterCase[] {
  return cases.filter(({ name }) => beyond[way]?.test(name) !== true);
}

describe.each([...onNode, ...onNodeByReply, ...onNodeByHand, ...onTheWeb])(
  "coatcheck%s keeps P4, P8, P10, P14, P20, P21, P22",
  (way, make) => {
    test.each(within(way, adapterCases))("$name", ({ run }) => run(make));
  },
);

describe.each([...onNode, ...onNodeByHand])("coatcheck%s holds the response (P20)", (way, make) => {
  test.each(within(way, nodeAdapterCases))("$name", ({ run }) => run(make));
});
