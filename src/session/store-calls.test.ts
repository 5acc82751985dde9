import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Browser, gate, instrumented } from "../../test/testbed.ts";
import { defineSession } from "../define-session.ts";
import { StoreError } from "../errors.ts";
import { isPromise } from "../internal/maybe-promise.ts";
import { memoryStore } from "../store/memory.ts";
import type { SessionStore, StoreCall, StoredRecord } from "../store/store.ts";
import { type FakeClock, fakeClock } from "../testing/fake-clock.ts";
import { storeCalls, type StoreCalls } from "./store-calls.ts";

const TIMEOUT = 2_000;
const record = (n: number): StoredRecord => ({ version: `v${n}`, expiresAt: 9e15, value: String(n) });
const refused = (): Error => Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });

/** A call that a store has been given and that the test answers. */
interface Pending {
  readonly verb: "read" | "touch" | "list";
  readonly key: string;
  readonly call: StoreCall;
  /** Does what the call is for, if that was not done before; the answer is on its way. */
  apply(): void;
  answer(): void;
  fail(error: Error): void;
  /** Whether the caller has given up. */
  readonly isGivenUp: boolean;
}

interface Remote {
  readonly store: SessionStore;
  readonly pending: Pending[];
  /** What the engine holds: `touch` writes the later of both, as the contract says. */
  readonly values: Map<string, number>;
}

/** A store somewhere else: every call waits until the test says what becomes of it. */
function remote(): Remote {
  const pending: Pending[] = [];
  const values = new Map<string, number>();
  const begin = <T>(verb: Pending["verb"], key: string, call: StoreCall, act: () => T): Promise<T> =>
    new Promise((resolve, reject) => {
      let done: { readonly value: T } | undefined;
      const { signal } = call;
      const end = (entry: Pending): void => {
        if (pending.includes(entry)) pending.splice(pending.indexOf(entry), 1);
      };
      const entry: Pending = {
        verb,
        key,
        call,
        apply: () => void (done ??= { value: act() }),
        answer() {
          entry.apply();
          end(entry);
          resolve(done!.value);
        },
        fail(error) {
          end(entry);
          reject(error);
        },
        get isGivenUp() {
          return signal?.aborted === true;
        },
      };
      pending.push(entry);
    });
  const read = (key: string): StoredRecord | undefined => (values.has(key) ? record(values.get(key)!) : undefined);
  const unused = (): never => {
    throw new Error("unused");
  };
  const store: SessionStore = {
    read: (key, call) => begin("read", key, call, () => read(key)),
    touch: (key, value, call) =>
      begin("touch", key, call, () => values.set(key, Math.max(value, values.get(key) ?? 0)) !== undefined),
    list: (prefix, _, call) => begin("list", prefix, call, () => ({ records: [] })),
    create: unused,
    update: unused,
    delete: unused,
  };
  return { store, pending, values };
}

interface World extends Remote {
  readonly clock: FakeClock;
  readonly calls: StoreCalls;
  readonly events: string[];
}

function world(): World {
  const clock = fakeClock();
  const events: string[] = [];
  const there = remote();
  const emit = (type: string): void => void events.push(type);
  return { ...there, clock, events, calls: storeCalls(there.store, { clock, timeout: TIMEOUT, events: { emit } }) };
}

