/**
 * One of several processes that use the same sessions at once: makes random requests with whatever cookies it was last told,
 * and reports in the end what was acknowledged. Started by two-processes.ts.
 */
import { setImmediate as turn } from "node:timers/promises";
import { defineSession, type Session } from "../../src/index.ts";
import { Browser, COOKIE } from "../testbed.ts";
import { openStore, type StoreOrders } from "./stores.ts";

type Counter = Record<string, number>;

/** What a process was acknowledged. */
export interface WorkerReport {
  readonly requests: number;
  readonly conflicts: number;
  readonly gone: number;
  /** How often each session was added to. */
  readonly added: Record<string, number>;
  /** The keys that were set in each session. */
  readonly keys: Record<string, string[]>;
  /** Sessions that began here, with what they began with. */
  readonly began: Record<string, number>;
  /** Sessions that were ended. */
  readonly ended: string[];
  /** Tokens whose secret was replaced. */
  readonly dead: string[];
}

/** What the test and its processes tell each other. */
export type WorkerMessage =
  | { readonly type: "ready" }
  | { readonly type: "start"; readonly cookies: readonly string[] }
  | { readonly type: "cookie"; readonly index: number; readonly value: string }
  | { readonly type: "report"; readonly report: WorkerReport };

const [orders = "", count = "0", worker = ""] = process.argv.slice(2);
const store = await openStore(JSON.parse(orders) as StoreOrders);
const user = defineSession<Counter>({ name: "user", store, storeTimeout: "30s" });
const cookies: string[] = [];
const report = {
  requests: 0,
  conflicts: 0,
  gone: 0,
  added: {},
  keys: {},
  began: {},
  ended: [],
  dead: [],
} as WorkerReport & {
  requests: number;
  conflicts: number;
  gone: number;
};
user.manager.on("conflict", () => report.conflicts++);

process.on("message", (message: WorkerMessage) => {
  if (message.type === "cookie") cookies[message.index] = message.value;
  if (message.type === "start") {
    cookies.push(...message.cookies);
    void work();
  }
});
tell({ type: "ready" });

async function work(): Promise<void> {
  for (let request = 0; request < Number(count); request++) {
    await one(Math.floor(Math.random() * cookies.length), `k${worker}-${request}`);
    if (request % 8 === 0) await turn();
  }
  await store.close?.();
  // Clients are left open by their stores.
  process.send?.({ type: "report", report } satisfies WorkerMessage, () => process.exit());
}

async function one(index: number, key: string): Promise<void> {
  const browser = new Browser(user);
  const cookie = cookies[index] ?? "";
  browser.jar.set(COOKIE, cookie);
  const visit = browser.arrive();
  const session = await visit.from(user);
  report.requests++;
  if (session.isNew) return;
  const { id } = session;
  if (Math.random() < 0.3) await turn();
  const action = act(session, key);
  const outcome = await session.commit();
  (await visit.answer()).deliver();
  if (outcome === "gone") report.gone++;
  if (outcome === "written") acknowledge(action, id, session, key, cookie);
  if (action === "destroy") report.ended.push(id);
  const next = browser.jar.get(COOKIE);
  if (next === undefined || next === cookie) return;
  cookies[index] = next;
  tell({ type: "cookie", index, value: next });
}

function act(session: Session<Counter>, key: string): string {
  const chance = Math.random();
  if (chance < 0.5) session.update((data) => ({ ...data, n: (data?.["n"] ?? 0) + 1 }));
  else if (chance < 0.9) session.patch({ [key]: 1 });
  else if (chance < 0.95) session.authenticate("ada");
  else if (chance < 0.98) session.regenerate();
  else if (chance < 0.9805) session.destroy();
  else return "read";
  return chance < 0.5 ? "add" : chance < 0.9 ? "key" : chance < 0.98 ? "rotate" : "destroy";
}

function acknowledge(action: string, before: string, session: Session<Counter>, key: string, cookie: string): void {
  const { id } = session;
  if (action === "add") report.added[id] = (report.added[id] ?? 0) + 1;
  if (action === "key") (report.keys[id] ??= []).push(key);
  if (action === "rotate" && id === before) report.dead.push(cookie);
  if (action === "rotate" && id !== before) report.began[id] = session.data?.["n"] ?? 0;
}

function tell(message: WorkerMessage): void {
  process.send?.(message);
}
