import { once } from "node:events";
import { connect, createServer } from "node:http2";
import { request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import express, { type ErrorRequestHandler, type RequestHandler } from "express";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ask, serve, serving, through, type Serving } from "../../test/express-session/serving.ts";
import { defineSession } from "../define-session.ts";
import { cookie as cookieTransport } from "../transport/cookie.ts";
import { memoryStore } from "../store/memory.ts";
import { sessions } from "./express.ts";
import { MemoryStore, session, Store, toExpressStore, type SessionOptions } from "./express-session.ts";

const OPTIONS = { secret: "keyboard cat", resave: false, saveUninitialized: false } as const;

type Data = Record<string, unknown>;
interface Req extends IncomingMessage {
  session: Data & {
    save(callback?: (error?: unknown) => void): Promise<void>;
    destroy(callback?: (error?: unknown) => void): Promise<void>;
    regenerate(callback?: (error?: unknown) => void): Promise<void>;
  };
}
type Handler = (req: Req, res: ServerResponse) => unknown;
type Done = (error?: unknown, value?: unknown) => void;

beforeEach(() => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
});

const withSession = (options: SessionOptions<never>, handler: Handler, work: (server: Serving) => Promise<void>) =>
  serving(through(session({ ...OPTIONS, ...options }), handler), work);

/** A store for express-session whose calls wait until the test lets them go. */
class GatedStore extends Store {
  readonly records = new Map<string, string>();
  /** Calls that wait, in their order. */
  readonly waiting: { readonly verb: string; readonly go: () => void }[] = [];
  holds: readonly string[] = [];

  get(id: string, done: Done): void {
    const text = this.records.get(id);
    this.#pass("get", () => done(null, text === undefined ? undefined : JSON.parse(text)));
  }

  set(id: string, value: object, done?: Done): void {
    const text = JSON.stringify(value);
    this.#pass("set", () => done?.(null, this.records.set(id, text)));
  }

  destroy(id: string, done?: Done): void {
    this.#pass("destroy", () => done?.(null, this.records.delete(id)));
  }

  touch(_id: string, _value: object, done?: Done): void {
    this.#pass("touch", () => done?.());
  }

  #pass(verb: string, go: () => void): void {
    if (this.holds.includes(verb)) this.waiting.push({ verb, go });
    else setImmediate(go);
  }

  /** Waits for a call that is held. */
  async held(verb: string): Promise<() => void> {
    return await vi.waitFor(() => {
      const at = this.waiting.findIndex((call) => call.verb === verb);
      const [call] = at === -1 ? [] : this.waiting.splice(at, 1);
      if (call === undefined) throw new Error(`no ${verb} waits`);
      return call.go;
    });
  }
}

/** What a client has seen of an answer so far. */
function watch(port: number, path: string, cookie?: string): { seen: string[]; ended: Promise<unknown> } {
  const seen: string[] = [];
  const sent = request({ port, path, agent: false, headers: cookie === undefined ? {} : { cookie } }).end();
  sent.on("response", (res: IncomingMessage) => {
    seen.push("head");
    res.on("data", (chunk: Buffer) => seen.push(chunk.toString())).on("end", () => seen.push("end"));
  });
  return { seen, ended: once(sent, "close") };
}

