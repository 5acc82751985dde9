import type { StandardSchemaV1 } from "@standard-schema/spec";
import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { Browser, COOKIE, eventsOf, KEY, setup, type Data } from "../test/testbed.ts";
import { cookie, defineSession, keyRing, seal, type SessionOptions } from "./index.ts";
import { memoryStore } from "./store/memory.ts";
import { sqliteStore } from "./store/sqlite.ts";
import { fakeClock } from "./testing/fake-clock.ts";

const define = (options: Record<string, unknown>): unknown =>
  defineSession({ name: "user", store: memoryStore(), ...options } as SessionOptions & { schema?: undefined });

describe("options", () => {
  test.each([
    ["name", { name: "" }],
    ["name", { name: "a b" }],
    ["name", { name: "a/b" }],
    ["name", { name: "a".repeat(65) }],
    ["name", { name: 7 }],
    ["secret", { secret: "keyboard cat" }],
    ["schema", { schema: {} }],
    ["migrate", { migrate: (old: unknown) => old }],
    ["store", { store: new Map() }],
    ["store", { store: null }],
    ["transport", { transport: "cookie" }],
    ["protection", { protection: seal() }],
    ["keys", { keys: "short" }],
    ["keys", { keys: "keyboard cat keyboard cat keyboard cat keyboard cat" }],
    ["keys", { keys: [] }],
    ["acceptUnsigned", { acceptUnsigned: true }],
    ["generateId", { generateId: () => new Uint8Array(15) }],
    ["generateId", { generateId: () => "abcdefghijklmnop" }],
    ["generateId", { generateId: async () => new Uint8Array(16) }],
    ["generateId", { generateId: "uuid" }],
    ["idleTimeout", { idleTimeout: 0 }],
    ["idleTimeout", { idleTimeout: -1 }],
    ["idleTimeout", { idleTimeout: Number.NaN }],
    ["idleTimeout", { idleTimeout: "30 minutes" }],
    ["idleTimeout", { idleTimeout: true }],
    ["absoluteTimeout", { absoluteTimeout: Number.POSITIVE_INFINITY }],
    ["renewalTimeout", { renewalTimeout: "" }],
    ["storeTimeout", { storeTimeout: "soon" }],
    ["concurrency", { concurrency: "last" }],
    ["onReplay", { onReplay: "ignore" }],
    ["onStoreError", { onStoreError: "ignore" }],
    ["revocation", { revocation: "none" }],
    ["audience", { audience: 7 }],
    ["clock", { clock: Date }],
  ])("%s that cannot work is a TypeError that names it", (name, options) => {
    expect(() => define(options)).toThrow(TypeError);
    expect(() => define(options)).toThrow(new RegExp(`\\b${name}\\b`));
  });

  test("without a store the message says what to give", () => {
    expect(() => define({ store: undefined, keys: undefined })).toThrow(/SESSION_KEYS/);
    expect(() => define({ store: undefined, keys: KEY })).toThrow(/"none"/);
  });

  test("no message contains a key", () => {
    const key = "correcthorsebatterystaplecorrecthorsebatterystaple";
    try {
      define({ keys: key });
      expect.unreachable();
    } catch (error) {
      expect(String(error)).not.toContain(key.slice(0, 10));
    }
  });

  test("durations are seconds, or texts with a unit", () => {
    const described = (idleTimeout: number | `${number}${"s" | "m" | "h" | "d"}` | false): unknown =>
      defineSession({ name: "user", store: memoryStore(), idleTimeout }).manager.describe()["idleTimeout"];
    expect([90, "90s", "30m", "12h", "7d", "1.5h", false].map((value) => described(value as never))).toEqual([
      90,
      90,
      1800,
      43200,
      604800,
      5400,
      false,
    ]);
  });

  test("describe() is the policy as data: the defaults are the documented ones", () => {
    expect(defineSession({ name: "user", store: memoryStore() }).manager.describe()).toMatchObject({
      name: "user",
      kept: "by id",
      store: "memoryStore",
      idleTimeout: 1800,
      absoluteTimeout: 43200,
      renewalTimeout: 900,
      storeTimeout: 2,
      concurrency: "merge",
      onReplay: "end",
      onStoreError: "throw",
      keys: false,
      transport: { secure: true, sameSite: "lax", path: "/", persistent: false },
    });
    expect(defineSession({ name: "prefs", keys: KEY, revocation: "none" }).manager.describe()).toMatchObject({
      kept: "by value",
      protection: "seal",
      revocation: "none",
      idleTimeout: false,
      absoluteTimeout: 43200,
      renewalTimeout: false,
    });
    expect(
      JSON.stringify(defineSession({ name: "prefs", keys: KEY, revocation: "none" }).manager.describe()),
    ).not.toContain(KEY);
  });

  test("a key ring may be shared by definitions", () => {
    const keys = keyRing(KEY);
    defineSession({ name: "a", keys, store: memoryStore() });
    defineSession({ name: "b", keys, revocation: "none" });
  });

  test("a custom id generator makes the ids, and is checked each time", async () => {
    let next = 0;
    let length = 24;
    const it = setup({ generateId: () => new Uint8Array(length).fill(++next) });
    const id = await it.browser.visit(it.user, (session) => {
      session.set({ visits: 1 });
      return session.id;
    });
    expect(Buffer.from(id, "base64url")).toHaveLength(24);
    expect(await it.browser.visit(it.user, (session) => [session.id, session.data])).toEqual([id, { visits: 1 }]);
    length = 8;
    const visit = new Browser(it.user).arrive();
    const session = await visit.from(it.user);
    session.set({ visits: 1 });
    await expect(visit.answer()).rejects.toThrow(/generateId/);
  });

  test("a generator that repeats itself takes over nobody's session", async () => {
    const it = setup({ generateId: () => new Uint8Array(16).fill(7) });
    await it.browser.visit(it.user, (session) => session.set({ name: "Ada" }));
    const visit = new Browser(it.user).arrive();
    (await visit.from(it.user)).set({ name: "Eve" });
    const cause = { message: expect.stringMatching(/generateId/) };
    await expect(visit.answer()).rejects.toMatchObject({ code: "ERR_SESSION_STORE", verb: "create", cause });
    expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ name: "Ada" });
  });

  test("an id that the client chose is never adopted", async () => {
    const it = setup();
    const planted = "A".repeat(43);
    it.browser.jar.set(COOKIE, planted);
    const id = await it.browser.visit(it.user, (session) => {
      session.set({ visits: 1 });
      return session.id;
    });
    expect(planted.startsWith(id)).toBe(false);
    expect(it.browser.jar.get(COOKIE)).not.toBe(planted);
  });
});

