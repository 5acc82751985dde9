import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { MaybePromise } from "../internal/maybe-promise.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { storeCases } from "../testing/store-cases.ts";
import { memoryStore } from "./memory.ts";
import { nearCache, type NearCache, type NearCacheOptions } from "./near-cache.ts";
import type { SessionStore, StoreChange, StoredRecord, WatchGaps } from "./store.ts";

const NOW = Date.UTC(2026, 0, 1);
const call = { now: NOW };
const record = (version: string, fields: Partial<StoredRecord> = {}): StoredRecord => ({
  version,
  expiresAt: NOW + 3_600_000,
  value: `{"of":"${version}"}`,
  ...fields,
});

/** A store that several processes share: its answers and its news arrive when the test says so. */
class Shared {
  readonly truth = memoryStore();
  readonly watchers = new Set<{ listener: (key: string, change?: StoreChange) => void; gaps: WatchGaps }>();
  reads = 0;
  /** Answers wait here while it is set. */
  held: (() => void)[] | undefined;

  readonly store: SessionStore = {
    ...this.truth,
    name: "sharedStore",
    returnsSame: false,
    read: (key, options) => {
      this.reads++;
      return this.#answer(this.truth.read(key, options));
    },
    update: (key, next, base, options) => this.#answer(this.truth.update(key, next, base, options)),
    delete: (key, options) => this.#answer(this.truth.delete(key, options)),
    watch: (listener, gaps = {}) => {
      const watcher = { listener, gaps };
      this.watchers.add(watcher);
      return () => void this.watchers.delete(watcher);
    },
  };

  /** What the store did, told later. */
  #answer<T>(answer: MaybePromise<T>): MaybePromise<T> {
    const { held } = this;
    return held === undefined ? answer : new Promise<T>((resolve) => void held.push(() => resolve(answer)));
  }

  async release(): Promise<void> {
    const held = this.held ?? [];
    this.held = undefined;
    for (const go of held) go();
    await new Promise((resolve) => void setImmediate(resolve));
  }

  restored(): void {
    for (const { gaps } of this.watchers) gaps.restored?.();
  }

  lost(): void {
    for (const { gaps } of this.watchers) gaps.lost?.();
  }

  tell(key: string, version?: string): void {
    for (const { listener } of this.watchers) listener(key, version === undefined ? {} : { version });
  }

  /** The news bring what is there now. */
  bring(key: string): void {
    this.news(key)();
  }

  /** Brings what is there now when it is called. */
  news(key: string): () => void {
    const found = this.truth.read(key, call) as StoredRecord | undefined;
    return () => {
      for (const { listener } of this.watchers) listener(key, found && { version: found.version, record: found });
    };
  }

  current(at: number): void {
    for (const { gaps } of this.watchers) gaps.current?.(at);
  }

  /** Another process writes. */
  elsewhere(key: string, version: string): void {
    const before = this.truth.read(key, call) as StoredRecord | undefined;
    if (before === undefined) this.truth.create(key, record(version), call);
    else this.truth.update(key, record(version), before, call);
  }

  near(options?: NearCacheOptions): NearCache {
    const near = nearCache(this.store, options);
    this.restored();
    return near;
  }
}

async function versionIn(near: NearCache, key = "k", at = NOW, fresh = false): Promise<string | undefined> {
  return (await near.read(key, { now: at, fresh }))?.version;
}

describe("nearCache keeps the store contract:", () => {
  for (const { name, capability, run } of storeCases) {
    test(name, () => run(() => nearCache(memoryStore(), { soleProcess: true })));
    // It passes `watch` on, which then waits to be told.
    if (capability === "watch") continue;
    test(`before it is told anything: ${name}`, () =>
      run(() => nearCache({ ...memoryStore(), watch: () => () => {} })));
  }
});

