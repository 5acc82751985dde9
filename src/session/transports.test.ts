import { describe, expect, test } from "vitest";
import { setup, type Setup, type Visit } from "../../test/testbed.ts";
import { clientCertificate, cookie, defineSession, header, url } from "../index.ts";
import { KEY } from "../../test/testbed.ts";
import { memoryStore } from "../store/memory.ts";

function headerOf(visit: Visit, name: string): string | undefined {
  return visit.edits.findLast((edit) => edit.name === name)?.value;
}

async function begun({ browser, user }: Setup, headers: Record<string, string>): Promise<Visit> {
  const visit = browser.arrive({ headers });
  (await visit.from(user)).set({ name: "Ada" });
  return await visit.answer();
}

const pagesAndApp = (): Setup => setup({ transport: [cookie(), header()] });

describe("several transports of one definition", () => {
  test("answer by the first, when a client shows nothing", async () => {
    const visit = await begun(pagesAndApp(), {});
    expect(visit.setCookies).toHaveLength(1);
    expect(headerOf(visit, "X-Session")).toBeUndefined();
  });

  test("answer by the one that a client asks for before it has a token: the header, sent empty", async () => {
    const visit = await begun(pagesAndApp(), { "x-session": " " });
    expect(visit.setCookies).toHaveLength(0);
    expect(headerOf(visit, "X-Session")).toMatch(/^[\w-]{43}$/);
  });

  test("bring back one session, whichever carries its token, and answer by that one", async () => {
    const it = pagesAndApp();
    const token = headerOf(await begun(it, { "x-session": " " }), "X-Session") as string;
    for (const [headers, byCookie] of [
      [{ "x-session": token }, false],
      [{ cookie: `__Host-Http-user=${token}` }, true],
      [{ cookie: `__Host-Http-user=${token}`, "x-session": token }, true],
    ] as const) {
      const visit = it.browser.arrive({ headers });
      const session = await visit.from(it.user);
      expect(session.data).toEqual({ name: "Ada" });
      expect((await visit.answer()).edits).toEqual([{ name: "Vary", value: "Cookie, X-Session", mode: "merge" }]);
      const again = it.browser.arrive({ headers });
      await again.from(it.user);
      expect((await again.answer()).setCookies).toHaveLength(0);
      expect(byCookie).toBe("cookie" in headers);
    }
    const signingIn = it.browser.arrive({ headers: { "x-session": token } });
    (await signingIn.from(it.user)).authenticate("ada");
    await signingIn.answer();
    expect([signingIn.setCookies.length, headerOf(signingIn, "X-Session")?.length]).toEqual([0, 43]);
  });

  test("the first that carries a token counts, even when that is worth nothing: no guessing on", async () => {
    const it = pagesAndApp();
    const token = headerOf(await begun(it, { "x-session": " " }), "X-Session") as string;
    const visit = it.browser.arrive({ headers: { cookie: "__Host-Http-user=garbage", "x-session": token } });
    expect((await visit.from(it.user)).data).toBeUndefined();
  });

  test("a new session goes by the first that can carry it", async () => {
    const it = setup({ transport: [cookie(), header()] });
    const visit = it.browser.arrive({ secure: false });
    (await visit.from(it.user)).set({ name: "Ada" });
    await visit.answer();
    expect([visit.setCookies.length, headerOf(visit, "X-Session")?.length]).toEqual([0, 43]);
  });

  test("are a list in describe(), and each keeps its name to itself", () => {
    const { user } = pagesAndApp();
    expect(user.manager.describe()["transport"]).toMatchObject([{ kind: "cookie" }, { kind: "header" }]);
    const store = memoryStore();
    const other = defineSession({ name: "other", store, transport: [cookie(), header()] });
    expect(() => setup().browser.arrive({}, [user, other])).not.toThrow();
  });

  test("work by value, too", async () => {
    const prefs = setup({ store: undefined, keys: KEY, revocation: "none", transport: [header(), cookie()] });
    const visit = await begun(prefs, {});
    const token = headerOf(visit, "X-Session") as string;
    const back = prefs.browser.arrive({ headers: { cookie: `__Host-Http-user=${token}` } });
    expect((await back.from(prefs.user)).data).toEqual({ name: "Ada" });
  });

  test("are refused when they cannot work, by name", () => {
    const store = memoryStore();
    expect(() => defineSession({ name: "user", store, transport: [] })).toThrow(/transport must not be an empty list/);
    expect(() => defineSession({ name: "user", store, transport: [cookie(), {} as never] })).toThrow(/transport must/);
    for (const twice of [cookie, header, url, clientCertificate]) {
      expect(() => defineSession({ name: "user", store, transport: [twice(), twice()] })).toThrow(/two that use/);
    }
    const sealed = { name: "user", keys: KEY, revocation: "none", idleTimeout: "30m" } as const;
    expect(() => defineSession({ ...sealed, transport: [cookie(), header()] })).toThrow(/idleTimeout/);
    expect(() => defineSession({ ...sealed, transport: [cookie(), url()] })).toThrow(/url\(\) needs a store/);
  });
});

