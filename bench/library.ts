/**
 * What the libraries themselves cost, without a network: the same apps as in `npm run bench`, each in a process of its own, asked
 * through Node's parser by a connection that leads nowhere. No socket, no wake-ups, no load beside: this says less of a server
 * and more of the code, and the same on a busy machine.
 *
 *     npm run bench:library
 *
 * Writes `bench/results/library.md`. Some three minutes; `ROUNDS=3` for fewer.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { COMPARISONS } from "./comparisons.ts";
import { ROUTES, type Route } from "./data.ts";
import type { Order } from "./library-process.ts";
import { pinned } from "./machine.ts";
import { costTable, ratioTable } from "./report.ts";
import { RESULTS } from "./results.ts";
import { ratioOf, rowOf, Samples, type Ratio, type Row } from "./statistics.ts";
import { subjectOf, type Subject } from "./subjects.ts";

const KINDS: Readonly<Record<string, readonly string[]>> = {
  express: [
    "bare",
    "memory",
    "express-session",
    "drop-in",
    "sealed",
    "sealed-cold",
    "iron-session",
    "signed",
    "signed-cold",
    "cookie-session",
  ],
  fastify: ["bare", "memory", "@fastify/session", "sealed", "sealed-cold", "@fastify/secure-session"],
  koa: ["bare", "memory", "koa-session"],
};
const SUBJECTS = Object.entries(KINDS).flatMap(([host, kinds]) => kinds.map((kind) => subjectOf(`${host}/${kind}`)));

const ROUNDS = Number(process.env["ROUNDS"] ?? 8);
/** How long a server is warmed up on each route, and how long a round is, in milliseconds of CPU time. */
const [WARM_UP, ROUND] = [700, 150];

interface Running {
  readonly subject: Subject;
  ask(order: Order): Promise<number>;
  end(): void;
}

const folder = mkdtempSync(join(tmpdir(), "coatcheck-library-"));
const samples = new Samples();
try {
  for (const host of Object.keys(KINDS)) await measure(host);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
report();

async function measure(host: string): Promise<void> {
  const servers = await Promise.all(SUBJECTS.filter((subject) => subject.host === host).map(started));
  for (const route of ROUTES) {
    const asked = servers.filter(({ subject }) => subject.routes?.includes(route) !== false);
    for (const server of asked) await server.ask({ route, ms: WARM_UP });
    for (let round = 0; round < ROUNDS; round++) await oneRound(round % 2 === 0 ? asked : asked.toReversed(), route);
    console.log(`${host}, ${route}: measured`);
  }
  for (const server of servers) server.end();
}

async function oneRound(servers: readonly Running[], route: Route): Promise<void> {
  for (const { subject, ask } of servers) samples.add(subject.name, route, await ask({ route, ms: ROUND }));
}

async function started(subject: Subject): Promise<Running> {
  const own = join(folder, subject.name.replaceAll("/", "-"));
  mkdirSync(own);
  const script = join(import.meta.dirname, "library-process.ts");
  const [command, ...args] = pinned(0, [process.execPath, script, subject.name, own]);
  const env = { ...process.env, NODE_ENV: "production" };
  const child = spawn(command, args, { env, stdio: ["ignore", "ignore", "pipe", "ipc"] });
  let complaints = "";
  child.stderr?.on("data", (chunk) => (complaints += String(chunk)));
  const ended = once(child, "exit").then((): never => {
    throw new Error(`${subject.name} has ended: ${complaints}`);
  });
  ended.catch(() => {});
  /** What the process says next. */
  const said = async (): Promise<unknown> => ((await Promise.race([once(child, "message"), ended])) as [unknown])[0];
  await said();
  return {
    subject,
    async ask(order) {
      child.send(order);
      return Number(await said());
    },
    end: () => void (child.connected && child.disconnect()),
  };
}

function report(): void {
  const rows = ROUTES.flatMap((route) => SUBJECTS.map((subject) => rowOf(subject, route, samples))).filter(
    (row): row is Row => row !== undefined,
  );
  const ratios = COMPARISONS.flatMap((pair) => ROUTES.map((route) => ratioOf(pair, route, samples))).filter(
    (ratio): ratio is Ratio => ratio !== undefined,
  );
  const load = loadavg().map((value) => value.toFixed(1))[0];
  const text = `# The libraries alone, without a network

${costTable(rows)}

${ratioTable(ratios, rows)}

Made by \`npm run bench:library\` on ${new Date().toISOString().slice(0, 10)}: ${cpus()[0]?.model ?? "unknown"}, Node ${process.versions.node}, ${ROUNDS} rounds of ${ROUND} ms
of CPU time with each server, load average ${load} in the end.
`;
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(join(RESULTS, "library.md"), text);
  console.log(text);
}
