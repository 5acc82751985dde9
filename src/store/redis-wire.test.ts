import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { CLUSTER, SINGLE, type Clients, type ConnectedClient } from "../../test/servers/redis-clients.ts";
import { monitorRedis, type RedisMonitor } from "../../test/servers/redis-monitor.ts";
import { REDIS_PROGRAMS, startRedis, startRedisCluster, type RedisTopology } from "../../test/servers/redis.ts";
import { RespClient } from "../../test/servers/resp.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { Browser, HOUR, MINUTE, type Data } from "../../test/testbed.ts";
import { defineSession, type SessionDefinition } from "../index.ts";
import { fakeClock, type FakeClock } from "../testing/fake-clock.ts";
import { redisStore, type RedisStoreOptions } from "./redis.ts";

let made = 0;

interface Shop {
  readonly clock: FakeClock;
  readonly user: SessionDefinition<Data>;
  readonly browser: Browser;
}

/** A shop and its visitor, over a client. */
function shop({ client }: ConnectedClient, options: RedisStoreOptions = {}): Shop {
  const clock = fakeClock();
  const store = redisStore(client, { prefix: `w${++made}:`, clock, sweepInterval: false, ...options });
  const user = defineSession<Data>({ name: "user", store, clock });
  return { clock, user, browser: new Browser(user) };
}

function counts(
  title: string,
  start: () => Promise<RedisTopology>,
  clients: Clients<RedisTopology>,
  primaries: number,
): void {
  describeWithServers(`commands on the wire, ${title}`, REDIS_PROGRAMS, () => {
    let servers: RedisTopology;
    let monitor: RedisMonitor;
    beforeAll(async () => {
      servers = await start();
      monitor = await monitorRedis(servers.nodes.slice(0, primaries));
    });
    afterAll(async () => {
      monitor?.close();
      await servers?.stop();
    });

    describe.each(Object.entries(clients))("%s:", (_, connect) => {
      let connected: ConnectedClient;
      beforeAll(async () => {
        connected = await connect(servers);
        // Every server learns the scripts, and the client where everything is.
        const { user, clock } = shop(connected);
        const visitors = Array.from({ length: 40 }, () => new Browser(user));
        for (const [i, visitor] of visitors.entries()) {
          await visitor.visit(user, (session) => session.authenticate(`s${i}`));
          await visitor.visit(user, (session) => session.set({ visits: 1 }));
        }
        clock.advance(5 * MINUTE);
        for (const visitor of visitors) await visitor.visit(user, () => {});
        for (const i of visitors.keys()) await user.manager.revokeAll(`s${i}`);
      });
      afterAll(() => connected?.close());

      test("a request whose calls can be given up starts no timer of the client's for each command", async () => {
        const { user, browser } = shop(connected);
        await browser.visit(user, (session) => session.set({ visits: 1 }));
        const timeout = vi.spyOn(AbortSignal, "timeout");
        await browser.visit(user, (session) => session.patch({ visits: 2 }));
        expect(timeout).not.toHaveBeenCalled();
        timeout.mockRestore();
      });

      test("none for a request that does not look at its session", async () => {
        const { user, browser } = shop(connected);
        await browser.visit(user, (session) => session.set({ visits: 1 }));
        const { ran } = await monitor.during(() => browser.arrive().answer());
        expect(ran).toEqual([]);
      });

      test("one for a request that only reads, and it writes nothing", async () => {
        const { user, browser } = shop(connected);
        await browser.visit(user, (session) => session.set({ visits: 1 }));
        const { ran } = await monitor.during(() =>
          browser.visit(user, ({ data }) => expect(data).toEqual({ visits: 1 })),
        );
        expect(ran).toEqual(["GET"]);
      });

      test("two for a request that writes", async () => {
        const { user, browser } = shop(connected);
        await browser.visit(user, (session) => session.set({ visits: 1 }));
        const { commands } = await monitor.during(() => browser.visit(user, (session) => session.patch({ visits: 2 })));
        expect(commands).toEqual(["GET", "EVALSHA"]);
      });

      test("two for a new session; one where nobody wants to know of its end", async () => {
        for (const expiredEvents of [true, false]) {
          const { user, browser } = shop(connected, { expiredEvents });
          const { commands } = await monitor.during(() => browser.visit(user, (session) => session.set({ visits: 1 })));
          expect(commands).toEqual(expiredEvents ? ["EVALSHA", "EVALSHA"] : ["EVALSHA"]);
        }
      });

      test("two for a touch that is due", async () => {
        const { user, browser, clock } = shop(connected);
        await browser.visit(user, (session) => session.set({ visits: 1 }));
        clock.advance(5 * MINUTE);
        const { commands } = await monitor.during(() => browser.visit(user, () => {}));
        expect(commands).toEqual(["GET", "EVALSHA"]);
      });

      test("three for a sign-in, with a session before it or without", async () => {
        const { user, browser } = shop(connected);
        await browser.visit(user, (session) => session.set({ visits: 1 }));
        const signIn = (visitor: Browser) => visitor.visit(user, (session) => session.authenticate("ada"));
        expect((await monitor.during(() => signIn(browser))).commands).toHaveLength(3);
        expect((await monitor.during(() => signIn(new Browser(user)))).commands).toHaveLength(3);
        const { commands } = await monitor.during(() => browser.visit(user, (session) => session.patch({ visits: 2 })));
        expect(commands, "a write afterwards").toEqual(["GET", "EVALSHA"]);
      });

      test("two for a sign-out", async () => {
        const { user, browser } = shop(connected);
        await browser.visit(user, (session) => session.authenticate("ada"));
        const { commands } = await monitor.during(() => browser.visit(user, (session) => session.destroy()));
        expect(commands).toEqual(["GET", "EVALSHA"]);
      });

      test("1 + n to revoke n sessions of a subject", async () => {
        const { user, browser } = shop(connected);
        for (let i = 0; i < 7; i++) await new Browser(user).visit(user, (session) => session.authenticate("ada"));
        const except = await browser.visit(user, (session) => {
          session.authenticate("ada");
          return session.id;
        });
        let revoked = 0;
        const { commands } = await monitor.during(async () => {
          revoked = await user.manager.revokeAll("ada", { except });
        });
        expect(revoked).toBe(7);
        expect(commands).toEqual(Array.from({ length: 8 }, () => "EVALSHA"));
        expect((await user.manager.list("ada")).map(({ id }) => id)).toEqual([except]);
      });
    });
  });
}

