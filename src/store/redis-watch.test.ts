import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CLUSTER, SENTINEL, SINGLE, type Clients, type ConnectedClient } from "../../test/servers/redis-clients.ts";
import {
  REDIS_PROGRAMS,
  type RedisNode,
  type RedisTopology,
  startRedis,
  startRedisCluster,
  startRedisReplicas,
  startRedisSentinels,
} from "../../test/servers/redis.ts";
import { monitorRedis } from "../../test/servers/redis-monitor.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { until } from "../../test/servers/server-process.ts";
import { type FakeClock, fakeClock } from "../testing/fake-clock.ts";
import { type NearCache, nearCache } from "./near-cache.ts";
import { type RedisStore, redisStore, type RedisStoreOptions } from "./redis.ts";
import { type StoreChange, type StoredRecord, WATCH_SILENCE } from "./store.ts";

const NOW = Date.now();
const call = { now: NOW };
let made = 0;
const record = (fields: Partial<StoredRecord> = {}): StoredRecord => ({
  version: `v${++made}`,
  expiresAt: NOW + 60_000,
  value: "{}",
  ...fields,
});

/** What a watcher heard, in order: keys and versions, `+` for restored, `-` for lost. */
interface Watching {
  readonly heard: string[];
  readonly store: RedisStore;
  readonly clock: FakeClock;
  readonly end: () => void;
}

const isUp = ({ heard }: Watching): boolean => heard.findLast((text) => text === "+" || text === "-") === "+";

const told = (key: string, change: StoreChange | undefined): string =>
  change?.version === undefined ? key : `${key} ${change.version}`;

/** Waits until a watcher has heard something. */
const hears = ({ heard }: Watching, text: string): Promise<void> =>
  until(`hearing ${text.slice(0, 20)}`, async () => heard.includes(text));

const quiet = { watch: true, sweepInterval: false } as const;

async function watching({ client }: ConnectedClient, options: RedisStoreOptions): Promise<Watching> {
  const clock = fakeClock();
  const store = redisStore(client, { ...quiet, clock, ...options });
  const heard: string[] = [];
  const end = store.watch!((key, change) => void heard.push(told(key, change)), {
    restored: () => void heard.push("+"),
    lost: () => void heard.push("-"),
  });
  const found = { heard, store, clock, end };
  await until("a connection that listens", async () => isUp(found));
  return found;
}

/** Lets time pass until the connection is there again. */
const restored = (watcher: Watching): Promise<void> =>
  until("a connection that listens", async () => {
    if (!isUp(watcher)) watcher.clock.advance(50);
    return isUp(watcher);
  });

const ODD = "n/~\t\n😀\ud800 end";

/** Changes of every kind; returns what is to be heard of them. */
async function changeAll(store: RedisStore): Promise<readonly string[]> {
  const [base, next] = [record(), record({ version: `odd\t~\n${++made}`, subject: "s" })];
  await store.create("n/1", base, call);
  expect(await store.update("n/1", next, base, call)).toBe("ok");
  expect(await store.update("n/1", record(), base, call), "too late").toBe("conflict");
  await store.touch("n/1", NOW + 90_000, call);
  await store.touch("n/1", NOW + 80_000, call);
  expect(await store.delete("n/1", call)).toBe(true);
  expect(await store.delete("n/1", call)).toBe(false);
  expect(await store.update("n/1", record(), next, call)).toBe("gone");
  await store.create(ODD, record({ subject: "s" }), call);
  await store.create("n/other", record({ subject: "t" }), call);
  await store.deleteBySubject("s", {}, call);
  const version = next.version;
  return [`n/1 ${version}`, `n/1 ${version}`, "n/1", ODD];
}

/** In a Cluster all is told by each primary, in an order of its own. */
const sorted = (heard: readonly string[], isCluster: boolean): readonly string[] =>
  isCluster ? [...new Set(heard)].toSorted() : heard;