describe("reading", () => {
  test("asks the store once for a session, whoever asks how often", async () => {
    const shared = new Shared();
    const near = shared.near();
    shared.elsewhere("k", "1");
    for (let i = 0; i < 5; i++) expect(await versionIn(near)).toBe("1");
    expect(shared.reads).toBe(1);
    expect(near.stats()).toEqual({
      sessions: 1,
      hits: 4,
      misses: 1,
      invalidations: 0,
      flushes: 1,
      live: true,
      complete: false,
    });
  });

  test("gives the same frozen object again, so that what was made of it can be remembered", async () => {
    const shared = new Shared();
    const near = shared.near();
    shared.elsewhere("k", "1");
    const first = await near.read("k", call);
    expect(near.read("k", call)).toBe(first);
    expect(Object.isFrozen(first)).toBe(true);
    expect(near.returnsSame).toBe(true);
  });

  test("asks the store for what has to be fresh, and copies that", async () => {
    const shared = new Shared();
    const near = shared.near();
    shared.elsewhere("k", "1");
    await versionIn(near);
    shared.elsewhere("k", "2");
    expect(await versionIn(near, "k", NOW, true)).toBe("2");
    expect(await versionIn(near)).toBe("2");
    expect(shared.reads).toBe(2);
  });

  test("serves no copy for longer than maxAge after the store was asked, however often it is read", async () => {
    const shared = new Shared();
    const near = shared.near({ maxAge: "10s" });
    shared.elsewhere("k", "1");
    await versionIn(near, "k", NOW);
    // Nobody tells.
    shared.elsewhere("k", "2");
    for (const age of [1, 5_000, 9_999]) expect(await versionIn(near, "k", NOW + age)).toBe("1");
    expect(await versionIn(near, "k", NOW + 10_000)).toBe("2");
  });

  test("counts the age from when it asked, not from when the answer came", async () => {
    const shared = new Shared();
    const near = shared.near({ maxAge: "10s" });
    shared.elsewhere("k", "1");
    shared.held = [];
    const slow = near.read("k", { now: NOW });
    shared.elsewhere("k", "2");
    await shared.release();
    expect((await slow)?.version).toBe("1");
    expect(await versionIn(near, "k", NOW + 9_999)).toBe("1");
    expect(await versionIn(near, "k", NOW + 10_000)).toBe("2");
  });

  test("trusts no copy from the future of a clock that was set back", async () => {
    const shared = new Shared();
    const near = shared.near();
    shared.elsewhere("k", "1");
    await versionIn(near, "k", NOW);
    shared.elsewhere("k", "2");
    expect(await versionIn(near, "k", NOW - 1)).toBe("2");
  });

  test("P1: a copy whose session has ended by its clock is no answer: another process may have moved the end", async () => {
    const shared = new Shared();
    const near = shared.near();
    shared.truth.create("k", record("1", { expiresAt: NOW + 1_000 }), call);
    await versionIn(near);
    shared.truth.touch("k", NOW + 60_000, call);
    expect((await near.read("k", { now: NOW + 1_000 }))?.expiresAt).toBe(NOW + 60_000);
  });

  test("remembers nothing of a session that is not there: it may begin any moment", async () => {
    const shared = new Shared();
    const near = shared.near();
    expect(await versionIn(near)).toBeUndefined();
    shared.elsewhere("k", "1");
    expect(await versionIn(near)).toBe("1");
  });

  test("keeps no more than maxSessions, and none that is very large", async () => {
    const shared = new Shared();
    const near = shared.near({ maxSessions: 10 });
    for (let i = 0; i < 50; i++) {
      shared.elsewhere(`k${i}`, "1");
      await versionIn(near, `k${i}`);
    }
    expect(near.stats().sessions).toBeLessThanOrEqual(10);
    expect(near.stats().sessions).toBeGreaterThanOrEqual(5);
    shared.truth.create("large", record("1", { value: "x".repeat(70_000) }), call);
    await versionIn(near, "large");
    shared.reads = 0;
    await versionIn(near, "large");
    expect(shared.reads).toBe(1);
  });

  test("tells onRead of every read and of the age of what was served", async () => {
    const shared = new Shared();
    const onRead = vi.fn();
    const near = shared.near({ onRead });
    shared.elsewhere("k", "1");
    await versionIn(near, "k", NOW);
    await versionIn(near, "k", NOW + 700);
    expect(onRead.mock.calls).toEqual([[{ hit: false, age: 0 }], [{ hit: true, age: 700 }]]);
  });
});

