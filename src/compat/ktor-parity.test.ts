/**
 * What Ktor's sessions get wrong, or do not test, and how ours do it: see docs/ktor.md.
 */
import { mkdtempSync, readdirSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import {
  Browser,
  COOKIE,
  eventsOf,
  HOUR,
  instrumented,
  KEY,
  MINUTE,
  setup,
  signIn,
  subjectOf,
  type Data,
} from "../../test/testbed.ts";
import { cookie, defineSession, header, sign, type SessionDefinition } from "../index.ts";
import { directoryStore } from "../store/directory.ts";
import { memoryStore } from "../store/memory.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { generateKtorId, ktorCookie, ktorCookieSession, ktorEncrypt, ktorId, ktorJson, ktorSign } from "./ktor.ts";
import { ktorDirectory } from "./ktor-directory.ts";

const folders: string[] = [];
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "coatcheck-parity-"));
  folders.push(path);
  return path;
}
afterEach(() => {
  for (const path of folders.splice(0)) rmSync(path, { recursive: true, force: true });
});

const byValue = { store: undefined, keys: KEY, revocation: "none", idleTimeout: false } as const;

/** What a client can put into a cookie that makes a Ktor server answer with 500 on every request, and more. */
const BAD_COOKIES: readonly string[] = [
  "",
  "%",
  "%zz",
  "%FF",
  "../x",
  "..%2F..%2Fetc%2Fpasswd",
  "a!b",
  "a\\b",
  '"',
  '""',
  "_-_-",
  "abc/abc:abc",
  "INVALID",
  "{}",
  "%7B%7D",
  "null",
  "0".repeat(64),
  "A".repeat(43),
  "A".repeat(5000),
  ".",
  "AQ.AQ",
];

describe("what makes a Ktor server fail", () => {
  const kinds: readonly (readonly [name: string, make: () => SessionDefinition<Data>])[] = [
    ["by id in memory", () => defineSession<Data>({ name: "user", store: memoryStore() })],
    ["by id with keys", () => defineSession<Data>({ name: "user", store: memoryStore(), keys: KEY })],
    ["by id in a directory", () => defineSession<Data>({ name: "user", store: directoryStore(folder()) })],
    ["sealed", () => defineSession<Data>({ name: "user", ...byValue })],
    ["sealed, with an idle clock", () => defineSession<Data>({ name: "user", ...byValue, idleTimeout: "30m" })],
    ["signed", () => defineSession<Data>({ name: "user", ...byValue, protection: sign() })],
    [
      "signed as Ktor does",
      () => defineSession<Data>({ name: "user", ...byValue, protection: ktorSign({ key: "01" }) }),
    ],
    [
      "shared with a Ktor server",
      () =>
        defineSession<Data>({
          name: "user",
          ...ktorCookieSession({
            serializer: ktorJson<Data>(),
            transform: [ktorSign({ key: "01" })],
            cookie: { prefix: "__Host-Http-" },
          }),
        }),
    ],
  ];

  test.each(kinds)(
    "%s: no cookie that a client can make up is an error; the next write replaces it",
    async (_name, make) => {
      const user = make();
      for (const value of BAD_COOKIES) {
        const browser = new Browser(user);
        browser.jar.set(COOKIE, value);
        browser.jar.set(`${COOKIE}-idle`, value);
        expect(await browser.visit(user, ({ data, isNew }) => [data, isNew])).toEqual([undefined, true]);
        await browser.visit(user, (session) => session.set({ visits: 1 }));
        expect(await browser.visit(user, ({ data }) => data)).toEqual({ visits: 1 });
      }
    },
  );

  test("a bad cookie is an event, with the reason: it does not stick unnoticed", async () => {
    const user = defineSession<Data>({ name: "user", ...byValue });
    const events = eventsOf(user);
    const browser = new Browser(user);
    browser.jar.set(COOKIE, "INVALID");
    await browser.visit(user, () => {});
    expect(events).toEqual(["rejected:forged"]);
  });

  test("the cookie of a session that is gone is taken back by the next page", async () => {
    const it = setup();
    await signIn(it);
    await it.user.manager.revokeAll("ada");
    await it.browser.visit(it.user, () => {});
    expect(it.browser.jar.has(COOKIE)).toBe(false);
  });

  test("a stored session that was emptied behind our back is a visitor without a session", async () => {
    const path = folder();
    const user = defineSession<Data>({ name: "user", store: directoryStore(path) });
    const browser = new Browser(user);
    await browser.visit(user, (session) => session.set({ visits: 1 }));
    for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) truncateSync(join(entry.parentPath, entry.name), 0);
    }
    expect(await browser.visit(user, ({ data }) => data)).toBeUndefined();
  });

  test("while the store is down, what looks at no session is answered, and what looks sees the error; the cookie stays", async () => {
    const it = setup();
    await signIn(it);
    it.store.before = () => {
      throw new Error("down");
    };
    const page = await it.browser.arrive().answer();
    expect(page.edits).toEqual([]);
    await expect(it.browser.visit(it.user, () => {})).rejects.toMatchObject({ code: "ERR_SESSION_STORE" });
    it.store.before = () => undefined;
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
  });
});

