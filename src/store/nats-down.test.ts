import { inspect } from "node:util";
import { expect, test, type TestContext } from "vitest";
import {
  connectNats,
  leaderOf,
  NATS_CLUSTER_PROGRAMS,
  startNats,
  startNatsCluster,
  type NatsClient,
  type NatsServers,
} from "../../test/servers/nats.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { until } from "../../test/servers/server-process.ts";
import { Browser, type Data } from "../../test/testbed.ts";
import { defineSession, StoreError, type SessionDefinition } from "../index.ts";
import { natsStore } from "./nats.ts";

interface Shop {
  readonly servers: NatsServers;
  readonly client: NatsClient;
  readonly user: SessionDefinition<Data>;
  readonly browser: Browser;
}

async function opened(
  { onTestFinished }: TestContext,
  start: () => Promise<NatsServers>,
  nodes = (all: NatsServers) => all.nodes,
): Promise<Shop> {
  const servers = await start();
  onTestFinished(() => servers.stop());
  const client = await connectNats({ nodes: nodes(servers), replicas: servers.replicas });
  onTestFinished(() => client.close());
  const store = natsStore(await client.bucket("sessions"));
  onTestFinished(() => store.close());
  const user = defineSession<Data>({ name: "user", store, storeTimeout: 0.6 });
  return { servers, client, user, browser: new Browser(user) };
}

/** A visit that fails, and how long that took. */
async function failed({ browser, user }: Shop): Promise<number> {
  const began = performance.now();
  const error = await browser
    .visit(user, (session) => session.data)
    .then(
      () => undefined,
      (cause: unknown) => cause,
    );
  expect(error).toBeInstanceOf(StoreError);
  expect(inspect(error, { depth: 9 })).not.toMatch(/user\/|r\.user/);
  return performance.now() - began;
}

const count = async ({ browser, user }: Shop): Promise<Data | undefined> =>
  await browser.visit(user, (session) => {
    session.update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
    return session.data as Data | undefined;
  });

/** Visits until one is answered; each that is not fails in time. */
async function browse(shop: Shop): Promise<void> {
  await until("a visit", async () => {
    const began = performance.now();
    try {
      return (await count(shop)) !== undefined;
    } catch (error) {
      expect(error).toBeInstanceOf(StoreError);
      expect(inspect(error, { depth: 9 })).not.toMatch(/user\/|r\.user/);
      expect(performance.now() - began).toBeLessThan(2_500);
      throw error;
    }
  });
}

// All at once: they wait for elections, most of the time.
describeWithServers("a definition over natsStore, when NATS is away", NATS_CLUSTER_PROGRAMS, () => {
  test.concurrent.for([
    ["killed and started again, with what is on its disk", "kill"],
    ["standing still for a while", "pause"],
  ] as const)("one server, %s: an error within the timeout, and then it goes on", async ([, how], context) => {
    const shop = await opened(context, startNats);
    await browse(shop);
    const [node] = shop.servers.nodes;
    if (how === "kill") await node!.process.kill();
    else node!.process.pause();
    expect(await failed(shop)).toBeLessThan(1_500);
    if (how === "kill") await node!.restart();
    else node!.process.resume();
    await browse(shop);
    expect((await count(shop))?.visits).toBeGreaterThan(1);
  });

  test.concurrent("the leader of a cluster is killed: errors within the timeout until another one leads, nothing is lost", async (context) => {
    const shop = await opened(context, startNatsCluster);
    for (let i = 0; i < 5; i++) await browse(shop);
    const leader = await leaderOf(shop.servers, shop.client, "sessions");
    await leader.process.kill();
    const began = performance.now();
    await browse(shop);
    console.log(`another leader after ${Math.round(performance.now() - began)} ms`);
    expect((await count(shop))?.visits).toBeGreaterThan(4);
  }, 60_000);

  test.concurrent.for(["kill", "pause"] as const)(
    "one of three that does not lead is gone (%s): sessions are counted and listed all the same",
    { timeout: 60_000 },
    async (how, context) => {
      const servers = await startNatsCluster();
      context.onTestFinished(() => servers.stop());
      const first = await connectNats(servers);
      context.onTestFinished(() => first.close());
      const bucket = await first.bucket("sessions");
      await Promise.all(Array.from({ length: 200 }, (_, i) => bucket.put(`r.user.${i}`, "{}")));
      const leader = await leaderOf(servers, first, "sessions");
      const client = await connectNats({ nodes: [leader], replicas: 3 });
      context.onTestFinished(() => client.close());
      const store = natsStore(await client.open("sessions"), { sweepInterval: false });
      const other = servers.nodes.find((node) => node !== leader);
      if (how === "kill") await other!.process.kill();
      else other!.process.pause();
      // A server may choose the one that is gone, or not: each time anew.
      for (let i = 0; i < 6; i++) {
        expect(await store.count("user/", { now: 0 })).toBe(200);
        expect((await store.list("user/", { limit: 500 }, { now: 0 })).records).toHaveLength(200);
      }
    },
  );

  test.concurrent("most of a cluster is killed: an error within the timeout, no session is lost, and then it goes on", async (context) => {
    const shop = await opened(context, startNatsCluster, ({ nodes }) => nodes.slice(0, 1));
    for (let i = 0; i < 5; i++) await browse(shop);
    const others = shop.servers.nodes.slice(1);
    for (const node of others) await node.process.kill();
    // One that leads goes on to read until it notices; nobody can write.
    await expect(count(shop)).rejects.toBeInstanceOf(StoreError);
    await Promise.all(others.map((node) => node.restart()));
    await browse(shop);
    expect((await count(shop))?.visits).toBeGreaterThan(4);
  }, 60_000);
});
