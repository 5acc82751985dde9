import { describe, expect, test } from "vitest";
import { z } from "zod";
import {
  Browser,
  COOKIE,
  eventsOf,
  gate,
  MINUTE,
  second,
  SECOND,
  setup,
  signIn,
  subjectOf,
} from "../../test/testbed.ts";
import { ConflictError, defineSession, SessionError, StoreError } from "../index.ts";

describe("two requests at once", () => {
  test("P12: changes of different keys are both kept", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ visits: 1, name: "Ada" }));
    const [a, b] = [it.browser.arrive(), it.browser.arrive()];
    (await a.from(it.user)).patch({ visits: 2 });
    (await b.from(it.user)).set({ visits: 1, name: "Ada", theme: "dark" });
    await a.answer();
    await b.answer();
    expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ visits: 2, name: "Ada", theme: "dark" });
    expect(it.events).toContain("conflict");
  });

  test("P12: update() counts every request, in one process and in several", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ visits: 0 }));
    const definitions = [it.user, second(it), second(it)];
    const visits = Array.from({ length: 60 }, (_, n) => {
      const definition = definitions[n % 3] as typeof it.user;
      return { definition, visit: it.browser.arrive({}, [definition]) };
    });
    for (const { definition, visit } of visits) {
      (await visit.from(definition)).update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
    }
    await Promise.all(visits.map(({ visit }) => visit.answer()));
    expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ visits: 60 });
  });

  test("P12: of two changes of one key the later commit wins", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ theme: "light" }));
    const [a, b] = [it.browser.arrive(), it.browser.arrive()];
    (await a.from(it.user)).patch({ theme: "dark" });
    (await b.from(it.user)).patch({ theme: "sepia" });
    await b.answer();
    await a.answer();
    expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ theme: "dark" });
  });

  test("P12: undefined in a patch removes the key, on the fresh record too", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ theme: "light", visits: 1 }));
    const [a, b] = [it.browser.arrive(), it.browser.arrive()];
    (await a.from(it.user)).patch({ theme: undefined });
    (await b.from(it.user)).patch({ visits: 2 });
    await b.answer();
    await a.answer();
    expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ visits: 2 });
  });

  test("P12: verbs are replayed in the order they were called", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    const [a, b] = [it.browser.arrive(), it.browser.arrive()];
    const session = await a.from(it.user);
    session.update((data) => ({ ...data, visits: (data?.visits ?? 0) * 10 }));
    session.update((data) => ({ ...data, visits: (data?.visits ?? 0) + 1 }));
    session.patch({ name: "Ada" });
    (await b.from(it.user)).patch({ visits: 5 });
    await b.answer();
    await a.answer();
    expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ visits: 51, name: "Ada" });
  });

  test("P12: commits of one session queue within the process: a slow store is asked one after the other", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ visits: 0 }));
    let running = 0;
    it.store.before = (verb) => {
      if (verb !== "update") return undefined;
      expect(++running).toBe(1);
      return Promise.resolve();
    };
    it.store.after = (verb) => void (verb === "update" && running--);
    const visits = Array.from({ length: 10 }, () => it.browser.arrive());
    for (const visit of visits) (await visit.from(it.user)).update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
    await Promise.all(visits.map((visit) => visit.answer()));
    it.store.before = () => undefined;
    expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ visits: 10 });
  });

  test("P12: when others keep writing until the store timeout is over: a ConflictError, nothing written, no cookie", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ visits: 0 }));
    const rival = it.browser.clone();
    const other = second(it);
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    session.regenerate();
    const interfere = async (verb: string): Promise<void> => {
      if (verb !== "update") return;
      it.store.before = () => undefined;
      await rival.visit(other, (rivals) => rivals.update((data) => ({ visits: (data?.visits ?? 0) + 1 })));
      it.store.before = interfere;
    };
    it.store.before = interfere;
    const answered = visit.answer().catch((error: unknown) => error);
    const tick = setInterval(() => it.clock.advance(100), 1);
    const error = await answered;
    clearInterval(tick);
    it.store.before = () => undefined;
    expect(error).toBeInstanceOf(ConflictError);
    expect(error).toMatchObject({ reason: "retries", status: 409 });
    expect(visit.setCookies).toEqual([]);
    expect(await rival.visit(it.user, ({ isNew }) => isNew)).toBe(false);
  });

  test('concurrency "reject" shows the conflict to the app, "overwrite" lets the later request win whole', async () => {
    for (const [concurrency, expected] of [
      ["reject", { visits: 2, name: "Ada" }],
      ["overwrite", { visits: 1, name: "Grace" }],
    ] as const) {
      const it = setup({ concurrency });
      await it.browser.visit(it.user, (session) => session.set({ visits: 1, name: "Ada" }));
      const [a, b] = [it.browser.arrive(), it.browser.arrive()];
      (await a.from(it.user)).patch({ visits: 2 });
      (await b.from(it.user)).patch({ name: "Grace" });
      await a.answer();
      const outcome = await b.answer().catch((error: unknown) => error);
      if (concurrency === "reject") expect(outcome).toMatchObject({ code: "ERR_SESSION_CONFLICT", reason: "rejected" });
      expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual(expected);
    }
  });

  test("P13: a request that began before a sign-in cannot write into the signed-in session", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ cart: ["tea"] }));
    const planted = it.browser.arrive();
    const session = await planted.from(it.user);
    await signIn(it);
    session.patch({ cart: ["poison"] });
    expect(await session.commit()).toBe("gone");
    session.patch({ theme: "dark" });
    await planted.answer();
    expect(planted.setCookies).toEqual([]);
    expect(it.events).toContainEqual(expect.stringMatching(/^gone:/));
    expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ cart: ["tea"] });
  });

  test("P13: a renewal in between is harmless", async () => {
    const it = setup();
    await signIn(it);
    it.clock.advance(16 * MINUTE);
    const slow = it.browser.arrive();
    const session = await slow.from(it.user);
    session.set({ visits: 1 });
    await it.browser.visit(it.user, () => {});
    await it.browser.visit(it.user, () => {});
    await slow.answer();
    expect(await it.browser.visit(it.user, ({ data, subject }) => [data, subject])).toEqual([{ visits: 1 }, "ada"]);
  });

  test("P14: destroy() wins over a request that is still running, and the session never comes back", async () => {
    for (const verb of ["set", "update", "touch", "regenerate", "flash"] as const) {
      const it = setup();
      await signIn(it);
      it.clock.advance(10 * MINUTE);
      const slow = it.browser.arrive();
      const session = await slow.from(it.user);
      const stolen = it.browser.clone();
      await it.browser.visit(it.user, (other) => other.destroy());
      if (verb === "set") session.set({ visits: 9 });
      if (verb === "update") session.update(() => ({ visits: 9 }));
      if (verb === "regenerate") session.regenerate();
      if (verb === "flash") session.flash("notice", "boo");
      await slow.answer();
      expect(slow.setCookies).toEqual([]);
      expect(await subjectOf(stolen, it.user)).toBeUndefined();
      expect(await it.user.manager.count()).toBe(0);
      expect(it.events).toContainEqual(expect.stringMatching(/^gone:/));
    }
  });

  test("P14: what is set after destroy() is a new session with a new id", async () => {
    const it = setup();
    await signIn(it);
    const old = it.browser.clone();
    const ids = await it.browser.visit(it.user, (session) => {
      const before = session.id;
      session.destroy();
      session.set({ theme: "dark" });
      return [before, session.id, session.subject, session.isNew];
    });
    expect(ids[1]).not.toBe(ids[0]);
    expect(ids.slice(2)).toEqual([undefined, true]);
    const after = await it.browser.visit(it.user, ({ id, data, subject }) => [id, data, subject]);
    expect(after).toEqual([ids[1], { theme: "dark" }, undefined]);
    expect(await old.visit(it.user, ({ isNew }) => isNew)).toBe(true);
  });

  test("P14: destroying twice, or nothing, writes nothing and takes back no cookie that was not sent", async () => {
    const it = setup();
    const visit = it.browser.arrive();
    (await visit.from(it.user)).destroy();
    await visit.answer();
    expect(it.store.calls).toEqual([]);
    expect(visit.setCookies).toEqual([]);
  });

  test("P15: a double-clicked sign-in signs in, with what the guest had", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ cart: ["tea"] }));
    const [first, again] = [it.browser.arrive(), it.browser.arrive()];
    for (const visit of [first, again]) {
      const session = await visit.from(it.user);
      session.authenticate("ada");
      session.patch({ name: "Ada" });
    }
    await first.answer();
    await again.answer();
    for (const visit of [first, again]) {
      const browser = it.browser.clone();
      for (const cookie of visit.setCookies) browser.keep(cookie);
      const seen = await browser.visit(it.user, ({ subject, data }) => [subject, data]);
      expect(seen).toEqual(["ada", { cart: ["tea"], name: "Ada" }]);
    }
  });

  test("P15: a sign-in whose guest session has ended meanwhile signs in under a new id", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ cart: ["tea"] }));
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    const { id } = session;
    await it.user.manager.revoke(id);
    session.authenticate("ada");
    (await visit.answer()).deliver();
    const seen = await it.browser.visit(it.user, (other) => [other.subject, other.data, other.id === id]);
    expect(seen).toEqual(["ada", { cart: ["tea"] }, false]);
  });

  test("P16: signing in as somebody else starts with empty data, and ends the other's session", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => {
      session.set({ cart: ["tea"], name: "Ada" });
      session.authenticate("ada");
    });
    const ada = it.browser.clone();
    const adas = await ada.visit(it.user, ({ id }) => id);
    it.store.calls.length = 0;
    await it.browser.visit(it.user, (session) => session.authenticate("grace", { keep: ["cart"] }));
    expect(it.store.calls).toEqual(["read", "create", "delete"]);
    const seen = await it.browser.visit(it.user, ({ subject, data, id }) => [subject, data, id === adas]);
    expect(seen).toEqual(["grace", { cart: ["tea"] }, false]);
    expect(await subjectOf(ada, it.user)).toBeUndefined();
  });

  test("P16: signing in keeps a guest's data and moves the token: the old one is dead", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ cart: ["tea"] }));
    const guest = it.browser.clone();
    it.store.calls.length = 0;
    await signIn(it);
    expect(it.store.calls).toEqual(["read", "update"]);
    expect(it.browser.jar.get(COOKIE)).not.toBe(guest.jar.get(COOKIE));
    expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ cart: ["tea"] });
    expect(await guest.visit(it.user, ({ isNew }) => isNew)).toBe(true);
  });

  test("P17: a merge that the schema refuses is a ConflictError and is not written", async () => {
    const it = setup();
    const schema = z.object({ a: z.boolean(), b: z.boolean() }).refine(({ a, b }) => !(a && b), "not both");
    const both = defineSession({ name: "both", schema, store: it.store, clock: it.clock });
    const browser = new Browser(both);
    await browser.visit(both, (session) => session.set({ a: false, b: false }));
    const [one, two] = [browser.arrive(), browser.arrive()];
    (await one.from(both)).patch({ a: true });
    (await two.from(both)).patch({ b: true });
    await one.answer();
    await expect(two.answer()).rejects.toMatchObject({ code: "ERR_SESSION_CONFLICT", reason: "merge-invalid" });
    expect(await browser.visit(both, ({ data }) => data)).toEqual({ a: true, b: false });
  });
});

