/**
 * Single requests to a server: those that make the sessions, and those that look at what became of them.
 *
 * @module
 */
import { FIRST_COUNT } from "./data.ts";
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

/** Sends a request. Throws an `Error` unless its status is 200. */
export async function ask({ subject, port }: Target, path: string, cookie?: string): Promise<Answer> {
  const headers = { "X-Forwarded-Proto": "https", ...(cookie !== undefined && { Cookie: cookie }) };
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
  const body = await response.text();
  if (response.status !== 200) throw new Error(`${subject.name} answered ${path} with ${response.status}: ${body}`);
  const cookies = response.headers.getSetCookie().map((line) => line.split(";", 1)[0] ?? "");
  return { body, cookies };
}

/** Makes the sessions of a subject. Returns their cookies. */
export async function seeded(target: Target): Promise<string[]> {
  const cookies: string[] = [];
  while (cookies.length < target.subject.sessions) {
    const length = Math.min(AT_ONCE, target.subject.sessions - cookies.length);
    cookies.push(...(await Promise.all(Array.from({ length }, () => cookieOfNew(target)))));
  }
  return cookies;
}

async function cookieOfNew(target: Target): Promise<string> {
  const { cookies } = await ask(target, "/seed");
  if (cookies[0] === undefined) throw new Error(`${target.subject.name} made no session`);
  return cookies[0];
}

/**
 * How many of `writes` are not in the sessions that they were written to. By value every write begins with the data of the
 * cookie that was sent: there one more is made, and looked at.
 */
export async function lostWrites(target: Target, cookies: readonly string[], writes: number): Promise<number> {
  if (!target.subject.byValue) {
    const counts = await Promise.all(cookies.map((cookie) => countOf(target, cookie)));
    return counts.reduce((left, count) => left - (count - FIRST_COUNT), writes);
  }
  const written = await ask(target, "/write", cookies[0]);
  return 1 - ((await countOf(target, written.cookies[0])) - FIRST_COUNT);
}

async function countOf(target: Target, cookie: string | undefined): Promise<number> {
  return Number((await ask(target, "/count", cookie)).body);
}
