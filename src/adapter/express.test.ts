/* oxlint-disable oxc/no-async-endpoint-handlers -- what becomes of their rejections is tested here */
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from "express";
// @ts-expect-error -- an alias of the package, whose types are those of Express 5
import express4 from "express4";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { StoreError } from "../errors.ts";
import { breakStore, kitSession, kitStore, slowStore, turn, type KitStore } from "../testing/adapter-kit.ts";
import { sessionAgent, type SessionAgent } from "../testing/session-agent.ts";
import { wireFetch } from "../testing/wire-fetch.ts";
import { sessions } from "./express.ts";

const rejections: unknown[] = [];
process.on("unhandledRejection", (reason) => rejections.push(reason));

beforeEach(() => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
});

afterEach(async () => {
  vi.restoreAllMocks();
  await turn();
  expect(rejections.splice(0)).toEqual([]);
});

test.each(["end", "write"] as const)(
  "P20: nothing of a handler that looked %s up early goes out after a failed commit, however late the error page is",
  async (method) => {
    const store = slowStore();
    breakStore(store, "create");
    const user = kitSession(store);
    const app = express();
    app.use(sessions(user));
    app.get("/", async (req, res) => {
      const early = (res[method] as (chunk: string) => unknown).bind(res);
      (await user.from(req)).authenticate("ada");
      res.write("<html>");
      await turn();
      await turn();
      await turn();
      early("welcome ada");
    });
    const page: ErrorRequestHandler = async (error: { status?: number }, _req, res, _next) => {
      for (let turns = 0; turns < 10; turns++) await turn();
      res.status(error.status ?? 500).send("error page");
    };
    app.use(page);
    await serving(app, async (agent) => {
      const response = await agent.fetch("/");
      expect([response.status, await response.text()]).toEqual([503, "error page"]);
    });
  },
);

