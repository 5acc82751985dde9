import { describe, expect, test } from "vitest";
import { startSessionServer } from "../../test/servers/session-server.ts";
import { until } from "../../test/servers/server-process.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { nearCache } from "./near-cache.ts";
import { remoteStore } from "./remote.ts";

/** A server whose lines are written by hand, and what a watcher is told. */
function byHand() {
  const clock = fakeClock();
  const streams: {
    readonly send: (...lines: readonly unknown[]) => void;
    readonly end: () => void;
    readonly signal: AbortSignal;
  }[] = [];
  const answer = { status: 200 };
  const store = remoteStore("https://sessions.internal", {
    watch: true,
    clock,
    fetch: async (_url, { signal }) => {
      let controller: ReadableStreamDefaultController<Uint8Array>;
      const body = new ReadableStream<Uint8Array>({ start: (given) => void (controller = given) });
      signal.addEventListener("abort", () => controller.error(new Error("aborted")));
      const write = (text: string): void => {
        if (!signal.aborted) controller.enqueue(new TextEncoder().encode(text));
      };
      streams.push({
        signal,
        send: (...lines) =>
          write(lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join("")),
        end: () => controller.close(),
      });
      return { status: answer.status, text: async () => "", body };
    },
  });
  const told: unknown[] = [];
  const unwatch = store.watch!((key, change) => void told.push([key, change?.version]), {
    restored: () => void told.push("restored"),
    lost: () => void told.push("lost"),
    current: (at) => void told.push(`current ${at - START}`),
  });
  return { clock, streams, told, unwatch, store, answer };
}

const START = Date.UTC(2026, 0, 1);
/** Lets everything that waits go on. */
const turns = async (): Promise<void> => {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
};

/** Up to `restored`: the first line came when 20 ms had gone by, the second one 30 ms later. */
async function up() {
  const hand = byHand();
  await turns();
  await hand.clock.advanceAsync(20);
  hand.streams[0]!.send({ now: 5_000 });
  await turns();
  await hand.clock.advanceAsync(30);
  hand.streams[0]!.send({ now: 5_030 });
  await turns();
  return hand;
}

