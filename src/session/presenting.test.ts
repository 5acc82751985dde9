import { describe, expect, test } from "vitest";
import {
  Browser,
  cachingStore,
  COOKIE,
  HOUR,
  KEY,
  MINUTE,
  renewed,
  second,
  SECOND,
  setup,
  signIn,
  subjectOf,
} from "../../test/testbed.ts";
import { decodeBase64url, encodeBase64url } from "../internal/base64url.ts";
import { keyRing } from "../protection/key-ring.ts";
import { fakeClock } from "../testing/fake-clock.ts";

describe("clocks", () => {
  test("P1: an expired session does not exist, swept or not", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    it.clock.advance(33 * MINUTE + 1);
    expect(await it.browser.visit(it.user, ({ isNew, data }) => [isNew, data])).toEqual([true, undefined]);
    expect(it.events).toContain("rejected:unknown");
  });

  test("P1: the application's clock decides, whatever the store's own does", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    const late = second(it, { clock: fakeClock(it.clock.now() + 13 * HOUR) });
    expect(await it.browser.clone().visit(late, ({ isNew }) => isNew)).toBe(true);
    expect(await it.browser.visit(it.user, ({ isNew }) => isNew)).toBe(false);
  });

  test("P2: a session lives for at least the idle timeout after its last use, and at most 1.1 of it", async () => {
    const it = setup({ absoluteTimeout: false });
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    it.clock.advance(2 * MINUTE + 59 * SECOND);
    expect(await it.browser.visit(it.user, ({ isNew }) => isNew)).toBe(false);
    it.clock.advance(30 * MINUTE);
    expect(await it.browser.visit(it.user, ({ isNew }) => isNew)).toBe(false);
    it.clock.advance(33 * MINUTE);
    expect(await it.browser.visit(it.user, ({ isNew }) => isNew)).toBe(true);
  });

  test("P2: a use is written down when a tenth of the idle timeout has passed, and not before", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    it.store.calls.length = 0;
    it.clock.advance(3 * MINUTE - 1);
    await it.browser.visit(it.user, () => {});
    expect(it.store.calls).toEqual(["read"]);
    it.clock.advance(2);
    await it.browser.visit(it.user, () => {});
    expect(it.store.calls).toEqual(["read", "read", "touch"]);
    await it.browser.visit(it.user, () => {});
    expect(it.store.calls).toEqual(["read", "read", "touch", "read"]);
  });

  test("P2: a session that is about to reach its absolute end is still kept alive up to it", async () => {
    const it = setup({ absoluteTimeout: "34m" });
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    it.clock.advance(20 * MINUTE);
    await it.browser.visit(it.user, () => {});
    it.clock.advance(14 * MINUTE - 1);
    expect(await it.browser.visit(it.user, ({ isNew }) => isNew)).toBe(false);
    it.clock.advance(1);
    expect(await it.browser.visit(it.user, ({ isNew }) => isNew)).toBe(true);
  });

  test("P3: neither use nor renewal moves the absolute end", async () => {
    const it = setup();
    await signIn(it);
    for (let minutes = 0; minutes < 12 * 60 - 5; minutes += 5) {
      it.clock.advance(5 * MINUTE);
      expect(await subjectOf(it.browser, it.user)).toBe("ada");
    }
    expect(it.events.filter((event) => event === "confirmed").length).toBeGreaterThan(20);
    it.clock.advance(5 * MINUTE);
    expect(await subjectOf(it.browser, it.user)).toBeUndefined();
  });

  test("P3: signing in starts the absolute clock anew", async () => {
    const it = setup({ idleTimeout: false });
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    it.clock.advance(11 * HOUR);
    await signIn(it);
    it.clock.advance(11 * HOUR);
    expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ visits: 1 });
    it.clock.advance(HOUR);
    expect(await it.browser.visit(it.user, ({ isNew }) => isNew)).toBe(true);
  });
});

