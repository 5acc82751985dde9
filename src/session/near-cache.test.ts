/** Two servers with a near cache each over one store, whose news arrive when the test says so. */
import { describe, expect, test, vi } from "vitest";
import {
  Browser,
  COOKIE,
  eventsOf,
  gate,
  instrumented,
  KEY,
  MINUTE,
  SECOND,
  type Data,
  type Instrumented,
} from "../../test/testbed.ts";
import {
  cookie,
  defineSession,
  header,
  StoreError,
  type SessionDefinition,
  type SessionOptions,
  type StoreChange,
  type StoredRecord,
} from "../index.ts";
import { memoryStore } from "../store/memory.ts";
import { nearCache } from "../store/near-cache.ts";
import { fakeClock } from "../testing/fake-clock.ts";

const VERSION = `${COOKIE}-version`;

interface Fleet {
  readonly clock: ReturnType<typeof fakeClock>;
  /** What both servers share; its calls are those that reach it. */
  readonly store: Instrumented;
  readonly a: SessionDefinition<Data>;
  readonly b: SessionDefinition<Data>;
  readonly browser: Browser;
  readonly events: string[];
  /** All that was done so far is told to both. */
  tell(): void;
}

function fleet(options: Partial<SessionOptions> = {}): Fleet {
  const clock = fakeClock();
  const truth = memoryStore({ clock });
  const news: string[] = [];
  const store = instrumented(truth, {
    returnsSame: false,
    async deleteBySubject(subject, rest, call) {
      const keys = await truth.deleteBySubject(subject, rest, call);
      news.push(...keys);
      return keys;
    },
  });
  const listeners: ((key: string, change?: StoreChange) => void)[] = [];
  const restored: (() => void)[] = [];
  store.after = (verb, key) => void (verb === "update" || verb === "delete" ? news.push(key) : undefined);
  const server = (): SessionDefinition<Data> => {
    const near = nearCache({
      ...store,
      watch(listener, gaps) {
        listeners.push(listener);
        restored.push(() => gaps?.restored?.());
        return () => {};
      },
    });
    return defineSession<Data>({ name: "user", store: near, clock, ...options, schema: undefined });
  };
  const [a, b] = [server(), server()];
  for (const live of restored) live();
  return {
    clock,
    store,
    a,
    b,
    browser: new Browser(a),
    events: eventsOf(b),
    tell: () => news.splice(0).forEach((key) => listeners.forEach((listener) => listener(key))),
  };
}

/** A session that both servers have a copy of. */
async function copied(options?: Partial<SessionOptions>): Promise<Fleet> {
  const it = fleet(options);
  await it.browser.visit(it.a, (session) => {
    session.set({ visits: 1 });
    session.authenticate("ada");
  });
  it.tell();
  for (const server of [it.a, it.b]) await it.browser.visit(server, () => {});
  it.browser.jar.delete(VERSION);
  it.store.calls.length = 0;
  return it;
}

