/**
 * What was found, for people.
 *
 * @module
 */
import type { MemoryCost } from "./memory.ts";
import type { ReadCost } from "./reads.ts";
import type { SoakResult } from "./soak.ts";
import type { StartUp } from "./start-up.ts";
import type { TypeCheck } from "./type-check.ts";

/** The cost of a read, the more sessions there are. */
export interface ReadScale {
  readonly store: string;
  /** First a thousand, whose tokens are all remembered; then twice as many as are, and then the many. */
  readonly costs: readonly ReadCost[];
}

/** All that was measured; what was left out is undefined. */
export interface ScaleResults {
  readonly date: string;
  readonly machine: object;
  readonly memory?: { readonly guest: MemoryCost; readonly member: MemoryCost };
  readonly reads?: readonly ReadScale[];
  readonly startUps?: readonly StartUp[];
  readonly typeChecks?: { readonly with: TypeCheck; readonly without: TypeCheck };
  readonly soak?: SoakResult;
}

const MEBIBYTE = 2 ** 20;

/** The results as Markdown. */
export function markdown({ date, machine, memory, reads, startUps, typeChecks, soak }: ScaleResults): string {
  const parts = [
    `# Scale\n\n${date}, ${Object.values(machine).join(", ")}.`,
    memory && memoryText(memory),
    reads && readsText(reads),
    soak && soakText(soak),
    startUps && startUpText(startUps),
    typeChecks && typeCheckText(typeChecks),
  ];
  return `${parts.filter((part) => part !== undefined).join("\n\n")}\n`;
}

function memoryText({ guest, member }: NonNullable<ScaleResults["memory"]>): string {
  const line = (name: string, { each, above }: MemoryCost): string =>
    `| ${name} | ${Math.round(each)} | ${Math.round(above)} | ${verdict(above <= 500)} |`;
  return `## Memory of a session in \`memoryStore\`, of ${thousands(guest.sessions)}

| | bytes of heap each | above the JSON of its data | aim: ≤ 500 |
|---|--:|--:|---|
${line("guests", guest)}
${line("signed in, each a user of its own", member)}`;
}

function readsText(reads: readonly ReadScale[]): string {
  const rows = reads.flatMap(({ store, costs }) => costs.map((cost, at) => readRow(store, cost, costs, at)));
  return `## A read with few sessions and with many

Microseconds of CPU time, always another session. The request goes through \`coatcheck/fetch\`, without a network. Of up to
16 384 tokens it is remembered what is in them; the others are taken apart at each request.

| store | sessions | the store's verb | of that at 1 000 | a whole request | of that at 1 000 | of that at 32 768 |
|---|--:|--:|--:|--:|--:|--:|
${rows.join("\n")}`;
}

function readRow(store: string, { sessions, ...cost }: ReadCost, costs: readonly ReadCost[], at: number): string {
  const part = (of: "store" | "request", base: number): string =>
    at <= base ? "" : `${(cost[of] / (costs[base]?.[of] ?? NaN)).toFixed(2)} ×`;
  const own = `${cost.store.toFixed(2)} | ${part("store", 0)}`;
  const whole = `${cost.request.toFixed(1)} | ${part("request", 0)} | ${part("request", 1)}`;
  return `| ${store} | ${thousands(sessions)} | ${own} | ${whole} |`;
}

function soakText({ minutes, requests, errors, growth, delay, undisturbed, samples }: SoakResult): string {
  const last = samples.at(-1);
  const heap = `${((last?.heap ?? 0) / MEBIBYTE).toFixed(1)} MiB`;
  const kibibytes = (growth.bytes / 1024).toFixed(0);
  return `## ${minutes} minutes at full load

64 connections, one process, every answer checked: untouched, read, write, sign-in, sign-out, a sealed session beside it, and
visitors who never come back.

| | | aim |
|---|--:|---|
| requests | ${thousands(requests)} | |
| errors | ${errors} | 0 ${verdict(errors === 0)} |
| heap in use, with ${last?.sessions} sessions | ${heap} | |
| its growth by the regression line | ${kibibytes} KiB (${(growth.part * 100).toFixed(1)} %) | ≤ 5 % ${verdict(growth.part <= 0.05)} |
| event-loop delay, p99, the worst 10 seconds | ${delay.p99.toFixed(1)} ms | ≤ 20 ms ${verdict(delay.p99 <= 20)} |
| the same, of ${undisturbed.samples} × 10 seconds in which other processes let it run | ${undisturbed.p99?.toFixed(1) ?? "–"} ms | |
| the same, the median of all | ${delay.medianP99.toFixed(1)} ms | |`;
}

function startUpText(startUps: readonly StartUp[]): string {
  const rows = startUps.map(
    ({ door, milliseconds, least }) => `| \`${door}\` | ${milliseconds.toFixed(1)} | ${least.toFixed(1)} |`,
  );
  return `## Import of a door in a fresh process\n\n| door | ms, median of 10 | least |\n|---|--:|--:|\n${rows.join("\n")}`;
}

function typeCheckText({ with: own, without }: NonNullable<ScaleResults["typeChecks"]>): string {
  const row = (name: string, { seconds, mebibytes, instantiations }: TypeCheck): string =>
    `| ${name} | ${seconds.toFixed(2)} | ${mebibytes} | ${instantiations} |`;
  return `## Type-checking a small app

| | seconds | MiB | type instantiations |
|---|--:|--:|--:|
${row("with two kinds of session", own)}
${row("Node's types alone", without)}`;
}

function verdict(met: boolean): string {
  return met ? "✓" : "✗";
}

function thousands(count: number): string {
  return String(count).replaceAll(/\B(?=(\d{3})+$)/g, "\u202f");
}
