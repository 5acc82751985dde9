import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type FakeClock, fakeClock } from "../testing/fake-clock.ts";
import { directoryStore } from "./directory.ts";
import { memoryStore } from "./memory.ts";
import { sqliteStore } from "./sqlite.ts";
import { EXPIRED_FOR, type ExpiredRecord, type ListedPage, type SessionStore, type StoredRecord } from "./store.ts";

const home = mkdtempSync(join(tmpdir(), "coatcheck-expired-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const MINUTE = 60_000;
type Store = SessionStore & Required<Pick<SessionStore, "list" | "onExpired" | "deleteExpired">>;
let made = 0;

/** Returns what opens the same store again and again; where there is only one, the same one. */
const STORES: Readonly<Record<string, (clock: FakeClock) => () => Store>> = {
  memoryStore(clock) {
    const store = memoryStore({ clock, sweepInterval: "1m" });
    return () => store;
  },
  sqliteStore(clock) {
    const file = join(home, `${++made}.db`);
    return () => sqliteStore(file, { clock, sweepInterval: "1m" });
  },
  directoryStore(clock) {
    const root = join(home, `${++made}`);
    return () => directoryStore(root, { clock, sweepInterval: "1m" });
  },
};

describe.each(Object.entries(STORES))("sessions that ended by their clocks, in a %s", (name, make) => {
  const setup = () => {
    const clock = fakeClock(Date.now());
    const open = make(clock);
    const store = open();
    const told: ExpiredRecord[] = [];
    const add = (key: string, fields: Partial<StoredRecord> = {}): unknown =>
      store.create(
        key,
        { version: "1", expiresAt: clock.now() + MINUTE, value: "{}", ...fields },
        { now: clock.now() },
      );
    return { clock, open, store, told, add, long: { now: clock.now() } };
  };
  const due = EXPIRED_FOR + MINUTE + 1;

  test("are told of by the sweeper, once each, five minutes after their end", async () => {
    const { clock, store, told, add } = setup();
    store.onExpired((expired) => void told.push(expired));
    add("n/ada1", { subject: "n/ada" });
    add("n/guest");
    add("n/lives", { expiresAt: clock.now() + 3_600_000 });
    await clock.advanceAsync(EXPIRED_FOR + MINUTE);
    expect(told).toEqual([]);
    await clock.advanceAsync(MINUTE + 1_000);
    for (let turns = 0; turns < 200 && told.length < 2; turns++) await clock.advanceAsync(1);
    const expected = [{ key: "n/ada1", subject: "n/ada" }, { key: "n/guest" }];
    expect(told.toSorted((a, b) => (a.key < b.key ? -1 : 1))).toEqual(expected);
    await clock.advanceAsync(5 * MINUTE);
    expect(told).toHaveLength(2);
  });

  test("are told of before they are removed: who dies in between leaves them for the next sweep", async () => {
    const { clock, store, told, add, long } = setup();
    for (const key of ["n/a", "n/b", "n/c"]) add(key);
    clock.set(clock.now() + due);
    const end = store.onExpired(({ key }) => {
      expect(store.read(key, long)).toMatchObject({ value: "{}" });
      throw new Error("killed");
    });
    await expect((async () => store.deleteExpired(10, { now: clock.now() }))()).rejects.toThrow("killed");
    end();
    store.onExpired((expired) => void told.push(expired));
    expect(await store.deleteExpired(10, { now: clock.now() })).toBe(3);
    expect(told.map(({ key }) => key).toSorted()).toEqual(["n/a", "n/b", "n/c"]);
    expect(store.read("n/a", long)).toBeUndefined();
  });

  test("may be deleted or begun anew by who is told: what is new stays", async () => {
    const { clock, store, add } = setup();
    for (const key of ["n/a", "n/b", "n/c"]) add(key);
    clock.set(clock.now() + due);
    const now = { now: clock.now() };
    store.onExpired(({ key }) => {
      if (key === "n/a") add("n/a", { version: "2" });
      if (key === "n/b") void store.delete("n/b", { now: 0 });
    });
    await store.deleteExpired(10, now);
    expect(store.read("n/a", now)).toMatchObject({ version: "2" });
    expect([store.read("n/b", { now: 0 }), store.read("n/c", { now: 0 })]).toEqual([undefined, undefined]);
  });

  test("no timer is set before somebody listens or writes", async () => {
    const { clock, open, store, add, told } = setup();
    expect(clock.waiting).toBe(0);
    add("n/a");
    expect(clock.waiting).toBe(1);
    if (name === "memoryStore") return;
    await store.close?.();
    const other = open();
    expect(clock.waiting).toBe(0);
    other.onExpired((expired) => void told.push(expired));
    expect(clock.waiting).toBe(1);
    clock.set(clock.now() + due);
    for (let turns = 0; turns < 300 && told.length === 0; turns++) await clock.advanceAsync(1_000);
    expect(told).toEqual([{ key: "n/a" }]);
    await other.close?.();
  });

  test("a walk through the others goes on in another process", async () => {
    const { clock, open, store, add } = setup();
    const keys = Array.from({ length: 25 }, (_, i) => `n/${i}`);
    for (const key of keys) add(key);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page: ListedPage = await open().list("n/", { cursor, limit: 4 }, { now: clock.now() });
      expect(page.records.length).toBeLessThanOrEqual(4);
      expect(page.cursor ?? "last").toMatch(/^[\w-]+$/);
      seen.push(...page.records.map(({ key }) => key));
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(seen.toSorted()).toEqual(keys.toSorted());
    await store.close?.();
  });
});

test("memoryStore tells of one that ended and had to go because of maxSessions", () => {
  const clock = fakeClock();
  const evicted: string[] = [];
  const store = memoryStore({ clock, maxSessions: 2, onEvict: (key) => void evicted.push(key) });
  const told: ExpiredRecord[] = [];
  store.onExpired((expired) => void told.push(expired));
  const add = (key: string, fields: object = {}): unknown =>
    store.create(key, { version: "1", expiresAt: clock.now() + 1, value: "", ...fields }, { now: clock.now() });
  add("a", { subject: "s" });
  clock.advance(10);
  add("b");
  add("c");
  add("d");
  expect([told, evicted]).toEqual([[{ key: "a", subject: "s" }], ["b"]]);
});
