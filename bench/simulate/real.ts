/**
 * The real fleet of the check: server processes over a real Redis, and visitors who come exactly as in the simulation.
 *
 * @module
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { Agent, request as send, type IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { startRedis } from "../../test/servers/redis.ts";
import { until } from "../../test/servers/server-process.ts";
import { agendaFrom } from "./agenda.ts";
import { chanceOf, waiting } from "./chance.ts";
import type { AppCount, AppOrders, AppReport } from "./app.ts";
import { ledger } from "./revocation.ts";
import { quantiles } from "./summary.ts";
import { comeUntil, router, type Request } from "./traffic.ts";
import type { Sample, Weather } from "./weather.ts";
import type { Outcome, World } from "./world.ts";

const PROCESS = new URL("./app.ts", import.meta.url).pathname;

/** Between two deletions that only measure, in milliseconds on average. */
const MEASURED = 10;

/** Before a browser that only measures signs in again, in milliseconds. */
const APART = 5;

/** What was found, and how long messages took meanwhile. */
export interface Real {
  readonly outcome: Outcome;
  readonly weather: Weather;
  /** How late requests were sent, in milliseconds: 99 of 100 were not later. */
  readonly late: number;
  readonly failed: number;
}

/** Lets the visitors of a world come to real servers. */
export async function observe(world: World): Promise<Real> {
  const redis = await startRedis();
  const servers: Server[] = [];
  try {
    const { maxSessions, maxAge, policy } = world;
    const { idle = 0, renewal = 0 } = policy;
    const orders: AppOrders = { redis: redis.port, maxSessions, maxAge, idle, renewal };
    for (let n = 0; n < world.servers; n++) servers.push(await started(orders));
    for (const { ask } of servers) await until("the news", async () => (await ask<boolean>("live")).body);
    return await observed(world, servers);
  } finally {
    for (const { child } of servers) {
      child.disconnect();
      await once(child, "exit");
    }
    await redis.stop();
  }
}

async function observed(world: World, servers: readonly Server[]): Promise<Real> {
  const { warmUp, cuts, routing, traffic } = world;
  const requests = requestsOf(world);
  const routes = router(servers.length, routing);
  const browsers = new Map<number, Browser>();
  const planned = new Map<string, number>();
  const late: number[] = [];
  const under: Promise<void>[] = [];
  let failed = 0;
  const come = (request: Request): Promise<void> => {
    const browser = browserOf(browsers, request.visitor);
    const server = servers[routes.server(request)]!;
    const came = browser.last.then(async () => void (await visit(browser, server, `user/${request.verb}`)));
    return (browser.last = came.catch(() => void failed++));
  };
  /** Signs out a session that waits for it, and in again for the next time. */
  const measure = async ({ at, lot }: Measure): Promise<void> => {
    const server = servers[Math.floor(lot * servers.length)]!;
    const browser = server.decoys.pop() ?? newBrowser();
    if (browser.cookies.size > 0) planned.set(`decoy/${await visit(browser, server, "decoy/sign-out")}`, at);
    // Who hears of it now shall not have to share the machine with that.
    await sleep(APART);
    await visit(browser, server, "decoy/read");
    server.decoys.push(browser);
  };
  const start = performance.now();
  let before: readonly AppCount[] | undefined;
  for (const one of [...requests, ...measures(traffic.seed, requests.at(-1)?.at ?? 0)].toSorted(
    (a, b) => a.at - b.at,
  )) {
    if (before === undefined && one.at >= warmUp) {
      before = await askedAll<AppCount>(servers, "count");
      for (const { server } of cuts) await servers[server]?.ask("deaf?on=1");
    }
    const wait = start + one.at - performance.now();
    if (wait > 1) await sleep(wait);
    late.push(performance.now() - start - one.at);
    under.push(isRequest(one) ? come(one) : measure(one).catch(() => void failed++));
  }
  await Promise.all(under);
  const after = await askedAll<AppReport>(servers, "report");
  // Copies that nobody tells of go by their age.
  await sleep(world.maxAge + 500);
  const reports = await askedAll<AppReport>(servers, "report");
  const counted = requests.filter(({ at }) => at >= warmUp).length;
  return {
    outcome: outcomeOf(counted, before ?? [], after, reports, cuts[0]?.server),
    weather: weatherIn(reports, planned),
    late: quantiles(late).p99,
    failed,
  };
}

async function askedAll<T>(servers: readonly Server[], question: string): Promise<readonly T[]> {
  return await Promise.all(servers.map(async ({ ask }) => (await ask<T>(question)).body));
}

const isRequest = (one: Request | Measure): one is Request => "verb" in one;

interface Measure {
  readonly at: number;
  readonly lot: number;
}

/** Moments of their own, so that what measures is in nobody's way more often than visitors are in each other's. */
function measures(seed: number, end: number): readonly Measure[] {
  const chance = chanceOf(seed, 5);
  const all: Measure[] = [];
  for (let at = 0; at < end; at += waiting(chance, MEASURED)) all.push({ at, lot: chance() });
  return all;
}

