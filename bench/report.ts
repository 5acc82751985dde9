/**
 * Results as text: tables, and what their figures mean.
 *
 * @module
 */
import { DATA_BYTES, ROUTES, type Route } from "./data.ts";
import { OWNER_NAMES } from "./flame-plot.ts";
import { OWNERS } from "./flame.ts";
import { fraction, mark, micros, range, setupTitle, signed, titleOf } from "./figures.ts";
import { AWAKE, type Measured, type Profiled, type Results } from "./results.ts";
import type { Ratio, Row } from "./statistics.ts";
import { COLD, CONTROL_MICROS, UNTOUCHED_TARGET, USUAL } from "./subjects.ts";
import type { Traffic } from "./traffic.ts";

/** Results as Markdown. */
export function markdown(results: Results): string {
  const { measured } = results;
  const parts = [
    "# What a session costs",
    preface(results),
    ...(measured.length === 1 ? measured.flatMap(oneSetup) : seriesTables(measured)),
    ...trafficPart(results.traffic),
    ...(results.profiles.length === 0 ? [] : ["## Where the time goes", profileTable(results.profiles)]),
    ...lostParts(measured),
    ...results.leftOut.map((text) => `Left out: ${text}.`),
  ];
  return `${parts.join("\n\n")}\n`;
}

function oneSetup({ rows, ratios }: Measured): string[] {
  return [
    ...(ratios.length === 0 ? [] : ["## Ours beside theirs", ratioTable(ratios, rows)]),
    ...routesOf(rows).flatMap((route) => [
      `## ${titleOf(route)}`,
      table(HEAD, rows.filter((row) => row.route === route).map(cells)),
    ]),
  ];
}

/** How, where and with what a run was made. */
export function provenance({
  date,
  form,
  seconds,
  warmUp,
  rounds,
  processes,
  generator,
  machine,
  busy,
}: Results): string {
  const { cpu, cores, pinned, node, packages } = machine;
  const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`);
  const where = pinned ? "server and load on a core each" : "server and load not pinned";
  const started =
    processes === 1 ? "one process of " : processes === undefined ? "" : `each of ${processes} processes of `;
  const command =
    form === "partial" ? "" : ({ full: "", quick: " -- --quick" }[form as string] ?? ` -- --series ${form}`);
  return `Made by \`npm run bench${command}\` on ${date}: ${cpu}, ${cores} cores, ${where}, load average ${busy.before.toFixed(1)}
before and ${busy.after.toFixed(1)} after; ${rounds} ${rounds === 1 ? "round" : "rounds"} of ${seconds} s with ${started}every server${warmUp === undefined ? "" : `, after ${warmUp} s of warm-up on each route`}; load by ${generator}. Node ${node}, ${versions.join(", ")}.`;
}

const STAYS_AWAKE =
  "wrk does not sleep between answers, else a server would pay for waking it (`bench/awake.c`). How exact that makes it is seen in the table of reads, where a server without sessions is busy for";
const FALLS_ASLEEP =
  "A server that the load waits for also pays for waking it. How much that adds is seen in the table of reads, where a server without sessions is busy for";

function preface(results: Results): string {
  const visited =
    results.form === "sessions"
      ? `always another one of as many sessions as the column says, of up to ${COLD} from everywhere among them`
      : `${USUAL} sessions in turn (with one for all, writers would meet and conflicts be measured) unless it says otherwise, ${COLD} for "always another cookie"`;
  return `${provenance(results)}

CPU time of the server process and of those that it has started, user and system, in µs a request, over that of the same
framework without sessions. All servers of a framework take turns in every round, on each route; 32 connections, ${DATA_BYTES} bytes of JSON in a session and
${visited}. All servers are told by \`X-Forwarded-Proto\` that TLS ends before them. Every answer was checked.

*Best* is the minimum of the rounds minus that of the framework alone; *in one round* is the least and the most that a single
round gives. Only ratios of one run count. ${results.generator === AWAKE ? STAYS_AWAKE : FALLS_ASLEEP} ${CONTROL_MICROS} µs.
Where theirs is in another language, ours is on Express, and each is taken over its own framework.`;
}

/** The routes of rows, in their order. */
export function routesOf(rows: readonly Row[]): readonly Route[] {
  return ROUTES.filter((route) => rows.some((row) => row.route === route));
}

// --- costs --------------------------------------------------------------------------------------------------------------

const HEAD = ["server", "µs a request", "over the framework: best", "median", "in one round", "aim"];

function cells({ label, route, subject, cost, over, met, ours }: Row): string[] {
  const start = [label, micros(cost.best)];
  if (subject.endsWith("/bare")) return [...start, "", "", "", ""];
  const aim = route === "untouched" && ours ? `≤ +${UNTOUCHED_TARGET} µs ${mark(met)}` : "";
  return [...start, signed(over.best), signed(over.median), range(over, signed), aim];
}

