import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { emptyTally, interleave } from "../../test/interleavings.ts";
import { CLUSTER, SINGLE, type Clients, type ConnectedClient } from "../../test/servers/redis-clients.ts";
import { REDIS_PROGRAMS, startRedis, startRedisCluster, type RedisTopology } from "../../test/servers/redis.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import type { SessionStore } from "../index.ts";
import { redisStore } from "./redis.ts";

const RUNS = Number(process.env["RUNS"] ?? 1_000);

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

function interleavings(
  title: string,
  start: () => Promise<RedisTopology>,
  connect: Clients<RedisTopology>[string] | undefined,
): void {
  describeWithServers(title, REDIS_PROGRAMS, () => {
    let servers: RedisTopology;
    let clients: readonly ConnectedClient[] = [];
    beforeAll(async () => {
      servers = await start();
      clients = await Promise.all([1, 2].map(() => connect!(servers)));
    });
    afterAll(async () => {
      await Promise.all(clients.map(({ close }) => close()));
      await servers?.stop();
    });

    test(`P6 P9 P11 P12 P13 P14 P15: ${RUNS} interleavings over two connections lose no update, resurrect nothing, accept no dead secret, log nobody out`, async () => {
      const tally = emptyTally();
      let run = 0;
      const make = (): SessionStore => {
        const prefix = `r${++run}:`;
        return alternating(clients.map(({ client }) => redisStore(client, { prefix, sweepInterval: false })));
      };
      const choices = fc.array(fc.nat(999), { minLength: 40, maxLength: 120 });
      await fc.assert(
        fc.asyncProperty(choices, (list) => interleave(make, list, tally, settle)),
        { numRuns: RUNS, ...(process.env["SEED"] === undefined ? {} : { seed: Number(process.env["SEED"]) }) },
      );
      console.log(JSON.stringify(tally));
      expect(tally.runs).toBe(RUNS);
      expect(Math.min(tally.written, tally.gone, tally.ended, tally.rotated, tally.conflicts)).toBeGreaterThan(
        RUNS / 20,
      );
    }, 600_000);
  });
}

interleavings("a single server", startRedis, SINGLE["node-redis 6"]);
interleavings("Cluster", startRedisCluster, CLUSTER["ioredis 6"]);
