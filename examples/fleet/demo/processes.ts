/**
 * Processes that the demo starts, and ends by their ids whatever happens.
 */
import { fork, spawn, type ChildProcess } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const PATIENCE_MS = 10_000;
/** Between asking a program to end and ending it. */
const GRACE_MS = 2000;
const MOST_LINES = 50;

const running = new Set<ChildProcess>();
// Also when the demo itself breaks. A program that is told to end takes its own children along: nginx has some.
process.once("exit", () => {
  for (const child of running) child.kill(child.connected ? "SIGKILL" : "SIGTERM");
});

/** A program of this machine. */
export interface Program {
  /** The last lines that it has printed. */
  output(): string;
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/** Where a program is, in `PATH` or where servers are: the `PATH` of people often has no `sbin`. */
export function programPath(name: string): string | undefined {
  const directories = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Starts a program, and waits until `isReady`. */
export async function startProgram(
  command: readonly [string, ...string[]],
  isReady: () => Promise<boolean>,
  onLine: (line: string) => void = () => {},
): Promise<Program> {
  const [program, ...args] = command;
  // A group of its own: Ctrl-C is for the demo, which then ends what it has started in good order.
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  const ended = untilEnded(child);
  const lines: string[] = [];
  for (const input of [child.stdout, child.stderr]) {
    createInterface({ input }).on("line", (line) => {
      if (lines.push(line) > MOST_LINES) lines.shift();
      onLine(line);
    });
  }
  const started = { output: () => lines.join("\n"), ended, stop: async () => await end(child, ended) };
  if (await becomes(isReady, () => !running.has(child))) return started;
  await started.stop();
  throw new Error(`${program} did not start:\n${started.output()}`);
}

/** Starts a script of ours that tells what it does by messages, and ends when we are gone. */
export function startScript(file: URL, env: Readonly<Record<string, string>>): ChildProcess {
  const child = fork(file, { env: { ...process.env, ...env }, stdio: ["ignore", "inherit", "inherit", "ipc"] });
  void untilEnded(child);
  return child;
}

function untilEnded(child: ChildProcess): Promise<void> {
  running.add(child);
  return new Promise((resolve) => {
    const over = (): void => {
      running.delete(child);
      resolve();
    };
    child.once("exit", over);
    // A program that could not even begin.
    child.once("error", over);
  });
}

async function end(child: ChildProcess, ended: Promise<void>): Promise<void> {
  child.kill("SIGTERM");
  const last = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
  await ended;
  clearTimeout(last);
}

/** Asks every few milliseconds until `isReady`; false when patience ends, or when there is nothing to wait for. */
async function becomes(isReady: () => Promise<boolean>, isOver: () => boolean): Promise<boolean> {
  for (const last = Date.now() + PATIENCE_MS; Date.now() < last && !isOver(); await sleep(20)) {
    if (await isReady().catch(() => false)) return true;
  }
  return false;
}
