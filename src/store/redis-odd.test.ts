import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { monitorRedis } from "../../test/servers/redis-monitor.ts";
import { REDIS_PROGRAMS, startRedis, type RedisTopology } from "../../test/servers/redis.ts";
import { RespClient } from "../../test/servers/resp.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { Browser, COOKIE, eventsOf, type Data } from "../../test/testbed.ts";
import { Redis as Ioredis6 } from "ioredis";
import { createClient } from "redis";
import { defineSession } from "../index.ts";
import { redisStore, type RedisClient, type RedisStore } from "./redis.ts";
import type { StoredRecord } from "./store.ts";

let made = 0;
const now = Date.now();
const call = { now };
const record = (fields: Partial<StoredRecord> = {}): StoredRecord => ({
  version: `v${++made}`,
  expiresAt: now + 60_000,
  value: "{}",
  ...fields,
});

describeWithServers("redisStore and what else may be in Redis", REDIS_PROGRAMS, () => {
  let servers: RedisTopology;
  let client: RespClient;
  let prefix: string;
  let store: RedisStore;
  beforeAll(async () => {
    servers = await startRedis();
    client = await RespClient.connect(servers.nodes[0]!.port);
  });
  afterAll(async () => {
    client?.close();
    await servers?.stop();
  });
  const fresh = (): RedisStore => {
    prefix = `o${++made}:`;
    return (store = redisStore(client, { prefix }));
  };

  test("scripts that Redis has forgotten are sent again, once", async () => {
    fresh();
    const subject = "user/ada";
    const verbs: readonly [name: string, () => PromiseLike<unknown>][] = [
      ["create", async () => store.create("user/1", record({ subject }), call)],
      ["update", async () => store.update("user/1", record({ subject }), (await store.read("user/1", call))!, call)],
      ["touch", async () => store.touch("user/1", now + 90_000, call)],
      ["deleteBySubject", async () => store.deleteBySubject(subject, {}, call)],
      ["delete", async () => store.delete("user/1", call)],
      ["deleteExpired", async () => store.deleteExpired?.(10, { now: now + 3_600_000 })],
    ];
    const monitor = await monitorRedis(servers.nodes);
    try {
      for (const [name, run] of verbs) {
        await client.send("SCRIPT", ["FLUSH"]);
        const first = await monitor.during(async () => run());
        expect(first.commands, name).toContain("EVAL");
        const second = await monitor.during(async () => run());
        expect(second.commands, `${name} again`).not.toContain("EVAL");
      }
    } finally {
      monitor.close();
    }
    expect(await store.read("user/1", call)).toBeUndefined();
  });

  const GARBAGE: Readonly<Record<string, string>> = {
    "no text at all": "string.char(0, 255, 254, 128)",
    nothing: "''",
    "somebody's JSON": `'{"user":1}'`,
    "nearly a header": "'1zzzzzzzzzzz0000version without an end'",
    "the digit that ours begin with": "'1'",
  };

  test.each(Object.entries(GARBAGE))(
    "%s in the place of a record: comes back as text, and is there",
    async (_, bytes) => {
      fresh();
      const key = "user/1";
      await client.send("EVAL", [`return redis.call('SET', KEYS[1], ${bytes})`, "1", `${prefix}${key}`]);
      const found = await store.read(key, call);
      expect(typeof found?.value).toBe("string");
      expect(found?.expiresAt).toBeGreaterThan(now);
      expect(await store.create(key, record(), call)).toBe(false);
      if (bytes !== "''") {
        expect(await store.update(key, record(), found!, call)).toBe("conflict");
        expect(await store.touch(key, now + 90_000, call)).toBe(true);
      }
      expect((await store.read(key, call))?.value).toBe(found?.value);
      expect((await store.list("", { limit: 10 }, call)).records.map((entry) => entry.key)).toEqual([key]);
      expect(await store.delete(key, call)).toBe(true);
      expect(await store.read(key, call)).toBeUndefined();
    },
  );

  test("garbage in the place of a session is an anonymous session and an event, and no error", async () => {
    const user = defineSession<Data>({ name: "user", store: fresh() });
    const browser = new Browser(user);
    const events = eventsOf(user);
    const id = await browser.visit(user, (session) => {
      session.set({ visits: 1 });
      return session.id;
    });
    expect(browser.jar.has(COOKIE)).toBe(true);
    await client.send("SET", [`${prefix}user/${id}`, "garbage"]);
    expect(await browser.visit(user, ({ isNew }) => isNew)).toBe(true);
    expect(events.some((event) => event.startsWith("rejected:"))).toBe(true);
  });

  test("another application's key in the place of a record fails the call, and is left alone", async () => {
    fresh();
    const name = `${prefix}user/1`;
    await client.send("HSET", [name, "field", "1"]);
    const base = record();
    const verbs: readonly (() => unknown)[] = [
      () => store.read("user/1", call),
      () => store.create("user/1", record(), call),
      () => store.update("user/1", record(), base, call),
      () => store.touch("user/1", now + 1, call),
      () => store.delete("user/1", call),
    ];
    for (const verb of verbs) await expect(verb()).rejects.toThrow("WRONGTYPE");
    expect(await client.send("HGETALL", [name])).toEqual(["field", "1"]);
    expect((await store.list("", { limit: 10 }, call)).records).toEqual([]);
    expect(await store.count("", call)).toBe(0);
  });

  test("another application's key in the place of a record does not stop the sweep", async () => {
    fresh();
    for (let i = 0; i < 20; i++) await store.create(`user/${i}`, record(), call);
    for (let i = 0; i < 20; i += 2) {
      await client.send("DEL", [`${prefix}user/${i}`]);
      await client.send("HSET", [`${prefix}user/${i}`, "field", "1"]);
    }
    expect(await store.deleteExpired?.(1_000, { now: now + 3_600_000 })).toBe(10);
    expect(await client.send("KEYS", [`${prefix}~*`])).toEqual([]);
  });

  test("other keys with its prefix are not listed, and special characters in a prefix mean nothing", async () => {
    const odd = `o${++made}[a-z]*?\\:`;
    const mine = redisStore(client, { prefix: odd });
    const other = redisStore(client, { prefix: odd.replace("[a-z]", "b") });
    await mine.create("user/1", record({ subject: "user/ada" }), call);
    await other.create("user/2", record({ subject: "user/ada" }), call);
    expect((await mine.list("", { limit: 10 }, call)).records.map(({ key }) => key)).toEqual(["user/1"]);
    expect(await mine.count("", call)).toBe(1);
    expect(await mine.deleteBySubject("user/ada", {}, call)).toEqual(["user/1"]);
    expect(await other.count("", call)).toBe(1);
  });

  test("P18: a script that a client sends twice after a lost connection does no harm", async () => {
    prefix = `o${++made}:`;
    // As ioredis does: the server has done it, the answer was lost.
    const twice = {
      send: async (name: string, args: readonly string[]) => {
        await client.send(name, args).catch(() => undefined);
        return await client.send(name, args);
      },
    };
    const store2 = redisStore(twice, { prefix });
    const first = record({ subject: "user/ada" });
    expect(await store2.create("user/1", first, call)).toBe(false);
    expect((await store2.read("user/1", call))?.version).toBe(first.version);
    const next = record({ subject: "user/ada" });
    expect(await store2.update("user/1", next, first, call)).toBe("conflict");
    expect((await store2.read("user/1", call))?.version).toBe(next.version);
    const user = defineSession<Data>({ name: "user", store: store2 });
    const browser = new Browser(user);
    await browser.visit(user, (session) => session.set({ visits: 1 }));
    await browser.visit(user, (session) => session.update((data) => ({ visits: (data?.visits ?? 0) + 1 })));
    expect(await browser.visit(user, ({ data }) => data)).toEqual({ visits: 2 });
  });

  test("a client that is connected later is no error", async () => {
    const later = createClient({ url: `redis://127.0.0.1:${servers.nodes[0]!.port}` });
    const over = redisStore(later, { prefix: `o${++made}:` });
    await expect(over.read("user/1", call)).rejects.toThrow();
    await later.connect();
    expect(await over.read("user/1", call)).toBeUndefined();
    later.destroy();
  });

  test("a call that nobody waits for any more is not sent by node-redis", async () => {
    const own = createClient({ url: `redis://127.0.0.1:${servers.nodes[0]!.port}` });
    await own.connect();
    const over = redisStore(own, { prefix: `o${++made}:`, expiredEvents: false });
    await expect(over.create("user/1", record(), { now, signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
    expect(await over.read("user/1", call)).toBeUndefined();
    own.destroy();
  });
});

describe("redisStore refuses", () => {
  test.each([undefined, null, {}, "redis://localhost", 1, { get() {}, set() {} }, () => {}])(
    "what is no client of Redis: %s",
    (client) => {
      expect(() => redisStore(client as RedisClient)).toThrow(TypeError);
      expect(() => redisStore(client as RedisClient)).toThrow(/node-redis.*ioredis.*valkey-glide.*Bun/);
    },
  );

  test("clients of ioredis that would read or name keys otherwise than they are written", async () => {
    const prefixed = new Ioredis6({ lazyConnect: true, keyPrefix: "app:" });
    expect(() => redisStore(prefixed)).toThrow(/keyPrefix/);
    const { Cluster } = await import("ioredis");
    const cluster = new Cluster([{ host: "127.0.0.1", port: 1 }], { lazyConnect: true, scaleReads: "slave" });
    expect(() => redisStore(cluster)).toThrow(/scaleReads/);
  });

  const client = { send: async () => null };
  test.each([
    [{ prefix: "\ud800" }, "prefix"],
    [{ prefix: 1 }, "prefix"],
    [{ preffix: "x" }, "preffix"],
    [{ expiredEvents: "yes" }, "expiredEvents"],
    [{ watch: 1 }, "watch"],
    [{ watch: true, subscriber: {} }, "redisStore"],
    [{ sweepInterval: -1 }, "sweepInterval"],
    [{ wait: { replicas: 0, timeout: "1s" } }, "wait.replicas"],
    [{ wait: { replicas: 1 } }, "wait.timeout"],
    [{ wait: { replicas: 1, timeout: "1s", acks: 1 } }, "acks"],
  ])("options that cannot work, naming them: %j", (options, named) => {
    expect(() => redisStore(client, options as never)).toThrow(TypeError);
    expect(() => redisStore(client, options as never)).toThrow(named);
  });
});
