/**
 * Calls on their way to a session server: so many exchanges at a time, and what has to wait travels together.
 *
 * @module
 */
import { MOST_CALLS } from "../internal/remote-protocol.ts";

/** A call that waits for its answer. */
export interface Passenger {
  /** The call as it is sent. */
  readonly text: string;
  /** Nothing is done twice when it is sent twice. */
  readonly isRead: boolean;
  /** Told of the answer, or of what kept it from coming; not after an abort. */
  readonly arrived: (answer: unknown) => void;
  readonly failed: (error: unknown) => void;
  readonly signal: AbortSignal | undefined;
}

/** How an exchange failed, for those who were in it. */
export interface Failure {
  readonly error: Error;
  /**
   * What can be sent again. `reads`: the connection broke, and reads may have another try. `all`: it was too much at once, and
   * nothing was done.
   */
  readonly again: "reads" | "all" | undefined;
}

/** Sends calls, and resolves with an answer to each, or with a failure. Does not reject. */
export type Carry = (texts: readonly string[], signal: AbortSignal) => Promise<readonly unknown[] | Failure>;

/** Characters that travel together, at most: a server has a limit. */
const LONGEST_TOGETHER = 262_144;

/** See {@link callQueue}. */
export interface CallQueue {
  add(passenger: Passenger): void;
}

interface Seat extends Passenger {
  exchange: Exchange | undefined;
  tries: number;
  isAlone: boolean;
  leave(): void;
}

interface Exchange {
  readonly abort: AbortController;
  /** Those who still wait. */
  readonly seats: Set<Seat>;
  /** Lets the next one begin. */
  end(): void;
}

/** `most`: exchanges at a time. `together`: calls in one of them, at most. */
export function callQueue(carry: Carry, most: number, together: number = MOST_CALLS): CallQueue {
  const waiting: Seat[] = [];
  const underWay = new Set<Exchange>();
  let isDue = false;

  /** What one turn of the program asks for travels together. */
  const depart = (): void => {
    if (isDue || waiting.length === 0) return;
    isDue = true;
    queueMicrotask(() => {
      isDue = false;
      while (underWay.size < most && waiting.length > 0) void run(nextOf(waiting, together));
    });
  };
  const run = async (seats: readonly Seat[]): Promise<void> => {
    const end = (): void => {
      if (underWay.delete(exchange)) depart();
    };
    const exchange: Exchange = { abort: new AbortController(), seats: new Set(seats), end };
    underWay.add(exchange);
    for (const seat of seats) seat.exchange = exchange;
    const texts = seats.map(({ text }) => text);
    const answers = await carry(texts, exchange.abort.signal);
    if ("error" in answers) disappoint(exchange.seats, answers, { waiting, sent: texts.length });
    else
      for (const [i, seat] of seats.entries())
        if (exchange.seats.has(seat)) finish(seat, () => seat.arrived(answers[i]));
    end();
  };
  return {
    add(passenger) {
      const { signal } = passenger;
      const leave = (): void => abandon(seat, waiting);
      const seat: Seat = { ...passenger, exchange: undefined, tries: 0, isAlone: false, leave };
      if (signal?.aborted === true) return passenger.failed(signal.reason);
      signal?.addEventListener("abort", leave);
      waiting.push(seat);
      if (underWay.size < most) depart();
    },
  };
}

/** The next ones that travel together. */
function nextOf(waiting: Seat[], together: number): readonly Seat[] {
  let characters = 0;
  let count = 0;
  for (const { text, isAlone } of waiting) {
    characters += text.length;
    if (count > 0 && (isAlone || count >= together || characters > LONGEST_TOGETHER)) break;
    count++;
    if (isAlone) break;
  }
  return waiting.splice(0, count);
}

function finish({ signal, leave }: Seat, tell: () => void): void {
  signal?.removeEventListener("abort", leave);
  tell();
}

/** Nobody waits any more: nothing is sent that was not sent, and an exchange that nobody waits for is broken off. */
function abandon(seat: Seat, waiting: Seat[]): void {
  const { exchange, signal } = seat;
  if (exchange === undefined) waiting.splice(waiting.indexOf(seat), 1);
  else if (exchange.seats.delete(seat) && exchange.seats.size === 0) {
    exchange.abort.abort();
    exchange.end();
  }
  finish(seat, () => seat.failed(signal?.reason));
}

interface Journey {
  readonly waiting: Seat[];
  /** How many calls were in the exchange. */
  readonly sent: number;
}

function disappoint(seats: ReadonlySet<Seat>, { error, again }: Failure, { waiting, sent }: Journey): void {
  const retried: Seat[] = [];
  for (const seat of seats) {
    const mayTry = again === "all" ? sent > 1 : again === "reads" && seat.isRead && seat.tries === 0;
    if (!mayTry) {
      finish(seat, () => seat.failed(error));
      continue;
    }
    seat.exchange = undefined;
    seat.tries++;
    seat.isAlone = again === "all";
    retried.push(seat);
  }
  // They have waited longest.
  waiting.unshift(...retried);
}
