import { inspect } from "node:util";
import { Base64KeyCodec, NoopKvCodecs, type KV, type KvCodecs } from "@nats-io/kv";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  connectNats,
  NATS_CLUSTER_PROGRAMS,
  NATS_PROGRAMS,
  startNats,
  startNatsCluster,
  type NatsClient,
  type NatsServers,
} from "../../test/servers/nats.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { Browser, COOKIE, eventsOf, type Data } from "../../test/testbed.ts";
import { defineSession } from "../index.ts";
import { natsStore, type NatsBucket, type NatsStore } from "./nats.ts";
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

describeWithServers("natsStore and what else may be in a bucket", NATS_PROGRAMS, () => {
  let servers: NatsServers;
  let client: NatsClient;
  let bucket: KV;
  let store: NatsStore;
  beforeAll(async () => {
    servers = await startNats();
    client = await connectNats(servers);
  });
  afterAll(async () => {
    await client?.close();
    await servers?.stop();
  });
  beforeEach(async () => {
    bucket = await client.bucket(`o${++made}`);
    store = natsStore(bucket, { sweepInterval: false });
  });

  const GARBAGE: Readonly<Record<string, Uint8Array | string>> = {
    "no text at all": new Uint8Array([0, 255, 254, 128]),
    nothing: "",
    "somebody's JSON": '{"user":1}',
    "nearly a header": '1["version",12',
    "a header with other things in it": '1[1,"x",{}]\n{}',
    "the digit that ours begin with": "1",
  };

  test.each(Object.entries(GARBAGE))(
    "%s in the place of a record comes back as text, and is there",
    async (_, bytes) => {
      const key = "user/1";
      await bucket.put("r.user.1", bytes);
      const found = await store.read(key, call);
      expect(typeof found?.value).toBe("string");
      expect(found?.expiresAt).toBeGreaterThan(now);
      expect(await store.create(key, record(), call)).toBe(false);
      expect(await store.touch(key, now + 90_000, call)).toBe(true);
      expect((await store.read(key, call))?.value).toBe(found?.value);
      expect((await store.list("", { limit: 10 }, call)).records.map((entry) => entry.key)).toEqual([key]);
      expect(await store.deleteExpired(10, { now: now + 3_600_000 })).toBe(0);
      expect(await store.delete(key, call)).toBe(true);
      expect(await store.read(key, call)).toBeUndefined();
    },
  );

  test("garbage in the place of a session is an anonymous session and an event, and no error", async () => {
    const user = defineSession<Data>({ name: "user", store });
    const browser = new Browser(user);
    const events = eventsOf(user);
    const id = await browser.visit(user, (session) => {
      session.set({ visits: 1 });
      return session.id;
    });
    expect(browser.jar.has(COOKIE)).toBe(true);
    await bucket.put(`r.user.${id}`, "garbage");
    expect(await browser.visit(user, ({ isNew }) => isNew)).toBe(true);
    expect(events.some((event) => event.startsWith("rejected:"))).toBe(true);
  });

  test("garbage in the place of the list of a subject, or of what sweeps know, is replaced", async () => {
    await bucket.put("s.user.ada", "garbage");
    await bucket.put("t.state", "garbage");
    await store.create("user/1", record({ subject: "user/ada" }), call);
    expect(await store.deleteBySubject("user/ada", {}, call)).toEqual(["user/1"]);
    await store.create("user/2", record({ subject: "user/ada" }), call);
    expect(await store.deleteExpired(10, { now: now + 3_600_000 })).toBe(1);
  });

  test("what somebody deletes by the means of a bucket is gone, stays so, and its key is free", async () => {
    for (const remove of ["delete", "purge"] as const) {
      const key = `user/${remove}`;
      await store.create(key, record(), call);
      const base = await store.read(key, call);
      await bucket[remove](`r.user.${remove}`);
      expect(await store.read(key, call)).toBeUndefined();
      expect(await store.touch(key, now + 90_000, call)).toBe(false);
      expect(await store.update(key, record(), base!, call)).not.toBe("ok");
      expect(await store.delete(key, call)).toBe(false);
      expect(await store.create(key, record(), call)).toBe(true);
    }
  });

  test("other keys of the bucket are not listed, and are left alone", async () => {
    await bucket.put("r", "x");
    await bucket.put("records.user.1", "x");
    await bucket.put("config", "x");
    await store.create("user/1", record(), call);
    expect((await store.list("", { limit: 10 }, call)).records.map(({ key }) => key)).toEqual(["user/1"]);
    expect(await store.count("", call)).toBe(1);
    expect(await store.deleteExpired(10, { now: now + 3_600_000 })).toBe(1);
    expect((await bucket.get("config"))?.string()).toBe("x");
  });

  test("P18: a write that is sent once more after its answer was lost does nothing", async () => {
    // As when the server has done it, and the connection broke before it said so.
    const twice = Object.assign(Object.create(bucket) as KV, {
      js: {
        ...partsOf(bucket).js,
        nc: client.connection,
        publish: async (...args: readonly unknown[]) => {
          await partsOf(bucket).js.publish(...args);
          return await partsOf(bucket).js.publish(...args);
        },
      },
    });
    const again = natsStore(twice, { sweepInterval: false });
    const first = record();
    expect(await again.create("user/1", first, call)).toBe(false);
    expect((await again.read("user/1", call))?.version).toBe(first.version);
    const next = record();
    expect(await again.update("user/1", next, (await again.read("user/1", call))!, call)).toBe("conflict");
    expect((await again.read("user/1", call))?.version).toBe(next.version);
    const user = defineSession<Data>({ name: "user", store: again });
    const browser = new Browser(user);
    await browser.visit(user, (session) => session.set({ visits: 1 }));
    await browser.visit(user, (session) => session.update((data) => ({ visits: (data?.visits ?? 0) + 1 })));
    expect(await browser.visit(user, ({ data }) => data)).toEqual({ visits: 2 });
  });

  test("P14: an update that was on its way when the record was deleted comes too late, however late", async () => {
    const first = record();
    await store.create("user/1", first, call);
    const base = await store.read("user/1", call);
    await store.delete("user/1", call);
    expect(await store.update("user/1", record(), base!, call)).not.toBe("ok");
    // Nor when the grave has gone, too.
    await store.deleteExpired(10, { now: now + 3_600_000 });
    await store.deleteExpired(10, { now: now + 7_200_000 });
    expect(await bucket.get("r.user.1")).toBeNull();
    expect(await store.update("user/1", record(), base!, call)).not.toBe("ok");
    expect(await store.read("user/1", call)).toBeUndefined();
  });

  test("a bucket that encrypts values does as well; what it cannot decrypt is no session of ours, and no error", async () => {
    const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => byte ^ 0x55);
    const value: KvCodecs["value"] = {
      encode: (data) => flip(typeof data === "string" ? new TextEncoder().encode(data) : data),
      decode(data) {
        if (data[0] === "?".charCodeAt(0)) throw new Error("encrypted under another key");
        return flip(data);
      },
    };
    const sealed = await client.bucket(`o${++made}`, { codec: { ...NoopKvCodecs(), value } });
    const over = natsStore(sealed, { sweepInterval: false });
    const first = record({ value: "secret", subject: "user/ada" });
    await over.create("user/1", first, call);
    expect(await over.update("user/1", record({ value: "new", subject: "user/ada" }), first, call)).toBe("ok");
    expect((await over.read("user/1", call))?.value).toBe("new");
    expect(await over.deleteBySubject("user/ada", {}, call)).toEqual(["user/1"]);
    await partsOf(sealed).js.publish(partsOf(sealed).subjectForKey("r.user.2"), "?");
    expect((await over.read("user/2", call))?.value).toBe("?");
    await over.create("user/3", record(), call);
    expect(await over.deleteExpired(10, { now: now + 3_600_000 })).toBe(1);
    expect(
      (await sealed.status()).streamInfo.state.num_subjects,
      "what cannot be decrypted, the state of sweeps, and a note",
    ).toBeLessThan(4);
  });

  test("a session that is larger than the server takes is an error that says so, and the next one works", async () => {
    const secret = "a secret ".repeat(1_000_000);
    const failure: unknown = await Promise.resolve(store.create("user/1", record({ value: secret }), call)).catch(
      (error: unknown) => error,
    );
    expect(String(failure)).toMatch(/max_payload/);
    expect(inspect(failure, { depth: 9 })).not.toMatch(/a secret|user/);
    expect(await store.create("user/1", record(), call)).toBe(true);
  });

  test("errors of the client name neither keys nor whose sessions they are, as when the bucket is gone", async () => {
    await store.read("user/1", call);
    await bucket.destroy();
    const whose = record({ subject: "user/ada@example.org" });
    const verbs: readonly (() => unknown)[] = [
      () => store.create("user/1", record(), call),
      () => store.create("user/1", whose, call),
      () => store.deleteBySubject("user/ada@example.org", {}, call),
    ];
    for (const verb of verbs) {
      const failure: unknown = await (async () => await verb())().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(Error);
      expect(inspect(failure, { depth: 9, showHidden: true })).not.toMatch(/ada|user\W1/);
    }
  });

  test("what no server takes yet is asked again: of a bucket that was just made not every server knows", async () => {
    await store.read("user/1", call);
    const { bucket: name } = await bucket.status();
    await bucket.destroy();
    const created = store.create("user/1", record(), call);
    await client.bucket(name);
    expect(await created).toBe(true);
    expect(await store.read("user/1", call)).toBeDefined();
  });

  test("a call that nobody waits for any more is not sent", async () => {
    await expect(store.create("user/1", record(), { now, signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
    expect(await store.read("user/1", call)).toBeUndefined();
  });
});

interface Parts {
  subjectForKey(name: string): string;
  readonly js: { publish(...args: readonly unknown[]): Promise<unknown>; readonly nc: { readonly info?: object } };
}

function partsOf(bucket: KV): Parts {
  return bucket as unknown as Parts;
}

describeWithServers("natsStore over a cluster", NATS_CLUSTER_PROGRAMS, () => {
  let servers: NatsServers;
  const clients: NatsClient[] = [];
  beforeAll(async () => {
    servers = await startNatsCluster();
    for (const node of servers.nodes) clients.push(await connectNats({ nodes: [node], replicas: 3 }));
  });
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await servers?.stop();
  });

  test("whatever was acknowledged is read at once, through every server, also where the bucket allows direct access to replicas", async () => {
    const buckets: KV[] = [];
    for (const client of clients) buckets.push(await client.bucket("direct", { allow_direct: true }));
    const stores = buckets.map((bucket) => natsStore(bucket, { sweepInterval: false }));
    await stores[0]!.create("user/1", record(), call);
    const stale = { direct: 0, ours: 0 };
    for (let i = 0; i < 300; i++) {
      const [writer, reader] = [stores[i % 3]!, (i + 1) % 3];
      const next = record();
      expect(await writer.update("user/1", next, (await writer.read("user/1", call))!, call)).toBe("ok");
      const [found, direct] = await Promise.all([
        stores[reader]!.read("user/1", call),
        buckets[reader]!.get("r.user.1"),
      ]);
      if (found?.version !== next.version) stale.ours++;
      if (direct?.string().includes(`"${next.version}"`) !== true) stale.direct++;
    }
    console.log(JSON.stringify(stale));
    expect(stale.ours).toBe(0);
  });

  test("of writers through different servers that follow one record exactly one is told that it has", async () => {
    const stores: NatsStore[] = [];
    for (const client of clients) stores.push(natsStore(await client.bucket("races"), { sweepInterval: false }));
    for (let round = 0; round < 60; round++) {
      const key = `user/${round}`;
      await stores[0]!.create(key, record(), call);
      const base = (await stores[0]!.read(key, call))!;
      const writers = [...stores, ...stores].map((store) => store.update(key, record(), base, call));
      const outcomes = await Promise.all([...writers, stores[round % 3]!.delete(key, call)]);
      expect(outcomes.filter((outcome) => outcome === "ok").length).toBeLessThan(2);
      expect(outcomes.at(-1)).toBe(true);
      for (const store of stores) expect(await store.read(key, call), "deleted for good").toBeUndefined();
    }
  });

  test("of those who sign in as one subject for the first time, through different servers at once, all are listed", async () => {
    const stores: NatsStore[] = [];
    for (const client of clients) stores.push(natsStore(await client.bucket("firsts"), { sweepInterval: false }));
    for (let round = 0; round < 60; round++) {
      const subject = `user/s${round}`;
      const keys = Array.from({ length: 6 }, (_, i) => `user/${round}-${i}`);
      await Promise.all(keys.map(async (key, i) => await stores[i % 3]!.create(key, record({ subject }), call)));
      const deleted = await stores[round % 3]!.deleteBySubject(subject, {}, call);
      expect(deleted.toSorted()).toEqual(keys);
    }
  });

  test("on servers that bring back what has ended every verb is an error that says what to do", async () => {
    const bucket = await clients[0]!.bucket("old");
    const { js } = partsOf(bucket);
    const info = { ...js.nc.info, version: "2.9.10" };
    const nc: unknown = Object.create(js.nc, { info: { value: info } });
    const old = Object.create(bucket, { js: { value: Object.create(js, { nc: { value: nc } }) } }) as KV;
    const store = natsStore(old, { sweepInterval: false });
    await expect(store.read("user/1", call)).rejects.toThrow(/nats-server 2\.9\.10.* upgrade all servers/);
    await expect(store.create("user/1", record(), call)).rejects.toThrow(/upgrade/);
  });
});