describe("data", () => {
  const schemas = {
    zod: z.object({ name: z.string(), visits: z.number().int() }),
    valibot: v.object({ name: v.string(), visits: v.pipe(v.number(), v.integer()) }),
    arktype: type({ name: "string", visits: "number.integer" }),
  };

  test.each(Object.entries(schemas))(
    "%s: is checked on write, at the call, without telling what it was",
    async (_, schema) => {
      const user = defineSession({ name: "user", store: memoryStore(), schema: schema as typeof schemas.zod });
      const browser = new Browser(user);
      await browser
        .visit(user, (session) => {
          expect(() => session.set({ name: "s3cret", visits: "many" as never })).toThrow(/schema refuses.*visits/);
          expect(() => session.set({ name: "s3cret", visits: 0.5 })).not.toThrow(/s3cret/);
        })
        .catch((error: unknown) => expect(error).toMatchObject({ code: "ERR_SESSION_INVALID_DATA" }));
      await browser.visit(user, (session) => {
        session.set({ name: "Ada", visits: 1 });
        expect(() => session.patch({ visits: null as never })).toThrow();
        expect(() => session.update(() => ({ visits: 2 }))).toThrow(/name/);
        session.update((data) => ({ ...data, visits: (data?.visits ?? 0) + 1 }));
      });
      expect(await browser.visit(user, ({ data }) => data)).toEqual({ name: "Ada", visits: 2 });
    },
  );

  test.each(Object.entries(schemas))(
    "%s: what does not fit on read is an event and an anonymous session",
    async (_, schema) => {
      const clock = fakeClock();
      const store = memoryStore({ clock });
      const before = defineSession<{ name: number }>({ name: "user", store, clock });
      const browser = new Browser(before);
      await browser.visit(before, (session) => session.set({ name: 7 }));
      const after = defineSession({ name: "user", store, clock, schema: schema as typeof schemas.zod });
      const events = eventsOf(after);
      expect(await browser.visit(after, ({ data, isNew }) => [data, isNew])).toEqual([undefined, true]);
      expect(events).toEqual(["rejected:invalid-data"]);
    },
  );

  test("migrate() makes today's shape of yesterday's, and the next change writes it back", async () => {
    const clock = fakeClock();
    const store = memoryStore({ clock });
    const before = defineSession<{ fullName: string }>({ name: "user", store, clock });
    const browser = new Browser(before);
    await browser.visit(before, (session) => session.set({ fullName: "Ada" }));
    let migrations = 0;
    const after = defineSession({
      name: "user",
      store,
      clock,
      schema: schemas.zod,
      migrate: (old) => ({ name: (migrations++, (old as { fullName: string }).fullName), visits: 0 }),
    });
    const events = eventsOf(after);
    expect(await browser.visit(after, ({ data }) => data)).toEqual({ name: "Ada", visits: 0 });
    await browser.visit(after, (session) => session.patch({ visits: 1 }));
    expect(await browser.visit(after, ({ data }) => data)).toEqual({ name: "Ada", visits: 1 });
    expect(migrations).toBe(2);
    expect(events).toEqual(["migrated", "migrated", "updated"]);
  });

  test("a migrate() that throws or still does not fit is an event, not a 500", async () => {
    const clock = fakeClock();
    const store = memoryStore({ clock });
    const before = defineSession<{ fullName: string }>({ name: "user", store, clock });
    const browser = new Browser(before);
    await browser.visit(before, (session) => session.set({ fullName: "Ada" }));
    for (const migrate of [
      (): never => {
        throw new Error("boom");
      },
      () => ({}),
      () => undefined,
    ]) {
      const after = defineSession({ name: "user", store, clock, schema: schemas.zod, migrate });
      expect(await browser.clone().visit(after, ({ isNew }) => isNew)).toBe(true);
    }
  });

  test("P17: a schema must be synchronous and accept its own output", async () => {
    const asynchronous = defineSession({
      name: "user",
      store: memoryStore(),
      schema: z.object({ a: z.string().refine(async () => true) }),
    });
    const toDate = defineSession({
      name: "user",
      store: memoryStore(),
      schema: z.object({ a: z.string().transform((text) => text.length) }),
    });
    await expect(new Browser(asynchronous).visit(asynchronous, (session) => session.set({ a: "x" }))).rejects.toThrow(
      TypeError,
    );
    await expect(new Browser(toDate).visit(toDate, (session) => session.set({ a: "x" as never }))).rejects.toThrow(
      /own output/,
    );
  });

  test("P17: what a schema makes of stored data is refused where it is no JSON, also when nobody touched it", async () => {
    const store = memoryStore();
    const before = defineSession<{ at: string }>({ name: "user", store });
    const validate = (value: unknown): { readonly value: { readonly at: unknown; readonly n?: number } } => {
      const { at, ...rest } = value as { at: unknown };
      return { value: { ...rest, at: typeof at === "string" ? new Date(at) : at } };
    };
    const schema: StandardSchemaV1<unknown, { at: unknown; n?: number }> = {
      "~standard": { version: 1, vendor: "test", validate },
    };
    const after = defineSession({ name: "user", store, schema });
    const browser = new Browser(before);
    await browser.visit(before, (session) => session.set({ at: "2026-11-21" }));
    await browser.visit(after, (session) => {
      expect(session.data?.at).toBeInstanceOf(Date);
      expect(() => session.update((data) => ({ ...data, n: 1 }) as never)).toThrow(/data\.at .* instance of Date/);
    });
  });

  test.each([
    ["a Date", new Date(), /instance of Date/],
    ["a Map", new Map(), /instance of Map/],
    ["a function", () => {}, /function/],
    ["a bigint", 1n, /bigint/],
    ["NaN", Number.NaN, /NaN/],
    ["a class", new URL("http://localhost"), /instance of URL/],
    ["a symbol", Symbol("x"), /symbol/],
  ])("P17: %s does not survive JSON, and the error says where it is", async (_, value, message) => {
    const it = setup();
    await it.browser.visit(it.user, (session) => {
      expect(() => session.set({ cart: [{ deep: value }] } as never)).toThrow(message);
      expect(() => session.set({ cart: [{ deep: value }] } as never)).toThrow(/cart\[0\]\.deep/);
    });
  });

  test("P17: data that contains itself is refused, not a stack overflow", async () => {
    const it = setup();
    const loop: Record<string, unknown> = {};
    loop["self"] = loop;
    await it.browser.visit(it.user, (session) => expect(() => session.set(loop as never)).toThrow(/contains itself/));
  });

  test.each(["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"])(
    "a key %s is harmless",
    async (key) => {
      const it = setup();
      const evil = JSON.parse(`{"visits": 1, "${key}": {"admin": true}}`) as never;
      await it.browser.visit(it.user, (session) => session.set(evil));
      await it.browser.visit(it.user, (session) => session.patch(evil));
      await it.browser.visit(it.user, (session) => session.update((data) => ({ ...data, ...(evil as object) })));
      const data = await it.browser.visit(it.user, (session) => session.data);
      expect(data?.visits).toBe(1);
      expect(({} as { admin?: boolean }).admin).toBeUndefined();
      expect((data as { admin?: boolean }).admin).toBeUndefined();
      expect(Object.getPrototypeOf(data)).toBe(Object.prototype);
      const merging = [it.browser.arrive(), it.browser.arrive()];
      for (const visit of merging) (await visit.from(it.user)).patch(evil);
      for (const visit of merging) await visit.answer();
      expect(({} as { admin?: boolean }).admin).toBeUndefined();
    },
  );

  test("what a small record says is not read again until somebody has written, whichever store hands out its text", async () => {
    for (const [padding, isRemembered] of [
      [10, true],
      [2_000, false],
    ] as const) {
      const clock = fakeClock();
      const store = sqliteStore(":memory:", { clock });
      const [here, elsewhere] = [1, 2].map(() => defineSession<Data>({ name: "user", store, clock }));
      const browser = new Browser(here!);
      await browser.visit(here!, (session) => session.set({ visits: 1, text: "x".repeat(padding) } as Data));
      const look = () => browser.visit(here!, ({ data }) => data);
      // The first one tells which token it is.
      const [, first, second] = [await look(), await look(), await look()];
      expect(second === first).toBe(isRemembered);
      await browser.visit(elsewhere!, (session) => session.patch({ visits: 2 }));
      expect((await look())?.visits).toBe(2);
      expect(first?.visits).toBe(1);
      expect(Object.isFrozen(first)).toBe(true);
    }
  });

  test("a record that cannot be read is an event and an anonymous session, and may be replaced", async () => {
    const deep = (open: string, close: string) => `{"v":"x","c":0,"d":${open.repeat(50_000)}1${close.repeat(50_000)}}`;
    for (const value of [
      deep("[", "]"),
      deep('{"a":', "}"),
      "",
      "{",
      "null",
      "[]",
      '"x"',
      '{"v":1}',
      '{"v":"x","c":"now"}',
      "\u0000",
      '{"v":"x","c":0,"f":[[1]]}',
    ]) {
      const it = setup();
      await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
      const id = await it.browser.visit(it.user, (session) => session.id);
      const call = { now: it.clock.now() };
      const record = await it.store.read(`user/${id}`, call);
      await it.store.update(`user/${id}`, { ...record!, value, version: "x" }, record!, call);
      expect(await it.browser.visit(it.user, ({ isNew, data }) => [isNew, data])).toEqual([true, undefined]);
      expect(it.events.at(-1)).toBe("rejected:corrupt");
      await it.browser.visit(it.user, (session) => session.set({ visits: 2 }));
      expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ visits: 2 });
    }
  });

  test("17 kB of cookies and 200 strangers do not hide the session", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    const own = it.browser.cookieHeader();
    const strangers = Array.from({ length: 200 }, (_, n) => `stranger${n}=${"x".repeat(80)}`).join("; ");
    for (const header of [`${strangers}; ${own}`, `${own}; ${strangers}`]) {
      const session = await it.browser.arrive({ headers: { cookie: header } }).from(it.user);
      expect(session.data).toEqual({ visits: 1 });
    }
  });

  test("a session shows neither data nor secret when it is printed", async () => {
    const it = setup();
    const { inspect } = await import("node:util");
    await it.browser.visit(it.user, (session) => session.set({ name: "s3cret" }));
    const session = await it.browser.arrive().from(it.user);
    const printed = `${inspect(session, { showHidden: true, depth: 9 })} ${JSON.stringify(session)} ${String(session)}`;
    expect(printed).toContain(session.id);
    expect(printed).not.toContain("s3cret");
    expect(printed).not.toContain(it.browser.jar.get(COOKIE)?.slice(22));
  });

  test("several definitions live side by side", async () => {
    const clock = fakeClock();
    const store = memoryStore({ clock });
    const user = defineSession<{ name: string }>({ name: "user", store, clock });
    const cart = defineSession<{ items: string[] }>({
      name: "cart",
      keys: KEY,
      revocation: "none",
      clock,
      transport: cookie({ path: "/shop" }),
    });
    const browser = new Browser(user, cart);
    const visit = browser.arrive();
    (await visit.from(user)).set({ name: "Ada" });
    (await visit.from(cart)).set({ items: ["tea"] });
    (await visit.answer()).deliver();
    expect([...browser.jar.keys()]).toEqual(["__Host-Http-user", "__Secure-cart"]);
    const next = browser.arrive();
    expect([(await next.from(user)).data, (await next.from(cart)).data]).toEqual([{ name: "Ada" }, { items: ["tea"] }]);
  });
});
