/**
 * How long it takes to import each door.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { median } from "./child.ts";

/** What was found. */
export interface StartUp {
  readonly door: string;
  /** Milliseconds from before the import to after it, in a fresh process: the median. */
  readonly milliseconds: number;
  /** The least. */
  readonly least: number;
}

const ROOT = join(import.meta.dirname, "../..");
const TIMES = 10;

/** All doors of the built package. */
export async function startUps(): Promise<StartUp[]> {
  const found: StartUp[] = [];
  for (const door of doors()) {
    const times: number[] = [];
    for (let time = 0; time < TIMES; time++) times.push(await importTime(door));
    found.push({ door, milliseconds: median(times), least: Math.min(...times) });
  }
  return found;
}

function doors(): string[] {
  const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { exports: object };
  const code = Object.entries(exports).filter(([, target]) => typeof target === "object");
  return code.map(([door]) => `coatcheck${door.slice(1)}`);
}

async function importTime(door: string): Promise<number> {
  const code = `const before = performance.now(); await import("${door}"); console.log(performance.now() - before);`;
  const args = ["--input-type=module", "--eval", code];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  return Number(stdout);
}
