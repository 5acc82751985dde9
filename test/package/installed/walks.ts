/**
 * A walk through every door of the installed package, as an app would take it. Compiled in an empty project against the types
 * of the package, and run on every runtime; what it returns is what a user sees.
 */
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type * as root from "coatcheck";
import type { SessionDefinition, SessionStore } from "coatcheck";
import type * as ktor from "coatcheck/compat/ktor";
import type * as ktorDirectory from "coatcheck/compat/ktor-directory";
import type * as forged from "coatcheck/csrf";
import type * as define from "coatcheck/define";
import type * as onExpress from "coatcheck/express";
import type * as dropIn from "coatcheck/express-session";
import type * as onFastify from "coatcheck/fastify";
import type * as onFetch from "coatcheck/fetch";
import type * as asked from "coatcheck/forward-auth";
import type * as onHono from "coatcheck/hono";
import type * as onKoa from "coatcheck/koa";
import type * as onNode from "coatcheck/node";
import type * as sessionServer from "coatcheck/server";
import type * as directory from "coatcheck/store/directory";
import type * as memcached from "coatcheck/store/memcached";
import type * as memory from "coatcheck/store/memory";
import type * as mysql from "coatcheck/store/mysql";
import type * as nats from "coatcheck/store/nats";
import type * as nearCache from "coatcheck/store/near-cache";
import type * as postgres from "coatcheck/store/postgres";
import type * as foreign from "coatcheck/store/express-session";
import type * as redis from "coatcheck/store/redis";
import type * as remote from "coatcheck/store/remote";
import type * as sqlite from "coatcheck/store/sqlite";
import type * as testing from "coatcheck/testing";
import type { SessionAgent } from "coatcheck/testing";
import type express from "express";
import type { fastify } from "fastify";
import type * as hono from "hono";
import type Koa from "koa";

/** The doors, however they were loaded. */
export interface Doors {
  readonly coatcheck: typeof root;
  readonly "coatcheck/compat/ktor": typeof ktor;
  readonly "coatcheck/compat/ktor-directory": typeof ktorDirectory;
  readonly "coatcheck/csrf": typeof forged;
  readonly "coatcheck/define": typeof define;
  readonly "coatcheck/express": typeof onExpress;
  readonly "coatcheck/express-session": typeof dropIn;
  readonly "coatcheck/fastify": typeof onFastify;
  readonly "coatcheck/fetch": typeof onFetch;
  readonly "coatcheck/forward-auth": typeof asked;
  readonly "coatcheck/hono": typeof onHono;
  readonly "coatcheck/koa": typeof onKoa;
  readonly "coatcheck/node": typeof onNode;
  readonly "coatcheck/package.json": { readonly name: string };
  readonly "coatcheck/server": typeof sessionServer;
  readonly "coatcheck/store/directory": typeof directory;
  readonly "coatcheck/store/express-session": typeof foreign;
  readonly "coatcheck/store/memcached": typeof memcached;
  readonly "coatcheck/store/memory": typeof memory;
  readonly "coatcheck/store/mysql": typeof mysql;
  readonly "coatcheck/store/nats": typeof nats;
  readonly "coatcheck/store/near-cache": typeof nearCache;
  readonly "coatcheck/store/postgres": typeof postgres;
  readonly "coatcheck/store/redis": typeof redis;
  readonly "coatcheck/store/remote": typeof remote;
  readonly "coatcheck/store/sqlite": typeof sqlite;
  readonly "coatcheck/testing": typeof testing;
}

/** What `import` or `require` gives for each framework. */
export interface Frameworks {
  readonly express: typeof express;
  readonly fastify: typeof fastify;
  readonly hono: typeof hono;
  readonly koa: typeof Koa;
}

/** How to walk. */
export interface WalkOptions {
  /** Where stores may keep files. */
  readonly folder: string;
  /** Whether to try every promise of the store contract, too. */
  readonly kits: boolean;
}

/** What was seen. */
export interface Report {
  /** The names that each door exports. */
  readonly names: Readonly<Record<string, readonly string[]>>;
  /** What each walk came to. */
  readonly walks: Readonly<Record<string, unknown>>;
}

interface Visits {
  readonly visits: number;
}

type Definition = SessionDefinition<Visits>;
type Walk = (doors: Doors, frameworks: Frameworks, options: WalkOptions) => Promise<unknown>;