describe("what other processes change", () => {
  test("is seen with the next read after it was told", async () => {
    const shared = new Shared();
    const near = shared.near();
    shared.elsewhere("k", "1");
    await versionIn(near);
    shared.elsewhere("k", "2");
    shared.tell("k", "2");
    expect(await versionIn(near)).toBe("2");
    shared.truth.delete("k", call);
    shared.tell("k");
    expect(await versionIn(near)).toBeUndefined();
    expect(near.stats().invalidations).toBe(2);
  });

  test("a copy of the very version that is told of stays", async () => {
    const shared = new Shared();
    const near = shared.near();
    shared.elsewhere("k", "1");
    await versionIn(near);
    shared.tell("k", "1");
    await versionIn(near);
    expect(shared.reads).toBe(1);
  });

  test("an answer that was asked for before a change was told of becomes no copy, unless it is that change", async () => {
    const shared = new Shared();
    const near = shared.near();
    shared.elsewhere("k", "1");
    shared.held = [];
    const early = near.read("k", call);
    shared.elsewhere("k", "2");
    shared.tell("k", "2");
    await shared.release();
    expect((await early)?.version).toBe("1");
    expect(await versionIn(near)).toBe("2");

    shared.elsewhere("k", "3");
    shared.held = [];
    const late = near.read("k", { now: NOW, fresh: true });
    shared.tell("k", "3");
    await shared.release();
    expect((await late)?.version).toBe("3");
    shared.reads = 0;
    expect(await versionIn(near)).toBe("3");
    expect(shared.reads).toBe(0);
  });

  test("an answer that was asked for before a deletion was told of becomes no copy", async () => {
    const shared = new Shared();
    const near = shared.near();
    shared.elsewhere("k", "1");
    shared.held = [];
    const early = near.read("k", call);
    shared.truth.delete("k", call);
    shared.tell("k");
    await shared.release();
    await early;
    expect(await versionIn(near)).toBeUndefined();
  });

  test("of two answers under way only the one asked for later becomes a copy", async () => {
    const shared = new Shared();
    const near = shared.near();
    shared.elsewhere("k", "1");
    shared.held = [];
    const first = near.read("k", call);
    shared.elsewhere("k", "2");
    const second = near.read("k", call);
    const [answerFirst, answerSecond] = shared.held;
    shared.held = undefined;
    answerSecond?.();
    await second;
    answerFirst?.();
    await first;
    expect(await versionIn(near)).toBe("2");
  });
});

describe("when changes cannot be told of", () => {
  test("nothing is copied before the first word that they are", async () => {
    const shared = new Shared();
    const near = nearCache(shared.store);
    shared.elsewhere("k", "1");
    await versionIn(near);
    await versionIn(near);
    expect(shared.reads).toBe(2);
    expect(near.stats().live).toBe(false);
    // What was asked for before is not trusted either.
    shared.held = [];
    const early = near.read("k", call);
    shared.restored();
    await shared.release();
    await early;
    await versionIn(near);
    expect(shared.reads).toBe(4);
  });

  test("all copies go when the feed is lost, none is made until it is back, and those before are not trusted then", async () => {
    const shared = new Shared();
    const near = shared.near();
    shared.elsewhere("k", "1");
    await versionIn(near);
    shared.lost();
    shared.elsewhere("k", "2");
    expect(await versionIn(near)).toBe("2");
    shared.elsewhere("k", "3");
    expect(await versionIn(near)).toBe("3");
    shared.held = [];
    const across = near.read("k", call);
    shared.elsewhere("k", "4");
    shared.restored();
    await shared.release();
    await across;
    expect(await versionIn(near)).toBe("4");
  });

  test("an answer that was asked for before the feed was lost becomes no copy when it is back", async () => {
    const shared = new Shared();
    const near = shared.near();
    shared.elsewhere("k", "1");
    shared.held = [];
    const across = near.read("k", call);
    shared.lost();
    shared.elsewhere("k", "2");
    shared.restored();
    await shared.release();
    await across;
    expect(await versionIn(near)).toBe("2");
  });

  test("after it was closed nothing is copied, nobody watches, and the store is closed", async () => {
    const shared = new Shared();
    const close = vi.fn();
    const near = nearCache({ ...shared.store, close });
    shared.restored();
    shared.elsewhere("k", "1");
    await versionIn(near);
    await near.close();
    expect(close).toHaveBeenCalledOnce();
    expect(shared.watchers.size).toBe(0);
    await versionIn(near);
    await versionIn(near);
    expect(shared.reads).toBe(3);
  });
});

