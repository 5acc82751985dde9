/**
 * The files of results.
 *
 * @module
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { flamePlot } from "./flame-plot.ts";
import type { Frame } from "./flame.ts";
import { FORMS } from "./options.ts";
import { withTables } from "./page.ts";
import { costPlot, ratioPlot, seriesPlot } from "./plots.ts";
import { markdown, routesOf } from "./report.ts";
import { json, lastResults, RESULTS, type Results } from "./results.ts";
import { fileNameOf } from "./server-process.ts";
import type { Subject } from "./subjects.ts";

const PAGE = join(import.meta.dirname, "../docs/performance.md");

/** Writes what a run found, and everything that is made of it. */
export function publish(results: Results): void {
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(join(RESULTS, `${results.form}.json`), json(results));
  publishAgain();
}

/** Draws what was profiled. */
export function publishFlames(flames: readonly (readonly [subject: Subject, flame: Frame])[]): void {
  mkdirSync(RESULTS, { recursive: true });
  for (const [subject, flame] of flames) {
    const title = `Where the time goes: ${subject.label}`;
    writeFileSync(join(RESULTS, `profile-${fileNameOf(subject)}.svg`), flamePlot(flame, title));
  }
}

/** Makes tables and plots of the results that are there. */
export function publishAgain(): void {
  for (const form of FORMS) {
    const results = lastResults(form);
    if (results === undefined) continue;
    writeFileSync(join(RESULTS, `${form}.md`), markdown(results));
    for (const [name, plot] of plotsOf(results)) writeFileSync(join(RESULTS, `${form}-${name}.svg`), plot);
  }
  const shown = {
    usual: lastResults("full") ?? lastResults("quick"),
    size: lastResults("size"),
    sessions: lastResults("sessions"),
    profile: lastResults("profile"),
  };
  writeFileSync(PAGE, withTables(readFileSync(PAGE, "utf8"), shown));
}

function plotsOf({ form, measured }: Results): readonly (readonly [name: string, plot: string])[] {
  const routes = routesOf(measured.flatMap(({ rows }) => rows));
  const [first] = measured;
  if (first === undefined || form === "profile") return [];
  if (measured.length > 1) return routes.map((route) => [route, seriesPlot(measured, route)]);
  return [
    ...routes.map((route) => [route, costPlot(first.rows, route)] as const),
    ["ratios", ratioPlot(first.ratios, first.rows)],
  ];
}
