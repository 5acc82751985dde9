import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MEMCACHED_CLIENTS, type ConnectedMemcached } from "../../test/servers/memcached-clients.ts";
import { MEMCACHED_PROGRAMS, startMemcached, type MemcachedServer } from "../../test/servers/memcached.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { Browser, HOUR, MINUTE, type Data } from "../../test/testbed.ts";
import { defineSession, type SessionDefinition } from "../index.ts";
import { fakeClock, type FakeClock } from "../testing/fake-clock.ts";
import { memcachedStore } from "./memcached.ts";
import type { StoredRecord } from "./store.ts";

const DAY = 24 * HOUR;

let made = 0;
let server: MemcachedServer;

interface Shop {
  readonly clock: FakeClock;
  readonly user: SessionDefinition<Data>;
  readonly browser: Browser;
}

/** A shop and its visitor, over a client. */
function shop({ client }: ConnectedMemcached, clock: FakeClock = fakeClock()): Shop {
  const user = defineSession<Data>({ name: "user", store: memcachedStore(client, { prefix: `w${++made}:` }), clock });
  return { clock, user, browser: new Browser(user) };
}

/** How many commands of each kind the server has had. */
async function commands(): Promise<Readonly<Record<"gets" | "stores" | "deletes", number>>> {
  const lines = await server.ask("stats");
  const sum = (...names: readonly string[]): number =>
    names
      .map((name) => Number(lines.find((line) => line.startsWith(`STAT ${name} `))?.split(" ")[2]))
      .reduce((a, b) => a + b);
  return {
    gets: sum("cmd_get"),
    stores: sum("cmd_set", "cmd_touch"),
    deletes: sum("delete_hits", "delete_misses"),
  };
}

/** The commands that the server has while something is done, as `"1 gets, 1 stores"`. */
async function during(work: () => unknown): Promise<string> {
  const before = await commands();
  await work();
  const after = await commands();
  return (["gets", "stores", "deletes"] as const)
    .flatMap((kind) => (after[kind] === before[kind] ? [] : [`${after[kind] - before[kind]} ${kind}`]))
    .join(", ");
}

describeWithServers("P27: commands that memcachedStore sends, as the server counts them,", MEMCACHED_PROGRAMS, () => {
  beforeAll(async () => {
    server = await startMemcached();
  });
  afterAll(() => server?.stop());

  describe.each(Object.keys(MEMCACHED_CLIENTS))("%s:", (name) => {
    let connected: ConnectedMemcached;
    beforeAll(() => {
      connected = MEMCACHED_CLIENTS[name]!([server.port]);
    });
    afterAll(() => connected?.close());

    test("none for a request that does not look at its session", async () => {
      const { user, browser } = shop(connected);
      await browser.visit(user, (session) => session.set({ visits: 1 }));
      expect(await during(() => browser.arrive().answer())).toBe("");
    });

    test("one for a request that only reads, and it writes nothing", async () => {
      const { user, browser } = shop(connected);
      await browser.visit(user, (session) => session.set({ visits: 1 }));
      expect(await during(() => browser.visit(user, ({ data }) => expect(data).toEqual({ visits: 1 })))).toBe("1 gets");
    });

    test("two for a request that writes, one for a new session", async () => {
      const { user, browser } = shop(connected);
      expect(await during(() => browser.visit(user, (session) => session.set({ visits: 1 })))).toBe("1 stores");
      expect(await during(() => browser.visit(user, (session) => session.patch({ visits: 2 })))).toBe(
        "1 gets, 1 stores",
      );
    });

    test("three for a touch that is due: it has to look again", async () => {
      const { user, browser, clock } = shop(connected);
      await browser.visit(user, (session) => session.set({ visits: 1 }));
      clock.advance(5 * MINUTE);
      expect(await during(() => browser.visit(user, () => {}))).toBe("2 gets, 1 stores");
    });

    test("two for a sign-in of a visitor, one for one who comes first; three for a sign-out", async () => {
      const { user, browser } = shop(connected);
      const signIn = (visitor: Browser) => () => visitor.visit(user, (session) => session.authenticate("ada"));
      await browser.visit(user, (session) => session.set({ visits: 1 }));
      expect(await during(signIn(browser))).toBe("1 gets, 1 stores");
      expect(await during(signIn(new Browser(user)))).toBe("1 stores");
      expect(await during(() => browser.visit(user, (session) => session.destroy()))).toBe("2 gets, 1 deletes");
    });

    test("one more for a second commit of one request, whose base has no token", async () => {
      const { user, browser } = shop(connected);
      await browser.visit(user, (session) => session.set({ visits: 1 }));
      const twice = await during(() =>
        browser.visit(user, async (session) => {
          session.patch({ visits: 2 });
          await session.commit();
          session.patch({ visits: 3 });
        }),
      );
      expect(twice).toBe("2 gets, 2 stores");
    });
  });
});