const turns = async (count = 20): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe("the response leaves after the session was written", () => {
  const handler: Handler = (req, res) => {
    if (req.url === "/account") return res.end(String(req.session["user"]));
    req.session["user"] = "ada";
    if (req.url === "/redirect") return res.writeHead(302, { Location: "/account" }).end();
    if (req.url === "/stream") res.write("a");
    return res.end("b");
  };

  test.each(["/redirect", "/stream", "/plain"])("not a byte of %s before", async (path) => {
    const store = new GatedStore();
    store.holds = ["set"];
    await withSession({ store }, handler, async ({ port }) => {
      const { seen, ended } = watch(port, path);
      const write = await store.held("set");
      await turns();
      expect(seen).toEqual([]);
      write();
      await ended;
      expect(seen[0]).toBe("head");
      expect(seen.at(-1)).toBe("end");
      expect(store.records.size).toBe(1);
    });
  });

  test("with a store that takes 300 ms, a client that follows the redirect at once finds its session", async () => {
    const store = new GatedStore();
    const set = store.set.bind(store);
    store.set = (id, value, done) => void setTimeout(() => set(id, value, done), 300);
    await withSession({ store }, handler, async ({ port, ask: visit }) => {
      const sent = request({ port, path: "/redirect", agent: false }).end();
      const [head] = (await once(sent, "response")) as [IncomingMessage];
      head.resume();
      const cookie = head.headers["set-cookie"]?.[0]?.split(";")[0];
      expect((await visit({ path: "/account", cookie })).body).toBe("ada");
    });
  });

  test("nor before what the handler has begun and not waited for", async () => {
    const store = new GatedStore();
    const begin: Record<string, Handler> = {
      set: (req) => void req.session.save(),
      destroy: (req) => void req.session.destroy(),
    };
    for (const [verb, work] of Object.entries(begin)) {
      store.holds = [];
      const both: Handler = (req, res) => {
        if (req.url === "/work") work(req, res);
        else req.session["user"] = "ada";
        res.end("done");
      };
      await withSession({ store }, both, async ({ port, ask: visit }) => {
        const { cookie } = await visit();
        store.holds = [verb];
        const { seen, ended } = watch(port, "/work", cookie);
        const go = await store.held(verb);
        await turns();
        expect(seen).toEqual([]);
        go();
        await ended;
        expect(seen).toEqual(["head", "done", "end"]);
      });
    }
  });

  test("what changes while the response streams is written before it ends", async () => {
    const store = new GatedStore();
    const streaming: Handler = async (req, res) => {
      if (req.url !== "/stream") return handler(req, res);
      res.write("a");
      await turns(3);
      req.session["user"] = "eve";
      return res.end("b");
    };
    await withSession({ store }, streaming, async ({ port, ask: visit }) => {
      const { cookie } = await visit();
      store.holds = ["set"];
      const { seen, ended } = watch(port, "/stream", cookie);
      const write = await store.held("set");
      await turns();
      expect(seen).toEqual(["head", "a"]);
      write();
      await ended;
      expect(seen).toEqual(["head", "a", "b", "end"]);
      expect((await visit({ path: "/account", cookie })).body).toBe("eve");
    });
  });

  test.each([() => new GatedStore(), () => new MemoryStore()])(
    "what changes right after the first byte is written, too, and in order, %#",
    async (make) => {
      const store = make();
      const streaming: Handler = (req, res) => {
        req.session["user"] = "ada";
        res.write("a");
        req.session["user"] = "eve";
        res.end("b");
      };
      await withSession({ store }, streaming, async ({ ask: visit }) => {
        expect((await visit()).body).toBe("ab");
        const records = store instanceof MemoryStore ? Object.values(await store.all()) : [...store.records.values()];
        expect(JSON.stringify(records)).toContain("eve");
      });
    },
  );

  test("to write the head is not to send it: what changes before the end counts, as with express-session", async () => {
    const late: Handler = (req, res) => {
      res.writeHead(200);
      req.session["count"] = Number(req.session["count"] ?? 0) + 1;
      res.end(String(req.session["count"]));
    };
    await withSession({ saveUninitialized: true }, late, async ({ ask: visit }) => {
      const { cookie } = await visit();
      expect([(await visit({ cookie })).body, (await visit({ cookie })).body]).toEqual(["2", "3"]);
    });
  });

  test("after the end nothing can be added, and ending twice does no harm", async () => {
    const errors: string[] = [];
    const twice: Handler = (req, res) => {
      req.session["user"] = "ada";
      res.end("first");
      res.end("second");
      try {
        res.setHeader("X-Late", "1");
      } catch (error) {
        errors.push((error as { code: string }).code);
      }
    };
    for (const store of [new GatedStore(), new MemoryStore()]) {
      await withSession({ store }, twice, async ({ ask: visit }) => {
        const { body, headers } = await visit();
        expect([body, headers["x-late"]]).toEqual(["first", undefined]);
      });
    }
    expect(errors).toEqual(["ERR_HTTP_HEADERS_SENT", "ERR_HTTP_HEADERS_SENT"]);
  });

  test("others may have patched the response before, or patch it after", async () => {
    const patched = (res: ServerResponse, log: string[]): void => {
      for (const method of ["writeHead", "write", "end"] as const) {
        const send = res[method] as (...args: unknown[]) => unknown;
        Object.assign(res, {
          [method](this: ServerResponse, ...args: unknown[]) {
            log.push(method);
            return send.apply(this, args);
          },
        });
      }
    };
    for (const [when, store] of [
      ["before", new GatedStore()],
      ["after", new GatedStore()],
      ["before", new MemoryStore()],
      ["after", new MemoryStore()],
    ] as const) {
      const log: string[] = [];
      const app = through(
        (req: Req, res: ServerResponse, next: () => void) => {
          if (when === "before") patched(res, log);
          session({ ...OPTIONS, store })(req, res, next);
        },
        (req: Req, res: ServerResponse) => {
          if (when === "after") patched(res, log);
          req.session["user"] = "ada";
          res.write("a");
          res.end("b");
        },
      );
      await serving(app, async ({ ask: visit }) => expect(await visit()).toMatchObject({ body: "ab", status: 200 }));
      expect(
        log.filter((method) => method !== "writeHead"),
        when,
      ).toEqual(["write", "end"]);
    }
  });
});

