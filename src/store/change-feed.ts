/**
 * The change feed of a store whose engine notifies: one connection for all watchers, which is asked now and then whether it
 * lives, and is connected again when it is lost.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { type StoreChange, WATCH_SILENCE, type WatchGaps } from "./store.ts";

/** How often the connection is asked whether it is alive, and how long it may take to answer, in milliseconds. */
const PING = WATCH_SILENCE * 0.4;

/** Before the first attempt to connect again, and before each one after many, in milliseconds. */
const [SHORTEST, LONGEST] = [100, 5_000];

/** Who is told of what comes over a connection. */
export interface FeedListener {
  notified(message: string): void;
  /** The connection is lost, or was lost and is there again. */
  lost(): void;
}

/** A connection that listens. */
export interface FeedConnection {
  /** Resolves when the connection is alive and has handed over all that was notified before. */
  ping(): PromiseLike<unknown>;
  /** Gives the connection back, or away when it is not to be used any more. */
  end(isBroken: boolean): void;
}

/** Listens from the moment on in which the promise resolves. `givenUp` is aborted when nobody waits for that any more. */
export type FeedConnect = (listener: FeedListener, givenUp: AbortSignal) => Promise<FeedConnection>;

/** What a message tells of. */
export interface ToldChange {
  readonly key: string;
  readonly change?: StoreChange | undefined;
}

/** What {@link changeFeed} takes. */
export interface ChangeFeedOptions {
  readonly connect: FeedConnect;
  readonly clock: Clock;
  /** What a message tells of; undefined when it cannot tell. */
  readonly changeIn: (message: string) => ToldChange | undefined;
}

type Listener = (key: string, change?: StoreChange) => void;

interface Watcher extends Required<WatchGaps> {
  readonly listener: Listener;
}

/** Those who watch. */
export interface ChangeFeed {
  watch(listener: Listener, gaps?: WatchGaps): () => void;
  /** Ends it for all. */
  close(): void;
}

/** Makes a feed; it connects with the first watcher and lets go with the last. */
export function changeFeed(options: ChangeFeedOptions): ChangeFeed {
  const watchers = new Set<Watcher>();
  let line: Line | undefined;
  const open = (): Line =>
    keepLine(options, {
      notified(message) {
        const told = options.changeIn(message);
        if (told !== undefined) for (const { listener } of watchers) listener(told.key, told.change);
        // Before it is up nobody trusts a copy.
        else if (line?.isUp() === true) missed(watchers);
      },
      restored: () => watchers.forEach(({ restored }) => restored()),
      current: (askedAt) => watchers.forEach(({ current }) => current(askedAt)),
      lost: () => watchers.forEach(({ lost }) => lost()),
    });
  const leave = (watcher: Watcher): void => {
    if (!watchers.delete(watcher) || watchers.size > 0) return;
    line?.end();
    line = undefined;
  };
  return {
    watch(listener, gaps = {}) {
      const watcher = watcherOf(listener, gaps);
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

/** Who comes while the connection is there is told of it a little later: gaps begin and end in turns all the same. */
function watcherOf(listener: Listener, gaps: WatchGaps): Watcher {
  let isTold = false;
  const turn = (to: boolean, say: "restored" | "lost"): void => {
    if (isTold === to) return;
    isTold = to;
    gaps[say]?.();
  };
  return {
    listener,
    restored: () => turn(true, "restored"),
    lost: () => turn(false, "lost"),
    current: (askedAt) => isTold && gaps.current?.(askedAt),
  };
}

/** Something has changed, and nobody knows what. */
function missed(watchers: ReadonlySet<Watcher>): void {
  for (const { lost, restored } of watchers) {
    lost();
    restored();
  }
}

interface LineEvents extends FeedListener {
  restored(): void;
  current(askedAt: number): void;
}

interface Line {
  isUp(): boolean;
  end(): void;
}

/** Keeps a connection that listens until it is ended. */
function keepLine({ connect: open, clock }: ChangeFeedOptions, events: LineEvents): Line {
  let attempt = 0;
  let failures = 0;
  let isUp = false;
  let connection: FeedConnection | undefined;
  let givenUp = new AbortController();
  let cancel = (): void => {};

  /** Of a connection that was given up nothing is heard any more. */
  const connect = async (): Promise<void> => {
    const own = ++attempt;
    givenUp = new AbortController();
    const lost = (): void => void (own === attempt && fail());
    cancel = clock.after(PING, lost);
    try {
      const notified = (message: string): void => void (own === attempt && events.notified(message));
      const found = await open({ notified, lost }, givenUp.signal);
      if (own !== attempt) return found.end(true);
      connection = found;
      await check(own);
    } catch {
      // Why it failed nobody can act upon here: that it did is told, and the next call of the store says why.
      lost();
    }
  };
  const check = async (own: number): Promise<void> => {
    cancel();
    cancel = clock.after(PING, () => void (own === attempt && fail()));
    const askedAt = clock.now();
    await connection?.ping();
    if (own !== attempt) return;
    cancel();
    failures = 0;
    const wasUp = isUp;
    isUp = true;
    if (!wasUp) events.restored();
    events.current(askedAt);
    cancel = clock.after(PING, () => void check(own).catch(() => void (own === attempt && fail())));
  };
  const hangUp = (isBroken: boolean): void => {
    attempt++;
    cancel();
    givenUp.abort();
    connection?.end(isBroken);
    connection = undefined;
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
