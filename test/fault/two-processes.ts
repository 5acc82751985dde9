/**
 * Processes that use the same sessions at once over one store, and what must hold in the end. Each makes random requests with
 * whatever cookies it was last told; what they were acknowledged is compared with what is there.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { defineSession, type SessionDefinition, type SessionStore } from "../../src/index.ts";
import { Browser, COOKIE } from "../testbed.ts";
import type { WorkerMessage, WorkerReport } from "./session-worker.ts";
import type { StoreOrders } from "./stores.ts";

/** How many processes there are. */
export const PROCESSES = 2;

const SESSIONS = 12;

/** Lets the processes loose on a store, and looks at what became of it. `store` is the same one, seen from here. */
export async function provedTogether(orders: StoreOrders, store: SessionStore, requests: number): Promise<void> {
  const user = defineSession<Record<string, number>>({ name: "user", store, storeTimeout: "30s" });
  const cookies = await Promise.all(Array.from({ length: SESSIONS }, () => begin(user)));
  const first = await Promise.all(cookies.map((cookie) => idOf(user, cookie)));

  const reports = await race(orders, cookies, requests);

  const ended = new Set(reports.flatMap((report) => report.ended));
  const began = new Map([
    ...first.map((id) => [id, 0] as const),
    ...reports.flatMap((report) => Object.entries(report.began)),
  ]);
  for (const id of began.keys()) {
    const record = await store.read(`user/${id}`, { now: Date.now(), fresh: true });
    if (ended.has(id)) {
      expect(record, `${id} was ended`).toBeUndefined();
      continue;
    }
    const { d: data = {} } = JSON.parse(record?.value ?? "{}") as { d?: Record<string, number> };
    const added = reports.reduce((sum, report) => sum + (report.added[id] ?? 0), 0);
    expect(data["n"] ?? 0, "acknowledged additions").toBe((began.get(id) ?? 0) + added);
    for (const report of reports) for (const key of report.keys[id] ?? []) expect(data[key], key).toBe(1);
  }
  for (const token of reports.flatMap((report) => report.dead)) expect(await accepted(user, token)).toBe(false);
  const sum = (count: (report: WorkerReport) => number): number =>
    reports.reduce((total, report) => total + count(report), 0);
  expect(sum((report) => report.requests)).toBe(requests);
  expect(sum(({ conflicts }) => conflicts)).toBeGreaterThan(0);
  expect(sum(({ added }) => Object.values(added).reduce((total, n) => total + n, 0))).toBeGreaterThan(requests / 4);
  expect(sum(({ dead }) => dead.length)).toBeGreaterThan(10);
}

type User = SessionDefinition<Record<string, number>>;

async function begin(user: User): Promise<string> {
  const browser = new Browser(user);
  await browser.visit(user, (session) => {
    session.set({ n: 0 });
    session.authenticate("ada");
  });
  return browser.jar.get(COOKIE) ?? "";
}

async function idOf(user: User, cookie: string): Promise<string> {
  return (await arriveWith(user, cookie).from(user)).id;
}

async function accepted(user: User, cookie: string): Promise<boolean> {
  return !(await arriveWith(user, cookie).from(user)).isNew;
}

function arriveWith(user: User, cookie: string): ReturnType<Browser["arrive"]> {
  const browser = new Browser(user);
  browser.jar.set(COOKIE, cookie);
  return browser.arrive();
}

/** Lets the processes loose at once, tells each what cookies the others got, and waits for their reports. */
async function race(orders: StoreOrders, cookies: readonly string[], requests: number): Promise<WorkerReport[]> {
  const children = Array.from({ length: PROCESSES }, (_, n) =>
    fork(
      join(import.meta.dirname, "session-worker.ts"),
      [JSON.stringify(orders), String(requests / PROCESSES), String(n)],
      {
        execArgv: [],
      },
    ),
  );
  onTestFinished(() => children.forEach((child) => child.exitCode === null && child.kill("SIGKILL")));
  await Promise.all(children.map((child) => once(child, "message")));
  const reports = children.map((child) => reportOf(child, children));
  for (const child of children) child.send({ type: "start", cookies } satisfies WorkerMessage);
  return await Promise.all(reports);
}

async function reportOf(child: ChildProcess, children: readonly ChildProcess[]): Promise<WorkerReport> {
  return await new Promise((resolve, reject) => {
    child.on("message", (message: WorkerMessage) => {
      if (message.type === "report") resolve(message.report);
      if (message.type === "cookie") {
        // Who has just ended needs it no more.
        for (const other of children) if (other !== child && other.connected) other.send(message, () => {});
      }
    });
    child.on("exit", (code, signal) => reject(new Error(`a process ended early (${code ?? signal})`)));
  });
}
