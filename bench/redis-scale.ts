/**
 * What a request costs with a million sessions in Redis, beside what it costs with a thousand, in one run:
 *
 *     npm run build && npx node bench/redis-scale.ts
 *
 * Starts two servers of its own; needs `redis-server`, some 1.5 GB of memory and two to four minutes. Both are asked in turn,
 * round by round, so that whatever else the machine does hits both. Ends with exit code 1 when a request over the million
 * takes more than 1.2 times the CPU time, by the minima of the rounds: that of this process and of the server together.
 *
 * @module
 */
import { randomFillSync } from "node:crypto";
import { defineSession, type SessionDefinition, type SessionStore, type StoredRecord } from "coatcheck";
import { withSessions } from "coatcheck/fetch";
import { redisStore } from "coatcheck/store/redis";
import { createClient } from "redis";
import { startRedis, type RedisNode } from "../test/servers/redis.ts";

const FEW = 1_000;
const MANY = 1_000_000;
/** Design §6: flat, ± 20 %. */
const MOST = 1.2;

const ROUNDS = 30;
const REQUESTS = 3_000;
/** Requests under way at a time, as of as many connections. */
const AT_ONCE = 32;

const NAME = "bench";
const COOKIE = `__Host-Http-${NAME}`;
const ID_BYTES = 16;
const HOUR = 3_600_000;
const DATA_BYTES = 500;

/** In this order: `new` makes the sessions that `sign-out` ends, so that there are as many as before. */
const ROUTES = ["read", "write", "new", "sign-out"] as const;
type Route = (typeof ROUTES)[number];

interface Data {
  readonly text: string;
  readonly count: number;
}

/** A server, an app over it, and the sessions that it has. */
interface Contestant {
  readonly sessions: number;
  readonly node: RedisNode;
  readonly ask: (request: Request) => Promise<Response>;
  /** The token of a session, by its number. */
  tokenOf(session: number): string;
  /** What the server has grown by for each session, in bytes. */
  readonly bytes: number;
  stop(): Promise<void>;
}

/** CPU time of a request, in microseconds. */
interface Cost {
  readonly app: number;
  readonly redis: number;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
process.exitCode = (await bench()) ? 0 : 1;

async function bench(): Promise<boolean> {
  const contestants: Contestant[] = [];
  try {
    for (const sessions of [FEW, MANY]) contestants.push(await enter(sessions));
    const [few, many] = contestants as [Contestant, Contestant];
    await round([few, many]);
    const costs: Costs[] = [];
    // Who is second finds the machine as the other one has left it.
    for (let i = 0; i < ROUNDS; i++) costs.push(await round(i % 2 === 0 ? [few, many] : [many, few]));
    return report(costs, few, many);
  } finally {
    for (const one of contestants) await one.stop();
  }
}

// --- servers and sessions -------------------------------------------------------------------------------------------------

async function enter(sessions: number): Promise<Contestant> {
  const servers = await startRedis();
  const [node] = servers.nodes as readonly [RedisNode];
  const client = await createClient({ url: `redis://127.0.0.1:${servers.port}` }).connect();
  const store = redisStore(client, { sweepInterval: false });
  const ids = randomFillSync(Buffer.allocUnsafe(sessions * ID_BYTES));
  const idOf = (session: number): Buffer => ids.subarray(session * ID_BYTES, (session + 1) * ID_BYTES);
  const [guest, user] = [await template(false), await template(true)];
  const before = await usedMemory(node);
  const started = performance.now();
  await inParallel(sessions, async (i) => {
    const { record } = i % 2 === 0 ? guest : user;
    const subject = record.subject === undefined ? {} : { subject: `${record.subject}${i}` };
    // Ends are spread, as if people had come one after the other.
    const expiresAt = Date.now() + HOUR + (i / sessions) * 11 * HOUR;
    const key = `${NAME}/${idOf(i).toString("base64url")}`;
    if (!(await store.create(key, { ...record, ...subject, expiresAt }, { now: Date.now() }))) throw new Error(key);
  });
  const bytes = ((await usedMemory(node)) - before) / sessions;
  const seconds = (performance.now() - started) / 1000;
  console.log(`${sessions} sessions: made in ${seconds.toFixed(1)} s, ${Math.round(bytes)} bytes each (used_memory)`);
  return {
    sessions,
    node,
    bytes,
    ask: appOver(definitionOver(store)),
    tokenOf: (i) => Buffer.concat([idOf(i), (i % 2 === 0 ? guest : user).secret]).toString("base64url"),
    async stop() {
      client.destroy();
      await servers.stop();
    },
  };
}

function definitionOver(store: SessionStore): SessionDefinition<Data> {
  // No clock moves here that would make a request write now and then: each does the same.
  return defineSession<Data>({ name: NAME, store, idleTimeout: false, renewalTimeout: false, absoluteTimeout: "12h" });
}

function appOver(definition: SessionDefinition<Data>): (request: Request) => Promise<Response> {
  return withSessions(async (request: Request) => {
    const session = await definition.from(request);
    const route = request.headers.get("route");
    if (route === "new") session.set(newData());
    else if (session.data === undefined) return new Response(null, { status: 401 });
    else if (route === "write") session.patch({ count: session.data.count + 1 });
    else if (route === "sign-out") session.destroy();
    return new Response(String(session.data?.count));
  }, definition);
}

function newData(): Data {
  const data = { text: "", count: 1_000_000 };
  return { ...data, text: "x".repeat(DATA_BYTES - JSON.stringify(data).length) };
}

/** A record as the manager makes it, and the secret that goes with it: those of all sessions are the same, but for their ids. */
async function template(signedIn: boolean): Promise<{ readonly record: StoredRecord; readonly secret: Buffer }> {
  let made: StoredRecord | undefined;
  const none = async (): Promise<never> => {
    throw new Error("not needed");
  };
  const create: SessionStore["create"] = async (_, record) => {
    made = record;
    return true;
  };
  const definition = definitionOver({ create, read: none, update: none, touch: none, delete: none });
  const app = withSessions(async (request: Request) => {
    const session = await definition.from(request);
    session.set(newData());
    if (signedIn) session.authenticate("user-");
    return new Response();
  }, definition);
  const token = tokenIn(await app(new Request("https://shop.example/")));
  if (made === undefined) throw new Error("no record");
  return { record: made, secret: Buffer.from(token, "base64url").subarray(ID_BYTES) };
}

function tokenIn(response: Response): string {
  const token = /^[^=]+=([\w-]{43});/.exec(response.headers.get("set-cookie") ?? "")?.[1];
  if (token === undefined) throw new Error("no cookie");
  return token;
}

async function usedMemory(node: RedisNode): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(String(await node.ask("INFO", "memory")))?.[1]);
}

