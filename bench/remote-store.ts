/**
 * What a read through a session server costs the application, in CPU time of its process: by the store's own
 * connections of `node:http`, by the global `fetch`, and beside them a bare `GET` of node-redis.
 *
 * `node bench/remote-store.ts`; it needs `redis-server` and takes a minute or so. Only ratios of one run count.
 */
import { createClient } from "redis";
import { remoteStore } from "../src/store/remote.ts";
import { startRedis } from "../test/servers/redis.ts";
import { startSessionServer } from "../test/servers/session-server.ts";

const READS = 20_000;
const ROUNDS = 4;
const KEY = "user/0123456789abcdefABCDEF";
const VALUE = JSON.stringify({ data: "x".repeat(480) });

/** Reads once. */
type Read = () => Promise<unknown>;

/** CPU time a read, in microseconds, and reads a second. */
async function measured(read: Read, atOnce: number): Promise<readonly [cpu: number, rate: number]> {
  let left = READS;
  const reader = async (): Promise<void> => {
    while (left-- > 0) await read();
  };
  const [cpu, begin] = [process.cpuUsage(), performance.now()];
  await Promise.all(Array.from({ length: atOnce }, reader));
  const { user, system } = process.cpuUsage(cpu);
  return [(user + system) / READS, (READS / (performance.now() - begin)) * 1000];
}

const server = await startSessionServer({ credentials: [{ application: "shop" }] });
const redis = await startRedis();
const client = createClient({ url: `redis://127.0.0.1:${redis.port}` });
await client.connect();
await client.set(KEY, VALUE);
const credential = server.credentials["shop"];
const stores = {
  "remoteStore, node:http": remoteStore(server.url, { credential }),
  "remoteStore, fetch": remoteStore(server.url, { credential, fetch: (url, request) => fetch(url, request) }),
};
const call = { now: Date.now() };
await stores["remoteStore, fetch"].create(KEY, { version: "1", expiresAt: call.now + 9e6, value: VALUE }, call);
const reads: Readonly<Record<string, Read>> = {
  ...Object.fromEntries(
    Object.entries(stores).map(([name, store]) => {
      // As the manager calls it: with a signal of its own.
      const read: Read = async () => await store.read(KEY, { ...call, signal: new AbortController().signal });
      return [name, read];
    }),
  ),
  "node-redis GET": () => client.get(KEY),
};

for (const atOnce of [1, 32]) {
  const least = new Map<string, readonly [number, number]>();
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, read] of Object.entries(reads)) {
      const found = await measured(read, atOnce);
      const best = least.get(name);
      // The first round warms up.
      if (round > 0 && (best === undefined || found[0] < best[0])) least.set(name, found);
    }
  }
  for (const [name, [cpu, rate]] of least) {
    console.log(
      `${atOnce} at a time  ${name.padEnd(24)} ${cpu.toFixed(1)} µs of CPU a read, ${rate.toFixed(0)} reads/s`,
    );
  }
}
client.destroy();
for (const store of Object.values(stores)) await store.close();
await redis.stop();
await server.stop();
