/** What several processes on one store must come to, whatever the store. */
import { afterEach, expect, test } from "vitest";
import { EXPIRED_FOR, type SessionStore } from "../../src/store/store.ts";
import { gaps, harass, lostUpdates, newPlace, type Place, resurrections, sleep } from "./store-processes.ts";

const WORKERS = 4;

export function testProcesses(engine: Place["engine"], open: (path: string) => SessionStore): void {
  let places: Place[] = [];
  const place = (): Place => {
    const made = newPlace(engine);
    places.push(made);
    return made;
  };
  afterEach(() => {
    for (const { remove } of places) remove();
    places = [];
  });

  const startWith = async (path: string, key: string): Promise<SessionStore> => {
    const store = open(path);
    const value = JSON.stringify({ life: "first", n: 0 });
    await store.create(key, { version: "0", expiresAt: Date.now() + 60_000, value }, { now: Date.now() });
    return store;
  };
  const counterIn = async (store: SessionStore, key: string): Promise<number> => {
    const found = await store.read(key, { now: Date.now() });
    return (JSON.parse(found?.value ?? "{}") as { n: number }).n;
  };

  test("P27: increments of several processes, and touches, all count", async () => {
    const { path, start } = place();
    const store = await startWith(path, "n/counter");
    const crew = start(WORKERS, { task: "increment", key: "n/counter", count: 150 });
    expect(await crew.ended()).toBe(WORKERS);
    expect(await counterIn(store, "n/counter")).toBe(WORKERS * 150);
    expect(lostUpdates(crew.lines())).toEqual([]);
    expect(gaps(crew.lines())).toEqual([]);
    await store.close?.();
  });

  test("a store that is not there yet is made by several processes at once", async () => {
    const { path, start } = place();
    const crew = start(8, { task: "live", key: "n/new", count: 10 });
    expect(await crew.ended()).toBe(8);
    expect(lostUpdates(crew.lines())).toEqual([]);
    const store = open(path);
    await store.read("n/new", { now: Date.now() });
    await store.close?.();
  });

  test("a session that comes and goes loses no update and never comes back", async () => {
    const { start } = place();
    const crew = start(WORKERS, { task: "live", key: "n/id", count: 400 });
    expect(await crew.ended()).toBe(WORKERS);
    const lines = crew.lines();
    expect(lines.filter(({ did }) => did === "delete").length).toBeGreaterThan(50);
    expect(lines.filter(({ did }) => did === "increment").length).toBeGreaterThan(200);
    expect(lostUpdates(lines)).toEqual([]);
    expect(gaps(lines)).toEqual([]);
    expect(resurrections(lines)).toEqual([]);
  });

  test("processes that stand still in the middle and go on later do no harm", async () => {
    const { start } = place();
    const crew = start(WORKERS, { task: "live", key: "n/id", count: 250 });
    await sleep(300);
    await harass(crew, 4, async (worker) => {
      worker.kill("SIGSTOP");
      await sleep(3 + Math.random() * 20);
      worker.kill("SIGCONT");
    });
    expect(await crew.ended()).toBe(WORKERS);
    const lines = crew.lines();
    expect(lines.filter(({ did }) => did === "delete").length).toBeGreaterThan(20);
    expect(lostUpdates(lines)).toEqual([]);
    expect(gaps(lines)).toEqual([]);
    expect(resurrections(lines)).toEqual([]);
  });

  test("processes that are killed leave a store that works, and at most the last write of each untold", async () => {
    const { path, start } = place();
    const store = await startWith(path, "n/counter");
    const crew = start(8, { task: "increment", key: "n/counter", count: 500 });
    // One is left in peace.
    const [survivor] = crew.workers;
    let killed = 0;
    await sleep(500);
    await harass(crew, 150, async (worker) => {
      if (worker === survivor || !worker.kill("SIGKILL")) return;
      killed++;
      await sleep(10);
    });
    await crew.ended();
    const lines = crew.lines();
    const told = lines.filter(({ did }) => did === "increment").length;
    expect(killed).toBeGreaterThan(2);
    expect(lines.some(({ did }) => did === "end")).toBe(true);
    expect(lostUpdates(lines)).toEqual([]);
    expect(await counterIn(store, "n/counter")).toBeGreaterThanOrEqual(told);
    expect(await counterIn(store, "n/counter")).toBeLessThanOrEqual(told + killed);
    expect(gaps(lines).length).toBeLessThanOrEqual(killed);
    expect(await store.delete("n/counter", { now: Date.now() })).toBe(true);
    expect(await store.deleteExpired?.(10, { now: Date.now() + EXPIRED_FOR })).toBe(0);
    await store.close?.();
  });
}
