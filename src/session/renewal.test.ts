import { describe, expect, test } from "vitest";
import { Browser, COOKIE, MINUTE, renewed, second, SECOND, setup, signIn, subjectOf } from "../../test/testbed.ts";
import { defineSession, header } from "../index.ts";

describe("renewal", () => {
  test("P9: the secret of a signed-in session is replaced after the renewal timeout, and nobody notices", async () => {
    const it = setup();
    await signIn(it);
    const id = await it.browser.visit(it.user, (session) => session.id);
    const first = it.browser.jar.get(COOKIE);
    it.clock.advance(15 * MINUTE - 1);
    await it.browser.visit(it.user, () => {});
    expect(it.browser.jar.get(COOKIE)).toBe(first);
    it.clock.advance(1);
    await it.browser.visit(it.user, () => {});
    expect(it.browser.jar.get(COOKIE)).not.toBe(first);
    expect(await it.browser.visit(it.user, (session) => [session.id, session.subject])).toEqual([id, "ada"]);
  });

  test("P9: a guest's secret is not renewed", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ cart: ["tea"] }));
    const first = it.browser.jar.get(COOKIE);
    it.clock.advance(20 * MINUTE);
    await it.browser.visit(it.user, () => {});
    expect(it.browser.jar.get(COOKIE)).toBe(first);
  });

  test("P9: a lost response costs nothing: the next one offers the same secret again", async () => {
    const it = setup();
    await signIn(it);
    it.clock.advance(16 * MINUTE);
    const lost = it.browser.arrive();
    await lost.from(it.user);
    await lost.answer();
    expect(lost.setCookies).toHaveLength(1);
    it.clock.advance(10 * MINUTE);
    const next = it.browser.arrive();
    expect((await next.from(it.user)).subject).toBe("ada");
    await next.answer();
    expect(next.setCookies).toEqual(lost.setCookies);
    next.deliver();
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
  });

  test("P9: concurrent requests, of two processes too, are all given the same next secret", async () => {
    const it = setup();
    await signIn(it);
    it.clock.advance(16 * MINUTE);
    const other = second(it);
    const visits = [it.user, other, it.user, other].map((definition) => ({
      definition,
      visit: it.browser.arrive({}, [definition]),
    }));
    for (const { definition, visit } of visits) await visit.from(definition);
    for (const { visit } of visits) await visit.answer();
    expect(new Set(visits.flatMap(({ visit }) => visit.setCookies)).size).toBe(1);
    expect(visits.every(({ visit }) => visit.setCookies.length === 1)).toBe(true);
  });

  test("P9: after the confirmation nobody is offered the renewed secret any more", async () => {
    const it = setup();
    const { old } = await renewed(it);
    await it.browser.visit(it.user, () => {});
    const straggler = old.arrive();
    expect((await straggler.from(it.user)).subject).toBe("ada");
    await straggler.answer();
    expect(straggler.setCookies).toEqual([]);
  });

  test("P9: a handler that took longer than 5 seconds hands out no renewed secret", async () => {
    const it = setup();
    await signIn(it);
    it.clock.advance(16 * MINUTE);
    const slow = it.browser.arrive();
    await slow.from(it.user);
    await it.browser.clone().visit(it.user, () => {});
    const late = it.browser.arrive();
    await late.from(it.user);
    it.clock.advance(5 * SECOND + 1);
    await late.answer();
    expect(late.setCookies).toEqual([]);
  });

  test("P9: no renewal is begun for a session that was signed in anew after it was loaded", async () => {
    const it = setup();
    await signIn(it);
    it.clock.advance(16 * MINUTE);
    const slow = it.browser.arrive();
    await slow.from(it.user);
    await signIn(it);
    await slow.answer();
    expect(slow.setCookies).toEqual([]);
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
  });

  test("P9: the store holds nothing that yields a token", async () => {
    const it = setup();
    await renewed(it);
    const tokens = [...it.browser.jar.values()];
    const dump: string[] = [];
    const page = await it.store.list?.("", { limit: 1_000 }, { now: it.clock.now() });
    for (const { key, record } of page?.records ?? []) dump.push(key, JSON.stringify(record));
    expect(dump.join()).toMatch(/"p\\":/);
    for (const token of tokens) {
      for (let at = 22; at + 8 <= token.length; at++) expect(dump.join()).not.toContain(token.slice(at, at + 8));
    }
  });

  test.each([
    ["on a WebSocket or behind forward-auth", { carries: false }],
    ["when the client went away", { aborted: () => true }],
  ])("P10: no renewal %s", async (_, hooks) => {
    const it = setup();
    await signIn(it);
    it.clock.advance(16 * MINUTE);
    const visit = it.browser.arrive(hooks);
    await visit.from(it.user);
    await visit.answer();
    expect(visit.setCookies).toEqual([]);
    expect(it.events).not.toContain("renewed");
  });

  test("P10: no renewal after the headers are out", async () => {
    const it = setup();
    await signIn(it);
    it.clock.advance(16 * MINUTE);
    const visit = it.browser.arrive();
    visit.exchange.close();
    const session = await visit.from(it.user);
    await session.commit();
    expect(it.events).not.toContain("renewed");
  });

  test("P10: a header is renewed only when asked for", async () => {
    const it = setup();
    for (const [renew, count] of [
      [false, 0],
      [true, 1],
    ] as const) {
      const api = defineSession({
        name: "api",
        store: it.store,
        clock: it.clock,
        transport: header("X-Session", { renew }),
      });
      const browser = new Browser(api);
      const signedIn = browser.arrive();
      (await signedIn.from(api)).authenticate("ada");
      await signedIn.answer();
      const token = signedIn.edits.find(({ name }) => name === "X-Session")?.value ?? "";
      it.clock.advance(16 * MINUTE);
      const visit = browser.arrive({ headers: { "x-session": token } });
      expect((await visit.from(api)).subject).toBe("ada");
      await visit.answer();
      expect(visit.edits.filter(({ name }) => name === "X-Session")).toHaveLength(count);
    }
  });

  test("P11: authenticate() and regenerate() kill the old secret at once, and it is unknown, not a replay", async () => {
    const it = setup();
    for (const rotate of ["authenticate", "regenerate"] as const) {
      await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
      const old = it.browser.clone();
      await it.browser.visit(it.user, (session) =>
        rotate === "authenticate" ? session.authenticate("ada") : session.regenerate(),
      );
      expect(await old.visit(it.user, ({ isNew }) => isNew)).toBe(true);
      expect(it.events.at(-1)).toBe("rejected:unknown-secret");
      it.clock.advance(10 * MINUTE);
      expect(await old.visit(it.user, ({ isNew }) => isNew)).toBe(true);
      expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ visits: 1 });
    }
  });

  test("P11: signing in again ends an offered and a retired secret as well", async () => {
    const it = setup();
    const { old } = await renewed(it);
    const offered = it.browser.clone();
    await signIn(it);
    expect(await subjectOf(old, it.user)).toBeUndefined();
    expect(await subjectOf(offered, it.user)).toBeUndefined();
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
  });

  test("P11: regenerate() keeps id and data, and does not move the clocks", async () => {
    const it = setup();
    await signIn(it);
    const before = await it.browser.visit(it.user, ({ id, createdAt, authenticatedAt }) => ({
      id,
      createdAt,
      authenticatedAt,
    }));
    it.clock.advance(MINUTE);
    await it.browser.visit(it.user, (session) => session.regenerate());
    const after = await it.browser.visit(it.user, ({ id, createdAt, authenticatedAt }) => ({
      id,
      createdAt,
      authenticatedAt,
    }));
    expect(after).toEqual(before);
  });
});