describe("a store that never answers", () => {
  const answering = (store: GatedStore, errors: unknown[]): express.Express => {
    const told: ErrorRequestHandler = (error, _req, res, next) => {
      errors.push(error);
      if (res.headersSent) return next(error);
      return void res.status((error as { status: number }).status).send("later");
    };
    const handler: RequestHandler = (req, res) => {
      const { session: current } = req as unknown as Req;
      if (req.path === "/save") {
        void current.save((error) => res.send((error as Error | undefined)?.name));
        return;
      }
      current["at"] = String(Math.random());
      res.send("done");
    };
    return express()
      .use(session({ ...OPTIONS, store, storeTimeout: 0.05 }))
      .use(handler)
      .use(told);
  };

  test.each([
    ["get", "/", 503, "later"],
    ["set", "/", 200, "done"],
    ["set", "/save", 200, "StoreError"],
  ])("%s of %s: the request ends within the timeout", async (verb, path, status, body) => {
    const store = new GatedStore();
    const errors: unknown[] = [];
    await serving(answering(store, errors), async ({ ask: visit }) => {
      const { cookie } = await visit();
      store.holds = [verb];
      const begun = performance.now();
      const answer = await visit({ path, cookie });
      expect(performance.now() - begun).toBeLessThan(1500);
      expect(answer).toMatchObject({ status, body, setCookies: [] });
      if (path === "/save") return expect(errors).toEqual([]);
      await vi.waitFor(() => expect(errors).toMatchObject([{ name: "StoreError", timedOut: true }]));
      return undefined;
    });
  });

  test("what it answers after all changes nothing any more", async () => {
    const store = new GatedStore();
    const errors: unknown[] = [];
    await serving(answering(store, errors), async ({ ask: visit }) => {
      const { cookie } = await visit();
      store.holds = ["get"];
      expect((await visit({ cookie })).status).toBe(503);
      (await store.held("get"))();
      await turns();
      expect(errors.length).toBe(1);
      store.holds = [];
      expect((await visit({ cookie })).status).toBe(200);
    });
  });
});