describe("natsStore refuses", () => {
  test.each([undefined, null, {}, "nats://localhost", 1, () => {}, { get() {}, put() {}, purge() {}, watch() {} }])(
    "what is no bucket: %s",
    (bucket) => {
      expect(() => natsStore(bucket as NatsBucket)).toThrow(TypeError);
      expect(() => natsStore(bucket as NatsBucket)).toThrow(/@nats-io\/kv/);
    },
  );

  test.each([
    [{ sweepInterval: -1 }, "sweepInterval"],
    [{ sweepIntervall: "1m" }, "sweepIntervall"],
    [{ prefix: "x" }, "prefix"],
    [null, "options"],
  ])("options that cannot work, naming them: %j", (options, named) => {
    const bucket = shapedLike();
    expect(() => natsStore(bucket, options as never)).toThrow(TypeError);
    expect(() => natsStore(bucket, options as never)).toThrow(named);
  });

  test("a bucket whose keys have a codec", () => {
    expect(() => natsStore(shapedLike({ ...NoopKvCodecs(), key: Base64KeyCodec() }))).toThrow(/codec for keys/);
    expect(() => natsStore(shapedLike())).not.toThrow();
  });
});

/** What a bucket is made of, without a server. */
function shapedLike(codec = NoopKvCodecs()): NatsBucket {
  const nothing = (): void => {};
  const parts = {
    stream: "KV_x",
    codec,
    js: { nc: { subscribe: nothing }, publish: nothing },
    jsm: { streams: { getMessage: nothing, info: nothing }, consumers: { add: nothing } },
    subjectForKey: (key: string) => `$KV.x.${key}`,
  };
  return { ...parts, get: nothing, put: nothing, purge: nothing, watch: nothing };
}
