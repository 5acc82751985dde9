/**
 * What a request costs with a million sessions in PostgreSQL, beside what it costs with a thousand and what a hand-written
 * `SELECT` by primary key costs, in one run; and how long requests wait while 100 000 expired sessions are removed:
 *
 *     npm run build && npx node bench/postgres-scale.ts
 *
 * Starts a server of its own; needs `postgres` and `initdb`, some 2 GB of disk and a few minutes. `SESSIONS=10000` tries it
 * with fewer. All are asked in turn, round by round, so that whatever else the machine does hits all. Ends with exit code 1
 * when something is missed, by the minima of the rounds: of the CPU time of this process and of the server together.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { defineSession, type SessionDefinition, type SessionStore, type StoredRecord } from "coatcheck";
import { withSessions } from "coatcheck/fetch";
import { type PostgresStore, postgresStore } from "coatcheck/store/postgres";
import { Pool } from "pg";
import { postgresAt, startPostgresServer } from "../test/servers/postgres.ts";
import { processTime } from "./process-time.ts";

const FEW = 1_000;
const MANY = Number(process.env["SESSIONS"] ?? 1_000_000);
const EXPIRED = MANY / 10;
/** Design §6: flat, ± 20 %. */
const MOST = 1.2;
/** A request that reads, by the hand-written one. */
const MOST_BY_HAND = 1.5;
/** How long a request may wait for a sweep, in milliseconds. */
const LONGEST_WAIT = 50;

const ROUNDS = Number(process.env["ROUNDS"] ?? 30);
const REQUESTS = 3_000;
/** Requests under way at a time, and connections. */
const [AT_ONCE, CONNECTIONS] = [32, 8];

const NAME = "bench";
const COOKIE = `__Host-Http-${NAME}`;
const ID_BYTES = 16;
const HOUR = 3_600_000;
const DATA_BYTES = 500;

/** In this order: `new` makes the sessions that `sign-out` ends, so that there are as many as before. */
const ROUTES = ["by hand", "read", "write", "new", "sign-out"] as const;
type Route = (typeof ROUTES)[number];

interface Data {
  readonly text: string;
  readonly count: number;
}

/** A table and an app over it. */
interface Contestant {
  readonly sessions: number;
  readonly store: PostgresStore;
  readonly ask: (request: Request) => Promise<Response>;
}

/** CPU time of a request, in microseconds. */
interface Cost {
  readonly app: number;
  readonly server: number;
}

type Costs = ReadonlyMap<Contestant, Partial<Record<Route, Cost>>>;

/** The id of a session, in SQL. */
const ID = "rtrim(translate(encode(decode(md5(i::text), 'hex'), 'base64'), '+/', '-_'), '=')";

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
// What a server keeps is no matter of a disk here.
const server = await startPostgresServer({ shared_buffers: "1GB", max_wal_size: "4GB", autovacuum: "on" });
const serverTime = processTime(server.pids()[0] as number);
const { record: made, secret } = await template();
const pool = new Pool({ ...postgresAt(server.port), max: CONNECTIONS });
try {
  process.exitCode = (await bench()) ? 0 : 1;
} finally {
  await pool.end();
  await server.stop();
}

async function bench(): Promise<boolean> {
  const few = await enter("few", FEW);
  const many = await enter("many", MANY);
  await server.ask("VACUUM ANALYZE");
  // What making a million rows has left to be written is no part of what a request costs.
  await server.ask("CHECKPOINT");
  await round([few, many]);
  const rounds: Costs[] = [];
  // Who is second finds the machine as the other one has left it.
  for (let i = 0; i < ROUNDS; i++) rounds.push(await round(i % 2 === 0 ? [few, many] : [many, few]));
  const isCheap = report(rounds, few, many);
  return (await sweeping(many)) && isCheap;
}

// --- sessions ---------------------------------------------------------------------------------------------------------------

/** The same, here. */
function idOf(session: number): Buffer {
  return createHash("md5").update(String(session)).digest();
}

function tokenOf(session: number): string {
  return Buffer.concat([idOf(session), secret]).toString("base64url");
}

async function enter(table: string, sessions: number): Promise<Contestant> {
  const store = postgresStore(pool, { table, sweepInterval: false });
  await store.createSchema();
  const started = performance.now();
  // Ends are spread, as if people had come one after the other.
  await server.ask(
    `INSERT INTO ${table} SELECT '${NAME}/' || ${ID}, $1, $2::float8 + i * $3::float8, '${NAME}/user-' || i, $4
      FROM generate_series(0, ${sessions - 1}) i`,
    [made.version, Date.now() + HOUR, (11 * HOUR) / sessions, made.value],
  );
  const [row] = await server.ask("SELECT pg_total_relation_size($1::regclass)::float8 AS bytes", [table]);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    `${sessions} sessions: made in ${seconds} s, ${Math.round(Number(row?.["bytes"]) / sessions)} bytes each`,
  );
  return { sessions, store, ask: appOver(definitionOver(store), byHand(table)) };
}

