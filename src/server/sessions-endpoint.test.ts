import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { Browser, COOKIE, gate, instrumented, KEY, MINUTE, type Data, type Instrumented } from "../../test/testbed.ts";
import { sessionApi, type Reply, type SessionApi } from "../../test/servers/session-api.ts";
import { defineSession } from "../index.ts";
import { memoryStore } from "../store/memory.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { namespacedStore } from "./namespaced-store.ts";
import { sessionsEndpoint, type SessionsOptions } from "./sessions-endpoint.ts";

const running: SessionApi[] = [];
afterEach(async () => {
  for (const api of running.splice(0)) await api.close();
});

interface World extends SessionApi {
  readonly clock: ReturnType<typeof fakeClock>;
  readonly store: Instrumented;
}

async function world(options: SessionsOptions = {}): Promise<World> {
  const clock = fakeClock();
  const store = instrumented(memoryStore({ clock }));
  const api = await sessionApi(store, { clock, ...options });
  running.push(api);
  return { ...api, clock, store };
}

const ALL = "/v1/sessions/user";
const CURRENT = `${ALL}/current`;
const NO_SESSION = { status: 404, body: { error: "no-session", message: expect.any(String) } };

interface Known {
  readonly token: string;
  readonly etag: string;
  readonly id: string;
}

function known({ headers, body }: Reply): Known {
  return { token: String(headers["session-token"]), etag: String(headers.etag), id: (body as { id: string }).id };
}

async function begun({ ask }: World, body: unknown = {}, path = ALL): Promise<Known> {
  const reply = await ask("POST", path, { body });
  expect(reply.status).toBe(201);
  return known(reply);
}

async function dataOf({ ask }: World, token: string): Promise<unknown> {
  const { body } = await ask("GET", CURRENT, { token });
  return (body as { data: unknown }).data;
}

describe("a session", () => {
  test("is begun, read, changed and ended", async () => {
    const { ask, clock } = await world();
    const now = clock.now();
    const made = await ask("POST", ALL, { body: { data: { cart: ["tea"] }, subject: "ada", level: "mfa" } });
    const session = {
      id: expect.stringMatching(/^[\w-]{22}$/),
      data: { cart: ["tea"] },
      subject: "ada",
      level: "mfa",
      createdAt: now,
      authenticatedAt: now,
      lastSeenAt: now,
      expiresAt: now + 33 * MINUTE,
    };
    expect(made).toMatchObject({ status: 201, body: session });
    expect(made.headers).toMatchObject({ "cache-control": "no-store", vary: "Session-Token" });
    const { token, etag } = known(made);
    expect(token).toMatch(/^[\w-]{43}$/);
    expect(etag).toMatch(/^"[\w-]{43}"$/);

    const read = await ask("GET", CURRENT, { token });
    expect(read).toMatchObject({ status: 200, body: session, headers: { etag } });
    expect(read.headers).not.toHaveProperty("session-token");

    const put = await ask("PUT", CURRENT, { token, body: { data: { cart: [] } } });
    expect(put).toMatchObject({ status: 200, body: { data: { cart: [] } } });
    expect(put.headers["etag"]).not.toBe(etag);

    const patch = await ask("PATCH", CURRENT, { token, body: { data: { note: null }, remove: ["cart"] } });
    expect(patch).toMatchObject({ status: 200, body: { data: { note: null } } });
    expect(patch.body).not.toHaveProperty("data.cart");

    expect(await ask("DELETE", CURRENT, { token })).toMatchObject({ status: 204, body: undefined });
    expect(await ask("GET", CURRENT, { token })).toMatchObject(NO_SESSION);
    expect(await ask("DELETE", CURRENT, { token })).toMatchObject({ status: 204 });
  });

  test("of a guest without data is there all the same, and says what it has not by null", async () => {
    const it = await world({ idleTimeout: false, absoluteTimeout: false });
    const made = await it.ask("POST", ALL);
    expect(made).toMatchObject({
      status: 201,
      body: { data: {}, subject: null, level: null, authenticatedAt: null, expiresAt: null },
    });
    expect(await it.ask("GET", CURRENT, { token: known(made).token })).toMatchObject({
      status: 200,
      body: { data: {} },
    });
  });

  test("is begun whatever token comes along, which stays what it was", async () => {
    const it = await world();
    const first = await begun(it, { data: { a: 1 } });
    const second = known(await it.ask("POST", ALL, { token: first.token, body: {} }));
    expect(second.id).not.toBe(first.id);
    expect(await dataOf(it, first.token)).toEqual({ a: 1 });
  });

  test("signs in under a new token, the old one dead at once", async () => {
    const it = await world();
    const guest = await begun(it, { data: { cart: ["tea"] } });
    const reply = await it.ask("POST", `${CURRENT}/authenticate`, { token: guest.token, body: { subject: "ada" } });
    expect(reply).toMatchObject({ status: 200, body: { id: guest.id, subject: "ada", data: { cart: ["tea"] } } });
    expect(known(reply).token).not.toBe(guest.token);
    expect(await it.ask("GET", CURRENT, { token: guest.token })).toMatchObject(NO_SESSION);
    const body = { subject: "bob", level: "mfa", keep: ["cart"] };
    const other = await it.ask("POST", `${CURRENT}/authenticate`, { token: known(reply).token, body });
    expect(other).toMatchObject({ status: 200, body: { subject: "bob", level: "mfa", data: { cart: ["tea"] } } });
    expect(known(other).id).not.toBe(guest.id);
  });

  test("is given a new token on request", async () => {
    const it = await world();
    const before = await begun(it, { data: { a: 1 } });
    const reply = await it.ask("POST", `${CURRENT}/regenerate`, { token: before.token });
    expect(reply).toMatchObject({
      status: 200,
      body: { id: before.id, data: { a: 1 } },
      headers: { etag: before.etag },
    });
    expect(await it.ask("GET", CURRENT, { token: before.token })).toMatchObject(NO_SESSION);
    expect(await dataOf(it, known(reply).token)).toEqual({ a: 1 });
  });

  test("lives as long as it is touched, and no longer than the absolute clock lets it", async () => {
    const it = await world({ idleTimeout: "10m", absoluteTimeout: "35m" });
    const { token } = await begun(it, {});
    for (let times = 0; times < 3; times++) {
      it.clock.advance(10 * MINUTE);
      expect(await it.ask("POST", `${CURRENT}/touch`, { token })).toMatchObject({ status: 204, body: undefined });
    }
    it.clock.advance(5 * MINUTE);
    expect(await it.ask("POST", `${CURRENT}/touch`, { token })).toMatchObject(NO_SESSION);
  });

  test("P9: the token is renewed in any answer, and the old one is good for a while", async () => {
    const it = await world();
    const { token } = await begun(it, { subject: "ada" });
    it.clock.advance(16 * MINUTE);
    const renewed = known(await it.ask("GET", CURRENT, { token })).token;
    expect(renewed).toMatch(/^[\w-]{43}$/);
    expect(renewed).not.toBe(token);
    expect(await it.ask("GET", CURRENT, { token: renewed })).toMatchObject({ status: 200 });
    expect(await it.ask("GET", CURRENT, { token })).toMatchObject({ status: 200 });
    it.clock.advance(MINUTE);
    expect(await it.ask("GET", CURRENT, { token })).toMatchObject(NO_SESSION);
  });
});

