/**
 * `npm run simulate`: near caches on 3 to 300 servers, simulated, and beside three real ones.
 *
 * @module
 */
import { cpus } from "node:os";
import { lackOf, serverVersions } from "./needs.ts";
import { BUSY, check, scenarios, type Checked } from "./simulate/check.ts";
import { feedCosts } from "./simulate/feed.ts";
import { HELP, wishOf, type Wish } from "./simulate/options.ts";
import { lastWeather, publish, publishCheck, publishFeed } from "./simulate/publish.ts";
import { checkTable, curveTable, feedTables, fleetTable, variedTable } from "./simulate/report.ts";
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
  const off: string[] = [];
  let held = 0;
  let checked: Checked[] = [];
  let calm: Weather = [];
  for (let run = 0; run < runs; run++) {
    checked = [];
    for (const [name, world] of scenarios(seed + run, seconds)) {
      console.error(`seed ${seed + run}: ${name} …`);
      const { weather: met, ...one } = await check(name, world);
      if (checked.push(one) === 1) calm = met;
      if (one.late > BUSY)
        console.error(`This machine is busy: requests were sent up to ${one.late.toFixed(0)} ms late.`);
    }
    console.log(`\nSeed ${seed + run}\n\n${checkTable(checked)}`);
    const found = checked.flatMap(offIn);
    if (found.length === 0) held++;
    const late = Math.max(...checked.map((one) => one.late));
    off.push(...found.map((text) => `seed ${seed + run}, requests up to ${late.toFixed(0)} ms late: ${text}`));
  }
  console.log(`\n${held} of ${runs} runs held: every figure within 20 %, or 0.1 ms.`);
  if (held < runs) process.exitCode = 1;
  const { node } = process.versions;
  const redis = serverVersions(["redis"])["redis-server"] ?? "unknown";
  const machine = { cpu: cpus()[0]?.model.trim() ?? "unknown", cores: cpus().length, node, redis };
  const date = new Date().toISOString().slice(0, 10);
  publishCheck({ date, seed, seconds, runs, machine, held, off, scenarios: checked }, calm);
}

function offIn({ name, failed, compared }: Checked): readonly string[] {
  const figures = compared.filter(({ holds }) => holds === false).map(({ figure }) => `${name}: ${figure}`);
  return failed === 0 ? figures : [...figures, `${name}: ${failed} requests failed`];
}

async function measureFeed(): Promise<void> {
  const lack = lackOf("redis");
  if (lack !== undefined) throw new Error(`the feed is that of Redis: ${lack}`);
  const costs = await feedCosts();
  console.log(feedTables(costs));
  publishFeed(costs);
}

const wish = wished();
if (wish !== undefined) {
  if ("help" in wish) console.log(HELP);
  else if ("feed" in wish) await measureFeed();
  else if ("check" in wish) await checkAll(wish.check);
  else simulateAll(wish.simulate);
}