/** What became of a promise, as text, once everything that can has settled. */
function outcomes(): { follow(name: string, act: () => unknown): void; readonly seen: Record<string, string> } {
  const seen: Record<string, string> = {};
  const say = (error: unknown): string => {
    const { timedOut, cause } = error as StoreError;
    return timedOut ? "timeout" : String((cause as Error).message);
  };
  return {
    seen,
    follow(name, act) {
      try {
        Promise.resolve(act()).then(
          (value) => (seen[name] = (value as StoredRecord | undefined)?.value ?? String(value)),
          (error: unknown) => (seen[name] = say(error)),
        );
      } catch (error) {
        seen[name] = say(error);
      }
    },
  };
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe("reads of one session at the same time", () => {
  test("those who come while a read is under way share the next one; nobody joins one begun before", async () => {
    const { calls, pending, values } = world();
    const { follow, seen } = outcomes();
    values.set("k", 1);
    follow("first", () => calls.read("k"));
    pending[0]!.apply();
    values.set("k", 2);
    follow("second", () => calls.read("k"));
    follow("third", () => calls.read("k"));
    await turn();
    expect(pending).toHaveLength(1);
    pending[0]!.answer();
    await turn();
    expect([seen, pending.length]).toEqual([{ first: "1" }, 1]);
    values.set("k", 3);
    follow("fourth", () => calls.read("k"));
    pending[0]!.answer();
    await turn();
    expect([seen, pending.length]).toEqual([{ first: "1", second: "3", third: "3" }, 1]);
    pending[0]!.answer();
    await turn();
    expect([seen["fourth"], pending.length]).toEqual(["3", 0]);
  });

  test("of different sessions have nothing to do with each other", () => {
    const { calls, pending } = world();
    for (const key of ["a", "b", "c"]) void calls.read(key);
    expect(pending.map(({ key }) => key)).toEqual(["a", "b", "c"]);
  });

  test("P7: the shared one is fresh if one of them asks for that, and never one that was begun before", async () => {
    const { calls, pending } = world();
    void calls.read("k");
    void calls.read("k");
    void calls.read("k", { fresh: true });
    void calls.read("k");
    expect(pending.map(({ call }) => call.fresh)).toEqual([undefined]);
    pending[0]!.answer();
    await turn();
    expect(pending.map(({ call }) => call.fresh)).toEqual([true]);
  });

  test("a failure is everybody's who has joined, told once; the next one reads again", async () => {
    const { calls, pending, events } = world();
    const { follow, seen } = outcomes();
    follow("first", () => calls.read("k"));
    follow("second", () => calls.read("k"));
    follow("third", () => calls.read("k"));
    pending[0]!.answer();
    await turn();
    pending[0]!.fail(new Error("broken"));
    await turn();
    expect(seen).toEqual({ first: "undefined", second: "broken", third: "broken" });
    expect(events).toEqual(["store-error"]);
    follow("fourth", () => calls.read("k"));
    pending[0]!.answer();
    await turn();
    expect(seen["fourth"]).toBe("undefined");
  });

  test("each waits no longer than the timeout from their own call", async () => {
    const { calls, pending, clock } = world();
    const { follow, seen } = outcomes();
    follow("first", () => calls.read("k"));
    await clock.advanceAsync(500);
    follow("second", () => calls.read("k"));
    await clock.advanceAsync(1_000);
    follow("third", () => calls.read("k"));
    await clock.advanceAsync(499);
    expect(seen).toEqual({});
    await clock.advanceAsync(1);
    expect(seen).toEqual({ first: "timeout" });
    expect(pending.map(({ isGivenUp }) => isGivenUp)).toEqual([true, false]);
    await clock.advanceAsync(500);
    expect(seen).toEqual({ first: "timeout", second: "timeout" });
    pending[1]!.answer();
    await turn();
    expect(seen["third"]).toBe("undefined");
    expect(clock.waiting).toBe(0);
  });
});

describe("a store that is gone", () => {
  const lose = async ({ calls, pending }: World, failures = 5): Promise<void> => {
    for (let i = 0; i < failures; i++) {
      const answer = Promise.resolve(calls.touch(`k${i}`, 1)).catch((error: unknown) => error);
      pending[0]!.fail(refused());
      expect(await answer).toBeInstanceOf(StoreError);
    }
  };

  test("fails calls at once, saying so, without being called; every verb, reads that could wait for another too", async () => {
    const it = world();
    void Promise.resolve(it.calls.read("busy")).catch(() => undefined);
    const busy = it.pending.pop()!;
    await lose(it);
    it.pending.push(busy);
    expect(it.events.filter((event) => event !== "store-error")).toEqual(["store-down"]);
    for (const act of [
      () => it.calls.read("k"),
      () => it.calls.read("busy"),
      () => it.calls.touch("k", 1),
      () => it.calls.create("k", record(1)),
      () => it.calls.update("k", record(1), record(1)),
      () => it.calls.delete("k"),
      () => it.calls.guard("list", (call) => it.store.list!("", { limit: 1 }, call)),
    ]) {
      const before = it.events.length;
      expect(act).toThrow(expect.objectContaining({ name: "StoreError", timedOut: false, status: 503 }));
      expect(it.events.slice(before)).toEqual(["store-error"]);
    }
    expect(() => it.calls.read("k")).toThrow(
      expect.objectContaining({
        cause: expect.objectContaining({ message: expect.stringMatching(/has not answered 5 times in a row/) }),
      }),
    );
    expect(it.pending).toEqual([busy]);
  });

  test("by timeouts, too: the requests of a whole burst wait once, the next ones not at all", async () => {
    const { calls, pending, clock } = world();
    const { follow, seen } = outcomes();
    for (let i = 0; i < 8; i++) follow(`r${i}`, () => calls.read(`k${i}`));
    await clock.advanceAsync(TIMEOUT);
    expect(new Set(Object.values(seen))).toEqual(new Set(["timeout"]));
    expect(pending.every(({ isGivenUp }) => isGivenUp)).toBe(true);
    expect(() => calls.read("k")).toThrow(StoreError);
  });

  test("is there again for the next request after it has come back, without a restart", async () => {
    const it = world();
    await lose(it);
    it.clock.advance(100);
    const probe = it.calls.read("k");
    expect(isPromise(probe)).toBe(true);
    expect(() => it.calls.read("other")).toThrow(StoreError);
    it.pending[0]!.answer();
    await probe;
    expect(it.events.at(-1)).toBe("store-up");
    const next = it.calls.read("other");
    it.pending[0]!.answer();
    expect(await next).toBeUndefined();
  });

  test("that answers with errors is there", async () => {
    const { calls, pending, events } = world();
    for (let i = 0; i < 50; i++) {
      const { follow, seen } = outcomes();
      follow("read", () => calls.read("k"));
      pending[0]!.fail(Object.assign(new Error("OOM command not allowed"), { name: "ErrorReply" }));
      await turn();
      expect(seen["read"]).toBe("OOM command not allowed");
    }
    expect(events).not.toContain("store-down");
  });

  test("is told by drivers that throw at once, and by those that reject", () => {
    const events: string[] = [];
    const down = (): never => {
      throw Object.assign(new Error("The client is offline"), { name: "ClientOfflineError" });
    };
    const store = { read: down, create: down, update: down, touch: down, delete: down };
    const calls = storeCalls(store, {
      clock: fakeClock(),
      timeout: TIMEOUT,
      events: { emit: (type) => void events.push(type) },
    });
    for (let i = 0; i < 5; i++) expect(() => calls.read("k")).toThrow(StoreError);
    expect(events.at(-1)).toBe("store-down");
  });

  test("is not told by listings that take too long", async () => {
    const { calls, store, clock, events } = world();
    for (let i = 0; i < 10; i++) {
      void Promise.resolve(calls.guard("list", (call) => store.list!("", { limit: 1 }, call))).catch(() => undefined);
    }
    await clock.advanceAsync(TIMEOUT);
    expect(events.filter((event) => event === "store-error")).toHaveLength(10);
    expect(events).not.toContain("store-down");
  });

  test("P18: a write that timed out is not repeated, and its late success is no answer to anybody", async () => {
    const { calls, pending, clock, values } = world();
    const { follow, seen } = outcomes();
    follow("write", () => calls.touch("k", 7));
    await clock.advanceAsync(TIMEOUT);
    expect([seen, pending.length]).toEqual([{ write: "timeout" }, 1]);
    pending[0]!.answer();
    await turn();
    expect([seen, pending.length, values.get("k")]).toEqual([{ write: "timeout" }, 0, 7]);
  });
});

describe("calls that wait for a store", () => {
  test("are bounded: of more than ten thousand the rest fails at once", async () => {
    const { calls, pending, events } = world();
    const answers = Array.from({ length: 10_000 }, (_, i) => calls.touch(`k${i}`, 1));
    expect(() => calls.touch("one more", 1)).toThrow(
      expect.objectContaining({
        cause: expect.objectContaining({ message: expect.stringMatching(/10000 calls wait/) }),
      }),
    );
    expect(pending).toHaveLength(10_000);
    pending[0]!.answer();
    await answers[0];
    void calls.touch("one more", 1);
    expect(pending).toHaveLength(10_000);
    expect(events).toEqual(["store-error"]);
  });
});

test("a call that is answered after its timeout makes room once", async () => {
  const { calls, pending, clock } = world();
  for (let i = 0; i < 3; i++) void Promise.resolve(calls.touch(`k${i}`, 1)).catch(() => undefined);
  await clock.advanceAsync(TIMEOUT);
  while (pending.length > 0) pending[0]!.answer();
  await turn();
  for (let i = 0; i < 10_000; i++) void calls.touch(`k${i}`, 1);
  expect(() => calls.touch("one more", 1)).toThrow(StoreError);
});

describe("a store that answers at once", () => {
  test("is called at once, each time, in the order of the calls, and no timer is set", () => {
    const clock = fakeClock();
    const store = instrumented(memoryStore({ sweepInterval: false, clock }));
    const calls = storeCalls(store, { clock, timeout: TIMEOUT, events: { emit: () => undefined } });
    expect(calls.create("k", record(1))).toBe(true);
    expect(calls.read("k")).toMatchObject({ value: "1" });
    expect(calls.update("k", record(2), record(1))).toBe("ok");
    expect(calls.read("k", { fresh: true })).toMatchObject({ value: "2" });
    expect(calls.delete("k")).toBe(true);
    expect([store.calls, clock.waiting]).toEqual([["create", "read", "update", "read", "delete"], 0]);
  });

  test("and now and then by a promise, as a cache does, is asked for the truth by the next call", async () => {
    const it = world();
    let isCached = false;
    const store: SessionStore = { ...it.store, read: (key, call) => (isCached ? record(1) : it.store.read(key, call)) };
    const calls = storeCalls(store, { clock: it.clock, timeout: TIMEOUT, events: { emit: () => undefined } });
    for (let i = 0; i < 5; i++) {
      const answer = Promise.resolve(calls.read("k")).catch(() => undefined);
      it.pending[0]!.fail(refused());
      await answer;
    }
    it.clock.advance(100);
    isCached = true;
    expect(calls.read("k")).toMatchObject({ value: "1" });
    isCached = false;
    void calls.read("k");
    expect(it.pending).toHaveLength(1);
    expect(() => calls.read("other")).toThrow(StoreError);
  });
});

describe("requests while the store is gone", () => {
  const setup = (onStoreError: "throw" | "anonymous") => {
    const clock = fakeClock();
    const store = instrumented(memoryStore({ sweepInterval: false, clock }));
    const user = defineSession<{ n: number }>({ name: "user", store, clock, onStoreError });
    const browser = new Browser(user);
    const lost = gate();
    let isLost = false;
    store.before = () => (isLost ? lost.opened : undefined);
    return { clock, store, user, browser, lose: () => (isLost = true), find: () => (isLost = false) };
  };

  test('onStoreError: "anonymous" signs nobody in, at once as well, and every write throws', async () => {
    const { clock, user, browser, store, lose, find } = setup("anonymous");
    await browser.visit(user, (session) => session.authenticate("ada"));
    lose();
    const visits = Array.from({ length: 5 }, () => browser.clone().visit(user, ({ subject }) => subject));
    await clock.advanceAsync(TIMEOUT);
    // Reads of one session at the same time are one, so five of them are not five failures.
    for (let i = 0; i < 4; i++) {
      const visit = browser.visit(user, ({ subject }) => subject);
      await clock.advanceAsync(TIMEOUT);
      expect(await visit).toBeUndefined();
    }
    expect(await Promise.all(visits)).toEqual([undefined, undefined, undefined, undefined, undefined]);
    const before = store.calls.length;
    expect(await browser.visit(user, ({ subject, isNew }) => [subject, isNew])).toEqual([undefined, true]);
    await expect(browser.visit(user, (session) => session.set({ n: 1 }))).rejects.toThrow(StoreError);
    await expect(browser.visit(user, (session) => session.authenticate("eve"))).rejects.toThrow(StoreError);
    expect(store.calls.length).toBe(before);
    find();
    await clock.advanceAsync(1_000);
    expect(await browser.visit(user, ({ subject }) => subject)).toBe("ada");
  });

  test('onStoreError: "throw" gives each of them a StoreError, and keeps the cookie', async () => {
    const { clock, user, browser, lose, find } = setup("throw");
    await browser.visit(user, (session) => session.authenticate("ada"));
    const cookies = browser.cookieHeader();
    lose();
    for (let i = 0; i < 7; i++) {
      const visit = browser.visit(user, ({ subject }) => subject).catch((error: unknown) => error);
      await clock.advanceAsync(i < 5 ? TIMEOUT : 0);
      expect(await visit).toBeInstanceOf(StoreError);
    }
    expect(browser.cookieHeader()).toBe(cookies);
    find();
    await clock.advanceAsync(1_000);
    expect(await browser.visit(user, ({ subject }) => subject)).toBe("ada");
  });
});

/** One step of a random schedule. */
const step = fc.tuple(
  fc.constantFrom(
    "read",
    "read",
    "fresh",
    "write",
    "apply",
    "answer",
    "answer",
    "fail",
    "reset",
    "burst",
    "wait",
    "long wait",
  ),
  fc.nat(1_000),
);

test("whatever the store does: no answer older than what was told before, one read of a key at a time, one probe", async () => {
  let shared = 0;
  let downs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const { calls, pending, clock, events } = world();
      const told = new Map<string, number>();
      const unsettled = new Set<string>();
      const stale: string[] = [];
      const probes: Pending[] = [];
      let written = 0;
      let asked = 0;
      let begun = 0;

      const ask = (key: string, fresh: boolean): void => {
        const least = told.get(key) ?? 0;
        const name = `${key}#${++asked}`;
        const over = (): void => void unsettled.delete(name);
        const answer = calls.read(key, { fresh });
        unsettled.add(name);
        Promise.resolve(answer).then((found) => {
          over();
          if (Number(found?.value ?? 0) < least) stale.push(`${name}: ${found?.value} < ${least}`);
        }, over);
      };
      const write = (key: string): void => {
        const value = ++written;
        Promise.resolve(calls.touch(key, value)).then(
          () => told.set(key, Math.max(value, told.get(key) ?? 0)),
          () => undefined,
        );
      };
      const isDown = (): boolean => events.findLast((event) => event !== "store-error") === "store-down";
      const check = (wasDown: boolean): void => {
        const live = pending.filter(({ isGivenUp }) => !isGivenUp);
        const reads = live.filter(({ verb }) => verb === "read").map(({ key }) => key);
        expect(new Set(reads).size).toBe(reads.length);
        if (!wasDown || !isDown()) probes.length = 0;
        expect(probes.filter((probe) => live.includes(probe)).length).toBeLessThanOrEqual(1);
        expect(stale).toEqual([]);
      };

      for (const [what, n] of steps) {
        const key = `k${n % 2}`;
        const wasDown = isDown();
        const before = new Set(pending);
        const chosen = pending.length === 0 ? undefined : pending[n % pending.length];
        try {
          if (what === "read" || what === "fresh") ask(key, what === "fresh");
          else if (what === "write") write(key);
          else if (what === "apply") chosen?.apply();
          else if (what === "answer") chosen?.answer();
          else if (what === "fail") chosen?.fail(refused());
          else if (what === "reset") for (const call of pending.splice(0)) call.fail(refused());
          else if (what === "burst") for (let i = 0; i < 4; i++) write(key);
          else clock.advance(what === "wait" ? n / 5 : n * 2);
        } catch (error) {
          expect(error).toBeInstanceOf(StoreError);
        }
        await turn();
        const fresh = pending.filter((call) => !before.has(call));
        begun += fresh.filter(({ verb }) => verb === "read").length;
        if (wasDown && isDown()) probes.push(...fresh);
        check(wasDown);
      }
      shared += asked - begun > 0 ? 1 : 0;
      downs += events.includes("store-down") ? 1 : 0;
      for (let i = 0; i < 4; i++) {
        while (pending.length > 0) pending[0]!.answer();
        await turn();
      }
      await clock.advanceAsync(TIMEOUT * 2);
      expect([...unsettled]).toEqual([]);
      expect(stale).toEqual([]);
      expect(clock.waiting).toBeLessThanOrEqual(isDown() ? 1 : 0);
    }),
    { numRuns: 1_500 },
  );
  // Otherwise it has proved nothing.
  expect(shared).toBeGreaterThan(100);
  expect(downs).toBeGreaterThan(100);
}, 60_000);
