/**
 * Simulated servers: each has a real near cache, hears the news of the store a little later, and may be cut off from them.
 *
 * @module
 */
import type { Policy } from "../../src/session/policy.ts";
import { nearCache, type NearCache } from "../../src/store/near-cache.ts";
import type { WatchGaps } from "../../src/store/store.ts";
import type { Agenda } from "./agenda.ts";
import type { Remote } from "./remote.ts";
import { probe, type Ledger } from "./revocation.ts";
import { lagOf, type Weather } from "./weather.ts";

/** Between two looks at a copy that outlives its session, at the least and at the most, in milliseconds. */
const [OFTEN, SELDOM] = [1, 20] as const;

/** When a server hears nothing, in milliseconds. */
export interface Cut {
  /** Which one, from 0. */
  readonly server: number;
  readonly from: number;
  readonly to: number;
  /** When it notices that, and drops its copies; undefined when it never does. */
  readonly noticedAt: number | undefined;
}

/** How its copies live. */
export interface CacheOptions {
  readonly maxSessions: number;
  /** In milliseconds. */
  readonly maxAge: number;
}

/** What the servers have in common. */
export interface FleetOptions extends CacheOptions {
  readonly policy: Policy;
  readonly weather: Weather;
  readonly cuts: readonly Cut[];
}

/** A server. */
export interface Server {
  /** Its copies, after all news that have come by now. */
  readonly near: NearCache;
  /** Takes what has come by now. */
  listen(): void;
  /** How many reads a copy answered, and how many the store. */
  readonly count: { hits: number; misses: number };
  /** A new process in its place, which knows nothing yet. */
  restart(): void;
}

/** One of the servers. */
export function server(
  place: number,
  { maxSessions, maxAge, weather, cuts }: FleetOptions,
  { agenda, store, ended }: { agenda: Agenda; store: Remote; ended: Ledger },
): Server {
  const cut = cuts.find((one) => one.server === place);
  const count = { hits: 0, misses: 0 };
  let next = 0;
  let arrivesAt = -Infinity;
  /** When the next news come; infinite until there are any. */
  let due = Infinity;
  let { near, gaps, tell, ask } = opened();
  const turn = (at: number, say: "lost" | "restored"): void =>
    agenda.at(at, () => {
      listen();
      gaps()[say]?.();
    });
  if (cut?.noticedAt !== undefined) {
    turn(cut.noticedAt, "lost");
    turn(Math.max(cut.noticedAt, cut.to), "restored");
  }

  function opened(): Opened {
    return open({ maxSessions, maxAge }, store.verbs(place), count);
  }

  /** News come one after the other over one connection, so none overtakes another. */
  function arrivalOfNext(): number {
    const news = store.news[next]!;
    return Math.max(arrivesAt, news.doneAt, news.answeredAt + lagOf(weather, news.like, news.by, place));
  }

  function hear(at: number): void {
    const { key, version } = store.news[next]!;
    const isCut = cut !== undefined && at >= cut.from && at < cut.to;
    if (version === undefined) {
      if (isCut) look(key, at);
      else if (ask(key, at) !== undefined) ended.served(key, place, at);
    }
    if (!isCut) tell(key, version);
  }

  /** Looks again and again, more often as the end comes near, until the copy would not be served. */
  function look(key: string, from: number): void {
    for (let at = from; ;) {
      const age = ask(key, at);
      if (age === undefined) return;
      ended.served(key, place, at);
      at += Math.min(SELDOM, Math.max(OFTEN, (maxAge - age) / 2));
      if (at <= agenda.now) continue;
      agenda.at(at, () => look(key, at));
      return;
    }
  }

  function listen(): void {
    for (;;) {
      if (due === Infinity && next < store.news.length) due = arrivalOfNext();
      if (due > agenda.now) return;
      hear(due);
      arrivesAt = due;
      due = Infinity;
      next++;
    }
  }

  return {
    get near() {
      return near;
    },
    listen,
    count,
    restart: () => void ({ near, gaps, tell, ask } = opened()),
  };
}

interface Opened {
  readonly near: NearCache;
  gaps(): WatchGaps;
  tell(key: string, version: string | undefined): void;
  ask(key: string, now: number): number | undefined;
}

/** The near cache is the product's. Only what it watches is simulated. */
function open(options: CacheOptions, verbs: ReturnType<Remote["verbs"]>, count: Server["count"]): Opened {
  const asked = probe();
  let tell: (key: string, change?: { version?: string }) => void = () => {};
  let gaps: WatchGaps = {};
  const behind = asked.behind({
    ...verbs,
    watch: (listener, told = {}) => {
      tell = listener as typeof tell;
      gaps = told;
      return () => {};
    },
  });
  const near = nearCache(behind, {
    maxSessions: options.maxSessions,
    maxAge: options.maxAge / 1000,
    onRead(read) {
      asked.noted(read);
      if (!asked.isOn) count[read.hit ? "hits" : "misses"]++;
    },
  });
  gaps.restored?.();
  return {
    near,
    gaps: () => gaps,
    tell: (key, version) => tell(key, version === undefined ? undefined : { version }),
    ask: (key, now) => asked.age(near, key, now),
  };
}