async function inParallel(count: number, work: (i: number) => Promise<void>, atOnce: number = 512): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

// --- rounds ---------------------------------------------------------------------------------------------------------------

/** What each of them has taken in a round. */
type Costs = ReadonlyMap<Contestant, Partial<Record<Route, Cost>>>;

/** One round: requests of every kind, those for the sessions that are there to any of them. */
async function round(contestants: readonly Contestant[]): Promise<Costs> {
  const costs = new Map(contestants.map((one) => [one, {} as Partial<Record<Route, Cost>>]));
  const made = new Map<Contestant, readonly string[]>();
  for (const route of ROUTES) {
    for (const one of contestants) {
      const any = (): string => one.tokenOf(Math.floor(Math.random() * one.sessions));
      const tokens = Array.from({ length: REQUESTS }, (_, i) => (route === "sign-out" && made.get(one)?.[i]) || any());
      const { cost, responses } = await measured(
        one,
        tokens.map((token) => requestFor(route, token)),
      );
      for (const { status } of responses) if (status !== 200) throw new Error(`${route}: ${status}`);
      if (route === "new") made.set(one, responses.map(tokenIn));
      (costs.get(one) ?? {})[route] = cost;
    }
  }
  return costs;
}

function requestFor(route: Route, token: string): Request {
  const cookie = route === "new" ? {} : { cookie: `${COOKIE}=${token}` };
  return new Request("https://shop.example/", { headers: { route, ...cookie } });
}

async function measured(
  { node, ask }: Contestant,
  requests: readonly Request[],
): Promise<{ readonly cost: Cost; readonly responses: readonly Response[] }> {
  const responses: Response[] = [];
  const redis = await cpuOf(node);
  const own = process.cpuUsage();
  const answer = async (i: number): Promise<void> => {
    responses[i] = await ask(requests[i] as Request);
  };
  await inParallel(requests.length, answer, AT_ONCE);
  const { user, system } = process.cpuUsage(own);
  const cost = { app: (user + system) / requests.length, redis: ((await cpuOf(node)) - redis) / requests.length };
  return { cost, responses };
}

/** What a server has used so far, in microseconds. It says so itself, a thousand times finer than `/proc/<pid>/stat`. */
async function cpuOf(node: RedisNode): Promise<number> {
  const info = String(await node.ask("INFO", "cpu"));
  const seconds = (field: string): number => Number(new RegExp(`^${field}:([\\d.]+)`, "m").exec(info)?.[1]);
  return (seconds("used_cpu_user") + seconds("used_cpu_sys")) * 1e6;
}

// --- report ---------------------------------------------------------------------------------------------------------------

/** Prints what was measured; whether it is as flat as it has to be. */
function report(rounds: readonly Costs[], few: Contestant, many: Contestant): boolean {
  console.log(`\nCPU time of a request in µs (app + Redis), ${ROUNDS} rounds of ${REQUESTS} requests:\n`);
  console.log(`| request | | ${FEW} sessions | ${MANY} sessions | ratio |\n|---|---|--:|--:|--:|`);
  const ratios = ROUTES.map((route) => {
    const [ofFew, ofMany] = [costsOf(rounds, few, route), costsOf(rounds, many, route)];
    line(route, "median", ofFew, ofMany, median);
    return line(route, "minimum", ofFew, ofMany, minimum);
  });
  const worst = Math.max(...ratios);
  console.log(
    `\nworst ratio of minima ${worst.toFixed(2)}, at most ${MOST} is wanted: ${worst <= MOST ? "met" : "missed"}`,
  );
  return worst <= MOST;
}

function costsOf(rounds: readonly Costs[], one: Contestant, route: Route): readonly Cost[] {
  return rounds.flatMap((costs) => costs.get(one)?.[route] ?? []);
}

function line(
  route: Route,
  what: string,
  few: readonly Cost[],
  many: readonly Cost[],
  of: (values: readonly number[]) => number,
): number {
  const total = (costs: readonly Cost[]): number => of(costs.map(({ app, redis }) => app + redis));
  const parts = (costs: readonly Cost[]): string => {
    const [app, redis] = [of(costs.map((cost) => cost.app)), of(costs.map((cost) => cost.redis))];
    return `${total(costs).toFixed(1)} (${app.toFixed(1)} + ${redis.toFixed(1)})`;
  };
  const ratio = total(many) / total(few);
  console.log(`| ${route} | ${what} | ${parts(few)} | ${parts(many)} | ${ratio.toFixed(2)} |`);
  return ratio;
}

function minimum(values: readonly number[]): number {
  return Math.min(...values);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
