/**
 * Load on a server: wrk where it is installed, `load.ts` elsewhere, on the second core.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { ANSWERS, type Route } from "./data.ts";
import { hasWrk, pinned, type Command } from "./machine.ts";
import type { Subject } from "./subjects.ts";

/** What is done to a server. */
export interface Load {
  readonly subject: Subject;
  readonly port: number;
  readonly route: Route;
  /** The file with its cookies. */
  readonly cookies: string;
  readonly seconds: number;
}

/** Whether right answers to a route have a `Set-Cookie`. */
export function setsCookie({ byValue }: Subject, route: Route): boolean {
  return byValue && route === "write";
}

/** Loads a server with 32 connections for a time. Throws an `Error` unless every answer was right. */
export async function load({ subject, port, route, cookies, seconds }: Load): Promise<void> {
  const answer = [`/${route}`, cookies, ANSWERS[route], setsCookie(subject, route) ? "cookie" : "none"];
  const [command, ...args] = pinned(1, hasWrk ? wrk(port, seconds, answer) : generator(port, seconds, answer));
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  const output = Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  // wrk takes whole seconds only, so it is interrupted when the time is over.
  if (hasWrk) await Promise.race([sleep(seconds * 1000), output]).then(() => child.kill("SIGINT"));
  const [said, complaints] = await output;
  const [, done, wrong] = /^RESULT (\d+) (\d+)$/m.exec(said) ?? [];
  if (done === undefined) throw new Error(`the load generator failed\n${said}${complaints}`);
  if (done === "0" || wrong !== "0") {
    throw new Error(`${subject.name} /${route}: ${wrong} of ${done} answers were wrong, or none came`);
  }
}

function wrk(port: number, seconds: number, answer: string[]): Command {
  const script = join(import.meta.dirname, "wrk.lua");
  const limit = `${Math.ceil(seconds) + 2}s`;
  return ["wrk", "-t1", "-c32", "-d", limit, "-s", script, `http://127.0.0.1:${port}`, "--", ...answer];
}

function generator(port: number, seconds: number, answer: string[]): Command {
  return [process.execPath, join(import.meta.dirname, "load.ts"), String(seconds), String(port), ...answer];
}
