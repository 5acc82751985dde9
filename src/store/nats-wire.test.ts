import { afterAll, beforeAll, expect, test } from "vitest";
import { connectNats, NATS_PROGRAMS, startNats, type NatsClient, type NatsServers } from "../../test/servers/nats.ts";
import { monitorNats, type NatsMonitor } from "../../test/servers/nats-monitor.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { Browser, MINUTE, type Data } from "../../test/testbed.ts";
import { defineSession, type SessionDefinition } from "../index.ts";
import { fakeClock, type FakeClock } from "../testing/fake-clock.ts";
import { natsStore, type NatsBucket } from "./nats.ts";

interface Shop {
  readonly clock: FakeClock;
  readonly user: SessionDefinition<Data>;
  readonly browser: Browser;
}

describeWithServers("messages of natsStore on the wire", NATS_PROGRAMS, () => {
  let servers: NatsServers;
  let client: NatsClient;
  let bucket: NatsBucket;
  let monitor: NatsMonitor;
  beforeAll(async () => {
    servers = await startNats();
    client = await connectNats(servers);
    bucket = await client.bucket("wire");
    monitor = await monitorNats(client);
  });
  afterAll(async () => {
    await client?.close();
    await servers?.stop();
  });

  async function shop(): Promise<Shop> {
    const clock = fakeClock();
    const store = natsStore(bucket, { clock, sweepInterval: false });
    const first = await monitor.during(async () => store.read("user/none", { now: clock.now() }));
    expect(first, "once it is asked what the bucket is set to").toEqual(["INFO", "GET"]);
    const user = defineSession<Data>({ name: "user", store, clock });
    return { clock, user, browser: new Browser(user) };
  }

  test("none for a request that does not look at its session", async () => {
    const { user, browser } = await shop();
    await browser.visit(user, (session) => session.set({ visits: 1 }));
    expect(await monitor.during(() => browser.arrive().answer())).toEqual([]);
  });

  test("one for a request that only reads, asked of the leader", async () => {
    const { user, browser } = await shop();
    await browser.visit(user, (session) => session.set({ visits: 1 }));
    const sent = await monitor.during(() => browser.visit(user, ({ data }) => expect(data).toEqual({ visits: 1 })));
    expect(sent).toEqual(["GET"]);
  });

  test("one for a new session, two for a request that writes, and for a sign-out", async () => {
    const { user, browser } = await shop();
    expect(await monitor.during(() => browser.visit(user, (session) => session.set({ visits: 1 })))).toEqual(["PUT r"]);
    const sent = await monitor.during(() => browser.visit(user, (session) => session.patch({ visits: 2 })));
    expect(sent).toEqual(["GET", "PUT r"]);
    const last = await monitor.during(() => browser.visit(user, (session) => session.destroy()));
    expect(last).toEqual(["GET", "PUT r"]);
  });

  test("two for a touch that is due", async () => {
    const { user, browser, clock } = await shop();
    await browser.visit(user, (session) => session.set({ visits: 1 }));
    clock.advance(5 * MINUTE);
    expect(await monitor.during(() => browser.visit(user, () => {}))).toEqual(["GET", "PUT r"]);
  });

  test("four for a sign-in, the list of the subject before the record; two for a write afterwards", async () => {
    const { user, browser } = await shop();
    await browser.visit(user, (session) => session.set({ visits: 1 }));
    const signIn = (visitor: Browser) =>
      monitor.during(() => visitor.visit(user, (session) => session.authenticate("ada")));
    expect(await signIn(browser)).toEqual(["GET", "GET", "PUT s", "PUT r"]);
    expect(await signIn(new Browser(user))).toEqual(["GET", "PUT s", "PUT r"]);
    const sent = await monitor.during(() => browser.visit(user, (session) => session.patch({ visits: 2 })));
    expect(sent).toEqual(["GET", "PUT r"]);
  });

  test("1 + 2 n to revoke n sessions of a subject", async () => {
    const { user, browser } = await shop();
    for (let i = 0; i < 6; i++) await new Browser(user).visit(user, (session) => session.authenticate("bob"));
    const except = await browser.visit(user, (session) => {
      session.authenticate("bob");
      return session.id;
    });
    let revoked = 0;
    const sent = await monitor.during(async () => {
      revoked = await user.manager.revokeAll("bob", { except });
    });
    expect(revoked).toBe(6);
    expect(sent.filter((name) => name === "GET")).toHaveLength(1 + 7);
    expect(sent.filter((name) => name === "PUT r")).toHaveLength(6);
    expect(sent).toHaveLength(14);
    expect((await user.manager.list("bob")).map(({ id }) => id)).toEqual([except]);
  });
});
