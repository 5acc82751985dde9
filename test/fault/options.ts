/** The command line of `npm run faults`. */
import { parseArgs } from "node:util";
import { directory, sqlite } from "./engine-local.ts";
import { mysql } from "./engine-mysql.ts";
import { nats } from "./engine-nats.ts";
import { memcached } from "./engine-memcached.ts";
import { postgres } from "./engine-postgres.ts";
import { redis } from "./engine-redis.ts";
import type { Engine, Fault } from "./fault.ts";
import { FLEETS } from "./fleet.ts";
import { CROWD, FULL, QUICK, type Pace } from "./run.ts";

/** What to run. */
export interface Options {
  readonly engine: Engine;
  readonly faults: readonly Fault[];
  readonly seed: number;
  readonly pace: Pace;
  readonly list: boolean;
  /** Whether all of an engine's faults are to be run at full length, as for the documentation. */
  readonly isWhole: boolean;
}

const ENGINES: Readonly<Record<string, (client?: string) => Engine>> = {
  sqlite: () => sqlite,
  directory: () => directory,
  redis,
  memcached,
  postgres,
  mysql,
  nats,
  ...FLEETS,
};

/** What `--help` says. */
export const HELP: string = `npm run faults -- [options]

Starts real servers and two processes (of a fleet three) with an app over them, lets browsers sign in, change their sessions, be rotated and
sign out, does what goes wrong, and checks what was acknowledged against what is there. Takes some 10 seconds a fault.

  --store <name>     ${Object.keys(ENGINES).join(", ")} (default redis)
  --only <a,b,…>     these faults only
  --client <name>    for redis: a client of test/servers/redis-clients.ts (default "node-redis 6")
  --seed <n>         makes the clients do what they did in another run (default: a new one)
  --quick            shorter runs, as in npm test
  --requests <n>     goes on until so many were made
  --list             says what faults there are
  --help             this text

A run of all the faults of a store writes test/fault/results/<store>.json, and the table in docs/stores.md. The history of a
run and what the apps printed are left in .data/faults/: of every run with options, else of those that went wrong.
`;

const FLAGS = {
  store: { type: "string", default: "redis" },
  only: { type: "string" },
  client: { type: "string" },
  seed: { type: "string" },
  quick: { type: "boolean", default: false },
  requests: { type: "string" },
  list: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

/** The options of a command line; undefined when help is wanted. Throws an `Error` for what makes no sense. */
export function optionsOf(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({ args: [...args], options: FLAGS });
  if (values.help) return undefined;
  const engine = ENGINES[values.store]?.(values.client);
  if (engine === undefined) throw new Error(`no store ${values.store}: ${Object.keys(ENGINES).join(", ")}`);
  const seed = values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : Number(values.seed);
  if (!Number.isInteger(seed)) throw new Error("--seed must be a whole number");
  return {
    engine,
    faults: chosen(engine, values.only),
    seed,
    pace: paceOf(values),
    list: values.list,
    isWhole: values.only === undefined && values.client === undefined && !values.quick,
  };
}

function paceOf({ quick, requests }: { readonly quick: boolean; readonly requests?: string | undefined }): Pace {
  const pace = quick ? QUICK : FULL;
  if (requests === undefined) return pace;
  if (!/^\d+$/.test(requests)) throw new Error("--requests must be a whole number");
  return { ...pace, requests: Number(requests), clients: CROWD };
}

function chosen({ faults }: Engine, only: string | undefined): readonly Fault[] {
  if (only === undefined) return faults;
  return only.split(",").map((name) => {
    const found = faults.find((fault) => fault.name === name.trim());
    if (found === undefined) throw new Error(`no fault ${name}: ${faults.map((fault) => fault.name).join(", ")}`);
    return found;
  });
}
