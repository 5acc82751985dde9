import { describe, expect, test } from "vitest";
import {
  Browser,
  eventsOf,
  HOUR,
  instrumented,
  KEY,
  MINUTE,
  type Data,
  type Instrumented,
} from "../../test/testbed.ts";
import {
  cookie,
  defineSession,
  keyRing,
  sign,
  type Session,
  type SessionDefinition,
  type SessionOptions,
} from "../index.ts";
import { memoryStore } from "../store/memory.ts";
import { fakeClock } from "../testing/fake-clock.ts";

const COOKIE = "__Host-Http-prefs";
const OTHER_KEY = Buffer.from(Array.from({ length: 32 }, (_, index) => (index * 91 + 200) % 256)).toString("base64url");

interface Sealed {
  clock: ReturnType<typeof fakeClock>;
  prefs: SessionDefinition<Data>;
  browser: Browser;
  events: string[];
}

function sealed(options: Partial<SessionOptions> = {}): Sealed {
  const clock = fakeClock();
  const prefs = defineSession<Data>({
    name: "prefs",
    keys: KEY,
    revocation: "none",
    clock,
    ...options,
    schema: undefined,
  });
  return { clock, prefs, browser: new Browser(prefs), events: eventsOf(prefs) };
}

function revocable(options: Partial<SessionOptions> = {}): Sealed & { store: Instrumented } {
  const clock = fakeClock();
  const store = instrumented(memoryStore({ clock }));
  return { ...sealed({ clock, revocation: store, ...options }), clock, store };
}

const dataOf = async ({ browser, prefs }: Sealed, from = browser): Promise<unknown> =>
  await from.visit(prefs, ({ data }) => data);

