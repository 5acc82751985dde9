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
import { awake } from "./awake.ts";
import { ANSWERS, type Path } from "./data.ts";
import { hasWrk, pinned, type Command } from "./machine.ts";
import { AWAKE } from "./results.ts";
import type { Subject } from "./subjects.ts";

/** What is done to a server. */
export interface Load {
  readonly subject: Subject;
  readonly port: number;
  readonly path: Path;
  /** The file with the cookies of its visitors. */
  readonly cookies: string;
  readonly seconds: number;
  /** Where the cookies of some answers are kept. */
  readonly keep?: Keep | undefined;
}

/** Cookies that answers set are added to a file, a line each: that of one in so many answers. */
export interface Keep {
  readonly file: string;
  readonly oneIn: number;
}

/** Whether right answers have a `Set-Cookie`. With ours it is known; some others set one when nothing has changed. */
export function setsCookie({ ours, byValue, kind }: Subject, path: Path): "cookie" | "none" | "any" {
  // Beside a near cache a client is told which version it wrote.
  const writesCookies = byValue || kind === "near-redis";
  if (path === "sign-in" || path === "seed" || (writesCookies && path === "write")) return "cookie";
  return ours || kind === "bare" ? "none" : "any";
}

/** Slow servers, and machines that do other things too, may not come to a single answer in a short time. */
const TRIES = 8;

/**
 * Loads a server with 32 connections for a time. Returns how many requests were sent, a few of which may not have been answered
 * yet. Throws an `Error` unless every answer was right.
 */
export async function load(wanted: Load): Promise<number> {
  const { subject, path } = wanted;
  let all = 0;
  for (let tries = 0; tries < TRIES; tries++) {
    const { done, wrong, sent } = await answersTo({ ...wanted, seconds: wanted.seconds * 2 ** tries });
    if (wrong > 0) throw new Error(`${subject.name} /${path}: ${wrong} of ${done} answers were wrong`);
    all += sent;
    if (done > 0) return all;
  }
  throw new Error(`${subject.name} /${path}: no answer came`);
}

interface Answers {
  readonly done: number;
  readonly wrong: number;
  readonly sent: number;
}

async function answersTo({ subject, port, path, cookies, seconds, keep }: Load): Promise<Answers> {
  const kept = keep === undefined ? [] : [keep.file, String(keep.oneIn)];
  const answer = [`/${path}`, cookies, ANSWERS[path], setsCookie(subject, path), ...kept];
  const [command, ...args] = pinned(1, hasWrk ? wrk(port, seconds, answer) : generator(port, seconds, answer));
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...awake() } });
  const output = Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  // wrk takes whole seconds only, so it is interrupted when the time is over.
  if (hasWrk) await Promise.race([sleep(seconds * 1000), output]).then(() => child.kill("SIGINT"));
  const [said, complaints, [, signal]] = await output;
  // It had not yet come to listen to signals.
  if (signal === "SIGINT") return { done: 0, wrong: 0, sent: 0 };
  const [, done, wrong, sent] = /^RESULT (\d+) (\d+) (\d+)$/m.exec(said) ?? [];
  if (done === undefined) throw new Error(`the load generator failed\n${said}${complaints}`);
  return { done: Number(done), wrong: Number(wrong), sent: Number(sent) };
}

function wrk(port: number, seconds: number, answer: string[]): Command {
  const script = join(import.meta.dirname, "wrk.lua");
  const limit = `${Math.ceil(seconds) + 2}s`;
  // By default an answer that takes two seconds counts as an error.
  return [
    "wrk",
    "-t1",
    "-c32",
    "-d",
    limit,
    "--timeout",
    "30s",
    "-s",
    script,
    `http://127.0.0.1:${port}`,
    "--",
    ...answer,
  ];
}

function generator(port: number, seconds: number, answer: string[]): Command {
  return [process.execPath, join(import.meta.dirname, "load.ts"), String(seconds), String(port), ...answer];
}

/** What makes the load, for whoever reads the results. */
export function generatorName(): string {
  if (!hasWrk) return "a client of our own";
  return awake()["LD_PRELOAD"] === undefined ? "wrk" : AWAKE;
}