function definitionOver(store: SessionStore): SessionDefinition<Data> {
  // No clock moves here that would make a request write now and then: each does the same.
  return defineSession<Data>({ name: NAME, store, idleTimeout: false, renewalTimeout: false, absoluteTimeout: "12h" });
}

type App = (request: Request) => Promise<Response>;

function appOver(definition: SessionDefinition<Data>, other: App): App {
  const app = withSessions(async (request: Request) => {
    const session = await definition.from(request);
    const route = request.headers.get("route");
    if (route === "new") session.set(newData());
    else if (session.data === undefined) return new Response(null, { status: 401 });
    else if (route === "write") session.patch({ count: session.data.count + 1 });
    else if (route === "sign-out") session.destroy();
    return new Response(String(session.data?.count));
  }, definition);
  return async (request) => await (request.headers.get("route") === "by hand" ? other(request) : app(request));
}

/** The least that an app does which keeps sessions in PostgreSQL: nobody's secret is checked. */
function byHand(table: string): App {
  const text = `SELECT value, expires_at FROM ${table} WHERE key = $1`;
  return async (request) => {
    const token = new RegExp(`${COOKIE}=([\\w-]+)`).exec(request.headers.get("cookie") ?? "")?.[1] ?? "";
    const id = Buffer.from(token, "base64url").subarray(0, ID_BYTES).toString("base64url");
    const { rows } = await pool.query<{ value: string; expires_at: number }>({
      name: `by-hand-${table}`,
      text,
      values: [`${NAME}/${id}`],
    });
    const [row] = rows;
    if (row === undefined || row.expires_at <= Date.now()) return new Response(null, { status: 401 });
    const { d } = JSON.parse(row.value) as { d: Data };
    return new Response(String(d.count));
  };
}

function newData(): Data {
  const data = { text: "", count: 1_000_000 };
  return { ...data, text: "x".repeat(DATA_BYTES - JSON.stringify(data).length) };
}

/** A record as the manager makes it, and the secret that goes with it: those of all sessions are the same, but for their ids. */
async function template(): Promise<{ readonly record: StoredRecord; readonly secret: Buffer }> {
  let kept: StoredRecord | undefined;
  const none = async (): Promise<never> => {
    throw new Error("not needed");
  };
  const create: SessionStore["create"] = async (_, record) => {
    kept = record;
    return true;
  };
  const app = appOver(definitionOver({ create, read: none, update: none, touch: none, delete: none }), none);
  const token = tokenIn(await app(requestFor("new", "")));
  if (kept === undefined) throw new Error("no record");
  return { record: kept, secret: Buffer.from(token, "base64url").subarray(ID_BYTES) };
}

function tokenIn(response: Response): string {
  const token = /^[^=]+=([\w-]{43});/.exec(response.headers.get("set-cookie") ?? "")?.[1];
  if (token === undefined) throw new Error("no cookie");
  return token;
}

function requestFor(route: Route, token: string): Request {
  const cookie = route === "new" ? {} : { cookie: `${COOKIE}=${token}` };
  return new Request("https://shop.example/", { headers: { route, ...cookie } });
}

// --- rounds -----------------------------------------------------------------------------------------------------------------

async function round(contestants: readonly Contestant[]): Promise<Costs> {
  const costs = new Map(contestants.map((one) => [one, {} as Partial<Record<Route, Cost>>]));
  const begun = new Map<Contestant, readonly string[]>();
  for (const route of ROUTES) {
    for (const one of contestants) {
      const tokens = Array.from(
        { length: REQUESTS },
        (_, i) => (route === "sign-out" && begun.get(one)?.[i]) || tokenOf(Math.floor(Math.random() * one.sessions)),
      );
      const { cost, responses } = await measured(one, route, tokens);
      if (route === "new") begun.set(one, responses.map(tokenIn));
      (costs.get(one) ?? {})[route] = cost;
    }
  }
  return costs;
}

async function measured(
  { ask }: Contestant,
  route: Route,
  tokens: readonly string[],
): Promise<{ readonly cost: Cost; readonly responses: readonly Response[] }> {
  const requests = tokens.map((token) => requestFor(route, token));
  const responses: Response[] = [];
  const before = serverTime();
  const own = process.cpuUsage();
  await inParallel(requests.length, AT_ONCE, async (i) => {
    responses[i] = await ask(requests[i] as Request);
  });
  const { user, system } = process.cpuUsage(own);
  const spent = serverTime() - before;
  for (const { status } of responses) if (status !== 200) throw new Error(`${route}: ${status}`);
  return { cost: { app: (user + system) / tokens.length, server: spent / tokens.length }, responses };
}