function feeds<Servers extends RedisTopology>(
  title: string,
  start: () => Promise<Servers>,
  clients: Clients<Servers>,
  { isCluster, subscriber }: { readonly isCluster: boolean; readonly subscriber: string },
): void {
  describeWithServers(title, REDIS_PROGRAMS, () => {
    let servers: Servers;
    let other: ConnectedClient;
    beforeAll(async () => {
      servers = await start();
      other = await clients[subscriber]!(servers);
    });
    afterAll(async () => {
      await other?.close();
      await servers?.stop();
    });

    describe.each(Object.entries(clients))("%s:", (name, connect) => {
      let connected: ConnectedClient;
      const listens = !/glide|Bun/.test(name);
      const options = (): RedisStoreOptions => ({
        prefix: `w${++made}*:"'\\`,
        ...(listens ? {} : { subscriber: other.client as never }),
      });
      beforeAll(async () => {
        connected = await connect(servers);
      });
      afterAll(() => connected?.close());

      test("what is changed and deleted is told, by whomever, and nothing else", async () => {
        const own = options();
        const watcher = await watching(connected, own);
        const { prefix } = own;
        const others = redisStore(other.client, { ...quiet, prefix });
        await changeAll(redisStore(other.client, { ...quiet, ...options() }));
        await changeAll(redisStore(other.client, { sweepInterval: false, prefix }));
        await others.delete("n/other", call);
        await hears(watcher, "n/other");
        expect(sorted(watcher.heard, isCluster)).toEqual(["+", "n/other"]);
        // The same from the others.
        await until("hearing all", async () => watcher.heard.length === (isCluster ? 4 : 2));
        for (const writer of [others, watcher.store]) {
          watcher.heard.length = 0;
          const expected = await changeAll(writer);
          await writer.delete("n/other", call);
          const all = [...expected, "n/other"];
          await until("hearing all", async () => watcher.heard.length === all.length * (isCluster ? 3 : 1));
          // What comes from one primary may come before what another one told earlier.
          expect(sorted(watcher.heard, isCluster)).toEqual(sorted(all, isCluster));
        }
        await watcher.store.close();
      });

      test("several can watch; who has ended it hears nothing more", async () => {
        const watcher = await watching(connected, options());
        const keys: string[] = [];
        const signs: string[] = [];
        const end = watcher.store.watch!((key) => void keys.push(key), { restored: () => void signs.push("+") });
        await until("being told that it is up", async () => signs.length === 1);
        watcher.end();
        watcher.end();
        await watcher.store.create("n/1", record(), call);
        await watcher.store.delete("n/1", call);
        await until("hearing it", async () => keys.includes("n/1"));
        expect(watcher.heard).toEqual(["+"]);
        end();
        await watcher.store.close();
      });
    });
  });
}

feeds("a single server", startRedis, SINGLE, { isCluster: false, subscriber: "ioredis 6" });
feeds("Sentinel", startRedisSentinels, SENTINEL, { isCluster: false, subscriber: "ioredis 6" });
feeds("Cluster", startRedisCluster, CLUSTER, { isCluster: true, subscriber: "ioredis 6" });

/** Cuts every connection of a server that listens. */
const cut = ({ nodes }: { readonly nodes: readonly RedisNode[] }): Promise<unknown> =>
  Promise.all(nodes.map(({ ask }) => ask("CLIENT", "KILL", "TYPE", "pubsub")));

/** Lets time pass until the connection is asked whether it lives, and no more: the answer may take as long as it takes. */
const asked = ({ clock }: Watching): Promise<void> => clock.advanceAsync(WATCH_SILENCE * 0.4);

/** How many primaries each node knows, and 0 as long as it does not take the fourth for one. */
const primariesSeenBy = (nodes: readonly RedisNode[]): Promise<readonly number[]> =>
  Promise.all(
    nodes.map(async ({ ask }) => {
      const known = String(await ask("CLUSTER", "NODES")).split("\n");
      const isTaken = known.some((line) => line.includes(`:${nodes[3]!.port}@`) && line.includes("master"));
      return isTaken ? known.filter((line) => line.includes("master")).length : 0;
    }),
  );

/** Lets time pass, as much as it may take until it is known that nothing comes. */
async function lost(watcher: Watching): Promise<void> {
  let waited = 0;
  while (isUp(watcher) && waited < WATCH_SILENCE) {
    watcher.clock.advance(500);
    waited += 500;
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
  }
  expect(isUp(watcher)).toBe(false);
}