/** Walks through all doors. */
export async function walkThrough(doors: Doors, frameworks: Frameworks, options: WalkOptions): Promise<Report> {
  const names = Object.fromEntries(
    Object.entries(doors).map(([door, exported]) => [door, Object.keys(exported).toSorted()]),
  );
  const walks: Record<string, unknown> = {};
  for (const [door, walk] of Object.entries(WALKS)) {
    walks[door] = await walk(doors, frameworks, options).catch((error: unknown) => String(error));
  }
  return { names, walks };
}

/** A signing key of a Ktor server, in hexadecimal digits. */
export const KTOR_KEY: string = "6819b57a326945c1968f45236589";

const KEY = "CzBVep_E6Q4zWH2ix-wRNluApcrvFDleg6jN8hc8YYY";

const WALKS: { readonly [Door in keyof Doors]: Walk } = {
  async coatcheck(doors) {
    const { cookie, defineSession, header, isSessionError, keyRing, seal, sign, StoreError } = doors.coatcheck;
    const seen: Record<string, unknown> = {};
    const keys = keyRing([KEY]);
    const sealed = defineSession<Visits>({ name: "sealed", keys, protection: seal(), revocation: "none" });
    seen["sealed"] = await visitsOf(fetchAgent(doors, sealed));
    const signed = defineSession<Visits>({ name: "signed", keys, protection: sign(), revocation: "none" });
    const agent = fetchAgent(doors, signed);
    seen["signed"] = await visitsOf(agent);
    for (const [name, { attributes }] of agent.cookies) agent.cookies.set(name, { value: "forged", attributes });
    seen["forged"] = await visitsOf(agent);

    const store = doors["coatcheck/store/memory"].memoryStore();
    const broken = { ...store, create: () => Promise.reject(new Error("the disk is full")) };
    const failing = defineSession<Visits>({ name: "failing", store: broken, transport: cookie({ secure: false }) });
    seen["failing"] = await withoutStderr(async () => (await fetchAgent(doors, failing).fetch("/")).status);
    seen["error"] = isSessionError(new StoreError("create", { cause: new Error("why") }));
    const byHeader = defineSession<Visits>({ name: "api", store, transport: header("X-Session") });
    const response = await fetchAgent(doors, byHeader).fetch("/");
    seen["header"] = /^[\w-]{43}$/.test(response.headers.get("X-Session") ?? "");
    seen["link"] = await visitsByLink(doors);
    return seen;
  },

  async "coatcheck/compat/ktor"(doors) {
    const { ktorEncrypt, ktorForm, ktorSign } = doors["coatcheck/compat/ktor"];
    const signed = ktorSign({ key: KTOR_KEY });
    const encrypted = ktorEncrypt({ encryptKey: "00112233445566778899aabbccddeeff", signKey: KTOR_KEY });
    const form = ktorForm({ name: "string", visits: "int" });
    const text = form.write({ name: "Ada Lovelace", visits: 3 });
    return {
      signed: await signed.write("384f8bdb"),
      read: await signed.read(await signed.write("384f8bdb")),
      forged: await signed.read(`${await signed.write("384f8bdb")}0`),
      decrypted: await encrypted.read(await encrypted.write(text)),
      form: form.read(text),
    };
  },

  async "coatcheck/compat/ktor-directory"(doors, _, { folder }) {
    const directory = doors["coatcheck/compat/ktor-directory"].ktorDirectory(join(folder, "ktor"));
    const id = doors["coatcheck/compat/ktor"].generateKtorId();
    directory.write(id, '{"visits":3}');
    const ids = [...directory.ids()];
    return [directory.read(id), ids.length === 1 && ids[0] === id, directory.delete(id), directory.read(id)];
  },

  async "coatcheck/csrf"(doors) {
    const user = inMemory(doors);
    const guard = doors["coatcheck/csrf"].csrf({ session: user });
    const handler = doors["coatcheck/fetch"].withSessions(async (request: Request) => {
      await guard(request);
      return new Response(await counted(user, request));
    }, user);
    const post = async (site: string): Promise<number> =>
      (await handler(new Request("https://shop.example/", { method: "POST", headers: { "Sec-Fetch-Site": site } })))
        .status;
    return await withoutStderr(async () => [
      await post("same-origin"),
      await post("same-site"),
      await post("cross-site"),
    ]);
  },

  async "coatcheck/define"(doors) {
    const { defineSession } = doors["coatcheck/define"];
    const named = { name: "signed", keys: KEY, revocation: "none" } as const;
    const signed = defineSession<Visits>({ ...named, protection: doors.coatcheck.sign() });
    const visits = await visitsOf(fetchAgent(doors, signed));
    try {
      return defineSession<Visits>(named);
    } catch (error) {
      return { visits, unnamed: String(error) };
    }
  },

  async "coatcheck/express"(doors, { express }) {
    const user = inMemory(doors);
    const app = express();
    app.use(doors["coatcheck/express"].sessions(user));
    app.get("/", async (req, res) => void res.send(await counted(user, req)));
    return await visitsOverSocket(doors, app);
  },

  async "coatcheck/express-session"(doors, { express }) {
    const door: unknown = doors["coatcheck/express-session"];
    // `require` gives the function itself.
    const session = typeof door === "function" ? (door as typeof dropIn.default) : (door as typeof dropIn).default;
    const app = express();
    app.use(session({ secret: "a secret", resave: false, saveUninitialized: false }));
    app.get("/", (req, res) => {
      const data = req.session as unknown as { visits?: number };
      data.visits = (data.visits ?? 0) + 1;
      res.send(String(data.visits));
    });
    return await visitsOverSocket(doors, app);
  },

  async "coatcheck/fastify"(doors, { fastify }) {
    const user = inMemory(doors);
    const app = fastify();
    app.register(doors["coatcheck/fastify"].sessions(user));
    app.get("/", (request) => counted(user, request));
    const agent = doors["coatcheck/testing"].sessionAgent(await app.listen({ port: 0, host: "127.0.0.1" }));
    return await visitsOf(agent).finally(() => app.close());
  },

  async "coatcheck/fetch"(doors) {
    return await visitsOf(fetchAgent(doors, inMemory(doors)));
  },

  async "coatcheck/forward-auth"(doors) {
    const { cookie, defineSession } = doors.coatcheck;
    const store = doors["coatcheck/store/memory"].memoryStore();
    const user = defineSession<Visits>({ name: "user", store, transport: cookie({ secure: false }) });
    const proxy = doors["coatcheck/forward-auth"].forwardAuth(user);
    const agent = doors["coatcheck/testing"].sessionAgent(async (request: Request) => {
      if (request.method === "GET") return await proxy.fetch(request);
      return await signIn(doors, user)(request);
    });
    const before = (await agent.fetch("/")).status;
    await agent.fetch("/", { method: "POST" });
    const response = await agent.fetch("/");
    return [before, response.status, response.headers.get("x-session-subject")];
  },

  async "coatcheck/hono"(doors, { hono }) {
    const user = inMemory(doors);
    const app = new hono.Hono();
    app.use(doors["coatcheck/hono"].sessions(user));
    app.get("/", async (c) => c.text(await counted(user, c)));
    return await visitsOf(doors["coatcheck/testing"].sessionAgent((request) => app.fetch(request)));
  },

  async "coatcheck/koa"(doors, { koa: Koa }) {
    const user = inMemory(doors);
    const app = new Koa();
    app.use(doors["coatcheck/koa"].sessions(user));
    app.use(async (ctx) => {
      ctx.body = await counted(user, ctx);
    });
    return await visitsOverSocket(doors, app.callback());
  },

  async "coatcheck/node"(doors) {
    const user = inMemory(doors);
    const { server, agent } = await listening(doors, signInApp(doors, user));
    const answer = async (path: string, by = agent): Promise<string> => (await by.fetch(path)).text();
    try {
      const guest = [await answer("/"), await answer("/")];
      const thief = agent.clone();
      const signedIn = [await answer("/login"), await answer("/")];
      const stolen = await answer("/", thief);
      const devices = (await user.manager.list("ada")).length;
      return { guest, signedIn, stolen, devices, signedOut: [await answer("/logout"), await answer("/")] };
    } finally {
      await closed(server);
    }
  },

  "coatcheck/package.json": async (doors) => doors["coatcheck/package.json"].name,

  async "coatcheck/server"(doors) {
    const server = doors["coatcheck/server"].sessionServer({ store: doors["coatcheck/store/memory"].memoryStore() });
    await server.listen({ host: "127.0.0.1", port: 0 });
    try {
      const sessions = `${server.url}/v1/sessions/user`;
      const json = { "Content-Type": "application/json" };
      const begun = await fetch(sessions, { method: "POST", headers: json, body: '{"data":{"visits":1}}' });
      const token = begun.headers.get("session-token") ?? "";
      const read = await fetch(`${sessions}/current`, { headers: { "Session-Token": token } });
      return [
        begun.status,
        ((await read.json()) as { data: unknown }).data,
        (await fetch(`${sessions}/current`)).status,
      ];
    } finally {
      await server.close({ within: "1s" });
    }
  },

  async "coatcheck/store/directory"(doors, _, { folder, kits }) {
    const { directoryStore } = doors["coatcheck/store/directory"];
    return {
      visits: await visitsAcrossRestart(doors, () => directoryStore(join(folder, "visits"))),
      ...(kits && (await kept(doors, () => directoryStore(join(folder, "cases"))))),
    };
  },

  async "coatcheck/store/express-session"(doors) {
    const { expressSessionStore, toExpressStore } = doors["coatcheck/store/express-session"];
    const there = toExpressStore(doors["coatcheck/store/memory"].memoryStore());
    const user = doors.coatcheck.defineSession<Visits>({ name: "user", store: expressSessionStore(there) });
    return await visitsOf(fetchAgent(doors, user));
  },

  async "coatcheck/store/memory"(doors, _, { kits }) {
    const { memoryStore } = doors["coatcheck/store/memory"];
    return { ...(kits && (await kept(doors, () => memoryStore()))) };
  },

  async "coatcheck/store/near-cache"(doors) {
    const { nearCache } = doors["coatcheck/store/near-cache"];
    const store = nearCache(doors["coatcheck/store/memory"].memoryStore(), { soleProcess: true });
    return await visitsOf(fetchAgent(doors, doors.coatcheck.defineSession<Visits>({ name: "user", store })));
  },

  // What these do with a server is tested with servers; here, that they need none to be loaded and to refuse.
  async "coatcheck/store/memcached"(doors) {
    return doors["coatcheck/store/memcached"].memcachedStore({} as never);
  },

  async "coatcheck/store/mysql"(doors) {
    return doors["coatcheck/store/mysql"].mysqlStore({} as never);
  },

  async "coatcheck/store/nats"(doors) {
    return doors["coatcheck/store/nats"].natsStore({} as never);
  },

  async "coatcheck/store/postgres"(doors) {
    return doors["coatcheck/store/postgres"].postgresStore({} as never);
  },

  async "coatcheck/store/redis"(doors) {
    return doors["coatcheck/store/redis"].redisStore({} as never);
  },

  async "coatcheck/store/remote"(doors) {
    const { remoteStore } = doors["coatcheck/store/remote"];
    const { newCredential, sessionServer } = doors["coatcheck/server"];
    const { text, credential } = newCredential("shop", "shop");
    const server = sessionServer({ store: doors["coatcheck/store/memory"].memoryStore(), credentials: [credential] });
    await server.listen({ host: "127.0.0.1", port: 0 });
    const store = remoteStore(server.url ?? "", { credential: text });
    try {
      return await visitsOf(fetchAgent(doors, doors.coatcheck.defineSession<Visits>({ name: "user", store })));
    } finally {
      await store.close?.();
      await server.close({ within: "1s" });
    }
  },

  async "coatcheck/store/sqlite"(doors, _, { folder, kits }) {
    const { sqliteStore } = doors["coatcheck/store/sqlite"];
    return {
      visits: await visitsAcrossRestart(doors, () => sqliteStore(join(folder, "visits.db"))),
      ...(kits && (await kept(doors, () => sqliteStore(":memory:")))),
    };
  },

  async "coatcheck/testing"(doors) {
    const clock = doors["coatcheck/testing"].fakeClock();
    const store = doors["coatcheck/store/memory"].memoryStore({ clock });
    const user = doors.coatcheck.defineSession<Visits>({ name: "user", store, clock, idleTimeout: "30m" });
    const agent = fetchAgent(doors, user);
    const before = await visitsOf(agent);
    // A session lives at most a tenth longer than its timeout (P2).
    clock.advance(34 * 60_000);
    return { before, after: await visitsOf(agent) };
  },
};

