import { describe, expect, test } from "vitest";
import { Browser, eventsOf, KEY } from "../../test/testbed.ts";
import {
  defineSession,
  keyRing,
  seal,
  type SessionCodec,
  type SessionDefinition,
  type SessionEvent,
} from "../index.ts";
import { memoryStore } from "../store/memory.ts";
import { fakeClock } from "../testing/fake-clock.ts";

interface Prefs {
  theme: string;
  size?: number;
}

/** A form of somebody else's: `theme|size`. */
const bars: SessionCodec<Prefs> = {
  read(text) {
    const [, theme, size] = /^(\w*)\|(\d*)$/.exec(text) ?? [];
    if (theme === undefined) return null;
    return size === "" ? { theme } : { theme, size: Number(size) };
  },
  write({ theme, size }) {
    if (!/^\w*$/.test(theme)) throw new TypeError("theme must be a word");
    return `${theme}|${size ?? ""}`;
  },
};

const off = { keys: KEY, revocation: "none", absoluteTimeout: false } as const;
const COOKIE = "__Host-Http-prefs";

function shared(codec: SessionCodec<Prefs> = bars): {
  prefs: SessionDefinition<Prefs>;
  browser: Browser;
  events: string[];
} {
  const prefs = defineSession<Prefs>({ name: "prefs", ...off, codec });
  return { prefs, browser: new Browser(prefs), events: eventsOf(prefs) };
}

/** What a token says, and a token that says something, as another server with the same keys has them. */
function protector(): {
  read(token: string): Promise<string | undefined>;
  write(text: string): Promise<string>;
} {
  const now = (): number => Date.now();
  const bound = seal().bind({ purpose: "session", name: "prefs", audience: "", keys: keyRing(KEY), now });
  return {
    read: async (token) => (await bound.unprotect(token))?.text,
    write: async (text) => await bound.protect(text),
  };
}

