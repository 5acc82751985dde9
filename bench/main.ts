/**
 * `npm run bench`: what a session costs, ours beside others.
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasWrk, machine } from "./machine.ts";
import { HELP, optionsOf, type Options } from "./options.ts";
import { json, markdown, type Results } from "./report.ts";
import { end, enter, lost, measure, warmUp, type Contestant } from "./rounds.ts";
import { rowOf } from "./statistics.ts";
import { isAvailable, SUBJECTS } from "./subjects.ts";
import { trafficOf } from "./traffic.ts";

const options = optionsOf(process.argv.slice(2));
if (options === undefined) process.stdout.write(HELP);
else report(await bench(options));

async function bench(wanted: Options): Promise<Results> {
  const folder = mkdtempSync(join(tmpdir(), "coatcheck-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  // Servers end by themselves when this process has gone.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  for (const subject of SUBJECTS)
    if (!isAvailable(subject)) console.log(`${subject.name} is left out: it is not built`);
  const contestants: Contestant[] = [];
  try {
    for (const subject of wanted.subjects) {
      contestants.push(await enter(subject, { folder, profiles: wanted.profiles }));
    }
    return await resultsOf(wanted, contestants, folder);
  } finally {
    await Promise.all(contestants.map(end));
  }
}

async function resultsOf(wanted: Options, contestants: readonly Contestant[], folder: string): Promise<Results> {
  const { form, subjects, routes, seconds, rounds } = wanted;
  const mine = subjects.filter(({ ours }) => ours);
  const traffic = await Promise.all(mine.map((subject) => trafficOf(subject, routes, folder)));
  await warmUp(contestants, routes);
  const samples = await measure(contestants, wanted, console.log);
  return {
    date: new Date().toISOString().slice(0, 10),
    form,
    seconds,
    rounds,
    generator: hasWrk ? "wrk" : "a client of our own",
    machine: machine(),
    rows: routes.flatMap((route) => subjects.flatMap((subject) => rowOf(subject, route, samples) ?? [])),
    traffic: traffic.flat(),
    lost: await lost(contestants),
  };
}

function report(results: Results): void {
  const text = markdown(results);
  console.log(`\n${text}`);
  if (results.form === "partial") return;
  writeFileSync(join(import.meta.dirname, "results.md"), text);
  writeFileSync(join(import.meta.dirname, "results.json"), json(results));
}
