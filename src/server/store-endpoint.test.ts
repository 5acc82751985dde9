import { describe, expect, test } from "vitest";
import type { SessionStore, StoreCall } from "../index.ts";
import { systemClock } from "../internal/clock.ts";
import { isPromise } from "../internal/maybe-promise.ts";
import { MOST_CALLS } from "../internal/remote-protocol.ts";
import { memoryStore } from "../store/memory.ts";
import { sqliteStore } from "../store/sqlite.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { type Answer, Refusal } from "./endpoint.ts";
import { failureLog } from "./failure-log.ts";
import { observedStore } from "./observed-store.ts";
import { storeEndpoint, type StoreEndpointOptions } from "./store-endpoint.ts";

const NOW = Date.UTC(2026, 0, 1);
const RECORD = { version: "v1", expiresAt: NOW + 60_000, subject: "user/ada", value: "{}" };

interface Asked {
  readonly calls?: readonly unknown[];
  readonly body?: unknown;
  readonly method?: string;
  readonly path?: readonly string[];
  readonly signal?: AbortSignal;
}

/** An endpoint over a store, asked as the server asks it. */
function over(given: SessionStore, options: Partial<StoreEndpointOptions> = {}) {
  const { timeout = 2_000, clock = systemClock } = options;
  const lines: string[] = [];
  const failures = failureLog(clock, (line) => void lines.push(line));
  const endpoint = storeEndpoint({ timeout, clock });
  const observed = observedStore(given, {
    clock,
    timeout,
    failed: (call, error) => failures.tell(call, given.name ?? "the store", error),
  });
  const ask = ({ calls, body = { calls }, method = "POST", path = [], signal }: Asked): Promise<Answer> =>
    Promise.resolve().then(async () => {
      const answer = await endpoint({
        req: { method } as never,
        res: {} as never,
        caller: { application: "shop", namespace: "shop", store: observed },
        path,
        query: new URLSearchParams(),
        body: async () => JSON.parse(JSON.stringify(body)) as unknown,
        signal: signal ?? new AbortController().signal,
      });
      if (answer === undefined) throw new Error("no answer");
      return answer;
    });
  const answers = async (...calls: readonly unknown[]): Promise<readonly unknown[]> =>
    ((await ask({ calls })).body as { readonly answers: readonly unknown[] }).answers;
  return { ask, answers, lines };
}

const create = { verb: "create", key: "user/1", record: RECORD, now: NOW };
const read = { verb: "read", key: "user/1", now: NOW };