describe("a store that answers later", () => {
  test("is waited for, also by what an answer has to write: a touch, a renewal", async () => {
    const it = await world();
    it.store.before = async () => {};
    const { token } = await begun(it, { data: { a: 1 }, subject: "ada" });
    it.clock.advance(10 * MINUTE);
    expect(await it.ask("GET", CURRENT, { token })).toMatchObject({ status: 200, body: { data: { a: 1 } } });
    expect(it.store.calls).toContain("touch");
    it.clock.advance(6 * MINUTE);
    const reply = await it.ask("GET", CURRENT, { token });
    expect(known(reply).token).toMatch(/^[\w-]{43}$/);
    const patched = await it.ask("PATCH", CURRENT, { token: known(reply).token, body: { data: { b: 2 } } });
    expect(patched).toMatchObject({ status: 200, body: { data: { a: 1, b: 2 } } });
    expect(await it.ask("DELETE", CURRENT, { token: known(reply).token })).toMatchObject({ status: 204 });
    expect(await it.ask("GET", CURRENT, { token })).toMatchObject(NO_SESSION);
  });
});

test("an application of TypeScript with the same keys and audience has the same sessions", async () => {
  const policy = { keys: KEY, audience: "staging" };
  const it = await world(policy);
  const { clock } = it;
  const user = defineSession<Data>({ ...policy, name: "user", store: namespacedStore(it.store, "shop"), clock });
  const browser = new Browser(user);
  await browser.visit(user, (session) => {
    session.set({ name: "Ada" });
    session.authenticate("ada");
  });
  const token = browser.jar.get(COOKIE) ?? "";
  expect(await it.ask("GET", CURRENT, { token })).toMatchObject({ body: { subject: "ada", data: { name: "Ada" } } });
  expect(await it.other("GET", CURRENT, { token })).toMatchObject(NO_SESSION);
  await it.ask("PATCH", CURRENT, { token, body: { data: { visits: 1 } } });
  expect(await browser.visit(user, ({ data }) => data)).toEqual({ name: "Ada", visits: 1 });

  const begins = await begun(it, { data: { theme: "dark" }, subject: "bob" });
  browser.jar.set(COOKIE, begins.token);
  expect(await browser.visit(user, ({ subject, data }) => ({ subject, data }))).toEqual({
    subject: "bob",
    data: { theme: "dark" },
  });
  await browser.visit(user, (session) => session.destroy());
  expect(await it.ask("GET", CURRENT, { token: begins.token })).toMatchObject(NO_SESSION);
});

