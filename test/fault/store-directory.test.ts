import { readdirSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { directoryStore } from "../../src/store/directory.ts";
import { fakeClock } from "../../src/testing/fake-clock.ts";
import { testProcesses } from "./store-cases-of-processes.ts";
import { newPlace, sleep } from "./store-processes.ts";

describe("several processes on one directory:", () => {
  testProcesses("directory", (path) => directoryStore(path, { sweepInterval: false }));

  test("what killed processes leave behind is swept, and nothing is left in the end", async () => {
    const { path, remove, start } = newPlace("directory");
    onTestFinished(remove);
    const crew = start(6, { task: "live", key: "n/id", count: 100_000 });
    await sleep(1_000);
    for (const worker of crew.workers) {
      await sleep(20);
      worker.kill("SIGKILL");
    }
    expect(await crew.ended()).toBe(0);
    const clock = fakeClock(Date.now());
    const store = directoryStore(path, { clock, sweepInterval: false });
    store.delete("n/id", { now: Date.now() });
    clock.advance(2 * 3_600_000);
    expect(await store.deleteExpired(100, { now: Date.now() })).toBe(0);
    const left = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    // A member whose record never came is seen by nobody, and goes with the next listing of its subject.
    expect(left.filter(({ parentPath }) => !parentPath.includes(".subjects"))).toEqual([]);
  });
});