describe("the endpoint of the store verbs", () => {
  test("carries out every verb, and answers in the order of the calls", async () => {
    const { answers } = over(sqliteStore(":memory:"));
    const next = { ...RECORD, version: "v2", value: '{"n":1}' };
    expect(
      await answers(
        create,
        create,
        read,
        { ...read, key: "user/2" },
        { verb: "update", key: "user/1", record: next, base: { version: "v1" }, previousSubject: "user/ada", now: NOW },
        { verb: "update", key: "user/1", record: next, base: { version: "v1" }, now: NOW },
        { verb: "update", key: "user/2", record: next, base: { version: "v1" }, now: NOW },
        { verb: "touch", key: "user/1", expiresAt: NOW + 90_000, now: NOW },
        { verb: "count", prefix: "user/", now: NOW },
        { verb: "delete", key: "user/2", now: NOW },
      ),
    ).toEqual([true, false, RECORD, null, "ok", "conflict", "gone", true, 1, false].map((ok) => ({ ok })));
    const kept = { ...next, expiresAt: NOW + 90_000 };
    expect(
      await answers(
        { verb: "listBySubject", subject: "user/ada", now: NOW },
        { verb: "list", prefix: "user/", limit: 1e9, now: NOW },
      ),
    ).toEqual([
      { ok: [{ key: "user/1", record: kept }] },
      { ok: { records: [{ key: "user/1", record: kept }], cursor: undefined } },
    ]);
    expect(await answers({ verb: "deleteBySubject", subject: "user/ada", except: "user/1", now: NOW })).toEqual([
      { ok: [] },
    ]);
    expect(await answers({ verb: "deleteBySubject", subject: "user/ada", now: NOW }, read)).toEqual([
      { ok: ["user/1"] },
      { ok: null },
    ]);
  });

  test("what the store answers at once is there when the body is", async () => {
    const endpoint = storeEndpoint({ timeout: 2_000 });
    let answer: unknown;
    const body = Promise.resolve();
    Reflect.set(body, "then", (next: (value: unknown) => unknown) => (answer = next({ calls: [create, read] })));
    const call = { req: { method: "POST" }, path: [], body: () => body, caller: { store: memoryStore() } };
    void endpoint({ ...call, signal: new AbortController().signal } as never);
    expect(isPromise(answer)).toBe(false);
    expect(answer).toEqual({ status: 200, body: { answers: [{ ok: true }, { ok: RECORD }] } });
  });

  test("asks the store past every cache, and tells it whose record it was", async () => {
    const seen: StoreCall[] = [];
    const store = memoryStore();
    const { answers } = over({
      ...store,
      read: (key, call) => (seen.push(call), store.read(key, call)),
      delete: (key, call) => (seen.push(call), store.delete(key, call)),
    });
    await answers({ ...read, fresh: false }, { verb: "delete", key: "user/1", previousSubject: "user/ada", now: NOW });
    expect(seen.map(({ now, fresh, previousSubject }) => ({ now, fresh, previousSubject }))).toEqual([
      { now: NOW, fresh: true, previousSubject: undefined },
      { now: NOW, fresh: true, previousSubject: "user/ada" },
    ]);
  });

  test("hands a revision out as text, and back to the store as it was", async () => {
    const revision = { sequence: 7, version: "v1" };
    let given: unknown;
    const { answers } = over({
      ...memoryStore(),
      read: () => ({ ...RECORD, revision }),
      update: (_key, _record, base) => ((given = base), "ok"),
    });
    const [found] = (await answers(read)) as readonly { readonly ok: { readonly revision: unknown } }[];
    expect(found?.ok.revision).toBe(JSON.stringify(revision));
    await answers({ verb: "update", key: "k", record: RECORD, base: found?.ok, now: NOW });
    expect(given).toMatchObject({ version: "v1", revision });
  });

  test("a verb that the store has not got is answered so", async () => {
    const { create: add, read: get, update, touch, delete: remove } = memoryStore();
    const { answers } = over({ name: "plainStore", create: add, read: get, update, touch, delete: remove });
    const rest = [
      { verb: "list", prefix: "", limit: 1, now: NOW },
      { verb: "count", prefix: "", now: NOW },
      { verb: "listBySubject", subject: "s", now: NOW },
      { verb: "deleteBySubject", subject: "s", now: NOW },
    ];
    const found = await answers(create, ...rest);
    expect(found[0]).toEqual({ ok: true });
    for (const answer of found.slice(1)) {
      expect(answer).toMatchObject({ error: "not-capable", message: expect.stringContaining("plainStore") });
    }
  });
});

describe("calls of one key in one exchange", () => {
  test("are done in their order, though the store answers late, and those of other keys do not wait", async () => {
    const begun: string[] = [];
    const inner = memoryStore();
    let answer = (): void => {};
    const store: SessionStore = {
      ...inner,
      async create(key, record, call) {
        begun.push(`create ${key}`);
        await new Promise<void>((resolve) => (answer = resolve));
        return await inner.create(key, record, call);
      },
      async read(key, call) {
        begun.push(`read ${key}`);
        return await inner.read(key, call);
      },
    };
    const found = over(store).answers(create, read, { ...read, key: "user/2" });
    for (let turn = 0; turn < 20; turn++) await undefined;
    expect(begun).toEqual(["create user/1", "read user/2"]);
    answer();
    expect(await found).toEqual([{ ok: true }, { ok: RECORD }, { ok: null }]);
  });

  test("go on when an earlier one failed", async () => {
    const store = { ...memoryStore(), create: () => Promise.reject(new Error("no")) };
    const found = await over(store).answers(create, read);
    expect(found).toEqual([expect.objectContaining({ error: "store-unavailable" }), { ok: null }]);
  });
});

