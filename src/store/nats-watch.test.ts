import { jetstreamManager, type ConsumerInfo } from "@nats-io/jetstream";
import type { KV } from "@nats-io/kv";
import { expect, test, type TestContext } from "vitest";
import {
  connectNats,
  leaderOf,
  NATS_CLUSTER_PROGRAMS,
  startNats,
  startNatsCluster,
  type NatsClient,
  type NatsNode,
  type NatsServers,
} from "../../test/servers/nats.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { until } from "../../test/servers/server-process.ts";
import { natsStore, type NatsStore } from "./nats.ts";
import { nameOf, RECORDS } from "./nats-text.ts";
import { WATCH_SILENCE, type StoreChange, type StoredRecord } from "./store.ts";

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

interface Stage {
  readonly servers: NatsServers;
  connected(): Promise<NatsClient>;
  /** A bucket, over a connection of its own; in memory, if that is said. */
  bucket(storage?: "memory"): Promise<KV>;
  watching(bucket: KV): Ear;
}

async function opened({ onTestFinished }: TestContext, start: () => Promise<NatsServers>): Promise<Stage> {
  const servers = await start();
  onTestFinished(() => servers.stop());
  const connected = async (): Promise<NatsClient> => {
    const client = await connectNats(servers);
    onTestFinished(() => client.close());
    return client;
  };
  return {
    servers,
    connected,
    async bucket(storage) {
      return await (await connected()).bucket("b", storage === undefined ? {} : { storage: storage as never });
    },
    watching(bucket) {
      const ear = listen(natsStore(bucket, { sweepInterval: false }));
      onTestFinished(ear.end);
      return ear;
    },
  };
}