test("data that an application of TypeScript has made a list is shown, replaced, and not changed by key", async () => {
  const it = await world();
  const { token } = await begun(it);
  const user = defineSession<string[]>({ name: "user", store: namespacedStore(it.store, "shop"), clock: it.clock });
  const browser = new Browser(user);
  browser.jar.set(COOKIE, token);
  await browser.visit(user, (session) => session.set(["tea"]));
  const refused = await it.ask("PATCH", CURRENT, { token, body: { data: { a: 1 } } });
  expect(refused).toMatchObject({ status: 409, body: { error: "data-is-a-list" } });
  expect(await dataOf(it, token)).toEqual(["tea"]);
  expect(await it.ask("PUT", CURRENT, { token, body: { data: { a: 1 } } })).toMatchObject({ body: { data: { a: 1 } } });
});

describe("no such session", () => {
  test("is one and the same answer, whatever the reason", async () => {
    const it = await world({ keys: KEY });
    const live = await begun(it, { subject: "ada" });
    const ended = await begun(it);
    await it.ask("DELETE", CURRENT, { token: ended.token });
    const elsewhere = known(await it.other("POST", ALL, { body: {} }));
    const others = await begun(it, {}, "/v1/sessions/prefs");
    const expired = await begun(it);
    const superseded = (await begun(it, { subject: "bob" })).token;
    it.clock.advance(20 * MINUTE);
    await it.ask("POST", `${CURRENT}/regenerate`, { token: superseded });
    const renewed = known(await it.ask("GET", CURRENT, { token: live.token })).token;
    await it.ask("GET", CURRENT, { token: renewed });
    it.clock.advance(20 * MINUTE);
    const tokens = {
      none: undefined,
      empty: "",
      malformed: "x".repeat(43),
      long: "A".repeat(5000),
      forged: live.token.slice(0, 42) + (live.token.endsWith("A") ? "B" : "A"),
      ended: ended.token,
      expired: expired.token,
      superseded,
      replayed: live.token,
      ambiguous: `${live.token}, ${elsewhere.token}, a, b, c`,
      "of another namespace": elsewhere.token,
      "of another name": others.token,
    };
    for (const [why, token] of Object.entries(tokens)) {
      const { status, body, headers } = await it.ask("GET", CURRENT, { token });
      const { date: _date, ...rest } = headers;
      expect.soft({ status, body, rest }, why).toEqual({
        status: 404,
        body: {
          error: "no-session",
          message: "There is no such session, or not any more. POST /v1/sessions/{name} begins one.",
        },
        rest: {
          "cache-control": "no-store",
          "content-type": "application/json",
          "content-length": expect.any(String),
          connection: "close",
        },
      });
    }
  });

  test("nothing is done without one, but that signing out has nothing to do", async () => {
    const { ask, store } = await world();
    expect(await ask("PUT", CURRENT, { body: { data: {} } })).toMatchObject(NO_SESSION);
    expect(await ask("PATCH", CURRENT, { body: { data: {} } })).toMatchObject(NO_SESSION);
    expect(await ask("POST", `${CURRENT}/authenticate`, { body: { subject: "ada" } })).toMatchObject(NO_SESSION);
    expect(await ask("POST", `${CURRENT}/regenerate`)).toMatchObject(NO_SESSION);
    expect(await ask("POST", `${CURRENT}/touch`)).toMatchObject(NO_SESSION);
    expect(await ask("DELETE", CURRENT)).toMatchObject({ status: 204 });
    expect(store.calls).toEqual([]);
  });
});

