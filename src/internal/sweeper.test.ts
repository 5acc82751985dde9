import { describe, expect, test } from "vitest";
import { fakeClock } from "../testing/fake-clock.ts";
import { createSweeper } from "./sweeper.ts";

describe("a sweeper", () => {
  test("does nothing before it is started, and first sweeps an interval later", () => {
    const clock = fakeClock();
    let sweeps = 0;
    const sweeper = createSweeper({ clock, interval: 60, slice: () => ++sweeps < 0 });
    clock.advance(200_000);
    expect(sweeps).toBe(0);
    sweeper.start();
    sweeper.start();
    clock.advance(59_999);
    expect(sweeps).toBe(0);
    clock.advance(1);
    expect(sweeps).toBe(1);
    clock.advance(120_000);
    expect(sweeps).toBe(3);
    expect(clock.waiting).toBe(1);
  });

  test("goes on in slices as long as there is more, with a pause between two", () => {
    const clock = fakeClock(0);
    const times: number[] = [];
    const sweeper = createSweeper({ clock, interval: "1m", slice: () => times.push(clock.now()) % 3 !== 0 });
    sweeper.start();
    clock.advance(60_000);
    expect(times).toEqual([60_000]);
    clock.advance(1_000);
    expect(times).toEqual([60_000, 60_005, 60_010]);
    clock.advance(60_000);
    expect(times.slice(3)).toEqual([120_010, 120_015, 120_020]);
  });

  test("waits for a slice that takes its time", async () => {
    const clock = fakeClock();
    let begun = 0;
    let end: (more: boolean) => void = () => undefined;
    const slice = (): Promise<boolean> => {
      begun++;
      return new Promise((resolve) => {
        end = resolve;
      });
    };
    createSweeper({ clock, interval: 60, slice }).start();
    await clock.advanceAsync(600_000);
    expect(begun).toBe(1);
    end(true);
    await clock.advanceAsync(5);
    expect(begun).toBe(2);
    end(false);
    await clock.advanceAsync(59_999);
    expect(begun).toBe(2);
    await clock.advanceAsync(1);
    expect(begun).toBe(3);
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("down");
      },
    ],
    ["rejects", () => Promise.reject(new Error("down"))],
  ])("tries again next time when a slice %s", async (_, fail) => {
    const clock = fakeClock();
    let tries = 0;
    const slice = (): boolean | Promise<boolean> => {
      tries++;
      return fail();
    };
    createSweeper({ clock, interval: 60, slice }).start();
    await clock.advanceAsync(180_000);
    expect(tries).toBe(3);
  });

  test("stops for good, in the middle of a sweep too", async () => {
    const clock = fakeClock();
    let slices = 0;
    const sweeper = createSweeper({ clock, interval: 60, slice: () => ++slices > 0 });
    sweeper.start();
    clock.advance(60_010);
    const before = slices;
    sweeper.stop();
    sweeper.stop();
    sweeper.start();
    clock.advance(600_000);
    expect(slices).toBe(before);
    expect(clock.waiting).toBe(0);
  });

  test("stops while a slice is under way", async () => {
    const clock = fakeClock();
    let end: (more: boolean) => void = () => undefined;
    const sweeper = createSweeper({
      clock,
      interval: 60,
      slice: () =>
        new Promise<boolean>((resolve) => {
          end = resolve;
        }),
    });
    sweeper.start();
    await clock.advanceAsync(60_000);
    sweeper.stop();
    end(true);
    await clock.advanceAsync(60_000);
    expect(clock.waiting).toBe(0);
  });

  test("never starts when the interval is false", () => {
    const clock = fakeClock();
    createSweeper({ clock, interval: false, slice: () => false }).start();
    expect(clock.waiting).toBe(0);
  });

  test("sleeps no longer than a timer can", () => {
    const clock = fakeClock();
    let sweeps = 0;
    createSweeper({ clock, interval: "365d", slice: () => ++sweeps < 0 }).start();
    clock.advance(2 ** 31 - 2);
    expect(sweeps).toBe(0);
    clock.advance(1);
    expect(sweeps).toBe(1);
  });

  test.each([0, -1, Number.NaN, Infinity, "soon", null, true])("refuses an interval of %s by name", (interval) => {
    const make = (): unknown => createSweeper({ clock: fakeClock(), interval: interval as number, slice: () => false });
    expect(make).toThrow(TypeError);
    expect(make).toThrow("sweepInterval");
  });
});
