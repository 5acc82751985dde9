import { EventEmitter } from "node:events";
import { createRequire } from "node:module";
import type { IncomingMessage, ServerResponse } from "node:http";
import express from "express";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ask, serving, through, type Answer, type Serving } from "../../test/express-session/serving.ts";
import { signerOf } from "../express-session/signature.ts";
import { Cookie, MemoryStore, session, Store, type SessionOptions } from "./express-session.ts";

const SECRET = "keyboard cat";
const MINUTE = 60_000;

type Data = Record<string, unknown>;
interface Req extends IncomingMessage {
  session: Data & {
    id: string;
    cookie: Cookie;
    touch(): unknown;
    save(callback?: (error?: unknown) => void): unknown;
    reload(callback?: (error?: unknown) => void): Promise<void>;
    destroy(callback?: (error?: unknown) => void): Promise<void>;
    regenerate(callback?: (error?: unknown) => void): Promise<void>;
  };
  sessionID: unknown;
  sessionStore: Store;
}
type Handler = (req: Req, res: ServerResponse) => unknown;

beforeEach(() => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
});

function listener(options: SessionOptions<never>, handler: Handler, errors: unknown[] = []): unknown {
  return through(session({ secret: SECRET, cookie: { maxAge: MINUTE }, ...options }), handler, errors);
}

const withSession = (options: SessionOptions<never>, handler: Handler, work: (server: Serving) => Promise<void>) =>
  serving(listener(options, handler), work);

/** Counts the visits of a session. */
const counting: Handler = (req, res) => {
  const visits = Number(req.session["visits"] ?? 0) + 1;
  req.session["visits"] = visits;
  res.end(String(visits));
};

const idIn = ({ cookie }: Answer): string | undefined =>
  cookie === undefined ? undefined : signerOf([SECRET]).read(cookie.slice(cookie.indexOf("=") + 1));

/** Which calls a store gets. */
function watched(store: MemoryStore = new MemoryStore()): { store: MemoryStore; calls: string[] } {
  const calls: string[] = [];
  for (const verb of ["get", "set", "touch", "destroy"] as const) {
    const method = store[verb].bind(store) as (...args: unknown[]) => unknown;
    Object.assign(store, { [verb]: (...args: unknown[]) => void (calls.push(verb), method(...args)) });
  }
  return { store, calls };
}

