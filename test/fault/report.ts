/** What the runs of a store came to, as JSON and as a table for people. */
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import type { Engine } from "./fault.ts";
import type { Figures } from "./figures.ts";
import { LONG_STORE_TIMEOUT, STORE_TIMEOUT, type Report } from "./run.ts";

/** One row of a table. Times in milliseconds. */
export interface Row {
  readonly fault: string;
  readonly topology: string;
  readonly title: string;
  readonly promised: string;
  /** The kinds of wrong that the engine does not rule out. */
  readonly allows: string;
  readonly figures: Figures;
  /** How long a copy may be served, where there are any. */
  readonly staleFor?: number;
  /** What speaks against it; empty when all that was promised was kept. */
  readonly complaints: string;
}

/** The runs of a store. */
export interface Results {
  readonly date: string;
  readonly store: string;
  readonly seed: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly machine: { readonly cpu: string; readonly cores: number };
  readonly rows: readonly Row[];
}

/** Puts reports together. */
export function resultsOf({ name, versions }: Engine, seed: number, reports: readonly Report[]): Results {
  const [cpu] = cpus();
  return {
    date: new Date().toISOString().slice(0, 10),
    store: name,
    seed,
    versions: { node: process.versions.node, ...versions() },
    machine: { cpu: cpu?.model.trim() ?? "unknown", cores: cpus().length },
    rows: reports.map(({ fault, figures, complaints }) => {
      const { name: of, title, promised, allows } = fault;
      const topology = fault.topology.name;
      const { staleFor } = fault.topology;
      const texts = { allows: allows.join(", "), complaints: complaints.join("; ") };
      return { fault: of, topology, title, promised, figures, ...(staleFor !== undefined && { staleFor }), ...texts };
    }),
  };
}

/** As Markdown. */
export function markdown({ date, store, seed, versions, rows }: Results): string {
  const made = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    table(rows.some(({ staleFor }) => staleFor !== undefined) ? HEAD : HEAD.slice(0, -1), rows.map(cells)),
    "",
    `Made on ${date} by \`npm run faults -- --store ${store} --seed ${seed}\` with ${made.join(", ")}; \`storeTimeout\` ${seconds(STORE_TIMEOUT)}, and ${seconds(LONG_STORE_TIMEOUT)} where nothing may fail.`,
    "",
  ].join("\n");
}

const HEAD = [
  "What happens",
  "Promised",
  "Requests",
  "Failed",
  "Slowest error",
  "Longest outage",
  "Back after",
  "Lost",
  "Old secrets",
  "Signed out",
  "Resurrected",
  "Seen after its end",
];

function cells({ fault, topology, title, promised, figures, staleFor }: Row): readonly string[] {
  const { requests, failed, conflicts, unanswered, slowestError, outage, recovery, stale, found } = figures;
  const failures = failed + conflicts + unanswered;
  return [
    `\`${fault}\` (${topology}): ${title}`,
    promised,
    String(requests),
    String(failures),
    failed + conflicts === 0 ? "–" : seconds(slowestError),
    seconds(outage),
    failures === 0 ? "–" : recovery === undefined ? "never" : seconds(recovery),
    ...[found.lost, found.oldSecrets, found.signedOut, found.resurrected].map(String),
    ...(staleFor === undefined ? [] : [`${stale} ms`]),
  ];
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const rowOf = (row: readonly string[]): string => `| ${row.join(" | ")} |`;
  const rule = `|${head.map((_, column) => (column < 2 ? "---" : "--:")).join("|")}|`;
  return [rowOf(head), rule, ...rows.map(rowOf)].join("\n");
}

/** One line for the terminal. */
export function line({ fault, figures, complaints }: Report): string {
  const { requests, failed, conflicts, unanswered, outage, recovery, stale, found } = figures;
  const figuresText = [
    `${requests} requests`,
    `${failed + conflicts + unanswered} failed`,
    `outage ${seconds(outage)}`,
    `back after ${recovery === undefined ? "never" : seconds(recovery)}`,
    ...(fault.topology.staleFor === undefined ? [] : [`seen ${stale} ms after its end at the latest`]),
    ...Object.entries(found)
      .filter(([, count]) => count > 0)
      .map(([kind, count]) => `${kind} ${count}`),
  ];
  const verdict = complaints.length === 0 ? "kept" : `BROKEN (${complaints.join("; ")})`;
  return `${fault.name.padEnd(24)} ${verdict}: ${figuresText.join(", ")}`;
}

/** Puts a table where its markers are in a document. */
export function replaceTable(file: string, { store }: Results, text: string): void {
  const [begin, end] = [`<!-- weather: ${store} -->`, `<!-- end of weather: ${store} -->`];
  const document = readFileSync(file, "utf8");
  const [from, to] = [document.indexOf(begin), document.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the markers of ${store} are missing in the document`);
  writeFileSync(file, `${document.slice(0, from)}${begin}\n${text}${document.slice(to)}`);
}
