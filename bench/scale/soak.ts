/**
 * The soak: one process at full load for minutes, and how it is meanwhile.
 *
 * @module
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { median } from "./child.ts";
import type { LoadResult } from "./soak-load.ts";
import type { Health } from "./soak-server.ts";

/** What the soak has shown. */
export interface SoakResult {
  readonly minutes: number;
  readonly requests: number;
  readonly errors: number;
  readonly examples: readonly string[];
  /** How much the heap grew from the end of the warm-up on, by the regression line, in bytes and as a part of its size. */
  readonly growth: { readonly bytes: number; readonly part: number };
  /** The worst p99 of the event loop's delay between two samples, the median of them, and the worst delay, in milliseconds. */
  readonly delay: { readonly p99: number; readonly medianP99: number; readonly max: number };
  /** The same of the samples in which other processes let the server run. */
  readonly undisturbed: { readonly samples: number; readonly p99: number | undefined };
  readonly samples: readonly Health[];
}

const SAMPLE_MS = 10_000;
/** The part of the time that counts as warm-up: code is compiled, caches and the store get full. */
const WARM_UP = 0.2;
/** The part of a sample that the main thread may wait for its core. Its own helpers, on the same core, take half of that. */
const DISTURBED = 0.1;

/** Soaks for that long, and tells of every sample. */
export async function soak(minutes: number, tell: (line: string) => void): Promise<SoakResult> {
  const server = started("soak-server.ts", [], 0, ["--expose-gc"]);
  const { port } = await told<{ port: number }>(server);
  const load = started("soak-load.ts", [String(port), String(minutes * 60)], 1, []);
  const result = resultOf(load);
  const ended = result.then(() => true);
  const samples: Health[] = [];
  while (!(await Promise.race([ended, sleep(SAMPLE_MS, false)]))) {
    const answer = told<Health>(server);
    server.send("how are you?");
    const health = await answer;
    samples.push(health);
    const { heap, requests, delay, starved = 0 } = health;
    const late = `p99 ${delay.p99.toFixed(1)} ms, kept waiting ${(starved * 100).toFixed(1)} %`;
    tell(`heap ${(heap / 2 ** 20).toFixed(2)} MiB, ${requests} requests, ${late}`);
  }
  server.disconnect();
  return summary(minutes, await result, samples);
}

function summary(minutes: number, load: LoadResult, samples: readonly Health[]): SoakResult {
  const measured = samples.slice(Math.ceil(samples.length * WARM_UP));
  const heaps = measured.map(({ heap }) => heap);
  const bytes = slope(heaps) * (heaps.length - 1);
  const p99s = measured.map(({ delay }) => delay.p99);
  const alone = measured.filter(({ starved = 0 }) => starved <= DISTURBED).map(({ delay }) => delay.p99);
  const max = Math.max(...measured.map(({ delay }) => delay.max));
  return {
    minutes,
    ...load,
    growth: { bytes, part: bytes / median(heaps) },
    delay: { p99: Math.max(...p99s), medianP99: median(p99s), max },
    undisturbed: { samples: alone.length, p99: alone.length === 0 ? undefined : Math.max(...alone) },
    samples,
  };
}

/** By how much the values grow from one to the next: least squares. */
function slope(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const products = values.reduce((sum, value, at) => sum + (at - middle) * (value - mean), 0);
  const squares = values.reduce((sum, _, at) => sum + (at - middle) ** 2, 0);
  return products / squares;
}

/** Starts a script on a core of its own, where there is one. */
function started(script: string, args: readonly string[], core: number, flags: readonly string[]): ChildProcess {
  const own = [process.execPath, ...flags, join(import.meta.dirname, script), ...args];
  const pin = process.platform === "linux" && availableParallelism() > 1 ? ["taskset", "-c", String(core)] : [];
  const [command = "", ...rest] = [...pin, ...own];
  const env = { ...process.env, NODE_ENV: "production" };
  const child = spawn(command, rest, { env, stdio: ["ignore", "pipe", "inherit", "ipc"] });
  process.once("exit", () => child.kill());
  return child;
}

/** The next message of a server. Throws an `Error` when it ends instead. */
function told<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error("the server ended"));
    child.once("exit", ended);
    child.once("message", (message) => {
      child.off("exit", ended);
      resolve(message as T);
    });
  });
}

async function resultOf(child: ChildProcess): Promise<LoadResult> {
  let output = "";
  child.stdout?.on("data", (chunk) => (output += String(chunk)));
  await once(child, "close");
  return JSON.parse(output) as LoadResult;
}