async function inParallel(count: number, atOnce: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

// --- sweeping ---------------------------------------------------------------------------------------------------------------

/** Removes expired sessions as the sweeper does, while requests go on. Whether none of them waited for long. */
async function sweeping({ store, ask, sessions }: Contestant): Promise<boolean> {
  const calm = await slowest(ask, sessions, pause(3_000));
  await server.ask(
    `INSERT INTO many SELECT '${NAME}/expired-' || i, $1, $2, NULL, $3 FROM generate_series(1, ${EXPIRED}) i`,
    [made.version, Date.now() - HOUR, made.value],
  );
  let removed = 0;
  const started = performance.now();
  const sweep = async (): Promise<void> => {
    for (let count = 500; count === 500; removed += count) {
      count = await store.deleteExpired(500, { now: Date.now() });
      await pause(5);
    }
  };
  const found = await slowest(ask, sessions, sweep());
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const isMet = removed === EXPIRED && found.longest <= Math.max(LONGEST_WAIT, calm.longest);
  const told = ({ longest, count }: Slowest): string => `${longest.toFixed(1)} ms of ${count} requests`;
  console.log(`\n${removed} expired sessions removed in ${seconds} s; the slowest request meanwhile ${told(found)},`);
  console.log(`without ${told(calm)}; at most ${LONGEST_WAIT} ms are wanted: ${isMet ? "met" : "missed"}`);
  return isMet;
}

interface Slowest {
  readonly longest: number;
  readonly count: number;
}

/** The slowest of the requests that are made while something lasts: reads and writes, a few at a time. */
async function slowest(ask: App, sessions: number, work: Promise<void>): Promise<Slowest> {
  const state = { isOver: false };
  let [longest, count] = [0, 0];
  const ended = work.then(() => (state.isOver = true));
  const visitor = async (): Promise<void> => {
    while (!state.isOver) {
      const began = performance.now();
      const request = requestFor(count++ % 2 === 0 ? "read" : "write", tokenOf(Math.floor(Math.random() * sessions)));
      const { status } = await ask(request);
      if (status !== 200) throw new Error(`a request: ${status}`);
      longest = Math.max(longest, performance.now() - began);
      await pause(1);
    }
  };
  await Promise.all([ended, ...Array.from({ length: 4 }, visitor)]);
  return { longest, count };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

// --- report -----------------------------------------------------------------------------------------------------------------

/** Prints what was measured; whether it is as flat, and as cheap, as it has to be. */
function report(rounds: readonly Costs[], few: Contestant, many: Contestant): boolean {
  const totals = (one: Contestant, route: Route): readonly Cost[] =>
    rounds.flatMap((costs) => costs.get(one)?.[route] ?? []);
  console.log(
    `\nCPU time of a request in µs (app + PostgreSQL), the least of ${ROUNDS} rounds of ${REQUESTS} requests:\n`,
  );
  console.log(`| request | ${FEW} sessions | ${MANY} sessions | ratio |\n|---|--:|--:|--:|`);
  const ratios = ROUTES.map((route) => {
    const [ofFew, ofMany] = [totals(few, route), totals(many, route)];
    const ratio = least(ofMany) / least(ofFew);
    console.log(`| ${route} | ${shown(ofFew)} | ${shown(ofMany)} | ${ratio.toFixed(2)} |`);
    return ratio;
  });
  const worst = Math.max(...ratios.slice(1));
  const hand = least(totals(many, "read")) / least(totals(many, "by hand"));
  const verdict = (value: number, most: number): string =>
    `${value.toFixed(2)}, at most ${most} is wanted: ${value <= most ? "met" : "missed"}`;
  console.log(`\nworst ratio ${verdict(worst, MOST)}`);
  console.log(`a read by the hand-written one ${verdict(hand, MOST_BY_HAND)}`);
  return worst <= MOST && hand <= MOST_BY_HAND;
}

function least(costs: readonly Cost[]): number {
  return Math.min(...costs.map(({ app, server: other }) => app + other));
}

function shown(costs: readonly Cost[]): string {
  const [app, other] = [Math.min(...costs.map((cost) => cost.app)), Math.min(...costs.map((cost) => cost.server))];
  return `${least(costs).toFixed(1)} (${app.toFixed(1)} + ${other.toFixed(1)})`;
}
