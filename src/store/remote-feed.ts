/**
 * The change feed of `remoteStore`: the lines that a session server sends for as long as it is listened to.
 *
 * Nothing can be asked of a server over a connection on which it only answers, and another connection may end at another server.
 * So it is the server's clock that says how late the lines are: every second it sends the time. The first time was sent after
 * the client had asked, which ties the two clocks together, from the side that is safe; and clocks that are never set run at the
 * same speed, but for so little.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { CHANGES_PATH, lineIn, type WirePulse } from "../internal/remote-protocol.ts";
import { type ChangeFeed, changeFeed, type FeedConnection, type FeedListener, type ToldChange } from "./change-feed.ts";
import { refused, remoteError, type RemoteServer } from "./remote-server.ts";

/** By how much the clocks of two machines may run apart, as a part of the time. They are of quartz: a tenth of that is usual. */
const DRIFT = 0.000_25;

/** When they may have run apart by so much, in milliseconds, they are tied together anew: after an hour. */
const APART = 1_000;

/** Characters of a line. */
const LONGEST_LINE = 65_536;

/** Makes the feed of a server. */
export function remoteFeed(server: RemoteServer, clock: Clock): ChangeFeed {
  let current = -Infinity;
  const feed = changeFeed({
    clock,
    changeIn,
    async connect(listener, givenUp) {
      current = -Infinity;
      const line = new FeedLine(listener, clock, (at) => void (current = at));
      return await opened(server, line, clock, givenUp);
    },
  });
  return {
    watch(listener, { restored, lost, current: told } = {}) {
      let restoredAt = Infinity;
      return feed.watch(listener, {
        restored() {
          restoredAt = clock.now();
          restored?.();
        },
        lost: () => lost?.(),
        // That the lines come is one thing; how much of what is done the server has heard of is another one.
        current() {
          if (current >= restoredAt) told?.(current);
        },
      });
    },
    close: feed.close,
  };
}

function changeIn(text: string): ToldChange | undefined {
  try {
    const line = lineIn(text);
    if (!("key" in line)) return undefined;
    return { key: line.key, change: line.version === undefined ? undefined : { version: line.version } };
  } catch {
    return undefined;
  }
}

/** Asks for the lines; resolves with the first one. */
async function opened(
  { base, headers, fetch }: RemoteServer,
  line: FeedLine,
  clock: Clock,
  givenUp: AbortSignal,
): Promise<FeedConnection> {
  const abort = new AbortController();
  const end = (): void => abort.abort();
  givenUp.addEventListener("abort", end);
  const askedAt = clock.now();
  const request = { method: "GET", headers, redirect: "manual", signal: abort.signal } as const;
  const { status, body } = await fetch(base + CHANGES_PATH, request);
  if (status !== 200 || body === undefined || body === null) {
    end();
    throw status === 200
      ? remoteError("this fetch brings no stream, which watch needs")
      : refused(base, status, undefined).error;
  }
  await line.begin(askedAt, linesOf(body));
  return { ping: () => line.caughtUp(), end };
}

async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LONGEST_LINE) throw new Error("a line without an end");
    yield* lines;
  }
}

/** Who waits until everything up to a moment of this process is told. */
interface Waiting {
  readonly since: number;
  readonly resolve: () => void;
}

class FeedLine {
  readonly #listener: FeedListener;
  readonly #clock: Clock;
  readonly #current: (at: number) => void;
  #waiting: readonly Waiting[] = [];
  /** A moment of this process, before the one of the server that it is put beside. */
  #tie = { here: 0, there: 0 };

  constructor(listener: FeedListener, clock: Clock, current: (at: number) => void) {
    this.#listener = listener;
    this.#clock = clock;
    this.#current = current;
  }

  /** Resolves with the first line, and goes on reading. */
  async begin(askedAt: number, lines: AsyncGenerator<string>): Promise<void> {
    const first = await lines.next();
    const pulse = first.done === true ? undefined : lineIn(first.value);
    if (pulse === undefined || !("now" in pulse)) throw remoteError("the server tells of no changes now");
    this.#tie = { here: askedAt, there: pulse.now };
    void this.#read(lines).then(
      () => this.#listener.lost(),
      () => this.#listener.lost(),
    );
  }

  /** Resolves when all that the server has heard of by now is told. */
  caughtUp(): Promise<void> {
    // Clocks tell whole milliseconds.
    const since = this.#clock.now() + 1;
    return new Promise((resolve) => (this.#waiting = [...this.#waiting, { since, resolve }]));
  }

  async #read(lines: AsyncGenerator<string>): Promise<void> {
    for await (const text of lines) {
      if (text.startsWith('{"key"')) this.#listener.notified(text);
      else {
        const line = lineIn(text);
        if (!("now" in line) || !this.#isSound(line)) return;
      }
    }
  }

  /** Takes the time of the server; false when it cannot be. */
  #isSound({ now, current }: WirePulse): boolean {
    const passed = now - this.#tie.there;
    const at = this.#here(now);
    // One of the clocks was set or stood still, or they are to be tied together anew.
    if (passed * DRIFT > APART || at > this.#clock.now() + 1) return false;
    if (current !== undefined) this.#current(this.#here(current));
    const isDue = ({ since }: Waiting): boolean => since <= at;
    const due = this.#waiting.filter(isDue);
    this.#waiting = this.#waiting.filter((one) => !isDue(one));
    for (const { resolve } of due) resolve();
    return true;
  }

  /** A moment of the server's, in the time of this process: that one, or one before it. */
  #here(there: number): number {
    const passed = there - this.#tie.there;
    return this.#tie.here + passed - Math.abs(passed) * DRIFT;
  }
}