describe("presenting a token", () => {
  test("P26: one that was seen before is worth nothing once its key has left the ring, and reissued once that is not the first", async () => {
    const other = encodeBase64url(new Uint8Array(32).map((_, index) => (index * 91 + 5) % 256));
    const ring = keyRing([KEY]);
    const it = setup({ keys: ring });
    await it.browser.visit(it.user, (session) => session.set({ name: "Ada" }));
    const seen = it.browser.clone();
    for (let visit = 0; visit < 3; visit++) await it.browser.visit(it.user, ({ data }) => expect(data).toBeDefined());
    ring.replace([other, KEY]);
    await it.browser.visit(it.user, ({ data }) => expect(data).toBeDefined());
    expect(it.browser.jar.get(COOKIE)).not.toBe(seen.jar.get(COOKIE));
    expect(it.events).toContain("reissued");
    ring.replace([other]);
    it.store.calls.length = 0;
    expect(await seen.visit(it.user, ({ data }) => data)).toBeUndefined();
    expect(it.store.calls).toEqual([]);
    expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ name: "Ada" });
  });

  test("P4: a slow body does not age a token: what counts is when the request arrived", async () => {
    const it = setup();
    const { old } = await renewed(it);
    await it.browser.visit(it.user, () => {});
    const slow = old.arrive();
    it.clock.advance(4 * MINUTE);
    expect((await slow.from(it.user)).subject).toBe("ada");
    expect((await old.arrive().from(it.user)).subject).toBeUndefined();
  });

  test("P5: what is not a token never reaches the store", async () => {
    const it = setup();
    for (const value of [
      "x",
      "%zz",
      "a".repeat(42),
      "a".repeat(43),
      "a".repeat(44),
      '"quoted"',
      "é",
      "A".repeat(20_000),
    ]) {
      it.browser.jar.set(COOKIE, value);
      expect(await it.browser.visit(it.user, ({ isNew }) => isNew)).toBe(true);
    }
    expect(it.store.calls.filter((verb) => verb === "read")).toHaveLength(0);
    expect(new Set(it.events)).toEqual(new Set(["rejected:malformed"]));
  });

  test("P5: with keys, a forgery never reaches the store", async () => {
    const it = setup({ keys: KEY });
    await signIn(it);
    const token = it.browser.jar.get(COOKIE) ?? "";
    expect(token).toHaveLength(55);
    it.store.calls.length = 0;
    const bytes = decodeBase64url(token) as Uint8Array;
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const forged = bytes.slice();
      forged[bit >> 3] = (forged[bit >> 3] as number) ^ (1 << (bit & 7));
      it.browser.jar.set(COOKIE, encodeBase64url(forged));
      expect(await subjectOf(it.browser, it.user)).toBeUndefined();
    }
    expect(it.store.calls).toEqual([]);
    it.browser.jar.set(COOKIE, token);
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
  });

  test("P5: while keys are introduced, tokens without a MAC are accepted and issued again with one", async () => {
    const it = setup();
    await signIn(it);
    const careful = second(it, { keys: KEY });
    expect(await subjectOf(it.browser.clone(), careful)).toBeUndefined();
    const lenient = second(it, { keys: KEY, acceptUnsigned: true });
    expect(await subjectOf(it.browser, lenient)).toBe("ada");
    expect(it.browser.jar.get(COOKIE)).toHaveLength(55);
    expect(await subjectOf(it.browser, careful)).toBe("ada");
  });

  test("P5: keys come and go server by server, and nobody is signed out", async () => {
    const it = setup();
    await signIn(it);
    const lenient = second(it, { keys: KEY, acceptUnsigned: true });
    for (const server of [it.user, lenient, it.user, lenient, lenient, it.user]) {
      expect(await subjectOf(it.browser, server)).toBe("ada");
    }
    await it.browser.visit(lenient, (session) => session.authenticate("ada"));
    await it.browser.visit(it.user, (session) => session.patch({ visits: 1 }));
    expect(await it.browser.visit(lenient, ({ data, subject }) => [data, subject])).toEqual([{ visits: 1 }, "ada"]);
  });

  test("P5: same-named tokens are all tried, none wins by position", async () => {
    const it = setup();
    await signIn(it);
    const good = it.browser.jar.get(COOKIE) ?? "";
    const junk = encodeBase64url(new Uint8Array(32).fill(7));
    for (const values of [
      [good, junk],
      [junk, good],
      ["x", junk, good],
      [good, good, good, good, good],
    ]) {
      const cookie = values.map((value) => `${COOKIE}=${value}`).join("; ");
      const session = await it.browser.arrive({ headers: { cookie } }).from(it.user);
      expect(session.subject).toBe("ada");
    }
  });

  test("P5: more than one valid token means no session, and so do more than four", async () => {
    const it = setup();
    await signIn(it);
    const other = new Browser(it.user);
    await other.visit(it.user, (session) => session.authenticate("mallory"));
    const cookie = `${it.browser.cookieHeader()}; ${other.cookieHeader()}`;
    expect((await it.browser.arrive({ headers: { cookie } }).from(it.user)).subject).toBeUndefined();
    expect(it.events).toContain("rejected:ambiguous");
    const many = [1, 2, 3, 4].map((n) => `${COOKIE}=junk${n}`).join("; ");
    const flood = it.browser.arrive({ headers: { cookie: `${many}; ${it.browser.cookieHeader()}` } });
    expect((await flood.from(it.user)).subject).toBeUndefined();
    expect(it.events).toContain("rejected:too-many");
  });

  test("P5: an old cookie of the same session beside the new one is no ambiguity and no replay", async () => {
    const it = setup();
    const { old } = await renewed(it);
    await it.browser.visit(it.user, () => {});
    it.clock.advance(6 * MINUTE);
    const cookie = `${old.cookieHeader()}; ${it.browser.cookieHeader()}`;
    expect((await it.browser.arrive({ headers: { cookie } }).from(it.user)).subject).toBe("ada");
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
  });

  test("P6: a secret that is not the session's is refused, and nothing changes", async () => {
    const it = setup();
    await signIn(it);
    const bytes = decodeBase64url(it.browser.jar.get(COOKIE) ?? "") as Uint8Array;
    bytes[31] = (bytes[31] as number) ^ 1;
    const thief = new Browser(it.user);
    thief.jar.set(COOKIE, encodeBase64url(bytes));
    it.store.calls.length = 0;
    expect(await subjectOf(thief, it.user)).toBeUndefined();
    expect(it.store.calls).toEqual(["read"]);
    expect(it.events).toContain("rejected:unknown-secret");
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
  });

  test("P6: the old secret is accepted for 30 seconds after the new one was seen, refused for 5 minutes, a replay after", async () => {
    const it = setup();
    const { old } = await renewed(it);
    expect(await subjectOf(old.clone(), it.user)).toBe("ada");
    await it.browser.visit(it.user, () => {});
    expect(it.events).toContain("confirmed");
    it.clock.advance(30 * SECOND);
    expect(await subjectOf(old.clone(), it.user)).toBe("ada");
    it.clock.advance(1);
    expect(await subjectOf(old.clone(), it.user)).toBeUndefined();
    it.clock.advance(4 * MINUTE + 30 * SECOND - 2);
    expect(await subjectOf(old.clone(), it.user)).toBeUndefined();
    expect(it.events.filter((event) => event === "rejected:superseded")).toHaveLength(2);
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
    it.clock.advance(1);
    expect(await subjectOf(old.clone(), it.user)).toBeUndefined();
    expect(it.events).toContain("rejected:replay");
    expect(await subjectOf(it.browser, it.user)).toBeUndefined();
  });

  test('P6: with onReplay "reject" a replay is refused and the session goes on', async () => {
    const it = setup({ onReplay: "reject" });
    const { old } = await renewed(it);
    await it.browser.visit(it.user, () => {});
    it.clock.advance(6 * MINUTE);
    expect(await subjectOf(old, it.user)).toBeUndefined();
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
  });

  test("P6: a confirmation that meets another write is dropped, and done by the next request", async () => {
    const it = setup();
    await renewed(it);
    const reader = it.browser.arrive();
    await reader.from(it.user);
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    await reader.answer();
    expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ visits: 1 });
  });

  test("P7: a refusal found in a cached copy is not final", async () => {
    const it = setup();
    const cached = second(it, { store: cachingStore(it.store) });
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    await it.browser.visit(cached, () => {});
    await it.browser.visit(it.user, (session) => session.authenticate("ada"));
    expect(await subjectOf(it.browser, cached)).toBe("ada");
  });

  test("P8: a token of a session that is gone is taken back on a navigation only", async () => {
    const it = setup();
    it.browser.jar.set(COOKIE, encodeBase64url(new Uint8Array(32).fill(9)));
    for (const [mode, removed] of [
      ["cors", false],
      ["no-cors", false],
      ["navigate", true],
      ["", true],
    ] as const) {
      const visit = it.browser.arrive({ headers: { "sec-fetch-mode": mode } });
      await visit.from(it.user);
      await visit.answer();
      expect(visit.setCookies.some((cookie) => cookie.includes("Max-Age=0"))).toBe(removed);
    }
  });

  test("P8: a late answer to a superseded or unknown secret does not delete the cookie that a sign-in has set", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ cart: ["tea"] }));
    const guest = it.browser.clone();
    await signIn(it);
    const straggler = guest.arrive();
    const session = await straggler.from(it.user);
    expect(session.subject).toBeUndefined();
    await straggler.answer();
    expect(straggler.setCookies).toEqual([]);
  });

  test("P8: a straggler of a sign-in that writes does not replace the cookie that the sign-in has set", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ cart: ["tea"] }));
    const guest = it.browser.clone();
    await signIn(it);
    const straggler = guest.arrive();
    (await straggler.from(it.user)).set({ cart: ["milk"] });
    await straggler.answer();
    expect(straggler.setCookies).toEqual([]);
    expect(it.events).toContainEqual(expect.stringMatching(/^gone:/));
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
  });

  test("P8: a client that is stuck with a secret nobody knows gets a new session once it cannot be a straggler", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ cart: ["tea"] }));
    const lost = it.browser.clone();
    await signIn(it);
    it.clock.advance(5 * MINUTE);
    await lost.visit(it.user, (session) => session.set({ cart: ["milk"] }));
    expect(await lost.visit(it.user, ({ data }) => data)).toEqual({ cart: ["milk"] });
    expect(await it.browser.visit(it.user, ({ data, subject }) => [data, subject])).toEqual([{ cart: ["tea"] }, "ada"]);
  });
});
