/** Three apps with a near cache each over one store, and what goes wrong between them. */
import type { App } from "./app.ts";
import { nats } from "./engine-nats.ts";
import { postgres } from "./engine-postgres.ts";
import { redis } from "./engine-redis.ts";
import { fault, type Engine, type FaultOn, type Servers, type Topology } from "./fault.ts";
import {
  cluster as natsCluster,
  clusterFaults as natsClusterFaults,
  single as natsServer,
  singleFaults as natsFaults,
} from "./nats-faults.ts";
import { single as postgresServer, singleFaults as postgresFaults } from "./postgres-single.ts";
import { single as redisServer, singleFaults as redisFaults } from "./redis-single.ts";

/** How old copies may become, in milliseconds. */
export const MAX_AGE = 2_000;

/** The same servers under three apps with near caches. */
export function fleet<S extends Servers>(topology: Topology<S>, skews?: readonly number[]): Topology<S> {
  return {
    ...topology,
    name: `three apps, ${topology.name}`,
    apps: 3,
    staleFor: MAX_AGE,
    ...(skews !== undefined && { skews }),
    async start(folder) {
      const servers = await topology.start(folder);
      return { ...servers, store: { ...servers.store, near: { maxAge: MAX_AGE } } };
    },
  };
}

const STALE = `no session is seen ${MAX_AGE / 1000} s after its end or later`;

/** What a fleet must bear, whatever its store. */
const fleetFaults: readonly FaultOn<Servers>[] = [
  {
    name: "fleet-calm",
    title: "nothing happens",
    promised: `nothing fails; ${STALE}`,
    fails: "never",
    inject: () => {},
  },
  {
    name: "fleet-struck",
    title:
      "of three apps one is killed and starts again after 10 s, another one stands still meanwhile (SIGKILL, SIGSTOP)",
    promised: `what they had answered is kept; ${STALE}`,
    fails: "must",
    lasts: 10_000,
    stalls: 10_000,
    async inject(_, { apps }) {
      const [, killed, paused] = apps as readonly App[];
      paused?.pause();
      await killed?.kill();
    },
    async clear(_, { apps }) {
      const [, killed, paused] = apps as readonly App[];
      paused?.resume();
      await killed?.restart();
    },
  },
  {
    name: "fleet-deaf",
    title: "for 5 s the news of changes get lost on their way to two of three apps, and nobody notices",
    promised: `nothing fails; ${STALE}`,
    fails: "never",
    lasts: 5_000,
    inject: (_, { apps }) => hear(apps.slice(1), false),
    clear: (_, { apps }) => hear(apps.slice(1), true),
  },
];

/** Sixty seconds lie between the clocks of the first and the last app. */
const SKEWS = [0, 30_000, 60_000];

const skewed: FaultOn<Servers> = {
  name: "fleet-skewed",
  title: "the clocks of the three apps differ by 30 s and 60 s",
  promised: `nothing fails; ${STALE}; who was under way while its secret was renewed may be nobody on another server, once`,
  fails: "never",
  // A server that is a minute ahead takes the grace of 30 s for over (P6).
  allows: ["signedOut"],
  inject: () => {},
};

async function hear(apps: readonly App[], on: boolean): Promise<void> {
  for (const { origin } of apps) {
    const { status } = await fetch(`${origin}/deaf?on=${on ? 0 : 1}`);
    if (status !== 200) throw new Error(`an app did not stop its ears: ${status}`);
  }
}

/** What also cuts the news, or stops them, of the faults of one server. */
const CUTS = new Set(["kill", "stop", "connections", "leader-killed"]);

/** A fleet over servers of an engine: an engine of its own, with a table of its own. */
export function fleetOf<S extends Servers>(of: Engine, topology: Topology<S>, faults: readonly FaultOn<S>[]): Engine {
  const quick = new Set(["fleet-struck"]);
  const cuts = faults.filter(({ name }) => CUTS.has(name));
  return {
    ...of,
    name: `fleet-${of.name}${topology.name === "cluster" ? "-cluster" : ""}`,
    document: "docs/scaling.md",
    faults: [
      ...fleetFaults.map((one) => fault(fleet(topology), one, quick.has(one.name))),
      fault(fleet(topology, SKEWS), skewed),
      ...cuts.map((one) =>
        fault(fleet(topology), { ...one, name: `fleet-${one.name}`, promised: `${one.promised}; ${STALE}` }),
      ),
    ],
  };
}

/** Fleets over Redis, PostgreSQL and NATS. */
export const FLEETS: Readonly<Record<string, () => Engine>> = {
  "fleet-redis": () => fleetOf(redis(), redisServer("node-redis 6"), redisFaults),
  "fleet-postgres": () => fleetOf(postgres(), postgresServer("pg 8, Pool"), postgresFaults()),
  "fleet-nats": () => fleetOf(nats(), natsServer, natsFaults),
  "fleet-nats-cluster": () => fleetOf(nats(), natsCluster, natsClusterFaults()),
};
