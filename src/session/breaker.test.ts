import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fakeClock } from "../testing/fake-clock.ts";
import * as nodeRedis from "redis";
import { breaker, isUnreachable } from "./breaker.ts";

function setup(options: { readonly failures?: number; readonly waiting?: number } = {}) {
  const clock = fakeClock();
  const told: string[] = [];
  const gate = breaker({
    clock,
    failures: 3,
    ...options,
    onDown: () => void told.push("down"),
    onUp: () => void told.push("up"),
  });
  /** Lets a call through and returns what ends it; undefined when it is refused. */
  const enter = (): { answer(): void; fail(): void } | undefined => {
    if (gate.guarded) {
      if (gate.refusal() !== undefined) return undefined;
      gate.admit();
    }
    const call = gate.begin();
    return {
      answer() {
        gate.end();
        gate.answered();
      },
      fail() {
        gate.end();
        gate.failed(call);
      },
    };
  };
  const fail = (times: number): void => {
    for (let i = 0; i < times; i++) enter()!.fail();
  };
  return { clock, gate, told, enter, fail };
}

describe("a store that does not answer", () => {
  test("is not called any more after some failures in a row, and says why", () => {
    const { gate, told, enter, fail } = setup();
    fail(2);
    expect(gate.guarded).toBe(false);
    fail(1);
    expect([gate.guarded, enter(), told]).toEqual([true, undefined, ["down"]]);
    expect(gate.refusal()?.message).toMatch(/not answered 3 times in a row; it is asked again within/);
  });

  test("is called on when it answers in between", () => {
    const { gate, enter, fail } = setup();
    for (let i = 0; i < 10; i++) {
      fail(2);
      enter()!.answer();
    }
    expect(gate.guarded).toBe(false);
  });

  test("is asked by one call after a short pause; its answer lets all through again", () => {
    const { clock, gate, told, enter, fail } = setup();
    fail(3);
    clock.advance(49);
    expect(enter()).toBeUndefined();
    clock.advance(51);
    const probe = enter()!;
    expect([enter(), enter()]).toEqual([undefined, undefined]);
    probe.answer();
    expect([gate.guarded, told, clock.waiting]).toEqual([false, ["down", "up"], 0]);
  });

  test("is asked less and less often, but at least once a second; then as often as at first", () => {
    const { clock, told, enter, fail } = setup();
    const pauses = (): number[] =>
      Array.from({ length: 7 }, () => {
        const from = clock.now();
        let probe = enter();
        for (; probe === undefined; probe = enter()) clock.advance(1);
        probe.fail();
        return clock.now() - from;
      });
    fail(3);
    const first = pauses();
    for (const [i, most] of [100, 200, 400, 800, 1000, 1000, 1000].entries()) {
      expect(first[i]).toBeGreaterThanOrEqual(most / 2);
      expect(first[i]).toBeLessThanOrEqual(most);
    }
    clock.advance(1000);
    enter()!.answer();
    fail(3);
    expect(pauses()[0]).toBeLessThanOrEqual(100);
    expect(told).toEqual(["down", "up", "down"]);
  });

  test("is not asked at the same moment by all processes", () => {
    const pauses = new Set<number>();
    for (let i = 0; i < 50; i++) {
      const { clock, enter, fail } = setup();
      fail(3);
      const from = clock.now();
      while (enter() === undefined) clock.advance(1);
      pauses.add(clock.now() - from);
    }
    expect(pauses.size).toBeGreaterThan(5);
  });

  test("is not asked by work that may be long", () => {
    const { clock, gate, fail } = setup();
    fail(3);
    clock.advance(100);
    expect(gate.refusal(true)).toBeDefined();
    expect(gate.refusal()).toBeUndefined();
  });

  test("is asked by the next call when the one that should was answered without it", () => {
    const { clock, gate, enter, fail } = setup();
    fail(3);
    clock.advance(100);
    gate.admit();
    expect(enter()).toBeUndefined();
    gate.release();
    expect(enter()).toBeDefined();
  });

  test("is there again when it answers a call that was made before, however late", () => {
    const { clock, gate, told, enter, fail } = setup();
    const slow = enter()!;
    fail(3);
    slow.answer();
    clock.advance(10_000);
    expect([gate.guarded, told]).toEqual([false, ["down", "up"]]);
  });

  test("that is back is not given up for calls that failed while it was away", () => {
    const { clock, gate, told, enter, fail } = setup();
    const old = Array.from({ length: 20 }, () => enter()!);
    fail(3);
    clock.advance(100);
    enter()!.answer();
    for (const call of old) call.fail();
    expect([gate.guarded, told]).toEqual([false, ["down", "up"]]);
  });
});