describe("session.link()", () => {
  const linked = (): Setup => setup({ transport: url() });

  test("beside cookies carries the token until a cookie comes back: nobody knows before that the client keeps it", async () => {
    const it = setup({ transport: [cookie(), url()] });
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    session.set({ name: "Ada" });
    await session.commit();
    const link = session.link("/cart");
    await visit.answer();
    expect([visit.setCookies.length, headerOf(visit, "Cache-Control")]).toEqual([1, "no-store"]);
    const without = it.browser.arrive({ url: link });
    const byLink = await without.from(it.user);
    expect([byLink.data, byLink.link("/cart")]).toEqual([{ name: "Ada" }, link]);
    expect((await without.answer()).setCookies).toEqual([]);
    visit.deliver();
    const withCookie = it.browser.arrive({ url: link });
    const byCookie = await withCookie.from(it.user);
    expect([byCookie.data, byCookie.link("/cart")]).toEqual([{ name: "Ada" }, "/cart"]);
  });

  test("leaves a link as it is where the session travels otherwise, and for a visitor without one", async () => {
    for (const it of [setup(), linked()]) {
      expect(await it.browser.visit(it.user, (session) => session.link("/cart"))).toBe("/cart");
      expect(await it.browser.visit(it.user, (session) => session.link(new URL("https://a.example/?b")))).toBe(
        "https://a.example/?b",
      );
    }
  });

  test("refuses to make links that would lead nowhere: what begins or changes the secret is to be written first", async () => {
    const it = linked();
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    session.set({ name: "Ada" });
    expect(() => session.link("/cart")).toThrow(/await session.commit\(\)/);
    await session.commit();
    const link = session.link("/cart");
    session.patch({ theme: "dark" });
    expect(session.link("/cart")).toBe(link);
    session.authenticate("ada");
    expect(() => session.link("/cart")).toThrow(TypeError);
    await session.commit();
    expect(session.link("/cart")).not.toBe(link);
    session.destroy();
    expect(session.link("/cart")).toBe("/cart");
    await visit.answer();
    expect(headerOf(visit, "Cache-Control")).toBe("no-store");
    expect(headerOf(visit, "Referrer-Policy")).toBe("no-referrer");
  });

  test("P11: links of before a sign-in are worth nothing afterwards; links of after it are", async () => {
    const it = linked();
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    session.set({ name: "Ada" });
    await session.commit();
    const before = session.link("/cart");
    session.authenticate("ada");
    await session.commit();
    const after = session.link("/cart");
    await visit.answer();
    for (const [address, subject] of [
      [before, undefined],
      [after, "ada"],
    ] as const) {
      const next = it.browser.arrive({ url: address });
      expect((await next.from(it.user)).subject).toBe(subject);
    }
  });

  test("P5: with keys the token has its MAC, and one of an older key is linked under the current one", async () => {
    const it = setup({ transport: url(), keys: KEY });
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    session.set({ name: "Ada" });
    await session.commit();
    const old = session.link("/cart");
    await visit.answer();
    const fresh = Buffer.from(KEY, "base64url").map((byte) => byte ^ 0x5a);
    const keys = [Buffer.from(fresh).toString("base64url"), KEY];
    const rolled = setup({ transport: url(), keys, store: it.store, clock: it.clock });
    const next = rolled.browser.arrive({ url: old });
    const again = await next.from(rolled.user);
    expect(again.data).toEqual({ name: "Ada" });
    expect(again.link("/cart")).not.toBe(old);
    const last = rolled.browser.arrive({ url: again.link("/cart") });
    expect((await last.from(rolled.user)).data).toEqual({ name: "Ada" });
  });
});
