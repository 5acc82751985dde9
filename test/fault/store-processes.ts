/** Several processes on one store, and what their logs say afterwards. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Line, Orders } from "./store-worker.ts";

const WORKER = new URL("./store-worker.ts", import.meta.url).pathname;

/** Processes that begin at once. */
export interface Crew {
  readonly workers: readonly ChildProcess[];
  /** The lines of all logs so far, each log in its order. */
  lines(): readonly Line[];
  /** Waits for all to end; how many ended by themselves. Throws what one of them has printed as an error. */
  ended(): Promise<number>;
}

/** A place for a store, its logs and its starting signal. */
export interface Place {
  readonly path: string;
  readonly engine: Orders["engine"];
  start(count: number, orders: Pick<Orders, "task" | "key" | "count">): Crew;
  /** Ends what still runs, and removes everything. */
  remove(): void;
}

export function newPlace(engine: Orders["engine"]): Place {
  const home = mkdtempSync(join(tmpdir(), `coatcheck-${engine}-`));
  const path = join(home, "store");
  let crews = 0;
  const all: ChildProcess[] = [];
  return {
    path,
    engine,
    remove() {
      for (const worker of all) worker.kill("SIGKILL");
      rmSync(home, { recursive: true, force: true, maxRetries: 5 });
    },
    start(count, orders) {
      const crew = ++crews;
      const go = join(home, `go-${crew}`);
      const logs = Array.from({ length: count }, (_, i) => join(home, `log-${crew}-${i}`));
      const workers = logs.map((log) => work({ engine, path, go, log, ...orders }));
      all.push(...workers.map(({ worker }) => worker));
      setTimeout(() => writeFileSync(go, ""), 300);
      return {
        workers: workers.map(({ worker }) => worker),
        lines: () => logs.flatMap(linesOf),
        async ended() {
          const codes = await Promise.all(workers.map(({ code }) => code));
          return codes.filter((code) => code === 0).length;
        },
      };
    },
  };
}

function work(orders: Orders): { readonly worker: ChildProcess; readonly code: Promise<number | null> } {
  const env = { ...process.env, NODE_OPTIONS: "" };
  const worker = spawn(process.execPath, [WORKER, JSON.stringify(orders)], {
    stdio: ["ignore", "ignore", "pipe"],
    env,
  });
  let errors = "";
  worker.stderr?.on("data", (data) => (errors += String(data)));
  const code = once(worker, "close").then(([exit]) => {
    if (exit !== 0 && exit !== null) throw new Error(errors);
    return exit as number | null;
  });
  return { worker, code };
}

function linesOf(log: string): readonly Line[] {
  if (!existsSync(log)) return [];
  const texts = readFileSync(log, "utf8").split("\n");
  // Of one that was killed the last line may be half a line.
  return texts.slice(0, -1).map((text) => JSON.parse(text) as Line);
}

/** Every so often, until all have ended, does something to one of them. */
export async function harass(crew: Crew, every: number, act: (worker: ChildProcess) => Promise<void>): Promise<void> {
  const running = (): readonly ChildProcess[] =>
    crew.workers.filter((worker) => worker.exitCode === null && worker.signalCode === null);
  for (let left = running(); left.length > 0; left = running()) {
    await sleep(every * Math.random());
    const worker = left[Math.floor(Math.random() * left.length)];
    if (worker !== undefined) await act(worker);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Lives that had two increments to the same number: an update that was lost. */
export function lostUpdates(lines: readonly Line[]): readonly string[] {
  const increments = lines.filter((line) => line.did === "increment").map(({ life, to }) => `${life} ${to}`);
  return increments.filter((text, i) => increments.indexOf(text) !== i);
}

/** Lives that were read by somebody who began to read when a delete of them had been answered. */
export function resurrections(lines: readonly Line[]): readonly string[] {
  const deaths = new Map<string, bigint>();
  for (const line of lines) {
    if (line.did !== "delete") continue;
    const until = BigInt(line.until);
    const known = deaths.get(line.life);
    deaths.set(line.life, known === undefined || until < known ? until : known);
  }
  const reads = lines.filter((line) => line.did === "read");
  return reads.filter(({ life, from }) => BigInt(from) > (deaths.get(life) ?? BigInt(from))).map(({ life }) => life);
}

/** Increments that are missing below the highest one of their life. */
export function gaps(lines: readonly Line[]): readonly string[] {
  const lives = new Map<string, Set<number>>();
  for (const line of lines) {
    if (line.did === "increment") lives.set(line.life, (lives.get(line.life) ?? new Set()).add(line.to));
  }
  return [...lives].flatMap(([life, numbers]) =>
    Array.from({ length: Math.max(...numbers) }, (_, i) => i + 1)
      .filter((n) => !numbers.has(n))
      .map((n) => `${life} ${n}`),
  );
}
