/**
 * The shop's primary process: starts two workers that share a port and one SQLite file, starts another when one dies, and
 * closes the shop on Ctrl-C or SIGTERM. It serves nothing itself.
 */
import cluster, { type Worker } from "node:cluster";
import { mkdirSync } from "node:fs";
import { settingsOf, whyNot, type Settings } from "./settings.ts";

const WORKERS = 2;
/** Above what a worker allows the requests under way. */
const PATIENCE_MS = 4000;
const LONGEST_PAUSE_MS = 5000;

prepare();
let state: "opening" | "open" | "closing" = "opening";
let exitCode = 0;
/** Workers that died in a row without having listened. */
let stillborn = 0;
const listening = new Set<number>();

// Whichever worker is free takes the next connection. Dealt out in turn by the primary (SCHED_RR), a connection that is on its
// way to a worker when that is killed would hang for good.
cluster.schedulingPolicy = cluster.SCHED_NONE;
cluster.setupPrimary({ exec: new URL("worker.ts", import.meta.url).pathname });
cluster.on("message", (_worker, message: unknown) => complain(message));
cluster.on("listening", (worker, { port }) => welcome(worker, port));
cluster.on("exit", (worker, code, signal) => replace(worker, signal ?? `exit code ${code}`));
for (let count = 0; count < WORKERS; count++) cluster.fork();

process.on("SIGINT", () => close());
process.on("SIGTERM", () => close());
// npm tells its shell to end, and the shell does not tell us: without this the shop would outlive a killed `npm start`.
const parent = process.ppid;
if (process.env["npm_lifecycle_event"] === "start") setInterval(() => process.ppid !== parent && close(), 250).unref();

/** What the workers need, checked before there are any. */
function prepare(): void {
  let given: Settings | undefined;
  try {
    given = settingsOf(process.env);
    if (given.redisUrl === undefined) mkdirSync(given.dataDir, { recursive: true });
  } catch (error) {
    console.error(whyNot(error, given));
    process.exit(1);
  }
}

function welcome(worker: Worker, port: number): void {
  listening.add(worker.id);
  stillborn = 0;
  if (state === "opening" && listening.size === WORKERS) {
    state = "open";
    console.log(`The shop is open: http://localhost:${port} (workers ${pids()}; Ctrl-C closes it)`);
  } else if (state === "open") {
    console.log(`Worker ${worker.process.pid} has taken over.`);
  }
}

function replace(worker: Worker, reason: string): void {
  const served = listening.delete(worker.id);
  if (state === "opening") close(1);
  if (state === "closing") {
    if (pids() === "") process.exit(exitCode);
    return;
  }
  console.error(`Worker ${worker.process.pid} is gone (${reason}); another takes its place.`);
  if (!served) stillborn++;
  // At once after a crash, more and more patiently when it cannot even start.
  const pause = Math.min(LONGEST_PAUSE_MS, stillborn * 500);
  setTimeout(() => state === "open" && cluster.fork(), pause);
}

/** A worker says why it cannot start. Both may say it: once is enough. */
function complain(message: unknown): void {
  if (typeof message !== "object" || message === null || !("failed" in message)) return;
  if (state !== "closing") console.error(message.failed);
  if (state === "opening") close(1);
}

function close(code = 0): void {
  if (state === "closing") return;
  if (state === "open") console.log("The shop is closing.");
  state = "closing";
  exitCode = code;
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill("SIGTERM");
  setTimeout(() => {
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill("SIGKILL");
  }, PATIENCE_MS).unref();
  if (pids() === "") process.exit(exitCode);
}

function pids(): string {
  return Object.values(cluster.workers ?? {})
    .map((worker) => worker?.process.pid)
    .join(", ");
}