/** The same as in the simulation, with the same seed. */
function requestsOf({ traffic, warmUp, measured }: World): readonly Request[] {
  const agenda = agendaFrom(0);
  const requests: Request[] = [];
  comeUntil(warmUp + measured, traffic, agenda, (request) => void requests.push(request));
  agenda.runTo(Infinity);
  return requests;
}

function outcomeOf(
  requests: number,
  before: readonly AppCount[],
  after: readonly AppCount[],
  reports: readonly AppReport[],
  cut: number | undefined,
): Outcome {
  const total = (of: keyof AppCount): number =>
    after.reduce((sum, one, server) => sum + one[of] - (before[server]?.[of] ?? 0), 0);
  const signOuts = ledger();
  reports.forEach((report, server) => {
    for (const [key, at] of report.ended) signOuts.ended(key, at);
    for (const [key, at] of report.served) signOuts.served(key, server, at);
  });
  return {
    requests,
    hitRate: total("hits") / (total("hits") + total("misses")),
    storeReads: total("reads") / requests,
    storeWrites: total("writes") / requests,
    messages: total("news") / reports.length / requests,
    latencies: signOuts.latencies(),
    cutOff: cut === undefined ? [] : signOuts.latencies(cut),
    wrong: 0,
  };
}

/** Of sessions that were ended for this purpose, not of those that are measured. `planned`: when each was to be made. */
function weatherIn(reports: readonly AppReport[], planned: ReadonlyMap<string, number>): Weather {
  const heard = reports.map((report) => new Map(report.heard));
  const samples = reports.flatMap(({ decoys }, by) =>
    decoys.map(([key, sentAt, answeredAt]): Sample => {
      const others = heard.filter((_, server) => server !== by);
      const lags = others.map((known) => (known.get(key) ?? Number.NaN) - answeredAt);
      return { at: planned.get(key) ?? Number.NaN, answer: answeredAt - sentAt, lags };
    }),
  );
  const whole = samples.filter(({ at, lags }) => [at, ...lags].every((value) => Number.isFinite(value)));
  return whole.toSorted((a, b) => a.at - b.at);
}

// --- servers and browsers ---------------------------------------------------------------------------------------------

interface Answer<T> {
  readonly body: T;
  readonly cookies: readonly string[];
}

interface Server {
  readonly child: ChildProcess;
  /** Browsers that are signed in there only to measure. */
  readonly decoys: Browser[];
  ask<T>(path: string, cookie?: string): Promise<Answer<T>>;
}

async function started(orders: AppOrders): Promise<Server> {
  const child = fork(PROCESS, [JSON.stringify(orders)], { execArgv: [] });
  const port = await new Promise<number>((resolve, reject) => {
    child.once("message", (message) => resolve((message as { port: number }).port));
    child.once("exit", (code) => reject(new Error(`a server of the check ended at its start (${code})`)));
  });
  const agent = new Agent({ keepAlive: true });
  return { child, decoys: [], ask: (path, cookie) => asked({ agent, port, path: `/${path}` }, cookie) };
}

async function asked<T>(to: { agent: Agent; port: number; path: string }, cookie = ""): Promise<Answer<T>> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = cookie === "" ? {} : { cookie };
    send({ host: "127.0.0.1", headers, ...to }, resolve)
      .on("error", reject)
      .end();
  });
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk as string;
  if (response.statusCode !== 200) throw new Error(`${to.path}: ${response.statusCode} ${text}`);
  return { body: JSON.parse(text) as T, cookies: response.headers["set-cookie"] ?? [] };
}

interface Browser {
  readonly cookies: Map<string, { readonly value: string; readonly until: number }>;
  last: Promise<void>;
}

function browserOf(browsers: Map<number, Browser>, visitor: number): Browser {
  const known = browsers.get(visitor);
  if (known !== undefined) return known;
  const browser = newBrowser();
  browsers.set(visitor, browser);
  return browser;
}

function newBrowser(): Browser {
  return { cookies: new Map(), last: Promise.resolve() };
}

/** Returns the id of the session. */
async function visit({ cookies }: Browser, server: Server, path: string): Promise<string> {
  for (const [name, { until: end }] of cookies) if (end <= Date.now()) cookies.delete(name);
  const header = Array.from(cookies, ([name, { value }]) => `${name}=${value}`).join("; ");
  const answer = await server.ask<string>(path, header);
  for (const line of answer.cookies) keep(cookies, line);
  return answer.body;
}

function keep(cookies: Browser["cookies"], line: string): void {
  const [pair = "", ...attributes] = line.split("; ");
  const [name = "", value = ""] = pair.split("=");
  const age = attributes.find((one) => /^max-age=/i.test(one))?.slice("max-age=".length);
  cookies.set(name, { value, until: age === undefined ? Infinity : Date.now() + Number(age) * 1000 });
}