// All at once: they wait, most of the time.
describeWithServers("watch of natsStore", NATS_CLUSTER_PROGRAMS, () => {
  test.concurrent("tells of what another process changes and deletes, once it can be read, and of nothing when it has ended", async (context) => {
    const stage = await opened(context, startNats);
    const ear = stage.watching(await stage.bucket());
    await ear.next("restored");
    const writer = natsStore(await stage.bucket(), { sweepInterval: false });
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

  test.concurrent("tells the record that was written, and what it is to be updated with", async (context) => {
    const stage = await opened(context, startNats);
    const bucket = await stage.bucket();
    const [store, writer] = [natsStore(bucket), natsStore(await stage.bucket(), { sweepInterval: false })];
    for (const key of ["user/1", LONG]) {
      const changes: (StoreChange | undefined)[] = [];
      const heard: string[] = [];
      const end = store.watch((told, change) => void (told === key && changes.push(change)), {
        restored: () => heard.push("restored"),
      });
      await until("restored", async () => heard.length > 0);
      const first = { ...record(), subject: "s", value: "\ud800" };
      await writer.create(key, first, call);
      await until("the record", async () => changes.length === 1);
      expect(changes[0]).toMatchObject({ version: first.version, record: first });
      expect(await store.update(key, record(), changes[0]!.record!, call)).toBe("ok");
      await until("the update", async () => changes.length === 2);
      await bucket.put(nameOf(RECORDS, key), "what nobody of us has written");
      await store.delete(key, call);
      // Of a name that is a hash that message does not say of what: a gap.
      await until("the deletion", async () => key === LONG || changes.length === 4);
      if (key !== LONG) expect(changes.slice(2)).toEqual([undefined, undefined]);
      end();
    }
    await store.close();
  });

  test.concurrent("says when nothing is told, and when it is again: over a restart of the server, with what it had", async (context) => {
    const stage = await opened(context, startNats);
    const bucket = await stage.bucket();
    const [node] = stage.servers.nodes;
    const store = natsStore(bucket, { sweepInterval: false });
    await store.create("user/1", record(), call);
    const ear = stage.watching(bucket);
    await ear.next("restored");
    await node!.process.kill();
    await ear.next("lost", WATCH_SILENCE);
    await node!.restart();
    await ear.next("restored");
    expect(await store.read("user/1", call)).toBeDefined();
    await store.delete("user/1", call);
    await ear.next("user/1");
  });

  test.concurrent("of a server that stands still says so within ten seconds, and goes on with it", async (context) => {
    const stage = await opened(context, startNats);
    const ear = stage.watching(await stage.bucket());
    await ear.next("restored");
    const [node] = stage.servers.nodes;
    node!.process.pause();
    await ear.next("lost", WATCH_SILENCE);
    node!.process.resume();
    await ear.next("restored");
  });

  test.concurrent("of a connection that the app closes says so at once, and asks nobody any more", async (context) => {
    const stage = await opened(context, startNats);
    const bucket = await stage.bucket();
    const ear = stage.watching(bucket);
    await ear.next("restored");
    const { nc } = (
      bucket as unknown as { readonly js: { readonly nc: { close(): Promise<void>; subscribe: unknown } } }
    ).js;
    let asked = 0;
    await nc.close();
    nc.subscribe = () => {
      asked++;
      throw new Error("closed");
    };
    await ear.next("lost", 400);
    const end = performance.now() + 1_200;
    await until("two more attempts", async () => performance.now() > end);
    expect(asked).toBe(0);
  });

  test.concurrent("over a bucket that was lost with the memory that it was in, and made anew", async (context) => {
    const stage = await opened(context, startNats);
    const bucket = await stage.bucket("memory");
    const store = natsStore(bucket, { sweepInterval: false });
    for (let i = 0; i < 20; i++) await store.create(`user/${i}`, record(), call);
    const ear = stage.watching(bucket);
    await ear.next("restored");
    const [node] = stage.servers.nodes;
    await node!.process.kill();
    await ear.next("lost", WATCH_SILENCE);
    await node!.restart();
    await until("the bucket", async () => (await stage.bucket("memory")) !== undefined);
    await ear.next("restored");
    expect(await store.read("user/1", call)).toBeUndefined();
    await store.create("user/1", record(), call);
    await ear.next("user/1");
  });

  test.concurrent("of what was written before it began nothing is told later, when a server that is behind delivers it", async (context) => {
    const stage = await opened(context, startNats);
    const bucket = await stage.bucket();
    const writer = natsStore(await stage.bucket(), { sweepInterval: false });
    await writer.create("user/2", record(), call);
    const late: (() => void)[] = [];
    const ear = stage.watching(
      behind(bucket, {
        before: async () => void (await writer.create("user/1", record(), call)),
        deliver: (go) => late.push(go),
      }),
    );
    await ear.next("restored");
    await writer.touch("user/2", now + 90_000, call);
    await until("both messages", async () => late.length === 2);
    for (const go of late.splice(0)) go();
    expect(ear.heard).toEqual(["user/2"]);
    expect(await writer.update("user/1", record(), (await writer.read("user/1", call))!, call)).toBe("ok");
    await until("another message", async () => late.length === 1);
    late[0]!();
    await ear.next("user/1");
    ear.end();
  });

  test.concurrent("in a cluster where the server that feeds it stands still, and then the leader, tells of each change, or that nothing is told", async (context) => {
    const stage = await opened(context, startNatsCluster);
    const client = await stage.connected();
    const bucket = await client.bucket("b");
    const store = natsStore(bucket, { sweepInterval: false });
    const keys = Array.from({ length: 200 }, (_, i) => `user/${i}`);
    await Promise.all(keys.map(async (key) => store.create(key, record(), call)));
    const ear = stage.watching(bucket);
    const { heard } = ear;
    for (const who of [feederOf, leaderOf]) {
      await until("the whole cluster", () => isWhole(bucket), 45_000);
      await until("restored", async () => heard.lastIndexOf("restored") > heard.lastIndexOf("lost"), 45_000);
      const restored = heard.lastIndexOf("restored");
      const node = await answered(() => who(stage.servers, client, "b"));
      node.process.pause();
      // Whoever is left goes on; until a leader is found writes fail. Each try is for another key: the last one counts.
      await until(
        "a deletion",
        async () => store.delete(keys.pop()!, { now, signal: AbortSignal.timeout(500) }),
        45_000,
      );
      const deleted = `user/${keys.length}`;
      const isKnown = async (): Promise<boolean> => heard.includes(deleted) || heard.lastIndexOf("lost") > restored;
      await until("the change, or that nothing is told", isKnown, WATCH_SILENCE);
      node.process.resume();
    }
  }, 180_000);
});

/** Whether all replicas are up to date. */
async function isWhole(bucket: KV): Promise<boolean> {
  const { cluster } = (await bucket.status()).streamInfo;
  return cluster?.leader !== undefined && cluster.replicas?.every(({ current }) => current) === true;
}

/** Which of the servers the latest feed of a bucket comes from. */
async function feederOf(servers: NatsServers, { connection }: NatsClient, bucket: string): Promise<NatsNode> {
  const { consumers } = await jetstreamManager(connection, { checkAPI: false });
  let latest: ConsumerInfo | undefined;
  for await (const feed of consumers.list(`KV_${bucket}`)) {
    if (latest === undefined || latest.created < feed.created) latest = feed;
  }
  const found = servers.nodes.find(({ name }) => name === latest?.cluster?.leader);
  if (found === undefined) throw new Error("no feed");
  return found;
}

/** What `work` answers as soon as it does: without a leader of all it does not. */
async function answered<T>(work: () => Promise<T>): Promise<T> {
  const answers: T[] = [];
  await until("an answer", async () => answers.push(await work()) > 0, 45_000);
  return answers[0]!;
}

/** A bucket of which the extent is asked after something else was done, and whose messages of records are delivered by hand. */
function behind(bucket: KV, { before, deliver }: { before(): Promise<void>; deliver(go: () => void): void }): KV {
  type Callback = (error: unknown, message: { readonly subject: string; readonly reply?: string }) => void;
  const { js, jsm } = bucket as unknown as {
    readonly js: { readonly nc: { subscribe(subject: string, options: { callback: Callback }): unknown } };
    readonly jsm: { readonly streams: { info(stream: string): Promise<unknown> } };
  };
  const subscribe = (subject: string, { callback }: { callback: Callback }): unknown =>
    js.nc.subscribe(subject, {
      callback(error, message) {
        if (message.subject.startsWith("$KV.")) deliver(() => callback(error, message));
        else callback(error, message);
      },
    });
  let asked = 0;
  const info = async (stream: string): Promise<unknown> => {
    // The first time the settings are looked at.
    if (++asked === 2) await before();
    return await jsm.streams.info(stream);
  };
  const own = (value: unknown): PropertyDescriptor => ({ value });
  return Object.create(bucket, {
    js: own(Object.create(js, { nc: own(Object.create(js.nc, { subscribe: own(subscribe) })) })),
    jsm: own(Object.create(jsm, { streams: own(Object.create(jsm.streams, { info: own(info) })) })),
  }) as KV;
}
