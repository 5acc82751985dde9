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
import express from "express";
// @ts-expect-error -- an alias of the package, whose types are those of Express 5
import express4 from "express4";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { InstalledDefinition } from "../session/exchange.ts";
import {
  adapterCases,
  type AdapterAnswer,
  type AdapterContext,
  type AdapterRoute,
  type AdapterServer,
  type AdapterUnderTest,
} from "../testing/adapter-cases.ts";
import { nodeAdapterCases } from "../testing/node-adapter-cases.ts";
import { wireFetch } from "../testing/wire-fetch.ts";
import { sessions } from "./express.ts";
import { withSessions as withSessionsFetch } from "./fetch.ts";
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
      const handler = handlers.get(req.url ?? "");
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
const overBridge: AdapterUnderTest = (routes, ...definitions) => {
  const handler = webHandler(routes, definitions);
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
};

const directly: AdapterUnderTest = (routes, ...definitions) => {
  const handler = webHandler(routes, definitions);
  const fetch = async (request: Request): Promise<Response> => {
    const aborted = once(request.signal, "abort").then(() => Promise.reject(new Error("aborted")));
    const response = await Promise.race([handler(request), aborted]);
    return request.method === "HEAD" ? new Response(null, response) : response;
  };
  return { origin: "https://app.example", fetch, close: () => {} };
};

// --- the kit ------------------------------------------------------------------------------------------------------------

const onNode: readonly [string, AdapterUnderTest][] = [
  ["/node over http", overHttp],
  ["/node over https", overHttps],
  ["/node over http2 without TLS", overHttp2],
  ["/node over http2", overSecureHttp2],
  ["/express with Express 5", expressApp(express)],
  ["/express with Express 4", expressApp(express4 as unknown as typeof express)],
];

const onTheWeb: readonly [string, AdapterUnderTest][] = [
  ["/fetch over sockets", overBridge],
  ["/fetch called directly", directly],
];

describe.each([...onNode, ...onTheWeb])("coatcheck%s keeps P4, P8, P10, P14, P20, P21, P22", (_, make) => {
  test.each(adapterCases)("$name", ({ run }) => run(make));
});

describe.each(onNode)("coatcheck%s holds the response (P20)", (_, make) => {
  test.each(nodeAdapterCases)("$name", ({ run }) => run(make));
});