describe("If-Match", () => {
  test("lets a change through while the session is what it names, and no longer", async () => {
    const it = await world();
    const { token, etag } = await begun(it, { data: { a: 1 } });
    for (const method of ["PUT", "PATCH"]) {
      const body = { data: { [method]: 1 } };
      const { etag: now } = known(await it.ask("GET", CURRENT, { token }));
      expect(await it.ask(method, CURRENT, { token, body, ifMatch: `"other", ${now}` })).toMatchObject({ status: 200 });
      for (const ifMatch of [etag, now, `W/${now}`, '"other"']) {
        const refused = await it.ask(method, CURRENT, { token, body: { data: { b: 2 } }, ifMatch });
        expect(refused).toMatchObject({ status: 412, body: { error: "changed" } });
      }
      expect(await it.ask(method, CURRENT, { token, body, ifMatch: "*" })).toMatchObject({ status: 200 });
    }
    expect(await dataOf(it, token)).toEqual({ PUT: 1, PATCH: 1 });
  });

  test("that cannot be kept is refused, and so is what is none", async () => {
    const it = await world();
    const { token, etag, id } = await begun(it, { data: { a: 1 }, subject: "ada" });
    const refused = { status: 400, body: { error: "bad-if-match" } };
    const body = { subject: "ada" };
    expect(await it.ask("DELETE", CURRENT, { token, ifMatch: etag })).toMatchObject(refused);
    expect(await it.ask("POST", ALL, { body: {}, ifMatch: etag })).toMatchObject(refused);
    expect(await it.ask("POST", `${CURRENT}/authenticate`, { token, body, ifMatch: etag })).toMatchObject(refused);
    expect(await it.ask("POST", `${CURRENT}/regenerate`, { token, ifMatch: etag })).toMatchObject(refused);
    expect(await it.ask("POST", `${CURRENT}/touch`, { token, ifMatch: etag })).toMatchObject(refused);
    expect(await it.ask("DELETE", `${ALL}/${id}`, { ifMatch: etag })).toMatchObject(refused);
    expect(await it.ask("DELETE", `${ALL}?subject=ada`, { ifMatch: etag })).toMatchObject(refused);
    for (const ifMatch of [etag.slice(1, -1), '"a" "b"', "", '*, "a"']) {
      expect(await it.ask("PUT", CURRENT, { token, body: { data: {} }, ifMatch })).toMatchObject(refused);
    }
    expect(await dataOf(it, token)).toEqual({ a: 1 });
  });
});

