import { once } from "node:events";
import { createSecureServer } from "node:http2";
import { connect } from "node:http2";
import { createServer as createHttpsServer, request as httpsRequest } from "node:https";
import type { AddressInfo, Server } from "node:net";
import type { TLSSocket } from "node:tls";
import { createAdaptorServer } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import Koa from "koa";
import { beforeEach, describe, expect, test, vi } from "vitest";
import {
  clientCertificate,
  cookie,
  defineSession,
  type Session,
  type SessionDefinition,
  type SessionOptions,
} from "../index.ts";
import { certificates, type Pair } from "../../test/servers/certificates.ts";
import { memoryStore } from "../store/memory.ts";
import { sessions as expressSessions } from "./express.ts";
import { sessions as fastifySessions } from "./fastify.ts";
import { sessions as honoSessions } from "./hono.ts";
import { sessions as koaSessions } from "./koa.ts";
import { withSessions } from "./node.ts";

type Visits = { visits: number };
type Definition = SessionDefinition<Visits>;

const pki = certificates();
/** Connections without a good certificate are let in: what they may do is for the session to say. */
const tls = { ...pki.server, ca: pki.ca.cert, requestCert: true, rejectUnauthorized: false };

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** One request on a connection of its own, which may resume a TLS session. */
async function ask(
  server: Server,
  client: Pair | undefined,
  path = "/",
  session?: Buffer,
): Promise<Answer & { tls: Buffer }> {
  const { port } = server.address() as AddressInfo;
  const options = { port, path, host: "127.0.0.1", rejectUnauthorized: false, agent: false, session, ...client };
  const sending = httpsRequest(options).end();
  let ticket: Buffer | undefined;
  sending.once("socket", (socket) => void (socket as TLSSocket).on("session", (given) => (ticket = given)));
  const [response] = (await once(sending, "response")) as [
    AsyncIterable<Buffer> & { statusCode: number; headers: Record<string, unknown>; socket: TLSSocket },
  ];
  const resumed = response.socket.isSessionReused();
  let body = "";
  for await (const chunk of response) body += chunk.toString();
  if (session !== undefined) expect(resumed).toBe(true);
  return { status: response.statusCode, body, headers: response.headers, tls: ticket ?? Buffer.alloc(0) };
}

async function listening<Result>(server: Server, work: (server: Server) => Promise<Result>): Promise<Result> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket) => void sockets.add(socket));
  try {
    return await work(server);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

function device(transport: SessionOptions["transport"] = clientCertificate()): Definition {
  return defineSession<Visits>({ name: "device", store: memoryStore(), transport });
}

function visited(session: Session<Visits>): string {
  session.update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
  return `${session.data?.visits}`;
}

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  return () => void vi.restoreAllMocks();
});

// --- tests ----------------------------------------------------------------------------------------------------------------

const servers: readonly [string, (user: Definition) => Server | Promise<Server>][] = [
  [
    "node:https",
    (user) =>
      createHttpsServer(
        tls,
        withSessions(async (req, res) => void res.end(visited(await user.from(req))), user),
      ),
  ],
  [
    "node:http2, by HTTP/1",
    (user) =>
      createSecureServer(
        { ...tls, allowHTTP1: true },
        withSessions(async (req, res) => void res.end(visited(await user.from(req))), user) as never,
      ) as unknown as Server,
  ],
  [
    "Express",
    (user) => {
      const app = express();
      app.use(expressSessions(user));
      app.get("/", async (req, res) => void res.send(visited(await user.from(req))));
      return createHttpsServer(tls, app);
    },
  ],
  [
    "Fastify",
    async (user) => {
      const app = fastify({ https: tls } as object);
      app.register(fastifySessions(user));
      app.get("/", async (request) => visited(await user.from(request)));
      await app.ready();
      return app.server;
    },
  ],
  [
    "Koa",
    (user) => {
      const app = new Koa();
      app.silent = true;
      app.use(koaSessions(user));
      app.use(async (ctx) => {
        ctx.body = visited(await user.from(ctx));
      });
      return createHttpsServer(tls, app.callback());
    },
  ],
  [
    "Hono on Node",
    (user) => {
      const app = new Hono();
      app.use(honoSessions(user));
      app.get("/", async (c) => c.text(visited(await user.from(c))));
      return createAdaptorServer({
        fetch: app.fetch,
        createServer: createHttpsServer,
        serverOptions: tls,
        overrideGlobalObjects: false,
      }) as Server;
    },
  ],
];

describe.each(servers)("a session that follows the client certificate, over %s,", (_name, make) => {
  test("is the same on every connection, another one for another certificate, and needs no cookie", async () => {
    await listening(await make(device()), async (server) => {
      expect((await ask(server, pki.ada)).body).toBe("1");
      const second = await ask(server, pki.ada);
      expect(second.body).toBe("2");
      expect(second.headers["set-cookie"]).toBeUndefined();
      expect(second.headers["cache-control"]).toContain("private");
      expect((await ask(server, pki.bob)).body).toBe("1");
      expect((await ask(server, pki.ada)).body).toBe("3");
    });
  });

  test("is there on a resumed TLS connection, too", async () => {
    await listening(await make(device()), async (server) => {
      const first = await ask(server, pki.ada);
      expect((await ask(server, pki.ada, "/", first.tls)).body).toBe("2");
    });
  });

  test("does not exist without a certificate, or with one of another authority: writing is refused", async () => {
    await listening(await make(device()), async (server) => {
      for (const client of [undefined, pki.mallory]) {
        const answer = await ask(server, client);
        expect(answer.status).toBe(400);
        expect(answer.headers["set-cookie"]).toBeUndefined();
      }
    });
  });
});

test("over HTTP/2 the session follows the certificate, too", async () => {
  const user = device();
  const handler = withSessions(async (req, res) => void res.end(visited(await user.from(req))), user);
  await listening(createSecureServer(tls, handler as never) as unknown as Server, async (server) => {
    for (const [client, visits] of [
      [pki.ada, "1"],
      [pki.ada, "2"],
      [pki.bob, "1"],
    ] as const) {
      const { port } = server.address() as AddressInfo;
      const session = connect(`https://127.0.0.1:${port}`, { ...client, rejectUnauthorized: false });
      const stream = session.request({ ":path": "/" });
      let body = "";
      for await (const chunk of stream as AsyncIterable<Buffer>) body += chunk.toString();
      session.close();
      expect(body).toBe(visits);
    }
  });
});

test("beside cookies: who has a certificate is known by it, everybody else by the cookie", async () => {
  const user = device([clientCertificate(), cookie()]);
  const handler = withSessions(async (req, res) => void res.end(visited(await user.from(req))), user);
  await listening(createHttpsServer(tls, handler), async (server) => {
    const withCertificate = await ask(server, pki.ada);
    expect([withCertificate.body, withCertificate.headers["set-cookie"]]).toEqual(["1", undefined]);
    const without = await ask(server, undefined);
    expect(without.headers["set-cookie"]).toHaveLength(1);
    expect((await ask(server, pki.ada)).body).toBe("2");
  });
});