function inMemory(doors: Doors): Definition {
  return doors.coatcheck.defineSession<Visits>({
    name: "user",
    store: doors["coatcheck/store/memory"].memoryStore(),
  });
}

/** One more visit, and which it is. */
async function counted(user: Definition, request: Parameters<Definition["from"]>[0]): Promise<string> {
  const session = await user.from(request);
  session.update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
  return String(session.data?.visits);
}

/** What three visits answer. */
async function visitsOf(agent: SessionAgent): Promise<readonly string[]> {
  const answers: string[] = [];
  for (let visit = 0; visit < 3; visit++) answers.push(await (await agent.fetch("/")).text());
  return answers;
}

/** What three visits answer when each follows the link of the one before. */
async function visitsByLink(doors: Doors): Promise<readonly string[]> {
  const { defineSession, url } = doors.coatcheck;
  const store = doors["coatcheck/store/memory"].memoryStore();
  const kiosk = defineSession<Visits>({ name: "kiosk", store, transport: url() });
  const handler = doors["coatcheck/fetch"].withSessions(async (request: Request) => {
    const visits = await counted(kiosk, request);
    const session = await kiosk.from(request);
    await session.commit();
    return new Response(visits, { headers: { Location: session.link("/next") } });
  }, kiosk);
  const answers: string[] = [];
  for (let visit = 0, path = "/"; visit < 3; visit++) {
    const response = await handler(new Request(new URL(path, "https://shop.example")));
    path = response.headers.get("Location") ?? "/";
    answers.push(await response.text());
  }
  return answers;
}

