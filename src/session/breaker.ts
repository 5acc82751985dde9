/**
 * A circuit breaker: after some calls in a row that a store did not answer, the next ones fail at once, so that requests do
 * not wait one after the other for a store that is gone; a single call asks, again and again, whether it is back.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";

/** What decides whether a call goes through to a store. */
export interface Breaker {
  /** Whether `admit` has to be asked before a call: the only thing that a store which answers at once ever pays for. */
  readonly guarded: boolean;
  /** Why no call may go through now; undefined when one may. A long one never is the one that asks. */
  refusal(isLong?: boolean): Error | undefined;
  /** A call goes through: the one that asks whether the store is back, if that is due. */
  admit(): void;
  /** The call that was to ask was answered without the store, such as from a cache: the next one asks. */
  release(): void;
  /** A call waits for its answer. Returns what `failed` wants to know of it. */
  begin(): number;
  /** A waiting call came to its end, by an answer or by a timeout. */
  end(): void;
  /** The store has answered something, be it an error. */
  answered(): void;
  /** The store has not answered. */
  failed(call: number): void;
}

/** What a breaker is made of. */
export interface BreakerOptions {
  readonly clock: Clock;
  /** Calls that go unanswered, one after the other, until calls fail at once. */
  readonly failures?: number | undefined;
  /** Calls that may wait for an answer at the same time. */
  readonly waiting?: number | undefined;
  /** Called when calls begin to fail at once. */
  onDown(): void;
  /** Called when they go through again. */
  onUp(): void;
}

/** Enough that a dropped connection, which fails what was under way, is told from a store that is gone. */
const FAILURES = 5;

/**
 * More requests than a process has under way when all is well, and some ten megabytes of them when it is not. What a driver
 * queues while it is disconnected is bounded by it too: when it is full the first timeouts are due, and they open the breaker.
 */
const WAITING = 10_000;

/** Before the store is asked for the first time whether it is back, and at the most, in milliseconds. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 1_000;

/** `open`: calls fail. `due`: the next call is let through. `probing`: it has been, the others still fail. */
type State = "closed" | "open" | "due" | "probing";

/** Makes a breaker that lets calls through. */
export function breaker(options: BreakerOptions): Breaker {
  return new CountingBreaker(options);
}

/** A class, so that the flag which is read before every call is a plain field. */
class CountingBreaker implements Breaker {
  guarded = false;
  readonly #options: BreakerOptions;
  readonly #most: number;
  readonly #places: number;
  readonly #pauses: Pauses;
  #state: State = "closed";
  /** Counts the changes of the state: a failure says something of the time only in which its call was made. */
  #epoch = 0;
  #failures = 0;
  #waiting = 0;

  constructor(options: BreakerOptions) {
    this.#options = options;
    this.#most = options.failures ?? FAILURES;
    this.#places = options.waiting ?? WAITING;
    this.#pauses = growingPauses(options.clock);
  }

  refusal(isLong = false): Error | undefined {
    if (this.#state === "open" || this.#state === "probing" || (this.#state === "due" && isLong)) {
      return new Error(
        `the store has not answered ${this.#most} times in a row; it is asked again within ${LONGEST_PAUSE} ms`,
      );
    }
    return this.#waiting < this.#places ? undefined : new Error(`${this.#places} calls wait for the store already`);
  }

  admit(): void {
    if (this.#state === "due") this.#become("probing");
  }

  release(): void {
    if (this.#state === "probing") this.#become("due");
  }

  begin(): number {
    this.#waiting++;
    if (this.#waiting >= this.#places) this.guarded = true;
    return this.#epoch;
  }

  end(): void {
    this.#waiting--;
    if (this.#state === "closed") this.guarded = this.#waiting >= this.#places;
  }

  answered(): void {
    this.#failures = 0;
    // Whenever its call was made: the answer has come now.
    if (this.#state !== "closed") this.#close();
  }

  failed(call: number): void {
    if (call !== this.#epoch) return;
    if (this.#state === "probing") this.#open();
    else if (this.#state === "closed" && ++this.#failures >= this.#most) {
      this.#open();
      this.#options.onDown();
    }
  }

  #open(): void {
    this.#become("open");
    this.#pauses.next(() => this.#become("due"));
  }

  #close(): void {
    this.#pauses.end();
    this.#become("closed");
    this.#options.onUp();
  }

  #become(state: State): void {
    this.#state = state;
    this.#epoch++;
    this.guarded = state !== "closed" || this.#waiting >= this.#places;
  }
}

interface Pauses {
  next(over: () => void): void;
  end(): void;
}

/** Pauses, each longer than the one before; `end` cuts the last one off, and the next one is the first again. */
function growingPauses(clock: Clock): Pauses {
  let pause = FIRST_PAUSE;
  let cancel = (): void => {};
  return {
    next(over) {
      // The processes of a fleet lose a store at the same moment, and should not all ask at the same moment.
      cancel = clock.after(pause * (0.5 + Math.random() / 2), over);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    },
    end() {
      cancel();
      pause = FIRST_PAUSE;
    },
  };
}

/** What drivers call the errors that mean "not connected", apart from those with a code: node-redis, ioredis, nats, undici. */
const NAMES =
  /^(?:Client(?:Offline|Closed)|DisconnectsClient|SocketClosed|SocketTimeout|Connect(?:ion)?(?:Timeout|Closed)|MaxRetriesPerRequest|ReconnectStrategy|CommandTimeout|RequestTimeout|Timeout)/;

const CODES =
  /^(?:E(?:CONN(?:REFUSED|RESET|ABORTED)|PIPE|TIMEDOUT|HOST(?:UNREACH|DOWN)|NET(?:UNREACH|DOWN)|NOTFOUND|AI_AGAIN|NOTCONN)|UND_ERR_(?:SOCKET|CONNECT_TIMEOUT)|PROTOCOL_CONNECTION_LOST|08...)$/;

/**
 * Whether an error means that the store cannot be reached, by its `name`, its class, its `code` or that of its cause. Anything else is
 * an answer: a server that is out of memory, or has another type of value under the key, is there. Where a driver fails with
 * an error that is not recognised, it is one that comes at once, and nobody waits.
 */
export function isUnreachable(error: unknown, depth = 0): boolean {
  if (typeof error !== "object" || error === null || depth > DEEPEST_CAUSE) return false;
  const { name, code, cause, constructor } = error as { name?: unknown; code?: unknown; cause?: unknown };
  if (typeof code === "string" && CODES.test(code)) return true;
  // Some drivers name their classes and not their errors.
  return [name, constructor?.name].some(isDisconnected) || isUnreachable(cause, depth + 1);
}

function isDisconnected(name: unknown): boolean {
  return typeof name === "string" && NAMES.test(name);
}

const DEEPEST_CAUSE = 2;