describe("a store that fails", () => {
  test("P18: after a timeout no cookie goes out, and a second try applies nothing twice", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    session.update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
    const hang = gate();
    it.store.after = (verb) => (verb === "update" ? hang.opened : undefined);
    const committing = session.commit();
    committing.catch(() => {});
    await it.clock.advanceAsync(2 * SECOND);
    await expect(committing).rejects.toMatchObject({
      code: "ERR_SESSION_STORE",
      verb: "update",
      timedOut: true,
      status: 503,
    });
    expect(visit.setCookies).toEqual([]);
    it.store.after = () => undefined;
    session.update((data) => ({ visits: (data?.visits ?? 0) + 10 }));
    expect(await session.commit()).toBe("written");
    expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ visits: 12 });
  });

  test("P18: a write that was not done is done by the second try", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    session.update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
    it.store.before = (verb) => {
      if (verb === "update") throw new Error("connection reset");
      return undefined;
    };
    await expect(session.commit()).rejects.toBeInstanceOf(StoreError);
    it.store.before = () => undefined;
    expect(await session.commit()).toBe("written");
    expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ visits: 2 });
  });

  test("P18: a lost answer to the first write of a session, or to a sign-in, is made up by the second try", async () => {
    const it = setup();
    for (const expected of [{ visits: 1 }, { visits: 2 }]) {
      const visit = it.browser.arrive();
      const session = await visit.from(it.user);
      session.update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
      session.authenticate("ada");
      it.store.after = (verb) => {
        if (verb === "create" || verb === "update") throw new Error("connection reset");
        return undefined;
      };
      await expect(session.commit()).rejects.toBeInstanceOf(StoreError);
      it.store.after = () => undefined;
      expect(await session.commit()).toBe("written");
      (await visit.answer()).deliver();
      expect(await it.browser.visit(it.user, ({ data, subject }) => [data, subject])).toEqual([expected, "ada"]);
    }
    expect(await it.user.manager.count()).toBe(1);
  });

  test("P18: the resent write of another process's session carries the same version: a lost answer is recognised at once", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    const visit = it.browser.arrive();
    (await visit.from(it.user)).update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
    let resent = 0;
    const original = it.store.update;
    it.store.update = async (...call) => {
      if (resent++ === 0) await original(...call);
      return await original(...call);
    };
    await visit.answer();
    it.store.update = original;
    expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ visits: 2 });
  });

  test("a store that cannot be read is not 'no session': the request sees a StoreError and the cookie stays", async () => {
    const it = setup();
    await signIn(it);
    it.store.before = () => {
      throw new Error("down");
    };
    const visit = it.browser.arrive();
    await expect(visit.from(it.user)).rejects.toMatchObject({ code: "ERR_SESSION_STORE", verb: "read", status: 503 });
    await visit.answer();
    expect(visit.setCookies).toEqual([]);
    it.store.before = () => undefined;
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
  });

  test("a store that hangs fails within its timeout", async () => {
    const it = setup({ storeTimeout: "3s" });
    await signIn(it);
    it.store.before = () => gate().opened;
    const reading = it.browser.arrive().from(it.user);
    it.clock.advance(3 * SECOND);
    await expect(reading).rejects.toMatchObject({ timedOut: true });
  });

  test('P21: with onStoreError "anonymous" the request may look, but every verb that writes throws', async () => {
    const it = setup({ onStoreError: "anonymous" });
    await signIn(it);
    it.store.before = () => {
      throw new Error("down");
    };
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    expect([session.subject, session.data, session.isNew]).toEqual([undefined, undefined, true]);
    const verbs = [
      () => session.set({}),
      () => session.patch({}),
      () => session.update(() => ({})),
      () => session.authenticate("eve"),
      () => session.regenerate(),
      () => session.flash("a", "b"),
      () => session.destroy(),
    ];
    for (const verb of verbs) expect(verb).toThrow(StoreError);
    expect(session.takeFlash("a")).toBeUndefined();
    await visit.answer();
    expect(visit.setCookies).toEqual([]);
  });

  test("a touch or a renewal that fails does not fail the request that only looked", async () => {
    const it = setup();
    await signIn(it);
    it.clock.advance(16 * MINUTE);
    it.store.before = (verb) => {
      if (verb !== "read") throw new Error("read-only");
      return undefined;
    };
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
    expect(it.events).toContain("store-error");
  });

  test("errors tell what failed and never what was in it", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ name: "s3cret" }));
    it.store.before = () => {
      throw Object.assign(new Error("failed"), { command: { args: ["s3cret"] }, query: "s3cret" });
    };
    const error = await it.browser
      .arrive()
      .from(it.user)
      .catch((thrown: unknown) => thrown);
    const { inspect } = await import("node:util");
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain("s3cret");
    expect(inspect(error)).toContain("failed");
  });
});

