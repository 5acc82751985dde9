import { beforeEach, describe, expect, test, vi } from "vitest";
import { eventsOf, setup } from "../../test/testbed.ts";
import { defineSession, header, isSessionError, StoreError, type SessionOptions } from "../index.ts";
import { encodeBase64url } from "../internal/base64url.ts";
import { EXCHANGE, Exchange, type InstalledDefinition } from "../session/exchange.ts";
import { breakStore, gate, kitSession, kitStore, slowStore, type KitStore } from "../testing/adapter-kit.ts";
import type { RequestView } from "../transport/transport.ts";
import { csrf, CsrfError, type CsrfGuard, type CsrfOptions, type CsrfReason } from "./csrf.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  return () => vi.restoreAllMocks();
});

const KEY = encodeBase64url(crypto.getRandomValues(new Uint8Array(32)));

interface Sent {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
}

/** A request in the hands of a handler. */
interface Visit {
  readonly request: never;
  /** The response goes out, and reaches the browser. */
  answer(options?: { failed?: boolean }): Promise<void>;
}

/** A browser with one cookie at most, whose requests a guard can look at. */
class Visitor {
  cookie = "";
  readonly #definition: InstalledDefinition;

  constructor(definition: InstalledDefinition) {
    this.#definition = definition;
  }