describe("logging out wins over a save that is under way", () => {
  /** Runs a request that has read its session, logs out in another one meanwhile, and lets the first one save. */
  const race = async (store: SessionOptions["store"], out: Handler): Promise<{ alive: boolean; sent: number }> => {
    let arrived: () => void = () => {};
    let proceed: () => void = () => {};
    const hasArrived = new Promise<void>((resolve) => (arrived = resolve));
    const mayProceed = new Promise<void>((resolve) => (proceed = resolve));
    const handler: Handler = async (req, res) => {
      if (req.url === "/in") req.session["user"] = "ada";
      if (req.url === "/slow") {
        arrived();
        await mayProceed;
        req.session["seen"] = true;
      }
      if (req.url === "/out") await out(req, res);
      res.end(String(req.session?.["user"]));
    };
    let result = { alive: true, sent: 0 };
    await withSession({ store, cookie: { maxAge: 60_000 } }, handler, async ({ ask: visit }) => {
      const { cookie } = await visit({ path: "/in" });
      const slow = visit({ path: "/slow", cookie });
      await hasArrived;
      await visit({ path: "/out", cookie });
      proceed();
      const { setCookies } = await slow;
      result = { alive: (await visit({ cookie })).body === "ada", sent: setCookies.length };
    });
    return result;
  };
  const ways: Record<string, Handler> = {
    "destroy()": (req) => req.session.destroy(),
    "regenerate()": (req) => req.session.regenerate(),
  };
  const stores: Record<string, () => SessionOptions["store"]> = {
    MemoryStore: () => new MemoryStore(),
    "a store of ours": () => toExpressStore(memoryStore()),
    "a store of ours, given as it is": () => memoryStore(),
    "a store of ours that answers later": () => toExpressStore(later()),
    "a store of ours that cannot tell gone from conflict": () => {
      const store = memoryStore();
      return { ...store, update: (...args) => (store.update(...args) === "ok" ? "ok" : "conflict") };
    },
    "a store for express-session, within one process": () => new GatedStore(),
  };

  for (const [store, make] of Object.entries(stores)) {
    test.each(Object.entries(ways))(`in ${store}, by %s`, async (_, way) => {
      expect(await race(make(), way)).toEqual({ alive: false, sent: 0 });
    });
  }

  test("in a store of ours, whoever ends the session", async () => {
    const ours = memoryStore();
    const end: Handler = async () => {
      const page = await ours.list("express-session/", { limit: 10 }, { now: Date.now() });
      for (const { key } of page.records) await ours.delete(key, { now: Date.now() });
    };
    expect(await race(ours, end)).toEqual({ alive: false, sent: 0 });
  });

  test("a save that has begun when the session is ended does not outlive it", async () => {
    const store = new GatedStore();
    let ending: () => void = () => {};
    const isEnding = new Promise<void>((resolve) => (ending = resolve));
    const handler: Handler = async (req, res) => {
      if (req.url === "/out") {
        const ended = req.session.destroy();
        ending();
        await ended;
      } else req.session["at"] = String(Math.random());
      res.end();
    };
    await withSession({ store }, handler, async ({ ask: visit }) => {
      const { cookie } = await visit();
      store.holds = ["set"];
      const saving = visit({ cookie });
      const write = await store.held("set");
      const out = visit({ path: "/out", cookie });
      await isEnding;
      await turns();
      write();
      await Promise.all([saving, out]);
      expect(store.records.size).toBe(0);
    });
  });

  test("an id that was ended can be used again, by a genid that repeats itself", async () => {
    const handler: Handler = async (req, res) => {
      if (req.url === "/out") await req.session.destroy();
      else req.session["count"] = Number(req.session["count"] ?? 0) + 1;
      res.end(String(req.session?.["count"]));
    };
    for (const store of [new GatedStore(), new MemoryStore()]) {
      await withSession({ store, genid: () => "same" }, handler, async ({ ask: visit }) => {
        const { cookie } = await visit();
        expect((await visit({ cookie })).body).toBe("2");
        await visit({ path: "/out", cookie });
        expect((await visit({ cookie })).body).toBe("1");
        expect((await visit({ cookie })).body).toBe("2");
      });
    }
  });
});

/** A store of ours that takes its time. */
function later(): ReturnType<typeof memoryStore> {
  const store = memoryStore();
  const slow = Object.entries(store).map(([name, member]) => {
    if (!["create", "read", "update", "touch", "delete"].includes(name)) return [name, member];
    return [
      name,
      async (...args: never[]) => {
        await new Promise((resolve) => setImmediate(resolve));
        return (member as (...args: never[]) => unknown)(...args);
      },
    ];
  });
  return Object.fromEntries(slow) as ReturnType<typeof memoryStore>;
}

describe("saves of one session that meet, in a store of ours", () => {
  test.each([
    ["at once", memoryStore],
    ["later", later],
  ])("change by change both count, where the store answers %s", async (_, make) => {
    let meet: () => Promise<void> = async () => {};
    const handler: Handler = async (req, res) => {
      const name = (req.url ?? "").slice(1);
      await meet();
      if (name !== "look") req.session[name] = true;
      if (name === "b") delete req.session["gone"];
      res.end(Object.keys(req.session).toSorted().join());
    };
    await withSession({ store: make(), resave: true }, handler, async ({ ask: visit }) => {
      const { cookie } = await visit({ path: "/gone" });
      let [count, open]: [number, () => void] = [0, () => {}];
      const all = new Promise<void>((resolve) => (open = resolve));
      meet = async () => {
        if (++count === 3) open();
        await all;
      };
      await Promise.all(["/a", "/b", "/look"].map((path) => visit({ path, cookie })));
      expect((await visit({ path: "/look", cookie })).body).toBe("a,b,cookie");
    });
  });

  test.each([
    [["between1"], 1],
    [["between1", "between2"], 2],
  ])("%s, saved meanwhile by others, is not taken back by the end of the request", async (others, times) => {
    let between: () => Promise<unknown> = async () => undefined;
    const handler: Handler = async (req, res) => {
      if (req.url === "/outer") {
        await between();
        req.session["a"] = 1;
        await req.session.save();
        if (times > 1) await between();
        req.session["b"] = 2;
      } else req.session[(req.url ?? "").slice(1)] = true;
      res.end(Object.keys(req.session).toSorted().join());
    };
    await withSession({ store: memoryStore() }, handler, async ({ ask: visit }) => {
      const { cookie } = await visit({ path: "/first" });
      let count = 0;
      between = async () => await visit({ path: `/between${++count}`, cookie });
      await visit({ path: "/outer", cookie });
      expect((await visit({ path: "/last", cookie })).body).toBe(
        ["a", "b", ...others, "cookie", "first", "last"].join(),
      );
    });
  });
});

