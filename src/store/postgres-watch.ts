/**
 * The change feed of `postgresStore`: one listening connection for all watchers of a store, which is connected again when it
 * is lost.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { PostgresListening, PostgresSubscription } from "./postgres-listening.ts";
import { WATCH_SILENCE, type WatchGaps } from "./store.ts";

/** How often the connection is asked whether it is alive, and how long it may take to answer, in milliseconds. */
const PING = WATCH_SILENCE * 0.4;

/** Before the first attempt to connect again, and before each one after many, in milliseconds. */
const [SHORTEST, LONGEST] = [100, 5_000];

/** What {@link changeFeed} takes. */
export interface ChangeFeedOptions {
  readonly listening: PostgresListening;
  readonly channel: string;
  readonly clock: Clock;
  /** The key that a payload tells of; undefined when it cannot tell. */
  readonly keyOf: (payload: string) => string | undefined;
}

interface Watcher extends WatchGaps {
  listener(key: string): void;
}

/** Those who watch. */
export interface ChangeFeed {
  watch(listener: (key: string) => void, gaps?: WatchGaps): () => void;
  /** Ends it for all. */
  close(): void;
}

/** Makes a feed; it connects with the first watcher and lets go with the last. */
export function changeFeed(options: ChangeFeedOptions): ChangeFeed {
  const watchers = new Set<Watcher>();
  let line: Line | undefined;
  const open = (): Line =>
    keepLine(options, {
      notified(payload) {
        const key = options.keyOf(payload);
        if (key === undefined) {
          // Before it is up nobody trusts a copy.
          if (line?.isUp() === true) missed(watchers);
        } else for (const { listener } of watchers) listener(key);
      },
      restored: () => watchers.forEach(({ restored }) => restored?.()),
      lost: () => watchers.forEach(({ lost }) => lost?.()),
    });
  const leave = (watcher: Watcher): void => {
    if (!watchers.delete(watcher) || watchers.size > 0) return;
    line?.end();
    line = undefined;
  };
  return {
    watch(listener, gaps = {}) {
      const watcher = { listener, lost: () => gaps.lost?.(), restored: () => gaps.restored?.() };
      watchers.add(watcher);
      line ??= open();
      // Not before `watch` has returned.
      if (line.isUp()) void Promise.resolve().then(() => line?.isUp() && watchers.has(watcher) && watcher.restored());
      return () => leave(watcher);
    },
    close() {
      for (const watcher of watchers) leave(watcher);
    },
  };
}

/** Something has changed, and nobody knows what. */
function missed(watchers: ReadonlySet<Watcher>): void {
  for (const { lost, restored } of watchers) {
    lost?.();
    restored?.();
  }
}

interface LineEvents {
  notified(payload: string): void;
  restored(): void;
  lost(): void;
}

interface Line {
  isUp(): boolean;
  end(): void;
}

/** Keeps a connection that listens until it is ended. */
function keepLine({ listening, channel, clock }: ChangeFeedOptions, events: LineEvents): Line {
  let attempt = 0;
  let failures = 0;
  let isUp = false;
  let subscription: PostgresSubscription | undefined;
  let cancel = (): void => {};

  /** Of a connection that was given up nothing is heard any more. */
  const connect = async (): Promise<void> => {
    const own = ++attempt;
    const lost = (): void => void (own === attempt && fail());
    cancel = clock.after(PING, lost);
    try {
      const found = await listening(channel, {
        notified: (payload) => own === attempt && events.notified(payload),
        lost,
      });
      if (own !== attempt) return found.end(true);
      subscription = found;
      await check(own);
    } catch {
      // Why it failed nobody can act upon here: that it did is told, and the next call of the store says why.
      lost();
    }
  };
  const check = async (own: number): Promise<void> => {
    cancel();
    cancel = clock.after(PING, () => void (own === attempt && fail()));
    await subscription?.ping();
    if (own !== attempt) return;
    cancel();
    failures = 0;
    const wasUp = isUp;
    isUp = true;
    if (!wasUp) events.restored();
    cancel = clock.after(PING, () => void check(own).catch(() => void (own === attempt && fail())));
  };
  const hangUp = (isBroken: boolean): void => {
    attempt++;
    cancel();
    subscription?.end(isBroken);
    subscription = undefined;
  };
  const fail = (): void => {
    hangUp(true);
    const pause = Math.min(LONGEST, SHORTEST * 2 ** failures++) * (0.5 + Math.random() / 2);
    cancel = clock.after(pause, () => void connect());
    const wasUp = isUp;
    isUp = false;
    if (wasUp) events.lost();
  };
  void connect();
  return {
    isUp: () => isUp,
    end: () => hangUp(false),
  };
}
