import { describe, expect, test } from "vitest";
import type { SessionStore, StoreChange, WatchGaps } from "../index.ts";
import { memoryStore } from "../store/memory.ts";
import { storeCases } from "../testing/store-cases.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { changesEndpoint } from "./changes-endpoint.ts";
import { Refusal } from "./endpoint.ts";
import { namespacedStore } from "./namespaced-store.ts";
import { withOwnChanges } from "./own-changes.ts";

type Watch = { listener: (key: string, change?: StoreChange) => void; gaps: WatchGaps; ended: boolean };

/** A stream over a store whose news are made by hand. */
function listening(options: { readonly writable?: number } = {}) {
  const clock = fakeClock();
  const watch: Watch = { listener: () => {}, gaps: {}, ended: false };
  const store: SessionStore = {
    ...memoryStore(),
    watch(listener, gaps = {}) {
      Object.assign(watch, { listener, gaps });
      return () => void (watch.ended = true);
    },
  };
  const gone = new AbortController();
  const written: string[] = [];
  let close = (): void => {};
  const res = {
    head: [] as unknown[],
    writableEnded: false,
    writableLength: options.writable ?? 0,
    destroyed: false,
    writeHead: (...head: readonly unknown[]) => void res.head.push(...head),
    flushHeaders: () => {},
    write: (text: string) => void written.push(text),
    end: () => void ((res.writableEnded = true), close()),
    destroy: () => void ((res.destroyed = true), close()),
    once: (_event: string, listener: () => void) => void (close = listener),
  };
  const call = { res, path: [], signal: gone.signal, caller: { store: namespacedStore(store, "shop") } };
  const answer = changesEndpoint({ clock })(call as never);
  const lines = (): readonly Record<string, unknown>[] =>
    written
      .join("")
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { clock, watch, gone, res, lines, answer, hangUp: () => close() };
}