describe("a session in its token", () => {
  test.each([
    ["sealed", {}],
    ["signed", { protection: sign() }],
  ])("%s: travels there and back, and a read changes nothing", async (_, options) => {
    const it = sealed(options);
    await it.browser.visit(it.prefs, (session) => session.set({ theme: "dark" }));
    const read = it.browser.arrive();
    const session = await read.from(it.prefs);
    expect([session.data, session.isNew]).toEqual([{ theme: "dark" }, false]);
    await read.answer();
    expect(read.setCookies).toEqual([]);
  });

  test("sealed: nothing of it can be read; signed: all of it, and nothing can be changed", async () => {
    for (const [options, readable] of [
      [{}, false],
      [{ protection: sign() }, true],
    ] as const) {
      const it = sealed(options);
      await it.browser.visit(it.prefs, (session) => session.set({ name: "Ada" }));
      const token = it.browser.jar.get(COOKIE) ?? "";
      const plain = token
        .split(".")
        .map((part) => Buffer.from(part, "base64url").toString("latin1"))
        .join();
      expect(plain.includes("Ada")).toBe(readable);
      for (let at = 0; at < token.length; at++) {
        const forged = `${token.slice(0, at)}${token[at] === "A" ? "B" : "A"}${token.slice(at + 1)}`;
        it.browser.jar.set(COOKIE, forged);
        expect(await dataOf(it)).toBeUndefined();
      }
      expect(new Set(it.events)).toEqual(new Set(["created", "rejected:forged"]));
    }
  });

  test("P24: the absolute clock is inside and on by default, the idle clock is off", async () => {
    const it = sealed();
    await it.browser.visit(it.prefs, (session) => session.set({ theme: "dark" }));
    it.clock.advance(12 * HOUR - 1);
    expect(await dataOf(it)).toEqual({ theme: "dark" });
    await it.browser.visit(it.prefs, (session) => session.patch({ visits: 1 }));
    it.clock.advance(1);
    expect(await dataOf(it)).toBeUndefined();
    expect(it.events.at(-1)).toBe("rejected:expired");
  });

  test.each([
    ["renewalTimeout", { renewalTimeout: "15m" }],
    ["onReplay", { onReplay: "end" }],
    ["concurrency", { concurrency: "merge" }],
    ["concurrency", { concurrency: "reject" }],
    ["acceptUnsigned", { acceptUnsigned: true }],
    ["revocation", { revocation: undefined }],
    ["revocation", { revocation: "later" as never }],
    ["keys", { keys: undefined }],
    ["absoluteTimeout", { absoluteTimeout: false, revocation: memoryStore() }],
  ] as const)("P24 P25: %s that cannot hold is a TypeError that names it", (name, options) => {
    expect(() => sealed(options as Partial<SessionOptions>)).toThrow(TypeError);
    expect(() => sealed(options as Partial<SessionOptions>)).toThrow(new RegExp(`^${name}`));
  });

  test("the idle clock travels in a cookie of its own, so that a read rewrites no data", async () => {
    const it = sealed({ idleTimeout: "30m" });
    await it.browser.visit(it.prefs, (session) => session.set({ theme: "dark" }));
    expect([...it.browser.jar.keys()]).toEqual([COOKIE, `${COOKIE}-idle`]);
    const token = it.browser.jar.get(COOKIE);
    it.clock.advance(3 * MINUTE);
    const read = it.browser.arrive();
    await read.from(it.prefs);
    (await read.answer()).deliver();
    expect(read.setCookies.map((line) => line.split("=")[0])).toEqual([`${COOKIE}-idle`]);
    expect(it.browser.jar.get(COOKIE)).toBe(token);
    it.clock.advance(33 * MINUTE - 1);
    expect(await dataOf(it)).toEqual({ theme: "dark" });
    it.clock.advance(33 * MINUTE);
    expect(await dataOf(it)).toBeUndefined();
    expect(it.events.at(-1)).toBe("rejected:expired");
  });

  test("the idle clock of another session, or none, is worth nothing", async () => {
    const it = sealed({ idleTimeout: "30m" });
    const other = new Browser(it.prefs);
    await it.browser.visit(it.prefs, (session) => session.set({ theme: "dark" }));
    await other.visit(it.prefs, (session) => session.set({ theme: "light" }));
    it.clock.advance(20 * MINUTE);
    for (const browser of [it.browser, other]) await dataOf(it, browser);
    it.clock.advance(20 * MINUTE);
    const mixed = it.browser.clone();
    mixed.jar.set(`${COOKIE}-idle`, other.jar.get(`${COOKIE}-idle`) ?? "");
    expect(await dataOf(it, mixed)).toBeUndefined();
    mixed.jar.delete(`${COOKIE}-idle`);
    expect(await dataOf(it, mixed)).toBeUndefined();
    expect(await dataOf(it)).toEqual({ theme: "dark" });
  });

  test("a late answer that puts an old idle clock in the place of a new one signs nobody out", async () => {
    for (const revocation of ["none", memoryStore()] as const) {
      const it = sealed({ idleTimeout: "30m", revocation });
      await it.browser.visit(it.prefs, (session) => session.set({ theme: "dark" }));
      it.clock.advance(4 * MINUTE);
      const poll = it.browser.arrive();
      await poll.from(it.prefs);
      await it.browser.visit(it.prefs, (session) => session.authenticate("ada"));
      (await poll.answer()).deliver();
      expect(await it.browser.visit(it.prefs, ({ subject }) => subject)).toBe("ada");
    }
  });

  test("a slow read after the keys changed brings back nobody who signed out meanwhile", async () => {
    const ring = keyRing(KEY);
    const it = sealed({ keys: ring });
    await it.browser.visit(it.prefs, (session) => session.authenticate("ada"));
    ring.replace([OTHER_KEY, KEY]);
    const slow = it.browser.arrive();
    await slow.from(it.prefs);
    it.clock.advance(MINUTE);
    await it.browser.visit(it.prefs, (session) => session.destroy());
    (await slow.answer()).deliver();
    expect(it.browser.jar.size).toBe(0);
  });

  test("destroy() takes both cookies back", async () => {
    const it = sealed({ idleTimeout: "30m" });
    await it.browser.visit(it.prefs, (session) => session.set({ theme: "dark" }));
    await it.browser.visit(it.prefs, (session) => session.destroy());
    expect(it.browser.jar.size).toBe(0);
  });

  test("a token of one definition or audience is worth nothing to another", async () => {
    const it = sealed();
    await it.browser.visit(it.prefs, (session) => session.set({ theme: "dark" }));
    const token = it.browser.jar.get(COOKIE) ?? "";
    for (const options of [
      { name: "other", transport: cookie({ name: "prefs" }) },
      { audience: "staging" },
      { keys: OTHER_KEY },
    ]) {
      const other = sealed({ clock: it.clock, ...options });
      other.browser.jar.set(COOKIE, token);
      expect(await dataOf(other)).toBeUndefined();
      expect(other.events).toEqual(["rejected:forged"]);
    }
  });

  test("P26: rotating keys in three phases loses nobody, and removing one ends its sessions at once", async () => {
    const ring = keyRing(KEY);
    const it = sealed({ keys: ring });
    await it.browser.visit(it.prefs, (session) => session.set({ theme: "dark" }));
    const left = it.browser.clone();
    ring.replace([KEY, OTHER_KEY]);
    expect(await dataOf(it)).toEqual({ theme: "dark" });
    ring.replace([OTHER_KEY, KEY]);
    expect(await dataOf(it)).toEqual({ theme: "dark" });
    expect(it.events).toContain("reissued");
    ring.replace(OTHER_KEY);
    expect(await dataOf(it)).toEqual({ theme: "dark" });
    expect(await dataOf(it, left)).toBeUndefined();
  });

  test("a session that is too large is refused before anything goes out, with its bytes and the limit", async () => {
    const it = sealed();
    const visit = it.browser.arrive();
    (await visit.from(it.prefs)).set({ name: "x".repeat(4000) });
    await expect(visit.answer()).rejects.toMatchObject({ code: "ERR_SESSION_TOO_LARGE", limit: 4096 });
    expect(visit.setCookies).toEqual([]);
    const signedIn = revocable();
    await signedIn.browser.visit(signedIn.prefs, (session) => session.authenticate("ada"));
    const replacing = signedIn.browser.arrive();
    const large = await replacing.from(signedIn.prefs);
    large.set({ name: "x".repeat(4000) });
    large.regenerate();
    await expect(large.commit()).rejects.toThrow(/4096/);
    await expect(large.commit()).rejects.toThrow(/4096/);
    expect(await signedIn.browser.visit(signedIn.prefs, ({ subject }) => subject)).toBe("ada");
    const split = sealed({ transport: cookie({ split: 3 }) });
    await split.browser.visit(split.prefs, (session) => session.set({ name: "x".repeat(6000) }));
    expect(split.browser.jar.size).toBe(3);
    expect(await dataOf(split)).toEqual({ name: "x".repeat(6000) });
    await split.browser.visit(split.prefs, (session) => session.set({ name: "short" }));
    expect(split.browser.jar.size).toBe(1);
    expect(await dataOf(split)).toEqual({ name: "short" });
  });

  test.each([
    ["smaller", (session: Session<Data>) => session.set({ name: "short" }), [COOKIE, `${COOKIE}-idle`]],
    ["gone", (session: Session<Data>) => session.destroy(), []],
  ])("what a commit by hand said of one that is %s in the end does not go out", async (_, act, cookies) => {
    const it = sealed({ transport: cookie({ split: 3 }), idleTimeout: "30m" });
    const visit = it.browser.arrive();
    const session = await visit.from(it.prefs);
    session.set({ name: "x".repeat(6000) });
    await session.commit();
    act(session);
    (await visit.answer()).deliver();
    expect([...it.browser.jar.keys()]).toEqual(cookies);
  });

  test("several verbs and a flash message, read once", async () => {
    const it = sealed();
    await it.browser.visit(it.prefs, (session) => {
      session.update(() => ({ visits: 1 }));
      session.patch({ theme: "dark" });
      session.flash("notice", "Saved");
      session.authenticate("ada", { level: "password" });
    });
    const seen = await it.browser.visit(it.prefs, (s) => [s.data, s.subject, s.level, s.takeFlash("notice")]);
    expect(seen).toEqual([{ visits: 1, theme: "dark" }, "ada", "password", "Saved"]);
    expect(await it.browser.visit(it.prefs, (s) => s.takeFlash("notice"))).toBeUndefined();
  });

  test("the id that a handler sees after a sign-in is the one that the token will have", async () => {
    const it = sealed();
    await it.browser.visit(it.prefs, (session) => session.set({ theme: "dark" }));
    for (const rotate of ["authenticate", "regenerate"] as const) {
      const ids = await it.browser.visit(it.prefs, (session) => {
        const before = session.id;
        if (rotate === "authenticate") session.authenticate("ada");
        else session.regenerate();
        return [before, session.id];
      });
      expect(ids[1]).not.toBe(ids[0]);
      expect(await it.browser.visit(it.prefs, ({ id }) => id)).toBe(ids[1]);
    }
  });

  test("more than one valid token is no session", async () => {
    const it = sealed();
    await it.browser.visit(it.prefs, (session) => session.set({ theme: "dark" }));
    const first = it.browser.cookieHeader();
    await it.browser.visit(it.prefs, (session) => session.set({ theme: "light" }));
    const visit = it.browser.arrive({ headers: { cookie: `${first}; ${it.browser.cookieHeader()}` } });
    expect((await visit.from(it.prefs)).isNew).toBe(true);
    expect(it.events.at(-1)).toBe("rejected:ambiguous");
  });

  test("list, revoke and count say that they need a store", async () => {
    const { prefs } = sealed();
    await expect(prefs.manager.list("ada")).rejects.toThrow(/needs sessions in a store/);
    await expect(prefs.manager.revoke("x")).rejects.toThrow(TypeError);
    await expect(prefs.manager.count()).rejects.toThrow(TypeError);
    await expect(prefs.manager.revokeAll("ada")).rejects.toThrow(/revocation/);
  });
});

