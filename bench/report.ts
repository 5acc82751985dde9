/**
 * Results as text: a table for each route, and what the figures mean.
 *
 * @module
 */
import { DATA_BYTES, type Route } from "./data.ts";
import type { Machine } from "./machine.ts";
import type { Options } from "./options.ts";
import type { Row, Spread } from "./statistics.ts";
import { COLD, CONTROL_MICROS, UNTOUCHED_TARGET, USUAL } from "./subjects.ts";
import type { Traffic } from "./traffic.ts";

/** Everything that a run found. */
export interface Results {
  readonly date: string;
  readonly form: Options["form"];
  readonly seconds: number;
  readonly rounds: number;
  readonly generator: string;
  readonly machine: Machine;
  readonly rows: readonly Row[];
  readonly traffic: readonly Traffic[];
  /** Of how many writes how many were not in the store at the end, by subject. */
  readonly lost: Readonly<Record<string, { readonly writes: number; readonly lost: number }>>;
}

/** Results as Markdown. */
export function markdown(results: Results): string {
  const routes = [...new Set(results.rows.map(({ route }) => route))];
  const parts = [
    "# What a session costs",
    preface(results),
    ...routes.flatMap((route) => [
      `## ${titleOf(route)}`,
      table(
        HEAD,
        results.rows.filter((row) => row.route === route).map((row) => cells(row)),
      ),
    ]),
    "## Store calls and cookies of one request",
    trafficTable(results.traffic, routes),
    ...lostWrites(results.lost),
  ];
  return `${parts.join("\n\n")}\n`;
}

/** Results as JSON, laid out as the formatter does. */
export function json(results: Results): string {
  const rounded = (_key: string, value: unknown): unknown =>
    typeof value === "number" ? Math.round(value * 1000) / 1000 : value;
  const text = JSON.stringify(results, rounded, 2);
  return `${text.replaceAll(/\[\s+([-\d.]+),\s+([-\d.]+)\s+\]/g, "[$1, $2]")}\n`;
}

function preface({ date, form, seconds, rounds, generator, machine }: Results): string {
  const { cpu, cores, pinned, node, packages } = machine;
  const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`);
  const where = pinned ? "server and load on a core each" : "server and load not pinned";
  return `Made by \`npm run bench\` (${form} form) on ${date}: ${cpu}, ${cores} cores, ${where}, Node ${node},
${versions.join(", ")}; load by ${generator}.

CPU time of the server process, user and system, in µs a request, over that of the same Express server without sessions.
${rounds} rounds of ${seconds} s for each server and route, in turn; 32 connections, ${DATA_BYTES} bytes of JSON in a session, ${USUAL} sessions
in turn (with one for all, writers would meet and conflicts be measured), ${COLD} for "always another cookie". All servers are
told by \`X-Forwarded-Proto\` that TLS ends before them. Every answer was checked. *best* is the minimum of the rounds minus
that of Express alone; *in one round* is the least and the most that a single round gives. Only ratios of one run count: a
server that the load waits for also pays for waking it. How much that adds is seen in the table of reads, where a server
without sessions is busy for ${CONTROL_MICROS} µs.`;
}

function titleOf(route: Route): string {
  return { untouched: "Untouched: no look at the session", read: "Read", write: "Write: a counter" }[route];
}

// --- cells --------------------------------------------------------------------------------------------------------------

const HEAD = [
  "server",
  "µs a request",
  "over Express: best",
  "median",
  "in one round",
  "of its peer",
  "in one round",
  "aim",
];

function cells({ label, route, subject, cost, over, ratio, peer, target, met, ours }: Row): string[] {
  const start = [label, micros(cost.best)];
  if (subject === "bare") return [...start, "", "", "", "", "", ""];
  const own = [signed(over.best), signed(over.median), range(over, signed)];
  const shown = ratio === undefined ? ["", ""] : [`${fraction(ratio.best)} of ${peer}`, range(ratio, fraction)];
  const aim =
    route === "untouched" && ours && target === undefined
      ? `≤ +${UNTOUCHED_TARGET} µs`
      : target && `≤ ${fraction(target)}`;
  return [
    ...start,
    ...own,
    ...shown,
    aim === undefined ? "" : `${aim} ${{ true: "✓", false: "✗" }[String(met)] ?? ""}`,
  ];
}

function micros(value: number): string {
  return value.toFixed(1);
}

function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`;
}

function range({ rounds: [least, most] }: Spread, text: (value: number) => string): string {
  return `${text(least)} … ${text(most)}`;
}

/** Nothing is faster than nothing: below a hundredth it is noise. */
function fraction(value: number): string {
  if (value < 0.01) return "< 1/100";
  return value < 1 ? `1/${(1 / value).toFixed(1).replace(/\.0$/, "")}` : `${value.toFixed(1)} ×`;
}

// --- tables -------------------------------------------------------------------------------------------------------------

function trafficTable(traffic: readonly Traffic[], routes: readonly Route[]): string {
  const labels = [...new Set(traffic.map(({ label }) => label))];
  const counts = (label: string): string[] =>
    traffic.filter((entry) => entry.label === label).map((entry) => `${entry.storeCalls} and ${entry.setCookies}`);
  return table(
    ["store calls and `Set-Cookie`", ...routes],
    labels.map((label) => [label].concat(counts(label))),
  );
}

function lostWrites(lost: Results["lost"]): string[] {
  const entries = Object.entries(lost).map(([name, of]) => `${name} ${of.lost} of ${of.writes}`);
  return entries.length === 0 ? [] : [`Updates that were lost: ${entries.join(", ")}.`];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join(" | ")} |`;
  const rule = `|${widths.map((width, column) => (column === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`)).join("|")}|`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}
