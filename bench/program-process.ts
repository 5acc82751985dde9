/**
 * The process of a subject in another language, from outside.
 *
 * @module
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePorts, until } from "../test/servers/server-process.ts";
import { ask } from "./client.ts";
import { dataOf } from "./data.ts";
import { pinned } from "./machine.ts";
import { environmentOf, type Build, type Program } from "./program.ts";
import { processesOf, processTime } from "./process-time.ts";
import type { ServerProcess } from "./server-process.ts";
import type { SiteText } from "./site.ts";
import type { Subject } from "./subjects.ts";

const PATIENCE_MS = 5_000;
const PATIENCE_AT_START_MS = 30_000;

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) for (const pid of processesOf(child.pid ?? 0)) kill(pid);
});

/** Builds the server of a subject, and starts it on the first core. Its folder is there. */
export async function startProgram(
  subject: Subject,
  program: Program,
  { folder, bytes }: Pick<SiteText, "folder" | "bytes">,
): Promise<ServerProcess> {
  const { name, kind } = subject;
  const build = program.build?.(kind, folder);
  if (build !== undefined) await run(build);
  const [port = 0] = await freePorts(1);
  const place = { kind, port, folder };
  const log = join(folder, "output.log");
  const [command, ...args] = pinned(0, program.serve(place));
  const output = openSync(log, "a");
  const env = { ...process.env, ...environmentOf(place, JSON.stringify(dataOf(bytes)())) };
  const child = spawn(command, args, { cwd: folder, env, stdio: ["ignore", output, output] });
  closeSync(output);
  running.add(child);
  const gone = ended(child).then(() => {
    running.delete(child);
    throw new Error(`the server of ${name} ended\n${readFileSync(log, "utf8").slice(-2_000)}`);
  });
  gone.catch(() => {});
  const listens = async (): Promise<boolean> => (await ask({ subject, port }, "untouched")).body !== "";
  try {
    await Promise.race([until(`the server of ${name}`, listens, PATIENCE_AT_START_MS), gone]);
  } catch (error) {
    await end(child);
    throw error;
  }
  return serverOf(subject, port, child);
}

function serverOf(subject: Subject, port: number, child: ChildProcess): ServerProcess {
  const pid = child.pid ?? 0;
  const time = processTime(pid);
  let [requests, writes] = [0, 0];
  return {
    subject,
    pid,
    port,
    usage: async () => ({ cpu: time(), requests, writes }),
    noted(path, sent) {
      requests += sent;
      if (path === "write") writes += sent;
    },
    end: () => end(child),
  };
}

async function run({ command: [command, ...args], directory, environment }: Build): Promise<void> {
  await promisify(execFile)(command, args, { cwd: directory, env: { ...process.env, ...environment } });
}

/** Ends it, with all that it has started. */
async function end(child: ChildProcess): Promise<void> {
  if (!running.has(child)) return;
  const exit = ended(child);
  const impatience = setTimeout(() => processesOf(child.pid ?? 0).forEach(kill), PATIENCE_MS);
  child.kill("SIGTERM");
  await exit;
  clearTimeout(impatience);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // It has just ended.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
