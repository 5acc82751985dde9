import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CLUSTER, SENTINEL, type Clients, type ConnectedClient } from "../../test/servers/redis-clients.ts";
import {
  REDIS_PROGRAMS,
  startRedisCluster,
  startRedisReplicas,
  startRedisSentinels,
  type RedisTopology,
} from "../../test/servers/redis.ts";
import { RespClient } from "../../test/servers/resp.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { Browser, type Data } from "../../test/testbed.ts";
import { defineSession, StoreError } from "../index.ts";
import { redisStore, type RedisStore } from "./redis.ts";
import type { StoredRecord } from "./store.ts";

let made = 0;
const now = Date.now();
const call = { now };

function record(): StoredRecord {
  return { version: `v${++made}`, expiresAt: now + 60_000, subject: "user/ada", value: "{}" };
}

function waits<Servers extends RedisTopology>(
  title: string,
  start: () => Promise<Servers>,
  clients: Clients<Servers>,
  replicas: number,
): void {
  describeWithServers(`deletions that wait for replicas, ${title}`, REDIS_PROGRAMS, () => {
    let servers: Servers;
    beforeAll(async () => {
      servers = await start();
    });
    afterAll(() => servers?.stop());

    describe.each(Object.entries(clients))("%s:", (_, connect) => {
      let connected: ConnectedClient;
      let store: RedisStore;
      beforeAll(async () => {
        connected = await connect(servers);
        const wait = { replicas, timeout: "1s" } as const;
        store = redisStore(connected.client, { prefix: `d${++made}:`, sweepInterval: false, wait });
      });
      afterAll(() => connected?.close());

      test("are done when the replicas have them", async () => {
        const keys = Array.from({ length: 9 }, (__, i) => `user/${i}`);
        for (const key of keys) await store.create(key, record(), call);
        expect(await store.delete("user/0", call)).toBe(true);
        expect(await store.delete("user/0", call)).toBe(false);
        const deleted = await store.deleteBySubject("user/ada", { except: "user/8" }, call);
        expect(deleted.toSorted()).toEqual(keys.slice(1, 8));
        expect(await store.read("user/8", call)).toBeDefined();
      });

      test("fail when there are too few replicas, and can be tried again", async () => {
        const wait = { replicas: replicas + 1, timeout: 0.02 };
        const strict = redisStore(connected.client, { prefix: `d${++made}:`, sweepInterval: false, wait });
        await strict.create("user/1", record(), call);
        await expect(strict.delete("user/1", call)).rejects.toThrow(`${replicas} of ${replicas + 1} replicas`);
        await expect(strict.delete("user/1", call), "nothing is there any more").rejects.toThrow("replicas");
        const user = defineSession<Data>({ name: "user", store: strict });
        const browser = new Browser(user);
        const signIn = (): Promise<string> =>
          browser.visit(user, (session) => {
            session.authenticate("ada");
            return session.id;
          });
        const id = await signIn();
        await expect(user.manager.revoke(id)).rejects.toThrow(StoreError);
        await signIn();
        await expect(browser.visit(user, (session) => session.destroy())).rejects.toThrow(StoreError);
      });
    });
  });
}

waits("Sentinel", startRedisSentinels, SENTINEL, 2);
waits("Cluster", startRedisCluster, CLUSTER, 1);

describeWithServers("a replica that stands still", REDIS_PROGRAMS, () => {
  test("fails deletions that wait for it, and no others", async () => {
    const servers = await startRedisReplicas();
    const [primary, ...replicas] = servers.nodes;
    const client = await RespClient.connect(primary!.port);
    try {
      const prefix = `d${++made}:`;
      const plain = redisStore(client, { prefix, sweepInterval: false });
      const store = redisStore(client, { prefix, sweepInterval: false, wait: { replicas: 2, timeout: "1s" } });
      for (const key of ["user/1", "user/2", "user/3"]) await plain.create(key, record(), call);
      expect(await store.delete("user/1", call)).toBe(true);
      replicas[0]!.process.pause();
      await expect(store.delete("user/2", call)).rejects.toThrow("1 of 2 replicas");
      expect(await plain.delete("user/3", call)).toBe(true);
      replicas[0]!.process.resume();
      const patient = redisStore(client, { prefix, sweepInterval: false, wait: { replicas: 2, timeout: "20s" } });
      expect(await patient.delete("user/2", call)).toBe(false);
    } finally {
      client.close();
      await servers.stop();
    }
  });

  test("a connection that is lost in between is not taken for an answer", async () => {
    const servers = await startRedisReplicas();
    const port = servers.nodes[0]!.port;
    const clients = await Promise.all([1, 2].map(() => RespClient.connect(port)));
    let isLost = false;
    // The driver connects anew between the deletion and the question.
    const changing = {
      send(name: string, args: readonly string[]) {
        isLost ||= name === "WAIT";
        return clients[isLost ? 1 : 0]!.send(name, args);
      },
    };
    try {
      const wait = { replicas: 2, timeout: 0.5 };
      const store = redisStore(changing, { prefix: `d${++made}:`, expiredEvents: false, wait });
      const { subject: _, ...guest } = record();
      await store.create("user/1", guest, call);
      await expect(store.delete("user/1", call)).rejects.toThrow("connection was lost");
    } finally {
      for (const client of clients) client.close();
      await servers.stop();
    }
  });
});