describeWithServers("memcachedStore: clocks", MEMCACHED_PROGRAMS, () => {
  const now = Date.now();
  let connected: ConnectedMemcached;
  beforeAll(async () => {
    server = await startMemcached();
    connected = MEMCACHED_CLIENTS["memjs"]!([server.port]);
  });
  afterAll(async () => {
    connected?.close();
    await server?.stop();
  });

  /** For how many more seconds the server keeps a record; -1 is for good. */
  async function lifetime(name: string): Promise<number> {
    const [line = ""] = await server.ask(`mg ${name} t`);
    return Number(/ t(-?\d+)/.exec(line)?.[1]);
  }

  test.each([-1, 1])("P1: an application whose clock is %s hours off loses nothing", async (hours) => {
    const { user, browser } = shop(connected, fakeClock(now + hours * HOUR));
    const id = await browser.visit(user, (session) => {
      session.set({ visits: 1 });
      return session.id;
    });
    expect(await browser.visit(user, ({ data }) => data)).toEqual({ visits: 1 });
    const left = (await lifetime(`w${made}:user/${id}`)) * 1000;
    expect(Math.abs(left - 38 * MINUTE), "33 minutes, and five for clocks").toBeLessThan(MINUTE);
  });

  test.each([
    ["a second", 1_000],
    ["a minute", MINUTE],
    ["29 days", 29 * DAY],
    ["31 days", 31 * DAY],
    ["a year", 365 * DAY],
    ["two hundred years", 200 * 365 * DAY],
  ])("P1: a record that ends in %s is kept five minutes longer at least", async (_, life) => {
    const store = memcachedStore(connected.client, { prefix: `w${++made}:` });
    const record: StoredRecord = { version: "v", expiresAt: now + life, value: "{}" };
    const kept = async (): Promise<number> => {
      const seconds = await lifetime(`w${made}:n/1`);
      return seconds === -1 ? Infinity : seconds * 1000;
    };
    await store.create("n/1", record, { now });
    expect(await kept()).toBeGreaterThanOrEqual(life + 5 * MINUTE - 1_000);
    await store.update("n/1", { ...record, version: "w" }, record, { now });
    expect(await kept()).toBeGreaterThanOrEqual(life + 5 * MINUTE - 1_000);
    await store.touch("n/1", now + 2 * life, { now });
    expect(await kept()).toBeGreaterThanOrEqual(2 * life + 5 * MINUTE - 1_000);
    expect((await store.read("n/1", { now }))?.expiresAt).toBe(now + 2 * life);
  });
});

describeWithServers("memcachedStore: memory", MEMCACHED_PROGRAMS, () => {
  const sessions = Number(process.env["SESSIONS"] ?? 10_000);

  test("a session of 500 bytes of JSON takes no more than 900 bytes", async () => {
    server = await startMemcached(["-m", "1024"]);
    const connected = MEMCACHED_CLIENTS["memjs"]!([server.port]);
    try {
      const { user } = shop(connected);
      const data = { name: "x".repeat(489) };
      for (let i = 0; i < sessions; i += 100) {
        await Promise.all(
          Array.from({ length: 100 }, () => new Browser(user).visit(user, (session) => session.set(data))),
        );
      }
      const items = await server.stat("curr_items");
      const bytes = await server.stat("bytes");
      const malloced = await slabBytes();
      console.log(
        `${items} sessions: ${Math.round(bytes / items)} bytes each, ${Math.round(malloced / items)} in slabs`,
      );
      expect(items).toBe(sessions);
      expect(malloced / items).toBeLessThanOrEqual(900);
    } finally {
      connected.close();
      await server.stop();
    }
  });

  /** What the chunks take that are in use. */
  async function slabBytes(): Promise<number> {
    const lines = await server.ask("stats slabs");
    const figures = lines.flatMap((line) => {
      const [, slab, name, value] = /^STAT (\d+):(\w+) (\d+)/.exec(line) ?? [];
      return slab === undefined ? [] : [{ slab, name, value: Number(value) }];
    });
    const of = (slab: string, name: string): number =>
      figures.find((one) => one.slab === slab && one.name === name)?.value ?? 0;
    const slabs = [...new Set(figures.map(({ slab }) => slab))];
    return slabs.reduce((sum, slab) => sum + of(slab, "chunk_size") * of(slab, "used_chunks"), 0);
  }
});
