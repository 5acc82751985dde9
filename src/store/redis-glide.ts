/**
 * How `redisStore` works with valkey-glide.
 *
 * @module
 */
import { type RedisConnection, type Send, single } from "./redis-connection.ts";

interface Glide {
  customCommand(
    args: readonly string[],
    options: { readonly decoder: number; readonly route?: object },
  ): Promise<unknown>;
}

/** `Decoder.String`. */
const AS_TEXT = 1;

/** A client of one server. */
export function glide(client: unknown): RedisConnection {
  return single((args) => (client as Glide).customCommand(args, { decoder: AS_TEXT }));
}

/** A client of a Cluster. */
export function glideCluster(client: unknown): RedisConnection {
  const redis = client as Glide;
  const sender =
    (route: object): Send =>
    (args) =>
      redis.customCommand(args, { decoder: AS_TEXT, route });
  const toSlot = (key: string): Send => sender({ type: "primarySlotKey", key });
  return {
    command: (key, args) => toSlot(key)(args),
    nodes: async () => {
      const slots = (await redis.customCommand(["CLUSTER", "SLOTS"], { decoder: AS_TEXT })) as readonly GlideSlots[];
      const primaries = new Map(slots.map(([, , [host, port]]) => [`${host}:${port}`, { host, port: Number(port) }]));
      return Array.from(primaries.values(), (address) => sender({ type: "routeByAddress", ...address }));
    },
    hold: (key, work) => work(toSlot(key), toSlot(key)),
  };
}

/** A range of slots, and the primary that has it. */
type GlideSlots = readonly [
  from: number,
  to: number,
  primary: readonly [host: string, port: number, ...rest: unknown[]],
];
