/**
 * The store conformance kit over the client of Bun, for Bun to run: prints what failed, a line each. Its argument is a port.
 */
import { redisStore, type BunRedisClient } from "../../src/store/redis.ts";
import { storeCases } from "../../src/testing/store-cases.ts";

interface Bun {
  readonly RedisClient: new (url: string) => BunRedisClient & { close(): void };
}

const { Bun: bun } = globalThis as unknown as { readonly Bun: Bun };
const client = new bun.RedisClient(`redis://127.0.0.1:${process.argv[2] ?? ""}`);
let cases = 0;
for (const { name, run } of storeCases) {
  const prefix = `bun${++cases}:`;
  await run(() => redisStore(client, { prefix })).catch((error: unknown) => console.log(`${name}: ${String(error)}`));
}
console.log(`${cases} cases`);
client.close();
