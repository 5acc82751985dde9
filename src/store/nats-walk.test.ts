import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import type { KV } from "@nats-io/kv";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { connectNats, NATS_PROGRAMS, startNats, type NatsClient, type NatsServers } from "../../test/servers/nats.ts";
import { monitorNats } from "../../test/servers/nats-monitor.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { until } from "../../test/servers/server-process.ts";
import { natsConnection, type NatsConnection } from "./nats-client.ts";
import { RECORDS } from "./nats-text.ts";
import { walkRecords } from "./nats-walk.ts";

const MANY = 1_000;
let made = 0;

interface Bucket {
  readonly bucket: KV;
  readonly nats: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly stream: string;
}

/** Names of the records of a walk, stretch by stretch. */
async function* walked(nats: NatsConnection, signal?: AbortSignal): AsyncGenerator<readonly string[]> {
  for await (const { records } of walkRecords(nats, RECORDS, 1, signal === undefined ? {} : { signal })) {
    yield records.map(({ name }) => name);
  }
}

async function allWalked(nats: NatsConnection, signal?: AbortSignal): Promise<readonly string[]> {
  const all: string[] = [];
  for await (const some of walked(nats, signal)) all.push(...some);
  return all;
}

describeWithServers("a walk through a bucket", NATS_PROGRAMS, () => {
  let servers: NatsServers;
  let client: NatsClient;
  beforeAll(async () => {
    servers = await startNats();
    client = await connectNats(servers);
  });
  afterAll(async () => {
    await client?.close();
    await servers?.stop();
  });

  async function filled(count = MANY): Promise<Bucket> {
    const bucket = await client.bucket(`w${++made}`);
    for (let at = 0; at < count; at += 250) {
      const some = Array.from({ length: Math.min(250, count - at) }, (_, i) => at + i);
      await Promise.all(some.map((number) => bucket.put(`r.user.${number}`, "{}")));
    }
    const jsm = await jetstreamManager(client.connection);
    return { bucket, nats: natsConnection(bucket), jsm, stream: `KV_w${made}` };
  }
  const names = (count = MANY): readonly string[] => Array.from({ length: count }, (_, i) => `r.user.${i}`);

  /** Nothing is left at the server of a walk that is over. */
  async function leavesNothing({ jsm, stream }: Bucket): Promise<void> {
    await until("the consumer is gone", async () => (await jsm.consumers.list(stream).next()).length === 0);
  }

  test("is over all records, once each, in the order of their writing, and over nothing else", async () => {
    const all = await filled();
    for (let i = 0; i < MANY; i += 100) await all.bucket.put(`s.user.${i}`, "[]");
    await all.bucket.put("r.user.7", "{}");
    await all.bucket.put("r.other.1", "{}");
    const found = await allWalked(all.nats);
    expect(new Set(found.slice(0, MANY - 1))).toEqual(new Set(names().filter((name) => name !== "r.user.7")));
    expect(found.slice(MANY - 1)).toEqual(["r.user.7", "r.other.1"]);
    await leavesNothing(all);
  });

  test("through a thousand is fewer than a hundred messages that are sent", async () => {
    const all = await filled();
    const monitor = await monitorNats(client);
    const sent = await monitor.during(() => allWalked(all.nats));
    expect(sent.length).toBeLessThan(100);
  });

  test("through few opens no consumer", async () => {
    const { nats } = await filled(20);
    const monitor = await monitorNats(client);
    expect(await monitor.during(() => allWalked(nats))).not.toContain("CONSUMER.CREATE");
  });

  test("goes on where its consumer has been removed: nothing is left out", async () => {
    const all = await filled();
    const found: string[] = [];
    for await (const some of walked(all.nats)) {
      found.push(...some);
      for (const { name } of await all.jsm.consumers.list(all.stream).next()) {
        await all.jsm.consumers.delete(all.stream, name);
      }
    }
    expect(new Set(found)).toEqual(new Set(names()));
  });

  test("ends where what is ahead is removed meanwhile, and finds what is written meanwhile", async () => {
    const all = await filled();
    const found = new Set<string>();
    for await (const some of walked(all.nats)) {
      if (found.size === 0) {
        await all.jsm.streams.purge(all.stream, { filter: "$KV.*.r.user.*", seq: MANY + 1 });
        await all.bucket.put("r.user.late", "{}");
      }
      for (const name of some) found.add(name);
    }
    expect(found.has("r.user.late")).toBe(true);
    expect(found.size).toBeLessThan(MANY / 2);
  });

  test("that has enough leaves nothing at the server", async () => {
    const all = await filled();
    let stretches = 0;
    for await (const some of walked(all.nats)) if (some.length > 0 && ++stretches === 3) break;
    expect(stretches).toBe(3);
    await leavesNothing(all);
  });

  test("asks the leader alone where the account allows no such consumer", async ({ onTestFinished }) => {
    const limited = await startNats({ limits: "limits { max_ack_pending: 100 }" });
    onTestFinished(() => limited.stop());
    const other = await connectNats(limited);
    onTestFinished(() => other.close());
    const bucket = await other.bucket("limited");
    await Promise.all(names(300).map((name) => bucket.put(name, "{}")));
    expect(new Set(await allWalked(natsConnection(bucket)))).toEqual(new Set(names(300)));
  });

  test("over few among many others does not have those delivered", async () => {
    const all = await filled(3_000);
    await Promise.all(names(60).map((name) => all.bucket.put(name.replace("user", "admin"), "{}")));
    await Promise.all(names(2_000).map((name) => all.bucket.put(name, "{}")));
    let [found, passed] = [0, 0];
    for await (const { records, length } of walkRecords(all.nats, "r.admin.", 1, {})) {
      found += records.length;
      passed += length;
    }
    expect(found).toBe(60);
    expect(passed).toBeLessThan(1_500);
  });

  test("over large values is not so far ahead that the server would cut the connection", async () => {
    const { nats, bucket } = await filled(0);
    const value = new Uint8Array(2_000_000);
    for (const name of names(60)) await bucket.put(name, value);
    const stretches: number[] = [];
    for await (const { length } of walkRecords(nats, RECORDS, 1, {})) stretches.push(length);
    expect(stretches.reduce((a, b) => a + b)).toBe(60);
    expect(Math.max(...stretches)).toBeLessThanOrEqual(2);
  });

  test.each([0, 1, 2, 3])(
    "that is given up while its consumer opens leaves none (%d microtasks later)",
    async (hops) => {
      const all = await filled(100);
      const { consumers } = all.nats.parts.jsm;
      const walk = new AbortController();
      const opened = vi.fn();
      const later: typeof consumers.add = async (...args) => {
        const adding = consumers.add(...args);
        void adding.then(async () => {
          opened();
          for (let hop = 0; hop < hops; hop++) await Promise.resolve();
          walk.abort();
        });
        return await adding;
      };
      const jsm = { ...all.nats.parts.jsm, streams: all.nats.parts.jsm.streams };
      const patched = Object.assign(Object.create(all.bucket) as KV, {
        jsm: { ...jsm, consumers: Object.assign(Object.create(consumers) as object, { add: later }) },
      });
      const walking = allWalked(natsConnection(patched), walk.signal);
      await expect(walking).rejects.toThrow("aborted");
      expect(opened).toHaveBeenCalledOnce();
      await leavesNothing(all);
    },
  );

  test("ends with its signal, wherever it is", async () => {
    const all = await filled();
    const walk = new AbortController();
    const halfway = async (): Promise<void> => {
      let count = 0;
      for await (const some of walked(all.nats, walk.signal)) if ((count += some.length) > MANY / 2) walk.abort();
    };
    await expect(halfway()).rejects.toThrow("aborted");
    await leavesNothing(all);
  });
});
