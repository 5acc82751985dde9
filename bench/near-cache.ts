/**
 * `npm run bench:near`: what a read from a near cache costs beside one from its store, and how soon an ended session is not
 * served any more.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import type { SessionStore, StoredRecord } from "coatcheck";
import { nearCache, type NearCache } from "coatcheck/store/near-cache";
import { startBackends } from "./backends.ts";
import { natsBucket, postgresPool, redisClient } from "./drivers.ts";
import { lackOf, serverVersions, type Need } from "./needs.ts";
import { siteOf, type Site } from "./site.ts";

const [SESSIONS, READS, ROUNDS, ENDINGS] = [1_000, 5_000, 7, 1_000];
const PAGE = join(import.meta.dirname, "../docs/scaling.md");
const VALUE = JSON.stringify({
  v: "x".repeat(43),
  c: Date.now(),
  d: { user: "ada", cart: ["apple", "pear"], count: 1 },
});

const OPENERS: Readonly<Partial<Record<Need, (site: Site) => Promise<SessionStore>>>> = {
  async redis(site) {
    const { redisStore } = await import("coatcheck/store/redis");
    return redisStore(await redisClient(site), { watch: true });
  },
  async postgres(site) {
    const { postgresStore } = await import("coatcheck/store/postgres");
    const store = postgresStore(await postgresPool(site), { watch: true });
    await store.createSchema();
    return store;
  },
  async nats(site) {
    const { natsStore } = await import("coatcheck/store/nats");
    return natsStore(await natsBucket(site));
  },
};

/** What was found of one store. */
interface Found {
  readonly store: string;
  /** CPU time of this process for one read, in microseconds, at its least. */
  readonly read: { readonly store: number; readonly near: number };
  /** From the answer to the deletion to the first read elsewhere that finds nothing, in milliseconds. */
  readonly late: { readonly median: number; readonly p99: number; readonly most: number };
}

const call = (): { now: number } => ({ now: Date.now() });
const keyOf = (n: number): string => `user/${String(n).padStart(22, "0")}`;
const record = (): StoredRecord => ({
  version: Math.random().toString(36),
  expiresAt: Date.now() + 3_600_000,
  value: VALUE,
});

async function costOf(read: (key: string) => unknown): Promise<number> {
  const before = process.cpuUsage();
  for (let n = 0; n < READS; n++) await read(keyOf(n % SESSIONS));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / READS;
}

/** In turns, so that what else the machine does meets both. */
async function reads(store: SessionStore, near: NearCache): Promise<Found["read"]> {
  for (let n = 0; n < SESSIONS; n++) await store.create(keyOf(n), record(), call());
  const found: { store: number; near: number }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await costOf((key) => near.read(key, call()));
    found.push({
      store: await costOf((key) => store.read(key, call())),
      near: await costOf((key) => near.read(key, call())),
    });
  }
  const least = (of: "store" | "near"): number => Math.min(...found.map((one) => one[of]));
  return { store: least("store"), near: least("near") };
}

/** One process ends sessions; another one, here over connections of its own, has copies of them. */
async function endings(store: SessionStore, near: NearCache): Promise<Found["late"]> {
  const late: number[] = [];
  for (let n = 0; n < ENDINGS; n++) {
    const key = `user/ended-${n}`;
    await store.create(key, record(), call());
    // What a creation tells of may still be on its way.
    while ((await near.read(key, call())) === undefined || near.stats().sessions === 0) await turn();
    await store.delete(key, call());
    const ended = performance.now();
    while ((await near.read(key, call())) !== undefined) await turn();
    late.push(performance.now() - ended);
  }
  const sorted = late.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { median: at(0.5), p99: at(0.99), most: at(1) };
}

async function measured(need: Need, url: Site["urls"]): Promise<Found> {
  const ends: (() => unknown)[] = [];
  const site = {
    ...siteOf({ folder: "", urls: url, bytes: 113, sessions: SESSIONS }),
    opened: (end: () => unknown) => void ends.push(end),
  };
  const open = OPENERS[need] as (site: Site) => Promise<SessionStore>;
  const [store, behind] = [await open(site), await open(site)];
  const near = nearCache(behind);
  while (!near.stats().live) await turn();
  try {
    return { store: need, read: await reads(store, near), late: await endings(store, near) };
  } finally {
    await near.close();
    await store.close?.();
    for (const end of ends) await end();
  }
}

function tableOf(found: readonly Found[], versions: Readonly<Record<string, string>>): string {
  const rows = found.map(({ store, read, late }) => {
    const ratio = `1/${(read.store / read.near).toFixed(0)}`;
    const texts = [late.median, late.p99, late.most].map((ms) => `${ms.toFixed(1)} ms`);
    return `| ${[store, `${read.store.toFixed(1)} µs`, `${read.near.toFixed(2)} µs`, ratio, ...texts].join(" | ")} |`;
  });
  return [
    "| Store | A read from it | From the near cache | Ratio | Ended elsewhere: median | p99 | at most |",
    "|---|--:|--:|--:|--:|--:|--:|",
    ...rows,
    "",
    `CPU time of the process for one read of a small session, the least of ${ROUNDS} rounds of ${READS}; and from the answer to a deletion over one connection to the first read through another one's near cache that finds nothing, ${ENDINGS} times, over loopback. Made by \`npm run bench:near\` with Node ${process.versions.node}, ${Object.entries(
      versions,
    )
      .map(([name, version]) => `${name} ${version}`)
      .join(", ")}.`,
    "",
  ].join("\n");
}

const needs = (Object.keys(OPENERS) as Need[]).filter((need) => {
  const lack = lackOf(need);
  if (lack !== undefined) console.log(`${need} is left out: ${lack}`);
  return lack === undefined;
});
const backends = await startBackends(needs, []);
try {
  const found: Found[] = [];
  for (const need of needs) found.push(await measured(need, backends.urls));
  const table = tableOf(found, serverVersions(needs));
  console.log(table);
  const page = readFileSync(PAGE, "utf8");
  const [begin, end] = ["<!-- measured: near-cache -->", "<!-- end of measured: near-cache -->"];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error("the markers of the near cache are missing in docs/scaling.md");
  writeFileSync(PAGE, `${page.slice(0, from)}${begin}\n${table}${page.slice(to)}`);
} finally {
  await backends.stop();
}