describe("what a request hands out and leaves behind", () => {
  test("P19: data is frozen, in all it holds; what the app keeps of what it handed in changes nothing", async () => {
    const it = setup();
    const cart = ["tea"];
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    session.set({ cart });
    cart.push("milk");
    expect(session.data).toEqual({ cart: ["tea"] });
    expect(() => (session.data as { cart: string[] }).cart.push("rum")).toThrow(TypeError);
    (await visit.answer()).deliver();
    const [a, b] = [await it.browser.arrive().from(it.user), await it.browser.arrive().from(it.user)];
    expect(a.data).toEqual(b.data);
    expect(Object.isFrozen(a.data) && Object.isFrozen(a.data?.cart)).toBe(true);
    a.update((data) => ({ ...data, name: "Ada" }));
    expect(b.data).toEqual({ cart: ["tea"] });
  });

  test("P19: a flash message is read once, and two that meet are both read", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.flash("notice", "Saved"));
    expect(await it.browser.visit(it.user, (session) => session.takeFlash("notice"))).toBe("Saved");
    expect(await it.browser.visit(it.user, (session) => session.takeFlash("notice"))).toBeUndefined();
    const [a, b, taker] = [it.browser.arrive(), it.browser.arrive(), it.browser.arrive()];
    await it.browser.visit(it.user, (session) => session.flash("notice", "zero"));
    (await a.from(it.user)).flash("notice", "one");
    const taking = await taker.from(it.user);
    expect(taking.takeFlash("notice")).toBe("zero");
    (await b.from(it.user)).flash("notice", "two");
    for (const visit of [a, taker, b]) await visit.answer();
    expect(
      await it.browser.visit(it.user, (s) => [s.takeFlash("notice"), s.takeFlash("notice"), s.takeFlash("notice")]),
    ).toEqual(["one", "two", undefined]);
  });

  test("flash messages that nobody takes do not pile up: the last 50 are kept", async () => {
    const it = setup();
    for (let n = 0; n < 60; n++) await it.browser.visit(it.user, (session) => session.flash("notice", n));
    expect(await it.browser.visit(it.user, (session) => session.takeFlash("notice"))).toBe(10);
  });

  test("P20: after an error destroy, authenticate and regenerate are kept, changed data is not", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    const guest = it.browser.clone();
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    session.patch({ visits: 2 });
    session.authenticate("ada");
    session.flash("notice", "Hello");
    (await visit.answer({ failed: true })).deliver();
    const seen = await it.browser.visit(it.user, (s) => [s.subject, s.data, s.takeFlash("notice")]);
    expect(seen).toEqual(["ada", { visits: 1 }, undefined]);
    expect(await guest.visit(it.user, ({ isNew }) => isNew)).toBe(true);
    const leaving = it.browser.arrive();
    (await leaving.from(it.user)).destroy();
    (await leaving.answer({ failed: true })).deliver();
    expect(it.browser.jar.size).toBe(0);
    expect(await it.user.manager.count()).toBe(0);
  });

  test("P20: after an error in a request without a session nothing is left behind", async () => {
    const it = setup();
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    session.set({ visits: 1 });
    session.regenerate();
    await visit.answer({ failed: true });
    expect(it.store.calls).toEqual([]);
    expect(visit.setCookies).toEqual([]);
  });

  test("P20: once the headers are out verbs throw, and commit() of what needs no cookie does not", async () => {
    const it = setup();
    await signIn(it);
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    visit.exchange.close();
    for (const verb of [
      () => session.set({}),
      () => session.destroy(),
      () => session.authenticate("eve"),
      () => session.regenerate(),
    ]) {
      expect(verb).toThrow(SessionError);
      expect(verb).toThrow(/headers are out/);
    }
    expect(session.subject).toBe("ada");
    expect(await session.commit()).toBe("unchanged");
  });

  test("P20: a response that can carry no cookie may still change a session that has one, and begin none", async () => {
    const it = setup();
    await signIn(it);
    const socket = it.browser.arrive({ carries: false });
    (await socket.from(it.user)).set({ visits: 1 });
    await socket.answer();
    expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ visits: 1 });
    const anonymous = new Browser(it.user).arrive({ carries: false });
    (await anonymous.from(it.user)).set({ visits: 1 });
    await expect(anonymous.answer()).rejects.toMatchObject({ code: "ERR_SESSION_HEADERS_SENT" });
    expect(await it.user.manager.count()).toBe(1);
  });

  test("P20: from() is memoised, throws a TypeError without the middleware, and names may not clash", async () => {
    const it = setup();
    await signIn(it);
    it.store.calls.length = 0;
    const visit = it.browser.arrive();
    expect(await visit.from(it.user)).toBe(await visit.from(it.user));
    expect(it.store.calls).toEqual(["read"]);
    const cart = defineSession({ name: "cart", store: it.store, clock: it.clock });
    await expect(visit.from(cart)).rejects.toThrow(/"cart" is not installed/);
    expect(() => it.user.from({ headers: {} })).toThrow(TypeError);
    visit.exchange.install([cart.manager]);
    expect((await visit.from(cart)).isNew).toBe(true);
    expect(() => visit.exchange.install([second(it).manager])).toThrow(/another name/);
  });

  test("P22: a request writes nothing and sends no cookie, but for a touch, a renewal, a taken flash, a new key", async () => {
    const it = setup();
    const calls = async (work: () => Promise<unknown>): Promise<string[]> => {
      it.store.calls.length = 0;
      await work();
      return [...it.store.calls];
    };
    const untouched = it.browser.arrive();
    expect(await calls(() => untouched.answer())).toEqual([]);
    expect(untouched.edits).toEqual([]);
    const empty = it.browser.arrive();
    expect(await calls(async () => [await empty.from(it.user), await empty.answer()])).toEqual([]);
    expect(empty.edits).toEqual([{ name: "Vary", value: "Cookie", mode: "merge" }]);
    expect(await calls(() => it.browser.visit(it.user, (session) => session.set({ visits: 1 })))).toEqual(["create"]);
    const read = it.browser.arrive();
    expect(await calls(async () => [(await read.from(it.user)).data, await read.answer()])).toEqual(["read"]);
    expect(read.edits).toEqual([{ name: "Vary", value: "Cookie", mode: "merge" }]);
    const write = it.browser.arrive();
    expect(await calls(async () => [(await write.from(it.user)).patch({ visits: 2 }), await write.answer()])).toEqual([
      "read",
      "update",
    ]);
    expect(write.setCookies).toEqual([]);
    const same = it.browser.arrive();
    expect(await calls(async () => [(await same.from(it.user)).set({ visits: 2 }), await same.answer()])).toEqual([
      "read",
    ]);
    expect(await calls(() => signIn(it))).toEqual(["read", "update"]);
    expect(await calls(() => it.browser.visit(it.user, (session) => session.takeFlash("none")))).toEqual(["read"]);
  });

  test("P23: two tabs that come for the first time make two sessions", async () => {
    const it = setup();
    const tabs = [it.browser.arrive(), it.browser.arrive()];
    for (const tab of tabs) (await tab.from(it.user)).set({ visits: 1 });
    for (const tab of tabs) await tab.answer();
    expect(await it.user.manager.count()).toBe(2);
  });

  test("a response with a session may not be cached: no-store with every cookie, Vary with every look", async () => {
    const it = setup();
    const visit = it.browser.arrive();
    (await visit.from(it.user)).set({ visits: 1 });
    await visit.answer();
    expect(visit.edits.map(({ name, mode }) => [name, mode])).toEqual([
      ["Set-Cookie", "append"],
      ["Cache-Control", "set"],
      ["Vary", "merge"],
    ]);
  });

  test("a destroyed session takes its cookie back with the same attributes", async () => {
    const it = setup();
    await signIn(it);
    const visit = it.browser.arrive();
    (await visit.from(it.user)).destroy();
    await visit.answer();
    expect(visit.setCookies).toHaveLength(1);
    const attributes = new Set(visit.setCookies[0]?.split("; "));
    for (const attribute of [`${COOKIE}=`, "Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=0"]) {
      expect(attributes).toContain(attribute);
    }
  });

  test("events tell every transition, with a reason and without a secret", async () => {
    const it = setup();
    const tokens: string[] = [];
    const seen: string[] = [];
    it.user.manager.on("*", (event) => seen.push(JSON.stringify(event)));
    const note = (): void => void tokens.push(...it.browser.jar.values());
    await it.browser.visit(it.user, (session) => session.set({ name: "s3cret" }));
    note();
    await signIn(it);
    note();
    it.clock.advance(16 * MINUTE);
    await it.browser.visit(it.user, () => {});
    note();
    await it.browser.visit(it.user, () => {});
    await it.browser.visit(it.user, (session) => session.destroy());
    expect(it.events).toEqual(["created", "authenticated", "renewed", "confirmed", "destroyed:destroy"]);
    for (const token of tokens) expect(seen.join()).not.toContain(token.slice(22));
    expect(seen.join()).not.toContain("s3cret");
  });

  test("a listener that throws keeps no session from being ended", async () => {
    const it = setup();
    await signIn(it);
    it.user.manager.on("destroyed", () => {
      throw new Error("boom");
    });
    const { error } = console;
    const said: unknown[] = [];
    console.error = (...words: unknown[]) => void said.push(words);
    try {
      await it.browser.visit(it.user, (session) => session.destroy());
    } finally {
      console.error = error;
    }
    expect(said).toHaveLength(1);
    expect(await it.user.manager.count()).toBe(0);
  });
});