const oneOfEach = Object.fromEntries(
  ["node-redis 6", "ioredis 6", "valkey-glide 2"].map((name) => [name, SINGLE[name]!]),
);
counts("a single server", startRedis, oneOfEach, 1);
counts("Cluster", startRedisCluster, CLUSTER, 3);

describeWithServers("memory", REDIS_PROGRAMS, () => {
  const sessions = Number(process.env["SESSIONS"] ?? 20_000);
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

  /** Bytes a session: as `MEMORY USAGE` has it over all keys, and as the server has grown. */
  async function measured(
    act: (visitor: Browser, user: SessionDefinition<Data>) => Promise<unknown>,
  ): Promise<{ readonly usage: number; readonly grown: number }> {
    await client.send("FLUSHALL");
    const before = await usedMemory();
    const clock = fakeClock(Date.now());
    const user = defineSession<Data>({ name: "user", store: redisStore(client, { clock }), clock });
    for (let i = 0; i < sessions; i += 200) {
      await Promise.all(Array.from({ length: 200 }, () => act(new Browser(user), user)));
      clock.advance((30 * MINUTE * 200) / sessions);
    }
    const grown = ((await usedMemory()) - before) / sessions;
    let sum = 0;
    let cursor = "0";
    do {
      const [next, keys] = (await client.send("SCAN", [cursor, "COUNT", "1000"])) as [string, string[]];
      const usages = await Promise.all(keys.map((key) => client.send("MEMORY", ["USAGE", key])));
      for (const usage of usages) sum += Number(usage);
      cursor = next;
    } while (cursor !== "0");
    console.log(
      `${sessions} sessions: ${Math.round(sum / sessions)} bytes each, the server grew by ${Math.round(grown)} each`,
    );
    return { usage: sum / sessions, grown };
  }

  async function usedMemory(): Promise<number> {
    return Number(/used_memory:(\d+)/.exec(String(await client.send("INFO", ["memory"])))?.[1]);
  }

  const data = { name: "x".repeat(489) };

  test("a session of 500 bytes of JSON takes no more than 900 bytes, all told", async () => {
    expect(JSON.stringify(data)).toHaveLength(500);
    const { usage, grown } = await measured((visitor, user) => visitor.visit(user, (session) => session.set(data)));
    expect(Math.max(usage, grown)).toBeLessThanOrEqual(900);
  });

  test("one that can be found by its subject takes no more than 1050 bytes", async () => {
    let subjects = 0;
    const { usage, grown } = await measured((visitor, user) =>
      visitor.visit(user, (session) => {
        session.set(data);
        session.authenticate(`${1_000_000 + ++subjects}`);
      }),
    );
    expect(Math.max(usage, grown)).toBeLessThanOrEqual(1_050);
  });
});

describeWithServers("clocks", REDIS_PROGRAMS, () => {
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

  test.each([-1, 1])("P1: an application whose clock is %s hours off loses nothing", async (hours) => {
    const clock = fakeClock(Date.now() + hours * HOUR);
    const store = redisStore(client, { prefix: `w${++made}:`, clock, expiredEvents: false });
    const user = defineSession<Data>({ name: "user", store, clock });
    const browser = new Browser(user);
    await browser.visit(user, (session) => session.set({ visits: 1 }));
    expect(await browser.visit(user, ({ data }) => data)).toEqual({ visits: 1 });
    const [, [name]] = (await client.send("SCAN", ["0", "MATCH", `w${made}:*`, "COUNT", "100000"])) as [
      string,
      [string],
    ];
    const left = Number(await client.send("PTTL", [name]));
    expect(Math.abs(left - 38 * MINUTE), "33 minutes, and five for clocks").toBeLessThan(MINUTE);
  });
});