describe("writing", () => {
  test("goes to the store first, and what was written is there without asking again", async () => {
    const shared = new Shared();
    const near = shared.near();
    await near.create("k", record("1"), call);
    const base = await near.read("k", call);
    expect(await near.update("k", record("2"), base!, call)).toBe("ok");
    shared.reads = 0;
    expect(await versionIn(near)).toBe("2");
    // The news of our own write arrives after its answer.
    shared.tell("k", "2");
    expect(await versionIn(near)).toBe("2");
    expect(shared.reads).toBe(0);
    expect(shared.truth.read("k", call)).toMatchObject({ version: "2" });
  });

  test("does not copy what another process has overwritten before the answer came", async () => {
    const shared = new Shared();
    const near = shared.near();
    shared.elsewhere("k", "1");
    const base = await near.read("k", call);
    shared.held = [];
    const updating = near.update("k", record("2"), base!, call);
    shared.tell("k", "2");
    shared.elsewhere("k", "3");
    shared.tell("k", "3");
    await shared.release();
    expect(await updating).toBe("ok");
    expect(await versionIn(near)).toBe("3");
  });

  test("a read that the store answered before the write does not outlive it, even if nobody tells", async () => {
    const shared = new Shared();
    let write = (): void => {};
    const update: SessionStore["update"] = (key, next, base, options) =>
      new Promise((resolve) => void (write = () => resolve(shared.truth.update(key, next, base, options))));
    const near = nearCache({ ...shared.store, update }, { soleProcess: true });
    shared.elsewhere("k", "1");
    const base = await near.read("k", call);
    const updating = near.update("k", record("2"), base!, call);
    expect(await versionIn(near)).toBe("1");
    write();
    await updating;
    expect(await versionIn(near)).toBe("2");
  });

  test("an answer between our write and that of another process becomes no copy", async () => {
    const shared = new Shared();
    const near = shared.near();
    shared.elsewhere("k", "1");
    const base = await near.read("k", call);
    shared.held = [];
    const updating = near.update("k", record("2"), base!, call);
    const between = near.read("k", { ...call, fresh: true });
    shared.elsewhere("k", "3");
    const [answerUpdating, answerBetween] = shared.held;
    shared.held = undefined;
    shared.tell("k", "2");
    shared.tell("k", "3");
    answerUpdating?.();
    expect(await updating).toBe("ok");
    answerBetween?.();
    expect((await between)?.version).toBe("2");
    expect(await versionIn(near)).toBe("3");
  });

  test.each(["conflict", "gone"] as const)("drops the copy that led to %s", async (outcome) => {
    const shared = new Shared();
    const near = shared.near();
    shared.elsewhere("k", "1");
    const base = await near.read("k", call);
    if (outcome === "conflict") shared.elsewhere("k", "2");
    else shared.truth.delete("k", call);
    expect(await near.update("k", record("3"), base!, call)).toBe(outcome);
    expect(await versionIn(near)).toBe(outcome === "conflict" ? "2" : undefined);
  });

  test("drops the copy when nobody knows what became of the write", async () => {
    const shared = new Shared();
    const near = nearCache({
      ...shared.store,
      update(key, next, base, options) {
        shared.truth.update(key, next, base, options);
        throw new Error("the answer was lost");
      },
      touch: () => Promise.reject(new Error("the answer was lost")),
    });
    shared.restored();
    shared.elsewhere("k", "1");
    const base = await near.read("k", call);
    expect(() => near.update("k", record("2"), base!, call)).toThrow("the answer was lost");
    expect(await versionIn(near)).toBe("2");
    await expect(near.touch("k", NOW + 1, call)).rejects.toThrow("the answer was lost");
    shared.reads = 0;
    await versionIn(near);
    expect(shared.reads).toBe(1);
  });

  test("what was deleted is gone at once, here, also while the store is at it", async () => {
    const shared = new Shared();
    const near = shared.near();
    shared.elsewhere("k", "1");
    await versionIn(near);
    shared.held = [];
    const reading = near.read("k", { ...call, fresh: true });
    const deleting = near.delete("k", call);
    await shared.release();
    await Promise.all([reading, deleting]);
    expect(await versionIn(near)).toBeUndefined();
  });

  test("what was deleted by its subject is gone at once, here", async () => {
    const shared = new Shared();
    const near = shared.near();
    shared.truth.create("k", record("1", { subject: "ada" }), call);
    shared.truth.create("l", record("1", { subject: "ada" }), call);
    await versionIn(near, "k");
    await versionIn(near, "l");
    expect(await near.deleteBySubject?.("ada", { except: "l" }, call)).toEqual(["k"]);
    expect(await versionIn(near, "k")).toBeUndefined();
    expect(await versionIn(near, "l")).toBe("1");
  });

  test("keeps no copy of what it wrote to a store with revisions of its own: only the store knows the next one", async () => {
    const shared = new Shared();
    const near = shared.near();
    shared.truth.create("k", record("1"), call);
    expect(await near.update("k", record("2"), { ...record("1"), revision: 7 }, call)).toBe("ok");
    await versionIn(near);
    expect(shared.reads).toBe(1);
  });
});

