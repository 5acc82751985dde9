import { expect, test } from "vitest";
import { connectNats, leaderOf, NATS_CLUSTER_PROGRAMS, startNatsCluster } from "../../test/servers/nats.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { until } from "../../test/servers/server-process.ts";
import { natsStore } from "./nats.ts";
import type { StoredRecord } from "./store.ts";

let made = 0;
const now = Date.now();
const call = { now };
const record = (): StoredRecord => ({ version: `v${++made}`, expiresAt: now + 60_000, value: "{}" });

/** Writers of one moment, and how many of those there are. */
const [WRITERS, MOMENTS] = [4, 20];

describeWithServers("natsStore, when all servers of a cluster crash,", NATS_CLUSTER_PROGRAMS, () => {
  // Replicas of nats-server 2.9.10 store the last messages of their log again, as many as they had refused before.
  test("P9 P12: does not bring back a session that has ended, nor undo a change", { timeout: 60_000 }, async () => {
    const servers = await startNatsCluster();
    const clients = await Promise.all(servers.nodes.map((node) => connectNats({ nodes: [node], replicas: 3 })));
    try {
      const buckets = await Promise.all(clients.map((client) => client.bucket("sessions")));
      const stores = buckets.map((bucket) => natsStore(bucket, { sweepInterval: false }));
      const [store] = stores as [(typeof stores)[0], ...typeof stores];
      const newest = async (key: string): Promise<StoredRecord> => (await store.read(key, call))!;

      expect(await store.create("user/many", record(), call)).toBe(true);
      expect(await store.create("user/one", record(), call)).toBe(true);
      for (let moment = 0; moment < MOMENTS; moment++) {
        const base = await newest("user/many");
        const outcomes = await Promise.all(
          Array.from({ length: WRITERS }, (_, i) => stores[i % 3]!.update("user/many", record(), base, call)),
        );
        expect(outcomes.toSorted()).toEqual([...Array<string>(WRITERS - 1).fill("conflict"), "ok"]);
      }
      for (let change = 0; change < 3; change++) {
        expect(await store.update("user/one", record(), await newest("user/one"), call)).toBe("ok");
        expect(await store.update("user/many", record(), await newest("user/many"), call)).toBe("ok");
      }
      const { version } = await newest("user/many");
      expect(await store.delete("user/one", call)).toBe(true);

      await Promise.all(servers.nodes.map((node) => node.process.kill()));
      await Promise.all(servers.nodes.map((node) => node.restart()));
      await until("a leader", async () => (await leaderOf(servers, clients[0]!, "sessions")) !== undefined);

      expect((await newest("user/many")).version).toBe(version);
      expect(await store.read("user/one", call)).toBeUndefined();
    } finally {
      await Promise.all(clients.map((client) => client.close()));
      await servers.stop();
    }
  });
});
