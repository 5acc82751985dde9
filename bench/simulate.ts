/**
 * `npm run simulate`: near caches on 3 to 300 servers, simulated, and beside three real ones.
 *
 * @module
 */
import { cpus } from "node:os";
import { lackOf, serverVersions } from "./needs.ts";
import { check, scenarios, type Checked } from "./simulate/check.ts";
import { HELP, wishOf, type Wish } from "./simulate/options.ts";
import { lastWeather, publish, publishCheck } from "./simulate/publish.ts";
import { checkTable, curveTable, fleetTable, variedTable } from "./simulate/report.ts";
import { runAll } from "./simulate/series.ts";
import type { Weather } from "./simulate/weather.ts";

const weather = lastWeather();

function wished(): Wish | undefined {
  try {
    return wishOf(process.argv.slice(2), weather);
  } catch (error) {
    console.error(`${(error as Error).message}\n\nnpm run simulate -- --help tells what there is.`);
    process.exitCode = 2;
    return undefined;
  }
}

function simulateAll(plan: Extract<Wish, { simulate: unknown }>["simulate"]): void {
  const { traffic } = plan.world;
  console.log(
    `${traffic.sessions} visitors, ${traffic.rate} requests a second, Zipf exponent ${traffic.exponent}, seed ${traffic.seed}`,
  );
  const found = runAll(plan, (text) => console.error(text));
  console.log(`\n${fleetTable(found.rows, traffic.rate)}`);
  if (found.varied.length > 0) console.log(`\n${variedTable(found)}\n\n${curveTable(found)}`);
  const wrong = [...found.rows, ...found.varied].reduce((sum, row) => sum + row.wrong, 0);
  console.log(`\nVisitors who did not see what they had written: ${wrong}`);
  if (plan.publishes) publish(found);
}

async function checkAll({ seed, runs, seconds }: Extract<Wish, { check: unknown }>["check"]): Promise<void> {
  const lack = lackOf("redis");
  if (lack !== undefined) throw new Error(`the check needs Redis: ${lack}`);
  let held = 0;
  let last: { readonly scenarios: readonly Checked[]; readonly weather: Weather } | undefined;
  for (let run = 0; run < runs; run++) {
    const checked: Checked[] = [];
    let calm: Weather = [];
    for (const [name, world] of scenarios(seed + run, seconds)) {
      console.error(`seed ${seed + run}: ${name} …`);
      const { weather: met, ...one } = await check(name, world);
      checked.push(one);
      if (calm.length === 0) calm = met;
    }
    console.log(`\nSeed ${seed + run}\n\n${checkTable(checked)}`);
    if (checked.every(({ failed, compared }) => failed === 0 && compared.every(({ holds }) => holds !== false))) held++;
    last = { scenarios: checked, weather: calm };
  }
  console.log(`\n${held} of ${runs} runs held: every figure within 20 %.`);
  if (held < runs) process.exitCode = 1;
  const { version: node } = process;
  const machine = { cpu: cpus()[0]?.model.trim() ?? "unknown", cores: cpus().length, node: node.slice(1) };
  const redis = serverVersions(["redis"])["redis-server"] ?? "unknown";
  const date = new Date().toISOString().slice(0, 10);
  if (last === undefined || held === 0) return;
  publishCheck(
    { date, seed, seconds, runs, machine: { ...machine, redis }, held, scenarios: last.scenarios },
    last.weather,
  );
}

const wish = wished();
if (wish !== undefined) {
  if ("help" in wish) console.log(HELP);
  else if ("check" in wish) await checkAll(wish.check);
  else simulateAll(wish.simulate);
}