describe("a replica", () => {
  const replicaOf = (shared: Shared, options: NearCacheOptions = {}): NearCache =>
    nearCache(shared.store, { replica: true, clock: fakeClock(NOW), ...options });
  const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

  test("has a copy of every session before anybody reads one, and is kept up to date by the news", async () => {
    const shared = new Shared();
    for (let i = 0; i < 1_200; i++) shared.elsewhere(`k${i}`, "1");
    const near = replicaOf(shared);
    expect(near.stats()).toMatchObject({ live: false, complete: false, sessions: 0 });
    shared.restored();
    shared.current(NOW);
    await vi.waitUntil(() => near.stats().complete);
    expect(near.stats().sessions).toBe(1_200);
    shared.elsewhere("k7", "2");
    shared.bring("k7");
    shared.elsewhere("new", "1");
    shared.bring("new");
    expect(await versionIn(near, "k7")).toBe("2");
    expect(await versionIn(near, "new")).toBe("1");
    expect(await versionIn(near, "k8")).toBe("1");
    shared.truth.delete("k8", call);
    shared.bring("k8");
    expect(shared.reads).toBe(0);
    expect(await versionIn(near, "k8")).toBeUndefined();
  });

  test("what the news bring while all are being copied is not overwritten by an older page", async () => {
    const shared = new Shared();
    shared.elsewhere("k", "1");
    shared.elsewhere("l", "1");
    let turn = (): void => {};
    const { list } = shared.store;
    const slow: SessionStore = {
      ...shared.store,
      async list(prefix, page, options) {
        const found = await list!(prefix, page, options);
        await new Promise<void>((resolve) => (turn = resolve));
        return found;
      },
    };
    const near = nearCache(slow, { replica: true, clock: fakeClock(NOW) });
    shared.restored();
    shared.current(NOW);
    await settled();
    shared.elsewhere("k", "2");
    shared.bring("k");
    shared.truth.delete("l", call);
    shared.bring("l");
    turn();
    await vi.waitUntil(() => near.stats().complete);
    expect(await versionIn(near, "k")).toBe("2");
    expect(await versionIn(near, "l")).toBeUndefined();
  });

  test("a copy is as good as the last proof that all news have come, and no longer than maxAge after it", async () => {
    const shared = new Shared();
    shared.elsewhere("k", "1");
    const near = replicaOf(shared, { maxAge: "10s" });
    shared.restored();
    await vi.waitUntil(() => near.stats().complete);
    for (let at = NOW; at <= NOW + 60_000; at += 4_000) {
      shared.current(at);
      expect(await versionIn(near, "k", at + 3_000)).toBe("1");
    }
    expect(shared.reads).toBe(0);
    expect(await versionIn(near, "k", NOW + 69_999)).toBe("1");
    expect(shared.reads).toBe(0);
    expect(await versionIn(near, "k", NOW + 70_000)).toBe("1");
    expect(shared.reads).toBe(1);
  });

  test("a copy that all news speak for is asked for again after ten times maxAge: a purge is no news", async () => {
    const shared = new Shared();
    shared.elsewhere("k", "1");
    const near = replicaOf(shared, { maxAge: "2s" });
    shared.restored();
    await vi.waitUntil(() => near.stats().complete);
    shared.truth.delete("k", call);
    shared.current(NOW + 19_000);
    expect(await versionIn(near, "k", NOW + 19_999)).toBe("1");
    shared.current(NOW + 20_000);
    expect(await versionIn(near, "k", NOW + 20_000)).toBeUndefined();
  });

  test("what late news bring is no proof", async () => {
    const shared = new Shared();
    const near = replicaOf(shared, { maxAge: "2s" });
    shared.restored();
    shared.current(NOW);
    await vi.waitUntil(() => near.stats().complete);
    shared.elsewhere("k", "1");
    const late = shared.truth.read("k", call) as StoredRecord;
    shared.truth.delete("k", call);
    for (const { listener } of shared.watchers) listener("k", { version: "1", record: late });
    expect(await versionIn(near, "k", NOW + 1_999)).toBe("1");
    expect(await versionIn(near, "k", NOW + 2_000)).toBeUndefined();
  });

  test("without a replica the age counts from the reading, whatever the store can prove", async () => {
    const shared = new Shared();
    const near = shared.near({ maxAge: "10s" });
    shared.elsewhere("k", "1");
    await versionIn(near);
    shared.current(NOW + 9_000);
    await versionIn(near, "k", NOW + 10_000);
    expect(shared.reads).toBe(2);
  });

  test("is made anew when the news were lost, and nothing of the old one is served", async () => {
    const shared = new Shared();
    shared.elsewhere("k", "1");
    const near = replicaOf(shared);
    shared.restored();
    await vi.waitUntil(() => near.stats().complete);
    shared.lost();
    expect(near.stats()).toMatchObject({ live: false, complete: false, sessions: 0 });
    shared.elsewhere("k", "2");
    expect(await versionIn(near)).toBe("2");
    shared.restored();
    await vi.waitUntil(() => near.stats().complete);
    shared.reads = 0;
    expect(await versionIn(near)).toBe("2");
    expect(shared.reads).toBe(0);
  });

  test("tries again when the store does not list, and reads one by one meanwhile", async () => {
    const shared = new Shared();
    shared.elsewhere("k", "1");
    const clock = fakeClock(NOW);
    let fails = true;
    const { list } = shared.store;
    const near = nearCache(
      { ...shared.store, list: (...args) => (fails ? Promise.reject(new Error("away")) : list!(...args)) },
      { replica: true, clock },
    );
    shared.restored();
    await settled();
    expect(near.stats()).toMatchObject({ live: true, complete: false });
    expect(await versionIn(near)).toBe("1");
    fails = false;
    await clock.advanceAsync(1_000);
    await vi.waitUntil(() => near.stats().complete);
    await near.close();
    expect(clock.waiting).toBe(0);
  });

  test.each(["update", "delete", "deleteBySubject"] as const)(
    "news that are older than its own %s bring nothing back",
    async (verb) => {
      const shared = new Shared();
      const mine = (version: string): StoredRecord => record(version, { subject: "ada" });
      shared.truth.create("k", mine("1"), call);
      const near = replicaOf(shared);
      shared.restored();
      shared.current(NOW);
      await vi.waitUntil(() => near.stats().complete);
      shared.truth.update("k", mine("2"), mine("1"), call);
      const late = shared.news("k");
      if (verb === "update") await near.update("k", mine("3"), { ...mine("2"), revision: 7 }, call);
      else if (verb === "delete") await near.delete("k", call);
      else await near.deleteBySubject?.("ada", {}, call);
      const own = shared.news("k");
      late();
      expect(await versionIn(near)).toBe(verb === "update" ? "3" : undefined);
      own();
      expect(await versionIn(near)).toBe(verb === "update" ? "3" : undefined);
      // What comes then is news again.
      if (verb === "update") shared.elsewhere("k", "4");
      else shared.truth.create("k", record("4"), call);
      shared.bring("k");
      shared.reads = 0;
      expect([await versionIn(near), shared.reads]).toEqual(["4", 0]);
    },
  );

  test("keeps the copy that the news have brought of its own write", async () => {
    const shared = new Shared();
    const near = replicaOf(shared);
    shared.restored();
    shared.current(NOW);
    await vi.waitUntil(() => near.stats().complete);
    shared.elsewhere("k", "1");
    shared.bring("k");
    shared.held = [];
    const updating = near.update("k", record("2"), { ...record("1"), revision: 7 }, call);
    shared.bring("k");
    await shared.release();
    await updating;
    await near.touch("k", NOW + 7_200_000, call);
    shared.bring("k");
    expect(await versionIn(near)).toBe("2");
    expect(((await near.read("k", call)) as StoredRecord).expiresAt).toBe(NOW + 7_200_000);
    expect(shared.reads).toBe(0);
  });
});

