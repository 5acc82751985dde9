/**
 * `npm run bench:server`: what a read through `coatcheck serve` costs beside a bare `node:http` that echoes JSON.
 *
 * @module
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { changeCredentials } from "../src/cli/credential-file.ts";
import { newCredential } from "../src/server/session-server.ts";
import { startBackends, type Backends } from "./backends.ts";
import { hasWrk, machine, pinning } from "./machine.ts";
import { lackOf, serverVersions, type Need } from "./needs.ts";
import { RESULTS } from "./results.ts";
import { casesOf, check, written } from "./session-server-cases.ts";
import { loaded, type Round, type Server, startEcho, startServe } from "./session-server-process.ts";

const HELP = `Usage: npm run bench:server [-- --quick]

Real processes of coatcheck serve, over SQLite and over whatever of Redis and PostgreSQL is installed, beside
a bare node:http that echoes JSON: the same requests, in turns, by wrk over 32 connections. Some five minutes.
Writes its section of docs/session-server.md and bench/results/session-server.json.

  --quick   three short rounds; nothing is written
  --help    this
`;
const AIMS = { rate: 0.6, cpu: 2 };
const PAGE = join(import.meta.dirname, "../docs/session-server.md");
const NAMES: Readonly<Partial<Record<Need, string>>> = { redis: "Redis", postgres: "PostgreSQL" };

/** A server and what it is asked. */
interface Contestant {
  readonly store: string;
  readonly name: string;
  readonly reads: number;
  readonly server: Server;
  readonly file: string;
  readonly rounds: Round[];
}

/** What was found of one, for a read: reads a second at best and in the middle, CPU time at least and in the middle. */
interface Row {
  readonly store: string;
  readonly name: string;
  readonly rate: { readonly best: number; readonly median: number };
  readonly cpu: { readonly least: number; readonly median: number };
  /** Beside the echo of JSON: of the best rates, and of the least times. */
  readonly ratio: { readonly rate: number; readonly cpu: number };
}

const ECHO = "JSON echo";
const GET_ECHO = "`GET` echo";

const { quick, help } = parseArgs({
  options: { quick: { type: "boolean", default: false }, help: { type: "boolean", default: false } },
}).values;
if (help) process.stdout.write(HELP);
else await bench(quick ? { rounds: 3, seconds: 0.4, warmUp: 0.5 } : { rounds: 15, seconds: 1, warmUp: 4 });

interface Programme {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUp: number;
}

