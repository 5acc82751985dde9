/** One run: servers, two processes, traffic, the fault, and what the history says of it. */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startApp, type App } from "./app.ts";
import { check, type Findings } from "./check.ts";
import type { Fault, Scene, Stage } from "./fault.ts";
import { countsOf, figuresOf, type Counts, type Figures } from "./figures.ts";
import { isUnknown, requestsOf, sessionsOf, type FinalLine, type Line } from "./history.ts";
import { startTraffic } from "./traffic.ts";

/** How long a run takes and what it is made of. Times in milliseconds. */
export interface Pace {
  readonly clients: number;
  /** Of traffic before the fault. */
  readonly before: number;
  /** Of traffic after it. */
  readonly after: number;
  /** The fault lasts so much of its time. */
  readonly share: number;
  /** How many requests there must be at least. Default as many as it takes to prove something. */
  readonly requests?: number;
}

/** A whole run. */
export const FULL: Pace = { clients: 8, before: 2_000, after: 3_000, share: 1 };
/**
 * A run for `npm test`. A server that is killed is away for longer than `STORE_TIMEOUT`: what a client keeps back until then
 * could otherwise be done without anybody having noticed.
 */
export const QUICK: Pace = { clients: 8, before: 1_000, after: 1_500, share: 0.6 };

/** How many clients there are where many requests are to be made. */
export const CROWD: number = 24;

/** The `storeTimeout` of the apps. */
export const STORE_TIMEOUT: number = 1_000;
/** The same where nothing may fail: that a machine is busy is no fault. */
export const LONG_STORE_TIMEOUT: number = 10_000;
/** How long after the fault everything must work again, and enough must have been done, at the latest. */
const RECOVERED_WITHIN = 20_000;

/** What a run came to. */
export interface Report {
  readonly fault: Fault;
  readonly figures: Figures;
  readonly findings: Findings;
  /** What speaks against it; empty when all that was promised was kept. */
  readonly complaints: readonly string[];
  readonly history: readonly Line[];
}

/** How to do a run. */
export interface RunOptions {
  /** Of what the clients do, and when they pause. */
  readonly seed: number;
  readonly pace: Pace;
  /** Where to leave the history and what the apps printed. Default nowhere. */
  readonly evidence?: string | undefined;
  /** Whether to leave that only where something speaks against a run. Default false. */
  readonly onlyBroken?: boolean | undefined;
}

