/**
 * Measures what requests cost, each kind of session behind each adapter in a process of its own.
 * `npm exec -- node test/budget/measure.ts` prints the table of `budgets.ts`.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { ADAPTERS, KINDS, ROUTES, type Adapter, type Costs, type Kind } from "./cost.ts";

/**
 * Without optimising compilers, whose escape analysis would leave out a part of what the source asks for, from one call or
 * another on: so what is counted here is more than a busy server allocates, but the same in every run to the hundredth. One
 * thread, and a young generation that is never collected while something is counted.
 */
const FLAGS = [
  "--expose-gc",
  "--single-threaded",
  "--no-opt",
  "--no-maglev",
  "--no-sparkplug",
  "--min-semi-space-size=64",
  "--max-semi-space-size=64",
];

/** What the requests of one kind of session cost behind one adapter. */
export async function measured(kind: Kind, adapter: Adapter): Promise<Costs> {
  const worker = join(import.meta.dirname, "worker.ts");
  const env = { PATH: process.env["PATH"] };
  const { stdout } = await promisify(execFile)(process.execPath, [...FLAGS, worker, kind, adapter], { env });
  return JSON.parse(stdout) as Costs;
}

if (import.meta.main) {
  for (const kind of KINDS) {
    console.log(`  ${kind}: {`);
    for (const adapter of ADAPTERS) {
      const costs = await measured(kind, adapter);
      console.log(`    ${adapter}: {`);
      for (const route of ROUTES) console.log(`      ${JSON.stringify(route)}: ${row(costs[route])},`);
      console.log("    },");
    }
    console.log("  },");
  }
}

function row({ storeCalls, statements, header, promises, bytes }: Costs["read"]): string {
  return `cost(${[storeCalls, statements, header, promises, bytes].join(", ")})`;
}
