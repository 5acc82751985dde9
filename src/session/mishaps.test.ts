/**
 * What may go wrong around a commit: answers that are lost, come late or twice, handlers that do not wait, servers of
 * different ages.
 */
import { describe, expect, test } from "vitest";
import { z } from "zod";
import {
  Browser,
  gate,
  instrumented,
  KEY,
  MINUTE,
  renewed,
  second,
  setup,
  signIn,
  subjectOf,
  type Data,
  type Setup,
} from "../../test/testbed.ts";
import { defineSession, SessionError, type Session, type SessionDefinition } from "../index.ts";
import { memoryStore } from "../store/memory.ts";
import { fakeClock } from "../testing/fake-clock.ts";

const add = (session: Session<Data>): void => session.update((data) => ({ ...data, visits: (data?.visits ?? 0) + 1 }));
const visitsOf = (it: Setup): Promise<number | undefined> => it.browser.visit(it.user, ({ data }) => data?.visits);

/** Lets the first call of a verb fail, before or after it was done. */
function failOnce(it: Setup, when: "before" | "after", verb: string): void {
  it.store[when] = (called) => {
    if (called !== verb) return undefined;
    it.store[when] = () => undefined;
    throw new Error("connection lost");
  };
}

describe("an answer of the store that is lost", () => {
  test("P16 P18: the second try of a sign-in as somebody else tells the client, and ends the session before", async () => {
    for (const [when, verb] of [
      ["before", "delete"],
      ["after", "delete"],
      ["after", "create"],
    ] as const) {
      const it = setup();
      await signIn(it, "ada");
      const kept = it.browser.clone();
      const visit = it.browser.arrive();
      const session = await visit.from(it.user);
      session.authenticate("bob");
      failOnce(it, when, verb);
      await expect(session.commit()).rejects.toMatchObject({ verb });
      expect(await session.commit()).toBe("written");
      (await visit.answer()).deliver();
      expect([await subjectOf(it.browser, it.user), await subjectOf(kept, it.user)]).toEqual(["bob", undefined]);
      expect(await it.user.manager.list("ada")).toEqual([]);
    }
  });

  test("P18: the secret of a sign-in stays owed to the client, however many commits fail after it", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    session.authenticate("ada");
    failOnce(it, "after", "update");
    await expect(session.commit()).rejects.toThrow(SessionError);
    session.patch({ theme: "dark" });
    let updates = 0;
    it.store.before = (verb) => {
      if (verb === "update" && ++updates === 2) throw new Error("down");
      return undefined;
    };
    await expect(session.commit()).rejects.toThrow(SessionError);
    expect(await session.commit()).toBe("written");
    (await visit.answer()).deliver();
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
  });

  test("P18: a write that timed out and lands just before its second try is done once", async () => {
    for (const verb of ["update", "create"] as const) {
      const it = setup();
      if (verb === "update") await it.browser.visit(it.user, (session) => session.set({ visits: 0 }));
      const late = gate();
      const landed = gate();
      let calls = 0;
      it.store.before = (called) => {
        if (called !== verb) return undefined;
        calls++;
        if (calls === 1) return late.opened.then(() => landed.open());
        late.open();
        return landed.opened;
      };
      const visit = it.browser.arrive();
      const session = await visit.from(it.user);
      add(session);
      session.authenticate("ada");
      const first = session.commit();
      first.catch(() => {});
      await it.clock.advanceAsync(2500);
      await expect(first).rejects.toMatchObject({ timedOut: true });
      await session.commit();
      (await visit.answer()).deliver();
      it.store.before = () => undefined;
      expect([
        await visitsOf(it),
        await subjectOf(it.browser, it.user),
        (await it.user.manager.list("ada")).length,
      ]).toEqual([1, "ada", 1]);
    }
  });

  test("P18: when another wrote on top of it nobody can tell, so it is an error and is not done again", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ visits: 0 }));
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    add(session);
    failOnce(it, "after", "update");
    await expect(session.commit()).rejects.toThrow(SessionError);
    await it.browser.visit(second(it), (other) => other.patch({ name: "x" }));
    await expect(session.commit()).rejects.toMatchObject({ code: "ERR_SESSION_CONFLICT", reason: "retries" });
    await visit.answer();
    expect(await visitsOf(it)).toBe(1);
  });

  test("P18: a create that the driver sends twice makes one session", async () => {
    const it = setup();
    const { create } = it.store;
    it.store.create = (...call) => {
      void create(...call);
      return create(...call);
    };
    await signIn(it);
    expect(await it.user.manager.list("ada")).toHaveLength(1);
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
  });

  test("P18: whatever fails, what was acknowledged holds: 2000 random requests with commits by hand", async () => {
    for (let seed = 1; seed <= 400; seed++) await acknowledged(seed);
  });
});