describe("whatever the order in which answers and news arrive", () => {
  type Step =
    | { readonly kind: "elsewhere" | "delete" | "read" | "fresh" | "write" | "tell" | "lose" | "restore" }
    | { readonly kind: "answer"; readonly which: number }
    | { readonly kind: "wait"; readonly ms: number };

  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constantFrom("read", "fresh", "read", "tell", "tell", "elsewhere") }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("answer"), which: fc.nat(5) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("write", "write", "delete", "lose", "restore") }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("wait"), ms: fc.constantFrom(1, 4_000, 6_000) }) },
  );

  test("nothing is served that was over for maxAge, and what is served at last is the truth", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), (steps) => holds(steps)),
      { numRuns: 5_000 },
    );
  });

  /** Every version that was there, and when it ended to be the one that is. */
  interface Era {
    readonly version: string | undefined;
    until: number;
  }

  async function holds(steps: readonly Step[]): Promise<void> {
    const shared = new Shared();
    const near = shared.near({ maxAge: "10s" });
    let now = NOW;
    let isLive = true;
    let made = 0;
    const eras: Era[] = [{ version: undefined, until: Infinity }];
    const news: { readonly version: string | undefined }[] = [];
    const waiting: (() => void)[] = [];
    const follow = (version: string | undefined): void => {
      (eras.at(-1) as Era).until = now;
      eras.push({ version, until: Infinity });
      news.push({ version });
    };
    const tell = (): void => {
      const next = news.shift();
      if (next !== undefined && isLive) shared.tell("k", next.version);
    };
    const serve = (fresh: boolean): void => {
      shared.held = [];
      const asked = now;
      const { hits } = near.stats();
      const answer = near.read("k", { now, fresh });
      waiting.push(...shared.held);
      shared.held = undefined;
      if (near.stats().hits === hits) return;
      const { version } = answer as StoredRecord;
      const era = eras.findLast((one) => one.version === version) as Era;
      if (asked - era.until >= 10_000) throw new Error(`served ${version}, over for ${asked - era.until} ms`);
    };
    for (const one of steps) {
      if (one.kind === "wait") now += one.ms;
      else if (one.kind === "elsewhere") {
        shared.elsewhere("k", `e${++made}`);
        follow(`e${made}`);
      } else if (one.kind === "delete") {
        if (shared.truth.delete("k", { now }) === true) follow(undefined);
      } else if (one.kind === "write") {
        const base = shared.truth.read("k", { now }) as StoredRecord | undefined;
        if (base === undefined) continue;
        shared.held = [];
        void near.update("k", record(`w${++made}`), base, { now });
        waiting.push(...shared.held);
        shared.held = undefined;
        follow(`w${made}`);
      } else if (one.kind === "answer") waiting.splice(one.which % Math.max(1, waiting.length), 1)[0]?.();
      else if (one.kind === "tell") tell();
      else if (one.kind === "lose" && isLive) {
        isLive = false;
        shared.lost();
      } else if (one.kind === "restore" && !isLive) {
        isLive = true;
        news.length = 0;
        shared.restored();
      } else if (one.kind === "read" || one.kind === "fresh") serve(one.kind === "fresh");
      await Promise.resolve();
      await Promise.resolve();
    }
    for (const go of waiting) go();
    await new Promise((resolve) => void setImmediate(resolve));
    while (news.length > 0) tell();
    expect(await versionIn(near, "k", now)).toBe(
      (shared.truth.read("k", { now }) as StoredRecord | undefined)?.version,
    );
  }
});

