import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { fakeClock } from "../testing/fake-clock.ts";
import { storeCases } from "../testing/store-cases.ts";
import { type MemoryStoreOptions, memoryStore } from "./memory.ts";
import { EXPIRED_FOR, type ListedRecord, type StoredRecord } from "./store.ts";

const NOW = Date.UTC(2026, 0, 1);
const call = { now: NOW };
const record = (fields: Partial<StoredRecord> = {}): StoredRecord => ({
  version: "1",
  expiresAt: NOW + 60_000,
  value: "{}",
  ...fields,
});

async function keysOf(listing: AsyncIterable<ListedRecord>): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of listing) keys.push(key);
  return keys;
}

describe("memoryStore keeps the store contract:", () => {
  for (const { name, run } of storeCases) test(name, () => run(() => memoryStore()));
});

describe("memoryStore with a bound", () => {
  test("lets the least recently used session go", () => {
    const store = memoryStore({ maxSessions: 3 });
    for (const key of ["a", "b", "c"]) store.create(key, record(), call);
    store.read("a", call);
    store.touch("b", NOW + 60_000, call);
    store.create("d", record(), call);
    expect(store.read("c", call)).toBeUndefined();
    store.update("a", record({ version: "2" }), record(), call);
    store.create("e", record(), call);
    expect(store.read("b", call)).toBeUndefined();
    expect(store.count("", call)).toBe(3);
    expect(["a", "d", "e"].every((key) => store.read(key, call) !== undefined)).toBe(true);
  });

  test("keeps exactly that many, and neither refused creates nor reads of nothing count", () => {
    const store = memoryStore({ maxSessions: 2 });
    store.create("a", record(), call);
    store.create("b", record(), call);
    store.create("b", record(), call);
    store.read("c", call);
    expect(store.count("", call)).toBe(2);
    store.create("c", record(), call);
    expect(store.read("a", call)).toBeUndefined();
  });

  test("keeps one if that is the bound", () => {
    const store = memoryStore({ maxSessions: 1 });
    for (const key of ["a", "b", "c"]) expect(store.create(key, record(), call)).toBe(true);
    expect(store.read("c", call)).toEqual(record());
    expect(store.count("", call)).toBe(1);
  });

  test("tells onEvict of a good session that had to go, and of no other", () => {
    const evicted: string[] = [];
    const onEvict = (key: string, { value }: StoredRecord): void => void evicted.push(`${key} ${value}`);
    const store = memoryStore({ maxSessions: 2, onEvict });
    store.create("over", record({ expiresAt: NOW + 1 }), call);
    store.create("a", record({ value: "A" }), call);
    store.create("b", record(), { now: NOW + 1 });
    expect(evicted).toEqual([]);
    store.create("c", record(), call);
    expect(evicted).toEqual(["a A"]);
    store.delete("b", call);
    expect(evicted).toEqual(["a A"]);
  });

  test("forgets the subject of a session that had to go", async () => {
    const store = memoryStore({ maxSessions: 1 });
    store.create("a", record({ subject: "s" }), call);
    store.create("b", record({ subject: "s" }), call);
    expect(await keysOf(store.listBySubject("s", call))).toEqual(["b"]);
  });

  test("is 100 000 by default", () => {
    const store = memoryStore();
    for (let i = 0; i <= 100_000; i++) store.create(`k${i}`, record(), call);
    expect(store.count("", call)).toBe(100_000);
    expect(store.read("k0", call)).toBeUndefined();
    expect(store.read("k1", call)).toEqual(record());
  });

  test("is right after any mixture of verbs: the order of use is that of a plain list", () => {
    const store = memoryStore({ maxSessions: 8 });
    let order: string[] = [];
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (let i = 0; i < 5_000; i++) {
      const key = `k${random(12)}`;
      const known = order.includes(key);
      const rest = order.filter((other) => other !== key);
      const verb = random(4);
      if (verb === 0) {
        expect(store.create(key, record(), call)).toBe(!known);
        if (!known) order = [...rest, key].slice(-8);
      } else if (verb === 1) {
        expect(store.delete(key, call)).toBe(known);
        order = rest;
      } else {
        expect(verb === 2 ? store.read(key, call) !== undefined : store.touch(key, 0, call)).toBe(known);
        if (known) order = [...rest, key];
      }
      expect(store.count("", call)).toBe(order.length);
    }
  });
});