describe("revocation", () => {
  test("P25: costs one call a read, and none for a guest", async () => {
    const it = revocable();
    await it.browser.visit(it.prefs, (session) => session.set({ theme: "dark" }));
    await dataOf(it);
    expect(it.store.calls).toEqual([]);
    await it.browser.visit(it.prefs, (session) => session.authenticate("ada"));
    it.store.calls.length = 0;
    await dataOf(it);
    expect(it.store.calls).toEqual(["read"]);
  });

  test("P25: destroy() ends this session at once, and the subject's others go on", async () => {
    const it = revocable();
    const phone = new Browser(it.prefs);
    for (const browser of [it.browser, phone]) await browser.visit(it.prefs, (session) => session.authenticate("ada"));
    const stolen = it.browser.clone();
    await it.browser.visit(it.prefs, (session) => session.destroy());
    expect(await stolen.visit(it.prefs, ({ subject }) => subject)).toBeUndefined();
    expect(it.events.at(-1)).toBe("rejected:revoked");
    expect(await phone.visit(it.prefs, ({ subject }) => subject)).toBe("ada");
  });

  test("P25: revokeAll() ends every session of a subject at once; signing in again works", async () => {
    const it = revocable();
    await it.browser.visit(it.prefs, (session) => session.authenticate("ada"));
    const other = new Browser(it.prefs);
    await other.visit(it.prefs, (session) => session.authenticate("grace"));
    expect(await it.prefs.manager.revokeAll("ada")).toBe(1);
    expect(await it.prefs.manager.revokeAll("nobody")).toBe(0);
    expect(await it.browser.visit(it.prefs, ({ subject }) => subject)).toBeUndefined();
    expect(await other.visit(it.prefs, ({ subject }) => subject)).toBe("grace");
    await it.browser.visit(it.prefs, (session) => session.authenticate("ada"));
    expect(await it.browser.visit(it.prefs, ({ subject }) => subject)).toBe("ada");
  });

  test("P25: a revocation store that lost its entries fails closed, and what was revoked does not come back", async () => {
    const it = revocable();
    await it.browser.visit(it.prefs, (session) => session.authenticate("ada"));
    const revoked = it.browser.clone();
    await it.prefs.manager.revokeAll("ada");
    await it.browser.visit(it.prefs, (session) => session.authenticate("ada"));
    const emptied = sealed({ clock: it.clock, revocation: memoryStore({ clock: it.clock }) });
    for (const browser of [revoked, it.browser]) expect(await dataOf(emptied, browser.clone())).toBeUndefined();
    await emptied.browser.visit(emptied.prefs, (session) => session.authenticate("ada"));
    for (const browser of [revoked, it.browser]) {
      expect(await browser.clone().visit(emptied.prefs, ({ subject }) => subject)).toBeUndefined();
    }
  });

  test("P25: a sign-in that is answered after a destroy() in between does not bring the old token back", async () => {
    const it = revocable();
    await it.browser.visit(it.prefs, (session) => session.authenticate("ada"));
    const slow = it.browser.arrive();
    (await slow.from(it.prefs)).patch({ theme: "dark" });
    await it.browser.visit(it.prefs, (session) => session.destroy());
    (await slow.answer()).deliver();
    expect(await it.browser.visit(it.prefs, ({ subject }) => subject)).toBeUndefined();
  });

  test("P25: a dead revocation store is a StoreError, never a valid session", async () => {
    const it = revocable();
    await it.browser.visit(it.prefs, (session) => session.authenticate("ada"));
    it.store.before = () => {
      throw new Error("down");
    };
    await expect(it.browser.arrive().from(it.prefs)).rejects.toMatchObject({ code: "ERR_SESSION_STORE", status: 503 });
  });

  test("P16: a session that another subject's sign-in replaced is ended once, also with a commit by hand", async () => {
    const it = revocable();
    await it.browser.visit(it.prefs, (session) => session.authenticate("ada"));
    const visit = it.browser.arrive();
    const session = await visit.from(it.prefs);
    session.authenticate("bob");
    await session.commit();
    it.store.calls.length = 0;
    it.events.length = 0;
    (await visit.answer()).deliver();
    expect([it.store.calls, it.events]).toEqual([[], []]);
    expect(await it.browser.visit(it.prefs, ({ subject }) => subject)).toBe("bob");
  });

  test("P25: a subject that ends session after session does not make every read carry the list", async () => {
    const it = revocable();
    await it.browser.visit(it.prefs, (session) => session.authenticate("ada"));
    for (let n = 0; n < 500; n++) await it.browser.visit(it.prefs, (session) => session.authenticate("ada"));
    const entry = await it.store.read("prefs/revocation:ada", { now: it.clock.now() });
    expect(entry?.value.length).toBeLessThan(10_000);
    expect(await it.browser.visit(it.prefs, ({ subject }) => subject)).toBe("ada");
  });

  test("P25: many sign-outs of one subject at once are all remembered", async () => {
    const it = revocable();
    const browsers = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const browser = new Browser(it.prefs);
        await browser.visit(it.prefs, (session) => session.authenticate("ada"));
        return browser;
      }),
    );
    it.store.before = () => Promise.resolve();
    await Promise.all(browsers.map((browser) => browser.clone().visit(it.prefs, (session) => session.destroy())));
    it.store.before = () => undefined;
    for (const browser of browsers) expect(await browser.visit(it.prefs, ({ subject }) => subject)).toBeUndefined();
  });
});