describe("two requests at once", () => {
  /** Two servers over one store: what one does to a session, the other learns from the store alone. */
  async function two(): Promise<World & { readonly rival: SessionApi["ask"] }> {
    const it = await world();
    const second = await sessionApi(it.store, { clock: it.clock });
    running.push(second);
    return { ...it, rival: second.ask };
  }

  /** Sends `first`, stops it before the verb, lets `then` go by as a whole, and lets it go on. */
  async function overtaken(
    { store }: World,
    verb: "read" | "update" | "delete",
    first: () => Promise<Reply>,
    then: () => Promise<unknown>,
  ): Promise<Reply> {
    const [arrived, goOn] = [gate(), gate()];
    store.before = (called) => {
      if (called !== verb) return undefined;
      store.before = () => undefined;
      arrived.open();
      return goOn.opened;
    };
    const reply = first();
    await arrived.opened;
    await then();
    goOn.open();
    return await reply;
  }

  test.each(["PATCH", "PUT"])("%s: changes of different keys both count", async (method) => {
    const it = await two();
    const { token } = await begun(it, { data: { old: 1 } });
    const change = (ask: SessionApi["ask"], key: string) => () =>
      ask(method, CURRENT, { token, body: { data: method === "PUT" ? { old: 1, [key]: 1 } : { [key]: 1 } } });
    const late = await overtaken(it, "update", change(it.ask, "a"), change(it.rival, "b"));
    expect(late).toMatchObject({ status: 200, body: { data: { old: 1, a: 1, b: 1 } } });
    expect(late.headers.etag).toBe(known(await it.ask("GET", CURRENT, { token })).etag);
    expect(await dataOf(it, token)).toEqual({ old: 1, a: 1, b: 1 });
  });

  test("PATCH: a key that is removed stays removed, and what another request set stays", async () => {
    const it = await two();
    const { token } = await begun(it, { data: { a: 1, b: 1 } });
    const late = await overtaken(
      it,
      "update",
      () => it.ask("PATCH", CURRENT, { token, body: { remove: ["a"] } }),
      () => it.rival("PATCH", CURRENT, { token, body: { data: { b: 2 } } }),
    );
    expect(late).toMatchObject({ status: 200, body: { data: { b: 2 } } });
    expect(await dataOf(it, token)).toEqual({ b: 2 });
  });

  test.each(["PATCH", "PUT"])("%s with If-Match: 412 for who comes second, also after its check", async (method) => {
    const it = await two();
    const { token } = await begun(it, { data: { a: 0 } });
    const change = (ask: SessionApi["ask"], value: number, ifMatch?: string) => () =>
      ask(method, CURRENT, { token, ifMatch, body: { data: { a: value } } });
    const etag = async (): Promise<string> => known(await it.ask("GET", CURRENT, { token })).etag;
    for (const theirs of [await etag(), undefined]) {
      const late = await overtaken(it, "update", change(it.ask, 1, await etag()), async () => {
        expect(await change(it.rival, 2, theirs)()).toMatchObject({ status: 200 });
      });
      expect(late).toMatchObject({ status: 412, body: { error: "changed" } });
      expect(await dataOf(it, token)).toEqual({ a: 2 });
      await change(it.ask, 0)();
    }
    // The other way round: who says nothing of what it saw is merged on top.
    const late = await overtaken(it, "update", change(it.ask, 1), change(it.rival, 2, await etag()));
    expect(late).toMatchObject({ status: 200, body: { data: { a: 1 } } });
    expect(await dataOf(it, token)).toEqual({ a: 1 });
  });

  test("a write that was refused is not made when its answer goes out", async () => {
    const it = await two();
    const { token, etag } = await begun(it, { data: { a: 0 } });
    const late = await overtaken(
      it,
      "update",
      () => it.ask("PATCH", CURRENT, { token, ifMatch: etag, body: { data: { mine: 1 } } }),
      () => it.rival("PATCH", CURRENT, { token, body: { data: { theirs: 1 } } }),
    );
    expect(late.status).toBe(412);
    expect(await dataOf(it, token)).toEqual({ a: 0, theirs: 1 });
    expect(it.store.calls.filter((verb) => verb === "update")).toHaveLength(2);
  });

  test("a touch in between is no change", async () => {
    const it = await two();
    const { token, etag } = await begun(it, { data: { a: 0 } });
    it.clock.advance(5 * MINUTE);
    const late = await overtaken(
      it,
      "update",
      () => it.ask("PUT", CURRENT, { token, ifMatch: etag, body: { data: { a: 1 } } }),
      () => it.rival("POST", `${CURRENT}/touch`, { token }),
    );
    expect(late).toMatchObject({ status: 200 });
  });

  test.each(["PATCH", "PUT"])("%s of a session that is signed out meanwhile brings nothing back", async (method) => {
    const it = await two();
    for (const conditional of [false, true]) {
      const { token, etag } = await begun(it, { data: { a: 0 } });
      const ifMatch = conditional ? etag : undefined;
      const late = await overtaken(
        it,
        "update",
        () => it.ask(method, CURRENT, { token, ifMatch, body: { data: { a: 1 } } }),
        () => it.rival("DELETE", CURRENT, { token }),
      );
      expect(late).toMatchObject(NO_SESSION);
      expect(await it.ask("GET", CURRENT, { token })).toMatchObject(NO_SESSION);
    }
  });

  test("P13: a token that was replaced meanwhile writes nothing", async () => {
    const it = await two();
    const { token } = await begun(it, { data: { a: 0 }, subject: "ada" });
    let signedIn = "";
    const late = await overtaken(
      it,
      "update",
      () => it.ask("PATCH", CURRENT, { token, body: { data: { a: 1 } } }),
      async () => {
        const reply = await it.rival("POST", `${CURRENT}/authenticate`, { token, body: { subject: "ada" } });
        signedIn = known(reply).token;
      },
    );
    expect(late).toMatchObject(NO_SESSION);
    expect(await dataOf(it, signedIn)).toEqual({ a: 0 });
  });

  test("P15: a double click signs in twice", async () => {
    const it = await two();
    const { token } = await begun(it, { data: { a: 0 } });
    const click = (ask: SessionApi["ask"]) => () =>
      ask("POST", `${CURRENT}/authenticate`, { token, body: { subject: "ada" } });
    const replies: Reply[] = [];
    replies.push(await overtaken(it, "update", click(it.ask), async () => replies.push(await click(it.rival)())));
    for (const reply of replies) {
      expect(reply).toMatchObject({ status: 200, body: { subject: "ada", data: { a: 0 } } });
      expect(await it.ask("GET", CURRENT, { token: known(reply).token })).toMatchObject({ status: 200 });
    }
  });

  test("when others keep writing until the store timeout is over: 409, and nothing was written", async () => {
    const it = await two();
    const { token } = await begun(it, { data: { a: 0 } });
    let theirs = 0;
    const interfere = async (verb: string): Promise<void> => {
      if (verb !== "update") return;
      it.store.before = () => undefined;
      await it.rival("PATCH", CURRENT, { token, body: { data: { theirs: ++theirs } } });
      it.clock.advance(700);
      it.store.before = interfere;
    };
    it.store.before = interfere;
    const late = await it.ask("PATCH", CURRENT, { token, body: { data: { mine: 1 } } });
    it.store.before = () => undefined;
    expect(late).toMatchObject({ status: 409, body: { error: "conflict" } });
    expect(await dataOf(it, token)).toEqual({ a: 0, theirs });
  });
});

