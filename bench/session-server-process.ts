/**
 * The processes of `npm run bench:server`, and the load on them.
 *
 * @module
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { pinned } from "./machine.ts";
import { processTime } from "./process-time.ts";

/** A server that runs, on the first core. */
export interface Server {
  readonly port: number;
  /** CPU time of its process so far, in microseconds. */
  cpu(): number;
  end(): Promise<void>;
}

const ROOT = join(import.meta.dirname, "..");

/** Starts `node:http` that echoes JSON. */
export function startEcho(): Promise<Server> {
  return started([join(import.meta.dirname, "echo-server.ts")], /echo listens on (\d+)/);
}

/** Starts `coatcheck serve`, as it was built. `options`: of Node. */
export function startServe(args: readonly string[], options: readonly string[] = []): Promise<Server> {
  const command = [...options, join(ROOT, "dist/cli/main.js"), "serve", "--listen", "127.0.0.1:0", ...args];
  return started(command, /coatcheck listens on \S+:(\d+)/);
}

async function started(args: readonly string[], listens: RegExp): Promise<Server> {
  const [command, ...rest] = pinned(0, [process.execPath, ...args]);
  const env = { ...process.env, NODE_ENV: "production" };
  const child = spawn(command, rest, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const port = new Promise<number>((resolve, reject) => {
    const said = (chunk: unknown): void => {
      output += String(chunk);
      const [, found] = listens.exec(output) ?? [];
      if (found !== undefined) resolve(Number(found));
    };
    child.stdout.on("data", said);
    child.stderr.on("data", said);
    child.once("exit", () => reject(new Error(`${args.join(" ")} ended\n${output}`)));
  });
  return { port: await port, cpu: processTime(child.pid ?? 0), end: () => ended(child) };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  await exit;
}

/** What a server did in a time. */
export interface Round {
  /** Requests a second. */
  readonly rate: number;
  /** CPU time of the server for a request, in microseconds. */
  readonly cpu: number;
}

/** What a server needs to come to rest, in milliseconds. */
const REST = 40;

/**
 * Sends the requests of a file (see `requests.lua`) in turn over 32 connections that are kept. Throws an `Error` when one was
 * not answered with 2xx.
 */
export async function loaded(server: Server, file: string, seconds: number): Promise<Round> {
  await sleep(REST);
  const before = server.cpu();
  const { done, failed, sent, microseconds } = await wrk(server.port, file, seconds);
  await sleep(REST);
  if (failed > 0) throw new Error(`${failed} of ${done} answers were wrong: ${file}`);
  return { rate: (done * 1e6) / microseconds, cpu: (server.cpu() - before) / sent };
}

interface Sent {
  readonly done: number;
  readonly failed: number;
  readonly sent: number;
  readonly microseconds: number;
}

async function wrk(port: number, file: string, seconds: number): Promise<Sent> {
  const script = join(import.meta.dirname, "requests.lua");
  const limit = `${Math.ceil(seconds) + 2}s`;
  const url = `http://127.0.0.1:${port}`;
  const [command, ...args] = pinned(1, ["wrk", "-t1", "-c32", "-d", limit, "-s", script, url, "--", file]);
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  const output = Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  // wrk takes whole seconds only, so it is interrupted when the time is over.
  await Promise.race([sleep(seconds * 1000), output]).then(() => child.kill("SIGINT"));
  const [said, complaints] = await output;
  const [, ...numbers] = /^RESULT (\d+) (\d+) (\d+) (\d+)$/m.exec(said) ?? [];
  const [done = 0, failed = 0, sent = 0, microseconds = 0] = numbers.map(Number);
  if (done === 0) throw new Error(`wrk failed\n${said}${complaints}`);
  return { done, failed, sent, microseconds };
}
