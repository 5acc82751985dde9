import { connect, createServer, type AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { MEMCACHED_CLIENTS } from "../../test/servers/memcached-clients.ts";
import { MEMCACHED_PROGRAMS, startMemcached, type MemcachedServer } from "../../test/servers/memcached.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { until } from "../../test/servers/server-process.ts";
import { Browser, eventsOf, type Data } from "../../test/testbed.ts";
import { defineSession, StoreError, type SessionDefinition } from "../index.ts";
import { memcachedStore } from "./memcached.ts";
import type { StoredRecord } from "./store.ts";

const PATIENCE = 1_000;
const now = Date.now();
const call = { now };

/** What is to be ended when a test is over, the last first. */
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

async function started(...args: readonly string[]): Promise<MemcachedServer> {
  const server = await startMemcached(args);
  ends.push(() => server.stop());
  return server;
}

function defined(client: string, ports: readonly number[]): SessionDefinition<Data> {
  const connected = MEMCACHED_CLIENTS[client]!(ports);
  ends.push(() => connected.close());
  return defineSession<Data>({
    name: "user",
    store: memcachedStore(connected.client),
    storeTimeout: PATIENCE / 1_000,
  });
}

/** How a visit fails, and after how many milliseconds. */
async function failing(
  browser: Browser,
  user: SessionDefinition<Data>,
): Promise<{ readonly error: unknown; readonly took: number }> {
  const began = performance.now();
  const error: unknown = await browser
    .visit(user, (session) => session.patch({ visits: 9 }))
    .then(
      () => undefined,
      (cause: unknown) => cause,
    );
  return { error, took: performance.now() - began };
}

async function works(browser: Browser, user: SessionDefinition<Data>): Promise<boolean> {
  return await browser.visit(user, (session) => {
    session.set({ visits: 5 });
    return true;
  });
}

describeWithServers("memcachedStore in bad weather,", MEMCACHED_PROGRAMS, () => {
  describe.each(["memjs", "memjs as it is", "memcached"])("%s:", (client) => {
    test("a server that is killed is a StoreError in time; when it is back, empty, people are anonymous and all works", async () => {
      const server = await started();
      const user = defined(client, [server.port]);
      const browser = new Browser(user);
      await browser.visit(user, (session) => session.set({ visits: 1 }));
      await server.process.kill();
      for (let i = 0; i < 3; i++) {
        const { error, took } = await failing(browser, user);
        expect(error).toBeInstanceOf(StoreError);
        expect(took).toBeLessThan(PATIENCE + 500);
      }
      await server.restart();
      await until("sessions", () => works(browser, user));
      expect(await browser.visit(user, ({ data }) => data)).toEqual({ visits: 5 });
    });

    test("a server that stands still is a StoreError in time; when it goes on, nobody has lost anything", async () => {
      const server = await started();
      const user = defined(client, [server.port]);
      const browsers = Array.from({ length: 20 }, () => new Browser(user));
      for (const [i, browser] of browsers.entries()) await browser.visit(user, (session) => session.set({ visits: i }));
      server.process.pause();
      const all = await Promise.all(browsers.map((browser) => failing(browser, user)));
      server.process.resume();
      for (const { error, took } of all) {
        expect(error).toBeInstanceOf(StoreError);
        expect(took).toBeLessThan(PATIENCE + 500);
      }
      const read = async (browser: Browser): Promise<unknown> => browser.visit(user, ({ data }) => data?.visits);
      await until("sessions", async () => (await read(browsers[0]!)) !== undefined);
      for (const [i, browser] of browsers.entries()) expect([i, 9]).toContain(await read(browser));
    });

    test("of three servers one that is away fails the sessions on it, and no others; none moves", async () => {
      const servers = [await started(), await started(), await started()];
      const user = defined(
        client,
        servers.map(({ port }) => port),
      );
      const browsers = Array.from({ length: 30 }, () => new Browser(user));
      for (const browser of browsers) await browser.visit(user, (session) => session.set({ visits: 1 }));
      const held = await Promise.all(servers.map((server) => server.stat("curr_items")));
      expect(Math.min(...held)).toBeGreaterThan(0);
      await servers[1]!.process.kill();
      let failed = 0;
      for (const browser of browsers) {
        // As long as the breaker is closed: it opens after five in a row.
        const answer: unknown = await browser.visit(user, ({ data }) => data).catch((error: unknown) => error);
        if (answer instanceof StoreError) failed++;
        else expect(answer).toEqual({ visits: 1 });
      }
      expect(failed).toBeGreaterThanOrEqual(held[1]!);
      expect(await servers[0]!.stat("curr_items")).toBe(held[0]);
      expect(await servers[2]!.stat("curr_items")).toBe(held[2]);
    });

    test("one that evicts signs people out, and nothing else happens to them", async () => {
      const server = await started("-m", "2");
      const user = defined(client, [server.port]);
      const events = eventsOf(user);
      const browsers = Array.from({ length: 300 }, () => new Browser(user));
      const name = "x".repeat(20_000);
      for (const browser of browsers) await browser.visit(user, (session) => session.set({ name }));
      expect(await server.stat("evictions")).toBeGreaterThan(0);
      const seen = await Promise.all(
        browsers.map((browser) => browser.visit(user, (session) => session.data?.name ?? session.isNew)),
      );
      expect(seen.filter((one) => one === name).length).toBeGreaterThan(0);
      expect(seen.filter((one) => one === true).length).toBeGreaterThan(0);
      expect(seen.every((one) => one === name || one === true)).toBe(true);
      expect(events).toContain("rejected:unknown");
    });
  });

  test.each(["memjs", "memcached"])(
    "%s: one that must not evict (-M) and is full fails what writes; what is there stays and can be read and ended",
    async (client) => {
      const server = await started("-m", "2", "-M");
      const user = defined(client, [server.port]);
      const browser = new Browser(user);
      await browser.visit(user, (session) => session.set({ name: "Ada" }));
      const name = "x".repeat(100_000);
      const fill = async (): Promise<unknown> => {
        for (;;) await new Browser(user).visit(user, (session) => session.set({ name }));
      };
      const read = (): Promise<unknown> => browser.visit(user, ({ data }) => data?.name);
      await expect(fill()).rejects.toBeInstanceOf(StoreError);
      expect(await answered(read)).toBe("Ada");
      await expect(browser.visit(user, (session) => session.set({ name }))).rejects.toBeInstanceOf(StoreError);
      expect(await answered(read)).toBe("Ada");
      expect(await server.stat("evictions")).toBe(0);
      await browser.visit(user, (session) => session.destroy());
      expect(await browser.visit(user, ({ isNew }) => isNew)).toBe(true);
    },
  );

  test.each(["memjs", "memcached"])("%s: what a full server (-M) has said to be kept is kept", async (client) => {
    const server = await started("-m", "2", "-M");
    const connected = MEMCACHED_CLIENTS[client]!([server.port]);
    ends.push(() => connected.close());
    const store = memcachedStore(connected.client);
    const record: StoredRecord = { version: "v", expiresAt: now + 60_000, value: "x".repeat(100_000) };
    let made = 0;
    const fill = async (): Promise<void> => {
      for (;;) if (await store.create(`user/${made}`, record, call)) made++;
    };
    await expect(fill()).rejects.toThrow();
    expect(made).toBeGreaterThan(5);
    const base = await answered(() => store.read(`user/${made - 1}`, call));
    expect(base).toMatchObject(record);
    await expect(store.update(`user/${made - 1}`, { ...record, version: "w" }, base!, call)).rejects.toThrow();
    expect(await answered(() => store.read(`user/${made - 1}`, call))).toMatchObject(record);
  });

  /** A wire that is cut once, when so many bytes of answers have come. */
  async function cutWire(target: number): Promise<{ readonly port: number; cutAfter(bytes: number): void }> {
    let left = Infinity;
    const wire = createServer((socket) => {
      const upstream = connect(target, "127.0.0.1");
      socket.pipe(upstream);
      upstream.on("data", (bytes) => {
        const passed = bytes.subarray(0, left);
        left -= passed.length;
        if (left > 0) return void socket.write(passed);
        left = Infinity;
        socket.end(passed, () => socket.destroy());
      });
      socket.on("error", () => {}).on("close", () => upstream.destroy());
      upstream.on("error", () => {}).on("close", () => socket.destroy());
    });
    await new Promise<void>((resolve) => {
      wire.listen(0, "127.0.0.1", resolve);
    });
    ends.push(() => wire.close());
    return { port: (wire.address() as AddressInfo).port, cutAfter: (bytes) => void (left = bytes) };
  }

  test.each(["memjs", "memjs as it is", "memcached"])(
    "%s: a connection that is cut in the middle of an answer fails that request, and the next one reads what is there",
    async (client) => {
      const server = await started();
      const wire = await cutWire(server.port);
      const connected = MEMCACHED_CLIENTS[client]!([wire.port]);
      ends.push(() => connected.close());
      const store = memcachedStore(connected.client);
      const value = JSON.stringify({ text: "x".repeat(5_000) });
      const record: StoredRecord = { version: "v", expiresAt: now + 60_000, value };
      await store.create("user/1", record, call);
      for (const bytes of [1, 30, 2_000]) {
        wire.cutAfter(bytes);
        // memcached forgets whom to tell.
        const signal = client === "memcached" ? AbortSignal.timeout(500) : undefined;
        await expect(store.read("user/1", { now, signal })).rejects.toThrow();
        const found = await answered(() => store.read("user/1", { now, signal: AbortSignal.timeout(500) }));
        expect(found).toMatchObject(record);
      }
    },
  );
});

/** What `work` answers when it no longer fails. */
async function answered<T>(work: () => PromiseLike<T> | T): Promise<T | undefined> {
  let answer: T | undefined;
  await until("an answer", async () => {
    answer = await work();
    return true;
  });
  return answer;
}
