import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { memoryStore } from "../store/memory.ts";
import type { SessionStore } from "../store/store.ts";
import { Cookie } from "./cookie.ts";
import { keeperOf, MemoryStore, toExpressStore } from "./kept-store.ts";
import { dataText, sessionFrom } from "./session.ts";
import { Store } from "./store.ts";

const MINUTE = 60_000;

afterEach(() => {
  vi.useRealTimers();
});

describe("toExpressStore", () => {
  test("keeps what express-session gives it, in its form, under its prefix", async () => {
    const ours = memoryStore();
    const store = toExpressStore(ours, { prefix: "old/" });
    const session = { cookie: new Cookie({ maxAge: MINUTE }), user: "ada" };
    await store.set("a", session);
    const record = await ours.read("old/a", { now: Date.now() });
    expect(record?.value).toBe(JSON.stringify(session));
    expect(record?.expiresAt).toBe(session.cookie.expires?.getTime());
    expect(JSON.parse(JSON.stringify(await store.get("a")))).toMatchObject({ user: "ada", cookie: { path: "/" } });
    expect(store).toBeInstanceOf(Store);
  });

  test("calls back, and returns promises", async () => {
    const store = toExpressStore(memoryStore());
    await new Promise((resolve) => void store.set("a", { cookie: new Cookie(), n: 1 }, resolve));
    const found = await new Promise((resolve) => void store.get("a", (_error, session) => resolve(session)));
    expect(found).toMatchObject({ n: 1 });
    const missing = await new Promise((resolve) => void store.get("b", (...answer) => resolve(answer)));
    expect(missing).toEqual([null, undefined]);
    await store.destroy("a");
    expect(await store.get("a")).toBeUndefined();
  });

  test("lists, counts and clears its own, where the store can list", async () => {
    const ours = memoryStore();
    const store = toExpressStore(ours);
    const other = toExpressStore(ours, { prefix: "other/" });
    for (const id of ["a", "b"]) await store.set(id, { cookie: new Cookie(), id });
    await other.set("c", { cookie: new Cookie() });
    expect(Object.keys((await store.all?.()) ?? {}).toSorted()).toEqual(["a", "b"]);
    expect([await store.length?.(), await other.length?.()]).toEqual([2, 1]);
    await store.clear?.();
    expect([await store.length?.(), await other.length?.()]).toEqual([0, 1]);
    const { create, read, update, touch, delete: remove } = ours;
    const bare = toExpressStore({ create, read, update, touch, delete: remove });
    expect([bare.all, bare.length, bare.clear]).toEqual([undefined, undefined, undefined]);
  });

  test("a session whose cookie has no end is kept for ttl after its last use", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const store = toExpressStore(memoryStore(), { ttl: "10m" });
    const session = { cookie: new Cookie() };
    await store.set("a", session);
    for (const minutes of [0.5, 9.9, 0.1, 9.9]) {
      vi.advanceTimersByTime(minutes * MINUTE);
      expect(await store.get("a")).toBeDefined();
      await store.touch("a", session);
    }
    vi.advanceTimersByTime(11 * MINUTE);
    expect(await store.get("a")).toBeUndefined();
  });

  test("a touched session is read with its new end", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const store = toExpressStore(memoryStore());
    const cookie = new Cookie({ maxAge: MINUTE });
    await store.set("a", { cookie, n: 1 });
    vi.advanceTimersByTime(1000);
    cookie.maxAge = MINUTE;
    await store.touch("a", { cookie, n: 2 });
    const found = (await store.get("a")) as { cookie: { expires: string }; n: number };
    expect([Date.parse(found.cookie.expires), found.n]).toEqual([Date.now() + MINUTE, 1]);
  });

  test("a session that was read is only updated; one that was not is written", async () => {
    const store = toExpressStore(memoryStore());
    const read = async (id: string): Promise<object> =>
      sessionFrom({ sessionID: id } as never, (await store.get(id)) as object);
    await store.set("a", { cookie: new Cookie(), n: 1 });
    const session = await read("a");
    await store.destroy("a");
    await store.set("a", session);
    await store.touch("a", session);
    expect(await store.get("a")).toBeUndefined();
    // What somebody copied into another session, as passport's keepSessionInfo does, is no part of the old one.
    await store.set("b", session);
    expect(await store.get("b")).toMatchObject({ n: 1 });
    await store.set("b", { cookie: new Cookie(), n: 2 });
    expect(await store.get("b")).toMatchObject({ n: 2 });
  });

  test("nothing of where a session is from shows in what is logged", async () => {
    const store = toExpressStore(memoryStore());
    await store.set("secret-id", { cookie: new Cookie() });
    const { inspect } = await import("node:util");
    expect(inspect(await store.get("secret-id"), { depth: 9, showHidden: true })).not.toContain("secret-id");
  });

  test.each([
    [{}, {}, /store/],
    [memoryStore(), { ttl: "soon" }, /ttl/],
    [memoryStore(), { prefix: 1 }, /prefix/],
    [memoryStore(), { prefixes: "a" }, /prefixes/],
  ])("%# what cannot work is refused", (store, options, message) => {
    expect(() => toExpressStore(store as SessionStore, options as never)).toThrow(message);
  });
});