describe("a store that is away", () => {
  test("is 503, whatever is asked for, and nothing is tried once more behind its back", async () => {
    const it = await world();
    const { token, id } = await begun(it, { data: { a: 0 } });
    const away = { status: 503, body: { error: "store-unavailable" }, headers: { "retry-after": "1" } };
    for (const failing of ["read", "update", "create", "delete"]) {
      it.store.before = (verb) => {
        if (verb === failing) throw new Error(`no ${failing} here`);
        return undefined;
      };
      it.store.calls.length = 0;
      const replies: Reply[] = [];
      if (failing === "read") replies.push(await it.ask("GET", CURRENT, { token }));
      if (failing === "create") replies.push(await it.ask("POST", ALL, { body: {} }));
      if (failing === "delete") {
        replies.push(await it.ask("DELETE", CURRENT, { token }), await it.ask("DELETE", `${ALL}/${id}`));
      }
      if (failing === "update") {
        for (const method of ["PUT", "PATCH"]) {
          replies.push(await it.ask(method, CURRENT, { token, body: { data: { b: 1 } } }));
        }
        replies.push(await it.ask("POST", `${CURRENT}/authenticate`, { token, body: { subject: "ada" } }));
        replies.push(await it.ask("POST", `${CURRENT}/regenerate`, { token }));
      }
      for (const reply of replies) expect(reply).toMatchObject(away);
      expect(it.store.calls.filter((verb) => verb === failing)).toHaveLength(replies.length);
    }
    it.store.before = () => undefined;
    expect(await it.ask("GET", CURRENT, { token })).toMatchObject({ status: 200, body: { data: { a: 0 } } });
  });

  test("and what fails without need is no failure: a touch", async () => {
    const it = await world();
    const { token } = await begun(it);
    it.clock.advance(10 * MINUTE);
    it.store.before = (verb) => {
      if (verb === "touch") throw new Error("no touch here");
      return undefined;
    };
    expect(await it.ask("GET", CURRENT, { token })).toMatchObject({ status: 200 });
  });

  test("or cannot list is 501", async () => {
    const { listBySubject, deleteBySubject, list, count, ...store } = memoryStore();
    expect([listBySubject, deleteBySubject, list, count]).not.toContain(undefined);
    const api = await sessionApi(store);
    running.push(api);
    for (const [method, query] of [
      ["GET", ""],
      ["GET", "?subject=ada"],
      ["DELETE", "?subject=ada"],
    ] as const) {
      expect(await api.ask(method, ALL + query)).toMatchObject({ status: 501, body: { error: "not-capable" } });
    }
  });
});

describe("the sessions of an application", () => {
  test("are listed by subject and by page, and never with a token or their data", async () => {
    const it = await world();
    const { id } = await begun(it, { subject: "ada", level: "mfa", data: { secret: "hush" } });
    for (let n = 0; n < 4; n++) await begun(it, { subject: "bob" });
    await it.other("POST", ALL, { body: { subject: "ada" } });
    await begun(it, { subject: "ada" }, "/v1/sessions/prefs");
    const now = it.clock.now();
    const reply = await it.ask("GET", `${ALL}?subject=ada`);
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({
      sessions: [
        {
          id,
          subject: "ada",
          level: "mfa",
          createdAt: now,
          authenticatedAt: now,
          lastSeenAt: now,
          expiresAt: now + 33 * MINUTE,
        },
      ],
    });
    expect(await it.ask("GET", `${ALL}?subject=nobody`)).toMatchObject({ status: 200, body: { sessions: [] } });
    const ids = new Set<string>();
    let cursor: string | undefined = "";
    while (cursor !== undefined) {
      const page = await it.ask("GET", `${ALL}?limit=2&cursor=${cursor}`);
      const body = page.body as { readonly sessions: readonly { readonly id: string }[]; readonly cursor?: string };
      for (const session of body.sessions) ids.add(session.id);
      cursor = body.cursor;
    }
    expect(ids.size).toBe(5);
    expect((await it.ask("GET", `${ALL}?cursor=made-up`)).status).toBe(200);
  });

  test("are revoked by id: of this name and application only", async () => {
    const it = await world();
    const mine = await begun(it);
    const theirs = known(await it.other("POST", ALL, { body: {} }));
    const prefs = await begun(it, {}, "/v1/sessions/prefs");
    for (const id of [theirs.id, prefs.id, "x".repeat(22), "short", mine.token, "..%2Fuser", "%00"]) {
      expect(await it.ask("DELETE", `${ALL}/${id}`), id).toMatchObject(NO_SESSION);
    }
    expect(await it.other("GET", CURRENT, { token: theirs.token })).toMatchObject({ status: 200 });
    expect(await it.ask("DELETE", `${ALL}/${mine.id}`)).toMatchObject({ status: 204 });
    expect(await it.ask("DELETE", `${ALL}/${mine.id}`)).toMatchObject(NO_SESSION);
    expect(await it.ask("GET", CURRENT, { token: mine.token })).toMatchObject(NO_SESSION);
  });

  test("of a subject are all revoked, or all but one", async () => {
    const it = await world();
    const [first, second] = [await begun(it, { subject: "a b/ü" }), await begun(it, { subject: "a b/ü" })];
    const theirs = known(await it.other("POST", ALL, { body: { subject: "a b/ü" } }));
    await begun(it, { subject: "a b/ü" });
    const of = `${ALL}?subject=${encodeURIComponent("a b/ü")}`;
    expect(await it.ask("DELETE", `${of}&except=${first.id}`)).toMatchObject({ status: 200, body: { revoked: 2 } });
    expect(await it.ask("GET", CURRENT, { token: second.token })).toMatchObject(NO_SESSION);
    expect(await it.ask("GET", CURRENT, { token: first.token })).toMatchObject({ status: 200 });
    expect(await it.ask("DELETE", of)).toMatchObject({ status: 200, body: { revoked: 1 } });
    expect(await it.ask("DELETE", of)).toMatchObject({ status: 200, body: { revoked: 0 } });
    expect(await it.other("GET", CURRENT, { token: theirs.token })).toMatchObject({ status: 200 });
  });
});

