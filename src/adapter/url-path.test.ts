import { once } from "node:events";
import { createServer, get, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import express from "express";
// @ts-expect-error -- an alias of the package, whose types are those of Express 5
import express4 from "express4";
import fastify from "fastify";
import { Hono } from "hono";
import Koa from "koa";
import { describe, expect, test } from "vitest";
import { defineSession, url, type Session, type SessionDefinition } from "../index.ts";
import { memoryStore } from "../store/memory.ts";
import { sessions as expressSessions } from "./express.ts";
import { rewriteUrl, sessions as fastifySessions } from "./fastify.ts";
import { withSessions as withSessionsFetch } from "./fetch.ts";
import { sessions as koaSessions } from "./koa.ts";
import { withSessions } from "./node.ts";

type Definition = SessionDefinition<{ visits: number }>;

/** What the one page of the shop says: how often it was seen, and where to see it again. */
async function page(session: Session<{ visits: number }>): Promise<string> {
  session.update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
  await session.commit();
  return `${session.data?.visits} ${session.link("/shop/cart?x=1")}`;
}

function nodeServer(user: Definition): Server {
  return createServer(
    withSessions(async (req, res) => {
      if (req.url?.split("?", 1)[0] !== "/shop/cart") res.writeHead(404).end(req.url);
      else res.end(await page(await user.from(req)));
    }, user),
  );
}

function expressServer(create: typeof express, user: Definition): Server {
  const app = create();
  const shop = create.Router();
  // Installed where the path is cut already.
  shop.use(expressSessions(user));
  shop.get("/cart", async (req, res) => void res.send(await page(await user.from(req))));
  app.use("/shop", shop);
  return createServer(app as unknown as RequestListener);
}

async function fastifyServer(user: Definition): Promise<Server> {
  const app = fastify({ rewriteUrl: rewriteUrl(user) });
  app.register(fastifySessions(user));
  app.get("/shop/cart", async (request) => await page(await user.from(request)));
  await app.ready();
  return app.server;
}

function koaServer(user: Definition): Server {
  const app = new Koa();
  app.use(koaSessions(user));
  app.use(async (ctx) => {
    if (ctx.path === "/shop/cart") ctx.body = await page(await user.from(ctx));
  });
  return createServer(app.callback());
}

function honoServer(user: Definition): Server {
  const app = new Hono();
  app.get("/shop/cart", async (c) => c.text(await page(await user.from(c))));
  // Hono chooses the route before any middleware runs.
  const fetch = withSessionsFetch(async (request: Request) => await app.fetch(request), user);
  return createAdaptorServer({ fetch, overrideGlobalObjects: false }) as Server;
}

/** As it is: `fetch` would rewrite the path. */
async function body(port: number, path: string): Promise<string> {
  const [response] = (await once(get({ port, path, host: "127.0.0.1" }), "response")) as [AsyncIterable<Buffer>];
  let text = "";
  for await (const chunk of response) text += chunk.toString();
  return text;
}

describe("a session in the path, as Tomcat writes it,", () => {
  test.each<[string, (user: Definition) => Server | Promise<Server>]>([
    ["node:http", nodeServer],
    ["Express 5, in a router", (user) => expressServer(express, user)],
    ["Express 4, in a router", (user) => expressServer(express4 as typeof express, user)],
    ["Fastify, with rewriteUrl", fastifyServer],
    ["Koa", koaServer],
    ["Hono, within withSessions of coatcheck/fetch", honoServer],
  ])("finds its route: %s", async (_name, make) => {
    const user: Definition = defineSession<{ visits: number }>({
      name: "user",
      store: memoryStore(),
      transport: url({ form: "path" }),
    });
    const server = await make(user);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    try {
      const [visits, link = ""] = (await body(port, "/shop/cart")).split(" ");
      expect(visits).toBe("1");
      expect(link).toMatch(/^\/shop\/cart;user=[\w-]{43}\?x=1$/);
      expect(await body(port, link)).toBe(`2 ${link}`);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