describe("MemoryStore", () => {
  test("is made with new, and by those that extend it", async () => {
    class Mine extends MemoryStore {}
    function Old(this: object): void {
      MemoryStore.call(this);
    }
    Object.setPrototypeOf(Old.prototype as object, MemoryStore.prototype);
    for (const store of [new MemoryStore(), new Mine(), new (Old as unknown as new () => MemoryStore)()]) {
      await store.set("a", { cookie: new Cookie() });
      expect([await store.length(), store instanceof MemoryStore, store instanceof Store]).toEqual([1, true, true]);
    }
    expect(new MemoryStore().constructor).toBe(MemoryStore);
    expect(Object.keys(new MemoryStore())).not.toContain("get");
  });
});

describe("the text of a session's data, found in its record", () => {
  const paths = fc.string({ unit: fc.constantFrom("/", "a", "}", "{", '"', "\\", ",", ":"), maxLength: 12 });
  // Without what no store keeps: see below.
  const isKept = (value: unknown): boolean => !JSON.stringify(value).includes('"__proto__"');
  const data = fc
    .dictionary(
      fc.string({ maxLength: 4 }).filter((key) => key !== "cookie"),
      fc.jsonValue({ maxDepth: 2 }),
      { maxKeys: 5 },
    )
    .filter(isKept);

  test("is what the data says, whatever the cookie and the data look like", async () => {
    await fc.assert(
      fc.asyncProperty(paths, paths, data, async (path, domain, content) => {
        const keeper = keeperOf(toExpressStore(memoryStore()));
        const session = { cookie: new Cookie({ path, domain, maxAge: MINUTE }), ...content };
        await keeper.set("a", { session, text: dataText(session), seen: keeper.nothing() });
        const found = await keeper.get("a");
        if (found?.seen.text !== undefined) expect(found.seen.text).toBe(dataText(found.record));
        expect(JSON.parse(`{${dataText(found?.record ?? {})}`)).toEqual(JSON.parse(`{${dataText(session)}`));
      }),
      { numRuns: 500 },
    );
  });

  test("loses a key __proto__, wherever that is, and nothing beside it; it is written anew once, and not each time", async () => {
    const keeper = keeperOf(toExpressStore(memoryStore()));
    const hostile = JSON.parse('{"a":{"__proto__":{"admin":true},"b":[{"__proto__":1,"c":2}]}}') as object;
    const session = { cookie: new Cookie({ maxAge: MINUTE }), ...hostile };
    await keeper.set("a", { session, text: dataText(session), seen: keeper.nothing() });
    const found = (await keeper.get("a"))!;
    expect(dataText(found.record)).toBe('"a":{"b":[{"c":2}]}}');
    expect(found.seen.text).not.toBe(dataText(found.record));
    await keeper.set("a", { session: found.record, text: dataText(found.record), seen: found.seen });
    const again = (await keeper.get("a"))!;
    expect(again.seen.text ?? dataText(again.record)).toBe('"a":{"b":[{"c":2}]}}');
  });

  test("is found in the usual case, so that it need not be made", async () => {
    const keeper = keeperOf(toExpressStore(memoryStore()));
    for (const content of [{}, { user: "ada", cart: [{ n: 1 }] }]) {
      const session = { cookie: new Cookie({ maxAge: MINUTE, sameSite: "lax" }), ...content };
      await keeper.set("a", { session, text: dataText(session), seen: keeper.nothing() });
      expect((await keeper.get("a"))?.seen.text).toBe(JSON.stringify(content).slice(1));
    }
  });
});