describe("the registry", () => {
  test("list, revoke, revokeAll and count, in the words of the store's key", async () => {
    const it = setup();
    const browsers = await Promise.all(
      [1, 2, 3].map(async () => {
        const browser = new Browser(it.user);
        await browser.visit(it.user, (session) => session.authenticate("ada", { level: "password" }));
        return browser;
      }),
    );
    await new Browser(it.user).visit(it.user, (session) => session.authenticate("grace"));
    const [one, two, three] = browsers as [Browser, Browser, Browser];
    const listed = await it.user.manager.list("ada");
    expect(listed).toHaveLength(3);
    expect(listed[0]).toMatchObject({ subject: "ada", level: "password", authenticatedAt: it.clock.now() });
    for (const browser of browsers)
      for (const token of browser.jar.values()) expect(JSON.stringify(listed)).not.toContain(token);
    const ids = await Promise.all(browsers.map((browser) => browser.visit(it.user, ({ id }) => id)));
    expect(await it.user.manager.revoke(ids[0] as string)).toBe(true);
    expect(await it.user.manager.revoke(ids[0] as string)).toBe(false);
    expect(await subjectOf(one, it.user)).toBeUndefined();
    expect(await it.user.manager.revokeAll("ada", { except: ids[1] as string })).toBe(1);
    expect([await subjectOf(two, it.user), await subjectOf(three, it.user)]).toEqual(["ada", undefined]);
    expect(await it.user.manager.count()).toBe(2);
    expect(it.events.filter((event) => event === "revoked")).toHaveLength(2);
  });

  test("a revoked session is not brought back by the request that was running", async () => {
    const it = setup();
    await signIn(it);
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    await it.user.manager.revokeAll("ada");
    session.set({ visits: 1 });
    expect(await session.commit()).toBe("gone");
    expect(await it.user.manager.count()).toBe(0);
  });

  test("a store that cannot list says so at the call, by name", async () => {
    const it = setup();
    const { create, read, update, touch } = it.store;
    const bare = { name: "bareStore", create, read, update, touch, delete: it.store.delete };
    const user = defineSession({ name: "user", store: bare, clock: it.clock });
    await expect(user.manager.list("ada")).rejects.toThrow(/bareStore/);
    await expect(user.manager.revokeAll("ada")).rejects.toThrow(TypeError);
    await expect(user.manager.count()).rejects.toThrow(TypeError);
  });

  test("definitions that share a store never see each other's sessions", async () => {
    const it = setup();
    const cart = defineSession<{ items: number }>({ name: "cart", store: it.store, clock: it.clock });
    const browser = new Browser(it.user, cart);
    await browser.visit(it.user, (session) => session.authenticate("ada"));
    browser.jar.set("__Host-Http-cart", browser.jar.get(COOKIE) ?? "");
    const events = eventsOf(cart);
    expect(await browser.visit(cart, ({ isNew }) => isNew)).toBe(true);
    expect(events).toEqual(["rejected:unknown"]);
    expect(await cart.manager.count()).toBe(0);
    expect(await cart.manager.list("ada")).toEqual([]);
  });
});