  arrive({ method = "POST", headers = {}, body }: Sent = {}): Visit {
    const all: Sent["headers"] = { host: "shop.example", cookie: this.cookie, ...headers };
    const view: RequestView = { header: (name) => all[name], method, url: "/", secure: true, peer: undefined };
    const exchange = new Exchange(view, [this.#definition.manager], {});
    return {
      request: { headers: {}, body, [EXCHANGE]: exchange } as never,
      answer: async ({ failed = false } = {}) => {
        const edits = await exchange.commit({ failed });
        exchange.close();
        for (const { name, value } of edits) if (name === "Set-Cookie") this.cookie = value.split(";")[0] ?? "";
      },
    };
  }

  /** A page with a token in its form. */
  async token(guard: CsrfGuard): Promise<string> {
    const page = this.arrive({ method: "GET" });
    const token = await guard.token(page.request);
    await page.answer();
    return token;
  }

  /** What becomes of a request: the reason of its refusal, or `"pass"`. */
  async send(guard: CsrfGuard, sent: Sent = {}): Promise<CsrfReason | "pass"> {
    try {
      await guard(this.arrive(sent).request);
      return "pass";
    } catch (error) {
      if (!(error instanceof CsrfError)) throw error;
      expect(error.status).toBe(403);
      return error.reason;
    }
  }
}

const withToken = (token: string): Sent => ({ headers: { "x-csrf-token": token } });

describe("method × Sec-Fetch-Site × Origin × token × nonBrowser", async () => {
  const user = kitSession(kitStore());
  const options: CsrfOptions = { session: user, trustedOrigins: ["https://admin.example"] };
  const guards = { refuse: csrf(options), allow: csrf({ ...options, nonBrowser: "allow" }) };
  const [visitor, stranger] = [new Visitor(user), new Visitor(user)];
  const valid = await visitor.token(guards.refuse);
  const TOKENS = {
    none: undefined,
    valid,
    again: await visitor.token(guards.refuse),
    foreign: await stranger.token(guards.refuse),
    garbage: "not a token",
    empty: "",
    truncated: valid.slice(0, -1),
    padded: `${valid}=`,
    twice: `${valid}, ${valid}`,
    zero: encodeBase64url(new Uint8Array(32)),
  } as const;
  const METHODS = { GET: "safe", HEAD: "safe", OPTIONS: "safe", POST: "", PUT: "", PATCH: "", DELETE: "" } as const;
  const SITES = [undefined, "same-origin", "none", "same-site", "cross-site", "odd"] as const;
  const ORIGINS = {
    absent: undefined,
    own: "https://shop.example",
    trusted: "https://admin.example",
    foreign: "https://evil.example",
    opaque: "null",
  } as const;

  /** Of a request that is not safe. `?`: the token decides. Columns: the origins above. */
  const TABLE: Readonly<Record<string, readonly string[]>> = {
    undefined: ["?", "pass", "pass", "origin", "null-origin"],
    "same-origin": ["pass", "pass", "pass", "pass", "pass"],
    none: ["pass", "pass", "pass", "pass", "pass"],
    "same-site": ["same-site", "same-site", "pass", "same-site", "same-site"],
    "cross-site": ["cross-site", "cross-site", "pass", "cross-site", "cross-site"],
    odd: ["unknown-site", "unknown-site", "pass", "unknown-site", "unknown-site"],
  };
  const BY_TOKEN: Readonly<Record<keyof typeof TOKENS, string>> = {
    none: "token-missing",
    valid: "pass",
    again: "pass",
    foreign: "token-invalid",
    garbage: "token-invalid",
    empty: "token-missing",
    truncated: "token-invalid",
    padded: "token-invalid",
    twice: "token-invalid",
    zero: "token-invalid",
  };

  test.each(Object.entries(METHODS))("%s %s", async (method, safe) => {
    let rows = 0;
    for (const site of SITES) {
      for (const [column, kind] of Object.keys(ORIGINS).entries()) {
        for (const name of Object.keys(TOKENS) as (keyof typeof TOKENS)[]) {
          for (const nonBrowser of ["refuse", "allow"] as const) {
            const origin = ORIGINS[kind as keyof typeof ORIGINS];
            const headers = { "sec-fetch-site": site, origin, "x-csrf-token": TOKENS[name] };
            const cell = TABLE[String(site)]?.[column];
            const byToken = nonBrowser === "allow" ? "pass" : BY_TOKEN[name];
            const expected = safe === "safe" ? "pass" : cell === "?" ? byToken : cell;
            const found = await visitor.send(guards[nonBrowser], { method, headers });
            expect({ site, kind, name, nonBrowser, found }).toEqual({ site, kind, name, nonBrowser, found: expected });
            rows++;
          }
        }
      }
    }
    expect(rows).toBe(6 * 5 * 10 * 2);
  });
});

describe("a token", () => {
  test("is another text each time, so that compression does not give it away, and all of them are good", async () => {
    const user = kitSession(kitStore());
    const guard = csrf({ session: user });
    const visitor = new Visitor(user);
    const tokens = new Set<string>();
    for (let n = 0; n < 20; n++) tokens.add(await visitor.token(guard));
    expect(tokens.size).toBe(20);
    for (const token of tokens) {
      expect(token).toMatch(/^[\w-]{43}$/);
      expect(await visitor.send(guard, withToken(token))).toBe("pass");
    }
    // No byte stands in the same place in all of them.
    for (let at = 0; at < 42; at++) expect(new Set([...tokens].map((token) => token[at])).size).toBeGreaterThan(1);
  });

  test("with any one bit changed is refused", async () => {
    const user = kitSession(kitStore());
    const guard = csrf({ session: user });
    const visitor = new Visitor(user);
    const bytes = Buffer.from(await visitor.token(guard), "base64url");
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(await visitor.send(guard, withToken(encodeBase64url(changed)))).toBe("token-invalid");
    }
  });

  test("is found in the header, in a parsed body, in Koa's parsed body, and wherever read() looks; the first counts", async () => {
    const user = kitSession(kitStore());
    const guard = csrf({ session: user });
    const visitor = new Visitor(user);
    const token = await visitor.token(guard);
    const sendBody = (body: unknown): Promise<string> => visitor.send(guard, { body });
    expect(await sendBody({ _csrf: token })).toBe("pass");
    expect(await sendBody(Object.assign(Object.create(null) as object, { _csrf: token }))).toBe("pass");
    for (const body of [undefined, null, token, [token], { _csrf: [token] }, { csrf: token }, { _csrf: null }]) {
      expect(await sendBody(body)).toBe("token-missing");
    }
    expect(await sendBody(Object.create({ _csrf: token }))).toBe("token-missing");
    expect(await visitor.send(guard, { headers: { "x-csrf-token": "x" }, body: { _csrf: token } })).toBe(
      "token-invalid",
    );

    const inKoa = visitor.arrive();
    const { [EXCHANGE]: exchange } = inKoa.request as { [EXCHANGE]: Exchange };
    const ctx = { req: { headers: {}, [EXCHANGE]: exchange }, res: {}, body: { _csrf: "answer" } };
    await guard({ ...ctx, request: { body: { _csrf: token } } } as never);
    await expect(guard({ ...ctx, request: {} } as never)).rejects.toMatchObject({ reason: "token-missing" });

    const odd = csrf({
      session: user,
      token: { header: "X-Form-Token", field: "token", read: async (request) => (request as { sent?: unknown }).sent },
    });
    expect(await visitor.send(odd, { headers: { "x-form-token": token } })).toBe("pass");
    expect(await visitor.send(odd, { body: { token } })).toBe("pass");
    expect(await visitor.send(odd, { ...withToken(token), body: { _csrf: token } })).toBe("token-missing");
    await odd(Object.assign(visitor.arrive().request as object, { sent: token }) as never);
    await expect(odd(Object.assign(visitor.arrive().request as object, { sent: 7 }) as never)).rejects.toThrow(
      CsrfError,
    );
  });

  test("of a visitor without a session is refused, and a visitor who asks for one gets a session", async () => {
    const store = kitStore();
    const user = kitSession(store);
    const guard = csrf({ session: user });
    const visitor = new Visitor(user);
    const token = await visitor.token(guard);
    expect(store.records.size).toBe(1);
    expect(visitor.cookie).not.toBe("");
    expect(await new Visitor(user).send(guard, withToken(token))).toBe("token-invalid");
  });

  const KINDS: readonly (readonly [string, () => Partial<SessionOptions>])[] = [
    ["by id", () => ({ store: kitStore() })],
    ["by id, in a slow store", () => ({ store: slowStore() })],
    ["by id, overwriting", () => ({ store: kitStore(), concurrency: "overwrite" })],
    ["by value", () => ({ keys: KEY, revocation: "none" })],
  ];

  describe.each(KINDS)("of a session %s", (_kind, more) => {
    const make = (): { user: ReturnType<typeof kitSession>; guard: CsrfGuard; visitor: Visitor } => {
      const user = defineSession<{ count?: number }>({ name: "user", ...more(), schema: undefined });
      return { user, guard: csrf({ session: user }), visitor: new Visitor(user) };
    };

    test("outlives requests that change data", async () => {
      const { user, guard, visitor } = make();
      const token = await visitor.token(guard);
      for (let count = 0; count < 3; count++) {
        const visit = visitor.arrive();
        const session = await user.from(visit.request);
        session.set({ count });
        session.flash("notice", count);
        await visit.answer();
        expect(await visitor.send(guard, withToken(token))).toBe("pass");
      }
    });

    test("is worth nothing after a sign-in, after regenerate() and after destroy()", async () => {
      const { user, guard, visitor } = make();
      const act = async (change: (session: Awaited<ReturnType<typeof user.from>>) => void): Promise<void> => {
        const visit = visitor.arrive();
        change(await user.from(visit.request));
        await visit.answer();
      };
      const tokens = [await visitor.token(guard)];
      for (const change of [
        (session: Awaited<ReturnType<typeof user.from>>) => session.authenticate("ada"),
        (session: Awaited<ReturnType<typeof user.from>>) => session.authenticate("ada"),
        (session: Awaited<ReturnType<typeof user.from>>) => session.regenerate(),
        (session: Awaited<ReturnType<typeof user.from>>) => session.authenticate("grace"),
        (session: Awaited<ReturnType<typeof user.from>>) => session.destroy(),
      ]) {
        await act(change);
        for (const token of tokens) expect(await visitor.send(guard, withToken(token))).toBe("token-invalid");
        const token = await visitor.token(guard);
        expect(await visitor.send(guard, withToken(token))).toBe("pass");
        tokens.push(token);
      }
    });

    test("that is asked for in the request that signs in is of the new session; before, of the old one", async () => {
      const { user, guard, visitor } = make();
      await visitor.token(guard);
      const visit = visitor.arrive();
      const before = await guard.token(visit.request);
      (await user.from(visit.request)).authenticate("ada");
      const after = await guard.token(visit.request);
      await visit.answer();
      expect(await visitor.send(guard, withToken(before))).toBe("token-invalid");
      expect(await visitor.send(guard, withToken(after))).toBe("pass");
    });

    test("may be asked for several times in one request, also at once", async () => {
      const { guard, visitor } = make();
      const visit = visitor.arrive({ method: "GET" });
      const tokens = await Promise.all([guard.token(visit.request), guard.token(visit.request)]);
      tokens.push(await guard.token(visit.request));
      await visit.answer();
      expect(new Set(tokens).size).toBe(3);
      for (const token of tokens) expect(await visitor.send(guard, withToken(token))).toBe("pass");
    });

    test("is not in the data, and not in what is shown of a session", async () => {
      const { user, guard, visitor } = make();
      await visitor.token(guard);
      const visit = visitor.arrive();
      const session = await user.from(visit.request);
      expect(session.isNew).toBe(false);
      expect(session.data).toBeUndefined();
      const secret = session.csrf?.secret ?? "";
      expect(secret).toMatch(/^[\w-]{22}$/);
      expect(JSON.stringify(session) + JSON.stringify(Object.entries(session))).not.toContain(secret);
      const { inspect } = await import("node:util");
      expect(inspect(session, { showHidden: true, getters: true })).not.toContain(secret);
    });

    test("of a session that was written before there were tokens is made when asked for", async () => {
      const { user, guard, visitor } = make();
      const visit = visitor.arrive();
      (await user.from(visit.request)).set({ count: 1 });
      await visit.answer();
      expect(await visitor.send(guard, withToken(encodeBase64url(new Uint8Array(32))))).toBe("token-invalid");
      const token = await visitor.token(guard);
      expect(await visitor.send(guard, withToken(token))).toBe("pass");
      expect((await user.from(visitor.arrive().request)).data).toEqual({ count: 1 });
    });
  });

  test.each(["merge", "overwrite", "reject"] as const)(
    'P12: of two pages that ask for the first token at once, both work (concurrency: "%s")',
    async (concurrency) => {
      const store = kitStore();
      const user = kitSession(store, { concurrency });
      const guard = csrf({ session: user });
      const visitor = new Visitor(user);
      const begun = visitor.arrive();
      (await user.from(begun.request)).set({ count: 1 });
      await begun.answer();
      // Both have loaded the session before either of them writes: two processes, each with a queue of its own.
      const other = kitSession(store, { concurrency });
      const elsewhere = new Visitor(other);
      elsewhere.cookie = visitor.cookie;
      const [a, b] = [visitor.arrive(), elsewhere.arrive()];
      await Promise.all([user.from(a.request), other.from(b.request)]);
      const tokens = [await guard.token(a.request), await csrf({ session: other }).token(b.request)];
      await Promise.all([a.answer(), b.answer()]);
      for (const token of tokens) expect(await visitor.send(guard, withToken(token))).toBe("pass");
    },
  );

  test.each(["merge", "overwrite", "reject"] as const)(
    'P12: a request that changes data does not undo the first token of another one (concurrency: "%s")',
    async (concurrency) => {
      const store = kitStore();
      const user = kitSession(store, { concurrency });
      const guard = csrf({ session: user });
      const visitor = new Visitor(user);
      const begun = visitor.arrive();
      (await user.from(begun.request)).set({ count: 1 });
      await begun.answer();
      const slow = visitor.arrive();
      (await user.from(slow.request)).patch({ count: 2 });
      const token = await visitor.token(guard);
      await slow.answer();
      expect((await user.from(visitor.arrive().request)).data).toEqual({ count: 2 });
      expect(await visitor.send(guard, withToken(token))).toBe("pass");
    },
  );

  test.each(["merge", "overwrite"] as const)(
    'P11: a first token that another request makes meanwhile does not outlive a regenerate() (concurrency: "%s")',
    async (concurrency) => {
      const user = kitSession(kitStore(), { concurrency });
      const guard = csrf({ session: user });
      const visitor = new Visitor(user);
      const begun = visitor.arrive();
      (await user.from(begun.request)).set({ count: 1 });
      await begun.answer();
      const rotating = visitor.arrive();
      (await user.from(rotating.request)).regenerate();
      const token = await visitor.token(guard);
      await rotating.answer();
      expect(await visitor.send(guard, withToken(token))).toBe("token-invalid");
    },
  );

  test("P13, P15: of a session that has ended meanwhile is a text like any other, and worth nothing", async () => {
    const user = kitSession(kitStore());
    const guard = csrf({ session: user });
    const visitor = new Visitor(user);
    const begun = visitor.arrive();
    (await user.from(begun.request)).set({ count: 1 });
    await begun.answer();
    const page = visitor.arrive();
    const { id } = await user.from(page.request);
    await user.manager.revoke(id);
    const token = await guard.token(page.request);
    await page.answer();
    expect(token).toMatch(/^[\w-]{43}$/);
    expect(await visitor.send(guard, withToken(token))).toBe("token-invalid");
  });

  test("P20: of a handler that threw still works: it was written when it was asked for", async () => {
    const user = kitSession(kitStore());
    const guard = csrf({ session: user });
    const visitor = new Visitor(user);
    const page = visitor.arrive();
    const token = await guard.token(page.request);
    await page.answer({ failed: true });
    expect(await visitor.send(guard, withToken(token))).toBe("pass");
  });

  test("costs one write and an event the first time, and afterwards a read and nothing else", async () => {
    const store = kitStore();
    const user = kitSession(store);
    const events = eventsOf(user);
    const guard = csrf({ session: user });
    const visitor = new Visitor(user);
    await visitor.token(guard);
    expect(store.calls.splice(0)).toEqual(["create"]);
    await visitor.token(guard);
    await visitor.send(guard, withToken(await visitor.token(guard)));
    expect(store.calls).toEqual(["read", "read", "read"]);
    expect(events).toEqual(["created"]);
  });

  test("of a session with a codec, which keeps the data only, is a TypeError that says so", async () => {
    const foreign = defineSession<{ count?: number }>({
      name: "user",
      keys: KEY,
      revocation: "none",
      absoluteTimeout: false,
      codec: { read: (text) => JSON.parse(text) as { count?: number }, write: (data) => JSON.stringify(data) },
    });
    const guard = csrf({ session: foreign });
    const visitor = new Visitor(foreign);
    await expect(guard.token(visitor.arrive().request)).rejects.toThrow(/codec/);
    await expect(guard.token(visitor.arrive().request)).rejects.toThrow(TypeError);
    expect(await visitor.send(guard, { headers: { origin: "https://shop.example" } })).toBe("pass");
    expect(await visitor.send(guard, withToken("x"))).toBe("token-invalid");
  });

  test("P1: of a session that has expired is refused", async () => {
    const it = setup();
    const guard = csrf({ session: it.user });
    const visitor = new Visitor(it.user);
    const token = await visitor.token(guard);
    await it.clock.advance(29 * 60_000);
    expect(await visitor.send(guard, withToken(token))).toBe("pass");
    await it.clock.advance(31 * 60_000);
    expect(await visitor.send(guard, withToken(token))).toBe("token-invalid");
  });

  test("P9: outlives the renewal of the session's secret", async () => {
    const it = setup();
    const guard = csrf({ session: it.user });
    await it.browser.visit(it.user, (session) => session.authenticate("ada"));
    const visitor = new Visitor(it.user);
    visitor.cookie = it.browser.cookieHeader();
    const token = await visitor.token(guard);
    const before = visitor.cookie;
    await it.clock.advance(16 * 60_000);
    for (let n = 0; n < 2; n++) {
      const visit = visitor.arrive({ method: "GET" });
      await it.user.from(visit.request);
      await visit.answer();
    }
    expect(visitor.cookie).not.toBe(before);
    expect(await visitor.send(guard, withToken(token))).toBe("pass");
  });
});

describe("what a guard costs", () => {
  test("a request whose headers tell looks at no session: no store call, nothing to send", async () => {
    const store = kitStore();
    const user = kitSession(store);
    const guard = csrf({ session: user, trustedOrigins: ["https://admin.example"] });
    const visitor = new Visitor(user);
    await visitor.token(guard);
    store.calls.length = 0;
    const sent: readonly Sent[] = [
      { method: "GET" },
      { headers: { "sec-fetch-site": "same-origin" } },
      { headers: { "sec-fetch-site": "cross-site" } },
      { headers: { "sec-fetch-site": "cross-site", origin: "https://admin.example" } },
      { headers: { origin: "https://shop.example" } },
      { headers: { origin: "https://evil.example" } },
      {},
    ];
    for (const each of sent) {
      const visit = visitor.arrive(each);
      await guard(visit.request).catch(() => {});
      const { [EXCHANGE]: exchange } = visit.request as { [EXCHANGE]: Exchange };
      expect(exchange.touched).toBe(false);
      expect(await exchange.commit({ failed: false })).toEqual([]);
    }
    expect(store.calls).toEqual([]);
  });

  test("where nothing has to be waited for, the next handler is called at once", () => {
    const user = kitSession(kitStore());
    const guard = csrf({ session: user });
    const next = vi.fn<(error?: Error) => void>();
    guard(new Visitor(user).arrive({ method: "GET" }).request, {}, next);
    expect(next.mock.calls).toEqual([[]]);
  });
});

describe("the forms of a guard", () => {
  const user = kitSession(slowStore());
  const guard = csrf({ session: user });
  const visitor = new Visitor(user);
  const foreign: Sent = { headers: { origin: "https://evil.example" } };

  test("with a callback: called once, with the error or with nothing", async () => {
    const token = await visitor.token(guard);
    const told = async (sent: Sent): Promise<unknown[]> => {
      const calls: unknown[][] = [];
      await new Promise<void>((resolve) => {
        const returned: unknown = guard(visitor.arrive(sent).request, {}, (...args: unknown[]) => {
          calls.push(args);
          setTimeout(resolve, 5);
        });
        expect(returned).toBeUndefined();
      });
      expect(calls).toHaveLength(1);
      return calls[0] ?? [];
    };
    expect(await told({ method: "GET" })).toEqual([]);
    expect(await told(withToken(token))).toEqual([]);
    expect(await told(foreign)).toEqual([expect.any(CsrfError)]);
    expect(await told(withToken("x"))).toEqual([expect.any(CsrfError)]);
    expect(guard).toHaveLength(3);
  });

  test("with next(): waits for it, and never calls it for a request that is refused", async () => {
    const { opened, open } = gate();
    const order: string[] = [];
    const passing = guard(visitor.arrive({ method: "GET" }).request, async () => {
      await opened;
      order.push("handler");
    }).then(() => order.push("guard"));
    open();
    await passing;
    expect(order).toEqual(["handler", "guard"]);
    const next = vi.fn<() => Promise<void>>(async () => {});
    await expect(guard(visitor.arrive(foreign).request, next)).rejects.toThrow(CsrfError);
    expect(next).not.toHaveBeenCalled();
    const mistake = new Error("a handler's mistake");
    await expect(guard(visitor.arrive({ method: "GET" }).request, () => Promise.reject(mistake))).rejects.toBe(mistake);
  });

  test("before sessions(…) was installed: a TypeError that says what to do", async () => {
    const bare = { headers: {}, method: "GET" };
    await expect(guard(bare)).rejects.toThrow(TypeError);
    await expect(guard(bare)).rejects.toThrow(/"user".*adapter/);
    await expect(guard.token(bare)).rejects.toThrow(TypeError);
    const next = vi.fn<(error?: Error) => void>();
    guard(bare, {}, next);
    expect(next.mock.calls).toEqual([[expect.any(TypeError)]]);
  });
});

describe("a refusal", () => {
  const REASONS: readonly (readonly [CsrfReason, Sent, RegExp])[] = [
    ["cross-site", { headers: { "sec-fetch-site": "cross-site" } }, /trustedOrigins/],
    ["same-site", { headers: { "sec-fetch-site": "same-site" } }, /trustedOrigins/],
    ["unknown-site", { headers: { "sec-fetch-site": "?" } }, /between browser and server/],
    ["origin", { headers: { origin: "https://evil.example" } }, /trustedOrigins.*trustProxy/],
    ["null-origin", { headers: { origin: "null" } }, /Referrer-Policy/],
    ["token-missing", {}, /token\(\).*nonBrowser/],
    ["token-invalid", withToken("secret-of-mine"), /new token/],
  ];

  test.each(REASONS)(
    "%s: an error of ours that says which rule it was and what to set",
    async (reason, sent, advice) => {
      const user = kitSession(kitStore());
      const guard = csrf({ session: user });
      const error: unknown = await guard(new Visitor(user).arrive(sent).request).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(CsrfError);
      expect(isSessionError(error)).toBe(true);
      expect(error).toMatchObject({
        name: "CsrfError",
        code: "ERR_SESSION_CSRF",
        status: 403,
        statusCode: 403,
        reason,
      });
      expect((error as Error).message).toMatch(advice);
      const { inspect } = await import("node:util");
      expect(inspect(error, { showHidden: true, depth: 9 })).not.toMatch(/secret-of-mine/);
    },
  );

  test("is told to onRefused, with what the request said of itself, and no token or cookie", async () => {
    const user = kitSession(kitStore());
    const seen: unknown[] = [];
    const guard = csrf({
      session: user,
      onRefused({ reason, method, site, origin }, request) {
        seen.push({ reason, method, site, origin, itself: "headers" in request });
      },
    });
    const visitor = new Visitor(user);
    await visitor.send(guard, {
      method: "PUT",
      headers: { "sec-fetch-site": "same-site", origin: "https://a.example" },
    });
    await visitor.send(guard, { headers: { origin: `https://${"a".repeat(5000)}.example` } });
    await visitor.send(guard, { method: "GET" });
    await visitor.send(guard, { headers: { origin: "https://shop.example" } });
    expect(seen).toEqual([
      { reason: "same-site", method: "PUT", site: "same-site", origin: "https://a.example", itself: true },
      { reason: "origin", method: "POST", site: undefined, origin: `https://${"a".repeat(192)}`, itself: true },
    ]);
  });

  test("stays one when onRefused throws, now or later", async () => {
    const user = kitSession(kitStore());
    const listeners: (() => unknown)[] = [
      () => {
        throw new Error("the log is full");
      },
      () => Promise.reject(new Error("the log is away")),
    ];
    for (const onRefused of listeners) {
      const guard = csrf({ session: user, onRefused });
      expect(await new Visitor(user).send(guard, {})).toBe("token-missing");
      await Promise.resolve();
    }
    expect(vi.mocked(console.error)).toHaveBeenCalledTimes(2);
  });

  test("is not what a failing store looks like: that is a StoreError", async () => {
    const store: KitStore = kitStore();
    const user = kitSession(store);
    const guard = csrf({ session: user });
    const visitor = new Visitor(user);
    const token = await visitor.token(guard);
    breakStore(store, "read");
    await expect(guard(visitor.arrive(withToken(token)).request)).rejects.toThrow(StoreError);
    const next = vi.fn<(error?: Error) => void>();
    guard(visitor.arrive(withToken(token)).request, {}, next);
    await vi.waitFor(() => expect(next.mock.calls).toEqual([[expect.any(StoreError)]]));
  });
});

describe("options", () => {
  const user = kitSession(kitStore());

  test("nonBrowser may be a function of the request", async () => {
    const guard = csrf({
      session: user,
      nonBrowser: (request) => (request as { body?: unknown }).body === "api",
    });
    const visitor = new Visitor(user);
    expect(await visitor.send(guard, { body: "api" })).toBe("pass");
    expect(await visitor.send(guard, { body: "form" })).toBe("token-missing");
    expect(await visitor.send(guard, { body: "api", headers: { origin: "https://evil.example" } })).toBe("origin");
  });

  test("trusted origins may be written in any case and with their default port", async () => {
    const guard = csrf({ session: user, trustedOrigins: ["HTTPS://Admin.Example:443", "capacitor://localhost"] });
    const visitor = new Visitor(user);
    expect(await visitor.send(guard, { headers: { origin: "https://admin.example" } })).toBe("pass");
    expect(await visitor.send(guard, { headers: { origin: "capacitor://localhost" } })).toBe("pass");
    expect(await visitor.send(guard, { headers: { origin: "http://admin.example" } })).toBe("origin");
  });

  test("a session on header() needs no guard, and may have one", async () => {
    const api = kitSession(kitStore(), { transport: header("X-Session") });
    expect(await new Visitor(api).send(csrf({ session: api }), { method: "GET" })).toBe("pass");
  });

  test.each<[name: string, options: unknown]>([
    ["options", undefined],
    ["session", {}],
    ["session", { session: {} }],
    ["trustedOrigins", { session: user, trustedOrigins: "https://admin.example" }],
    ["trustedOrigins", { session: user, trustedOrigins: ["admin.example"] }],
    ["trustedOrigins", { session: user, trustedOrigins: ["https://admin.example/"] }],
    ["trustedOrigins", { session: user, trustedOrigins: ["https://*.example"] }],
    ["trustedOrigins", { session: user, trustedOrigins: ["*"] }],
    ["trustedOrigins", { session: user, trustedOrigins: ["null"] }],
    ["trustedOrigins", { session: user, trustedOrigins: [7] }],
    ["trustProxy", { session: user, trustProxy: 1 }],
    ["nonBrowser", { session: user, nonBrowser: true }],
    ["onRefused", { session: user, onRefused: "log" }],
    ["token", { session: user, token: "x-token" }],
    ["token.header", { session: user, token: { header: "X Token" } }],
    ["token.field", { session: user, token: { field: "" } }],
    ["token.read", { session: user, token: { read: "body" } }],
    ["cookie", { session: user, token: { cookie: "csrf" } }],
    ["sameSite", { session: user, sameSite: "allow" }],
  ])("%s: %j is a TypeError that names it", (name, options) => {
    expect(() => csrf(options as CsrfOptions)).toThrow(TypeError);
    expect(() => csrf(options as CsrfOptions)).toThrow(name);
  });
});
