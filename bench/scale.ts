/**
 * `npm run build && npm exec -- node bench/scale.ts`: what many sessions, long load, imports and types cost.
 *
 * @module
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { programPath } from "../test/servers/require.ts";
import { resultOf } from "./scale/child.ts";
import type { MemoryCost } from "./scale/memory.ts";
import type { ReadCost } from "./scale/reads.ts";
import { markdown, type ReadScale, type ScaleResults } from "./scale/report.ts";
import { soak } from "./scale/soak.ts";
import { startUps } from "./scale/start-up.ts";
import { typeChecks } from "./scale/type-check.ts";

const PARTS = ["memory", "reads", "soak", "start", "types"] as const;
type Part = (typeof PARTS)[number];

const HELP = `npm exec -- node bench/scale.ts [options]

  --soak <minutes>   how long the soak is (default 10; 0 for none)
  --only <a,b,…>     these parts only; the others stay as they were: ${PARTS.join(", ")}
  --help             this text

Writes bench/results/scale.md and scale.json.
`;

/** A thousand, and twice as many as there are tokens whose parts are remembered. */
const FEW = [1000, 32_768];
const MILLION = 1_000_000;
/** A million files take six minutes to make, and as many inodes. */
const MANY = { memory: MILLION, sqlite: MILLION, directory: MILLION, nats: MILLION } as const;
const HEAP = "--max-old-space-size=6144";

const { values } = parseArgs({
  options: { soak: { type: "string", default: "10" }, only: { type: "string" }, help: { type: "boolean" } },
});
if (values.help === true) process.stdout.write(HELP);
else report(await measured(Number(values.soak), (values.only?.split(",") ?? PARTS) as readonly Part[]));

async function measured(minutes: number, parts: readonly Part[]): Promise<ScaleResults> {
  const unknown = parts.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) throw new Error(`no part ${unknown}: ${PARTS.join(", ")}`);
  if (!(minutes >= 0)) throw new Error("--soak must be a number of minutes");
  const folder = mkdtempSync(join(tmpdir(), "coatcheck-scale-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const wanted = (part: Part): boolean => parts.includes(part);
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: { cpu: cpus()[0]?.model.trim(), cores: `${cpus().length} cores`, node: `Node ${process.versions.node}` },
    ...(wanted("memory") && { memory: await memory() }),
    ...(wanted("reads") && { reads: await reads(folder) }),
    ...(wanted("start") && { startUps: await startUps() }),
    ...(wanted("types") && { typeChecks: await typeChecks(emptyIn(folder, "types")) }),
    ...(wanted("soak") && minutes > 0 && { soak: await soak(minutes, console.log) }),
  };
}

async function memory(): Promise<NonNullable<ScaleResults["memory"]>> {
  const of = (kind: string): Promise<MemoryCost> =>
    resultOf("memory.ts", [String(MILLION), kind], ["--expose-gc", HEAP]);
  return { guest: await of("guest"), member: await of("member") };
}

async function reads(folder: string): Promise<ReadScale[]> {
  const found: ReadScale[] = [];
  for (const [store, count] of Object.entries(MANY)) {
    if (store === "nats" && programPath("nats-server") === undefined) {
      console.log("nats: left out, nats-server is not installed");
      continue;
    }
    const counts = [...FEW, count].join(",");
    const costs = await resultOf<ReadCost[]>("reads.ts", [store, counts, emptyIn(folder, store)], [HEAP]);
    found.push({ store, costs });
    console.log(`${store}: ${costs.map(({ request }) => request.toFixed(1)).join(", ")} µs a request`);
  }
  return found;
}

function emptyIn(folder: string, name: string): string {
  const path = join(folder, name);
  mkdirSync(path);
  return path;
}

function report(found: ScaleResults): void {
  const folder = join(import.meta.dirname, "results");
  const path = join(folder, "scale.json");
  const before = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as ScaleResults) : undefined;
  const results = { ...before, ...found };
  const text = markdown(results);
  console.log(`\n${text}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "scale.md"), text);
  writeFileSync(path, `${JSON.stringify(results, null, 2)}\n`);
}
