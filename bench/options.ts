/**
 * The command line.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { ROUTES, type Route } from "./data.ts";
import { isAvailable, subjectOf, SUBJECTS, type Subject } from "./subjects.ts";

/** What to measure. */
export interface Options {
  readonly form: "full" | "quick" | "partial";
  readonly subjects: readonly Subject[];
  readonly routes: readonly Route[];
  readonly seconds: number;
  readonly rounds: number;
  /** Where the servers leave profiles; undefined for none. */
  readonly profiles: string | undefined;
}

/** What `--help` says. */
export const HELP: string = `npm run bench -- [options]

Measures the CPU time of a request over that of Express alone, ours beside express-session and iron-session.

  --quick            rounds of 0.7 s, 3 of them (otherwise 2 s, 4)
  --seconds <n>      how long a round is
  --rounds <n>       how many rounds
  --only <a,b,…>     these subjects only, and bare: ${SUBJECTS.map(({ name }) => name).join(", ")}
  --routes <a,b,…>   these routes only: ${ROUTES.join(", ")}
  --profile <dir>    let each server write a CPU profile to <dir>/<subject>
  --help             this text

A run without options, or with --quick alone, writes bench/results.md and bench/results.json.
`;

const FLAGS = {
  quick: { type: "boolean", default: false },
  seconds: { type: "string" },
  rounds: { type: "string" },
  only: { type: "string" },
  routes: { type: "string" },
  profile: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

/** The options of a command line; undefined when help is wanted. Throws an `Error` for what makes no sense. */
export function optionsOf(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({ args: [...args], options: FLAGS });
  if (values.help) return undefined;
  const partial = Object.keys(values).some((name) => name !== "quick" && name !== "help");
  const usual = values.quick ? { seconds: 0.7, rounds: 3 } : { seconds: 2, rounds: 4 };
  return {
    form: partial ? "partial" : values.quick ? "quick" : "full",
    subjects: subjectsOf(values.only),
    routes: values.routes === undefined ? ROUTES : listed(values.routes).map(routeOf),
    seconds: positive("seconds", values.seconds) ?? usual.seconds,
    rounds: Math.ceil(positive("rounds", values.rounds) ?? usual.rounds),
    profiles: values.profile,
  };
}

function subjectsOf(only: string | undefined): readonly Subject[] {
  if (only === undefined) return SUBJECTS.filter(isAvailable);
  const wanted = new Set(["bare", ...listed(only)].map(subjectOf));
  return SUBJECTS.filter((subject) => wanted.has(subject));
}

function routeOf(name: string): Route {
  const route = ROUTES.find((candidate) => candidate === name);
  if (route === undefined) throw new Error(`no route ${name}: ${ROUTES.join(", ")}`);
  return route;
}

function positive(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} must be a number above 0`);
  return value;
}

function listed(text: string): string[] {
  return text.split(",").map((entry) => entry.trim());
}
