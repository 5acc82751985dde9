import type { KV } from "@nats-io/kv";
import { afterEach, expect, test } from "vitest";
import {
  connectNats,
  NATS_PROGRAMS,
  startNats,
  startNatsCluster,
  type NatsClient,
  type NatsServers,
} from "../../test/servers/nats.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { until } from "../../test/servers/server-process.ts";
import { natsStore, type NatsStore } from "./nats.ts";
import { WATCH_SILENCE, type StoredRecord } from "./store.ts";

let made = 0;
const now = Date.now();
const call = { now };
const record = (): StoredRecord => ({ version: `v${++made}`, expiresAt: now + 60_000, value: "{}" });

const LONG = `user/${"x".repeat(2_000)}`;

/** Everything that a watcher hears, in order. */
interface Ear {
  readonly heard: string[];
  /** Waits until something was heard, and forgets all up to it. */
  next(what: string, patience?: number): Promise<void>;
  end(): void;
}

function listen(store: NatsStore): Ear {
  const heard: string[] = [];
  const end = store.watch((key) => heard.push(key), {
    restored: () => heard.push("restored"),
    lost: () => heard.push("lost"),
  });
  return {
    heard,
    end,
    async next(what, patience) {
      await until(what, async () => heard.includes(what), patience);
      heard.splice(0, heard.indexOf(what) + 1);
    },
  };
}

describeWithServers("watch of natsStore", NATS_PROGRAMS, () => {
  let servers: NatsServers;
  const ends: (() => unknown)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  });

  async function connected(nodes: NatsServers["nodes"] = servers.nodes): Promise<NatsClient> {
    const client = await connectNats({ nodes, replicas: servers.replicas });
    ends.push(() => client.close());
    return client;
  }

  async function started(start: () => Promise<NatsServers>): Promise<void> {
    servers = await start();
    ends.push(() => servers.stop());
  }

  function watching(bucket: KV): Ear {
    const ear = listen(natsStore(bucket, { sweepInterval: false }));
    ends.push(ear.end);
    return ear;
  }

  test("tells of what another process changes and deletes, once it can be read, and of nothing when it has ended", async () => {
    await started(startNats);
    const [mine, theirs] = [await (await connected()).bucket("b"), await (await connected()).bucket("b")];
    const ear = watching(mine);
    await ear.next("restored");
    const writer = natsStore(theirs, { sweepInterval: false });
    for (const key of ["user/1", LONG]) {
      await writer.create(key, record(), call);
      await ear.next(key);
      await writer.update(key, record(), (await writer.read(key, call))!, call);
      await ear.next(key);
      await writer.delete(key, call);
      await ear.next(key);
    }
    ear.end();
    ear.end();
    await writer.create("user/2", record(), call);
    await writer.read("user/2", call);
    expect(ear.heard).toEqual([]);
  });

  test("says when nothing is told, and when it is again: over a restart of the server, with what it had", async () => {
    await started(startNats);
    const client = await connected();
    const bucket = await client.bucket("b");
    const store = natsStore(bucket, { sweepInterval: false });
    await store.create("user/1", record(), call);
    const ear = watching(bucket);
    await ear.next("restored");
    await servers.nodes[0]!.process.kill();
    await ear.next("lost", WATCH_SILENCE);
    await servers.nodes[0]!.restart();
    await ear.next("restored");
    expect(await store.read("user/1", call)).toBeDefined();
    await store.delete("user/1", call);
    await ear.next("user/1");
  });

  test("of a server that stands still says so within ten seconds, and goes on with it", async () => {
    await started(startNats);
    const bucket = await (await connected()).bucket("b");
    const ear = watching(bucket);
    await ear.next("restored");
    servers.nodes[0]!.process.pause();
    await ear.next("lost", WATCH_SILENCE);
    servers.nodes[0]!.process.resume();
    await ear.next("restored");
  });

  test("over a bucket that was lost with the memory that it was in, and made anew", async () => {
    await started(startNats);
    const client = await connected();
    const bucket = await client.bucket("b", { storage: "memory" as never });
    const store = natsStore(bucket, { sweepInterval: false });
    for (let i = 0; i < 20; i++) await store.create(`user/${i}`, record(), call);
    const ear = watching(bucket);
    await ear.next("restored");
    await servers.nodes[0]!.process.kill();
    await ear.next("lost", WATCH_SILENCE);
    await servers.nodes[0]!.restart();
    await until("the bucket", async () => (await client.bucket("b", { storage: "memory" as never })) !== undefined);
    await ear.next("restored");
    expect(await store.read("user/1", call)).toBeUndefined();
    await store.create("user/1", record(), call);
    await ear.next("user/1");
  });

  test("in a cluster whose members stand still one after the other misses nothing between restored and lost", async () => {
    await started(startNatsCluster);
    const bucket = await (await connected()).bucket("b");
    const store = natsStore(bucket, { sweepInterval: false });
    await store.create("user/1", record(), call);
    const ear = watching(bucket);
    await ear.next("restored");
    for (const node of servers.nodes) {
      node.process.pause();
      // Whoever is left goes on; until a leader is found writes fail.
      await until(
        "a write",
        async () => {
          const signal = AbortSignal.timeout(500);
          const base = await store.read("user/1", { now, signal });
          return (await store.update("user/1", record(), base!, { now, signal })) === "ok";
        },
        45_000,
      );
      const isTold = async (): Promise<boolean> => ear.heard.includes("user/1") || ear.heard.includes("lost");
      await until(`the change, or that nothing is told: ${ear.heard.join()}`, isTold, WATCH_SILENCE);
      node.process.resume();
      if (ear.heard.includes("lost")) await until("restored", async () => ear.heard.at(-1) !== "lost");
      ear.heard.length = 0;
    }
  }, 180_000);
});
