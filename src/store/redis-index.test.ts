import { afterAll, beforeAll, expect, test } from "vitest";
import { REDIS_PROGRAMS, startRedis, type RedisTopology } from "../../test/servers/redis.ts";
import { RespClient } from "../../test/servers/resp.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { Browser, eventsOf, HOUR, MINUTE, SECOND, type Data } from "../../test/testbed.ts";
import { defineSession } from "../index.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { redisStore, type RedisStore } from "./redis.ts";
import { EXPIRED_FOR, type StoredRecord } from "./store.ts";

let made = 0;
const START = Date.UTC(2026, 0, 1);
const DAY = 24 * HOUR;

function record(fields: Partial<StoredRecord>): StoredRecord {
  return { version: `v${++made}`, expiresAt: START + 30 * MINUTE, value: "{}", ...fields };
}

async function keysOf(store: RedisStore, subject: string, now: number): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.listBySubject(subject, { now })) keys.push(key);
  return keys;
}

describeWithServers("the indexes of redisStore", REDIS_PROGRAMS, () => {
  let servers: RedisTopology;
  let client: RespClient;
  beforeAll(async () => {
    servers = await startRedis();
    client = await RespClient.connect(servers.nodes[0]!.port);
  });
  afterAll(async () => {
    client?.close();
    await servers?.stop();
  });

  function fresh(): { readonly store: RedisStore; readonly prefix: string; readonly index: string } {
    const prefix = `i${++made}:`;
    return { prefix, index: `${prefix}~s:user/ada`, store: redisStore(client, { prefix, sweepInterval: false }) };
  }

  const subject = "user/ada";

  test("P28: a member without a record is removed when it is older than a minute, and not before", async () => {
    const { store, prefix, index } = fresh();
    for (const id of ["old", "young", "there"]) {
      const now = id === "old" ? START : START + EXPIRED_FOR + MINUTE;
      await store.create(`user/${id}`, record({ subject, expiresAt: START + HOUR }), { now });
      // As if the one who wrote the index had not got further.
      if (id !== "there") await client.send("DEL", [`${prefix}user/${id}`]);
    }
    const now = START + EXPIRED_FOR + MINUTE + SECOND;
    expect(await keysOf(store, subject, now)).toEqual(["user/there"]);
    expect(await client.send("ZRANGE", [index, "0", "-1"])).toEqual(expect.arrayContaining(["young", "there"]));
    expect(await client.send("ZCARD", [index])).toBe(2);
  });

  test("P28: the index is written before the record: of a create or sign-in that broke off nothing can be missed", async () => {
    const { prefix } = fresh();
    // Names, each where it came first: a script that is new to the server is sent twice.
    const written = new Set<string>();
    const recording = redisStore(
      {
        send: async (name: string, args: readonly string[]) => {
          written.add(args.find((arg) => arg.startsWith(prefix)) ?? "");
          return await client.send(name, args);
        },
      },
      { prefix, sweepInterval: false },
    );
    const guest = record({});
    await recording.create("user/1", guest, { now: START });
    written.clear();
    await recording.create("user/2", record({ subject }), { now: START });
    expect([...written].slice(-2)).toEqual([`${prefix}~s:user/ada`, `${prefix}user/2`]);
    written.clear();
    await recording.update("user/1", record({ subject }), guest, { now: START });
    expect([...written]).toEqual([`${prefix}~s:user/ada`, `${prefix}user/1`]);
  });

  test("a session that is used for days stays in the list of its subject, though touches do not write it each time", async () => {
    const clock = fakeClock(START);
    const prefix = `i${++made}:`;
    let commands = 0;
    const counting = {
      send: (name: string, args: readonly string[]) => {
        commands++;
        return client.send(name, args);
      },
    };
    const store = redisStore(counting, { prefix, clock, expiredEvents: false });
    const user = defineSession<Data>({ name: "user", store, clock, absoluteTimeout: false, renewalTimeout: false });
    const browser = new Browser(user);
    await browser.visit(user, (session) => session.authenticate("ada"));
    const index = `${prefix}~s:user/ada`;
    const visits = (3 * DAY) / (10 * MINUTE);
    commands = 0;
    for (let i = 0; i < visits; i++) {
      clock.advance(10 * MINUTE);
      await browser.visit(user, (session) => (i % 2 === 0 ? undefined : session.set({ visits: i })));
      // Redis counts real time: it must not be able to drop the index before the record.
      const [name] = ((await client.send("KEYS", [`${prefix}user/*`])) as string[]) ?? [];
      const [ofIndex, ofRecord] = await Promise.all([client.send("PTTL", [index]), client.send("PTTL", [name ?? ""])]);
      expect(Number(ofIndex)).toBeGreaterThan(Number(ofRecord));
      const [, score] = (await client.send("ZRANGE", [index, "0", "-1", "WITHSCORES"])) as [string, string];
      expect(Math.floor(Number(score) / 2 ** 32) * HOUR, "listed until").toBeGreaterThanOrEqual(
        clock.now() + 33 * MINUTE,
      );
    }
    expect(commands / visits, "commands a visit").toBeLessThan(2.1);
    const [summary] = await user.manager.list("ada");
    expect(await user.manager.revokeAll("ada")).toBe(1);
    expect(await store.read(`user/${summary?.id}`, { now: clock.now() })).toBeUndefined();
  });

  test("one who signs in every day for years leaves no old members behind", async () => {
    const { store, index } = fresh();
    for (let day = 0; day < 400; day++) {
      const now = START + day * DAY;
      await store.create(`user/${day}`, record({ subject, expiresAt: now + 12 * HOUR }), { now });
    }
    expect(Number(await client.send("ZCARD", [index]))).toBeLessThan(5);
    expect(await keysOf(store, subject, START + 399 * DAY)).toEqual(["user/399"]);
  });

  test("an update whose base is not what it says still lists the record first", async () => {
    const { store } = fresh();
    const first = record({ subject: "user/bob" });
    await store.create("user/1", first, { now: START });
    const lie = { ...first, subject };
    const call = { now: START, previousSubject: subject };
    expect(await store.update("user/1", record({ subject }), lie, call)).toBe("ok");
    expect(await keysOf(store, subject, START)).toEqual(["user/1"]);
    expect(await keysOf(store, "user/bob", START)).toEqual([]);
  });

  test("a touch that meets a change of the subject lists the record under the new one", async () => {
    const prefix = `i${++made}:`;
    const plain = redisStore(client, { prefix, sweepInterval: false });
    const first = record({ subject: "user/bob" });
    await plain.create("user/1", first, { now: START });
    let scripts = 0;
    const slow = redisStore(
      {
        send: async (name: string, args: readonly string[]) => {
          // Between the look at the record and the index, which the touch writes because its end is far beyond.
          if (name === "EVALSHA" && ++scripts === 2) {
            expect(await plain.update("user/1", record({ subject }), first, { now: START })).toBe("ok");
          }
          return await client.send(name, args);
        },
      },
      { prefix, sweepInterval: false },
    );
    expect(await slow.touch("user/1", START + 30 * DAY, { now: START })).toBe(true);
    expect(await keysOf(plain, subject, START + 29 * DAY)).toEqual(["user/1"]);
    const index = `${prefix}~s:user/ada`;
    expect(Number(await client.send("PTTL", [index]))).toBeGreaterThan(30 * DAY);
  });

  test("a record that others delete while all of a subject are deleted is not reported", async () => {
    const { store, prefix } = fresh();
    for (const id of ["1", "2", "3", "4"]) await store.create(`user/${id}`, record({ subject }), { now: START });
    await client.send("DEL", [`${prefix}user/2`]);
    const third = await store.read("user/3", { now: START });
    await store.update("user/3", record({ subject: "user/bob" }), third!, { now: START });
    const deleted = await store.deleteBySubject(subject, { except: "user/4" }, { now: START });
    expect(deleted).toEqual(["user/1"]);
    expect(await store.read("user/3", { now: START }), "has another subject by then").toBeDefined();
    expect(await store.read("user/4", { now: START })).toBeDefined();
  });

  test("whoever sweeps may die at any command: every end is told of at least once, and no other", async () => {
    for (let lastCommand = 1, died = true; died; lastCommand++) {
      const prefix = `i${++made}:`;
      const store = redisStore(client, { prefix, sweepInterval: false });
      const over = Array.from({ length: 4 }, (_, i) => `user/over${i}`);
      for (const key of over) await store.create(key, record({ expiresAt: START + 5 * MINUTE }), { now: START });
      await store.create("user/touched", record({ expiresAt: START + 5 * MINUTE }), { now: START });
      await store.touch("user/touched", START + HOUR, { now: START });
      await store.create("user/deleted", record({ expiresAt: START + 5 * MINUTE }), { now: START });
      await store.delete("user/deleted", { now: START });
      const told: string[] = [];
      let commands = 0;
      died = false;
      const mortal = redisStore(
        {
          send: async (name: string, args: readonly string[]) => {
            if (++commands > lastCommand) {
              died = true;
              throw new Error("dead");
            }
            return await client.send(name, args);
          },
        },
        { prefix, sweepInterval: false },
      );
      mortal.onExpired?.(({ key }) => told.push(key));
      const now = START + 5 * MINUTE + EXPIRED_FOR + 1;
      if (lastCommand > 500) throw new Error("the sweep has no end");
      await Promise.resolve(mortal.deleteExpired?.(100, { now })).catch(() => undefined);
      // Its leases run out by themselves after half a minute.
      for (let shard = 0; shard < 8; shard++) await client.send("DEL", [`${prefix}~t:{${shard}}:lease`]);
      store.onExpired?.(({ key }) => told.push(key));
      await store.deleteExpired?.(100, { now });
      expect([...new Set(told)].toSorted(), `after command ${lastCommand}`).toEqual(over);
      told.length = 0;
      await store.deleteExpired?.(100, { now: START + HOUR + EXPIRED_FOR + 2 * MINUTE });
      expect(told, "the touched one, when its time had come").toEqual(["user/touched"]);
      expect(await client.send("KEYS", [`${prefix}*`]), "nothing is left").toEqual([]);
    }
  });

  test("of two that sweep at once each end is removed by one", async () => {
    const { store, prefix } = fresh();
    const keys = Array.from({ length: 300 }, (_, i) => `user/${i}`);
    await Promise.all(keys.map((key) => store.create(key, record({}), { now: START })));
    const other = redisStore(client, { prefix, sweepInterval: false });
    const told: string[] = [];
    for (const one of [store, other]) one.onExpired?.(({ key }) => told.push(key));
    const now = START + HOUR;
    let removed = 0;
    for (let round = 0; round < 20 && removed < keys.length; round++) {
      const answers = await Promise.all([store, other].map((one) => one.deleteExpired?.(1_000, { now })));
      for (const answer of answers) removed += answer ?? 0;
    }
    expect(removed).toBe(keys.length);
    expect(told.toSorted(), "told of by one").toEqual(keys.toSorted());
  });

  test("a record whose end was moved forward waits for the sweep that was noted at first", async () => {
    const { store, prefix } = fresh();
    const first = record({ expiresAt: START + 3 * DAY });
    await store.create("user/1", first, { now: START });
    expect(await store.update("user/1", record({ expiresAt: START + 10 * MINUTE }), first, { now: START })).toBe("ok");
    expect(Number(await client.send("PTTL", [`${prefix}user/1`]))).toBeGreaterThan(3 * DAY);
    const told: string[] = [];
    store.onExpired?.(({ key }) => told.push(key));
    expect(await store.deleteExpired?.(10, { now: START + 3 * DAY + EXPIRED_FOR + MINUTE })).toBe(1);
    expect(told).toEqual(["user/1"]);
  });

  test("a cursor of a server that is not there any more, as after a failover, begins the walk anew", async () => {
    const another = await startRedis();
    const elsewhere = await RespClient.connect(another.port);
    try {
      const prefix = `i${++made}:`;
      const keys = Array.from({ length: 60 }, (_, i) => `user/${i}`);
      const stores = [client, elsewhere].map((one) => redisStore(one, { prefix, sweepInterval: false }));
      for (const store of stores) for (const key of keys) await store.create(key, record({}), { now: START });
      const before = await stores[0]!.list("", { limit: 30 }, { now: START });
      expect(before.cursor).toBeDefined();
      const found: string[] = [];
      let cursor = before.cursor;
      do {
        const page = await stores[1]!.list("", { limit: 30, cursor }, { now: START });
        found.push(...page.records.map(({ key }) => key));
        cursor = page.cursor;
      } while (cursor !== undefined);
      expect([...new Set(found)].toSorted()).toEqual(keys.toSorted());
    } finally {
      elsewhere.close();
      await another.stop();
    }
  });

  test("a manager tells when a session has ended, once, with whose it was", async () => {
    const clock = fakeClock(START);
    const store = redisStore(client, { prefix: `i${++made}:`, clock });
    const user = defineSession<Data>({ name: "user", store, clock });
    const events = eventsOf(user);
    const ended: unknown[] = [];
    user.manager.on("expired", ({ id, subject: whose }) => ended.push([id, whose]));
    const browser = new Browser(user);
    const id = await browser.visit(user, (session) => {
      session.authenticate("ada");
      return session.id;
    });
    clock.advance(20 * MINUTE);
    await browser.visit(user, () => {});
    for (let i = 0; i < 60 && ended.length === 0; i++) {
      await clock.advanceAsync(MINUTE);
      // The sweep talks to a real server.
      await client.send("PING");
      await user.manager.deleteExpired();
    }
    expect(ended).toEqual([[id, "ada"]]);
    expect(events.filter((event) => event === "expired")).toHaveLength(1);
    expect(clock.now() - START).toBeGreaterThan(53 * MINUTE);
    await store.close();
  });

  test("without expiredEvents the store offers no such thing, and Redis removes what is over", async () => {
    const store = redisStore(client, { prefix: `i${++made}:`, expiredEvents: false });
    expect(store.deleteExpired).toBeUndefined();
    expect(store.onExpired).toBeUndefined();
    const user = defineSession<Data>({ name: "user", store });
    expect(() => user.manager.on("expired", () => {})).toThrow(/onExpired.*redisStore/);
    await store.create("user/1", record({ expiresAt: START }), { now: START + EXPIRED_FOR - 1 });
    while ((await client.send("EXISTS", [`i${made}:user/1`])) === 1) await client.send("PING");
  });
});
