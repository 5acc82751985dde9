/**
 * How the clients of Redis listen: each makes a connection like its own, which is closed as soon as it breaks. The client would
 * connect it again by itself, and nobody would know what was published meanwhile.
 *
 * @module
 */
import type { RedisListen } from "./redis-connection.ts";

interface Emitter {
  on(event: string, handler: (...args: never[]) => void): unknown;
  removeListener(event: string, handler: (...args: never[]) => void): unknown;
}

// --- node-redis -----------------------------------------------------------------------------------------------------------

type Told = (text: string, channel: string) => void;

interface NodeRedis extends Emitter {
  duplicate(options: object): NodeRedis;
  connect(): Promise<unknown>;
  subscribe(channels: readonly string[], told: Told): Promise<unknown>;
  destroy(): void;
}

/** Over a client like the `original`. */
export function nodeRedisListen(original: () => Promise<unknown>): RedisListen {
  return (channels, hearing) => {
    let own: NodeRedis | undefined;
    let isEnded = false;
    const open = async (): Promise<void> => {
      const found = (await original()) as NodeRedis;
      if (isEnded) return;
      // A cache of the client's is told of what changes over the client's own connection.
      own = found.duplicate({ clientSideCache: undefined });
      own.on("error", () => hearing.broken());
      own.on("end", () => hearing.broken());
      await own.connect();
      await own.subscribe(channels, (text, channel) => hearing.message(channel, text));
    };
    return {
      ready: open(),
      end() {
        isEnded = true;
        quietly(() => own?.destroy());
      },
    };
  };
}

interface NodeRedisSentinel extends Emitter {
  subscribe(channels: readonly string[], told: Told): Promise<unknown>;
  unsubscribe(channels: readonly string[], told: Told): Promise<unknown>;
}

/** A client that asks sentinels has a connection of its own for subscriptions, and moves it to each new primary. */
export function sentinelListen(client: unknown): RedisListen {
  const sentinel = client as NodeRedisSentinel;
  return (channels, hearing) => {
    const told: Told = (text, channel) => hearing.message(channel, text);
    // Any connection of the client may be meant.
    const failed = (): void => hearing.broken();
    const changed = ({ type }: { readonly type: string }): void => {
      if (type === "MASTER_CHANGE") hearing.broken();
    };
    sentinel.on("error", failed);
    sentinel.on("topology-change", changed);
    return {
      ready: sentinel.subscribe(channels, told),
      end() {
        sentinel.removeListener("error", failed);
        sentinel.removeListener("topology-change", changed);
        // On a connection that is broken there is nothing to be ended.
        quietly(() => void sentinel.unsubscribe(channels, told).catch(() => {}));
      },
    };
  };
}

// --- ioredis --------------------------------------------------------------------------------------------------------------

interface Ioredis extends Emitter {
  duplicate(options: object): Ioredis;
  connect(): Promise<unknown>;
  subscribe(...channels: readonly string[]): Promise<unknown>;
  disconnect(): void;
}

/** What a connection needs that is opened when it is wanted, and used for nothing else. */
const OWN = { lazyConnect: true, enableOfflineQueue: true, enableAutoPipelining: false, autoResubscribe: false };

/** Over a client like that one. */
export function ioredisListen(client: unknown): RedisListen {
  return (channels, hearing) => {
    const own = (client as Ioredis).duplicate(OWN);
    own.on("error", () => hearing.broken());
    own.on("close", () => hearing.broken());
    own.on("message", (channel: string, text: string) => hearing.message(channel, text));
    return {
      ready: own.connect().then(() => own.subscribe(...channels)),
      end: () => quietly(() => own.disconnect()),
    };
  };
}

/** What is closed already is closed. */
function quietly(close: () => void): void {
  try {
    close();
  } catch {
    // So it says.
  }
}
