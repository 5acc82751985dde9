import { expect, test } from "vitest";
import { memoryStore } from "../store/memory.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { LabelledCount, Metrics } from "./metrics.ts";
import { readinessOf } from "./readiness.ts";
import { refusedPeers } from "./refused-peers.ts";
import { tokenBucket } from "./token-bucket.ts";

test("all who ask within a second whether the store answers share one question", async () => {
  const clock = fakeClock();
  let asked = 0;
  let fails = false;
  const read = async () => {
    asked++;
    if (fails) throw new Error("away");
    return undefined;
  };
  const ready = readinessOf({ ...memoryStore(), read }, 2000, clock);
  expect(await Promise.all([ready(), ready(), ready()])).toEqual([true, true, true]);
  clock.advance(999);
  expect([await ready(), asked]).toEqual([true, 1]);
  fails = true;
  clock.advance(1);
  expect([await ready(), await ready(), asked]).toEqual([false, false, 2]);
  fails = false;
  clock.set(clock.now() - 60_000);
  expect([await ready(), asked]).toEqual([true, 3]);
});

test("a store that does not answer in time is not ready, and is not waited for", async () => {
  const clock = fakeClock();
  let signal: AbortSignal | undefined;
  const read = (_key: string, call: { readonly signal?: AbortSignal | undefined }): Promise<never> => {
    signal = call.signal;
    return new Promise(() => {});
  };
  const answer = readinessOf({ ...memoryStore(), read }, 2000, clock)();
  clock.advance(2000);
  expect(await answer).toBe(false);
  expect(signal?.aborted).toBe(true);
  expect(clock.waiting).toBe(0);
});

test("a store that throws at once is not ready", async () => {
  const read = (): never => {
    throw new Error("closed");
  };
  expect(await readinessOf({ ...memoryStore(), read }, 2000, fakeClock())()).toBe(false);
});

test("a bucket lets so many through at once, and then as many as time brings", () => {
  const bucket = tokenBucket(10, 3);
  expect([0, 0, 0, 0].map((now) => bucket.take(now))).toEqual([true, true, true, false]);
  expect([99, 100, 100].map((now) => bucket.take(now))).toEqual([false, true, false]);
  expect([1e6, 1e6, 1e6, 1e6].map((now) => bucket.take(now))).toEqual([true, true, true, false]);
});

test("a peer that is refused too often is told to wait, and no other one", () => {
  const may = refusedPeers();
  const tries = Array.from({ length: 101 }, () => may("10.0.0.1", 0));
  expect(tries.indexOf(false)).toBe(100);
  expect(may("10.0.0.2", 0)).toBe(true);
  expect(may(undefined, 0)).toBe(true);
  expect(may("10.0.0.1", 100)).toBe(true);
});

test("metrics: counts by class, a cumulative histogram, labels that are escaped", () => {
  const metrics = new Metrics();
  const tally = metrics.endpoint("/v1/store");
  for (const [status, ms] of [
    [200, 0.4],
    [201, 3],
    [503, 20_000],
  ] as const)
    tally.count(status, ms);
  metrics.storeFailures = 2;
  const lines = metrics.text().split("\n");
  expect(lines).toContain('coatcheck_requests_total{endpoint="/v1/store",class="2xx"} 2');
  expect(lines).toContain('coatcheck_requests_total{endpoint="/v1/store",class="5xx"} 1');
  const bucket = (le: string): string => `coatcheck_request_duration_seconds_bucket{endpoint="/v1/store",le="${le}"}`;
  expect(lines).toContain(`${bucket("0.0005")} 1`);
  expect(lines).toContain(`${bucket("0.005")} 2`);
  expect(lines).toContain(`${bucket("10")} 2`);
  expect(lines).toContain(`${bucket("+Inf")} 3`);
  expect(lines).toContain('coatcheck_request_duration_seconds_count{endpoint="/v1/store"} 3');
  expect(lines).toContain("coatcheck_store_failures_total 2");
  expect(lines.every((line) => line === "" || /^# (HELP|TYPE) |^[a-z_]+(\{[^}]*\})? [\d.e+-]+$/.test(line))).toBe(true);
  const counts = new LabelledCount();
  counts.add('a"\\\n');
  expect(counts.lines("n", "l")).toEqual([String.raw`n{l="a\"\\\n"} 1`]);
});