/** An agent and the app that it talks to, without a socket. */
function fetchAgent(doors: Doors, user: Definition): SessionAgent {
  const handler = doors["coatcheck/fetch"].withSessions(
    async (request: Request) => new Response(await counted(user, request)),
    user,
  );
  return doors["coatcheck/testing"].sessionAgent(handler);
}

function signIn(doors: Doors, user: Definition): (request: Request) => Promise<Response> {
  return doors["coatcheck/fetch"].withSessions(async (request: Request) => {
    (await user.from(request)).authenticate("ada");
    return new Response();
  }, user);
}

function signInApp(doors: Doors, user: Definition): RequestListener {
  return doors["coatcheck/node"].withSessions(async (req, res) => {
    const session = await user.from(req);
    if (req.url === "/login") session.authenticate("ada");
    if (req.url === "/logout") session.destroy();
    if (req.url === "/") await counted(user, req);
    res.end(`${session.subject ?? "guest"} ${session.data?.visits ?? 0}`);
  }, user);
}

async function listening(doors: Doors, app: RequestListener): Promise<{ server: Server; agent: SessionAgent }> {
  const server = createServer(app).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { server, agent: doors["coatcheck/testing"].sessionAgent(`http://127.0.0.1:${port}`) };
}

async function closed(server: Server): Promise<void> {
  const over = once(server, "close");
  server.close();
  server.closeAllConnections();
  await over;
}

