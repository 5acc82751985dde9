/**
 * The command line.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { DATA_BYTES, ROUTES, type Route } from "./data.ts";
import { obstacleTo, SUBJECTS, subjectOf, USUAL, type Subject } from "./subjects.ts";

/** What sessions there are, and whose. */
export interface Setup {
  /** The size of the data of a session as JSON. */
  readonly bytes: number;
  /** How many sessions there are. */
  readonly sessions: number;
  /** Whether a few clients come again and again, or always another. */
  readonly clients: "again" | "another";
}

/** What is run; also what the files of its results are called. A partial run leaves none. */
export const FORMS = ["full", "quick", "size", "sessions", "profile"] as const;
/** A form of the benchmark. */
export type Form = (typeof FORMS)[number] | "partial";

/** What to measure. */
export interface Options {
  readonly form: Form;
  readonly subjects: readonly Subject[];
  readonly routes: readonly Route[];
  readonly seconds: number;
  /** For how many seconds servers are warmed up on each route, on Node; others as `WARM_UPS` says. */
  readonly warmUp: number;
  /** How many rounds there are with each process. */
  readonly rounds: number;
  /** How often every server is started anew: one process may be a few µs dearer than the next, from start to end. */
  readonly processes: number;
  /** In the same rounds. */
  readonly setups: readonly Setup[];
  /** Where the servers leave profiles; undefined for none. */
  readonly profiles: string | undefined;
}

/** What the command line asks for, beside measuring. */
export type Wish = { readonly measure: Options } | { readonly help: true } | { readonly report: true };

/** What `--help` says. */
export const HELP: string = `npm run bench -- [options]

Measures the CPU time of a request over that of the framework alone: ours beside others, each on its own framework.

  (nothing)              every subject on every route: about 30 minutes
  --quick                the subjects on Node that have a target, three routes, two short rounds: 2 minutes
  --series size          sessions of 0.1, 1, 10 and 100 kB on Express: about 6 minutes
  --series sessions      1, 1 000 and 1 000 000 sessions on Express, always another: about 15 minutes, and 4 GB of memory
  --series profile       flame graphs of a read and a write on Express: half a minute
  --report               no measuring: makes the tables and plots again from the results that are there

  --only <a,b,…>         these subjects only, and their frameworks alone
  --routes <a,b,…>       these routes only: ${ROUTES.join(", ")}
  --size <kB,…>          the size of a session as JSON; the least is ${DATA_BYTES} bytes, which 0.1 stands for
  --sessions <n,…>       how many sessions there are (default ${USUAL})
  --clients <again|another>   a few clients again and again (default), or always another
  --seconds <n>          how long a round is
  --warm-up <n>          how long a server is warmed up on each route, in seconds; Tomcat four times as long
  --rounds <n>           how many rounds with each process of a server
  --processes <n>        how many processes of each server, one after the other
  --profile <dir>        let each server write a CPU profile to <dir>/<subject>
  --help                 this text

The first five write bench/results/<form>.{md,json} and plots, and the tables in docs/performance.md; a run with any other
option only prints. Redis, PostgreSQL, MariaDB, Memcached and NATS are started when a subject needs them; where one is not
installed, its subjects are left out.

Subjects: ${SUBJECTS.map(({ name }) => name).join(", ")}
`;

const FLAGS = {
  quick: { type: "boolean" },
  series: { type: "string" },
  report: { type: "boolean" },
  only: { type: "string" },
  routes: { type: "string" },
  size: { type: "string" },
  sessions: { type: "string" },
  clients: { type: "string" },
  seconds: { type: "string" },
  "warm-up": { type: "string" },
  rounds: { type: "string" },
  processes: { type: "string" },
  profile: { type: "string" },
  help: { type: "boolean" },
} as const;

type Usual = Pick<Options, "subjects" | "routes" | "seconds" | "warmUp" | "rounds" | "processes" | "setups">;

const ONE: Setup = { bytes: DATA_BYTES, sessions: USUAL, clients: "again" };
const IN_SERIES = ["memory", "sqlite", "directory", "redis", "express-session", "connect-redis"];
/** Redis, PostgreSQL and MariaDB have benches of their own, `bench/*-scale.ts`, which ask for few and for many in turn. */
const FOR_MANY = ["memory", "sqlite", "memcached", "nats", "express-session"];
const ON_EXPRESS: readonly Subject[] = ["bare", ...IN_SERIES].map((kind) => subjectOf(`express/${kind}`));