describe("a session with a codec", () => {
  test("has a token that says its data in the codec's form and nothing else", async () => {
    const { prefs, browser } = shared();
    await browser.visit(prefs, (session) => session.set({ theme: "dark", size: 3 }));
    expect(await (await protector()).read(browser.jar.get(COOKIE) ?? "")).toBe("dark|3");
    expect(await browser.visit(prefs, ({ data, isNew }) => [data, isNew])).toEqual([{ theme: "dark", size: 3 }, false]);
  });

  test("is read from what another server wrote, changed by every data verb, and ended", async () => {
    const { prefs, browser, events } = shared();
    browser.jar.set(COOKIE, await (await protector()).write("light|"));
    expect(await browser.visit(prefs, ({ data }) => data)).toEqual({ theme: "light" });
    await browser.visit(prefs, (session) => session.patch({ size: 1 }));
    await browser.visit(prefs, (session) => session.update((data) => ({ ...data, size: (data?.size ?? 0) + 1 })));
    expect(await browser.visit(prefs, ({ data }) => data)).toEqual({ theme: "light", size: 2 });
    await browser.visit(prefs, (session) => session.destroy());
    expect(browser.jar.has(COOKIE)).toBe(false);
    expect(events).toEqual(["updated", "updated", "destroyed:destroy"]);
  });

  test("has an id that is the request's: the same in all of it, another in the next", async () => {
    const { prefs, browser } = shared();
    const details: SessionEvent[] = [];
    prefs.manager.on("*", (event) => details.push(event));
    const first = await browser.visit(prefs, (session) => {
      session.set({ theme: "dark" });
      return session.id;
    });
    expect(details.map(({ id }) => id)).toEqual([first]);
    const ids = await browser.visit(prefs, (session) => [session.id, session.id]);
    expect(ids[0]).toBe(ids[1]);
    expect(ids[0]).not.toBe(first);
    expect(ids[0]).toMatch(/^[\w-]{22}$/);
  });

  test("began when the request did, and never ends by itself", async () => {
    const clock = fakeClock();
    const prefs = defineSession<Prefs>({ name: "prefs", ...off, codec: bars, clock });
    const browser = new Browser(prefs);
    await browser.visit(prefs, (session) => session.set({ theme: "dark" }));
    clock.advance(10 * 365 * 24 * 60 * 60 * 1000);
    expect(await browser.visit(prefs, ({ data, createdAt }) => [data, createdAt])).toEqual([
      { theme: "dark" },
      clock.now(),
    ]);
  });

  test("gets a new id by regenerate(), and the same data in a new token", async () => {
    const { prefs, browser, events } = shared();
    await browser.visit(prefs, (session) => session.set({ theme: "dark" }));
    const before = browser.jar.get(COOKIE);
    const ids = await browser.visit(prefs, (session) => {
      const { id } = session;
      session.regenerate();
      return [id, session.id];
    });
    expect(ids[0]).not.toBe(ids[1]);
    expect(browser.jar.get(COOKIE)).not.toBe(before);
    expect(await browser.visit(prefs, ({ data }) => data)).toEqual({ theme: "dark" });
    expect(events).toEqual(["created", "regenerated"]);
  });

  test("refuses what it could not keep, at the call: nothing is lost, and nothing else is sent", async () => {
    const { prefs, browser } = shared();
    await browser.visit(prefs, (session) => {
      session.set({ theme: "dark" });
      expect(() => session.authenticate("ada")).toThrow(/^authenticate\(\) needs a session without a codec/);
      expect(() => session.flash("notice", "Saved")).toThrow(/^flash\(\) needs a session without a codec/);
      expect([session.subject, session.level, session.takeFlash("notice")]).toEqual([undefined, undefined, undefined]);
    });
    expect(await (await protector()).read(browser.jar.get(COOKIE) ?? "")).toBe("dark|");
  });

  test("is still changed in a request that throws afterwards, or not: data is dropped, as always (P20)", async () => {
    const { prefs, browser } = shared();
    await browser.visit(prefs, (session) => session.set({ theme: "dark" }));
    const visit = browser.arrive();
    (await visit.from(prefs)).set({ theme: "light" });
    expect((await visit.answer({ failed: true })).setCookies).toEqual([]);
  });

  test("shows the error of data that the codec cannot write, and sends nothing", async () => {
    const { prefs, browser } = shared();
    await expect(browser.visit(prefs, (session) => session.set({ theme: "not a word" }))).rejects.toThrow(
      "theme must be",
    );
    expect(browser.jar.size).toBe(0);
  });

  test.each<[title: string, codec: SessionCodec<Prefs>, reason: string]>([
    ["null", { ...bars, read: () => null }, "corrupt"],
    ["an error", { ...bars, read: (text) => JSON.parse(text) as Prefs }, "corrupt"],
    ["nothing", { ...bars, read: () => undefined as never }, "corrupt"],
    ["a promise", { ...bars, read: () => Promise.resolve({}) as never }, "corrupt"],
    ["what is no JSON", { ...bars, read: () => ({ theme: new Date() }) as never }, "corrupt"],
    ["no object", { ...bars, read: () => 7 as never }, "invalid-data"],
  ])("a codec that reads %s makes an anonymous session and an event", async (_title, codec, reason) => {
    const { prefs, browser, events } = shared(codec);
    browser.jar.set(COOKIE, await (await protector()).write("dark|"));
    expect(await browser.visit(prefs, ({ data, isNew }) => [data, isNew])).toEqual([undefined, true]);
    expect(events).toEqual([`rejected:${reason}`]);
  });

  test("keeps a copy: what the codec read is neither frozen nor changed", async () => {
    const remembered = { theme: "dark" };
    const { prefs, browser } = shared({ ...bars, read: () => remembered });
    browser.jar.set(COOKIE, await (await protector()).write("x"));
    await browser.visit(prefs, (session) => session.data);
    expect(Object.isFrozen(remembered)).toBe(false);
  });

  test("does not take a token of ours for one of its own, nor the other way round", async () => {
    const { prefs, browser } = shared();
    const ours = defineSession<Prefs>({ name: "prefs", ...off });
    await browser.visit(ours, (session) => session.set({ theme: "dark" }));
    expect(await browser.visit(prefs, ({ isNew }) => isNew)).toBe(true);
    await browser.visit(prefs, (session) => session.set({ theme: "dark" }));
    expect(await browser.visit(ours, ({ isNew }) => isNew)).toBe(true);
  });
});

describe("the option codec", () => {
  const define = (options: object) => (): unknown => defineSession({ name: "prefs", ...off, codec: bars, ...options });

  test.each<[named: string, options: object]>([
    ["codec", { codec: {} }],
    ["codec", { codec: null }],
    ["codec", { codec: { read() {} } }],
    ["codec", { store: memoryStore(), revocation: undefined, absoluteTimeout: undefined }],
    ["absoluteTimeout", { absoluteTimeout: undefined }],
    ["absoluteTimeout", { absoluteTimeout: "12h" }],
    ["idleTimeout", { idleTimeout: "30m" }],
    ["revocation", { revocation: memoryStore() }],
    ["revocation", { revocation: undefined }],
    ["renewalTimeout", { renewalTimeout: "15m" }],
  ])("beside what it cannot keep, %s is refused by its name (%#)", (named, options) => {
    expect(define(options)).toThrow(TypeError);
    expect(define(options)).toThrow(new RegExp(`^${named}`));
  });

  test("goes with clocks that are off by name, and shows in describe()", () => {
    expect(define({ idleTimeout: false, renewalTimeout: false })).not.toThrow();
    expect(defineSession({ name: "prefs", ...off, codec: bars }).manager.describe()).toMatchObject({ codec: true });
    expect(defineSession({ name: "prefs", ...off }).manager.describe()).toMatchObject({ codec: false });
  });
});