/** Does one run. */
export async function runFault(fault: Fault, options: RunOptions): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), "coatcheck-fault-"));
  mkdirSync(join(folder, "servers"));
  try {
    const stage = await fault.start(join(folder, "servers"));
    try {
      const done = report(fault, await historyOf(fault, stage, { ...options, folder }));
      const isWanted = options.onlyBroken !== true || done.complaints.length > 0;
      if (options.evidence !== undefined && isWanted) keepEvidence(options.evidence, folder, done);
      return done;
    } finally {
      await stage.servers.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Run extends RunOptions {
  readonly folder: string;
}

async function historyOf(fault: Fault, stage: Stage, { seed, pace, folder }: Run): Promise<readonly Line[]> {
  const history: Line[] = [];
  const beginning = performance.now();
  const now = (): number => performance.now() - beginning;
  const storeTimeout = fault.fails === "never" ? LONG_STORE_TIMEOUT : STORE_TIMEOUT;
  const { apps: count = 2, skews = [] } = fault.topology;
  const start = (app: number): Promise<App> =>
    startApp({ store: stage.servers.store, storeTimeout, skew: skews[app] }, join(folder, `app-${app}.log`), () =>
      history.push({ did: "crash", app, at: now() }),
    );
  const apps: [App, App, ...App[]] = [await start(0), await start(1)];
  for (let app = 2; app < count; app++) apps.push(await start(app));
  try {
    const traffic = startTraffic({ origins: apps, history, seed, clients: pace.clients, now });
    try {
      await sleep(pace.before);
      await strike(fault, stage, { apps, history, now, share: pace.share });
      await sleep(pace.after);
      await recovered(history, now, pace);
    } finally {
      await traffic.stop();
    }
    history.push(...(await finals(apps[0], sessionsOf(requestsOf(history)))));
    await traffic.presentAll();
    return history;
  } finally {
    await Promise.all(apps.map((app) => app.stop()));
  }
}

interface Strike {
  readonly apps: readonly [App, App, ...App[]];
  readonly history: Line[];
  readonly share: number;
  now(): number;
}

async function strike(fault: Fault, stage: Stage, { apps, history, now, share }: Strike): Promise<void> {
  const scene: Scene = {
    apps,
    sessions: () => sessionsOf(requestsOf(history)),
    async lose(sessions, work) {
      const from = now();
      await work();
      history.push({ did: "loss", sessions, from, until: now() });
    },
  };
  history.push({ did: "strike", at: now() });
  const end = now() + fault.lasts * share;
  await stage.inject(scene);
  while (fault.every !== undefined && now() < end) {
    await sleep(fault.every);
    await stage.inject(scene);
  }
  await sleep(Math.max(0, end - now()));
  await stage.clear(scene);
  history.push({ did: "clear", at: now() });
}

/** Waits until nothing has failed for a second, and enough was done to prove something. */
async function recovered(history: readonly Line[], now: () => number, { requests = 0 }: Pace): Promise<void> {
  while (requestsOf(history).length < requests) await sleep(500);
  const latest = now() + RECOVERED_WITHIN;
  const failed = (): boolean => (requestsOf(history).findLast(isUnknown)?.until ?? 0) > now() - 1_000;
  while ((failed() || isLittle(countsOf(requestsOf(history)))) && now() < latest) await sleep(100);
}

/** Whether a history is too short for its zeros to say much. */
function isLittle({ acknowledged, signIns, rotations, signOuts }: Counts): boolean {
  return acknowledged < 200 || Math.min(signIns, rotations, signOuts) < 10;
}

/** What the store holds in the end, as one of the apps reads it. */
async function finals({ origin }: App, sessions: readonly string[]): Promise<readonly FinalLine[]> {
  const lines: FinalLine[] = [];
  for (const session of sessions) {
    const response = await fetch(`${origin}/final?session=${session}`);
    if (response.status !== 200) throw new Error(`the store does not work again: ${response.status}`);
    const { data } = (await response.json()) as { data: FinalLine["data"] | null };
    lines.push({ did: "final", session, data: data ?? undefined });
  }
  return lines;
}

function report(fault: Fault, history: readonly Line[]): Report {
  const { staleFor } = fault.topology;
  const findings = check(history, { mayLose: fault.allows.includes("lost"), staleFor });
  const figures = figuresOf(history, findings);
  return { fault, figures, findings, complaints: complaintsOf(fault, figures), history };
}

function complaintsOf({ allows, fails, stalls = 0 }: Fault, figures: Figures): readonly string[] {
  const { found, failed, conflicts, unanswered, recovery, slowestError } = figures;
  const wrong = Object.entries(found).filter(([kind, count]) => count > 0 && !allows.includes(kind as keyof Findings));
  const failures = failed + conflicts + unanswered;
  return [
    ...wrong.map(([kind, count]) => `${kind}: ${count}`),
    ...(isLittle(figures) ? ["too little was done to prove anything"] : []),
    ...(fails === "must" && failures === 0 ? ["the fault was not felt"] : []),
    ...(fails === "never" && failures > 0 ? [`requests failed: ${failures}`] : []),
    ...(recovery === undefined ? ["it did not recover"] : []),
    ...(slowestError > 4 * STORE_TIMEOUT + stalls ? [`an error took ${slowestError} ms`] : []),
  ];
}

/** For whoever wants to know how it came to that. */
function keepEvidence(evidence: string, folder: string, { fault, history, findings }: Report): void {
  const place = join(evidence, fault.name);
  mkdirSync(place, { recursive: true });
  for (const log of readdirSync(folder).filter((name) => name.endsWith(".log"))) {
    copyFileSync(join(folder, log), join(place, log));
  }
  const lines = [...history, findings].map((line) => `${JSON.stringify(line)}\n`);
  writeFileSync(join(place, "history.jsonl"), lines.join(""));
}