/** Five requests in a row, whose writes fail now and then; after each that was answered the server says what was acknowledged. */
async function acknowledged(seed: number): Promise<void> {
  const it = setup();
  let state = seed;
  const chance = (below: number): number => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  let failing = false;
  const fail = (verb: string): undefined => {
    if (failing && verb !== "read" && chance(4) === 0) throw new Error("connection lost");
    return undefined;
  };
  it.store.before = fail;
  it.store.after = fail;
  let expected: { subject: string | undefined; visits: number } = { subject: undefined, visits: 0 };
  for (let request = 0; request < 5; request++) {
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    expect({ subject: session.subject, visits: session.data?.visits ?? 0 }, `seed ${seed}`).toEqual(expected);
    failing = true;
    for (let verbs = 1 + chance(2); verbs > 0; verbs--) {
      expected = act(session, chance(6), expected);
      for (let commits = chance(3); commits > 0; commits--) await session.commit().catch(() => {});
    }
    const answered = await visit.answer().then(
      () => true,
      () => false,
    );
    failing = false;
    if (!answered) return;
    visit.deliver();
    const live = [...(await it.user.manager.list("ada")), ...(await it.user.manager.list("bob"))];
    expect(live.length, `seed ${seed}`).toBe(expected.subject === undefined ? 0 : 1);
  }
}

function act(
  session: Session<Data>,
  choice: number,
  { subject, visits }: { subject: string | undefined; visits: number },
): { subject: string | undefined; visits: number } {
  if (choice < 2) {
    add(session);
    return { subject, visits: visits + 1 };
  }
  if (choice < 4) {
    const next = choice === 2 ? "ada" : "bob";
    session.authenticate(next);
    return { subject: next, visits: subject === undefined || subject === next ? visits : 0 };
  }
  if (choice === 4) session.destroy();
  else session.regenerate();
  return choice === 4 ? { subject: undefined, visits: 0 } : { subject, visits };
}

describe("a handler that does not wait for its commit", () => {
  /** A commit by hand that the store holds up while another process writes. */
  async function heldUp(
    it: Setup,
    first: (session: Session<Data>) => void,
    meanwhile: (session: Session<Data>) => void,
  ) {
    const waiting = gate();
    let updates = 0;
    it.store.before = (verb) => (verb === "update" && updates++ === 0 ? waiting.opened : undefined);
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    first(session);
    const committing = session.commit();
    await it.clock.advanceAsync(1);
    meanwhile(session);
    await it.browser.clone().visit(second(it), (other) => other.patch({ name: "bob" }));
    waiting.open();
    await committing.catch(() => {});
    return { visit, session };
  }

  test("P12 P17: what it does meanwhile is checked on what the other wrote, and never overwrites it", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ visits: 0 }));
    const picky = (session: Session<Data>): void =>
      session.update((data) => {
        if (data?.name !== undefined) throw new Error("not for bob");
        return { ...data, visits: 5 };
      });
    const { visit } = await heldUp(it, (session) => session.patch({ theme: "dark" }), picky);
    await expect(visit.answer()).rejects.toMatchObject({ code: "ERR_SESSION_CONFLICT", reason: "merge-invalid" });
    expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ visits: 0, theme: "dark", name: "bob" });
  });

  test("a commit by hand that comes when the response has begun waits for the response's own", async () => {
    const it = setup();
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    session.authenticate("ada");
    it.store.before = (verb) => (verb === "create" ? Promise.resolve() : undefined);
    const answering = visit.answer();
    await session.commit();
    (await answering).deliver();
    expect(await it.user.manager.list("ada")).toHaveLength(1);
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
  });
});

