import { afterAll, beforeAll, describe, test } from "vitest";
import { CLUSTER, SENTINEL, SINGLE, type Clients, type ConnectedClient } from "../../test/servers/redis-clients.ts";
import {
  REDIS_PROGRAMS,
  startRedis,
  startRedisCluster,
  startRedisSentinels,
  type RedisTopology,
} from "../../test/servers/redis.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { storeCases } from "../testing/store-cases.ts";
import { redisStore } from "./redis.ts";

let made = 0;
/** A prefix that no other case uses: so they share servers. */
const prefix = (): string => `t${++made}:`;

/** Without the records of other clients: what lists records looks at all of them. */
async function emptied({ nodes }: RedisTopology): Promise<void> {
  for (const { ask } of nodes) if (/role:master/.test(String(await ask("INFO", "replication")))) await ask("FLUSHALL");
}

function kit<Servers extends RedisTopology>(
  title: string,
  start: () => Promise<Servers>,
  clients: Clients<Servers>,
): void {
  describeWithServers(title, REDIS_PROGRAMS, () => {
    let servers: Servers;
    beforeAll(async () => {
      servers = await start();
    });
    afterAll(() => servers?.stop());

    describe.each(Object.entries(clients))("%s:", (_, connect) => {
      let connected: ConnectedClient;
      beforeAll(async () => {
        await emptied(servers);
        connected = await connect(servers);
      });
      afterAll(() => connected?.close());

      for (const { name, run } of storeCases)
        test(name, () => run(() => redisStore(connected.client, { prefix: prefix() })));
    });
  });
}

kit("a single server", startRedis, SINGLE);
kit("Sentinel", startRedisSentinels, SENTINEL);
kit("Cluster", startRedisCluster, CLUSTER);
