/**
 * A subject's process, from outside.
 *
 * @module
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { pinned } from "./machine.ts";
import type { Ready, Usage } from "./server.ts";
import type { Subject } from "./subjects.ts";

/** A server that runs. */
export interface ServerProcess {
  readonly subject: Subject;
  readonly port: number;
  /** What it has used so far. */
  usage(): Promise<Usage>;
  end(): Promise<void>;
}

/** Where servers may keep files, and where their profiles go, if they are wanted. */
export interface ServerOptions {
  readonly folder: string;
  readonly profiles: string | undefined;
}

const PATIENCE_MS = 5000;

/** Starts the server of a subject on the first core. */
export async function startServer(subject: Subject, { folder, profiles }: ServerOptions): Promise<ServerProcess> {
  const own = join(folder, subject.name);
  mkdirSync(own);
  const profiling = profiles === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${join(profiles, subject.name)}`];
  const script = join(import.meta.dirname, "server.ts");
  const [command, ...args] = pinned(0, [process.execPath, ...profiling, script, subject.name, own]);
  const child = spawn(command, args, {
    env: { ...process.env, NODE_ENV: "production" },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let complaints = "";
  child.stderr?.on("data", (chunk) => (complaints += String(chunk)));
  const gone = once(child, "exit").then(() => {
    throw new Error(`the server of ${subject.name} ended\n${complaints}`);
  });
  gone.catch(() => {});
  const told = async <T>(): Promise<T> => {
    const [message] = (await Promise.race([once(child, "message"), gone])) as [T];
    return message;
  };
  const { port } = await told<Ready>();
  return {
    subject,
    port,
    async usage() {
      const answer = told<Usage>();
      child.send("usage");
      return await answer;
    },
    end: () => end(child),
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  const impatience = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  if (child.connected) child.disconnect();
  await exit;
  clearTimeout(impatience);
}
