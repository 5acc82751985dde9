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
import type { Route } from "./data.ts";
import { flameOf, sharesOf, type CpuProfile, type Frame } from "./flame.ts";
import { generatorName } from "./load-process.ts";
import { machine, pinning } from "./machine.ts";
import { needsOf, serverVersions } from "./needs.ts";
import { HELP, possible, wishOf, type Options } from "./options.ts";
import { programOf } from "./programs.ts";
import { publish, publishAgain, publishFlames } from "./publish.ts";
import { markdown } from "./report.ts";
import type { Measured, Profiled, Results } from "./results.ts";
import { contest, type Entry } from "./rounds.ts";
import { fileNameOf } from "./server-process.ts";
import type { Urls } from "./site.ts";
import { ratioOf, rowOf, Samples } from "./statistics.ts";
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
  const backends: Backends[] = [];
  try {
    for (const { subjects } of wanted.setups.map((setup) => possible(wanted.subjects, setup))) {
      backends.push(await startBackends(needsOf(subjects), pinning(1)));
    }
    return await resultsOf(wanted, folder, backends);
  } finally {
    await Promise.all(backends.map(({ stop }) => stop()));
  }
}

async function resultsOf(wanted: Options, folder: string, backends: readonly Backends[]): Promise<Results> {
  const before = minute();
  const { setups, subjects } = wanted;
  const leftOut = [...new Set(setups.flatMap((setup) => possible(subjects, setup).leftOut))];
  for (const text of leftOut) console.log(`left out: ${text}`);
  const measured = await measuredIn(wanted, folder, backends);
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
    leftOut,
    measured,
    traffic: await trafficIn(wanted, folder),
    profiles: profiled(wanted, profilesOf(wanted, folder)),
  };
}

/** The sessions of a setup, those who can have them, and what is found. */
interface Field extends Pick<Entry, "setup" | "samples" | "lost"> {
  readonly subjects: readonly Subject[];
  readonly urls: Urls;
}

/** All setups in the same rounds: a process or a minute that is dearer than the next one must not decide between them. */
async function measuredIn(
  wanted: Options,
  folder: string,
  backends: readonly Backends[],
): Promise<readonly Measured[]> {
  const fields = wanted.setups.map((setup, index): Field => {
    const { subjects } = possible(wanted.subjects, setup);
    return { setup, subjects, urls: backends[index]?.urls ?? {}, samples: new Samples(), lost: {} };
  });
  const profiles = profilesOf(wanted, folder);
  for (const group of groups(wanted.subjects)) {
    for (let process = 1; process <= wanted.processes; process++) {
      const entries = fields.flatMap((field) => entriesOf(group, field, { folder, profiles }));
      await contest(entries, wanted, console.log);
    }
  }
  return fields.map((field) => measuredOf(field, wanted.routes));
}

function entriesOf(
  group: readonly Subject[],
  { setup, subjects, urls, samples, lost }: Field,
  { folder, profiles }: { readonly folder: string; readonly profiles: string | undefined },
): readonly Entry[] {
  const { bytes, sessions } = setup;
  const site = { folder: mkdtempSync(join(folder, "site-")), urls, bytes, sessions };
  const able = group.filter((subject) => subjects.includes(subject));
  return able.map((subject) => ({ subject, setup, options: { site, profiles }, samples, lost }));
}

function measuredOf({ setup, subjects, samples, lost }: Field, routes: readonly Route[]): Measured {
  const rows = groups(subjects).flatMap((group) =>
    routes.flatMap((route) => group.flatMap((subject) => rowOf(subject, route, samples) ?? [])),
  );
  const ratios = COMPARISONS.flatMap((pair) => routes.flatMap((route) => ratioOf(pair, route, samples) ?? []));
  return { setup, rows, ratios, lost };
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
