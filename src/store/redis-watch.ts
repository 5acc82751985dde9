/**
 * The change feed of `redisStore`: what the scripts publish, heard over connections of its own.
 *
 * In a Cluster each primary is listened to. What is published goes to all nodes, but over links that drop it while they are
 * down, and nobody would know; what comes from the primary itself comes, or its connection breaks.
 *
 * @module
 */
import { encodeBase64url } from "../internal/base64url.ts";
import type { Clock } from "../internal/clock.ts";
import { randomBytes } from "../internal/crypto.ts";
import { type ChangeFeed, changeFeed, type FeedConnect, type FeedListener, type ToldChange } from "./change-feed.ts";
import type { RedisListening, RedisPrimary, RedisSubscription, Send } from "./redis-connection.ts";
import { fromRedis, type Names } from "./redis-text.ts";

/** The feed of the store with those names. */
export function redisFeed(listening: RedisListening, names: Names, clock: Clock): ChangeFeed {
  return changeFeed({ connect: connectTo(listening, names.changes), clock, changeIn: (told) => changeIn(names, told) });
}

/** The name of a record, and the version that was written, if any, after a tab, which neither of them has. */
function changeIn(names: Names, told: string): ToldChange | undefined {
  const [name = "", version] = told.split("\t");
  const key = names.keyOf(name);
  if (key === undefined) return undefined;
  return { key, change: version === undefined ? undefined : { version: fromRedis(version) } };
}

function connectTo({ isCluster, primaries }: RedisListening, channel: string): FeedConnect {
  return async (listener, givenUp) => {
    const echo = `${channel}:${encodeBase64url(randomBytes(12))}`;
    const found = await primaries();
    const sends = found.map(({ send }) => send);
    if (isCluster) await checkWhole(sends);
    givenUp.throwIfAborted();
    const posts = found.map((primary) => listenAt(primary, channel, echo, listener));
    const end = (): void => {
      for (const post of posts) post.end();
    };
    givenUp.addEventListener("abort", end);
    try {
      await Promise.all(posts.map(({ ready }) => ready));
    } catch (error) {
      end();
      throw error;
    }
    let pings = 0;
    const ping = async (): Promise<void> => {
      pings++;
      await Promise.all(posts.map((post, i) => post.ping(isCluster ? published : writable, `${i}.${pings}`)));
      if (isCluster) await checkWhole(sends);
    };
    return { ping, end };
  };
}

/** A primary, and who listens there. */
interface Post extends RedisSubscription {
  /** Resolves when `token` has come back from there. */
  ping(publish: Publish, token: string): Promise<void>;
}

function listenAt(
  { send, listen }: RedisPrimary,
  channel: string,
  echo: string,
  { notified, lost }: FeedListener,
): Post {
  const waiting = new Map<string, () => void>();
  const subscription = listen([channel, echo], {
    message(on, text) {
      if (on === channel) notified(text);
      else waiting.get(text)?.();
    },
    broken: lost,
  });
  return {
    ...subscription,
    async ping(publish, token) {
      const heard = new Promise<void>((resolve) => void waiting.set(token, resolve));
      const listeners = Number(await publish(send, echo, token));
      // It says how many there are on that very server. A replica would have it from elsewhere, perhaps not all.
      if (!(listeners > 0)) throw new Error("redisStore: it listens to another server than it writes to");
      await heard;
      waiting.delete(token);
    },
  };
}

/** Publishes a text, and tells how many heard it on that server. */
type Publish = (send: Send, channel: string, text: string) => PromiseLike<unknown>;

const published: Publish = (send, channel, text) => send(["PUBLISH", channel, text]);

/** A server that has become a replica refuses to delete, even what is not there; it may not have cut its connections. */
const WRITABLE = "redis.call('DEL', KEYS[1]) return redis.call('PUBLISH', KEYS[1], ARGV[1])";

const writable: Publish = (send, channel, text) => send(["EVAL", WRITABLE, "1", channel, text]);

// --- Cluster --------------------------------------------------------------------------------------------------------------

/** What a node of a Cluster knows. */
interface View {
  readonly self: string;
  /** All primaries that have slots. */
  readonly primaries: string;
}

/** Throws unless those are all primaries, as each of them says. */
async function checkWhole(sends: readonly Send[]): Promise<void> {
  const views = await Promise.all(sends.map(async (send) => viewIn(String(await send(["CLUSTER", "NODES"])))));
  const listened = views.map(({ self }) => self).toSorted();
  if (views.length === 0 || views.some(({ primaries }) => primaries !== listened.join())) {
    throw new Error("redisStore: the cluster has other primaries than its client knows");
  }
}

/** A line a node: id, address, flags, its primary, three times and epochs, the state of the link, and its slots, if any. */
function viewIn(nodes: string): View {
  const known = nodes.split("\n").map((line) => {
    const [id = "", , flags = "", , , , , , ...slots] = line.split(" ");
    return { id, flags: flags.split(","), slots };
  });
  const primaries = known.filter(({ flags, slots }) => flags.includes("master") && slots.length > 0);
  const self = known.find(({ flags }) => flags.includes("myself"));
  return {
    self: self?.id ?? "",
    primaries: primaries
      .map(({ id }) => id)
      .toSorted()
      .join(),
  };
}