describe("the changes of a namespace", () => {
  test("begin with the time, when everything is told, and are the caller's only", () => {
    const { watch, lines, res, answer } = listening();
    expect(answer).toBeUndefined();
    expect(res.head).toEqual([200, expect.objectContaining({ "Cache-Control": "no-store" })]);
    watch.listener("shop:user/0");
    expect(lines()).toEqual([]);
    watch.gaps.restored?.();
    watch.listener("shop:user/1", { version: "v2", record: { version: "v2", expiresAt: 1, value: "secret" } });
    watch.listener("forum:user/1", { version: "v2" });
    watch.listener("shop:user/\ud800");
    expect(lines()).toEqual([{ now: expect.any(Number) }, { key: "user/1", version: "v2" }, { key: "user/\ud800" }]);
  });

  test("say the time again and again, and what the store says of its own news", () => {
    const { clock, watch, lines } = listening();
    watch.gaps.restored?.();
    watch.gaps.current?.(clock.now() - 700);
    clock.advance(3_310);
    const times = lines().map(({ now }) => now as number);
    // At once, after 10, 60 and 310 ms, and every second.
    expect(times).toHaveLength(7);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    const { now, current } = lines()[1] as { readonly now: number; readonly current: number };
    expect(now - current).toBeGreaterThanOrEqual(700);
    expect(now - current).toBeLessThan(10_000);
  });

  test.each([
    ["the store loses track", ({ watch }: ReturnType<typeof listening>) => watch.gaps.lost?.()],
    ["the server stops", ({ gone }: ReturnType<typeof listening>) => gone.abort()],
  ])("end with a word of it when %s", (_, happens) => {
    const all = listening();
    all.watch.gaps.restored?.();
    happens(all);
    expect(all.lines().slice(1)).toEqual([{ lost: true }]);
    expect(all.res.writableEnded).toBe(true);
    expect(all.watch.ended).toBe(true);
    all.watch.gaps.restored?.();
    all.watch.listener("shop:user/1");
    expect(all.lines()).toHaveLength(2);
    expect(all.clock.waiting).toBe(0);
  });

  test("end when the client goes, and for one that does not read", () => {
    const first = listening();
    first.watch.gaps.restored?.();
    first.hangUp();
    expect([first.watch.ended, first.clock.waiting]).toEqual([true, 0]);
    const second = listening({ writable: 2_000_000 });
    second.watch.gaps.restored?.();
    expect([second.res.destroyed, second.watch.ended, second.clock.waiting]).toEqual([true, true, 0]);
  });

  test("are told to so many at a time of one application, and to others nevertheless", () => {
    const store: SessionStore = { ...memoryStore(), watch: () => () => {} };
    const endpoint = changesEndpoint({ clock: fakeClock() });
    const closing: (() => void)[] = [];
    const ask = (application: string): unknown => {
      const once = (_: string, close: () => void): void => void closing.push(close);
      const res = { writeHead: () => {}, flushHeaders: () => {}, once };
      const caller = { application, namespace: "shop", store };
      return endpoint({ res, path: [], signal: new AbortController().signal, caller } as never);
    };
    for (let i = 0; i < 1_000; i++) expect(ask("shop")).toBeUndefined();
    expect(() => ask("shop")).toThrow(expect.objectContaining({ status: 503, headers: { "Retry-After": "10" } }));
    expect(ask("blog")).toBeUndefined();
    closing[0]?.();
    expect(ask("shop")).toBeUndefined();
    expect(() => ask("shop")).toThrow(Refusal);
  });

  test("are refused where nobody tells of them", () => {
    const deaf = (watch?: SessionStore["watch"]) => () =>
      changesEndpoint()({
        path: [],
        res: {},
        caller: { store: { ...memoryStore(), ...(watch && { watch }) } },
      } as never);
    const refusal = (attempt: () => unknown): unknown => {
      try {
        return attempt();
      } catch (error) {
        return error instanceof Refusal ? error.answer : error;
      }
    };
    const expected = { status: 501, body: { error: "not-capable", message: expect.stringContaining("--changes") } };
    expect(refusal(deaf())).toMatchObject(expected);
    expect(
      refusal(
        deaf(() => {
          throw new TypeError("it cannot");
        }),
      ),
    ).toMatchObject(expected);
  });
});

describe("a store whose own changes are told", () => {
  for (const { name, run } of storeCases) {
    test(name, () => run(() => withOwnChanges(memoryStore(), { now: () => Date.now(), after: () => () => {} })));
  }

  test("a write that failed may have been done: watchers are told that something is missing", async () => {
    const clock = fakeClock();
    const told: string[] = [];
    const failing = withOwnChanges(
      {
        ...memoryStore(),
        update: async () => Promise.reject(new Error("later")),
        touch: () => {
          throw new Error("at once");
        },
      },
      clock,
    );
    failing.watch?.((key) => void told.push(key), {
      restored: () => void told.push("restored"),
      lost: () => void told.push("lost"),
    });
    await undefined;
    const record = { version: "1", expiresAt: clock.now() + 1, value: "" };
    expect(() => failing.touch("a", 1, { now: 0 })).toThrow("at once");
    await expect(failing.update("a", record, record, { now: 0 })).rejects.toThrow("later");
    expect(told).toEqual(["restored", "lost", "restored", "lost", "restored"]);
  });

  test("says of no moment that all is told while a write of before is under way", async () => {
    const clock = fakeClock();
    const start = clock.now();
    let finish: (done: boolean) => void = () => {};
    const slow = withOwnChanges(
      { ...memoryStore(), touch: () => new Promise<boolean>((resolve) => (finish = resolve)) },
      clock,
    );
    const current: number[] = [];
    slow.watch?.(() => {}, { current: (at) => void current.push(at - start) });
    await undefined;
    clock.advance(500);
    const touching = slow.touch("a", 1, { now: 0 });
    clock.advance(1_600);
    finish(true);
    await touching;
    clock.advance(1_000);
    expect(current).toEqual([0, 500, 500, 3_000]);
  });
});
