/**
 * A process that works on a store that other processes work on too; see store-processes.ts. What it did goes to its log,
 * line by line: it may be killed at any time.
 */
import { appendFileSync, existsSync } from "node:fs";
import { directoryStore } from "../../src/store/directory.ts";
import { sqliteStore } from "../../src/store/sqlite.ts";
import type { SessionStore, StoredRecord } from "../../src/store/store.ts";

/** What a worker is told, as JSON in its first argument. */
export interface Orders {
  readonly engine: "directory" | "sqlite";
  readonly path: string;
  readonly log: string;
  /** Nothing is done before this file is there, so that all begin at once. */
  readonly go: string;
  readonly task: "increment" | "live";
  readonly key: string;
  /** How many increments, or how many verbs. */
  readonly count: number;
}

/** One line of a log; times are those of a clock that all processes share, in nanoseconds. */
export type Line =
  | { readonly did: "increment"; readonly life: string; readonly to: number }
  | { readonly did: "touch" | "create"; readonly life: string }
  | { readonly did: "read"; readonly life: string; readonly from: string }
  | { readonly did: "delete"; readonly life: string; readonly until: string }
  | { readonly did: "end" };

interface Counter {
  readonly life: string;
  readonly n: number;
}

const orders = JSON.parse(process.argv[2] ?? "{}") as Orders;
const { engine, path, key } = orders;
const store: SessionStore =
  engine === "directory" ? directoryStore(path, { sweepInterval: false }) : sqliteStore(path, { sweepInterval: false });

let made = 0;
const unique = (): string => `${process.pid}-${++made}`;
const log = (line: Line): void => appendFileSync(orders.log, `${JSON.stringify(line)}\n`);
const call = (): { readonly now: number } => ({ now: Date.now() });
const time = (): string => String(process.hrtime.bigint());
const recordOf = (counter: Counter): StoredRecord => ({
  version: unique(),
  expiresAt: Date.now() + 60_000,
  subject: `s/${counter.life}`,
  value: JSON.stringify(counter),
});
const counterOf = ({ value }: StoredRecord): Counter => JSON.parse(value) as Counter;

/** Lets the other processes go first, for a moment of random length. */
async function pause(): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, Math.random() * 3);
  });
}

async function tryIncrement(base: StoredRecord): Promise<boolean> {
  const { life, n } = counterOf(base);
  if (Math.random() < 0.5) await pause();
  const outcome = await store.update(key, recordOf({ life, n: n + 1 }), base, call());
  if (outcome === "ok") log({ did: "increment", life, to: n + 1 });
  return outcome === "ok";
}

/** So many increments of a record that is always there, and touches in between. */
async function increment(): Promise<void> {
  for (let done = 0; done < orders.count;) {
    const base = await store.read(key, call());
    if (base === undefined) throw new Error("the record is gone");
    if (await tryIncrement(base)) done++;
    if (Math.random() < 0.2) await store.touch(key, Date.now() + 60_000 + Math.random() * 60_000, call());
  }
}

/** So many verbs on a record that comes and goes. */
async function live(): Promise<void> {
  for (let verbs = 0; verbs < orders.count; verbs++) {
    const from = time();
    const base = await store.read(key, call());
    if (base === undefined) {
      const life = unique();
      if (await store.create(key, recordOf({ life, n: 0 }), call())) log({ did: "create", life });
      continue;
    }
    const { life } = counterOf(base);
    log({ did: "read", life, from });
    const dice = Math.random();
    if (dice < 0.7) await tryIncrement(base);
    else if (dice < 0.85) await store.touch(key, Date.now() + 60_000, call());
    else if (await store.delete(key, call())) log({ did: "delete", life, until: time() });
  }
}

while (!existsSync(orders.go)) await pause();
await (orders.task === "increment" ? increment() : live());
log({ did: "end" });
await store.close?.();