async function bench(programme: Programme): Promise<void> {
  if (!hasWrk) throw new Error("wrk is not installed");
  const needs = (["redis", "postgres"] as const).filter((need) => {
    const lack = lackOf(need);
    if (lack !== undefined) console.log(`${NAMES[need]} is left out: ${lack}`);
    return lack === undefined;
  });
  const folder = mkdtempSync(join(tmpdir(), "coatcheck-server-"));
  const ends: (() => Promise<void>)[] = [];
  try {
    const backends = await startBackends(needs, pinning(1));
    ends.push(() => backends.stop());
    const contestants = await entered(folder, needs, backends, ends);
    await measure(contestants, programme);
    report(rowsOf(contestants), programme, needs);
  } finally {
    for (const end of ends.toReversed()) await end();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Starts and fills the servers, and sees that they answer rightly. */
async function entered(
  folder: string,
  needs: readonly Need[],
  { urls }: Backends,
  ends: (() => Promise<void>)[],
): Promise<readonly Contestant[]> {
  const { text, credential } = newCredential("shop", "shop");
  const credentials = join(folder, "credentials.json");
  changeCredentials(credentials, () => [credential]);
  const stores = [
    ["SQLite", `sqlite:${join(folder, "sessions.db")}`],
    ...needs.map((need) => [NAMES[need], urls[need]]),
  ];
  const contestants: Contestant[] = [];
  for (const [store = "", url = ""] of stores) {
    const server = await startServe(["--store", url, "--credentials", credentials, "--forward-auth", "shop/user"]);
    ends.push(() => server.end());
    for (const one of await casesOf(server.port, text)) {
      await check(one, server.port);
      const file = written(join(folder, `${contestants.length}`), one.asked);
      contestants.push({ store, name: one.name, reads: one.reads, server, file, rounds: [] });
    }
  }
  const echo = await startEcho();
  ends.push(() => echo.end());
  return [...echoes(contestants, echo), ...contestants];
}

/** The echo gets the very requests that the session server gets: one read as JSON, and one of a session. */
function echoes(contestants: readonly Contestant[], server: Server): readonly Contestant[] {
  const asked = (part: string): Contestant => contestants.find(({ name }) => name.includes(part)) as Contestant;
  const echo = (name: string, like: Contestant): Contestant => ({ ...like, name, store: "none", server, rounds: [] });
  return [echo(ECHO, asked("one read")), echo(GET_ECHO, asked("/current"))];
}

/** In turns, there and back, so that what else the machine does meets all. */
async function measure(contestants: readonly Contestant[], { rounds, seconds, warmUp }: Programme): Promise<void> {
  for (const { server, file } of contestants) await loaded(server, file, warmUp);
  for (let round = 1; round <= rounds; round++) {
    for (const each of round % 2 === 1 ? contestants : contestants.toReversed()) {
      each.rounds.push(await loaded(each.server, each.file, seconds));
    }
    const told = contestants.map(({ rounds: all, reads }) => ((all.at(-1)?.cpu ?? 0) / reads).toFixed(1));
    console.log(`round ${round} of ${rounds}, µs of CPU a read: ${told.join(", ")}`);
  }
}

function rowsOf(contestants: readonly Contestant[]): readonly Row[] {
  const figures = contestants.map(({ rounds, reads }) => {
    const rates = rounds.map(({ rate }) => rate * reads).toSorted((a, b) => a - b);
    const cpus = rounds.map(({ cpu }) => cpu / reads).toSorted((a, b) => a - b);
    return {
      rate: { best: rates.at(-1) ?? 0, median: middle(rates) },
      cpu: { least: cpus[0] ?? 0, median: middle(cpus) },
    };
  });
  const echo = figures[contestants.findIndex(({ name }) => name === ECHO)] as (typeof figures)[number];
  return contestants.map(({ store, name }, i) => {
    const own = figures[i] as (typeof figures)[number];
    return { store, name, ...own, ratio: ratioOf(own, echo) };
  });
}

type Figures = Pick<Row, "rate" | "cpu">;

function ratioOf(own: Figures, echo: Figures): Row["ratio"] {
  return { rate: own.rate.best / echo.rate.best, cpu: own.cpu.least / echo.cpu.least };
}

function middle(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function report(rows: readonly Row[], { rounds, seconds }: Programme, needs: readonly Need[]): void {
  const { node, cpu, cores } = machine({});
  const versions = serverVersions(needs);
  const beside = Object.entries(versions).map(([program, version]) => `${program} ${version}`);
  const table = [
    "| Store | Request | Reads a second | of the echo's | CPU of the server for a read | times the echo's | Both aims |",
    "|---|---|--:|--:|--:|--:|---|",
    ...rows.map(line),
    "",
    besideGet(rows),
    "",
    `At best, and in the middle of ${rounds} rounds of ${seconds} s in turns; the aims are ${AIMS.rate * 100} % of the reads a second and ${AIMS.cpu} × the CPU time of the JSON echo: a bare \`node:http\` that reads the same request, parses it and answers it as JSON. wrk, 32 connections kept alive, loopback; the server on one core, all else on the other. Made by \`npm run bench:server\` with ${[`Node ${node}`, ...beside].join(", ")}.`,
    "",
  ].join("\n");
  console.log(`\n${table}`);
  if (rounds < 15) return;
  mkdirSync(RESULTS, { recursive: true });
  const results = { date: new Date().toISOString(), node, cpu, cores, versions, rounds, seconds, aims: AIMS, rows };
  const rounded = (_key: string, value: unknown): unknown =>
    typeof value === "number" ? Math.round(value * 1000) / 1000 : value;
  writeFileSync(join(RESULTS, "session-server.json"), `${JSON.stringify(results, rounded, 2)}\n`);
  publish(table);
}

/** A `GET` has no body to read, and its echo costs the less: beside that, a session costs more than beside what the aims name. */
function besideGet(rows: readonly Row[]): string {
  const echo = rows.find(({ name }) => name === GET_ECHO) as Row;
  const told = rows.filter(({ store, name }) => store !== "none" && name.startsWith("`GET /"));
  const texts = told.map((row) => {
    const { rate, cpu } = ratioOf(row, echo);
    return `${row.name} over ${row.store} ${(rate * 100).toFixed(0)} % and ${cpu.toFixed(2)} ×`;
  });
  return `Beside the \`GET\` echo, which has no body to read: ${texts.join("; ")}.`;
}

function line({ store, name, rate, cpu, ratio }: Row): string {
  const isEcho = store === "none";
  const thousands = (value: number): string => `${(value / 1000).toFixed(1)} k`;
  const isMet = ratio.rate >= AIMS.rate && ratio.cpu <= AIMS.cpu;
  const cells = [
    isEcho ? "" : store,
    name,
    `${thousands(rate.best)} (${thousands(rate.median)})`,
    `${(ratio.rate * 100).toFixed(0)} %`,
    `${cpu.least.toFixed(1)} µs (${cpu.median.toFixed(1)})`,
    `${ratio.cpu.toFixed(2)} ×`,
    isEcho ? "" : isMet ? "met" : "**missed**",
  ];
  return `| ${cells.join(" | ")} |`;
}

function publish(table: string): void {
  const page = readFileSync(PAGE, "utf8");
  const [begin, end] = ["<!-- bench: session-server -->", "<!-- bench: end -->"];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error("the marks of the benchmark are missing in docs/session-server.md");
  writeFileSync(PAGE, `${page.slice(0, from)}${begin}\n${table}${page.slice(to)}`);
}
