/**
 * What the change feed of Redis costs: the server for each listener, each listener for each message, and the network.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "redis";
import type { StoredRecord } from "../../src/store/store.ts";
import { nearCache } from "../../src/store/near-cache.ts";
import { redisStore } from "../../src/store/redis.ts";
import { startRedis } from "../../test/servers/redis.ts";
import { until } from "../../test/servers/server-process.ts";
import { RespClient } from "../../test/servers/resp.ts";

/** What was measured. Times in microseconds of CPU. */
export interface FeedCosts {
  /** For one change that is published, by the number of servers that listen. */
  readonly published: readonly { readonly listeners: number; readonly micros: number }[];
  /** Of a message on its way to a listener. */
  readonly messageBytes: number;
  /** For a server with a near cache, to hear of a change of a session that it has no copy of. */
  readonly heard: number;
  /** What the store is sent and sends for each verb, of a session with a subject and 500 bytes of JSON. */
  readonly verbs: readonly { readonly verb: string; readonly sent: number; readonly received: number }[];
}

const LISTENERS = [0, 3, 10, 30, 100, 300] as const;
const [MESSAGES, AT_ONCE, CALLS] = [6_000, 100, 200] as const;
const CHANNEL = "coatcheck:~w";
const news = (n: number): string => `coatcheck:user/${String(n).padStart(22, "0")}\t${"v".repeat(12)}`;

/** Measures it over a Redis of its own. */
export async function feedCosts(): Promise<FeedCosts> {
  const redis = await startRedis();
  const publisher = await RespClient.connect(redis.port);
  try {
    const cpu = (): number => cpuOf(redis.nodes[0]?.process.pid ?? 0);
    const published: { listeners: number; micros: number }[] = [];
    let bytes = 0;
    for (const listeners of LISTENERS) {
      const sockets: Socket[] = [];
      for (let n = 0; n < listeners; n++) sockets.push(await listening(redis.port, (length) => void (bytes += length)));
      bytes = 0;
      const before = cpu();
      await publish(publisher);
      await sleep(200);
      published.push({ listeners, micros: (cpu() - before) / MESSAGES });
      bytes /= MESSAGES * Math.max(1, listeners);
      for (const socket of sockets) socket.destroy();
    }
    return {
      published,
      messageBytes: bytes,
      heard: await heard(redis.port, publisher),
      verbs: await verbs(redis.port, publisher),
    };
  } finally {
    publisher.close();
    await redis.stop();
  }
}

/** What a process has used of a CPU, in microseconds: 10 000 make a tick. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

async function publish(publisher: RespClient): Promise<void> {
  for (let n = 0; n < MESSAGES; n += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, at) => publisher.send("PUBLISH", [CHANNEL, news(n + at)])));
  }
}

async function listening(port: number, received: (length: number) => void): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await new Promise<void>((resolve) => {
    socket.once("data", () => resolve());
    socket.write(`SUBSCRIBE ${CHANNEL}\r\n`);
  });
  return socket.on("data", (chunk) => received(chunk.length));
}

/** What it costs this process to hear, over what it costs to publish. */
async function heard(port: number, publisher: RespClient): Promise<number> {
  const cost = async (): Promise<number> => {
    await publish(publisher);
    const before = process.cpuUsage();
    await publish(publisher);
    await sleep(200);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / MESSAGES;
  };
  const alone = await cost();
  const client = createClient({ url: `redis://127.0.0.1:${port}` });
  await client.connect();
  const near = nearCache(redisStore(client, { watch: true, sweepInterval: false }));
  await until("the news", () => Promise.resolve(near.stats().live));
  const both = await cost();
  await near.close();
  client.destroy();
  return both - alone;
}

async function verbs(port: number, asking: RespClient): Promise<FeedCosts["verbs"]> {
  const client = createClient({ url: `redis://127.0.0.1:${port}` });
  await client.connect();
  const store = redisStore(client, { watch: true, expiredEvents: false });
  const now = Date.now();
  const record = (version: string): StoredRecord => ({
    version: version.padEnd(12, "0"),
    expiresAt: now + 1_980_000,
    subject: "user/4711",
    value: JSON.stringify({ v: "x".repeat(43), c: now, d: { text: "x".repeat(500) } }),
  });
  const key = (n: number): string => `user/${String(n).padStart(22, "0")}`;
  const calls: Readonly<Record<string, (n: number) => unknown>> = {
    create: (n) => store.create(key(n), record("1"), { now }),
    read: (n) => store.read(key(n), { now }),
    update: (n) => store.update(key(n), record("2"), record("1"), { now }),
    touch: (n) => store.touch(key(n), now + 2_000_000, { now }),
    delete: (n) => store.delete(key(n), { now }),
  };
  const net = async (): Promise<readonly [number, number]> => {
    const info = String(await asking.send("INFO", ["stats"]));
    const of = (name: string): number => Number(new RegExp(`${name}:(\\d+)`).exec(info)?.[1]);
    return [of("total_net_input_bytes"), of("total_net_output_bytes")];
  };
  const found: FeedCosts["verbs"][number][] = [];
  // Scripts are sent whole the first time.
  for (const call of Object.values(calls)) await call(CALLS);
  for (const [verb, call] of Object.entries(calls)) {
    const [before, idle] = [await net(), await net()];
    const start = await net();
    for (let n = 0; n < CALLS; n++) await call(n);
    const end = await net();
    // What asking for it takes is not the verb's.
    const bytes = ([0, 1] as const).map((way) => (end[way] - start[way] - (idle[way] - before[way])) / CALLS);
    found.push({ verb, sent: bytes[0] ?? 0, received: bytes[1] ?? 0 });
  }
  client.destroy();
  return found;
}
