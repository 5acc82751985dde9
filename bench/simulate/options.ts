/**
 * The command line.
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { Routing } from "./traffic.ts";
import type { Weather } from "./weather.ts";
import type { World } from "./world.ts";

/** What to simulate. */
export interface Plan {
  /** Numbers of servers, one run after the other. */
  readonly servers: readonly number[];
  readonly routings: readonly Routing[];
  /** What all runs have in common; its servers and routing are replaced. */
  readonly world: World;
  /** Whether single things are varied, too, and servers cut off. */
  readonly isWhole: boolean;
  /** Whether the results are kept, in bench/results and docs/scaling.md. */
  readonly publishes: boolean;
}

/** What the command line asks for. */
export type Wish =
  | { readonly help: true }
  | { readonly feed: true }
  | { readonly check: { readonly seed: number; readonly runs: number; readonly seconds: number } }
  | { readonly simulate: Plan };

/** Ways to deal requests out. */
export const ROUTINGS: readonly Routing[] = ["random", "sticky", "drained"];

/** What `--help` says. */
export const HELP: string = `npm run simulate -- [options]

Simulates servers with near caches over one remote store: hit rate, load of the store, and how long an ended session is still
served. The near caches and clocks are the real ones; visitors, network and store are simulated, and the same seed gives the
same figures. Message times are those that the last --check has measured.

  (nothing)             3 to 300 servers, three routings; then single things varied, and servers cut off: a minute
  --quick               the same with a tenth of the visitors: ten seconds
  --feed                what the change feed of a real Redis costs it, its listeners and the network: 20 seconds
  --check               three real servers over a real Redis beside three simulated ones, under the same visitors: two minutes
                        a run; exits with 1 when a figure is off by more than 20 %

  --seed <n>            another one, other visitors (default 1)
  --servers <n,…>       numbers of servers (default 3,10,30,100,300)
  --routing <a,…>       ${ROUTINGS.join(", ")}: to any server; to the one that a route cookie names; the same while each server
                        is replaced once
  --sessions <n>        how many visitors there are, each with one session (default 300000)
  --rate <n>            requests a second of all of them (default 3000)
  --exponent <x>        of the Zipf distribution: the visitor of rank k comes as 1 / k^x (default 1)
  --burst <n>           requests of a visit, on average, 200 ms apart (default 1)
  --writes <x>          the part of the requests that change the session (default 0.05)
  --sign-outs <x>       the part that sign out; the visitor's next request signs in (default 0.002)
  --max-sessions <n>    copies of a server (default 10000)
  --max-age <s>         how old they may become (default 10)
  --idle <s>            idleTimeout (default 1800); a tenth of it is how often its clock is moved. absoluteTimeout is 12 hours,
                        or ten times idleTimeout
  --hop <ms>            what each way between a server and the store takes more than was measured (default 0.25)
  --seconds <n>         how long is measured, after 20 seconds that are not (default 40; 30 with --check)
  --runs <n>            with --check: how often, each with another seed (default 1)
  --help                this text

The first form writes bench/results/simulate* and the tables in docs/scaling.md, --check those of the check, and
--feed its own.
Any other form only prints.
`;

const FLAGS = {
  quick: { type: "boolean" },
  check: { type: "boolean" },
  feed: { type: "boolean" },
  seed: { type: "string" },
  servers: { type: "string" },
  routing: { type: "string" },
  sessions: { type: "string" },
  rate: { type: "string" },
  exponent: { type: "string" },
  burst: { type: "string" },
  writes: { type: "string" },
  "sign-outs": { type: "string" },
  "max-sessions": { type: "string" },
  "max-age": { type: "string" },
  idle: { type: "string" },
  hop: { type: "string" },
  seconds: { type: "string" },
  runs: { type: "string" },
  help: { type: "boolean" },
} as const;

const OF_CHECK = new Set(["check", "seed", "runs", "seconds"]);

/** What a command line asks for. Throws an `Error` for what makes no sense. */
export function wishOf(args: readonly string[], weather: Weather): Wish {
  const { values } = parseArgs({ args: [...args], options: FLAGS });
  const given = Object.keys(values);
  const number = (name: keyof typeof values, usual: number): number => {
    const text = values[name];
    return typeof text === "string" ? numberOf(name, text) : usual;
  };
  if (values.help === true) return { help: true };
  if (values.feed === true) {
    if (given.length > 1) throw new Error("--feed goes with nothing else");
    return { feed: true };
  }
  if (values.check === true) {
    const other = given.find((name) => !OF_CHECK.has(name));
    if (other !== undefined) throw new Error(`--check and --${other} do not go together`);
    return { check: { seed: number("seed", 1), runs: number("runs", 1), seconds: number("seconds", 30) } };
  }
  if (given.includes("runs")) throw new Error("--runs goes with --check only");
  const scale = values.quick === true ? 0.1 : 1;
  const world: World = {
    traffic: {
      seed: number("seed", 1),
      sessions: Math.round(number("sessions", 300_000 * scale)),
      exponent: number("exponent", 1),
      rate: number("rate", 3_000 * scale),
      burst: atLeastOne("burst", number("burst", 1)),
      writes: part("writes", number("writes", 0.05)),
      signOuts: part("sign-outs", number("sign-outs", 0.002)),
    },
    servers: 1,
    routing: "random",
    maxSessions: Math.round(number("max-sessions", 10_000)),
    maxAge: number("max-age", 10) * 1000,
    policy: policyFor(number("idle", 1_800) * 1000),
    weather,
    hop: number("hop", 0.25),
    warmUp: 20_000,
    measured: number("seconds", 40) * 1000,
    cuts: [],
    begins: "signed-in",
  };
  const shape = new Set(["seed", "quick"]);
  return {
    simulate: {
      servers: listed(values.servers ?? "3,10,30,100,300").map((text) => Math.round(numberOf("servers", text))),
      routings: values.routing === undefined ? ROUTINGS : listed(values.routing).map(routingOf),
      world,
      isWhole: given.every((name) => shape.has(name)),
      publishes: given.length === 0,
    },
  };
}

function policyFor(idle: number): World["policy"] {
  return { idle, absolute: Math.max(43_200_000, 10 * idle), renewal: 900_000 };
}

function routingOf(name: string): Routing {
  const routing = ROUTINGS.find((candidate) => candidate === name);
  if (routing === undefined) throw new Error(`no routing ${name}: ${ROUTINGS.join(", ")}`);
  return routing;
}

function atLeastOne(name: string, value: number): number {
  if (value >= 1) return value;
  throw new Error(`--${name} must be 1 or more`);
}

function part(name: string, value: number): number {
  if (value <= 1) return value;
  throw new Error(`--${name} is a part of the requests, at most 1`);
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value < Infinity) || (value === 0 && !MAY_BE_ZERO.has(name))) {
    throw new Error(`--${name} must be a number above 0`);
  }
  return value;
}

const MAY_BE_ZERO = new Set(["seed", "writes", "sign-outs", "hop", "exponent"]);

function listed(text: string): string[] {
  return text.split(",").map((entry) => entry.trim());
}