describe("express-session's ways", () => {
  test("require() gives the function itself, with its classes; import gives the same", async () => {
    const door = (await import("./express-session.ts")) as Record<string, unknown>;
    expect(door["module.exports"]).toBe(session);
    expect(door["default"]).toBe(session);
    for (const name of ["Store", "MemoryStore", "Cookie", "Session"]) {
      expect(door[name]).toBe((session as unknown as Data)[name]);
    }
  });

  test("a visitor is remembered by the cookie connect.sid", async () => {
    await withSession({}, counting, async ({ ask: visit }) => {
      const first = await visit();
      expect(first.setCookies[0]).toMatch(/^connect\.sid=s%3A[\w-]{32}\.[\w%]+; Path=\/; Expires=.+ GMT; HttpOnly$/);
      expect([first.body, (await visit({ cookie: first.cookie })).body]).toEqual(["1", "2"]);
      expect((await visit()).body).toBe("1");
    });
  });

  test("a request that has a session already is left alone", async () => {
    const own = { mine: true };
    const app = through(
      (req: Req, res: ServerResponse, next) => {
        req.session = own as never;
        session({ secret: SECRET })(req, res, next);
      },
      (req: Req, res: ServerResponse) => res.end(String((req.session as unknown) === own)),
    );
    await serving(app, async ({ ask: visit }) => expect(await visit()).toMatchObject({ body: "true", setCookies: [] }));
  });

  test("without a secret every request fails, unless cookie-parser has one", async () => {
    const errors: unknown[] = [];
    await serving(listener({ secret: undefined }, counting, errors), async ({ ask: visit }) => {
      expect(await visit()).toMatchObject({ status: 500, body: expect.stringMatching(/secret.*required/) as string });
    });
    const middleware = session({ cookie: {} });
    const parsed = through((req: { secret?: string }, res: never, next) => {
      req.secret = SECRET;
      middleware(req as never, res, next);
    }, counting);
    await serving(parsed, async ({ ask: visit }) => {
      const first = await visit();
      expect((await visit({ cookie: first.cookie })).body).toBe("2");
    });
  });

  test.each([
    ["genid", { genid: "no" }, /genid.*must/],
    ["unset", { unset: "maybe" }, /unset.*must/],
    ["secret", { secret: [] }, /secret option array/],
    ["storeTimeout", { storeTimeout: "soon" }, /storeTimeout/],
  ])("a %s that cannot work is refused", (_, options, message) => {
    expect(() => session({ secret: SECRET, ...options } as never)).toThrow(message);
  });

  test.each(["name", "key"])("%s names the cookie", async (option) => {
    await withSession({ [option]: "sid" }, counting, async ({ ask: visit }) => {
      const first = await visit();
      expect(first.cookie).toMatch(/^sid=/);
      expect((await visit({ cookie: first.cookie })).body).toBe("2");
    });
  });

  test("genid makes ids of the request, which are signed and escaped as express-session does it", async () => {
    const ids = async (genid: (req: IncomingMessage) => string): Promise<string | undefined> => {
      let cookie: string | undefined;
      await withSession({ genid }, counting, async ({ ask: visit }) => {
        ({ cookie } = await visit({ path: "/foo" }));
      });
      return cookie;
    };
    const signed = (id: string): string => `connect.sid=${encodeURIComponent(signerOf([SECRET]).sign(id))}`;
    expect(await ids(() => "apple")).toBe(signed("apple"));
    expect(await ids(() => "%")).toBe(signed("%"));
    expect(await ids((req) => req.url ?? "")).toBe(signed("/foo"));
  });

  test("an id that is not in the store is not adopted", async () => {
    const cookie = `connect.sid=${encodeURIComponent(signerOf([SECRET]).sign("chosen"))}`;
    await withSession({}, counting, async ({ ask: visit }) => {
      const answer = await visit({ cookie });
      expect(answer.body).toBe("1");
      expect(idIn(answer)).toMatch(/^[\w-]{32}$/);
    });
  });

  test("a cookie that nobody has signed never reaches the store", async () => {
    const { store, calls } = watched();
    await withSession({ store }, counting, async ({ ask: visit }) => {
      const { cookie = "" } = await visit();
      calls.length = 0;
      for (const bad of [cookie.slice(0, -1), cookie.replace("s%3A", ""), "connect.sid=", "connect.sid=%"]) {
        expect((await visit({ cookie: bad })).body).toBe("1");
      }
      expect(calls).not.toContain("get");
    });
  });

  test("of several cookies of the name, the one that has a session counts", async () => {
    await withSession({}, counting, async ({ ask: visit }) => {
      const { cookie = "" } = await visit();
      const ended = `connect.sid=${encodeURIComponent(signerOf([SECRET]).sign("ended"))}`;
      expect((await visit({ cookie: `connect.sid=other; ${ended}; ${cookie}` })).body).toBe("2");
    });
  });

  test("the first secret signs, and cookies of the others are accepted", async () => {
    const store = new MemoryStore();
    let cookie: string | undefined;
    await withSession({ store, secret: "old" }, counting, async ({ ask: visit }) => void ({ cookie } = await visit()));
    await withSession({ store, secret: ["new", "old"] }, counting, async ({ ask: visit }) => {
      expect((await visit({ cookie })).body).toBe("2");
    });
    await withSession({ store, secret: "new" }, counting, async ({ ask: visit }) => {
      expect((await visit({ cookie })).body).toBe("1");
    });
  });

  test("cookie-parser's findings do where the header has gone, if they are signed", async () => {
    const store = new MemoryStore();
    const value = signerOf([SECRET]).sign("known");
    await store.set("known", { cookie: new Cookie(), visits: 1 });
    const parsed = (properties: object): unknown =>
      through((req: IncomingMessage, res: never, next) => {
        session({ secret: SECRET, store })(Object.assign(req, properties), res, next);
      }, counting);
    await serving(parsed({ cookies: { "connect.sid": value } }), async ({ ask: visit }) => {
      expect((await visit()).body).toBe("2");
    });
    await serving(parsed({ signedCookies: { "connect.sid": "known" } }), async ({ ask: visit }) => {
      expect((await visit()).body).toBe("3");
    });
    await serving(parsed({ cookies: { "connect.sid": "known" } }), async ({ ask: visit }) => {
      expect((await visit()).body).toBe("1");
    });
  });

  test("a record without a cookie is an error, not a session", async () => {
    const store = new MemoryStore();
    await withSession({ store }, counting, async ({ ask: visit }) => {
      const first = await visit();
      await store.set(String(idIn(first)), { foo: "bar" });
      const { status, body } = await visit({ cookie: first.cookie });
      expect([status, body]).toEqual([500, expect.stringContaining("Cannot read prop")]);
    });
  });

  test("an error of the store is the application's, and ENOENT is no error", async () => {
    const store = new MemoryStore();
    let error: Error = Object.assign(new Error("boom"), { code: "ENOENT" });
    await withSession({ store }, counting, async ({ ask: visit }) => {
      const { cookie } = await visit();
      Object.assign(store, { get: (_: string, callback: (error: Error) => void) => callback(error) });
      expect((await visit({ cookie })).body).toBe("1");
      error = new Error("boom");
      expect(await visit({ cookie })).toMatchObject({ status: 500, body: "boom", setCookies: [] });
    });
  });

  test("a store that says that it is away leaves requests without a session until it is back", async () => {
    const store = new MemoryStore();
    await withSession(
      { store },
      (req, res) => res.end(typeof req.session),
      async ({ ask: visit }) => {
        store.emit("disconnect");
        expect(await visit()).toMatchObject({ body: "undefined", setCookies: [] });
        store.emit("connect");
        expect((await visit()).body).toBe("object");
      },
    );
  });

  test("a session ends with its cookie", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    try {
      const store = new MemoryStore();
      await withSession({ store }, counting, async ({ ask: visit }) => {
        const first = await visit();
        for (const visits of ["2", "3", "4"]) {
          vi.advanceTimersByTime(MINUTE - 1000);
          expect((await visit({ cookie: first.cookie })).body).toBe(visits);
        }
        vi.advanceTimersByTime(MINUTE + 1);
        const next = await visit({ cookie: first.cookie });
        expect(next.body).toBe("1");
        expect(idIn(next)).not.toBe(idIn(first));
        expect(await store.length()).toBe(1);
      });
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("which cookie", () => {
  const attributes = async (options: SessionOptions<never>, request: Parameters<Serving["ask"]>[0] = {}) => {
    let cookies: readonly string[] = [];
    const handler: Handler = (_req, res) => res.end();
    await withSession(
      options,
      handler,
      async ({ ask: visit }) => void ({ setCookies: cookies } = await visit(request)),
    );
    return cookies.map((line) => line.slice(line.indexOf(";") + 2));
  };
  const viaTls = { headers: { "x-forwarded-proto": "https" } };

  test("the options are its attributes", async () => {
    expect(await attributes({ cookie: {} })).toEqual(["Path=/; HttpOnly"]);
    const cookie = {
      httpOnly: false,
      priority: "high",
      partitioned: true,
      sameSite: "lax",
      domain: "a.example",
    } as const;
    expect(await attributes({ cookie })).toEqual([
      "Domain=a.example; Path=/; Partitioned; Priority=High; SameSite=Lax",
    ]);
  });

  test("they may be made of the request", async () => {
    const cookie = (req: IncomingMessage) => ({ path: req.url ?? "" });
    expect(await attributes({ cookie } as never, { path: "/tenant" })).toEqual(["Path=/tenant; HttpOnly"]);
  });

  test.each([
    [true, { "x-forwarded-proto": "https" }, true],
    [true, { "x-forwarded-proto": "HTTPS , http" }, true],
    [true, { "x-forwarded-proto": "http, https" }, false],
    [true, {}, false],
    [false, { "x-forwarded-proto": "https" }, false],
    [undefined, { "x-forwarded-proto": "https" }, false],
  ])("proxy %s, headers %j: TLS %s", async (proxy, headers, secure) => {
    expect((await attributes({ proxy, cookie: { secure: true } }, { headers })).length).toBe(secure ? 1 : 0);
    const auto = await attributes({ proxy, cookie: { secure: "auto", sameSite: "auto" } }, { headers });
    expect(auto).toEqual([secure ? "Path=/; HttpOnly; Secure; SameSite=None" : "Path=/; HttpOnly; SameSite=Lax"]);
  });

  test("without proxy, Express's word counts; with proxy: false it does not", async () => {
    for (const [proxy, expected] of [
      [undefined, 1],
      [false, 0],
    ] as const) {
      const app = express()
        .set("trust proxy", true)
        .use(session({ secret: SECRET, proxy, cookie: { secure: true } }))
        .get("/", (_req, res) => void res.end());
      await serving(app, async ({ ask: visit }) => expect((await visit(viaTls)).setCookies.length).toBe(expected));
    }
  });

  test("why a Secure cookie was not sent is said, once", async () => {
    await withSession({ name: "why", cookie: { secure: true } }, counting, async ({ ask: visit }) => {
      await visit();
      await visit();
    });
    const said = vi.mocked(console.warn).mock.calls.map(([text]) => String(text));
    expect(said.filter((text) => text.includes('"why"'))).toEqual([expect.stringContaining("trust proxy")]);
  });

  test("only requests under its path have a session, however routers cut their URLs", async () => {
    const has = async (url: string, originalUrl?: string): Promise<boolean> => {
      const req = { url, headers: {}, socket: {}, ...(originalUrl === undefined ? {} : { originalUrl }) };
      session({ secret: SECRET, cookie: { path: "/foo/bar" } })(req as never, {} as never, () => {});
      return "session" in req;
    };
    expect(await has("/")).toBe(false);
    expect(await has("/foo?/foo/bar")).toBe(false);
    expect(await has("/foo/bar?a=1")).toBe(true);
    expect(await has("/foo/bar/baz#x")).toBe(true);
    expect(await has("/bar", "/foo/bar")).toBe(true);
    expect(await has("/foo/bar", "/foo/foo/bar")).toBe(false);
    expect(await has("http://a.example/foo/bar")).toBe(true);
    expect(await has("http://a.example/bar")).toBe(false);
    expect(await has("")).toBe(false);
    expect(await has("*")).toBe(false);
  });

  test("cookies that the handler sets stay, before or in writeHead, and ours comes last", async () => {
    const ways: Handler[] = [
      (_req, res) => res.setHeader("Set-Cookie", "a=1").end(),
      (_req, res) => res.setHeader("Set-Cookie", ["a=1"]).end(),
      (_req, res) => res.writeHead(200, { "Set-Cookie": "a=1" }).end(),
    ];
    for (const handler of ways) {
      await withSession({}, handler, async ({ ask: visit }) => {
        expect((await visit()).setCookies).toEqual(["a=1", expect.stringMatching(/^connect\.sid=/)]);
      });
    }
  });

  test("a response with our cookie is kept by no cache, and others are left alone", async () => {
    const handler: Handler = (req, res) => {
      res.setHeader("Cache-Control", "public, max-age=60");
      counting(req, res);
    };
    await withSession({ cookie: {} }, handler, async ({ ask: visit }) => {
      const first = await visit();
      expect(first.headers["cache-control"]).toBe("no-store");
      expect((await visit({ cookie: first.cookie })).headers["cache-control"]).toBe("public, max-age=60");
    });
  });

  test("attributes that make no cookie are the application's error, and the response goes out without it", async () => {
    const errors: unknown[] = [];
    const bad = listener({ cookie: { expires: new Date(Number.NaN) } }, (_req, res) => res.end("hello"), errors);
    await serving(bad, async ({ ask: visit }) => {
      expect(await visit()).toMatchObject({ status: 200, body: "hello", setCookies: [] });
      await vi.waitFor(() => expect(errors).toEqual([new TypeError("option expires is invalid")]));
    });
  });

  test("what the handler does to the session's cookie goes out and is kept", async () => {
    const store = new MemoryStore();
    const handler: Handler = (req, res) => {
      const { cookie } = req.session;
      if (req.url === "/long") cookie.maxAge = 3_000_000_000;
      if (req.url === "/browser") cookie.expires = null;
      if (req.url === "/open") cookie.httpOnly = false;
      req.session["at"] = req.url;
      res.end(String(cookie.originalMaxAge));
    };
    await withSession({ store }, handler, async ({ ask: visit }) => {
      const { cookie } = await visit({ path: "/long" });
      const again = await visit({ path: "/", cookie });
      expect(Number(again.body)).toBeGreaterThan(2_999_000_000);
      const ends = /Expires=([^;]+)/.exec(again.setCookies[0] ?? "")?.[1] ?? "";
      expect(Math.abs(Date.parse(ends) - Date.now() - 3_000_000_000)).toBeLessThan(5_000);
      expect((await visit({ path: "/open", cookie })).setCookies[0]).not.toContain("HttpOnly");
      // For the rest of the browser's life, which it was told at first: not again.
      expect((await visit({ path: "/browser", cookie })).setCookies).toEqual([]);
    });
  });

  test.each([2_000, 90_000_000])("a life of %i ms without any other change is kept, too", async (maxAge) => {
    const store = new MemoryStore();
    const handler: Handler = (req, res) => {
      if (req.url === "/other") req.session.cookie.maxAge = maxAge;
      else req.session["user"] = "ada";
      res.end(JSON.stringify(req.session["user"]));
    };
    await withSession({ store, resave: false }, handler, async ({ ask: visit }) => {
      const { cookie } = await visit();
      await visit({ path: "/other", cookie });
      const [record] = Object.values(await store.all()) as [{ cookie: { originalMaxAge: number }; user: string }];
      expect(Math.abs(record.cookie.originalMaxAge - maxAge)).toBeLessThan(100);
      expect(record.user).toBe("ada");
    });
  });
});

describe("when it is written", () => {
  const calls = async (options: SessionOptions<never>, ...handlers: Handler[]): Promise<string[][]> => {
    const { store, calls: made } = watched();
    const rounds: string[][] = [];
    let round = 0;
    const handler: Handler = (req, res) => handlers[round]?.(req, res);
    await withSession({ store, ...options }, handler, async ({ ask: visit }) => {
      let cookie: string | undefined;
      for (; round < handlers.length; round++) {
        const answer = await visit({ cookie });
        cookie ??= answer.cookie;
        rounds.push([...made.splice(0), ...(answer.setCookies.length > 0 ? ["cookie"] : [])]);
      }
    });
    return rounds;
  };
  const write: Handler = (req, res) => {
    req.session["user"] = { name: "ada", cookie: 1 };
    res.end();
  };
  const nested: Handler = (req, res) => {
    (req.session["user"] as { cookie: number }).cookie++;
    res.end();
  };
  const look: Handler = (req, res) => res.end(JSON.stringify(req.session));

  test("by express-session's defaults, always", async () => {
    expect(await calls({}, look, look, write)).toEqual([
      ["set", "cookie"],
      ["get", "set"],
      ["get", "set", "cookie"],
    ]);
  });

  test("resave: false: when something in it changed, at any depth; else it is touched", async () => {
    expect(await calls({ resave: false }, write, look, nested, write)).toEqual([
      ["set", "cookie"],
      ["get", "touch"],
      ["get", "set", "cookie"],
      ["get", "set", "cookie"],
    ]);
  });

  test("saveUninitialized: false: a new session only when something is in it", async () => {
    expect(await calls({ resave: false, saveUninitialized: false }, look, write, look)).toEqual([
      [],
      ["set", "cookie"],
      ["get", "touch"],
    ]);
  });

  test("rolling: the cookie goes out with every response, unless the session is new and empty", async () => {
    const options = { resave: false, saveUninitialized: false, rolling: true };
    expect(await calls(options, look, write, look)).toEqual([[], ["set", "cookie"], ["get", "touch", "cookie"]]);
  });

  test("a cookie without an end goes out once", async () => {
    expect(await calls({ cookie: {}, resave: false }, write, write, nested)).toEqual([
      ["set", "cookie"],
      ["get", "touch"],
      ["get", "set"],
    ]);
  });

  test("save() writes at once, and instead of the end of the request", async () => {
    const saving: Handler = (req, res) => {
      req.session["user"] = "ada";
      req.session.save((error) => res.end(String(error)));
    };
    expect(await calls({}, saving, saving)).toEqual([
      ["set", "cookie"],
      ["get", "set", "touch"],
    ]);
    expect((await calls({ saveUninitialized: false }, saving))[0]).toEqual(["set", "cookie"]);
  });

  test("what changes after save() is written, too", async () => {
    const saving: Handler = async (req, res) => {
      req.session["user"] = "ada";
      await req.session.save();
      req.session["user"] = "eve";
      res.end();
    };
    expect((await calls({ resave: false }, saving))[0]).toEqual(["set", "set", "cookie"]);
  });

  test("a session id that is no text is neither written nor sent", async () => {
    const bogus: Handler = (req, res) => {
      req.sessionID = () => {};
      write(req, res);
    };
    expect((await calls({}, bogus))[0]).toEqual([]);
  });

  test("req.session = null leaves the record, or with unset: destroy ends it", async () => {
    const unset: Handler = (req, res) => {
      req.session = null as never;
      res.end();
    };
    expect(await calls({}, write, unset)).toEqual([["set", "cookie"], ["get"]]);
    expect(await calls({ unset: "destroy" }, write, unset, look)).toEqual([
      ["set", "cookie"],
      ["get", "destroy"],
      ["get", "set", "cookie"],
    ]);
    expect(await calls({ unset: "destroy" }, unset)).toEqual([["destroy"]]);
  });

  test("errors of set, touch and destroy come to the application after the response, which goes out as it is", async () => {
    const failing = { set: write, touch: look, destroy: ((req) => (req.session = null as never)) as Handler };
    for (const [verb, handler] of Object.entries(failing)) {
      const store = new MemoryStore();
      const errors: unknown[] = [];
      const both: Handler = (req, res) => {
        if (req.url === "/first") return write(req, res);
        handler(req, res);
        return res.end("done");
      };
      await serving(listener({ store, resave: false, unset: "destroy" }, both, errors), async ({ ask: visit }) => {
        const { cookie } = verb === "set" ? {} : await visit({ path: "/first" });
        Object.assign(store, {
          [verb]: (...args: unknown[]) => (args.at(-1) as (error: Error) => void)(new Error("boom")),
        });
        expect((await visit({ cookie })).status).toBe(200);
        await vi.waitFor(() => expect(errors).toEqual([new Error("boom")]));
      });
    }
  });

  test("a new session that could not be written is not sent", async () => {
    const store = new MemoryStore();
    Object.assign(store, { set: (_id: string, _s: object, done: (error: Error) => void) => done(new Error("boom")) });
    await withSession({ store }, write, async ({ ask: visit }) => expect((await visit()).setCookies).toEqual([]));
  });
});

describe("req.session", () => {
  test("shows its data and its cookie, and nothing else", async () => {
    const handler: Handler = (req, res) => {
      Object.assign(req.session, { b: 1, a: { c: 2 } });
      const keys: string[] = [];
      for (const key in req.session) keys.push(key);
      res.end(
        [...keys, ...Object.keys(req.session), Object.keys(JSON.parse(JSON.stringify(req.session)) as object)].join(),
      );
    };
    await withSession({}, handler, async ({ ask: visit }) => {
      expect((await visit()).body).toBe("cookie,b,a,cookie,b,a,cookie,b,a");
    });
  });

  test("data cannot hide a method", async () => {
    const store = new MemoryStore();
    await withSession({ store }, counting, async ({ ask: visit }) => {
      const first = await visit();
      const id = String(idIn(first));
      await store.set(id, { ...(await store.get(id)), save: "no", id: "no", req: "no" });
      expect((await visit({ cookie: first.cookie })).body).toBe("2");
    });
  });

  test("destroy() ends the session, and no cookie goes out", async () => {
    const store = new MemoryStore();
    const handler: Handler = async (req, res) => {
      if (req.url === "/") return counting(req, res);
      await req.session.destroy();
      return res.end(String(req.session));
    };
    await withSession({ store }, handler, async ({ ask: visit }) => {
      const { cookie } = await visit();
      expect(await visit({ path: "/out", cookie })).toMatchObject({ body: "undefined", setCookies: [] });
      expect(await store.length()).toBe(0);
      expect(await visit({ path: "/out" })).toMatchObject({ body: "undefined", setCookies: [] });
    });
  });

  test("regenerate() begins an empty session with another id, and the old one is gone", async () => {
    const store = new MemoryStore();
    const handler: Handler = (req, res) => {
      if (req.url === "/") return counting(req, res);
      const { id } = req.session;
      return req.session.regenerate((error) => {
        res.end(JSON.stringify([error ?? null, req.session.id === id, req.session["visits"] ?? null, req.sessionID]));
      });
    };
    await withSession({ store }, handler, async ({ ask: visit }) => {
      const first = await visit();
      const second = await visit({ path: "/in", cookie: first.cookie });
      expect(JSON.parse(second.body)).toEqual([null, false, null, idIn(second)]);
      expect(idIn(second)).not.toBe(idIn(first));
      expect(Object.keys(await store.all())).toEqual([idIn(second)]);
    });
  });

  test("reload() reads again what another request wrote, and req.session is another object", async () => {
    let inner: () => Promise<unknown> = async () => undefined;
    const handler: Handler = async (req, res) => {
      if (req.url !== "/outer") return counting(req, res);
      const before = req.session;
      await inner();
      await req.session.reload();
      return res.end(`${String(req.session["visits"])} ${String(req.session === before)}`);
    };
    await withSession({}, handler, async ({ ask: visit }) => {
      const { cookie } = await visit();
      inner = async () => await visit({ cookie });
      expect((await visit({ path: "/outer", cookie })).body).toBe("2 false");
      expect((await visit({ cookie })).body).toBe("3");
    });
  });

  test("reload() fails when the session is no longer there, as often as it is called", async () => {
    const store = new MemoryStore();
    const handler: Handler = async (req, res) => {
      if (req.url === "/") return counting(req, res);
      await store.clear();
      const failures: unknown[] = [];
      for (let i = 0; i < 20; i++) await req.session.reload().catch((error: unknown) => failures.push(error));
      return res.end(`${failures.length} ${String(failures[0])}`);
    };
    await withSession({ store }, handler, async ({ ask: visit }) => {
      const { cookie } = await visit();
      expect((await visit({ path: "/again", cookie })).body).toBe("20 Error: failed to load session");
    });
  });

  test("methods call back, or return promises; a rejected one that nobody waits for ends nothing", async () => {
    const rejections: unknown[] = [];
    const note = (reason: unknown): void => void rejections.push(reason);
    process.on("unhandledRejection", note);
    const store = new MemoryStore();
    Object.assign(store, { set: (_id: string, _s: object, done: (error: Error) => void) => done(new Error("boom")) });
    const handler: Handler = async (req, res) => {
      void req.session.save();
      const failure: unknown = await Promise.resolve(req.session.save()).catch((error: unknown) => error);
      const called = await new Promise((resolve) => {
        const returned = req.session.save(resolve);
        expect(returned).toBe(req.session);
      });
      res.end(`${String(failure)} ${String(called)}`);
    };
    await withSession({ store }, handler, async ({ ask: visit }) => {
      expect((await visit()).body).toBe("Error: boom Error: boom");
      await new Promise((resolve) => setImmediate(resolve));
    });
    process.off("unhandledRejection", note);
    expect(rejections).toEqual([]);
  });

  test("from(req) has the type of its data", async () => {
    const sessions = session<{ visits: number }>({ secret: SECRET });
    const app = express()
      .use(sessions)
      .get("/", (req, res) => {
        const current = sessions.from(req);
        current.visits = (current.visits ?? 0) + 1;
        res.send(`${current.visits} ${String((current as unknown) === (req as unknown as Req).session)}`);
      });
    await serving(app, async ({ ask: visit }) => expect((await visit()).body).toBe("1 true"));
    expect(() => sessions.from({})).toThrow(TypeError);
  });
});

describe("stores", () => {
  test("Store can be extended by class, by util.inherits and by __proto__", () => {
    class Modern extends Store {}
    function Old(this: object): void {
      Store.call(this);
    }
    Object.setPrototypeOf(Old.prototype as object, Store.prototype);
    for (const store of [new Modern(), new (Old as unknown as new () => Store)(), new Store(), new MemoryStore()]) {
      expect(store).toBeInstanceOf(Store);
      expect(store).toBeInstanceOf(EventEmitter);
      let heard = 0;
      store.on("connect", () => heard++);
      store.emit("connect");
      expect(heard).toBe(1);
    }
  });

  test("sessions of several middlewares over one store are made by the options of their own", async () => {
    const store = new MemoryStore();
    const short = session({ secret: SECRET, store, cookie: { maxAge: 1000 } });
    session({ secret: SECRET, store, cookie: { maxAge: 9000 } });
    const app = through(short, async (req: Req, res: ServerResponse) => {
      if (req.url === "/regenerate") await req.session.regenerate();
      if (req.url === "/store") await req.sessionStore.regenerate(req);
      if (req.url === "/generate") store.generate?.(req);
      res.end(String(Math.round(Number(req.session.cookie.originalMaxAge) / 1000)));
    });
    await serving(app, async ({ ask: visit }) => {
      for (const path of ["/", "/regenerate", "/store", "/generate"]) expect((await visit({ path })).body).toBe("1");
    });
  });

  test("stores may answer by callbacks at once or later, by promises, and without events", async () => {
    const records = new Map<string, string>();
    const get = (id: string): unknown => (records.has(id) ? JSON.parse(records.get(id) ?? "") : undefined);
    const set = (id: string, value: object): void => void records.set(id, JSON.stringify(value));
    type Done = (error?: unknown, value?: unknown) => void;
    const stores = {
      "at once": {
        get: (id: string, done: Done) => done(null, get(id)),
        set: (id: string, value: object, done?: Done) => done?.(set(id, value)),
        destroy: (id: string, done?: Done) => done?.(void records.delete(id)),
      },
      later: {
        get: (id: string, done: Done) => void setImmediate(() => done(null, get(id))),
        set: (id: string, value: object, done?: Done) => void setImmediate(() => done?.(set(id, value))),
        destroy: (id: string, done?: Done) => void setImmediate(() => done?.(void records.delete(id))),
      },
      "by promises": {
        get: async (id: string) => get(id),
        set: async (id: string, value: object) => set(id, value),
        destroy: async (id: string) => void records.delete(id),
      },
      "by both, the promise first": {
        get: async (id: string, done: Done) => void setImmediate(() => done(null, get(id))),
        set: async (id: string, value: object, done?: Done) => void setImmediate(() => done?.(set(id, value))),
        destroy: async (id: string, done?: Done) => void setImmediate(() => done?.(void records.delete(id))),
      },
    };
    for (const [name, store] of Object.entries(stores)) {
      records.clear();
      const handler: Handler = async (req, res) => {
        if (req.url === "/out") await req.session.destroy();
        else return counting(req, res);
        return res.end();
      };
      await withSession({ store }, handler, async ({ ask: visit }) => {
        const { cookie } = await visit();
        expect((await visit({ cookie })).body, name).toBe("2");
        await visit({ path: "/out", cookie });
        expect((await visit({ cookie })).body, name).toBe("1");
      });
    }
  });

  test("load() gives a session outside of a request, which can be saved and destroyed", async () => {
    const store = new MemoryStore();
    await store.set("a", { cookie: new Cookie({ maxAge: MINUTE }), visits: 1 });
    const found = await store.load("a");
    expect(found?.id).toBe("a");
    Object.assign(found ?? {}, { visits: 5 });
    await found?.save();
    expect(await store.get("a")).toMatchObject({ visits: 5 });
    await found?.destroy();
    expect(await store.load("a")).toBeUndefined();
    await expect(found?.reload()).rejects.toThrow("failed to load session");
  });

  test("without a store, production is told where sessions are", () => {
    vi.stubEnv("NODE_ENV", "production");
    try {
      session({ secret: SECRET });
      expect(vi.mocked(console.warn).mock.calls.flat()).toEqual([expect.stringContaining("memory of this process")]);
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

test("WebSocket servers, which have a request and no response, can read and save the session", async () => {
  const sessions = session({ secret: SECRET });
  const app = through(sessions, counting);
  await serving(app, async ({ ask: visit }) => {
    const { cookie } = await visit();
    const req = { url: "/", headers: { cookie }, socket: {} } as unknown as Req;
    await new Promise<void>((resolve, reject) => {
      sessions(req, {} as never, (error) => (error === undefined ? resolve() : reject(error as Error)));
    });
    expect(req.session["visits"]).toBe(1);
    req.session["visits"] = 10;
    await req.session.save();
    expect((await visit({ cookie })).body).toBe("11");
  });
});

test("the answer says nothing else than with express-session", async () => {
  const original = createRequire(import.meta.url)("express-session") as typeof session;
  const options = { secret: SECRET, genid: () => "fixed", resave: true, saveUninitialized: true } as const;
  const answers: unknown[] = [];
  for (const make of [original, session]) {
    await serving(through(make(options), counting), async ({ port }) => {
      const { status, headers, body } = await ask(port);
      answers.push([status, headers["set-cookie"], headers["connection"], body]);
      if (make === session) expect(headers["content-length"]).toBe("1");
    });
  }
  expect(answers[1]).toEqual(answers[0]);
});