describe("a store that fails", () => {
  test("fails the call and not its neighbours, and what it says goes to the log alone", async () => {
    const clock = fakeClock();
    const store = memoryStore();
    const boom = (key: string): never => {
      throw Object.assign(new Error(`Duplicate entry 'ada-secret' for key ${key} with {"card":"4111"}`), {
        code: "23505",
      });
    };
    const { answers, lines } = over(
      { ...store, name: "brokenStore", update: boom, touch: async (key) => boom(key) },
      { clock },
    );
    const touch = { verb: "touch", key: "user/1", expiresAt: NOW, now: NOW };
    const update = {
      verb: "update",
      key: "user/1",
      record: { ...RECORD, value: '{"card":"4111"}' },
      base: RECORD,
      now: NOW,
    };
    const found = await answers(create, touch, update, read);
    expect(found[0]).toEqual({ ok: true });
    expect(found[3]).toEqual({ ok: RECORD });
    for (const answer of [found[1], found[2]]) expect(answer).toMatchObject({ error: "store-unavailable" });
    expect(JSON.stringify(found)).not.toMatch(/Duplicate|secret|23505/);
    expect(lines).toEqual([
      expect.stringMatching(/brokenStore failed \(touch\): Error 23505: Duplicate entry '…' for key …/),
    ]);
    expect(lines.join()).not.toMatch(/secret|4111|user\/1/);
    clock.advance(10_000);
    await answers(touch);
    expect(lines[1]).toMatch(/brokenStore failed \(touch\).*; 1 more since the last line$/);
  });

  test("a store that does not answer is given up after the timeout, each call by itself", async () => {
    const clock = fakeClock();
    const aborted: string[] = [];
    const hanging = (key: string, { signal }: StoreCall): Promise<never> =>
      new Promise(() => signal?.addEventListener("abort", () => void aborted.push(key)));
    const { ask, lines } = over({ ...memoryStore(), read: hanging, touch: async () => true }, { clock, timeout: 500 });
    const answer = ask({
      calls: [read, { verb: "touch", key: "user/1", expiresAt: NOW, now: NOW }, { ...read, key: "user/2" }],
    });
    await clock.advanceAsync(499);
    expect(aborted).toEqual([]);
    await clock.advanceAsync(1);
    expect(aborted).toEqual(["user/1", "user/2"]);
    const late = { error: "store-unavailable", message: expect.any(String), timedOut: true };
    expect((await answer).body).toEqual({ answers: [late, { ok: true }, late] });
    expect(lines).toEqual([expect.stringMatching(/failed \(read\): Error: no answer within 500 ms$/)]);
    expect(clock.waiting).toBe(0);
  });

  test("who goes away aborts what the store still does, and that is no failure of the store", async () => {
    const clock = fakeClock();
    let isAborted = false;
    const gone = new AbortController();
    const { ask, lines } = over(
      {
        ...memoryStore(),
        read: (_key, { signal }) =>
          new Promise((_, reject) =>
            signal?.addEventListener("abort", () => ((isAborted = true), reject(new Error("aborted")))),
          ),
      },
      { clock },
    );
    const answer = ask({ calls: [read], signal: gone.signal });
    await clock.advanceAsync(1);
    gone.abort();
    await answer;
    expect({ isAborted, lines, waiting: clock.waiting }).toEqual({ isAborted: true, lines: [], waiting: 0 });
  });
});

const long = "x".repeat(4_097);
const update = { verb: "update", key: "k", record: RECORD, base: { version: "v" }, now: NOW };
const MALFORMED: Readonly<Record<string, unknown>> = {
  "no object": 7,
  "an array": [],
  "no calls": {},
  "calls that are no array": { calls: create },
  "nothing to do": { calls: [] },
  "too many": { calls: Array.from({ length: MOST_CALLS + 1 }, () => read) },
  "a call that is null": { calls: [null] },
  "no verb": { calls: [{ key: "k", now: NOW }] },
  "a verb of objects": { calls: [{ ...read, verb: "constructor" }] },
  "a verb of the store that is not for clients": { calls: [{ verb: "deleteExpired", limit: 1, now: NOW }] },
  "no key": { calls: [{ verb: "read", now: NOW }] },
  "a key that is a number": { calls: [{ ...read, key: 7 }] },
  "a key that is too long": { calls: [{ ...read, key: long }] },
  "no time": { calls: [{ verb: "read", key: "k" }] },
  "a time that is null, as JSON has infinity": { calls: [{ ...read, now: null }] },
  "a time that is a text": { calls: [{ ...read, now: "1" }] },
  "no record": { calls: [{ verb: "create", key: "k", now: NOW }] },
  "a record without a value": { calls: [{ ...create, record: { ...RECORD, value: undefined } }] },
  "a value that is an object": { calls: [{ ...create, record: { ...RECORD, value: {} } }] },
  "a subject that is null": { calls: [{ ...create, record: { ...RECORD, subject: null } }] },
  "a subject that is too long": { calls: [{ ...create, record: { ...RECORD, subject: long } }] },
  "a version that is too long": { calls: [{ ...create, record: { ...RECORD, version: long } }] },
  "an end that is infinite": { calls: [{ ...create, record: { ...RECORD, expiresAt: Infinity } }] },
  "no base": { calls: [{ ...update, base: undefined }] },
  "a base without a version": { calls: [{ ...update, base: {} }] },
  "a revision that is an object": { calls: [{ ...update, base: { version: "v", revision: {} } }] },
  "a revision that is no JSON": { calls: [{ ...update, base: { version: "v", revision: "{" } }] },
  "a previous subject that is none": { calls: [{ ...update, previousSubject: 1 }] },
  "fresh, but how": { calls: [{ ...read, fresh: "yes" }] },
  "a touch without an end": { calls: [{ verb: "touch", key: "k", now: NOW }] },
  "a page of half a record": { calls: [{ verb: "list", prefix: "", limit: 0.5, now: NOW }] },
  "a page of nothing": { calls: [{ verb: "list", prefix: "", limit: 0, now: NOW }] },
  "a prefix that is too long": { calls: [{ verb: "count", prefix: long, now: NOW }] },
  "a subject that is missing": { calls: [{ verb: "listBySubject", now: NOW }] },
  "an exception that is none": { calls: [{ verb: "deleteBySubject", subject: "s", except: [], now: NOW }] },
};