describe("what it refuses, by name", () => {
  afterEach(() => void vi.unstubAllEnvs());

  test.each<[string, () => unknown, RegExp]>([
    ["a store that tells of nothing", () => nearCache(memoryStore()), /memoryStore cannot tell .* soleProcess/],
    [
      "a near cache of a near cache",
      () => nearCache(new Shared().near()),
      /nearCache\(sharedStore\) is a cache already/,
    ],
    ["what is no store", () => nearCache({} as never), /expected a session store/],
    ["no store", () => nearCache(undefined as never), /expected a session store/],
    ["an age of nothing", () => nearCache(new Shared().store, { maxAge: 0 }), /^maxAge must be/],
    [
      "a replica of what cannot list",
      () => nearCache({ ...new Shared().store, list: undefined } as never, { replica: true }),
      /^replica: sharedStore cannot list/,
    ],
    [
      "a replica in a sole process",
      () => nearCache(new Shared().store, { replica: true, soleProcess: true }),
      /^replica: a sole process/,
    ],
    ["a clock that is none", () => nearCache(new Shared().store, { clock: {} as never }), /^clock: /],
    ["half a session", () => nearCache(new Shared().store, { maxSessions: 0.5 }), /^maxSessions: /],
    ["a listener that is none", () => nearCache(new Shared().store, { onRead: 1 as never }), /^onRead: /],
    ["a misspelt option", () => nearCache(new Shared().store, { maxage: 1 } as never), /^maxage is not an option/],
  ])("%s", (_, make, message) => {
    expect(make).toThrow(TypeError);
    expect(make).toThrow(message);
  });

  test.each(["NODE_UNIQUE_ID", "NODE_APP_INSTANCE"])("a sole process that is a worker of several (%s)", (name) => {
    vi.stubEnv(name, "2");
    expect(() => nearCache(memoryStore(), { soleProcess: true })).toThrow(/^soleProcess: this is a worker/);
  });
});

describe("what it passes on", () => {
  test("has the optional members of its store, and no others", () => {
    const all = new Shared().near();
    for (const member of [
      "listBySubject",
      "deleteBySubject",
      "list",
      "count",
      "deleteExpired",
      "onExpired",
      "watch",
    ] as const) {
      expect(all[member], member).toBeTypeOf("function");
    }
    const { create, read, update, touch, delete: remove, watch } = new Shared().store;
    const few = nearCache({ create, read, update, touch, delete: remove, watch: watch! });
    expect(few.name).toBe("nearCache(custom)");
    expect(Object.keys(few)).not.toContain("list");
    expect(Object.keys(few)).not.toContain("deleteBySubject");
  });
});
