/** `npm run faults`: what every store promises in bad weather, put to the test. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HELP, optionsOf, type Options } from "./options.ts";
import { line, markdown, replaceTable, resultsOf } from "./report.ts";
import { runFault, type Report } from "./run.ts";

const ROOT = join(import.meta.dirname, "../..");

const options = optionsOf(process.argv.slice(2));
// Apps and servers end by themselves when this process has gone.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
if (options === undefined) process.stdout.write(HELP);
else if (options.list) list(options);
else await run(options);

function list({ faults }: Options): void {
  for (const { name, topology, title } of faults) console.log(`${name.padEnd(24)} ${topology.name}: ${title}`);
}

async function run({ engine, faults, seed, pace, isWhole }: Options): Promise<void> {
  const missing = engine.missing();
  if (missing !== undefined) throw new Error(`${engine.name} needs ${missing}`);
  console.log(`${faults.length} faults of ${engine.name}, seed ${seed}`);
  const reports: Report[] = [];
  for (const fault of faults) {
    const report = await runFault(fault, { seed, pace, evidence: join(ROOT, ".data/faults"), onlyBroken: isWhole });
    console.log(line(report));
    reports.push(report);
  }
  const results = resultsOf(engine, seed, reports);
  const text = markdown(results);
  console.log(`\n${text}`);
  if (isWhole) {
    mkdirSync(join(import.meta.dirname, "results"), { recursive: true });
    writeFileSync(join(import.meta.dirname, "results", `${engine.name}.json`), `${JSON.stringify(results, null, 2)}\n`);
    replaceTable(join(ROOT, engine.document ?? "docs/stores.md"), results, text);
  }
  if (reports.some(({ complaints }) => complaints.length > 0)) process.exitCode = 1;
}
