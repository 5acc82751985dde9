/**
 * What a run found, and where it is kept.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Owner } from "./flame.ts";
import type { Machine } from "./machine.ts";
import type { Form, Setup } from "./options.ts";
import type { Lost } from "./rounds.ts";
import type { Ratio, Row } from "./statistics.ts";
import type { Traffic } from "./traffic.ts";

/** Where the files of results are. */
export const RESULTS: string = join(import.meta.dirname, "results");

/** What is said of the load where wrk is kept awake. */
export const AWAKE = "wrk, which is kept awake";

/** Everything that a run found. */
export interface Results {
  readonly date: string;
  readonly form: Form;
  readonly seconds: number;
  /** For how many seconds servers were warmed up on each route, on Node; undefined in older results. */
  readonly warmUp: number | undefined;
  /** With each process of a server. */
  readonly rounds: number;
  /** Of each server, one after the other; undefined in older results. */
  readonly processes: number | undefined;
  readonly generator: string;
  readonly machine: Machine;
  /** How many processes wanted a core, on average over a minute, before the run and after it. */
  readonly busy: { readonly before: number; readonly after: number };
  /** What could not be measured, and why. */
  readonly leftOut: readonly string[];
  readonly measured: readonly Measured[];
  readonly traffic: readonly Traffic[];
  /** Where the time of each server went; empty unless there were profiles. */
  readonly profiles: readonly Profiled[];
}

/** Where the time of a server went. */
export interface Profiled {
  readonly subject: string;
  readonly label: string;
  readonly shares: Readonly<Record<Owner, number>>;
}

/** What was found with the sessions of one setup. */
export interface Measured {
  readonly setup: Setup;
  readonly rows: readonly Row[];
  readonly ratios: readonly Ratio[];
  readonly lost: Lost;
}

/** Results as JSON, laid out as the formatter does. */
export function json(results: Results): string {
  const rounded = (_key: string, value: unknown): unknown =>
    typeof value === "number" ? Math.round(value * 10_000) / 10_000 : value;
  const text = JSON.stringify(results, rounded, 2);
  return `${text.replaceAll(/\[\s+([-\d.e]+),\s+([-\d.e]+)\s+\]/g, "[$1, $2]")}\n`;
}

/** The results of the last run of a form; undefined when there was none. */
export function lastResults(form: Form): Results | undefined {
  const file = join(RESULTS, `${form}.json`);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Results) : undefined;
}
