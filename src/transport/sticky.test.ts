import { describe, expect, test } from "vitest";
import {
  Browser,
  COOKIE,
  KEY,
  MINUTE,
  SECOND,
  second,
  setup,
  signIn,
  type Data,
  type Setup,
  type Visit,
} from "../../test/testbed.ts";
import {
  clientCertificate,
  cookie,
  defineSession,
  header,
  sticky,
  url,
  type SessionDefinition,
  type SessionOptions,
  type Sticky,
} from "../index.ts";
import { memoryStore } from "../store/memory.ts";
import { fakeClock } from "../testing/fake-clock.ts";

const ROUTE = `${COOKIE}-route`;

/** Two servers over one store, and a browser that a load balancer may send to either. */
function fleet(options: Partial<SessionOptions> = {}): Setup & { here: Sticky; there: SessionDefinition<Data> } {
  const here = sticky({ route: "a" });
  const it = setup({ ...options, sticky: here });
  return { ...it, here, there: second(it, { ...options, sticky: sticky({ route: "b" }) }) };
}

/** A request that only looks, answered and delivered. */
async function look(
  { browser, user }: Pick<Setup, "browser" | "user">,
  arrival?: Parameters<Browser["arrive"]>[0],
): Promise<Visit> {
  const visit = browser.arrive(arrival, [user]);
  await visit.from(user);
  return (await visit.answer()).deliver();
}

describe("a client", () => {
  test("without a session gets no route", async () => {
    const it = fleet();
    expect((await look(it)).setCookies).toEqual([]);
    expect(it.browser.jar.size).toBe(0);
  });

  test("is bound by the response that gives it a session, and told nothing afterwards", async () => {
    const it = fleet();
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    expect(it.browser.jar.get(ROUTE)).toBe("a");
    const { edits } = await look(it);
    expect(edits).toEqual([{ name: "Vary", value: "Cookie", mode: "merge" }]);
    await it.browser.visit(it.user, (session) => session.patch({ visits: 2 }));
    expect(it.browser.jar.get(ROUTE)).toBe("a");
  });

  test("P22: is bound anew by the first request that another server answers, read-only though it is", async () => {
    const it = fleet();
    await signIn(it);
    it.store.calls.length = 0;
    const visit = await look({ ...it, user: it.there });
    expect(visit.setCookies).toEqual([`${ROUTE}=b; Path=/; HttpOnly; Secure; SameSite=Lax`]);
    expect(visit.edits).toContainEqual({ name: "Cache-Control", value: "no-store", mode: "set" });
    expect(it.store.calls).toEqual(["read"]);
    expect((await look({ ...it, user: it.there })).setCookies).toEqual([]);
  });

  test("that forges its route changes nothing but the route, and that is corrected", async () => {
    const it = fleet();
    await signIn(it);
    for (const forged of ["z", "b", "", "%0d%0aX: 1", "\u00e4", "x".repeat(4000)]) {
      it.browser.jar.set(ROUTE, forged);
      expect(await it.browser.visit(it.user, ({ subject }) => subject)).toBe("ada");
      expect(it.browser.jar.get(ROUTE)).toBe("a");
    }
    const stranger = new Browser(it.user);
    stranger.jar.set(ROUTE, "z");
    expect((await look({ ...it, browser: stranger })).setCookies).toEqual([]);
  });

  test("with two routes, one of them ours, is bound: it could not be told to drop the other", async () => {
    const it = fleet();
    await signIn(it);
    const headers = { cookie: `${ROUTE}=z; ${it.browser.cookieHeader()}` };
    expect((await look(it, { headers })).setCookies).toEqual([]);
  });

  test("keeps its route through a sign-in", async () => {
    const it = fleet();
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    const visit = it.browser.arrive();
    (await visit.from(it.user)).authenticate("ada");
    expect((await visit.answer()).setCookies).toHaveLength(1);
  });

  test("is let go when it signs out, if it was bound", async () => {
    const it = fleet();
    for (const [isBound, told] of [
      [true, 2],
      [false, 1],
    ] as const) {
      await signIn(it);
      if (!isBound) it.browser.jar.delete(ROUTE);
      const visit = it.browser.arrive();
      (await visit.from(it.user)).destroy();
      expect((await visit.answer()).deliver().setCookies).toHaveLength(told);
      expect(it.browser.jar.size).toBe(0);
    }
  });

  test("P8: whose session is gone is let go with its token, on a navigation", async () => {
    const it = fleet();
    await signIn(it);
    await it.user.manager.revokeAll("ada");
    expect((await look(it, { headers: { "sec-fetch-mode": "cors" } })).setCookies).toEqual([]);
    await look(it);
    expect(it.browser.jar.size).toBe(0);
  });

  test("P13: whose request began before a sign-in elsewhere is told nothing", async () => {
    const it = fleet();
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    const late = it.browser.arrive({}, [it.there]);
    (await late.from(it.there)).patch({ visits: 2 });
    await signIn(it);
    expect((await late.answer()).setCookies).toEqual([]);
  });

  test("is not bound by a response that cannot carry a cookie, and the session is served all the same", async () => {
    const it = fleet();
    await signIn(it);
    for (const arrival of [{ secure: false }, { carries: false }, { aborted: () => true }]) {
      expect((await look({ ...it, user: it.there }, arrival)).setCookies).toEqual([]);
    }
  });

  test("that signed in and committed by hand gets its token and its route, each once", async () => {
    const it = fleet();
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    session.authenticate("ada");
    await session.commit();
    await visit.answer();
    expect(visit.setCookies.map((line) => line.split("=", 1)[0])).toEqual([COOKIE, ROUTE]);
  });

  test("that uses the header is told of no cookie", async () => {
    const it = fleet({ transport: [cookie(), header()] });
    const visit = it.browser.arrive({ headers: { "x-session": " " } });
    (await visit.from(it.user)).set({ visits: 1 });
    expect((await visit.answer()).setCookies).toEqual([]);
  });

  test("by value is bound and let go alike", async () => {
    const it = fleet({ store: undefined, keys: KEY, revocation: "none" });
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    expect(it.browser.jar.get(ROUTE)).toBe("a");
    expect((await look(it)).setCookies).toEqual([]);
    expect((await look({ ...it, user: it.there })).setCookies).toHaveLength(1);
    await it.browser.visit(it.user, (session) => session.destroy());
    expect(it.browser.jar.size).toBe(0);
  });

  test("keeps its route as long as its session where cookies outlive the browser", async () => {
    const it = fleet({ transport: cookie({ persistent: true }) });
    const visit = it.browser.arrive();
    (await visit.from(it.user)).set({ visits: 1 });
    expect((await visit.answer()).setCookies).toEqual([
      expect.stringMatching(/; Max-Age=43200$/),
      expect.stringMatching(/-route=a; .*; Max-Age=43200$/),
    ]);
  });
});

