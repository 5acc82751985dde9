import { createServer, type AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import Memcached from "memcached";
import { Client as Memjs } from "memjs";
import { MEMCACHED_CLIENTS, type ConnectedMemcached } from "../../test/servers/memcached-clients.ts";
import { MEMCACHED_PROGRAMS, startMemcached, type MemcachedServer } from "../../test/servers/memcached.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { Browser, COOKIE, eventsOf, type Data } from "../../test/testbed.ts";
import { defineSession, StoreError } from "../index.ts";
import { memcachedStore, type MemcachedClient, type MemcachedStore } from "./memcached.ts";
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

const ODD_TEXT = 'a\ud800 ~ \0\t\r\n\\\r\n\\\n é日本語😀 $& $1 \u2028\ufeff"END\r\nVALUE x 0 1';

const CLIENTS = Object.keys(MEMCACHED_CLIENTS);

describeWithServers("memcachedStore and what else may be in Memcached", MEMCACHED_PROGRAMS, () => {
  let server: MemcachedServer;
  const clients = new Map<string, ConnectedMemcached>();
  beforeAll(async () => {
    server = await startMemcached();
    for (const name of CLIENTS) clients.set(name, MEMCACHED_CLIENTS[name]!([server.port]));
  });
  afterAll(async () => {
    for (const { close } of clients.values()) close();
    await server?.stop();
  });
  const storeOver = (name: string, prefix: string, maxValueBytes?: number): MemcachedStore =>
    memcachedStore(clients.get(name)!.client, { prefix, maxValueBytes });
  /** What the client itself puts before names. */
  const before = (client: string): string => (client.endsWith("namespace") ? "shop." : "");

  test("all clients read what any of them has written, letter by letter", async () => {
    const same = CLIENTS.filter((name) => before(name) === "");
    for (const [i, writer] of same.entries()) {
      const written = record({ version: ODD_TEXT, subject: ODD_TEXT, value: ODD_TEXT });
      const keys = [`user/${i}`, `${ODD_TEXT}${i}`];
      for (const key of keys) {
        expect(await storeOver(writer, "same:").create(key, written, call)).toBe(true);
        for (const reader of same) {
          const found = await storeOver(reader, "same:").read(key, call);
          expect({ ...found, revision: undefined }, `${writer}, ${reader}`).toEqual({
            ...written,
            revision: undefined,
          });
        }
        expect(await storeOver(writer, "same:").touch(key, now + 90_000, call)).toBe(true);
        expect(await storeOver(writer, "same:").read(key, call)).toMatchObject({ ...written, expiresAt: now + 90_000 });
      }
    }
  });

  const GARBAGE: Readonly<Record<string, string>> = {
    "no text at all": "\0\xff\xfe\x80",
    nothing: "",
    "somebody's JSON": '{"user":1}',
    "nearly a header": "1zzzzzzzzzzzversion without an end",
    "the digit that ours begin with": "1",
  };

  describe.each(CLIENTS)("%s:", (client) => {
    test.each(Object.entries(GARBAGE))(
      "%s in the place of a record comes back as text, and is there",
      async (_, bytes) => {
        const prefix = `o${++made}:`;
        const store = storeOver(client, prefix);
        expect(await server.ask(`set ${before(client)}${prefix}user/1 0 0 ${bytes.length}\r\n${bytes}`)).toEqual([
          "STORED",
        ]);
        const found = await store.read("user/1", call);
        expect(typeof found?.value).toBe("string");
        expect(found?.expiresAt).toBeGreaterThan(now);
        expect(await store.create("user/1", record(), call)).toBe(false);
        expect(await store.touch("user/1", now + 48 * 3_600_000, call)).toBe(true);
        expect((await store.read("user/1", call))?.value).toBe(found?.value);
        expect(await store.delete("user/1", call)).toBe(true);
        expect(await store.read("user/1", call)).toBeUndefined();
      },
    );

    test("what somebody has flagged as a number or as JSON is text, too", async () => {
      const prefix = `o${++made}:`;
      await server.ask(`set ${before(client)}${prefix}user/1 8 0 2\r\n41`);
      await server.ask(`set ${before(client)}${prefix}user/2 2 0 7\r\n{"a":1}`);
      expect((await storeOver(client, prefix).read("user/1", call))?.value).toBe("41");
      expect((await storeOver(client, prefix).read("user/2", call))?.value).toBe('{"a":1}');
    });

    test("a session of maxValueBytes is kept; one that is larger is an error that says so, before anything is sent", async () => {
      const most = 1_048_576 - 1024;
      const prefix = `o${++made}:`;
      const store = storeOver(client, prefix);
      // The longest name; escapes and letters of two bytes count as what they take.
      const key = "k".repeat(250 - before(client).length - prefix.length);
      const empty = record({ version: "v", value: "" });
      const value = (bytes: number): string => "é~".repeat(1_000).padEnd(bytes - 5_000, "x");
      const largest = { ...empty, value: value(most - 15) };
      expect(await store.create(key, largest, call)).toBe(true);
      expect((await store.read(key, call))?.value).toBe(largest.value);
      const tooLarge = { ...empty, version: "w", value: value(most - 14) };
      const base = await store.read(key, call);
      await expect(store.update(key, tooLarge, base!, call)).rejects.toThrow(
        `${most + 1} bytes is larger than maxValueBytes`,
      );
      await expect(store.create("user/2", tooLarge, call)).rejects.toThrow(/maxValueBytes/);
      expect((await store.read(key, call))?.version).toBe("v");
      await store.delete(key, call);
    });

    test("a call that nobody waits for any more ends at once, and is not sent", async () => {
      const store = storeOver(client, `o${++made}:`);
      const aborted = { now, signal: AbortSignal.abort(new Error("given up")) };
      await expect(store.create("user/1", record(), aborted)).rejects.toThrow("given up");
      expect(await store.read("user/1", call)).toBeUndefined();
      server.process.pause();
      try {
        const controller = new AbortController();
        const reading = Promise.resolve(store.read("user/1", { now, signal: controller.signal }));
        controller.abort(new Error("given up later"));
        await expect(reading).rejects.toThrow("given up later");
      } finally {
        server.process.resume();
      }
    });
  });

  test("garbage in the place of a session is an anonymous session and an event, and no error", async () => {
    const prefix = `o${++made}:`;
    const user = defineSession<Data>({ name: "user", store: storeOver("memjs", prefix) });
    const browser = new Browser(user);
    const events = eventsOf(user);
    const id = await browser.visit(user, (session) => {
      session.set({ visits: 1 });
      return session.id;
    });
    expect(browser.jar.has(COOKIE)).toBe(true);
    await server.ask(`set ${prefix}user/${id} 0 0 7\r\ngarbage`);
    expect(await browser.visit(user, ({ isNew }) => isNew)).toBe(true);
    expect(events.some((event) => event.startsWith("rejected:"))).toBe(true);
  });

  test("memcached: an answer that is not one to the question is an error, and nobody's session", async () => {
    const prefix = `o${++made}:`;
    const client = new Memcached(`127.0.0.1:${server.port}`, { poolSize: 1 });
    const store = memcachedStore(client, { prefix });
    await store.create("user/2", record(), call);
    // This client tells where an answer ends by its line ends.
    const evil = `a\r\nEND\r\nVALUE ${prefix}user/3 0 1 9\r\nx`;
    await server.ask(`set ${prefix}user/1 0 0 ${evil.length}\r\n${evil}`);
    const [first, second] = await Promise.allSettled([store.read("user/1", call), store.read("user/2", call)]);
    expect(first).toMatchObject({ status: "fulfilled", value: { value: "a" } });
    expect(second).toMatchObject({
      status: "rejected",
      reason: { message: expect.stringContaining("another question") },
    });
    client.end();
  });

  test("a session that is too large is a StoreError, and the one before it stays", async () => {
    const user = defineSession<Data>({ name: "user", store: storeOver("memcached", `o${++made}:`, 2_000) });
    const browser = new Browser(user);
    await browser.visit(user, (session) => session.set({ name: "Ada" }));
    const secret = "a secret ".repeat(500);
    const failure: unknown = await browser
      .visit(user, (session) => session.set({ name: secret }))
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StoreError);
    expect(String((failure as StoreError).cause)).toMatch(/maxValueBytes, 2000/);
    expect(String((failure as StoreError).cause)).not.toContain("a secret");
    expect(await browser.visit(user, ({ data }) => data)).toEqual({ name: "Ada" });
  });

  test.each(CLIENTS.filter((name) => !name.startsWith("memjs")))(
    "%s: a proxy that says that its servers are away (SERVER_ERROR) fails every verb: that is not 'no session'",
    async (client) => {
      const proxy = createServer((socket) =>
        socket.on("data", () => socket.write("SERVER_ERROR connection refused\r\n")),
      );
      await new Promise<void>((resolve) => {
        proxy.listen(0, "127.0.0.1", resolve);
      });
      const base = record({ revision: undefined });
      const verbs: readonly ((store: MemcachedStore) => unknown)[] = [
        (store) => store.read("user/1", call),
        (store) => store.create("user/1", record(), call),
        (store) => store.update("user/1", record(), base, call),
        (store) => store.update("user/1", record(), { ...base, revision: `7 ${base.version}` }, call),
        (store) => store.touch("user/1", now + 90_000, call),
        (store) => store.delete("user/1", call),
      ];
      for (const verb of verbs) {
        const { client: one, close } = MEMCACHED_CLIENTS[client]!([(proxy.address() as AddressInfo).port]);
        await expect(verb(memcachedStore(one))).rejects.toThrow();
        close();
      }
      proxy.close();
    },
  );

  test("what Memcached cannot do is an error that names the store: lists, counts, sessions of a subject", async () => {
    const { manager } = defineSession<Data>({ name: "user", store: storeOver("memjs", `o${++made}:`) });
    for (const wanted of [() => manager.list("ada"), () => manager.revokeAll("ada"), () => manager.count()]) {
      await expect(wanted()).rejects.toThrow(TypeError);
      await expect(wanted()).rejects.toThrow(/memcachedStore/);
    }
  });

  test("a server without compare-and-set (-C) is an error that says so", async () => {
    const without = await startMemcached(["-C"]);
    const { client, close } = MEMCACHED_CLIENTS["memjs"]!([without.port]);
    try {
      const store = memcachedStore(client);
      await store.create("user/1", record(), call);
      await expect(store.read("user/1", call)).rejects.toThrow(/-C/);
    } finally {
      close();
      await without.stop();
    }
  });
});

