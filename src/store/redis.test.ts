import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CLUSTER, SENTINEL, SINGLE, type Clients, type ConnectedClient } from "../../test/servers/redis-clients.ts";
import {
  REDIS_PROGRAMS,
  startRedis,
  startRedisCluster,
  startRedisSentinels,
  type RedisTopology,
} from "../../test/servers/redis.ts";
import { describeWithServers, programPath } from "../../test/servers/require.ts";
import { storeCases } from "../testing/store-cases.ts";
import { type IoredisClient, redisStore, type RedisStoreOptions } from "./redis.ts";

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

    describe.each(Object.entries(clients))("%s:", (client, connect) => {
      let connected: ConnectedClient;
      /** Some clients do not listen. */
      let subscriber: ConnectedClient | undefined;
      beforeAll(async () => {
        await emptied(servers);
        connected = await connect(servers);
        if (/glide|Bun/.test(client)) subscriber = await clients["ioredis 6"]!(servers);
      });
      afterAll(async () => {
        await subscriber?.close();
        await connected?.close();
      });

      const options = (): RedisStoreOptions => ({
        prefix: prefix(),
        watch: true,
        subscriber: subscriber?.client as IoredisClient | undefined,
      });
      for (const { name, run } of storeCases) test(name, () => run(() => redisStore(connected.client, options())));
    });
  });
}

kit("a single server", startRedis, SINGLE);
kit("Sentinel", startRedisSentinels, SENTINEL);
kit("Cluster", startRedisCluster, CLUSTER);

describeWithServers("a single server, from Bun", REDIS_PROGRAMS, () => {
  const bun = programPath("bun");
  test.skipIf(bun === undefined)("Bun's RedisClient passes the kit (skipped where there is no bun)", async () => {
    const { port, stop } = await startRedis();
    const script = new URL("../../test/servers/redis-bun.ts", import.meta.url).pathname;
    try {
      const { stdout } = await promisify(execFile)(bun ?? "", ["run", script, String(port)]);
      expect(stdout.trim()).toBe(`${storeCases.length} cases`);
    } finally {
      await stop();
    }
  });
});