describe("drain()", () => {
  /** A fleet whose first server goes by the clock of the test, with clients that are bound to it. */
  async function drained(clients: number): Promise<Setup & { here: Sticky; browsers: readonly Browser[] }> {
    const clock = fakeClock();
    const here = sticky({ route: "a", clock });
    const it = { ...setup({ sticky: here }), clock, here };
    const browsers = Array.from({ length: clients }, () => new Browser(it.user));
    for (const browser of browsers) await signIn({ ...it, browser });
    return { ...it, browsers };
  }

  test("lets each bound client go by its next response, signs nobody out, and tells how many", async () => {
    const it = await drained(3);
    expect(it.here.state).toBe("serving");
    const draining = it.here.drain();
    expect(it.here.state).toBe("draining");
    for (const browser of it.browsers) {
      await it.clock.advanceAsync(3 * SECOND);
      expect(await browser.visit(it.user, ({ subject }) => subject)).toBe("ada");
      expect([...browser.jar.keys()]).toEqual([COOKIE]);
    }
    await it.clock.advanceAsync(5 * SECOND);
    expect(await draining).toEqual({ handedOver: 3, quiet: true });
    expect([it.here.state, it.clock.waiting]).toEqual(["draining", 0]);
  });

  test("binds nobody: a new session gets no route, nor one that comes without", async () => {
    const it = await drained(0);
    void it.here.drain();
    await signIn(it);
    await look(it);
    expect([...it.browser.jar.keys()]).toEqual([COOKIE]);
    it.browser.jar.set(ROUTE, "b");
    expect((await look(it)).setCookies).toEqual([]);
  });

  test("counts a session once, however many of its requests were under way", async () => {
    const it = await drained(1);
    const [browser = it.browser] = it.browsers;
    const draining = it.here.drain();
    const visits = [browser.arrive(), browser.arrive()];
    for (const visit of visits) await visit.from(it.user);
    for (const visit of visits) expect((await visit.answer()).setCookies).toHaveLength(1);
    it.clock.advance(5 * SECOND);
    expect(await draining).toEqual({ handedOver: 1, quiet: true });
  });

  test("ends after `atMost`, with clients that will not go", async () => {
    const it = await drained(1);
    const [browser = it.browser] = it.browsers;
    const draining = it.here.drain({ quietFor: "10s", atMost: "30s" });
    for (let at = 0; at < 6; at++) {
      await look({ ...it, browser: browser.clone() });
      await it.clock.advanceAsync(5 * SECOND);
    }
    expect(await draining).toEqual({ handedOver: 1, quiet: false });
    expect((await look({ ...it, browser })).setCookies).toHaveLength(1);
  });

  test("is one for all who ask while it lasts, and another afterwards", async () => {
    const it = await drained(0);
    const both = Promise.all([it.here.drain(), it.here.drain({ quietFor: "60s" })]);
    await it.clock.advanceAsync(5 * SECOND);
    expect(await both).toEqual([
      { handedOver: 0, quiet: true },
      { handedOver: 0, quiet: true },
    ]);
    const again = it.here.drain({ quietFor: "1s" });
    await it.clock.advanceAsync(SECOND);
    expect(await again).toEqual({ handedOver: 0, quiet: true });
  });

  test("is undone by resume()", async () => {
    const it = await drained(1);
    const [browser = it.browser] = it.browsers;
    const draining = it.here.drain();
    await look({ ...it, browser });
    it.here.resume();
    expect(await draining).toEqual({ handedOver: 1, quiet: false });
    expect([it.here.state, it.clock.waiting]).toEqual(["serving", 0]);
    await look({ ...it, browser });
    expect(browser.jar.get(ROUTE)).toBe("a");
    it.here.resume();
    expect(it.here.state).toBe("serving");
  });

  test("refuses by name what cannot be", async () => {
    const { drain, state } = sticky({ route: "a" });
    await expect(drain({ quietFor: 0 })).rejects.toThrow(/^quietFor must be/);
    await expect(drain({ atMost: "1x" as never })).rejects.toThrow(/^atMost must be/);
    await expect(drain({ quietFor: "2m" })).rejects.toThrow("atMost must not be less than quietFor");
    await expect(drain({ patience: 1 } as never)).rejects.toThrow("patience is not an option of drain");
    expect(state).toBe("serving");
  });
});

