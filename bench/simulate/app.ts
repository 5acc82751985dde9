/**
 * A real server of the check, in a process of its own: what stands in the simulation stands here over a real socket, a real near
 * cache, a real client and a real Redis. Started by real.ts, which tells it by its first argument what to do; it ends with it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createClient } from "redis";
import { withSessions } from "../../src/adapter/node.ts";
import { defineSession, type SessionStore } from "../../src/index.ts";
import { nearCache, type NearCache } from "../../src/store/near-cache.ts";
import { redisStore } from "../../src/store/redis.ts";
import { probe } from "./revocation.ts";
import type { Verb } from "./traffic.ts";

/** What a server is told. Times in milliseconds. */
export interface AppOrders {
  readonly redis: number;
  readonly maxSessions: number;
  readonly maxAge: number;
  readonly idle: number;
  readonly renewal: number;
}

/** What a server has counted since it started. Times in milliseconds, by a clock that all processes of the machine share. */
export interface AppCount {
  readonly hits: number;
  readonly misses: number;
  readonly reads: number;
  readonly writes: number;
  readonly news: number;
}

/** What a server has seen since it was told that it counts now. */
export interface AppReport extends AppCount {
  readonly ended: readonly (readonly [key: string, at: number])[];
  readonly served: readonly (readonly [key: string, until: number])[];
  /** Of what it ended only to measure: when that was sent, and answered. */
  readonly decoys: readonly (readonly [key: string, sentAt: number, answeredAt: number])[];
  /** Of what anybody ended for that: when it was heard. */
  readonly heard: readonly (readonly [key: string, at: number])[];
}

/** Milliseconds by a clock that all processes of the machine share, and that never goes back. */
const monotonic = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Between two looks at a copy that outlives its session, in milliseconds. */
const LOOK = 2;

const orders = JSON.parse(process.argv[2] ?? "{}") as AppOrders;
const client = createClient({ url: `redis://127.0.0.1:${orders.redis}` });
client.on("error", (error: Error) => console.error(error.message));
await client.connect();

const asked = probe();
const count = { hits: 0, misses: 0, reads: 0, writes: 0, news: 0 };
let deaf = false;
let ended: AppReport["ended"][number][] = [];
let served: AppReport["served"][number][] = [];
let decoys: AppReport["decoys"][number][] = [];
let heard: AppReport["heard"][number][] = [];

const near: NearCache = nearCache(asked.behind(counted(redisStore(client, { watch: true, sweepInterval: false }))), {
  maxSessions: orders.maxSessions,
  maxAge: orders.maxAge / 1000,
  onRead(read) {
    asked.noted(read);
    if (!asked.isOn) count[read.hit ? "hits" : "misses"]++;
  },
});

/** Counts what reaches the store, notes when it has answered to a deletion, and hears its news first. */
function counted(store: SessionStore): SessionStore {
  const writing = <T>(answer: T): T => {
    count.writes++;
    return answer;
  };
  return {
    ...store,
    create: (key, record, call) => writing(store.create(key, record, call)),
    read(key, call) {
      count.reads++;
      return store.read(key, call);
    },
    update: (key, record, base, call) => writing(store.update(key, record, base, call)),
    touch: (key, expiresAt, call) => writing(store.touch(key, expiresAt, call)),
    async delete(key, call) {
      const existed = await writing(store.delete(key, call));
      ended.push([key, monotonic()]);
      return existed;
    },
    watch: hearing(store, (key, change) => {
      count.news++;
      if (change?.version === undefined) outlived(key, monotonic());
      return !deaf;
    }),
  };
}

type Watch = NonNullable<SessionStore["watch"]>;

/** Hears the news first, and says whether they go on. */
function hearing({ watch }: SessionStore, hear: (...news: Parameters<Parameters<Watch>[0]>) => boolean): Watch {
  if (watch === undefined) throw new Error("this store cannot be watched");
  return (listener, gaps) => watch((...news) => void (hear(...news) && listener(...news)), gaps);
}

/** Whether a copy of an ended session is still here; who is deaf goes on looking until it would not be served. */
function outlived(key: string, at: number): void {
  if (asked.age(near, key, Date.now()) === undefined) return;
  served.push([key, at]);
  if (deaf) setTimeout(() => outlived(key, monotonic()), LOOK);
}

// --- the weather, measured in the same run -----------------------------------------------------------------------------

/** Sessions that nobody measures anything of but how long messages take: over a store and a channel of their own. */
const aside = nearCache(timed(redisStore(client, { watch: true, sweepInterval: false, prefix: "decoy:" })));

function timed(store: SessionStore): SessionStore {
  return {
    ...store,
    async delete(key, call) {
      const sentAt = monotonic();
      const existed = await store.delete(key, call);
      decoys.push([key, sentAt, monotonic()]);
      return existed;
    },
    watch: hearing(store, (key, change) => {
      if (change?.version === undefined) heard.push([key, monotonic()]);
      return true;
    }),
  };
}

// --- requests ---------------------------------------------------------------------------------------------------------

const policy = { idleTimeout: orders.idle / 1000, renewalTimeout: orders.renewal / 1000, storeTimeout: 10 };
const user = defineSession<{ n: number }>({ name: "user", store: near, ...policy });
const decoy = defineSession<{ n: number }>({ name: "decoy", store: aside, ...policy });

/** The commit is left to the adapter, as usual: one by hand could renew nothing, since nothing is answered yet. */
async function visited(req: IncomingMessage, definition: typeof user, verb: Verb): Promise<string> {
  const session = await definition.from(req);
  // One that has ended has another.
  const { id } = session;
  if (session.isNew) {
    session.set({ n: 0 });
    session.authenticate(id);
  } else if (verb === "write") session.update((data) => ({ n: (data?.n ?? 0) + 1 }));
  else if (verb === "sign-out") session.destroy();
  return id;
}

/** What the check itself asks. */
const questions: Readonly<Record<string, (query: URLSearchParams) => unknown>> = {
  live: () => near.stats().live && aside.stats().live,
  deaf: (query) => (deaf = query.get("on") === "1"),
  count() {
    [ended, served, decoys, heard] = [[], [], [], []];
    return { ...count } satisfies AppCount;
  },
  report: () => ({ ...count, ended, served, decoys, heard }) satisfies AppReport,
};

const server = createServer(
  withSessions(
    async (req: IncomingMessage, res: ServerResponse) => {
      const { pathname, searchParams } = new URL(req.url ?? "/", "http://localhost");
      const [, name = "", verb = "read"] = pathname.split("/");
      const question = questions[name];
      const answer =
        question === undefined
          ? await visited(req, name === "decoy" ? decoy : user, verb as Verb)
          : question(searchParams);
      res.end(JSON.stringify(answer ?? null));
    },
    user,
    decoy,
  ),
);
// The other end closes connections.
server.keepAliveTimeout = 75_000;
server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on("disconnect", () => process.exit());
