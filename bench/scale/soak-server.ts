/**
 * The server of the soak, with `--expose-gc`. Its parent asks it how it is, and ends it by letting go.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { cookie, defineSession } from "coatcheck";
import { withSessions } from "coatcheck/node";
import { memoryStore } from "coatcheck/store/memory";

/** How the server is. */
export interface Health {
  /** What is in use of the heap after everything else was collected, in bytes. */
  readonly heap: number;
  /** What the process has of the machine's memory, in bytes. */
  readonly resident: number;
  readonly sessions: number;
  readonly requests: number;
  /** Since it was asked before: how late the event loop was, in milliseconds. */
  readonly delay: { readonly p50: number; readonly p99: number; readonly max: number };
  /** The part of that time in which it could have run, had another process not had its core; undefined when unknown. */
  readonly starved: number | undefined;
}

/** Beyond it the least recently used one goes: visitors who never come back must not make the heap grow. */
const MAX_SESSIONS = 5000;
const NANOSECONDS = 1e6;

const store = memoryStore({ maxSessions: MAX_SESSIONS });
const transport = cookie({ trustProxy: true });
// Clocks that are short enough for touches and renewals to take part.
const user = defineSession<{ count: number }>({
  name: "user",
  store,
  transport,
  idleTimeout: "5m",
  renewalTimeout: "30s",
});
const prefs = defineSession<{ count: number }>({
  name: "prefs",
  keys: randomBytes(32).toString("base64url"),
  revocation: "none",
  transport,
});

let requests = 0;
const server = createServer(
  withSessions(
    async (req, res) => {
      requests++;
      await answer(req, res);
    },
    user,
    prefs,
  ),
);
server.keepAliveTimeout = 0;
server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));

let [asked, waited] = [performance.now(), waitedForCore()];
const lateness = monitorEventLoopDelay({ resolution: 1 });
lateness.enable();
process.on("message", () => {
  void health().then((now) => process.send?.(now));
});
process.on("disconnect", () => process.exit());

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const subject = req.headers["x-subject"] as string;
  if (req.url === "/untouched") return void res.end("untouched");
  const session = await (req.url?.startsWith("/prefs") === true ? prefs : user).from(req);
  if (req.url?.endsWith("/write") === true) session.update((data) => ({ count: (data?.count ?? 0) + 1 }));
  if (req.url === "/sign-in") session.authenticate(subject);
  if (req.url === "/sign-out") session.destroy();
  res.end(`${session.subject ?? "guest"} ${session.data?.count ?? 0}`);
}

async function health(): Promise<Health> {
  const ms = (value: number): number => value / NANOSECONDS;
  const delay = { p50: ms(lateness.percentile(50)), p99: ms(lateness.percentile(99)), max: ms(lateness.max) };
  const [now, sofar] = [performance.now(), waitedForCore()];
  const part = (sofar - waited) / (now - asked);
  const starved = Number.isNaN(part) ? undefined : part;
  [asked, waited] = [now, sofar];
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, rss } = process.memoryUsage();
  const sessions = await store.count("", { now: Date.now() });
  // What was just done here is none of the sessions' doing.
  setImmediate(() => lateness.reset());
  return { heap: heapUsed, resident: rss, sessions, requests, delay, starved };
}

/** How long the main thread was ready to run and had to wait, in milliseconds, where Linux tells. */
function waitedForCore(): number {
  const path = "/proc/self/schedstat";
  return existsSync(path) ? Number(readFileSync(path, "utf8").split(" ")[1]) / NANOSECONDS : NaN;
}