describe("memoryStore sweeps", () => {
  const swept = (options: MemoryStoreOptions = {}) => {
    const clock = fakeClock(NOW);
    return { clock, store: memoryStore({ clock, ...options }) };
  };

  test("P1: expired sessions five minutes after their end, every minute, with their subjects", async () => {
    const { clock, store } = swept();
    store.create("a", record({ expiresAt: NOW + 1, subject: "s" }), call);
    store.create("b", record({ expiresAt: NOW + 3_600_000, subject: "s" }), call);
    clock.advance(EXPIRED_FOR);
    expect(store.read("a", call)).toBeDefined();
    clock.advance(60_000);
    expect(store.read("a", call)).toBeUndefined();
    expect(await keysOf(store.listBySubject("s", call))).toEqual(["b"]);
  });

  test("all of many, in slices", () => {
    const { clock, store } = swept();
    for (let i = 0; i < 10_000; i++) store.create(`k${i}`, record({ expiresAt: NOW + (i % 2) * 3_600_000 + 1 }), call);
    clock.set(NOW + EXPIRED_FOR + 2);
    clock.advance(60_000);
    expect(store.count("", call)).toBe(9_000);
    clock.advance(1_000);
    expect(store.count("", call)).toBe(5_000);
  });

  test("on, while sessions are used, created and deleted between the slices", () => {
    const { clock, store } = swept();
    for (let i = 0; i < 9_000; i++) store.create(`k${i}`, record({ expiresAt: NOW + 1 }), call);
    clock.set(NOW + EXPIRED_FOR + 2);
    clock.advance(60_000);
    for (let i = 1_500; i < 2_500; i++) store.read(`k${i}`, call);
    for (let i = 3_000; i < 4_000; i++) store.delete(`k${i}`, call);
    store.create("late", record({ expiresAt: NOW + 3_600_000 }), call);
    clock.advance(1_000);
    expect(store.count("", call)).toBe(1);
  });

  test("from the first create on, and not before", () => {
    const { clock, store } = swept();
    store.read("a", call);
    expect(clock.waiting).toBe(0);
    store.create("a", record(), call);
    expect(clock.waiting).toBe(1);
    store.close();
    expect(clock.waiting).toBe(0);
  });

  test("not at all when sweepInterval is false", () => {
    const { clock, store } = swept({ sweepInterval: false });
    store.create("a", record(), call);
    expect(clock.waiting).toBe(0);
  });
});

describe("memoryStore", () => {
  test("answers at once", () => {
    const store = memoryStore();
    expect(store.create("k", record(), call)).toBe(true);
    expect(store.read("k", call)).toEqual(record());
    expect(store.update("k", record({ version: "2" }), record(), call)).toBe("ok");
    expect(store.touch("k", 0, call)).toBe(true);
    expect(store.delete("k", call)).toBe(true);
  });

  test("hands out the same frozen record again and again, so that a read makes none", () => {
    const store = memoryStore();
    store.create("k", record(), call);
    expect(store.read("k", call)).toBe(store.read("k", call));
    expect(Object.isFrozen(store.read("k", call))).toBe(true);
  });

  test("keeps no revision of another store", () => {
    const store = memoryStore();
    store.create("k", record({ revision: { other: true } }), call);
    expect(store.read("k", call)).toEqual(record());
  });

  test.each([
    ["maxSessions", 0],
    ["maxSessions", 1.5],
    ["maxSessions", Infinity],
    ["maxSessions", "10"],
    ["onEvict", "log"],
    ["sweepInterval", 0],
    ["sweepInterval", "often"],
  ])("refuses %s: %s", (option, value) => {
    const make = (): unknown => memoryStore({ [option]: value });
    expect(make).toThrow(TypeError);
    expect(make).toThrow(option);
  });
});

describe("memoryStore in a process of its own", () => {
  const run = (script: string): string =>
    execFileSync(process.execPath, ["--expose-gc", "--input-type=module", "-e", script], {
      encoding: "utf8",
      env: { ...process.env, NODE_OPTIONS: "" },
      timeout: 20_000,
    });
  const STORE = JSON.stringify(new URL("./memory.ts", import.meta.url).href);

  test("takes at most 500 bytes a session above its JSON, the subject included", () => {
    const perSession = run(`
      import { memoryStore } from ${STORE};
      const count = 50_000, now = Date.now();
      const store = memoryStore();
      const text = (i, length) => String(i).padStart(length, "x").split("").join("");
      const value = (i) => text(i, 113);
      const used = () => (gc(), gc(), process.memoryUsage().heapUsed);
      const before = used();
      for (let i = 0; i < count; i++) {
        const record = { version: text(i, 22), expiresAt: now + 1e6 + i, subject: "user/" + text(i, 12), value: value(i) };
        store.create("user/" + text(i, 22), record, { now });
      }
      console.log((used() - before) / count - 113, store.count("", { now }));
    `);
    const [bytes, count] = perSession.trim().split(" ").map(Number);
    expect(count).toBe(50_000);
    expect(bytes).toBeLessThan(500);
  });

  test("does not keep the process alive", () => {
    const before = Date.now();
    run(`
      import { memoryStore } from ${STORE};
      memoryStore().create("k", { version: "1", expiresAt: Date.now() + 1e6, value: "" }, { now: Date.now() });
    `);
    expect(Date.now() - before).toBeLessThan(15_000);
  });
});
