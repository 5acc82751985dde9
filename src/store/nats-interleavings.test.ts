import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { emptyTally, interleave, TRUSTING, type Trust } from "../../test/interleavings.ts";
import {
  connectNats,
  NATS_CLUSTER_PROGRAMS,
  NATS_PROGRAMS,
  startNats,
  startNatsCluster,
  type NatsClient,
  type NatsServers,
} from "../../test/servers/nats.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import type { SessionStore } from "../index.ts";
import { natsStore } from "./nats.ts";

const RUNS = Number(process.env["RUNS"] ?? 500);
/** All runs are about one subject, whose list would get long. */
const RUNS_A_BUCKET = 250;

/** Calls that the servers have not answered yet. */
const calls = { waiting: 0, answered: (): void => {} };

/** Lets go on whoever has an answer, until nobody waits for one. */
async function settle(): Promise<void> {
  do {
    for (let turn = 0; turn < 12; turn++) await undefined;
    if (calls.waiting > 0) await new Promise<void>((resolve) => (calls.answered = resolve));
    for (let turn = 0; turn < 12; turn++) await undefined;
  } while (calls.waiting > 0);
}

type Verb = "create" | "read" | "update" | "touch" | "delete";

/** The same store over two connections: each call goes over the other one. */
function alternating(stores: readonly SessionStore[]): SessionStore {
  let turn = 0;
  const through = (verb: Verb) =>
    (async (...args: readonly unknown[]) => {
      const store = stores[turn++ % stores.length] as unknown as Record<Verb, (...all: readonly unknown[]) => unknown>;
      calls.waiting++;
      try {
        return await store[verb](...args);
      } finally {
        calls.waiting--;
        calls.answered();
      }
    }) as never;
  return {
    create: through("create"),
    read: through("read"),
    update: through("update"),
    touch: through("touch"),
    delete: through("delete"),
  };
}

/** Where they are run, and what that needs. */
interface Place {
  readonly title: string;
  readonly programs: readonly string[];
  start(): Promise<NatsServers>;
}

const ONE: Place = { title: "one server", programs: NATS_PROGRAMS, start: startNats };
const THREE: Place = { title: "a cluster of three", programs: NATS_CLUSTER_PROGRAMS, start: startNatsCluster };

function interleavings({ title, programs, start }: Place, runs: number, trust: Trust = {}): void {
  describeWithServers(title, programs, () => {
    let servers: NatsServers;
    let clients: readonly NatsClient[] = [];
    const pairs: (readonly SessionStore[])[] = [];
    beforeAll(async () => {
      servers = await start();
      // Each over a server of its own, where there are several.
      const nodes = servers.nodes.length === 1 ? [servers.nodes[0]!, servers.nodes[0]!] : servers.nodes.slice(0, 2);
      clients = await Promise.all(nodes.map((node) => connectNats({ nodes: [node], replicas: servers.replicas })));
      for (let i = 0; i * RUNS_A_BUCKET < runs; i++) {
        const stores: SessionStore[] = [];
        for (const client of clients) stores.push(natsStore(await client.bucket(`b${i}`), { sweepInterval: false }));
        pairs.push(stores);
      }
    }, 120_000);
    afterAll(async () => {
      await Promise.all(clients.map((client) => client.close()));
      await servers?.stop();
    });

    test(`P6 P9 P11 P12 P13 P14 P15: ${runs} interleavings over two connections lose no update, resurrect nothing, accept no dead secret, log nobody out`, async () => {
      const tally = emptyTally();
      let run = 0;
      const make = (): SessionStore => alternating(pairs[Math.floor(run++ / RUNS_A_BUCKET) % pairs.length]!);
      const choices = fc.array(fc.nat(999), { minLength: 40, maxLength: 120 });
      await fc.assert(
        fc.asyncProperty(choices, (list) => interleave(make, list, tally, settle, trust)),
        { numRuns: runs, ...(process.env["SEED"] === undefined ? {} : { seed: Number(process.env["SEED"]) }) },
      );
      console.log(JSON.stringify(tally));
      expect(tally.runs).toBe(runs);
      if (trust === TRUSTING) expect(tally.copied).toBeGreaterThan(runs / 2);
      expect(Math.min(tally.written, tally.gone, tally.ended, tally.rotated, tally.conflicts)).toBeGreaterThan(
        runs / 20,
      );
    }, 900_000);
  });
}

interleavings(ONE, RUNS);
// A copy has no revision: an update by its version alone finds out by itself what is there.
interleavings({ ...ONE, title: "one server, with trusted copies" }, Math.ceil(RUNS / 2), TRUSTING);
interleavings(THREE, process.env["RUNS"] === undefined ? RUNS / 2 : RUNS);