describe("calls that wait", () => {
  test("are bounded: the next one fails at once, until one is answered", () => {
    const { gate, told, enter } = setup({ waiting: 3 });
    const calls = [enter()!, enter()!, enter()!];
    expect(enter()).toBeUndefined();
    expect(gate.refusal()?.message).toBe("3 calls wait for the store already");
    calls[1]!.answer();
    expect(gate.guarded).toBe(false);
    expect(enter()).toBeDefined();
    expect(enter()).toBeUndefined();
    expect(told).toEqual([]);
  });
});

test("whatever happens: one probe at a time, one event for each turn, and the way back is open", () => {
  const step = fc.tuple(fc.constantFrom("enter", "answer", "fail", "fail", "fail", "wait"), fc.nat(1_200));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { clock, gate, told, enter } = setup({ waiting: 6 });
      const calls: { readonly call: NonNullable<ReturnType<typeof enter>>; readonly downs: number }[] = [];
      const isDown = (): boolean => told.at(-1) === "down";
      for (const [what, n] of steps) {
        if (what === "wait") clock.advance(n);
        const call = what === "enter" ? enter() : undefined;
        if (call !== undefined) calls.push({ call, downs: isDown() ? told.length : -1 });
        if ((what === "answer" || what === "fail") && calls.length > 0)
          calls.splice(n % calls.length, 1)[0]!.call[what]();
        expect(calls.length).toBeLessThanOrEqual(6);
        // Those that were let through while it was down, and that are still under way.
        expect(isDown() ? calls.filter(({ downs }) => downs === told.length).length : 0).toBeLessThanOrEqual(1);
        expect(told.every((event, i) => event === (i % 2 === 0 ? "down" : "up"))).toBe(true);
      }
      for (const { call } of calls) call.fail();
      clock.advance(1_000);
      enter()!.answer();
      expect([gate.guarded, clock.waiting]).toEqual([false, 0]);
    }),
    { numRuns: 2_000 },
  );
});

describe("an error means that the store cannot be reached", () => {
  const named = (name: string, fields: object = {}): Error => Object.assign(new Error("x"), { name }, fields);

  test.each([
    ["ECONNREFUSED", Object.assign(new Error("x"), { code: "ECONNREFUSED" })],
    ["ECONNRESET", Object.assign(new Error("x"), { code: "ECONNRESET" })],
    ["ETIMEDOUT", Object.assign(new Error("x"), { code: "ETIMEDOUT" })],
    ["EPIPE", Object.assign(new Error("x"), { code: "EPIPE" })],
    ["EAI_AGAIN", Object.assign(new Error("x"), { code: "EAI_AGAIN" })],
    ["SQLSTATE 08006", Object.assign(new Error("x"), { code: "08006" })],
    ["ClientOfflineError", named("ClientOfflineError")],
    ["an error of node-redis, by its class", new nodeRedis.ClientOfflineError()],
    ["MaxRetriesPerRequestError", named("MaxRetriesPerRequestError")],
    ["SocketClosedUnexpectedlyError", named("SocketClosedUnexpectedlyError")],
    ["fetch failed", new TypeError("fetch failed", { cause: Object.assign(new Error("x"), { code: "ECONNREFUSED" }) })],
  ])("%s", (_, error) => expect(isUnreachable(error)).toBe(true));

  const looped = new Error("x");
  looped.cause = looped;
  test.each([
    ["out of memory", named("ErrorReply")],
    ["the wrong type", named("SimpleError", { code: "WRONGTYPE" })],
    ["a unique key", Object.assign(new Error("x"), { code: "23505" })],
    ["a busy database", Object.assign(new Error("x"), { code: "ERR_SQLITE_ERROR" })],
    ["a plain error", new Error("ECONNREFUSED")],
    ["one that is its own cause", looped],
    ["no error", "ECONNREFUSED"],
    ["nothing", undefined],
    ["null", null],
  ])("not so: %s", (_, error) => expect(isUnreachable(error)).toBe(false));
});