describe("a read from a copy", () => {
  test("asks the store for nothing and tells the client nothing", async () => {
    const it = await copied();
    const visit = it.browser.arrive({}, [it.b]);
    expect((await visit.from(it.b)).data).toEqual({ visits: 1 });
    await visit.answer();
    expect(it.store.calls).toEqual([]);
    expect(visit.setCookies).toEqual([]);
  });

  test("P7: a refusal is never final: what was signed in on another server is known here before anybody was told", async () => {
    const it = await copied();
    await it.browser.visit(it.a, (session) => session.authenticate("ada", { level: "mfa" }));
    it.browser.jar.delete(VERSION);
    expect(await it.browser.visit(it.b, ({ level }) => level)).toBe("mfa");
    expect(it.events.filter((event) => event.startsWith("rejected"))).toEqual([]);
  });

  test("P12: a change that was computed on an old copy meets a conflict and comes on top of what is there", async () => {
    const it = await copied();
    await it.browser.visit(it.a, (session) => session.update((data) => ({ visits: (data?.visits ?? 0) + 1 })));
    it.browser.jar.delete(VERSION);
    await it.browser.visit(it.b, (session) => session.update((data) => ({ visits: (data?.visits ?? 0) + 1 })));
    expect(await it.browser.visit(it.a, ({ data }) => data)).toEqual({ visits: 3 });
    expect(it.events).toContain("conflict");
  });

  test("P14: what was ended elsewhere cannot be written any more, also before anybody was told", async () => {
    const it = await copied();
    const [session] = await it.a.manager.list("ada");
    await it.a.manager.revoke(session!.id);
    const visit = it.browser.arrive({}, [it.b]);
    const held = await visit.from(it.b);
    expect(held.subject).toBe("ada");
    held.patch({ name: "Ada" });
    await visit.answer();
    expect(visit.setCookies).toEqual([]);
    expect(it.events).toContain("gone:ended");
    expect(await it.a.manager.count()).toBe(0);
  });

  test("P6 P13: a copy from before a sign-in elsewhere ends nothing, also before anybody was told", async () => {
    const it = fleet();
    await it.browser.visit(it.b, (session) => session.set({ name: "guest" }));
    await it.browser.visit(it.b, () => {});
    it.browser.jar.delete(VERSION);
    const planted = it.browser.clone();
    await it.browser.visit(it.a, (session) => session.authenticate("ada"));
    it.clock.advance(SECOND);
    await planted.visit(it.b, (session) => session.destroy());
    expect(it.events).toContain("rejected:unknown-secret");
    expect(await it.browser.visit(it.a, ({ subject }) => subject)).toBe("ada");
  });

  test("what was ended elsewhere is served until that was told, and without news for maxAge and no longer", async () => {
    const served = async (it: Fleet): Promise<boolean> => !(await it.browser.visit(it.b, ({ isNew }) => isNew));
    const told = await copied();
    await told.a.manager.revokeAll("ada");
    expect(await served(told)).toBe(true);
    told.tell();
    expect(await served(told)).toBe(false);

    const untold = await copied();
    await untold.a.manager.revokeAll("ada");
    untold.clock.advance(10 * SECOND - 1);
    expect(await served(untold)).toBe(true);
    untold.clock.advance(1);
    expect(await served(untold)).toBe(false);
  });

  test("P2: a use that has to be written down reaches the store, and finds out there that the session has ended", async () => {
    const it = await copied({ idleTimeout: "1m" });
    await it.a.manager.revokeAll("ada");
    it.clock.advance(9 * SECOND);
    await it.browser.visit(it.b, () => {});
    expect(it.events).toContain("gone:ended");
    expect(await it.browser.visit(it.b, ({ isNew }) => isNew)).toBe(true);
  });
});

describe("a visitor reads what it wrote, on every server", () => {
  test("before anybody was told: the version that it wrote came with it", async () => {
    const it = await copied();
    await it.browser.visit(it.a, (session) => session.set({ visits: 2 }));
    expect(await it.browser.visit(it.b, ({ data }) => data)).toEqual({ visits: 2 });
    it.store.calls.length = 0;
    expect(await it.browser.visit(it.b, ({ data }) => data)).toEqual({ visits: 2 });
    expect(it.store.calls).toEqual([]);
  });

  test("of several versions that come with it none wins by its position", async () => {
    const it = await copied();
    const old = (await it.store.read(`user/${await it.browser.visit(it.b, ({ id }) => id)}`, {
      now: it.clock.now(),
    })) as StoredRecord;
    await it.browser.visit(it.a, (session) => session.set({ visits: 2 }));
    for (const sent of [`${VERSION}=${old.version}; ${it.browser.cookieHeader()}`, it.browser.cookieHeader()]) {
      const visit = it.browser.arrive({ headers: { cookie: sent } }, [it.b]);
      expect((await visit.from(it.b)).data).toEqual({ visits: 2 });
    }
  });

  test("the cookie with the version goes out with writes only, and lives as long as copies of older ones may", async () => {
    const it = fleet();
    const write = it.browser.arrive({}, [it.a]);
    (await write.from(it.a)).set({ visits: 1 });
    (await write.answer()).deliver();
    const sent = write.setCookies.find((text) => text.startsWith(`${VERSION}=`));
    expect(sent).toMatch(/^[^=]+=[\w-]{12}; Path=\/; HttpOnly; Secure; SameSite=Lax; Max-Age=10$/);
    const read = it.browser.arrive({}, [it.a]);
    await read.from(it.a);
    expect((await read.answer()).setCookies).toEqual([]);
  });

  test("it goes out beside the token when the handler has committed by hand before", async () => {
    const it = fleet();
    const visit = it.browser.arrive({}, [it.a]);
    const session = await visit.from(it.a);
    session.set({ visits: 1 });
    await session.commit();
    (await visit.answer()).deliver();
    expect([...it.browser.jar.keys()].toSorted()).toEqual([COOKIE, VERSION]);
    expect(await it.browser.visit(it.b, ({ data }) => data)).toEqual({ visits: 1 });
  });

  test("signing out takes it back, too", async () => {
    const it = fleet();
    await it.browser.visit(it.a, (session) => session.set({ visits: 1 }));
    await it.browser.visit(it.a, (session) => session.destroy());
    expect([...it.browser.jar.keys()]).toEqual([]);
  });

  test.each(["", "x", "__proto__", "A".repeat(300), "a b", "%00"])(
    "one that was made up (%j) costs a read, and nothing else",
    async (made) => {
      const it = await copied();
      it.browser.jar.set(VERSION, made);
      expect(await it.browser.visit(it.b, ({ data }) => data)).toEqual({ visits: 1 });
      expect(it.store.calls.length).toBeLessThanOrEqual(1);
      expect(it.events).toEqual([]);
    },
  );

  test.each([
    ["header", header("X-Session", { renew: true }), { "x-session": "" }],
    ["cookie of another name", cookie({ name: "plain", secure: false }), {}],
  ])("a write by a %s that needs no TLS is told without it, and does not fail", async (_, other, headers) => {
    const { a, browser } = fleet({ transport: [cookie(), other] });
    const visit = browser.arrive({ headers, secure: false }, [a]);
    (await visit.from(a)).authenticate("ada");
    await visit.answer();
    expect(visit.edits.filter(({ name }) => name === "X-Session" || name === "Set-Cookie")).toHaveLength(1);
  });

  test("where nothing can travel beside the token there is none, and the session is as fresh as the news", async () => {
    const it = await copied({ transport: header() });
    expect(it.browser.jar.size).toBe(0);
    const over = defineSession({ name: "user", store: it.store, transport: header() });
    expect(over.manager.transportNames).toEqual(it.a.manager.transportNames);
  });

  test("without a cache in front of the store there is none", async () => {
    const clock = fakeClock();
    const user = defineSession<Data>({ name: "user", store: memoryStore({ clock }), clock, keys: KEY });
    const browser = new Browser(user);
    await browser.visit(user, (session) => session.set({ visits: 1 }));
    expect([...browser.jar.keys()]).toEqual([COOKIE]);
  });
});

