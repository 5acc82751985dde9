/**
 * `npm run bench`: what a session costs, ours beside others.
 *
 * @module
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { startBackends, type Backends } from "./backends.ts";
import { COMPARISONS } from "./comparisons.ts";
import { flameOf, sharesOf, type CpuProfile, type Frame } from "./flame.ts";
import { generatorName } from "./load-process.ts";
import { machine, pinning } from "./machine.ts";
import { needsOf, serverVersions } from "./needs.ts";
import { HELP, possible, wishOf, type Options, type Setup } from "./options.ts";
import { programOf } from "./programs.ts";
import { publish, publishAgain, publishFlames } from "./publish.ts";
import { markdown } from "./report.ts";
import type { Measured, Profiled, Results } from "./results.ts";
import { contest, type Lost } from "./rounds.ts";
import { fileNameOf, type ServerOptions } from "./server-process.ts";
import { ratioOf, rowOf, Samples, type Row } from "./statistics.ts";
import { isOnNode, type Subject } from "./subjects.ts";
import { hasTraffic, trafficOf, type Traffic } from "./traffic.ts";

const wish = wishOf(process.argv.slice(2));
if ("help" in wish) process.stdout.write(HELP);
else if ("report" in wish) publishAgain();
else report(await bench(wish.measure));

async function bench(wanted: Options): Promise<Results> {
  const folder = mkdtempSync(join(tmpdir(), "coatcheck-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  // Servers end by themselves when this process has gone.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  const backends = await startBackends(needsOf(measurable(wanted)), pinning(1));
  try {
    return await resultsOf(wanted, folder, backends);
  } finally {
    await backends.stop();
  }
}

async function resultsOf(wanted: Options, folder: string, { urls, clear }: Backends): Promise<Results> {
  const before = minute();
  const measured: Measured[] = [];
  for (const [index, setup] of wanted.setups.entries()) {
    await clear();
    const { bytes, sessions } = setup;
    const own = mkdtempSync(join(folder, `${index}-`));
    const options = { site: { folder: own, urls, bytes, sessions }, profiles: profilesOf(wanted, folder) };
    measured.push(await measuredWith(setup, wanted, options));
  }
  return {
    date: new Date().toISOString().slice(0, 10),
    form: wanted.form,
    seconds: wanted.seconds,
    warmUp: wanted.warmUp,
    rounds: wanted.rounds,
    processes: wanted.processes,
    generator: generatorName(),
    machine: machine(versionsOf(measurable(wanted))),
    busy: { before, after: minute() },
    leftOut: [...new Set(wanted.setups.flatMap((setup) => possible(wanted.subjects, setup).leftOut))],
    measured,
    traffic: await trafficIn(wanted, folder),
    profiles: profiled(wanted, profilesOf(wanted, folder)),
  };
}

async function measuredWith(setup: Setup, wanted: Options, options: ServerOptions): Promise<Measured> {
  const { subjects, leftOut } = possible(wanted.subjects, setup);
  for (const text of leftOut) console.log(`left out: ${text}`);
  const rows: Row[] = [];
  const lost: Lost = {};
  const samples = new Samples();
  const { routes, processes } = wanted;
  for (const group of groups(subjects)) {
    for (let process = 1; process <= processes; process++) {
      const { site } = options;
      const own = { ...options, site: { ...site, folder: mkdtempSync(join(site.folder, `${process}-`)) } };
      addTo(lost, await contest({ ...wanted, setup, subjects: group, samples }, own, console.log));
    }
    rows.push(...routes.flatMap((route) => group.flatMap((subject) => rowOf(subject, route, samples) ?? [])));
  }
  const ratios = COMPARISONS.flatMap((pair) => routes.flatMap((route) => ratioOf(pair, route, samples) ?? []));
  return { setup, rows, ratios, lost };
}

function addTo(all: Lost, found: Lost): void {
  for (const [name, { writes, lost }] of Object.entries(found)) {
    all[name] = { writes: writes + (all[name]?.writes ?? 0), lost: lost + (all[name]?.lost ?? 0) };
  }
}

/** Those that can be measured here with one setup or another. */
function measurable({ subjects, setups }: Options): readonly Subject[] {
  return setups.flatMap((setup) => possible(subjects, setup).subjects);
}

/** Of the servers beside, and of the other languages. */
function versionsOf(subjects: readonly Subject[]): Readonly<Record<string, string>> {
  const hosts = [...new Set(subjects.map(({ host }) => host))].filter((host) => !isOnNode(host));
  const programs = hosts.map((host) => programOf(host).versions());
  return Object.assign({}, serverVersions(needsOf(subjects)), ...programs) as Record<string, string>;
}

/** A framework at a time: fewer servers at once, and each stands beside those that it is compared with. */
function groups(subjects: readonly Subject[]): readonly (readonly Subject[])[] {
  const hosts = [...new Set(subjects.map(({ host }) => host))];
  return hosts.map((host) => subjects.filter((subject) => subject.host === host));
}

async function trafficIn({ subjects, routes, setups }: Options, folder: string): Promise<readonly Traffic[]> {
  const site = { folder, urls: {}, bytes: setups[0]?.bytes ?? 0, sessions: 1 };
  const counted = subjects.filter((subject) => setups.length === 1 && hasTraffic(subject));
  const traffic = await Promise.all(counted.map((subject) => trafficOf(subject, routes, site)));
  return traffic.flat();
}

function profilesOf({ form, profiles }: Options, folder: string): string | undefined {
  return profiles ?? (form === "profile" ? join(folder, "profiles") : undefined);
}

/** Where the time went, of those that have left a profile. */
function profiled({ form, subjects }: Options, profiles: string | undefined): readonly Profiled[] {
  if (form !== "profile" || profiles === undefined) return [];
  const flames = subjects.map((subject) => [subject, flameIn(join(profiles, fileNameOf(subject)))] as const);
  publishFlames(flames);
  return flames.map(([{ name, label }, flame]) => ({ subject: name, label, shares: sharesOf(flame) }));
}

function flameIn(folder: string): Frame {
  const [file = ""] = readdirSync(folder);
  return flameOf(JSON.parse(readFileSync(join(folder, file), "utf8")) as CpuProfile);
}

function minute(): number {
  return loadavg()[0] ?? 0;
}

function report(results: Results): void {
  console.log(`\n${markdown(results)}`);
  if (results.form !== "partial") publish(results);
}
