/**
 * The changes of a namespace, line by line, for whoever keeps copies: `GET /v1/changes`.
 *
 * @module
 */
import type { ServerResponse } from "node:http";
import { type Clock, systemClock } from "../internal/clock.ts";
import type { WireLine } from "../internal/remote-protocol.ts";
import type { SessionStore } from "../store/store.ts";
import { type Endpoint, Refusal } from "./endpoint.ts";

/** What {@link changesEndpoint} takes. */
export interface ChangesEndpointOptions {
  /** For tests. Default: the clock of the machine. */
  readonly clock?: Clock | undefined;
}

/** Between two lines that say the time, in milliseconds; the first ones come sooner, for who has just come. */
const [FIRST_PULSE, PULSE] = [10, 1_000];

/** Bytes that may wait for a client: one that does not read is cut off, and comes again. */
const MOST_WAITING = 1_048_576;

/**
 * Streams of an application at a time. Each of them is a connection that stays, of those that all applications share; an
 * application has one for each of its processes.
 */
const MOST_STREAMS = 1_000;

/**
 * Answers with a line for each change of a record of the caller's, from the moment on in which everything is told. When that
 * ends, and when the server stops, it says `lost` and ends the answer. Throws a {@link Refusal} where nobody tells of changes.
 */
export function changesEndpoint({ clock = systemClock }: ChangesEndpointOptions = {}): Endpoint {
  const open = new Map<string, number>();
  return ({ path, res, signal, caller: { application, store } }) => {
    if (path.length > 0) throw new Refusal(404, "not-found", "There is nothing behind the changes");
    const streams = open.get(application) ?? 0;
    if (streams >= MOST_STREAMS) {
      throw new Refusal(503, "overloaded", `An application has ${MOST_STREAMS} streams of changes at most.`, {
        "Retry-After": "10",
      });
    }
    const stream = new ChangeStream(res, clock);
    const unwatch = watched(store, stream);
    open.set(application, streams + 1);
    res.writeHead(200, {
      "Content-Type": "application/x-ndjson",
      "Cache-Control": "no-store",
      // A proxy that collects would tell of changes when they are old.
      "X-Accel-Buffering": "no",
    });
    res.flushHeaders();
    res.once("close", () => {
      open.set(application, (open.get(application) ?? 1) - 1);
      unwatch();
      stream.close();
    });
    signal.addEventListener("abort", () => stream.lost());
    return undefined;
  };
}

function watched(store: SessionStore, stream: ChangeStream): () => void {
  try {
    const unwatch = store.watch?.((key, change) => stream.tell({ key, version: change?.version }), {
      restored: () => stream.restored(),
      lost: () => stream.lost(),
      current: (askedAt) => stream.current(askedAt),
    });
    if (unwatch !== undefined) return unwatch;
  } catch {
    // What the store says is for who runs the server.
  }
  throw new Refusal(501, "not-capable", "This server tells of no changes; start it so that it does: --changes");
}

class ChangeStream {
  readonly #res: ServerResponse;
  readonly #clock: Clock;
  #isUp = false;
  #current: number | undefined;
  #cancel = (): void => {};

  constructor(res: ServerResponse, clock: Clock) {
    this.#res = res;
    this.#clock = clock;
  }

  restored(): void {
    if (this.#res.writableEnded) return;
    this.#isUp = true;
    this.#pulse(FIRST_PULSE);
  }

  /** The store was asked at a moment by the clock that can be set. */
  current(askedAt: number): void {
    this.#current = performance.now() - (this.#clock.now() - askedAt);
  }

  tell(line: WireLine): void {
    if (!this.#isUp) return;
    this.#res.write(`${JSON.stringify(line)}\n`);
    if (this.#res.writableLength > MOST_WAITING) this.#res.destroy();
  }

  /** Nothing is told any more: who wants to hear comes again. */
  lost(): void {
    this.tell({ lost: true });
    this.close();
    this.#res.end();
  }

  close(): void {
    this.#isUp = false;
    this.#cancel();
  }

  #pulse(pause: number): void {
    this.tell({ now: performance.now(), current: this.#current });
    if (!this.#isUp) return;
    this.#cancel = this.#clock.after(pause, () => this.#pulse(Math.min(pause * 5, PULSE)));
  }
}
