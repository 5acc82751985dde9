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
import type { Path } from "./data.ts";
import { startProgram } from "./program-process.ts";
import { programOf } from "./programs.ts";
import type { Ready, Usage } from "./server.ts";
import type { SiteText } from "./site.ts";
import { isOnNode, type Subject } from "./subjects.ts";

/** A server that runs. */
export interface ServerProcess {
  readonly subject: Subject;
  readonly pid: number;
  readonly port: number;
  /** What it has used so far. */
  usage(): Promise<Usage>;
  /** Is told how many requests were sent, for a server that does not count them. */
  noted(path: Path, sent: number): void;
  end(): Promise<void>;
}

/** What servers are given, and where their profiles go, if they are wanted. */
export interface ServerOptions {
  /** Its folder has one for each server. */
  readonly site: SiteText;
  readonly profiles: string | undefined;
}

const PATIENCE_MS = 5000;
/** Profiles are written at the end. */
const PATIENCE_WITH_PROFILES_MS = 60_000;

/** Starts the server of a subject on the first core. Those in other languages leave no profile. */
export async function startServer(subject: Subject, { site, profiles }: ServerOptions): Promise<ServerProcess> {
  const own = { ...site, folder: join(site.folder, fileNameOf(subject)) };
  mkdirSync(own.folder);
  const { host } = subject;
  return isOnNode(host)
    ? await startOnNode(subject, { site: own, profiles })
    : await startProgram(subject, programOf(host), own);
}

async function startOnNode(subject: Subject, { site, profiles }: ServerOptions): Promise<ServerProcess> {
  const profiling =
    profiles === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${join(profiles, fileNameOf(subject))}`];
  const script = join(import.meta.dirname, "server.ts");
  const [command, ...args] = pinned(0, [process.execPath, ...profiling, script, subject.name, JSON.stringify(site)]);
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
    pid: child.pid ?? 0,
    port,
    async usage() {
      const answer = told<Usage>();
      child.send("usage");
      return await answer;
    },
    noted() {},
    end: () => end(child, profiles === undefined ? PATIENCE_MS : PATIENCE_WITH_PROFILES_MS),
  };
}

/** What files of a subject are called. */
export function fileNameOf({ name }: Subject): string {
  return name.replaceAll("/", "-");
}

async function end(child: ChildProcess, patience: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  const impatience = setTimeout(() => child.kill("SIGKILL"), patience);
  if (child.connected) child.disconnect();
  await exit;
  clearTimeout(impatience);
}