describe("one server's place", () => {
  test("serves several definitions, whose sessions are counted together", async () => {
    const clock = fakeClock();
    const here = sticky({ route: "a", clock });
    const store = memoryStore({ clock });
    const [user, cart] = ["user", "cart"].map((name) => defineSession<Data>({ name, store, clock, sticky: here }));
    const browser = new Browser();
    for (const definition of [user, cart]) {
      await browser.visit(definition as SessionDefinition<Data>, (session) => session.set({ visits: 1 }));
    }
    expect(browser.jar.get("__Host-Http-cart-route")).toBe("a");
    const draining = here.drain();
    for (const definition of [user, cart]) await browser.visit(definition as SessionDefinition<Data>, () => {});
    clock.advance(5 * SECOND);
    expect(await draining).toEqual({ handedOver: 2, quiet: true });
  });

  test("shows in describe()", () => {
    expect(fleet().user.manager.describe()["sticky"]).toMatchObject({ route: "a", place: { name: ROUTE } });
    expect(setup().user.manager.describe()["sticky"]).toBe(false);
  });

  test("has a name of its own on the wire", () => {
    const store = memoryStore();
    const taken = defineSession({ name: "user-route", store });
    expect(() => new Browser().arrive({}, [fleet().user, taken]).exchange.install([taken.manager])).not.toThrow();
    const { exchange } = new Browser().arrive({}, []);
    expect(() => exchange.install([fleet().user.manager, taken.manager])).toThrow(`both use cookie:${ROUTE}`);
  });

  test("refuses by name what cannot be", () => {
    for (const route of ["", "a b", "a;", "x".repeat(65), 7, undefined]) {
      expect(() => sticky({ route: route as never })).toThrow("route must be 1 to 64 letters, digits, ., _ and -");
    }
    expect(() => sticky({ route: "a", drain: 1 } as never)).toThrow("drain is not an option of sticky");
    expect(() => sticky({ route: "a", clock: {} as never })).toThrow("clock must be an object");
    expect(() => setup({ sticky: "a" as never })).toThrow("sticky must be an object with a method bind");
    for (const transport of [header(), url(), clientCertificate()]) {
      expect(() => setup({ transport, sticky: sticky({ route: "a" }) })).toThrow(
        "sticky needs a transport with a place beside its token, such as cookie()",
      );
    }
  });

  test("costs an untouched request nothing", async () => {
    const visit = fleet().browser.arrive({ headers: { cookie: `${ROUTE}=b` } });
    expect((await visit.answer()).edits).toEqual([]);
  });
});

// What a load balancer may hash (examples/fleet): 16 bytes of id are 21 characters and a third of one.
test.each([undefined, KEY])(
  "the first 21 characters of a token outlast sign-in and renewal (keys: %s)",
  async (keys) => {
    const it = setup({ keys });
    const seen: string[] = [];
    const note = (): unknown => seen.push(it.browser.jar.get(COOKIE) ?? "");
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    note();
    await signIn(it);
    note();
    it.clock.advance(16 * MINUTE);
    await look(it);
    note();
    await it.browser.visit(it.user, (session) => session.regenerate());
    note();
    expect(new Set(seen).size).toBe(4);
    expect(new Set(seen.map((token) => token.slice(0, 21))).size).toBe(1);
  },
);

test("an idle route is nothing: a client that comes back after its session has ended is bound with its next one", async () => {
  const it = fleet();
  await signIn(it);
  it.clock.advance(31 * MINUTE);
  await look(it, { headers: { "sec-fetch-mode": "cors" } });
  expect(it.browser.jar.get(ROUTE)).toBe("a");
  await it.browser.visit(it.there, (session) => session.set({ visits: 1 }));
  expect(it.browser.jar.get(ROUTE)).toBe("b");
});
