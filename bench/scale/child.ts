/**
 * Processes of their own for what would disturb one another: each gets a fresh heap.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

const MEBIBYTE = 2 ** 20;

/** Runs a script of this folder and returns the JSON that it prints on its last line. Throws an `Error` when it fails. */
export async function resultOf<T>(script: string, args: readonly string[], flags: readonly string[] = []): Promise<T> {
  const path = join(import.meta.dirname, script);
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, path, ...args], { maxBuffer: MEBIBYTE });
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as T;
}

/** The value in the middle, or between the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(at)] ?? NaN) + (sorted[Math.ceil(at)] ?? NaN)) / 2;
}