function losses<Servers extends RedisTopology>(
  title: string,
  start: () => Promise<Servers>,
  clients: Clients<Servers>,
  names: readonly string[],
): void {
  describeWithServers(`what is lost, ${title}`, REDIS_PROGRAMS, () => {
    let servers: Servers;
    beforeAll(async () => {
      servers = await start();
    });
    afterAll(() => servers?.stop());

    describe.each(names)("%s:", (name) => {
      let connected: ConnectedClient;
      let watcher: Watching;
      const changed = async (): Promise<void> => {
        const key = `n/${++made}`;
        await watcher.store.create(key, record(), call);
        await watcher.store.delete(key, call);
        await hears(watcher, key);
      };
      beforeAll(async () => {
        connected = await clients[name]!(servers);
        watcher = await watching(connected, { prefix: `l${++made}:` });
      });
      afterAll(async () => {
        await watcher?.store.close();
        await connected?.close();
      });

      test("a connection that is cut is told of, and so is that it is there again", async () => {
        await changed();
        await cut(servers);
        await until("hearing of it", async () => watcher.heard.includes("-"));
        await restored(watcher);
        await changed();
        expect(watcher.heard.filter((text) => text === "-").length).toBe(1);
      });

      test("a server that went silent is told of before a copy is too old", async () => {
        expect(isUp(watcher)).toBe(true);
        const { process } = servers.nodes[0]!;
        process.pause();
        try {
          await lost(watcher);
        } finally {
          process.resume();
        }
        await restored(watcher);
        await changed();
      });

      test("nothing is left of it when it has ended", async () => {
        const { store } = await watching(connected, { prefix: `l${++made}:` });
        const channel = `l${made}:~w`;
        const [{ ask }] = servers.nodes as [RedisNode];
        expect(await ask("PUBSUB", "NUMSUB", channel)).toEqual([channel, 1]);
        await store.close();
        await until(
          "nobody",
          async () => JSON.stringify(await ask("PUBSUB", "NUMSUB", channel)) === `["${channel}",0]`,
        );
      });
    });
  });
}

const SOME = ["node-redis 6", "node-redis 6, RESP2", "node-redis 5, pool", "ioredis 6, RESP3", "ioredis 5"];
losses("a single server", startRedis, SINGLE, SOME);
losses("Cluster", startRedisCluster, CLUSTER, ["node-redis 6", "ioredis 6"]);

