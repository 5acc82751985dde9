import { describe, expect, test } from "vitest";
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
});