describe("expiry on the server", () => {
  test("by id: a copied cookie is worth nothing when the session has ended, whatever the browser keeps", async () => {
    const it = setup({ transport: cookie({ persistent: true }) });
    await signIn(it);
    const copy = it.browser.clone();
    it.clock.advance(13 * HOUR);
    expect(await subjectOf(copy, it.user)).toBeUndefined();
  });

  test("by value: the end is inside the token", async () => {
    const clock = fakeClock();
    const user = defineSession<Data>({ name: "user", ...byValue, clock });
    const browser = new Browser(user);
    await browser.visit(user, (session) => session.set({ visits: 1 }));
    const copy = browser.clone();
    clock.advance(11 * HOUR);
    expect(await copy.clone().visit(user, ({ data }) => data)).toEqual({ visits: 1 });
    clock.advance(2 * HOUR);
    expect(await copy.visit(user, ({ data }) => data)).toBeUndefined();
  });

  test("a session that nobody uses ends, and the store gets rid of it", async () => {
    const clock = fakeClock();
    const store = memoryStore({ clock });
    const user = defineSession<Data>({ name: "user", store, clock });
    await new Browser(user).visit(user, (session) => session.set({ visits: 1 }));
    expect(await user.manager.count()).toBe(1);
    clock.advance(40 * MINUTE);
    expect(await user.manager.count()).toBe(0);
    expect(await store.deleteExpired(10, { now: clock.now() })).toBeLessThanOrEqual(1);
  });
});

describe("requests that look at no session", () => {
  test("a static file costs no store call and gets no header, with a good cookie, a bad one and none", async () => {
    const it = setup();
    await signIn(it);
    it.store.calls.length = 0;
    const bad = it.browser.clone();
    bad.jar.set(COOKIE, "INVALID");
    for (const browser of [it.browser, bad, new Browser(it.user)]) {
      expect((await browser.arrive().answer()).edits).toEqual([]);
    }
    expect(it.store.calls).toEqual([]);
  });

  test("of two definitions only the one that is asked for is loaded", async () => {
    const stores = [instrumented(memoryStore()), instrumented(memoryStore())] as const;
    const user = defineSession<Data>({ name: "user", store: stores[0] });
    const cart = defineSession<Data>({ name: "cart", store: stores[1] });
    const browser = new Browser(user, cart);
    const both = browser.arrive();
    (await both.from(user)).set({ visits: 1 });
    (await both.from(cart)).set({ cart: ["a"] });
    (await both.answer()).deliver();
    for (const { calls } of stores) calls.length = 0;
    const one = browser.arrive();
    expect((await one.from(cart)).data).toEqual({ cart: ["a"] });
    await one.answer();
    expect([stores[0].calls, stores[1].calls]).toEqual([[], ["read"]]);
  });
});