async function serving(app: Express, work: (agent: SessionAgent) => Promise<void>): Promise<void> {
  const server = createServer(app as unknown as RequestListener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    await work(
      sessionAgent((request) => {
        const { pathname } = new URL(request.url);
        return wireFetch(new Request(new URL(pathname, origin), request));
      }),
    );
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** An error handler that tells what it was given, and takes its time to answer. */
function telling(errors: unknown[]): ErrorRequestHandler {
  return async (error, _req, res, _next) => {
    errors.push(error);
    for (let turns = 0; turns < 3; turns++) await turn();
    res.status(503).send("the app's error page");
  };
}

/** As `breakStore`, but the store throws. */
function breakAtOnce(store: KitStore, ...verbs: readonly string[]): void {
  store.before = (verb) => {
    if (verbs.includes(verb)) throw new Error("the database is away");
  };
}

const stores: readonly [string, () => KitStore, typeof breakStore][] = [
  ["at once", () => kitStore(), breakAtOnce],
  ["by promises", slowStore, breakStore],
];

describe.each([
  ["5", express],
  ["4", express4 as unknown as typeof express],
])("Express %s", (_, create) => {
  describe.each(stores)("with a store that answers %s", (_how, makeStore, fail) => {
    const ways: readonly [string, RequestHandler, { status?: number; body?: string; type?: string }][] = [
      ["send", (_req, res) => void res.send("hello"), { body: "hello", type: "text/html" }],
      [
        "json",
        (_req, res) => void res.status(201).json({ a: 1 }),
        { status: 201, body: '{"a":1}', type: "application/json" },
      ],
      ["redirect", (_req, res) => res.redirect("/next"), { status: 302 }],
      ["sendStatus", (_req, res) => void res.sendStatus(202), { status: 202, body: "Accepted" }],
      ["sendFile", (_req, res) => res.sendFile(import.meta.filename), { type: "video/mp2t" }],
      ["download", (_req, res) => res.download(import.meta.filename), { type: "video/mp2t" }],
      ["end", (_req, res) => void res.end(), { body: "" }],
    ];

    test.each(ways)("res.%s carries the session, which is written before", async (_name, answer, expected) => {
      const store = makeStore();
      const user = kitSession(store);
      const app = create();
      app.use(sessions(user));
      app.get("/", async (req, res, next) => {
        (await user.from(req)).set({ count: 1 });
        answer(req, res, next);
      });
      await serving(app, async (agent) => {
        const response = await agent.fetch("/");
        expect(store.calls).toEqual(["create"]);
        expect(response.status).toBe(expected.status ?? 200);
        expect(response.headers.getSetCookie()).toHaveLength(1);
        expect(response.headers.get("cache-control")).toBe("no-store");
        const body = await response.text();
        if (expected.body !== undefined) expect(body).toBe(expected.body);
        else if (expected.status === undefined) expect(body).toContain("a text that is only in this file");
        if (expected.type !== undefined) expect(response.headers.get("content-type")).toContain(expected.type);
      });
    });

    test("a fresh ETag still makes a 304, with the session", async () => {
      const user = kitSession(makeStore());
      const app = create();
      app.use(sessions(user));
      app.get("/", async (req, res) => {
        (await user.from(req)).update((data) => ({ count: (data?.count ?? 0) + 1 }));
        res.send("always the same");
      });
      await serving(app, async (agent) => {
        const etag = (await agent.fetch("/")).headers.get("etag") ?? "";
        const response = await agent.fetch("/", { headers: { "If-None-Match": etag } });
        expect(response.status).toBe(304);
        expect(await response.text()).toBe("");
      });
    });

    test("a session that cannot be saved goes to the error handlers, once", async () => {
      const store = makeStore();
      const user = kitSession(store);
      const errors: unknown[] = [];
      const app = create();
      app.use(sessions(user));
      app.use((_req, res, next) => {
        res.setHeader("X-Before", "1");
        next();
      });
      app.get("/", async (req, res) => {
        (await user.from(req)).set({ count: 1 });
        res.cookie("mine", "1").json({ secret: true });
      });
      app.use(telling(errors));
      await serving(app, async (agent) => {
        fail(store, "create");
        const response = await agent.fetch("/");
        expect(response.status).toBe(503);
        expect(await response.text()).toBe("the app's error page");
        expect(response.headers.get("x-before")).toBe("1");
        expect(response.headers.getSetCookie()).toEqual([]);
        expect(response.headers.get("content-type")).toContain("text/html");
        expect(errors).toEqual([expect.any(StoreError)]);
      });
    });

    test("Express's own error page answers for a session that cannot be saved", async () => {
      const store = makeStore();
      const user = kitSession(store);
      const app = create();
      app.use(sessions(user));
      app.get("/", async (req, res) => {
        (await user.from(req)).set({ count: 1 });
        res.write("a chunk of the handler");
        await turn();
        res.end("and its end");
      });
      await serving(app, async (agent) => {
        fail(store, "create");
        const response = await agent.fetch("/");
        expect(response.status).toBe(503);
        expect(response.headers.get("cache-control")).toBe("no-store");
        expect(await response.text()).not.toContain("handler");
      });
    });

    test("an error handler may take its time, while the handler goes on unheard", async () => {
      const store = makeStore();
      const user = kitSession(store);
      const app = create();
      app.use(sessions(user));
      app.get("/", async (req, res) => {
        (await user.from(req)).set({ count: 1 });
        res.write("a chunk of the handler");
        for (let index = 0; index < 5; index++) {
          await turn();
          res.write("another chunk of the handler");
        }
      });
      const late: ErrorRequestHandler = async (_error, _req, res, _next) => {
        for (let index = 0; index < 4; index++) await turn();
        res.status(500).end("late");
      };
      app.use(late);
      await serving(app, async (agent) => {
        fail(store, "create");
        const response = await agent.fetch("/");
        expect(response.status).toBe(500);
        expect(await response.text()).toBe("late");
      });
    });

    test("a session that cannot be read goes to the error handlers, once", async () => {
      const store = makeStore();
      const [user, cart] = [kitSession(store), kitSession(store, { name: "cart" })];
      const errors: unknown[] = [];
      const app = create();
      app.use(sessions(user, cart));
      app.get("/", async (req, res) => {
        const [first, second] = await Promise.all([user.from(req), cart.from(req)]);
        first.set({ count: 1 });
        second.set({ count: 1 });
        res.send("both");
      });
      app.use(telling(errors));
      await serving(app, async (agent) => {
        await agent.fetch("/");
        fail(store, "read");
        const response = await agent.fetch("/");
        expect(response.status).toBe(503);
        expect(await response.text()).toBe("the app's error page");
        expect(response.headers.get("vary")).toBe("Cookie");
        expect(errors).toEqual([expect.any(StoreError)]);
      });
    });

    test("an answer with a status of 500 and above keeps no data", async () => {
      const user = kitSession(makeStore());
      const app = create();
      app.use(sessions(user));
      app.get("/set", async (req, res) => {
        (await user.from(req)).set({ count: 1 });
        res.status(500).send("a failure of the app");
      });
      await serving(app, async (agent) => {
        expect((await agent.fetch("/set")).headers.getSetCookie()).toEqual([]);
      });
    });

    test("a session of a route inside a router is saved, and its failure goes to the app's error handlers", async () => {
      const store = makeStore();
      const user = kitSession(store);
      const errors: unknown[] = [];
      const [app, router] = [create(), create.Router()];
      router.get("/count", sessions(user), async (req, res) => {
        (await user.from(req)).update((data) => ({ count: (data?.count ?? 0) + 1 }));
        res.send(req.originalUrl);
      });
      app.use("/inner", router);
      app.use(telling(errors));
      await serving(app, async (agent) => {
        expect(await (await agent.fetch("/inner/count")).text()).toBe("/inner/count");
        fail(store, "update");
        expect((await agent.fetch("/inner/count")).status).toBe(503);
        expect(errors).toEqual([expect.any(StoreError)]);
      });
    });
  });

  test("definitions that clash on a route go to the error handlers", async () => {
    const errors: unknown[] = [];
    const app = create();
    app.use(sessions(kitSession(kitStore())));
    app.get("/", sessions(kitSession(kitStore())), (_req, res) => void res.send("not reached"));
    app.use(telling(errors));
    await serving(app, async (agent) => {
      expect((await agent.fetch("/")).status).toBe(503);
      expect(errors).toEqual([expect.any(TypeError)]);
    });
  });

  test("`trust proxy` of the app decides whether a request came over TLS", async () => {
    const user = kitSession(kitStore());
    const app = create();
    app.set("trust proxy", 1);
    app.use(sessions(user));
    app.get("/", async (req, res) => {
      (await user.from(req)).set({ count: 1 });
      res.send("set");
    });
    await serving(app, async (agent) => {
      const [cookie] = (await agent.fetch("/", { headers: { "X-Forwarded-Proto": "https" } })).headers.getSetCookie();
      expect(cookie).toMatch(/^__Host-Http-user=.*; Secure/);
    });
  });
});

test("sessions() takes at least one definition, and only definitions", () => {
  expect(() => sessions()).toThrow(TypeError);
  expect(() => sessions({} as never)).toThrow(TypeError);
  expect(() => sessions(kitSession(kitStore()), kitSession(kitStore()))).toThrow(/both use cookie:/);
});