describe("servers of different ages over one store", () => {
  const shape = { old: z.object({ a: z.number() }), today: z.object({ a: z.number(), b: z.number().optional() }) };

  test("P22: an older one neither removes by looking nor by writing what only a newer one knows", async () => {
    const clock = fakeClock();
    const store = memoryStore({ clock });
    const older = defineSession({ name: "user", store, clock, schema: shape.old });
    const newer = defineSession({ name: "user", store, clock, schema: shape.today });
    const browser = new Browser(newer);
    await browser.visit(newer, (session) => {
      session.set({ a: 1, b: 2 });
      session.authenticate("ada");
    });
    clock.advance(16 * MINUTE);
    await browser.visit(older, () => {});
    expect(await browser.visit(newer, ({ data }) => data)).toEqual({ a: 1, b: 2 });
    await browser.visit(older, (session) => session.patch({ a: 3 }));
    expect(await browser.visit(newer, ({ data }) => data)).toEqual({ a: 3, b: 2 });
    await browser.visit(newer, (session) => session.patch({ b: undefined }));
    expect(await browser.visit(newer, ({ data }) => data)).toEqual({ a: 3 });
  });

  test("P2: a session that was written under a longer idle timeout ends by today's", async () => {
    const it = setup({ idleTimeout: "10h" });
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    const stricter = second(it, { idleTimeout: "30m" });
    expect(await it.browser.visit(stricter, ({ data }) => data?.visits)).toBe(1);
    it.clock.advance(34 * MINUTE);
    expect(await it.browser.visit(stricter, ({ isNew }) => isNew)).toBe(true);
  });

  test("definitions that differ in their audience alone share nothing", async () => {
    const clock = fakeClock();
    const store = memoryStore({ clock });
    for (const kind of [{ store }, { keys: KEY, revocation: store }]) {
      const [a, b] = ["tenant-a", "tenant-b"].map((audience) =>
        defineSession<Data>({ name: "user", clock, audience, ...kind }),
      ) as [SessionDefinition<Data>, SessionDefinition<Data>];
      const browser = new Browser(a);
      await browser.visit(a, (session) => session.authenticate("ada"));
      if ("store" in kind) expect([await b.manager.list("ada"), await b.manager.count()]).toEqual([[], 0]);
      expect(await b.manager.revokeAll("ada")).toBe(0);
      expect(await subjectOf(browser, a)).toBe("ada");
    }
  });
});

describe("harmless neighbours", () => {
  test('P13: with concurrency "reject" a renewal, a confirmation or a touch by another request is no conflict', async () => {
    for (const prepare of [signIn, renewed]) {
      const it = setup({ concurrency: "reject" });
      await prepare(it);
      if (prepare === signIn) it.clock.advance(16 * MINUTE);
      const visit = it.browser.arrive();
      const session = await visit.from(it.user);
      await it.browser.visit(it.user, () => {});
      session.patch({ theme: "dark" });
      await visit.answer();
      expect(await it.browser.visit(it.user, ({ data }) => data)).toEqual({ theme: "dark" });
    }
  });

  test("P16: keys that another subject is given have to be a whole for the schema, or the sign-in says so", async () => {
    const clock = fakeClock();
    const schema = z.object({ cart: z.array(z.string()), locale: z.string() });
    const user = defineSession({ name: "user", store: memoryStore({ clock }), clock, schema });
    const browser = new Browser(user);
    await browser.visit(user, (session) => {
      session.set({ cart: ["tea"], locale: "en" });
      session.authenticate("ada");
    });
    await browser.visit(user, (session) => {
      expect(() => session.authenticate("bob", { keep: ["cart"] })).toThrow(/locale/);
      session.authenticate("bob", { keep: ["cart", "locale"] });
    });
    expect(await browser.visit(user, ({ subject, data }) => [subject, data])).toEqual([
      "bob",
      { cart: ["tea"], locale: "en" },
    ]);
  });

  test("values of the wrong type are refused at the call, before they make a record that cannot be read", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => {
      expect(() => session.authenticate("ada", { level: 2 as never })).toThrow(TypeError);
      expect(() => session.flash(undefined as never, "x")).toThrow(TypeError);
      expect(() => session.authenticate("")).toThrow(TypeError);
      session.authenticate("ada");
    });
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
  });

  test("data that a client nested too deep is its fault, not a 500", async () => {
    const it = setup();
    const deep = JSON.parse(`${"[".repeat(200)}${"]".repeat(200)}`) as never;
    await it.browser.visit(it.user, (session) => {
      let error: unknown;
      try {
        session.patch({ cart: deep });
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toMatchObject({ code: "ERR_SESSION_INVALID_DATA", status: 422 });
    });
  });

  test("a listener that rejects is reported, and ends nothing", async () => {
    const it = setup();
    const said: unknown[] = [];
    const { error } = console;
    console.error = (...words: unknown[]) => void said.push(words);
    try {
      it.user.manager.on("created", async () => {
        throw new Error("alarm down");
      });
      await signIn(it);
      await it.clock.advanceAsync(1);
    } finally {
      console.error = error;
    }
    expect(said).toHaveLength(1);
  });

  test("a store timeout of a month waits, and does not fail at once", async () => {
    const store = instrumented(memoryStore());
    store.before = () => new Promise((resolve) => setImmediate(resolve));
    const user = defineSession<Data>({ name: "user", store, storeTimeout: "30d" });
    const browser = new Browser(user);
    await browser.visit(user, (session) => session.set({ visits: 1 }));
    expect(await browser.visit(user, ({ data }) => data?.visits)).toBe(1);
  });
});