describe("verify", () => {
  test("asks the store, so that what was ended elsewhere is nobody here", async () => {
    const it = await copied();
    await it.a.manager.revokeAll("ada");
    const visit = it.browser.arrive({}, [it.b]);
    const session = await visit.from(it.b, { verify: true });
    expect([session.isNew, session.subject, session.data]).toEqual([true, undefined, undefined]);
    expect(it.store.calls.filter((verb) => verb === "read")).toHaveLength(1);
  });

  test("asks it also when the request has the session already: the same object, empty, and nothing is written", async () => {
    const it = await copied();
    const visit = it.browser.arrive({}, [it.b]);
    const session = await visit.from(it.b);
    session.patch({ name: "Ada" });
    await it.a.manager.revokeAll("ada");
    expect(await visit.from(it.b, { verify: true })).toBe(session);
    expect([session.isNew, session.subject, session.data]).toEqual([true, undefined, undefined]);
    session.patch({ name: "Eve" });
    await visit.answer();
    expect(visit.setCookies).toEqual([]);
    expect(await it.a.manager.count()).toBe(0);
  });

  test("what the request did before comes on top of what the store holds", async () => {
    const it = await copied();
    const visit = it.browser.arrive({}, [it.b]);
    const session = await visit.from(it.b);
    session.update((data) => ({ ...data, visits: (data?.visits ?? 0) + 1 }));
    await it.browser.clone().visit(it.a, (other) => other.set({ visits: 10, theme: "dark" }));
    await visit.from(it.b, { verify: true });
    expect(session.data).toEqual({ visits: 11, theme: "dark" });
    (await visit.answer()).deliver();
    expect(await it.browser.visit(it.a, ({ data }) => data)).toEqual({ visits: 11, theme: "dark" });
    expect(it.events).not.toContain("conflict");
  });

  test("P15: a sign-in on a session that has ended meanwhile begins a new one", async () => {
    const it = await copied();
    const visit = it.browser.arrive({}, [it.b]);
    const session = await visit.from(it.b);
    await it.a.manager.revokeAll("ada");
    session.authenticate("ada");
    await visit.from(it.b, { verify: true });
    expect([session.subject, session.data]).toEqual(["ada", undefined]);
    (await visit.answer()).deliver();
    expect(await it.browser.visit(it.a, ({ subject }) => subject)).toBe("ada");
  });

  test("asks once a request, and not at all of a session that no copy was taken of", async () => {
    const it = await copied();
    const visit = it.browser.arrive({}, [it.b]);
    await visit.from(it.b);
    for (let i = 0; i < 3; i++) await visit.from(it.b, { verify: true });
    expect(it.store.calls).toEqual(["read"]);

    const clock = fakeClock();
    const store = instrumented(memoryStore({ clock }));
    const plain = defineSession<Data>({ name: "user", store, clock });
    const browser = new Browser(plain);
    await browser.visit(plain, (session) => session.set({ visits: 1 }));
    store.calls.length = 0;
    const other = browser.arrive();
    await other.from(plain);
    await other.from(plain, { verify: true });
    expect(store.calls).toEqual(["read"]);
  });

  test.each([true, { verfiy: true }])("misspelt is refused, and not obeyed in silence: %j", async (options) => {
    const it = await copied();
    await expect(it.browser.arrive({}, [it.b]).from(it.b, options as never)).rejects.toThrow(TypeError);
  });

  test("of a visitor without a session it asks nobody", async () => {
    const it = fleet();
    const visit = it.browser.arrive({}, [it.b]);
    expect((await visit.from(it.b, { verify: true })).isNew).toBe(true);
    await visit.from(it.b, { verify: true });
    expect(it.store.calls).toEqual([]);
  });

  test("throws when the store cannot say, and asks again when it is asked again", async () => {
    const it = await copied();
    const visit = it.browser.arrive({}, [it.b]);
    const session = await visit.from(it.b);
    it.store.before = () => {
      throw new Error("away");
    };
    await expect(visit.from(it.b, { verify: true })).rejects.toThrow(/store/i);
    it.store.before = () => undefined;
    expect(await visit.from(it.b, { verify: true })).toBe(session);
    expect(session.subject).toBe("ada");
  });

  test("P18: of a write whose answer was lost it finds out that it was done, and does not do it twice", async () => {
    const it = await copied();
    const visit = it.browser.arrive({}, [it.b]);
    const session = await visit.from(it.b);
    session.regenerate();
    session.update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
    it.store.after = (verb) => {
      if (verb === "update") throw new Error("lost");
      return undefined;
    };
    await expect(session.commit()).rejects.toThrow(StoreError);
    it.store.after = () => undefined;
    await visit.from(it.b, { verify: true });
    expect([session.subject, session.data]).toEqual(["ada", { visits: 2 }]);
    session.patch({ name: "Ada" });
    (await visit.answer()).deliver();
    expect(await it.browser.visit(it.a, ({ data }) => data)).toEqual({ visits: 2, name: "Ada" });
    expect(it.events).not.toContain("rejected:unknown-secret");
  });

  test("that nobody waits for ends no process, though the store cannot say", async () => {
    const it = await copied();
    const unhandled = vi.fn();
    process.on("unhandledRejection", unhandled);
    const visit = it.browser.arrive({}, [it.b]);
    await visit.from(it.b);
    it.store.before = () => {
      throw new Error("away");
    };
    void visit.exchange.from(it.b.manager, true);
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => void setImmediate(resolve));
    process.off("unhandledRejection", unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });

  test("P12: a commit by hand waits for it, and loses nothing of what is done meanwhile", async () => {
    const it = await copied();
    const visit = it.browser.arrive({}, [it.b]);
    const session = await visit.from(it.b);
    const [asked, written] = [gate(), gate()];
    it.store.before = (verb) => (verb === "read" ? asked.opened : undefined);
    it.store.after = (verb) => (verb === "update" ? written.opened : undefined);
    const verified = visit.from(it.b, { verify: true });
    session.regenerate();
    const committed = session.commit();
    await new Promise((resolve) => void setImmediate(resolve));
    // Were the secret replaced by now, the request would not know its own.
    asked.open();
    await verified;
    expect(session.subject).toBe("ada");
    session.patch({ name: "Ada" });
    written.open();
    expect(await committed).toBe("written");
    (await visit.answer()).deliver();
    expect(await it.browser.visit(it.a, ({ data }) => data)).toEqual({ visits: 1, name: "Ada" });
  });

  test("P6: a replay that it finds ends the session", async () => {
    const it = await copied();
    it.clock.advance(16 * MINUTE);
    const thief = it.browser.clone();
    await it.browser.visit(it.a, () => {});
    await it.browser.visit(it.a, () => {});
    it.clock.advance(6 * MINUTE);
    it.tell();
    const visit = thief.arrive({}, [it.b]);
    expect((await visit.from(it.b, { verify: true })).isNew).toBe(true);
    expect(it.events).toContain("rejected:replay");
    expect(it.events).toContain("destroyed:replay");
  });
});
