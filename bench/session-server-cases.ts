/**
 * What is asked of a session server in `npm run bench:server`.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { DATA_BYTES, dataOf } from "./data.ts";

/** A request, and what its answer must be. */
export interface Asked {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly isRight: (response: Response, text: string) => boolean;
}

/** Requests of one kind. */
export interface Case {
  readonly name: string;
  /** Reads in a request. */
  readonly reads: number;
  readonly asked: readonly Asked[];
}

/** As many sessions take turns. */
const SESSIONS = 100;
const AT_ONCE = 32;
const SUBJECT = "user-7";
const newData = dataOf(DATA_BYTES);

/** Fills a server with sessions and records, and returns what to ask. `credential`: of the application `shop`. */
export async function casesOf(port: number, credential: string): Promise<readonly Case[]> {
  const ask = asker(port, credential);
  const tokens: string[] = [];
  for (let n = 0; n < SESSIONS; n++) {
    const made = await ask("/v1/sessions/user", { data: newData(), subject: SUBJECT });
    tokens.push(made.headers.get("Session-Token") ?? "");
  }
  const keys = tokens.map((_token, n) => `user/${String(n).padStart(22, "0")}`);
  const value = JSON.stringify({ v: "x".repeat(43), c: Date.now(), d: newData() });
  const now = Date.now();
  for (const key of keys) {
    const record = { version: "abcdefghijkl", expiresAt: now + 3_600_000, value };
    await ask("/v1/store", { calls: [{ verb: "create", key, record, now }] });
  }
  const authorization = { Authorization: `Bearer ${credential}` };
  return [
    { name: "`POST /v1/store`, one read", reads: 1, asked: keys.map((key) => storeRead([key], value, authorization)) },
    {
      name: `\`POST /v1/store\`, ${AT_ONCE} reads: each`,
      reads: AT_ONCE,
      asked: keys.map((_key, n) =>
        storeRead([...keys.slice(n), ...keys.slice(0, n)].slice(0, AT_ONCE), value, authorization),
      ),
    },
    {
      name: "`GET /v1/sessions/user/current`",
      reads: 1,
      asked: tokens.map((token) => currentSession({ ...authorization, "Session-Token": token })),
    },
    {
      name: "`GET /forward-auth/shop/user`",
      reads: 1,
      asked: tokens.map((token) => forwarded({ Cookie: `__Host-Http-user=${token}` })),
    },
  ];
}

function asker(port: number, credential: string): (path: string, body: unknown) => Promise<Response> {
  return async (path, body) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: "POST",
      headers: { Authorization: `Bearer ${credential}`, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response;
  };
}

function storeRead(keys: readonly string[], value: string, headers: Asked["headers"]): Asked {
  const calls = keys.map((key) => ({ verb: "read", key, now: Date.now() }));
  return {
    method: "POST",
    path: "/v1/store",
    headers: { ...headers, "Content-Type": "application/json" },
    body: JSON.stringify({ calls }),
    isRight(_response, text) {
      const { answers } = JSON.parse(text) as { answers: { ok?: { value?: string } }[] };
      return answers.length === keys.length && answers.every(({ ok }) => ok?.value === value);
    },
  };
}

function currentSession(headers: Asked["headers"]): Asked {
  return {
    method: "GET",
    path: "/v1/sessions/user/current",
    headers,
    isRight(response, text) {
      const { data, subject } = JSON.parse(text) as { data: unknown; subject: string };
      return response.headers.has("ETag") && subject === SUBJECT && JSON.stringify(data) === JSON.stringify(newData());
    },
  };
}

function forwarded(headers: Asked["headers"]): Asked {
  return {
    method: "GET",
    path: "/forward-auth/shop/user",
    headers,
    isRight: (response) => response.headers.get("X-Session-Subject") === SUBJECT,
  };
}

/** Asks each once. Throws an `Error` unless all answers are right. */
export async function check({ name, asked }: Case, port: number): Promise<void> {
  for (const { method, path, headers, body, isRight } of asked) {
    const sent = { method, headers, ...(body !== undefined && { body }) };
    const response = await fetch(`http://127.0.0.1:${port}${path}`, sent);
    const text = await response.text();
    if (response.status !== 200 || !isRight(response, text))
      throw new Error(`${name}: ${response.status} ${text.slice(0, 200)}`);
  }
}

/** Writes requests for `requests.lua`. */
export function written(file: string, asked: readonly Asked[]): string {
  const texts = asked.map(({ method, path, headers, body = "" }) => {
    const length = method === "POST" ? { "Content-Length": String(Buffer.byteLength(body)) } : {};
    const lines = Object.entries({ Host: "127.0.0.1", ...headers, ...length }).map(
      ([header, value]) => `${header}: ${value}\r\n`,
    );
    return `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}\n====\n`;
  });
  writeFileSync(file, texts.join(""));
  return file;
}
