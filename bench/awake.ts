/**
 * Keeps wrk awake while it waits: see `awake.c`.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasWrk, succeeds } from "./machine.ts";

/** The environment in which wrk does not sleep; empty where no C compiler is installed. Compiled when it is first asked for. */
export function awake(): Readonly<Record<string, string>> {
  library ??= compiled();
  return library === "" ? {} : { LD_PRELOAD: library };
}

let library: string | undefined;

function compiled(): string {
  if (!hasWrk) return "";
  const folder = mkdtempSync(join(tmpdir(), "coatcheck-awake-"));
  process.once("exit", () => rmSync(folder, { recursive: true }));
  const path = join(folder, "awake.so");
  return succeeds("cc", "-O2", "-shared", "-fPIC", "-o", path, join(import.meta.dirname, "awake.c")) ? path : "";
}