const USUAL_OPTIONS: Readonly<Record<(typeof FORMS)[number], Usual>> = {
  full: { subjects: SUBJECTS, routes: ROUTES, seconds: 0.35, warmUp: 2, rounds: 4, processes: 2, setups: [ONE] },
  quick: {
    subjects: SUBJECTS.filter(({ quick }) => quick),
    routes: ["untouched", "read", "write"],
    seconds: 0.3,
    warmUp: 1,
    rounds: 2,
    processes: 1,
    setups: [ONE],
  },
  size: {
    subjects: ON_EXPRESS,
    routes: ["read", "write"],
    seconds: 0.7,
    warmUp: 1.5,
    rounds: 5,
    processes: 1,
    setups: combined([DATA_BYTES, 1_000, 10_000, 100_000], [USUAL], "again"),
  },
  sessions: {
    // A million files take hours to make, and 4 GB.
    subjects: ["bare", ...FOR_MANY].map((kind) => subjectOf(`express/${kind}`)),
    routes: ["read", "write"],
    seconds: 0.4,
    warmUp: 3,
    rounds: 12,
    processes: 1,
    setups: combined([DATA_BYTES], [1, 1_000, 1_000_000], "another"),
  },
  profile: {
    subjects: ["bare", "memory", "sealed", "express-session"].map((kind) => subjectOf(`express/${kind}`)),
    routes: ["read", "write"],
    seconds: 1,
    warmUp: 1.5,
    rounds: 3,
    processes: 1,
    setups: [ONE],
  },
};

/** What a command line asks for. Throws an `Error` for what makes no sense. */
export function wishOf(args: readonly string[]): Wish {
  const { values } = parseArgs({ args: [...args], options: FLAGS });
  if (values.help) return { help: true };
  if (values.report) return { report: true };
  const form = formOf(values.quick, values.series);
  const usual = USUAL_OPTIONS[form];
  const partial = Object.keys(values).some((name) => name !== "quick" && name !== "series");
  return {
    measure: {
      form: partial ? "partial" : form,
      subjects: values.only === undefined ? usual.subjects : subjectsOf(values.only),
      routes: values.routes === undefined ? usual.routes : listed(values.routes).map(routeOf),
      seconds: positive("seconds", values.seconds) ?? usual.seconds,
      warmUp: positive("warm-up", values["warm-up"]) ?? usual.warmUp,
      rounds: Math.ceil(positive("rounds", values.rounds) ?? usual.rounds),
      processes: Math.ceil(positive("processes", values.processes) ?? usual.processes),
      setups: setupsOf(values, usual.setups),
      profiles: values.profile,
    },
  };
}

/** The subjects that can be measured here, and why others cannot. */
export function possible(
  subjects: readonly Subject[],
  { bytes }: Setup,
): { readonly subjects: readonly Subject[]; readonly leftOut: readonly string[] } {
  const reasons = subjects.map((subject) => ({ subject, reason: obstacleTo(subject, bytes) }));
  return {
    subjects: reasons.filter(({ reason }) => reason === undefined).map(({ subject }) => subject),
    leftOut: reasons.flatMap(({ subject, reason }) => (reason === undefined ? [] : [`${subject.label}: ${reason}`])),
  };
}

function formOf(quick: boolean | undefined, series: string | undefined): keyof typeof USUAL_OPTIONS {
  if (series === undefined) return quick ? "quick" : "full";
  if (quick) throw new Error("--quick and --series do not go together");
  if (series !== "size" && series !== "sessions" && series !== "profile") {
    throw new Error(`no series ${series}: size, sessions, profile`);
  }
  return series;
}

function subjectsOf(only: string): readonly Subject[] {
  const wanted = listed(only).map(subjectOf);
  const hosts = new Set(wanted.map(({ host }) => host));
  return SUBJECTS.filter((each) => wanted.includes(each) || (each.kind === "bare" && hosts.has(each.host)));
}

function routeOf(name: string): Route {
  const route = ROUTES.find((candidate) => candidate === name);
  if (route === undefined) throw new Error(`no route ${name}: ${ROUTES.join(", ")}`);
  return route;
}

interface SetupFlags {
  readonly size?: string | undefined;
  readonly sessions?: string | undefined;
  readonly clients?: string | undefined;
}

function setupsOf({ size, sessions, clients }: SetupFlags, usual: readonly Setup[]): readonly Setup[] {
  if (clients !== undefined && clients !== "again" && clients !== "another") {
    throw new Error("--clients must be again or another");
  }
  const sizes = size === undefined ? undefined : listed(size).map((text) => bytesOf(numberOf("size", text)));
  const counts = sessions === undefined ? undefined : listed(sessions).map((text) => numberOf("sessions", text));
  return combined(
    sizes ?? [...new Set(usual.map((setup) => setup.bytes))],
    counts?.map(Math.ceil) ?? [...new Set(usual.map((setup) => setup.sessions))],
    clients ?? usual[0]?.clients ?? "again",
  );
}

/** Each size with each number. */
function combined(sizes: readonly number[], counts: readonly number[], clients: Setup["clients"]): readonly Setup[] {
  return sizes.flatMap((bytes) => counts.map((count): Setup => ({ bytes, sessions: count, clients })));
}

/** The least is what the data takes by itself; a dozen bytes more cannot be made. */
function bytesOf(kB: number): number {
  const bytes = Math.round(kB * 1_000);
  return bytes < DATA_BYTES + ',"text":"x"'.length ? DATA_BYTES : bytes;
}

function positive(name: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : numberOf(name, text);
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < Infinity)) throw new Error(`--${name} must be a number above 0`);
  return value;
}

function listed(text: string): string[] {
  return text.split(",").map((entry) => entry.trim());
}
