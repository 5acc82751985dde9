import { afterAll, beforeAll, expect, test } from "vitest";
import type { KV } from "@nats-io/kv";
import { connectNats, NATS_PROGRAMS, startNats, type NatsClient, type NatsServers } from "../../test/servers/nats.ts";
import { monitorNats, type NatsMonitor } from "../../test/servers/nats-monitor.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { Browser, HOUR, MINUTE, type Data } from "../../test/testbed.ts";
import { defineSession } from "../index.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { listeners } from "../internal/listeners.ts";
import { natsConnection } from "./nats-client.ts";
import { deleteExpired } from "./nats-sweep.ts";
import { natsStore, type NatsStore } from "./nats.ts";
import { EXPIRED_FOR, type ExpiredRecord, type StoredRecord } from "./store.ts";

let made = 0;
const START = Date.UTC(2026, 0, 1);
const DAY = 24 * HOUR;
const record = (fields: Partial<StoredRecord> = {}): StoredRecord => ({
  version: `v${++made}`,
  expiresAt: START + 5 * MINUTE,
  value: "{}",
  ...fields,
});

describeWithServers("the sweeper of natsStore", NATS_PROGRAMS, () => {
  let servers: NatsServers;
  let client: NatsClient;
  let monitor: NatsMonitor;
  beforeAll(async () => {
    servers = await startNats();
    client = await connectNats(servers);
    monitor = await monitorNats(client);
  });
  afterAll(async () => {
    await client?.close();
    await servers?.stop();
  });

  async function fresh(): Promise<{ readonly bucket: KV; readonly store: NatsStore }> {
    const bucket = await client.bucket(`s${++made}`);
    return { bucket, store: natsStore(bucket, { sweepInterval: false }) };
  }

  /** Keys of all that is in a bucket. */
  async function namesIn(bucket: KV): Promise<readonly string[]> {
    const names: string[] = [];
    for await (const name of await bucket.keys()) names.push(name);
    return names.toSorted();
  }

  test("of 1 000 sessions that come and go nothing is left but what sweeps know", async () => {
    const { bucket, store } = await fresh();
    const keys = Array.from({ length: 1_000 }, (_, i) => `user/${i}`);
    for (let at = 0; at < keys.length; at += 500) {
      const some = keys
        .slice(at, at + 500)
        .map((key, i) => [key, record({ expiresAt: START + (i % 90) * MINUTE })] as const);
      await Promise.all(
        some.map(async ([key, one], i) => {
          await store.create(key, i % 5 === 0 ? { ...one, subject: `user/s${i % 7}` } : one, { now: START - HOUR });
          if (i % 4 === 0) await store.delete(key, { now: START - HOUR });
        }),
      );
    }
    const told: string[] = [];
    store.onExpired(({ key }) => told.push(key));
    let removed = 0;
    for (let now = START; now < START + 3 * HOUR; now += 20 * MINUTE) {
      for (let some = 500; some === 500; removed += some) some = await store.deleteExpired(500, { now });
    }
    expect(removed).toBe(750);
    expect(told.toSorted()).toEqual(keys.filter((_, i) => (i % 500) % 4 !== 0).toSorted());
    expect(await namesIn(bucket)).toEqual(["t.state"]);
    expect((await bucket.status()).streamInfo.state.messages).toBe(1);
  }, 60_000);

  test("of two that sweep at once each end is told of and removed by one", async () => {
    const { bucket, store } = await fresh();
    const keys = Array.from({ length: 300 }, (_, i) => `user/${i}`);
    await Promise.all(keys.map((key) => store.create(key, record(), { now: START })));
    const other = natsStore(bucket, { sweepInterval: false });
    const told: string[] = [];
    for (const one of [store, other]) one.onExpired(({ key }) => told.push(key));
    let removed = 0;
    for (let round = 0; round < 20 && removed < keys.length; round++) {
      const answers = await Promise.all([store, other].map((one) => one.deleteExpired(100, { now: START + HOUR })));
      expect(Math.min(...answers), "one at a time").toBe(0);
      removed += answers[0]! + answers[1]!;
    }
    expect(removed).toBe(keys.length);
    expect(told.toSorted()).toEqual(keys.toSorted());
  });

  test("whoever sweeps may die at any message: every end is told of at least once, and no other", async () => {
    for (let last = 1, died = true; died; last++) {
      const { bucket, store } = await fresh();
      const over = Array.from({ length: 3 }, (_, i) => `user/over${i}`);
      for (const key of over) await store.create(key, record({ subject: "user/ada" }), { now: START });
      await store.create("user/touched", record(), { now: START });
      await store.touch("user/touched", START + HOUR, { now: START });
      await store.create("user/deleted", record({ subject: "user/ada" }), { now: START });
      await store.delete("user/deleted", { now: START });
      const told: string[] = [];
      died = false;
      let messages = 0;
      const mortal = natsStore(
        broken(bucket, () => {
          if (++messages <= last) return;
          died = true;
          throw new Error("dead");
        }),
        { sweepInterval: false },
      );
      mortal.onExpired(({ key }) => told.push(key));
      const now = START + 5 * MINUTE + EXPIRED_FOR + 1;
      if (last > 300) throw new Error("the sweep has no end");
      const failed = await Promise.resolve(mortal.deleteExpired(100, { now })).then(
        () => undefined,
        (error: Error) => error.message,
      );
      expect(failed).toBe(died ? "dead" : undefined);
      store.onExpired(({ key }) => told.push(key));
      // Its lease has run out.
      await store.deleteExpired(100, { now: now + 45_000 });
      expect([...new Set(told)].toSorted(), `after message ${last}`).toEqual(over);
      told.length = 0;
      await store.deleteExpired(100, { now: START + HOUR + EXPIRED_FOR + 2 * MINUTE });
      expect(told, "the touched one, when its time had come").toEqual(["user/touched"]);
      expect(await namesIn(bucket), `what is left after message ${last}`).toEqual(["t.state"]);
      await bucket.destroy();
    }
  }, 60_000);

  test("of many that are new some are noted at a time; whoever dies meanwhile keeps nobody from the rest", async () => {
    const { bucket, store } = await fresh();
    const keys = Array.from({ length: 300 }, (_, i) => `user/${i}`);
    await Promise.all(keys.map((key) => store.create(key, record(), { now: START })));
    const told: string[] = [];
    const expired = listeners<ExpiredRecord>();
    expired.add(({ key }) => told.push(key));
    let deaths = 0;
    /** Whether there is more. It dies at its message `last`. */
    const sweep = async (last: number, now: number): Promise<boolean> => {
      let messages = 0;
      const mortal = broken(bucket, () => {
        if (++messages === last) throw new Error("dead");
      });
      try {
        const { hasMore } = await deleteExpired({ nats: natsConnection(mortal), expired, call: { now } }, 1_000, 60);
        return hasMore;
      } catch (error) {
        expect((error as Error).message).toBe("dead");
        deaths++;
        return true;
      }
    };
    const over = START + 5 * MINUTE + EXPIRED_FOR + MINUTE;
    for (let tries = 1; await sweep(tries * 12, over + tries * 45_000); tries++) expect(tries).toBeLessThan(100);
    expect(deaths).toBeGreaterThan(3);
    expect([...new Set(told)].toSorted()).toEqual(keys.toSorted());
    expect(await namesIn(bucket)).toEqual(["t.state"]);
  }, 60_000);

  test("a session that ends late is noted roughly at first, and more exactly when that comes near: whoever dies at it loses none", async () => {
    // Noted for an even minute, two minutes being the width at two hours; it ends in the odd one after that.
    const end = START + 121 * MINUTE;
    for (let last = 1, died = true; died; last++) {
      const { bucket, store } = await fresh();
      for (const id of ["a", "b"]) await store.create(`user/${id}`, record({ expiresAt: end }), { now: START });
      await store.deleteExpired(100, { now: START });
      died = false;
      let messages = 0;
      const mortal = natsStore(
        broken(bucket, () => {
          if (++messages <= last) return;
          died = true;
          throw new Error("dead");
        }),
        { sweepInterval: false },
      );
      const near = START + 120 * MINUTE + EXPIRED_FOR + 1;
      await Promise.resolve(mortal.deleteExpired(100, { now: near })).catch((error: Error) =>
        expect(error.message).toBe("dead"),
      );
      if (last > 300) throw new Error("the sweep has no end");
      const told: string[] = [];
      store.onExpired(({ key }) => told.push(key));
      await store.deleteExpired(100, { now: near + 45_000 });
      expect(told, "not yet").toEqual([]);
      await store.deleteExpired(100, { now: START + 4 * HOUR });
      expect(told.toSorted(), `after message ${last}`).toEqual(["user/a", "user/b"]);
      expect(await namesIn(bucket), `what is left after message ${last}`).toEqual(["t.state"]);
      await bucket.destroy();
    }
  }, 60_000);

  test("of whoever signs in and out again and again, and of 60 sessions that end at once, no list stays", async () => {
    const { bucket, store } = await fresh();
    for (let i = 0; i < 20; i++) {
      const at = START + i * 7_000;
      await store.create(`user/${i}`, record({ subject: "user/monitor" }), { now: at });
      await store.delete(`user/${i}`, { now: at + 1_000 });
    }
    // Soon after the graves may go, when the members are not old enough to be struck.
    for (let i = 0; i < 30; i++) {
      await store.deleteExpired(100, { now: START + EXPIRED_FOR + MINUTE + i * 10_000 });
    }
    await store.deleteExpired(100, { now: START + HOUR });
    expect(await namesIn(bucket)).toEqual(["t.state"]);
    const keys = Array.from({ length: 60 }, (_, i) => `user/many${i}`);
    const now = START + HOUR;
    await Promise.all(
      keys.map((key) => store.create(key, record({ subject: "user/bot", expiresAt: now + MINUTE }), { now })),
    );
    await store.deleteExpired(500, { now });
    const sent = await monitor.during(async () => {
      expect(await store.deleteExpired(500, { now: now + HOUR })).toBe(keys.length);
    });
    expect(await namesIn(bucket)).toEqual(["t.state"]);
    expect(sent.length, "messages").toBeLessThan(5 * keys.length);
  }, 60_000);

  test("a session that ends within a minute of its sign-in leaves no list", async () => {
    const { bucket, store } = await fresh();
    await store.create("user/1", record({ subject: "user/ada", expiresAt: START + 10_000 }), { now: START });
    const soon = START + 10_000 + EXPIRED_FOR + 1;
    for (let now = soon; now < soon + 20 * MINUTE; now += MINUTE) await store.deleteExpired(100, { now });
    expect(await namesIn(bucket)).toEqual(["t.state"]);
  });

  test("a session that is used for days costs a sweep as much as one that is not, and outlives all sweeps", async () => {
    const clock = fakeClock(START);
    const { bucket } = await fresh();
    const store = natsStore(bucket, { clock, sweepInterval: false });
    const user = defineSession<Data>({ name: "user", store, clock, absoluteTimeout: false, renewalTimeout: false });
    const browser = new Browser(user);
    await browser.visit(user, (session) => session.authenticate("ada"));
    let most = 0;
    for (let i = 0; i < 200; i++) {
      clock.advance(10 * MINUTE);
      await browser.visit(user, () => {});
      const sent = await monitor.during(async () => store.deleteExpired(100, { now: clock.now() }));
      most = Math.max(most, sent.length);
    }
    expect(most).toBeLessThan(30);
    expect((await namesIn(bucket)).length).toBeLessThan(12);
    expect(await user.manager.revokeAll("ada")).toBe(1);
  });

  test("a session without an end that was signed out stays buried", async () => {
    const { bucket, store } = await fresh();
    await store.create("user/1", record({ expiresAt: Infinity }), { now: START });
    await store.delete("user/1", { now: START });
    for (let now = START; now < START + 30 * DAY; now += DAY) await store.deleteExpired(100, { now });
    expect((await bucket.get("r.user.1"))?.string()).toMatch(/^0\[\d+,null]$/);
    expect(await store.read("user/1", { now: START + 30 * DAY })).toBeUndefined();
  });

  test("a sweep with nothing to do is four messages", async () => {
    const { store } = await fresh();
    await store.create("user/1", record({ expiresAt: START + DAY }), { now: START });
    await store.deleteExpired(100, { now: START });
    const sent = await monitor.during(async () => store.deleteExpired(100, { now: START + MINUTE }));
    expect(sent).toEqual(["GET", "PUT t", "GET", "PUT t"]);
  });

  test("P28: a member without a record is struck when it is older than a minute, and not before", async () => {
    const { bucket, store } = await fresh();
    const later = START + EXPIRED_FOR + MINUTE;
    for (const id of ["old", "young", "there"]) {
      const now = id === "old" ? START : later;
      await store.create(`user/${id}`, record({ subject: "user/ada", expiresAt: START + HOUR }), { now });
      // As if the one who listed it had not got further.
      if (id !== "there") await bucket.purge(`r.user.${id}`);
    }
    const found: string[] = [];
    for await (const { key } of store.listBySubject("user/ada", { now: later + 1_000 })) found.push(key);
    expect(found).toEqual(["user/there"]);
    expect(await bucket.get("s.user.ada").then((entry) => entry?.json())).toEqual([
      ["user/young", later],
      ["user/there", later],
    ]);
  });

  test("a manager tells when a session has ended, once, with whose it was", async () => {
    const clock = fakeClock(START);
    const { bucket } = await fresh();
    const store = natsStore(bucket, { clock });
    const user = defineSession<Data>({ name: "user", store, clock });
    const ended: unknown[] = [];
    user.manager.on("expired", ({ id, subject }) => ended.push([id, subject]));
    const browser = new Browser(user);
    const id = await browser.visit(user, (session) => {
      session.authenticate("ada");
      return session.id;
    });
    for (let i = 0; i < 60 && ended.length === 0; i++) {
      await clock.advanceAsync(MINUTE);
      // The sweep talks to a real server.
      await client.connection.flush();
      await user.manager.deleteExpired();
    }
    expect(ended).toEqual([[id, "ada"]]);
    await store.close();
  });
});

/** A bucket that is told of each message before it is sent. */
function broken(bucket: KV, before: () => void): KV {
  type Asking = Record<string, (...args: readonly unknown[]) => Promise<unknown>>;
  const { js, jsm } = bucket as unknown as {
    readonly js: Asking;
    readonly jsm: { streams: Asking; consumers: Asking };
  };
  const through = (of: Asking, names: readonly string[]): object =>
    Object.assign(
      Object.create(of) as object,
      Object.fromEntries(
        names.map((name) => [
          name,
          async (...args: readonly unknown[]) => {
            before();
            return await of[name]!(...args);
          },
        ]),
      ),
    );
  return Object.assign(Object.create(bucket) as KV, {
    js: through(js, ["publish"]),
    jsm: { consumers: through(jsm.consumers, ["add"]), streams: through(jsm.streams, ["getMessage", "purge", "info"]) },
  });
}