describe("a bad request", () => {
  const PATHS: readonly [method: string, path: string, status: number, error: string][] = [
    ["GET", "/v1/sessions", 404, "no-such-path"],
    ["GET", `${CURRENT}/nothing`, 404, "no-such-path"],
    ["POST", `${CURRENT}/touch/more`, 404, "no-such-path"],
    ["DELETE", `${ALL}/${"x".repeat(22)}/more`, 404, "no-such-path"],
    ["GET", "/v1/sessions/us%20er/current", 400, "bad-name"],
    ["GET", `/v1/sessions/${"x".repeat(65)}`, 400, "bad-name"],
    ["GET", "/v1/sessions/__proto__/current", 404, "no-session"],
    ["POST", CURRENT, 405, "method-not-allowed"],
    ["PATCH", ALL, 405, "method-not-allowed"],
    ["GET", `${ALL}/${"x".repeat(22)}`, 405, "method-not-allowed"],
    ["OPTIONS", CURRENT, 405, "method-not-allowed"],
    ["GET", `${ALL}?subjct=ada`, 400, "bad-query"],
    ["GET", `${ALL}?subject=ada&subject=bob`, 400, "bad-query"],
    ["GET", `${ALL}?subject=ada&limit=5`, 400, "bad-query"],
    ["GET", `${ALL}?subject=`, 400, "bad-subject"],
    ["GET", `${ALL}?limit=0`, 400, "bad-limit"],
    ["GET", `${ALL}?limit=1001`, 400, "bad-limit"],
    ["GET", `${ALL}?limit=ten`, 400, "bad-limit"],
    ["DELETE", ALL, 400, "bad-subject"],
    ["DELETE", `${ALL}?subject=ada&except=me`, 400, "bad-except"],
    ["DELETE", `${ALL}?subject=${"x".repeat(1001)}`, 400, "bad-subject"],
  ];

  test.each(PATHS)("%s %s is %i %s", async (method, path, status, error) => {
    const { ask } = await world();
    const reply = await ask(method, path);
    expect(reply).toMatchObject({ status, body: { error, message: expect.stringMatching(/\.$/) } });
    if (status === 405) expect(reply.headers.allow).toBeDefined();
  });

  const BODIES: readonly [request: string, body: unknown, error: string][] = [
    ["POST begun", [], "bad-body"],
    ["POST begun", null, "bad-body"],
    ["POST begun", 7, "bad-body"],
    ["POST begun", { dta: {} }, "bad-body"],
    ["POST begun", { data: null }, "bad-data"],
    ["POST begun", { data: [1] }, "bad-data"],
    ["POST begun", { data: "text" }, "bad-data"],
    ["POST begun", { data: nested(101) }, "bad-data"],
    ["POST begun", { subject: "" }, "bad-subject"],
    ["POST begun", { subject: null }, "bad-subject"],
    ["POST begun", { subject: "x".repeat(1001) }, "bad-subject"],
    ["POST begun", { subject: "\ud800" }, "bad-subject"],
    ["POST begun", { subject: "ada", level: 2 }, "bad-level"],
    ["POST begun", { subject: "ada", level: "" }, "bad-level"],
    ["POST begun", { level: "mfa" }, "bad-level"],
    ["PUT", {}, "bad-data"],
    ["PUT", { data: {}, remove: [] }, "bad-body"],
    ["PATCH", {}, "bad-body"],
    ["PATCH", { data: [] }, "bad-data"],
    ["PATCH", { remove: "a" }, "bad-remove"],
    ["PATCH", { remove: [1] }, "bad-remove"],
    ["PATCH", { data: { a: 1 }, remove: ["a"] }, "bad-remove"],
    ["PATCH", { data: nested(101) }, "bad-data"],
    ["POST authenticate", {}, "bad-subject"],
    ["POST authenticate", { subject: 7 }, "bad-subject"],
    ["POST authenticate", { subject: "ada", keep: "a" }, "bad-keep"],
    ["POST authenticate", { subject: "ada", data: {} }, "bad-body"],
  ];

  function nested(levels: number): unknown {
    let data: unknown = {};
    for (let level = 0; level < levels; level++) data = { data };
    return data;
  }

  test.each(BODIES)("%s with the body %j is 400 %s", async (request, body, error) => {
    const it = await world();
    const { token } = await begun(it, { data: { a: 1 } });
    const [method = "", step] = request.split(" ");
    const path = step === undefined ? CURRENT : step === "begun" ? ALL : `${CURRENT}/${step}`;
    const reply = await it.ask(method, path, { token, text: JSON.stringify(body) });
    expect(reply).toMatchObject({ status: 400, body: { error, message: expect.stringMatching(/\.$/) } });
    expect(await dataOf(it, token)).toEqual({ a: 1 });
    expect((await it.ask("GET", ALL)).body).toMatchObject({ sessions: [{}] });
  });

  test("is never an error of the server, whatever JSON it has and wherever it goes", async () => {
    const it = await world();
    const { token } = await begun(it, { data: { a: 1 } });
    const field = fc.constantFrom("data", "subject", "level", "keep", "remove", "__proto__", "constructor");
    const body = fc.oneof(fc.jsonValue(), fc.dictionary(field, fc.jsonValue(), { maxKeys: 4 }));
    const targets = ["PUT", "PATCH", "POST authenticate", "POST regenerate", "POST touch", "POST", "DELETE"];
    const target = fc.constantFrom(...targets);
    const property = fc.asyncProperty(target, body, fc.string(), async (request, sent, ifMatch) => {
      const [method = "", step] = request.split(" ");
      const path = step === undefined ? (method === "POST" ? ALL : CURRENT) : `${CURRENT}/${step}`;
      const value = ifMatch.replaceAll(/[^\t -~]/g, "");
      const headers = value.trim() === "" ? {} : { "If-Match": value };
      const { status, body: answered } = await it.ask(method, path, { token, text: JSON.stringify(sent), headers });
      expect(status).toBeLessThan(500);
      if (status >= 400) expect(answered).toEqual({ error: expect.any(String), message: expect.any(String) });
    });
    await fc.assert(property, { numRuns: 300 });
  });

  test("a number beyond a double, and what is no JSON", async () => {
    const it = await world();
    const { token } = await begun(it, { data: { a: 1 } });
    const far = await it.ask("PUT", CURRENT, { token, text: '{"data":{"n":1e999}}' });
    expect(far).toMatchObject({ status: 400, body: { error: "bad-data" } });
    expect(await it.ask("PUT", CURRENT, { token, text: "{" })).toMatchObject({
      status: 400,
      body: { error: "not-json" },
    });
    expect(await dataOf(it, token)).toEqual({ a: 1 });
  });

  test("a key __proto__ is left out, and harms nobody", async () => {
    const it = await world();
    const { token } = await begun(it, { data: { a: 1 } });
    const text = '{"data":{"__proto__":{"admin":true},"b":2},"remove":["__proto__","constructor"]}';
    expect(await it.ask("PATCH", CURRENT, { token, text })).toMatchObject({ status: 200 });
    expect(await dataOf(it, token)).toEqual({ a: 1, b: 2 });
  });

  test("says nothing of what it was", async () => {
    const it = await world();
    const { token } = await begun(it);
    const replies = [
      await it.ask("POST", ALL, { body: { [token]: 1 } }),
      await it.ask("GET", `${ALL}?${token}=1`),
      await it.ask("DELETE", `${ALL}/${token}`),
      await it.ask("PUT", CURRENT, { token, body: { data: {} }, ifMatch: token }),
    ];
    for (const { status, body } of replies) {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(JSON.stringify(body)).not.toContain(token);
    }
  });

  test("HEAD is GET without its body", async () => {
    const it = await world();
    const { token, etag } = await begun(it);
    expect(await it.ask("HEAD", CURRENT, { token })).toMatchObject({ status: 200, headers: { etag }, body: undefined });
  });
});

test("options that cannot work are refused at once, by name", () => {
  expect(() => sessionsEndpoint({ idleTimeout: -1 })).toThrow(/idleTimeout/);
  expect(() => sessionsEndpoint({ keys: "short" })).toThrow(TypeError);
  expect(() => sessionsEndpoint({ store: memoryStore() } as never)).toThrow(/store/);
});