describe("the change feed of remoteStore", () => {
  test("is up when the server has said a time that is later than the question", async () => {
    const { clock, streams, told } = byHand();
    await turns();
    await clock.advanceAsync(20);
    streams[0]!.send({ now: 5_000 });
    await turns();
    // 5 000 may have been said at the very moment of the question: so 5 015 may be older than the answer to it.
    streams[0]!.send({ now: 5_015 });
    await turns();
    expect(told).toEqual([]);
    await clock.advanceAsync(10);
    streams[0]!.send({ now: 5_025 });
    await turns();
    expect(told).toEqual(["restored"]);
  });

  test("tells of changes and deletions, in pieces and any text", async () => {
    const { streams, told } = await up();
    streams[0]!.send({ key: "user/1", version: "v2" }, { key: "user/2" }, { key: "\ud800\n__proto__" });
    await turns();
    expect(told).toEqual(["restored", ["user/1", "v2"], ["user/2", undefined], ["\ud800\n__proto__", undefined]]);
  });

  test("says up to which moment all is told, by the server's word, and none before `restored`", async () => {
    const { clock, streams, told } = await up();
    streams[0]!.send({ now: 5_040, current: 5_020 });
    // It is asked every four seconds what there is: the next time at 4050.
    await clock.advanceAsync(4_030);
    streams[0]!.send({ now: 9_040, current: 7_000 });
    await turns();
    expect(told).toEqual(["restored"]);
    streams[0]!.send({ now: 9_070, current: 8_000 });
    await turns();
    // 3000 after a moment that was not before 0; and clocks may run apart by a part in 4000.
    expect(told).toEqual(["restored", "current 2999.25"]);
  });

  test.each([
    ["the server says so", ({ streams }) => streams[0]!.send({ lost: true })],
    ["the answer ends", ({ streams }) => streams[0]!.end()],
    ["a line is no line", ({ streams }) => streams[0]!.send("<html>")],
    ["a line has no end", ({ streams }) => streams[0]!.send("x".repeat(70_000).slice(1), "")],
    ["the server's time is ahead of what has gone by", ({ streams }) => streams[0]!.send({ now: 6_000 })],
  ] as readonly (readonly [string, (hand: Awaited<ReturnType<typeof up>>) => void])[])(
    "is lost, and begins anew, when %s",
    async (_, happens) => {
      const hand = await up();
      happens(hand);
      await turns();
      expect(hand.told).toEqual(["restored", "lost"]);
      expect(hand.streams[0]!.signal.aborted).toBe(true);
      await hand.clock.advanceAsync(100);
      hand.streams[1]!.send({ now: 1 });
      await hand.clock.advanceAsync(100);
      hand.streams[1]!.send({ now: 101 });
      await turns();
      expect(hand.told).toEqual(["restored", "lost", "restored"]);
    },
  );

  test("is lost when nothing comes for eight seconds, and when what comes is late by more than four", async () => {
    const silent = await up();
    await silent.clock.advanceAsync(8_100);
    expect(silent.told).toEqual(["restored", "lost"]);
    const late = await up();
    for (let at = 1_000; at <= 9_000 && !late.told.includes("lost"); at += 1_000) {
      await late.clock.advanceAsync(1_000);
      // Each line later than the one before: they pile up somewhere.
      late.streams[0]!.send({ now: 5_000 + at * 0.2 });
      await turns();
    }
    expect(late.told).toEqual(["restored", "lost"]);
  });

  test("ties the clocks together anew when an hour has gone by", async () => {
    const { clock, streams, told } = await up();
    const pulses = async (seconds: number): Promise<void> => {
      for (let at = 0; at < seconds && !told.includes("lost"); at += 3) {
        await clock.advanceAsync(3_000);
        streams[0]!.send({ now: 5_000 + clock.now() - START });
        await turns();
      }
    };
    await pulses(3_500);
    expect(told).toEqual(["restored"]);
    await pulses(600);
    expect(told).toEqual(["restored", "lost"]);
  });

  test("a server that tells of no changes is asked again, and nothing is up", async () => {
    const { clock, streams, told, answer, unwatch } = byHand();
    answer.status = 501;
    await clock.advanceAsync(60_000);
    expect(told).toEqual([]);
    expect(streams.length).toBeGreaterThan(2);
    unwatch();
    expect(clock.waiting).toBe(0);
  });

  test("is over with the watch, and with the store", async () => {
    const first = await up();
    first.unwatch();
    expect(first.streams[0]!.signal.aborted).toBe(true);
    const second = await up();
    await second.store.close();
    expect(second.streams[0]!.signal.aborted).toBe(true);
    expect([first.clock.waiting, second.clock.waiting]).toEqual([0, 0]);
  });
});

test("a near cache over a session server: what others change is seen, and nothing of other applications", async () => {
  const server = await startSessionServer({
    args: ["--changes", "own"],
    credentials: [{ application: "shop" }, { application: "forum" }],
  });
  const remote = (application: string) =>
    remoteStore(server.url, { credential: server.credentials[application], watch: true });
  const [other, forum, watched] = [remote("shop"), remote("forum"), remote("forum")];
  const near = nearCache(remote("shop"));
  const call = { now: Date.now() };
  const record = { version: "1", expiresAt: call.now + 60_000, value: "{}" };
  const heard: string[] = [];
  const unwatch = watched.watch!((key) => void heard.push(key));
  try {
    await other.create("user/a", record, call);
    await until("the feed", async () => near.stats().live);
    expect(await near.read("user/a", call)).toMatchObject({ version: "1" });
    expect(await near.read("user/a", call)).toMatchObject({ version: "1" });
    expect(near.stats()).toMatchObject({ hits: 1, misses: 1 });
    await other.update("user/a", { ...record, version: "2" }, record, call);
    await until("the news", async () => near.stats().invalidations === 1);
    expect(await near.read("user/a", call)).toMatchObject({ version: "2" });
    await server.kill();
    await until("the end of the feed", async () => !near.stats().live);
    await server.restart();
    await until("the feed again", async () => near.stats().live);
    expect(await near.read("user/a", call)).toMatchObject({ version: "2" });
    await forum.create("user/b", record, call);
    await until("news of the other application", async () => {
      await forum.touch("user/b", Date.now() + 90_000, call);
      return heard.length > 0;
    });
    expect(new Set(heard)).toEqual(new Set(["user/b"]));
  } finally {
    unwatch();
    await Promise.all([near.close(), other.close(), forum.close(), watched.close()]);
    await server.stop();
  }
});