describeWithServers("a feed", REDIS_PROGRAMS, () => {
  test.each(["node-redis 6", "node-redis 5", "ioredis 6"])(
    "%s: follows sentinels to another primary",
    async (name) => {
      const servers = await startRedisSentinels();
      const connected = await SENTINEL[name]!(servers);
      try {
        const watcher = await watching(connected, { prefix: "f:" });
        await watcher.store.create("n/1", record(), call);
        const before = await servers.primary();
        await servers.sentinels[0]!.ask("SENTINEL", "FAILOVER", servers.name);
        await until("another primary", async () => (await servers.primary()) !== before);
        await until("hearing of it", async () => {
          watcher.clock.advance(200);
          return watcher.heard.includes("-");
        });
        await restored(watcher);
        await until("a deletion", async () => (await watcher.store.delete("n/1", call), true));
        await hears(watcher, "n/1");
        await watcher.store.close();
      } finally {
        await connected.close();
        await servers.stop();
      }
    },
    60_000,
  );

  test("of a server that became a replica, and cut nothing, is lost", async () => {
    const servers = await startRedisReplicas();
    const [primary, replica] = servers.nodes as [RedisNode, RedisNode];
    const connected = await SINGLE["ioredis 6"]!(servers);
    try {
      const watcher = await watching(connected, { prefix: "r:" });
      await replica.ask("REPLICAOF", "NO", "ONE");
      await primary.ask("REPLICAOF", "127.0.0.1", String(replica.port));
      await asked(watcher);
      await until("hearing of it", async () => !isUp(watcher));
      await watcher.store.close();
    } finally {
      await connected.close();
      await servers.stop();
    }
  });

  test.each(["node-redis 6", "ioredis 6"])(
    "%s: of a Cluster with another primary goes on with that one",
    async (name) => {
      const servers = await startRedisCluster();
      const connected = await CLUSTER[name]!(servers);
      try {
        const watcher = await watching(connected, { prefix: "c:" });
        const keys = Array.from({ length: 30 }, (_, i) => `n/${i}`);
        for (const key of keys) await watcher.store.create(key, record(), call);
        const replica = servers.nodes[3]!;
        await replica.ask("CLUSTER", "FAILOVER");
        await until("another primary", async () => (await primariesSeenBy(servers.nodes)).every((seen) => seen === 3));
        await asked(watcher);
        await until("hearing of it", async () => !isUp(watcher));
        await until("the client's finding it", async () => {
          for (const key of keys) await watcher.store.touch(key, NOW + 61_000, call);
          if (!isUp(watcher)) await watcher.clock.advanceAsync(200);
          return isUp(watcher);
        });
        watcher.heard.length = 0;
        for (const key of keys) await watcher.store.delete(key, call);
        await until("hearing all", async () => keys.every((key) => watcher.heard.includes(key)));
        await watcher.store.close();
      } finally {
        await connected.close();
        await servers.stop();
      }
    },
    60_000,
  );

  test.each(["node-redis 6", "ioredis 6"])("%s: keeps the copies of two processes as they should be", async (name) => {
    const servers = await startRedis();
    const connected = [await SINGLE[name]!(servers), await SINGLE[name]!(servers)];
    try {
      const [mine, other] = connected.map(({ client }) => nearCache(redisStore(client, quiet))) as [
        NearCache,
        NearCache,
      ];
      await until("both to be told", async () => mine.stats().live && other.stats().live);
      const [base, next] = [record(), record()];
      await other.create("n/1", base, call);
      for (let i = 0; i < 2; i++) expect(await mine.read("n/1", call)).toMatchObject(base);
      expect(mine.stats().hits).toBe(1);
      await other.update("n/1", next, base, call);
      await until("the new one", async () => (await mine.read("n/1", call))?.version === next.version);
      await other.delete("n/1", call);
      await until("nothing", async () => (await mine.read("n/1", call)) === undefined);
      await mine.close!();
      await other.close!();
    } finally {
      for (const { close } of connected) await close();
      await servers.stop();
    }
  });

  test("costs no command", async () => {
    const servers = await startRedis();
    const connected = await SINGLE["ioredis 6"]!(servers);
    const monitor = await monitorRedis(servers.nodes);
    try {
      const store = redisStore(connected.client, { ...quiet, expiredEvents: false });
      await changeAll(store);
      const base = record();
      await store.create("n/2", base, call);
      const next = record();
      expect((await monitor.during(async () => store.update("n/2", next, base, call))).commands).toEqual(["EVALSHA"]);
      expect((await monitor.during(async () => store.touch("n/2", NOW + 90_000, call))).commands).toEqual(["EVALSHA"]);
      const deleted = await monitor.during(async () => store.delete("n/2", call));
      expect(deleted.commands).toEqual(["EVALSHA"]);
      expect(deleted.ran.filter((name) => name === "PUBLISH")).toHaveLength(1);
      const plain = redisStore(connected.client, { sweepInterval: false, prefix: "p:" });
      const { ran } = await monitor.during(() => changeAll(plain));
      expect(ran).not.toContain("PUBLISH");
      expect(plain.watch).toBeUndefined();
    } finally {
      monitor.close();
      await connected.close();
      await servers.stop();
    }
  });

  test("that may not be told makes a change fail before anything is done", async () => {
    const servers = await startRedis();
    const [{ ask }] = servers.nodes as [RedisNode];
    const connected = await SINGLE["ioredis 6"]!(servers);
    try {
      const store = redisStore(connected.client, quiet);
      const base = record();
      await store.create("n/1", base, call);
      await ask("ACL", "SETUSER", "default", "resetchannels");
      await expect(store.update("n/1", record(), base, call)).rejects.toThrow(/channel|permission/i);
      await expect(store.delete("n/1", call)).rejects.toThrow(/channel|permission/i);
      expect(await store.read("n/1", call)).toMatchObject(base);
    } finally {
      await connected.close();
      await servers.stop();
    }
  });

  test.each(["valkey-glide 2", "the shape of Bun's RedisClient, over a thin client"])(
    "over %s says what is missing, and is told of others",
    async (name) => {
      const servers = await startRedis();
      const connected = await SINGLE[name]!(servers);
      try {
        const store = redisStore(connected.client, quiet);
        expect(() => store.watch!(() => {})).toThrow(/subscriber/);
        const subscriber = connected.client as never;
        expect(() => redisStore(connected.client, { ...quiet, subscriber })).toThrow(/subscriber/);
        await store.close();
      } finally {
        await connected.close();
        await servers.stop();
      }
    },
  );
});