describe("the life of a session", () => {
  test("set and destroy in one request: nothing is stored and no cookie is sent", async () => {
    const it = setup();
    const visit = it.browser.arrive();
    const session = await visit.from(it.user);
    session.set({ visits: 1 });
    session.destroy();
    await visit.answer();
    expect(visit.setCookies).toEqual([]);
    expect(it.store.calls).toEqual([]);
  });

  test("a whole Set-Cookie line, sent back as a Cookie header, is read", async () => {
    const it = setup();
    const first = it.browser.arrive();
    (await first.from(it.user)).set({ visits: 1 });
    const [line = ""] = (await first.answer()).setCookies;
    const second = new Browser(it.user).arrive({ headers: { cookie: line } });
    expect((await second.from(it.user)).data).toEqual({ visits: 1 });
  });

  test("the id is known before the response, and is the one that the next request has", async () => {
    const it = setup();
    let promised = "";
    await it.browser.visit(it.user, (session) => {
      session.set({ visits: 1 });
      promised = session.id;
    });
    expect(await it.browser.visit(it.user, ({ id }) => id)).toBe(promised);
  });

  test("an id that the client planted is not adopted: signing in makes a new token, and the planted one is dead", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    const planted = it.browser.clone();
    await signIn(it);
    expect(it.browser.jar.get(COOKIE)).not.toBe(planted.jar.get(COOKIE));
    expect(await subjectOf(planted, it.user)).toBeUndefined();
  });

  test("destroy and set in one request make a new id", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ visits: 1 }));
    const before = await it.browser.visit(it.user, ({ id }) => id);
    await it.browser.visit(it.user, (session) => {
      session.destroy();
      session.set({ visits: 2 });
    });
    expect(await it.browser.visit(it.user, ({ id, data }) => [id === before, data])).toEqual([false, { visits: 2 }]);
  });

  test("a session is signed out on all other devices, and only those", async () => {
    const it = setup();
    const phone = new Browser(it.user);
    await phone.visit(it.user, (session) => session.authenticate("ada"));
    await signIn(it);
    const here = await it.browser.visit(it.user, ({ id }) => id);
    expect(await it.user.manager.revokeAll("ada", { except: here })).toBe(1);
    expect(await subjectOf(phone, it.user)).toBeUndefined();
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
  });

  test("writing the same data again writes nothing and sends nothing; a change does", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => session.set({ name: "Ada", visits: 1 }));
    it.store.calls.length = 0;
    await it.browser.visit(it.user, (session) => session.set({ name: "Ada", visits: 1 }));
    expect(it.store.calls).toEqual(["read"]);
    await it.browser.visit(it.user, (session) => session.set({ name: "Ada", visits: 2 }));
    expect(it.store.calls).toEqual(["read", "read", "update"]);
  });

  test("in a header the same: unchanged data sends none", async () => {
    const api = defineSession<Data>({ name: "api", ...byValue, transport: header("X-Api-Session") });
    const sentBy = async (token: string, visits: number): Promise<string | undefined> => {
      const visit = new Browser(api).arrive({ headers: { "x-api-session": token } });
      (await visit.from(api)).set({ visits });
      return (await visit.answer()).edits.find(({ name }) => name === "X-Api-Session")?.value;
    };
    const token = (await sentBy("", 1)) ?? "";
    expect(token).not.toBe("");
    expect(await sentBy(token, 1)).toBeUndefined();
    expect(await sentBy(token, 2)).not.toBeUndefined();
  });

  test("a value is good for the session that it was made for, and for no other with the same keys", async () => {
    const user = defineSession<Data>({ name: "user", ...byValue });
    const admin = defineSession<Data>({ name: "admin", ...byValue });
    const browser = new Browser(user, admin);
    await browser.visit(user, (session) => session.set({ visits: 1 }));
    browser.jar.set(COOKIE.replace("user", "admin"), browser.jar.get(COOKIE) ?? "");
    expect(await browser.visit(admin, ({ data }) => data)).toBeUndefined();
  });

  test("header sessions by value are protected, and keep beside cookie sessions", async () => {
    const token = defineSession<Data>({ name: "api", ...byValue, transport: header("X-Api-Session") });
    const page = defineSession<Data>({ name: "user", ...byValue });
    const browser = new Browser(token, page);
    const first = browser.arrive();
    (await first.from(token)).set({ visits: 1 });
    (await first.from(page)).set({ theme: "dark" });
    (await first.answer()).deliver();
    const sent = first.edits.find(({ name }) => name === "X-Api-Session")?.value ?? "";
    const read = async (value: string): Promise<unknown> => {
      const visit = browser.arrive({ headers: { "x-api-session": value } });
      return [(await visit.from(token)).data, (await visit.from(page)).data];
    };
    expect(await read(sent)).toEqual([{ visits: 1 }, { theme: "dark" }]);
    expect(await read(`${sent.slice(0, -1)}${sent.endsWith("A") ? "B" : "A"}`)).toEqual([undefined, { theme: "dark" }]);
  });
});

describe("with Ktor's formats", () => {
  const keys = { encryptKey: "00112233445566778899aabbccddeeff", signKey: "02030405060708090a0b0c" };

  test.each([
    ["ktorSign", ktorSign({ key: "02030405" })],
    ["ktorEncrypt", ktorEncrypt(keys)],
  ])("%s protects a session without a store", async (_name, protection) => {
    const user = defineSession<Data>({ name: "user", protection, revocation: "none" });
    const browser = new Browser(user);
    await browser.visit(user, (session) => session.set({ name: "żółć" }));
    expect(await browser.visit(user, ({ data }) => data)).toEqual({ name: "żółć" });
    expect(user.manager.describe()).toMatchObject({ protection: _name });
    expect(() => defineSession({ name: "user", protection, revocation: "none", idleTimeout: "30m" })).toThrow(
      /leave idleTimeout off/,
    );
  });

  test("a cookie of a Ktor server is taken over on the first visit", async () => {
    const old = ktorCookie({ serializer: ktorJson<{ userId: string }>(), transform: [ktorEncrypt(keys)] });
    const it = setup();
    const fromKtor = await old.write({ userId: "ada" });
    await it.browser.visit(it.user, async (session) => {
      const data = session.isNew ? await old.read(fromKtor) : null;
      if (data !== null) session.authenticate(data.userId);
    });
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
  });

  test("a session of a Ktor server's directory is taken over by its id, and removed there", async () => {
    const sessions = ktorDirectory(folder());
    const ids = ktorCookie({ serializer: ktorId(), transform: [ktorSign({ key: "0203" })] });
    const json = ktorJson<{ userId: string }>();
    const id = generateKtorId();
    sessions.write(id, json.write({ userId: "ada" }));
    const value = await ids.write(id);
    const it = setup();
    await it.browser.visit(it.user, async (session) => {
      const known = await ids.read(value);
      const text = known === null ? null : sessions.read(known);
      const data = text === null ? null : json.read(text);
      if (known === null || data === null) return;
      session.authenticate(data.userId);
      sessions.delete(known);
    });
    expect(await subjectOf(it.browser, it.user)).toBe("ada");
    expect([...sessions.ids()]).toEqual([]);
  });
});