describe("a request that is none", () => {
  test.each(Object.entries(MALFORMED))("is refused as a whole: %s", async (_, body) => {
    const { ask, answers, lines } = over(memoryStore());
    const { calls } = body as { readonly calls?: readonly unknown[] };
    const withOthers = Array.isArray(calls) && calls.length > 0 ? { calls: [create, ...calls] } : body;
    const refusal: unknown = await ask({ body: withOthers }).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(Refusal);
    expect((refusal as Refusal).answer).toMatchObject({ status: 400, body: { error: "bad-call" } });
    expect((refusal as Refusal).message).not.toContain("xxx");
    expect(await answers(read)).toEqual([{ ok: null }]);
    expect(lines).toEqual([]);
  });

  test("says where it is wrong", async () => {
    const { ask } = over(memoryStore());
    await expect(ask({ calls: [read, { ...create, record: { ...RECORD, expiresAt: "soon" } }] })).rejects.toThrow(
      "calls[1].record.expiresAt: expected a number",
    );
  });

  test("names of objects are fields like others, and reach no object", async () => {
    const { ask, answers } = over(memoryStore());
    const text = `{"calls":[{"verb":"create","key":"__proto__","record":{"version":"v","expiresAt":${NOW + 1},"value":"1","__proto__":{"subject":"s"}},"__proto__":{"polluted":1},"now":${NOW}}]}`;
    const answer = await ask({ body: JSON.parse(text) as unknown });
    expect(answer.body).toEqual({ answers: [{ ok: true }] });
    expect(await answers({ verb: "read", key: "__proto__", now: NOW })).toEqual([
      { ok: { version: "v", expiresAt: NOW + 1, value: "1" } },
    ]);
    expect("polluted" in {}).toBe(false);
  });

  test.each([
    [{ method: "GET" }, 405],
    [{ method: "DELETE" }, 405],
    [{ path: ["x"] }, 404],
  ] as const)("%o is answered %i", async (asked, status) => {
    await expect(over(memoryStore()).ask({ calls: [read], ...asked })).rejects.toMatchObject({ status });
  });
});

test("a small request for very much is answered as far as there is room, and nothing is read beyond it", async () => {
  const store = memoryStore();
  let reads = 0;
  let lists = 0;
  const counting: SessionStore = {
    ...store,
    listBySubject(subject, call) {
      lists++;
      return store.listBySubject(subject, call);
    },
    read: (key, call) => {
      reads++;
      return store.read(key, call);
    },
  };
  const { answers, lines } = over(counting);
  const value = "x".repeat(1_000_000);
  await answers({ ...create, record: { ...RECORD, value } });
  const many = await answers(...Array.from({ length: 100 }, () => read), { ...create, key: "user/2" });
  const found = many.filter((answer) => typeof answer === "object" && answer !== null && "ok" in answer);
  expect(found.length).toBe(34);
  expect(many[50]).toEqual({ error: "store-unavailable", message: expect.stringContaining("ask for fewer at a time") });
  expect(many.at(-1)).toEqual({ ok: true });
  expect(reads).toBe(34);
  const listings = await answers(
    ...Array.from({ length: 100 }, () => ({ verb: "listBySubject", subject: "user/ada", now: NOW })),
  );
  expect(listings.filter((answer) => "ok" in (answer as object)).length).toBe(33);
  expect(lists).toBe(34);
  expect(lines).toEqual([]);
});