describe("memcachedStore refuses", () => {
  test.each([
    undefined,
    null,
    {},
    "localhost:11211",
    1,
    { get() {}, set() {} },
    () => {},
    { gets() {}, add() {}, cas() {} },
  ])("what is no client of Memcached: %s", (client) => {
    expect(() => memcachedStore(client as unknown as MemcachedClient)).toThrow(TypeError);
    expect(() => memcachedStore(client as unknown as MemcachedClient)).toThrow(
      /memjs.*memcached.*gets, add, cas and delete/,
    );
  });

  test.each([
    ["memjs with failover", /failover/, () => Memjs.create("127.0.0.1:1", { failover: true })],
    ["memcached with remove", /remove/, () => new Memcached("127.0.0.1:1", { remove: true })],
    [
      "memcached with failOverServers",
      /failOverServers/,
      () => new Memcached("127.0.0.1:1", { failOverServers: ["127.0.0.1:2"] }),
    ],
    [
      "memcached with redundancy",
      /redundancy/,
      () => new Memcached(["127.0.0.1:1", "127.0.0.1:2"], { redundancy: 1 } as object),
    ],
    ["memcached with shorter keys", /maxKeySize/, () => new Memcached("127.0.0.1:1", { maxKeySize: 100 })],
    [
      "memcached with a long namespace",
      /namespace/,
      () => new Memcached("127.0.0.1:1", { namespace: "n".repeat(200) }),
    ],
  ] as const)("clients that would keep a session on several servers, or not keep it: %s", (_, named, make) => {
    expect(() => memcachedStore(make())).toThrow(TypeError);
    expect(() => memcachedStore(make())).toThrow(named);
  });

  const client = {
    gets: async () => undefined,
    add: async () => true,
    cas: async () => "stored" as const,
    delete: async () => true,
  };
  test.each([
    [{ prefix: 1 }, "prefix"],
    [{ prefix: "" }, "prefix"],
    [{ prefix: "app" }, "prefix"],
    [{ prefix: "my app:" }, "prefix"],
    [{ prefix: "$&:" }, "prefix"],
    [{ prefix: `${"p".repeat(200)}:` }, "prefix"],
    [{ preffix: "x:" }, "preffix"],
    [{ maxValueBytes: 0 }, "maxValueBytes"],
    [{ maxValueBytes: 1.5 }, "maxValueBytes"],
  ])("options that cannot work, naming them: %j", (options, named) => {
    expect(() => memcachedStore(client, options as never)).toThrow(TypeError);
    expect(() => memcachedStore(client, options as never)).toThrow(named);
  });

  test("more bytes than the client memcached sends", () => {
    const small = new Memcached("127.0.0.1:1");
    expect(() => memcachedStore(small, { maxValueBytes: 2_000_000 })).toThrow(/maxValue: set that, too/);
  });
});
