/** Moves slots of a Redis Cluster from one node to another, as `redis-cli --cluster reshard` does. */
import type { RedisNode } from "../servers/redis.ts";
import type { Reply } from "../servers/resp.ts";

/** Moves up to so many slots of the first primary to the second: those with keys first. */
export async function migrateSlots(nodes: readonly RedisNode[], count: number): Promise<void> {
  const [from, to] = nodes as readonly [RedisNode, RedisNode];
  const [fromId, toId] = [String(await from.ask("CLUSTER", "MYID")), String(await to.ask("CLUSTER", "MYID"))];
  for (const slot of await slotsOf(from, fromId, count)) {
    await to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", fromId);
    await from.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", toId);
    await moveKeys(from, to, slot);
    for (const node of [to, from, ...nodes.slice(2, 3)]) await node.ask("CLUSTER", "SETSLOT", slot, "NODE", toId);
  }
}

/** Until there are none: new ones come meanwhile. */
async function moveKeys(from: RedisNode, to: RedisNode, slot: string): Promise<void> {
  const some = async (): Promise<readonly string[]> =>
    (await from.ask("CLUSTER", "GETKEYSINSLOT", slot, "100")) as readonly string[];
  for (let keys = await some(); keys.length > 0; keys = await some()) {
    await from.ask("MIGRATE", "127.0.0.1", String(to.port), "", "0", "5000", "KEYS", ...keys);
  }
}

async function slotsOf(node: RedisNode, id: string, count: number): Promise<readonly string[]> {
  const ranges = (await node.ask("CLUSTER", "SLOTS")) as readonly (readonly [number, number, readonly Reply[]])[];
  const mine = ranges.filter(([, , primary]) => primary[2] === id);
  const slots = mine.flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, at) => String(first + at)),
  );
  const filled = new Set<string>();
  for (const key of (await node.ask("KEYS", "*")) as readonly string[]) {
    filled.add(String(await node.ask("CLUSTER", "KEYSLOT", key)));
  }
  return [...filled, ...slots.filter((slot) => !filled.has(slot))].slice(0, count);
}
