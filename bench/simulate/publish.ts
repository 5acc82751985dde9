/**
 * The files of results.
 *
 * @module
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Checked } from "./check.ts";
import { hitRatePlot, latencyPlot, loadPlot } from "./plots.ts";
import type { FeedCosts } from "./feed.ts";
import { checkTable, curveTable, feedTables, fleetTable, variedTable } from "./report.ts";
import type { Found } from "./series.ts";
import type { Weather } from "./weather.ts";

const RESULTS = join(import.meta.dirname, "../results");
const PAGE = join(import.meta.dirname, "../../docs/scaling.md");
/** How many samples of the weather are kept. */
const KEPT = 1_000;
const WEATHER = join(RESULTS, "simulate-weather.json");

/** What was measured with, of a check. */
export interface CheckResults {
  readonly date: string;
  readonly seed: number;
  readonly seconds: number;
  readonly runs: number;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string; readonly redis: string };
  /** How often all figures held, of that many runs. */
  readonly held: number;
  /** What was off in others. */
  readonly off: readonly string[];
  readonly scenarios: readonly Checked[];
}

/** The weather that the last check has measured; a calm day where there was none. */
export function lastWeather(): Weather {
  if (!existsSync(WEATHER)) return [{ at: 0, answer: 0.2, lags: [0.1, 0.1] }];
  const rows = JSON.parse(readFileSync(WEATHER, "utf8")) as readonly (readonly number[])[];
  return rows.map(([at = 0, answer = 0, ...lags]) => ({ at, answer, lags }));
}

/** Keeps what was simulated, and makes pictures and tables of it. */
export function publish(found: Found): void {
  write("simulate.json", found);
  writeFileSync(join(RESULTS, "simulate-hit-rate.svg"), hitRatePlot(found));
  writeFileSync(join(RESULTS, "simulate-load.svg"), loadPlot(found));
  writeFileSync(join(RESULTS, "simulate-latency.svg"), latencyPlot(found));
  const { rate } = found.world.traffic;
  inPage("fleet", fleetTable(found.rows, rate));
  inPage("varied", variedTable(found));
  inPage("outlived", curveTable(found));
}

/** Keeps what a check found, and the weather that it met. */
export function publishCheck(results: CheckResults, weather: Weather): void {
  write("simulate-check.json", results);
  // Ten seconds of it: they begin again.
  const kept = weather.slice(-KEPT);
  const rows = kept.map(({ at, answer, lags }) => {
    const times = [at - (kept[0]?.at ?? 0), answer, ...lags].map((ms) => Number(ms.toFixed(3)));
    return `  [${times.join(", ")}]`;
  });
  writeFileSync(WEATHER, `[\n${rows.join(",\n")}\n]\n`);
  const { machine, date, runs, held } = results;
  const made = `Made on ${date} by \`npm run simulate -- --check\`: ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, redis-server ${machine.redis}; the last of ${runs} runs with different seeds, of which ${held} held${offIn(results)}.`;
  inPage("check", `${checkTable(results.scenarios)}\n\n${made}`);
}

function offIn({ off }: CheckResults): string {
  return off.length === 0 ? "" : ` (${off.join("; ")})`;
}

/** Keeps what the feed costs. */
export function publishFeed(costs: FeedCosts): void {
  write("simulate-feed.json", costs);
  inPage("feed", feedTables(costs));
}

/** As the formatter lays JSON out. */
function write(name: string, value: unknown): void {
  const rounded = (_key: string, one: unknown): unknown =>
    typeof one === "number" ? Math.round(one * 10_000) / 10_000 : one;
  const text = JSON.stringify(value, rounded, 2);
  const filled = text.replaceAll(/\[\s+(-?[\d.e+-]+(?:,\s+-?[\d.e+-]+)*)\s+\]/g, (_all, numbers: string) =>
    fill(numbers),
  );
  const joined = filled.replaceAll(/\[\s+("[^"]*"(?:,\s+"[^"]*")*)\s+\]/g, (all, texts: string) => {
    const flat = `[${texts.split(/,\s+(?=")/).join(", ")}]`;
    return flat.length <= BESIDE ? flat : all;
  });
  writeFileSync(join(RESULTS, name), `${joined}\n`);
}

/** What fits a line of 120 beside its indent, and beside its name. */
const [LINE, BESIDE] = [111, 100] as const;

/** Numbers side by side, as many as fit a line. */
function fill(numbers: string): string {
  const all = numbers.split(/,\s+/);
  const flat = `[${all.join(", ")}]`;
  if (flat.length <= BESIDE) return flat;
  const lines = [""];
  for (const one of all) {
    const last = lines.at(-1) ?? "";
    if (last.length + one.length + 2 > LINE) lines.push(one);
    else lines[lines.length - 1] = last === "" ? one : `${last}, ${one}`;
  }
  return `[\n${lines.map((each) => `        ${each}`).join(",\n")}\n      ]`;
}

function inPage(name: string, text: string): void {
  const page = readFileSync(PAGE, "utf8");
  const [begin, end] = [`<!-- simulated: ${name} -->`, `<!-- end of simulated: ${name} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the markers ${begin} are missing in docs/scaling.md`);
  writeFileSync(PAGE, `${page.slice(0, from)}${begin}\n${text}\n${page.slice(to)}`);
}