/** A row for every subject, a column for every route: what it costs over the framework. */
export function costTable(rows: readonly Row[]): string {
  const routes = routesOf(rows);
  const subjects = [...new Set(rows.map(({ subject }) => subject))];
  const cell = (subject: string, route: Route): string => {
    const row = rows.find((each) => each.subject === subject && each.route === route);
    if (row === undefined) return "";
    return subject.endsWith("/bare") ? `(${micros(row.cost.best)})` : signed(row.over.best);
  };
  return table(
    ["µs a request over the framework", ...routes],
    subjects.map((subject) => [labelOf(subject, rows)].concat(routes.map((route) => cell(subject, route)))),
  );
}

function labelOf(subject: string, rows: readonly Row[]): string {
  return rows.find((row) => row.subject === subject)?.label ?? subject;
}

// --- ratios -------------------------------------------------------------------------------------------------------------

/** Ours as parts of theirs. */
export function ratioTable(ratios: readonly Ratio[], rows: readonly Row[]): string {
  const figure = (subject: string, { route, whole }: Ratio): string => {
    const row = rows.find((each) => each.subject === subject && each.route === route);
    if (row === undefined) return "";
    return whole ? `${micros(row.cost.best)} in all` : signed(row.over.best);
  };
  return table(
    ["ours", "theirs", "route", "µs, ours", "µs, theirs", "ratio: best", "median", "in one round", "aim"],
    ratios.map((each) => [
      labelOf(each.ours, rows),
      labelBeside(each, rows),
      each.route,
      figure(each.ours, each),
      figure(each.peer, each),
      fraction(each.ratio.best),
      fraction(each.ratio.median),
      range(each.ratio, fraction),
      each.target === undefined ? "" : `≤ ${fraction(each.target)} ${mark(each.met)}`,
    ]),
    3,
  );
}

/** The label of theirs; without the framework where that is the one of ours. */
export function labelBeside({ ours, peer }: Pick<Ratio, "ours" | "peer">, rows: readonly Row[]): string {
  const isSame = ours.split("/", 1)[0] === peer.split("/", 1)[0];
  return isSame ? labelAlone(peer, rows) : labelOf(peer, rows);
}

/** The label of a subject without its framework. */
export function labelAlone(subject: string, rows: readonly Row[]): string {
  return labelOf(subject, rows).replace(/^.* \+ /, "");
}

// --- series -------------------------------------------------------------------------------------------------------------

function seriesTables(measured: readonly Measured[]): string[] {
  const routes = routesOf(measured.flatMap(({ rows }) => rows));
  return routes.flatMap((route) => [`## ${titleOf(route)}`, seriesTable(measured, route)]);
}

/** A row for every subject, a column for every setup. */
export function seriesTable(measured: readonly Measured[], route: Route): string {
  const setups = measured.map(({ setup }) => setup);
  const rows = measured.flatMap((each) => each.rows).filter((row) => row.route === route);
  const subjects = [...new Set(rows.map(({ subject }) => subject))].filter((subject) => !subject.endsWith("/bare"));
  const cell = (subject: string, of: Measured): string => {
    const row = of.rows.find((each) => each.subject === subject && each.route === route);
    return row === undefined ? "" : signed(row.over.best);
  };
  return table(
    [`${route}: best, µs over the framework`, ...setups.map((setup) => setupTitle(setup, setups))],
    subjects.map((subject) => [labelOf(subject, rows)].concat(measured.map((each) => cell(subject, each)))),
  );
}

// --- what else ----------------------------------------------------------------------------------------------------------

function trafficPart(traffic: readonly Traffic[]): string[] {
  if (traffic.length === 0) return [];
  return ["## Store calls and cookies of one request", trafficTable(traffic)];
}

/** What one request causes. */
export function trafficTable(traffic: readonly Traffic[]): string {
  const labels = [...new Set(traffic.map(({ label }) => label))];
  const routes = [...new Set(traffic.map(({ route }) => route))];
  const counts = (label: string): string[] =>
    traffic.filter((entry) => entry.label === label).map((entry) => `${entry.storeCalls} and ${entry.setCookies}`);
  return table(
    ["store calls and `Set-Cookie`", ...routes],
    labels.map((label) => [label].concat(counts(label))),
  );
}

function lostParts(measured: readonly Measured[]): string[] {
  const setups = measured.map(({ setup }) => setup);
  return measured.flatMap(({ setup, lost }) => {
    const entries = Object.entries(lost).map(([name, of]) => `${name} ${of.lost} of ${of.writes}`);
    const title = setupTitle(setup, setups);
    if (entries.length === 0) return [];
    return [`Updates that were lost${title === "" ? "" : ` (${title})`}: ${entries.join(", ")}.`];
  });
}

/** Whose code took which part of the time. */
export function profileTable(profiles: readonly Profiled[]): string {
  return table(
    ["part of the time", ...OWNERS.map((owner) => OWNER_NAMES[owner])],
    profiles.map(({ label, shares }) => [label].concat(OWNERS.map((owner) => `${Math.round(shares[owner] * 100)} %`))),
  );
}

/** Text on the left, figures on the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[], texts = 1): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const padded = (cell: string, column: number): string =>
    column < texts ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  const line = (row: readonly string[]): string => `| ${row.map(padded).join(" | ")} |`;
  const rule = widths.map((width, column) => (column < texts ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`));
  return [line(head), `|${rule.join("|")}|`, ...rows.map(line)].join("\n");
}
