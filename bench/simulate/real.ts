/**
 * The real fleet of the check: server processes over a real Redis, and visitors who come exactly as in the simulation.
 *
 * @module
 */
import { fork, type ChildProcess } from "node:child_process";
import { Agent, request as send, type IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { startRedis } from "../../test/servers/redis.ts";
import { until } from "../../test/servers/server-process.ts";
import { agendaFrom } from "./agenda.ts";
import type { AppCount, AppOrders, AppReport } from "./app.ts";
import type { Delays } from "./remote.ts";
import { ledger } from "./revocation.ts";
import { comeUntil, router, type Request } from "./traffic.ts";
import type { Outcome, World } from "./world.ts";

const PROCESS = new URL("./app.ts", import.meta.url).pathname;

/** Between two deletions that only measure, in milliseconds. */
const MEASURE = 15;

/** What was found, and how long messages took meanwhile. */
export interface Real {
  readonly outcome: Outcome;
  readonly delays: Delays;
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
    for (const { child } of servers) child.disconnect();
    await redis.stop();
  }
}

async function observed(world: World, servers: readonly Server[]): Promise<Real> {
  const { warmUp, cuts, routing } = world;
  const requests = requestsOf(world);
  const routes = router(servers.length, routing);
  const browsers = new Map<number, Browser>();
  const found = { late: [] as number[], failed: 0 };
  const start = performance.now();
  const visits: Promise<void>[] = [];
  let turns = 0;
  const measuring = setInterval(() => {
    void servers[turns++ % servers.length]?.ask("measure").catch(() => void found.failed++);
  }, MEASURE);
  let before: AppCount[] | undefined;
  for (const one of requests) {
    if (before === undefined && one.at >= warmUp) {
      await sleep(Math.max(0, start + warmUp - performance.now()));
      before = await Promise.all(servers.map(async ({ ask }) => (await ask<AppCount>("count")).body));
      for (const { server } of cuts) await servers[server]?.ask("deaf?on=1");
    }
    const wait = start + one.at - performance.now();
    if (wait > 1) await sleep(wait);
    found.late.push(Math.max(0, performance.now() - start - one.at));
    const browser = browserOf(browsers, one.visitor);
    const server = servers[routes.server(one)]!;
    browser.last = browser.last.then(() => visit(browser, server, one.verb)).catch(() => void found.failed++);
    visits.push(browser.last);
  }
  await Promise.all(visits);
  clearInterval(measuring);
  const atEnd = await Promise.all(servers.map(async ({ ask }) => (await ask<AppReport>("report")).body));
  // Copies that nobody tells of go by their age.
  await sleep(world.maxAge + 500);
  const reports = await Promise.all(servers.map(async ({ ask }) => (await ask<AppReport>("report")).body));
  return {
    outcome: outcomeOf(
      requests.filter(({ at }) => at >= warmUp).length,
      before ?? [],
      atEnd,
      reports,
      cuts[0]?.server,
    ),
    delays: delaysIn(reports),
    late: found.late.toSorted((a, b) => a - b)[Math.floor(found.late.length * 0.99)] ?? 0,
    failed: found.failed,
  };
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

/** Of sessions that were ended for this purpose, not of those that are measured. */
function delaysIn(reports: readonly AppReport[]): Delays {
  const answers = new Map<string, { readonly took: number; readonly at: number; readonly by: number }>();
  reports.forEach(({ sent }, by) => {
    for (const [text, sentAt, at] of sent) answers.set(text, { took: at - sentAt, at, by });
  });
  const heard = reports.map((report) => new Map(report.heard));
  const lags = Array.from(answers, ([text, { at, by }]) =>
    heard.flatMap((known, server) => (server === by ? [] : (known.get(text) ?? Number.NaN) - at)),
  );
  return {
    answers: Array.from(answers.values(), ({ took }) => took),
    lags: lags.filter((all) => all.every((lag) => Number.isFinite(lag))),
  };
}

// --- servers and browsers ---------------------------------------------------------------------------------------------

interface Answer<T> {
  readonly body: T;
  readonly cookies: readonly string[];
}

interface Server {
  readonly child: ChildProcess;
  ask<T>(path: string, cookie?: string): Promise<Answer<T>>;
}

async function started(orders: AppOrders): Promise<Server> {
  const child = fork(PROCESS, [JSON.stringify(orders)], { execArgv: [] });
  const port = await new Promise<number>((resolve, reject) => {
    child.once("message", (message) => resolve((message as { port: number }).port));
    child.once("exit", (code) => reject(new Error(`a server of the check ended at its start (${code})`)));
  });
  const agent = new Agent({ keepAlive: true });
  return { child, ask: (path, cookie) => asked({ agent, port, path: `/${path}` }, cookie) };
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
  const browser: Browser = { cookies: new Map(), last: Promise.resolve() };
  browsers.set(visitor, browser);
  return browser;
}

async function visit({ cookies }: Browser, server: Server, path: string): Promise<void> {
  for (const [name, { until: end }] of cookies) if (end <= Date.now()) cookies.delete(name);
  const header = Array.from(cookies, ([name, { value }]) => `${name}=${value}`).join("; ");
  const answer = await server.ask(path, header);
  for (const line of answer.cookies) keep(cookies, line);
}

function keep(cookies: Browser["cookies"], line: string): void {
  const [pair = "", ...attributes] = line.split("; ");
  const [name = "", value = ""] = pair.split("=");
  const age = attributes.find((one) => /^max-age=/i.test(one))?.slice("max-age=".length);
  cookies.set(name, { value, until: age === undefined ? Infinity : Date.now() + Number(age) * 1000 });
}
