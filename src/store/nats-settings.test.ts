import { jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import type { KvOptions } from "@nats-io/kv";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectNats, NATS_PROGRAMS, startNats, type NatsClient, type NatsServers } from "../../test/servers/nats.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { natsStore } from "./nats.ts";
import { checkSettings } from "./nats-settings.ts";
import type { StoredRecord } from "./store.ts";

let made = 0;
const now = Date.now();
const call = { now };
const record = (): StoredRecord => ({ version: `v${++made}`, expiresAt: now + 60_000, value: "{}" });

describeWithServers("natsStore refuses a bucket that is set to what cannot work,", NATS_PROGRAMS, () => {
  let servers: NatsServers;
  let client: NatsClient;
  beforeAll(async () => {
    servers = await startNats();
    client = await connectNats(servers);
    await client.bucket("other");
  });
  afterAll(async () => {
    await client?.close();
    await servers?.stop();
  });

  const REFUSED: readonly (readonly [string, RegExp, Partial<KvOptions>, Partial<StreamConfig>])[] = [
    ["one with a ttl", /ttl/, { ttl: 3_600_000 }, {}],
    ["one with a history", /history to 1/, { history: 5 }, {}],
    ["one of small values", /maxValueSize/, { maxValueSize: 10_000 }, {}],
    ["a mirror", /mirror/, { mirror: { name: "other" } }, {}],
    ["one that drops the oldest when it is full", /discard/, { max_bytes: 1_000_000 }, { discard: "old" as never }],
  ];

  test.each(REFUSED)(
    "%s: every verb is an error that says what to do, until it is set right",
    async (_, says, options, config) => {
      const name = `x${++made}`;
      const bucket = await client.bucket(name, options);
      const { streams } = await jetstreamManager(client.connection);
      if (Object.keys(config).length > 0) await streams.update(`KV_${name}`, config);
      const store = natsStore(bucket, { sweepInterval: false });
      const base = record();
      const verbs: readonly (() => unknown)[] = [
        () => store.create("user/1", base, call),
        () => store.read("user/1", call),
        () => store.update("user/1", record(), base, call),
        () => store.touch("user/1", now + 90_000, call),
        () => store.delete("user/1", call),
        () => store.deleteBySubject("user/ada", {}, call),
        () => store.list("user/", { limit: 1 }, call),
        () => store.count("user/", call),
        () => store.deleteExpired(1, call),
      ];
      for (const verb of verbs) await expect((async () => await verb())()).rejects.toThrow(says);
      if (options.history === undefined) return;
      await streams.update(`KV_${name}`, { max_msgs_per_subject: 1 });
      expect(await store.create("user/1", base, call)).toBe(true);
    },
  );

  const fine = { max_age: 0, max_msgs_per_subject: 1, max_msgs: -1, max_bytes: -1, discard: "new", num_replicas: 3 };

  test("one that is filled from others, or cannot be purged", () => {
    expect(() => checkSettings(fine)).not.toThrow();
    expect(() => checkSettings({ ...fine, sources: [{ name: "KV_other" }] })).toThrow(/sources/);
    expect(() => checkSettings({ ...fine, deny_purge: true })).toThrow(/purging/);
    expect(() => checkSettings({ ...fine, sealed: true })).toThrow(/purging/);
  });

  test("one with replicas on servers that bring back what has ended", () => {
    for (const old of ["2.9.10", "2.9.25", "2.10.20", "2.10.20-RC.1", "2.9.20+build", "2.8.4", "1.4.1"]) {
      expect(() => checkSettings(fine, old), old).toThrow(
        /3 replicas on nats-server .*: upgrade all servers to 2\.10\.21/,
      );
      expect(() => checkSettings({ ...fine, num_replicas: 1 }, old), old).not.toThrow();
    }
    for (const good of ["2.10.21", "2.10.27-beta", "2.11.0", "2.12.0-RC.1", "3.0.0", "dev", undefined]) {
      expect(() => checkSettings(fine, good), good).not.toThrow();
    }
  });
});
