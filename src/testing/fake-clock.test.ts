import { describe, expect, test } from "vitest";
import { fakeClock } from "./fake-clock.ts";

describe("fakeClock", () => {
  test("stands still at its start until it is moved", () => {
    expect(fakeClock().now()).toBe(Date.UTC(2026, 0, 1));
    const clock = fakeClock(new Date(5_000));
    expect(clock.now()).toBe(5_000);
    clock.advance(1_500);
    expect(clock.now()).toBe(6_500);
  });

  test("advance runs what falls due, in order, each at its own time", () => {
    const clock = fakeClock(0);
    const seen: string[] = [];
    const note = (name: string) => (): void => void seen.push(`${name} at ${clock.now()}`);
    clock.after(300, note("c"));
    clock.after(100, note("a"));
    clock.after(100, note("b"));
    clock.after(301, note("d"));
    clock.advance(300);
    expect(seen).toEqual(["a at 100", "b at 100", "c at 300"]);
    expect(clock.now()).toBe(300);
    expect(clock.waiting).toBe(1);
  });

  test("advance runs what is set on the way, and comes to an end with a chain of callbacks", () => {
    const clock = fakeClock(0);
    let runs = 0;
    const again = (): void => {
      runs++;
      clock.after(0, again);
    };
    clock.after(10, again);
    clock.advance(20);
    expect(runs).toBe(11);
  });

  test("after returns what cancels it", () => {
    const clock = fakeClock(0);
    let runs = 0;
    const cancel = clock.after(10, () => runs++);
    cancel();
    cancel();
    clock.advance(100);
    expect(runs).toBe(0);
  });

  test("advanceAsync lets promises settle between the callbacks", async () => {
    const clock = fakeClock(0);
    const seen: number[] = [];
    const wait = (ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve));
    const work = (async () => {
      await Promise.resolve();
      for (let i = 0; i < 3; i++) {
        await wait(100);
        seen.push(clock.now());
      }
    })();
    await clock.advanceAsync(250);
    expect(seen).toEqual([100, 200]);
    await clock.advanceAsync(50);
    expect(seen).toEqual([100, 200, 300]);
    await work;
  });

  test("set moves the time of day, and what waits goes on waiting as long as before", () => {
    const clock = fakeClock(1_000);
    const seen: number[] = [];
    clock.after(100, () => seen.push(clock.now()));
    clock.set(500_000);
    expect(seen).toEqual([]);
    clock.advance(99);
    expect(seen).toEqual([]);
    clock.advance(1);
    expect(seen).toEqual([500_100]);
    clock.set(new Date(7));
    expect(clock.now()).toBe(7);
  });

  test("goes forwards only", async () => {
    const clock = fakeClock();
    expect(() => clock.advance(-1)).toThrow(TypeError);
    expect(() => clock.advance(Number.NaN)).toThrow(TypeError);
    await expect(clock.advanceAsync(-1)).rejects.toThrow(TypeError);
  });
});