describe("a handler that goes on while a commit is under way", () => {
  const slow = (it: ReturnType<typeof setup>): ReturnType<typeof gate> => {
    const waiting = gate();
    it.store.after = (verb) => (verb === "update" || verb === "create" ? waiting.opened : undefined);
    return waiting;
  };

  test("what it does meanwhile is not lost: it belongs to the next commit", async () => {
    for (const existing of [false, true]) {
      const it = setup();
      if (existing) await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
      const waiting = slow(it);
      const visit = it.browser.arrive();
      const session = await visit.from(it.user);
      session.patch({ name: "Ada" });
      const committing = session.commit();
      await it.clock.advanceAsync(1);
      session.patch({ theme: "dark" });
      waiting.open();
      expect(await committing).toBe("written");
      expect(session.data).toMatchObject({ name: "Ada", theme: "dark" });
      (await visit.answer()).deliver();
      expect(await it.browser.visit(it.user, ({ data }) => data)).toMatchObject({ name: "Ada", theme: "dark" });
    }
  });

  test("P14: a destroy() meanwhile ends what is being written, a new session too", async () => {
    for (const existing of [false, true]) {
      const it = setup();
      if (existing) await signIn(it);
      const waiting = slow(it);
      const visit = it.browser.arrive();
      const session = await visit.from(it.user);
      session.patch({ name: "Ada" });
      const committing = session.commit();
      await it.clock.advanceAsync(1);
      session.destroy();
      waiting.open();
      await committing;
      it.store.after = () => undefined;
      (await visit.answer()).deliver();
      expect(it.browser.jar.size).toBe(0);
      expect(await it.user.manager.count()).toBe(0);
    }
  });
});
