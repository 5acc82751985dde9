import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, rmdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

export const ROOT: string = new URL("../../", import.meta.url).pathname;

const STALE_LOCK_MS = 60_000;

/** Makes sure that `dist/` is what `src/` says, once for all the test files that run side by side. */
export async function ensureBuilt(): Promise<void> {
  while (!isFresh()) await inTurn(build);
}

async function build(): Promise<void> {
  if (isFresh()) return;
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  // Not `npm run build`, which removes dist/ first: another test may be reading it.
  await promisify(execFile)(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: ROOT }).catch(
    (error: { stdout?: string }) => {
      throw new Error(`the build failed:\n${error.stdout ?? String(error)}`);
    },
  );
}

function isFresh(): boolean {
  const source = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" }).filter(
    (file) => file.endsWith(".ts") && !file.endsWith(".test.ts"),
  );
  const newest = Math.max(...source.map((file) => modified(join(ROOT, "src", file))));
  const oldest = Math.min(...source.map((file) => modified(join(ROOT, "dist", file.replace(/\.ts$/, ".js")))));
  return oldest >= newest;
}

function modified(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

async function inTurn(work: () => Promise<void>): Promise<void> {
  const lock = join(tmpdir(), `coatcheck-build-${createHash("sha256").update(ROOT).digest("hex").slice(0, 12)}`);
  while (!taken(lock)) {
    if (Date.now() - modified(lock) > STALE_LOCK_MS) release(lock);
    else await sleep(100);
  }
  try {
    await work();
  } finally {
    release(lock);
  }
}

function taken(lock: string): boolean {
  try {
    mkdirSync(lock);
    return true;
  } catch {
    return false;
  }
}

function release(lock: string): void {
  try {
    rmdirSync(lock);
  } catch {
    // Somebody else took it for stale.
  }
}