describe("beside others", () => {
  test.each([
    ["before", () => new GatedStore()],
    ["before", () => new MemoryStore()],
    ["after", () => new GatedStore()],
    ["after", () => new MemoryStore()],
  ])("native sessions, installed %s it, are committed with it before the first byte, %#", async (when, make) => {
    const user = defineSession<{ name: string }>({
      name: "user",
      store: later(),
      transport: cookieTransport({ secure: false }),
    });
    const both = [sessions(user) as RequestHandler, session({ ...OPTIONS, store: make() }) as RequestHandler];
    const app = express()
      .use(when === "before" ? both : both.toReversed())
      .get("/", async (req, res) => {
        const { session: legacy } = req as unknown as Req;
        const native = await user.from(req);
        const seen = [legacy["name"], native.data?.name];
        legacy["name"] = "old";
        native.set({ name: "new" });
        res.json(seen);
      });
    await serving(app, async ({ ask: visit }) => {
      const first = await visit();
      expect(first.setCookies.length).toBe(2);
      const cookie = first.setCookies.map((line) => line.split(";")[0]).join("; ");
      expect((await visit({ cookie })).body).toBe('["old","new"]');
    });
  });

  test("clients move from the drop-in to a definition, request by request, and out again", async () => {
    const user = defineSession<{ cart: string[] }>({
      name: "user",
      store: memoryStore(),
      transport: cookieTransport({ secure: false }),
    });
    const legacy = session<{ userId: string; cart: string[] }>({ ...OPTIONS, store: new GatedStore() });
    const before = express()
      .use(legacy)
      .use(((req, res) => {
        Object.assign(legacy.from(req), { userId: "ada", cart: ["apple"] });
        res.end();
      }) as RequestHandler);
    const after = express()
      .use(sessions(user), legacy)
      .use((async (req, res) => {
        const old = legacy.from(req);
        const current = await user.from(req);
        if (old.userId !== undefined && current.isNew) {
          current.set({ cart: old.cart ?? [] });
          current.authenticate(old.userId);
        }
        res.json([old.userId, current.subject, current.data?.cart]);
      }) as RequestHandler);
    let cookie: string | undefined;
    await serving(before, async ({ ask: visit }) => void ({ cookie } = await visit()));
    await serving(after, async ({ ask: visit }) => {
      const moved = await visit({ cookie });
      expect(JSON.parse(moved.body)).toEqual(["ada", "ada", ["apple"]]);
      expect(JSON.parse((await visit({ cookie: `${cookie}; ${moved.cookie}` })).body)).toEqual([
        "ada",
        "ada",
        ["apple"],
      ]);
      expect(await user.manager.count()).toBe(1);
      expect(JSON.parse((await visit({ cookie: moved.cookie })).body)).toEqual([null, "ada", ["apple"]]);
    });
  });

  test("HTTP/2 works", async () => {
    const middleware = session({ ...OPTIONS, store: new GatedStore() });
    const handler: Handler = (req, res) => {
      req.session["count"] = Number(req.session["count"] ?? 0) + 1;
      res.write("count ");
      res.end(String(req.session["count"]));
    };
    const server = createServer(through(middleware, handler) as never).listen(0);
    await once(server, "listening");
    const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    try {
      const visit = async (cookie?: string): Promise<{ body: string; cookie: string | undefined }> => {
        const stream = client.request({ ":path": "/", ...(cookie === undefined ? {} : { cookie }) });
        const [headers] = (await once(stream, "response")) as [{ "set-cookie"?: string[] }];
        let body = "";
        for await (const chunk of stream.setEncoding("utf8")) body += String(chunk);
        return { body, cookie: headers["set-cookie"]?.[0]?.split(";")[0] };
      };
      const first = await visit();
      expect([first.body, (await visit(first.cookie)).body]).toEqual(["count 1", "count 2"]);
    } finally {
      client.close();
      server.close();
    }
  });

  test("a session that JSON cannot say is an error, and no half of a response goes out", async () => {
    const errors: unknown[] = [];
    const circular: Handler = (req, res) => {
      req.session["self"] = req.session;
      res.end("fine");
    };
    const server = await serve(through(session(OPTIONS), circular, errors));
    expect(await ask(server.port)).toMatchObject({ status: 500, setCookies: [] });
    expect(errors).toEqual([expect.any(TypeError)]);
    await server.stop();
  });
});