async function visitsOverSocket(doors: Doors, app: RequestListener): Promise<readonly string[]> {
  const { server, agent } = await listening(doors, app);
  return await visitsOf(agent).finally(() => closed(server));
}

/** Three visits, and three more to another process, which has the same files and another store. */
async function visitsAcrossRestart(doors: Doors, open: () => SessionStore): Promise<readonly string[]> {
  const answers: string[] = [];
  let cookies: SessionAgent["cookies"] = new Map();
  for (let start = 0; start < 2; start++) {
    const store = open();
    const agent = fetchAgent(doors, doors.coatcheck.defineSession<Visits>({ name: "user", store }));
    for (const [name, value] of cookies) agent.cookies.set(name, value);
    answers.push(...(await visitsOf(agent)));
    cookies = agent.cookies;
    await store.close?.();
  }
  return answers;
}

/** Which promises of the store contract are broken on this runtime. */
async function kept(doors: Doors, make: () => SessionStore): Promise<{ tried: number; broken: readonly string[] }> {
  const { storeCases } = doors["coatcheck/testing"];
  const broken: string[] = [];
  for (const { name, run } of storeCases) {
    await run(make).catch((error: unknown) => broken.push(`${name}: ${String(error)}`));
  }
  return { tried: storeCases.length, broken };
}

/** For what is meant to fail: its error is told on stderr, which has to stay clean otherwise. */
async function withoutStderr<Result>(work: () => Promise<Result>): Promise<Result> {
  const { error } = console;
  console.error = () => {};
  try {
    return await work();
  } finally {
    console.error = error;
  }
}
