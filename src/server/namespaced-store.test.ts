import { describe, expect, test } from "vitest";
import { Browser } from "../../test/testbed.ts";
import { defineSession, type SessionStore, type StoredRecord } from "../index.ts";
import { memoryStore } from "../store/memory.ts";
import { sqliteStore } from "../store/sqlite.ts";
import { storeCases } from "../testing/store-cases.ts";
import { isNamespace, namespacedStore } from "./namespaced-store.ts";

describe("a namespace of a store passes the kit", () => {
  for (const { name, run } of storeCases) {
    test(`memory: ${name}`, () => run(() => namespacedStore(memoryStore(), "shop")));
    test(`sqlite: ${name}`, () => run(() => namespacedStore(sqliteStore(":memory:"), "shop")));
  }
});

describe("namespaces", () => {
  const record = { version: "1", expiresAt: Number.MAX_SAFE_INTEGER, subject: "user/ada", value: "{}" };
  const call = { now: 0 };

  test("see nothing of each other, whatever keys and subjects are called", async () => {
    const store = memoryStore();
    const [shop, sho] = [namespacedStore(store, "shop"), namespacedStore(store, "sho")];
    await shop.create("user/1", record, call);
    await sho.create("p:user/1", { ...record, version: "2" }, call);
    expect(await sho.read("user/1", call)).toBeUndefined();
    expect(await sho.count?.("", call)).toBe(1);
    expect(await shop.deleteBySubject?.("user/ada", {}, call)).toEqual(["user/1"]);
    expect(await sho.read("p:user/1", call)).toEqual({ ...record, version: "2" });
    expect(await sho.deleteBySubject?.("user/ada", { except: "p:user/1" }, call)).toEqual([]);
  });

  test("have names without what ends them", () => {
    expect(["shop", "a", "shop-2"].every(isNamespace)).toBe(true);
    expect(["", "Shop", "a:b", "-a", "a-", "a/b", "x".repeat(33), undefined].some(isNamespace)).toBe(false);
    expect(() => namespacedStore(memoryStore(), "a:b")).toThrow(TypeError);
  });

  test("say that they answer from a cache where their store does, and that records are made anew", async () => {
    const inner = memoryStore();
    const shop = namespacedStore({ ...inner, cached: true, cachedFor: 5_000 }, "shop");
    expect(shop).toMatchObject({ cached: true, cachedFor: 5_000, returnsSame: false });
    await shop.create("user/1", record, call);
    expect(await shop.read("user/1", call)).not.toBe(await shop.read("user/1", call));
    expect(namespacedStore(inner, "shop").cached).toBe(false);
  });

  test("over a cached store, what others have changed or ended is neither lost nor brought back", async () => {
    const truth = memoryStore();
    const copies = new Map<string, StoredRecord | undefined>();
    const cached: SessionStore = {
      ...truth,
      cached: true,
      cachedFor: 60_000,
      returnsSame: false,
      async read(key, given) {
        if (given.fresh === true || !copies.has(key)) copies.set(key, await truth.read(key, given));
        return copies.get(key);
      },
    };
    const over = (store: SessionStore) => defineSession<{ a?: number; b?: number }>({ name: "user", store });
    const [here, there] = [over(namespacedStore(cached, "shop")), over(namespacedStore(truth, "shop"))];
    const browser = new Browser(here, there);
    await browser.visit(here, (session) => session.set({ a: 1 }));
    await browser.visit(here, (session) => session.data);
    await browser.visit(there, (session) => session.patch({ b: 2 }));
    await browser.visit(here, (session) => session.patch({ a: 3 }));
    expect(await browser.visit(there, (session) => ({ ...session.data }))).toEqual({ a: 3, b: 2 });
  });
});
