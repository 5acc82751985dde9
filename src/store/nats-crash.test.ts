import { expect, test } from "vitest";
import {
  connectNats,
  leaderOf,
  NATS_CLUSTER_PROGRAMS,
  NATS_PROGRAMS,
  startNats,
  startNatsCluster,
} from "../../test/servers/nats.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { until } from "../../test/servers/server-process.ts";
import { natsStore, type NatsStore } from "./nats.ts";
import type { StoredRecord } from "./store.ts";

let made = 0;
const now = Date.now();
const call = { now };
const record = (): StoredRecord => ({ version: `v${++made}`, expiresAt: now + 60_000, value: "{}" });

const [MINUTE, HOUR] = [60_000, 3_600_000];

/** Writers of one moment, and how many of those there are. */
const [WRITERS, MOMENTS] = [4, 20];

describeWithServers("natsStore, when all servers of a cluster crash,", NATS_CLUSTER_PROGRAMS, () => {
  // Replicas of nats-server 2.9.10 store the last messages of their log again, as many as they had refused before.
  test("P14 P27: does not bring back a session that has ended, nor undo a change", { timeout: 60_000 }, async () => {
    const servers = await startNatsCluster();
    const clients = await Promise.all(servers.nodes.map((node) => connectNats({ nodes: [node], replicas: 3 })));
    try {
      // One after the other: of several who make a bucket at a time some may get no answer.
      const stores: NatsStore[] = [];
      for (const client of clients) stores.push(natsStore(await client.bucket("sessions"), { sweepInterval: false }));
      const store = stores[0]!;
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

// Where a message has replaced another one, and was removed since, a server that crashes finds the other one again
// (nats-server #8505; 2.10 does so).
describeWithServers("natsStore, when a server crashes,", NATS_PROGRAMS, () => {
  test.for([
    ["ended by a sign-out", HOUR],
    ["over before it was to be", MINUTE],
  ] as const)("P14: a session that was %s, and swept, does not come back", async ([, shortened]) => {
    const servers = await startNats();
    const client = await connectNats(servers);
    try {
      const bucket = await client.bucket("sessions");
      const store = natsStore(bucket, { sweepInterval: false });
      const told: string[] = [];
      store.onExpired(({ key }) => told.push(key));
      // What is removed at the beginning of a stream is remembered in another way.
      await store.create("user/other", { ...record(), expiresAt: now + 9 * HOUR }, call);
      await store.create("user/one", { ...record(), expiresAt: now + HOUR }, call);
      const shorter = { ...record(), expiresAt: now + shortened };
      expect(await store.update("user/one", shorter, (await store.read("user/one", call))!, call)).toBe("ok");
      if (shortened === HOUR) await store.delete("user/one", call);

      const swept = now + 30 * MINUTE;
      const removed = [await store.deleteExpired(100, { now: swept }), await store.deleteExpired(100, { now: swept })];
      expect(told).toEqual(shortened === HOUR ? [] : ["user/one"]);
      expect(removed).toEqual([told.length, 0]);

      await servers.nodes[0]!.process.kill();
      await servers.nodes[0]!.restart();
      await until("the connection", async () => (await client.connection.rtt()) > 0);
      expect(await store.read("user/one", { now: swept })).toBeUndefined();

      await store.deleteExpired(100, { now: now + 2 * HOUR });
      await store.deleteExpired(100, { now: now + 3 * HOUR });
      expect(await bucket.get("r.user.one")).toBeNull();
      expect(told, "once").toHaveLength(removed[0]!);
    } finally {
      await client.close();
      await servers.stop();
    }
  });
});
