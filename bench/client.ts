/**
 * Single requests to a server: those that make the sessions, and those that look at what became of them.
 *
 * @module
 */
import { FIRST_COUNT, type Path } from "./data.ts";
import type { Subject } from "./subjects.ts";

/** An answer. */
export interface Answer {
  readonly body: string;
  /** The `name=value` of each cookie that was set. */
  readonly cookies: readonly string[];
}

/** A server to ask. */
export interface Target {
  readonly subject: Subject;
  readonly port: number;
}

const AT_ONCE = 32;

/** Sends a request, with the cookies of a visitor. Throws an `Error` unless its status is 200. */
export async function ask({ subject, port }: Target, path: Path, cookies = ""): Promise<Answer> {
  const headers = { "X-Forwarded-Proto": "https", ...(cookies !== "" && { Cookie: cookies }) };
  const response = await fetch(`http://127.0.0.1:${port}/${path}`, { headers });
  const body = await response.text();
  if (response.status !== 200) throw new Error(`${subject.name} answered /${path} with ${response.status}: ${body}`);
  return { body, cookies: response.headers.getSetCookie().map((line) => line.split(";", 1)[0] ?? "") };
}

/** Makes sessions. Returns the `Cookie` of each visitor. */
export async function seeded(target: Target, sessions: number): Promise<string[]> {
  const visitors: string[] = [];
  while (visitors.length < sessions) {
    const length = Math.min(AT_ONCE, sessions - visitors.length);
    visitors.push(...(await Promise.all(Array.from({ length }, () => visitorOf(target)))));
  }
  return visitors;
}

async function visitorOf(target: Target): Promise<string> {
  const { cookies } = await ask(target, "seed");
  if (cookies.length === 0) throw new Error(`${target.subject.name} made no session`);
  return kept(cookies);
}

/** What a browser sends back: of each name the last. */
function kept(cookies: readonly string[]): string {
  const byName = new Map(cookies.map((cookie) => [cookie.split("=", 1)[0], cookie]));
  return [...byName.values()].join("; ");
}

/**
 * How many of `writes` are not in the sessions that they were written to. By value every write begins with the data of the
 * cookie that was sent: there one more is made, and looked at.
 */
export async function lostWrites(target: Target, visitors: readonly string[], writes: number): Promise<number> {
  if (!target.subject.byValue) {
    let left = writes;
    for (let at = 0; at < visitors.length; at += AT_ONCE) {
      const some = visitors.slice(at, at + AT_ONCE);
      const counts = await Promise.all(some.map((cookies) => countOf(target, cookies)));
      left = counts.reduce((rest, count) => rest - (count - FIRST_COUNT), left);
    }
    return left;
  }
  const written = await ask(target, "write", visitors[0]);
  return 1 - ((await countOf(target, kept(written.cookies))) - FIRST_COUNT);
}

/** Writes to a session, and looks whether that is there. Throws an `Error` when it is not. */
export async function checkWrite(target: Target, cookies: string): Promise<void> {
  const before = await countOf(target, cookies);
  const { body } = await ask(target, "write", cookies);
  const after = await countOf(target, cookies);
  if (Number(body) !== before + 1 || after !== before + 1) {
    throw new Error(`${target.subject.name}: ${before} became ${body}, and then was ${after}`);
  }
}

/** Signs a visitor in, and looks whether the new session is there. Throws an `Error` when it is not. */
export async function checkSignIn(target: Target): Promise<void> {
  const { cookies } = await ask(target, "sign-in");
  const { body } = await ask(target, "read", kept(cookies));
  if (body !== "ada") throw new Error(`${target.subject.name}: who signed in is ${body}`);
}

async function countOf(target: Target, cookies: string): Promise<number> {
  return Number((await ask(target, "count", cookies)).body);
}
