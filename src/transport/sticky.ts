/**
 * Sticky routing: which server of a fleet a client is bound to, told to the load balancer by a cookie beside the token. A hint
 * for speed and nothing else: no look-up and no decision about a session ever uses it.
 *
 * @module
 */
import { systemClock, type Clock } from "../internal/clock.ts";
import { milliseconds, type Duration } from "../internal/duration.ts";
import { checkNames } from "../internal/option-names.ts";
import { couldSend, type BoundSticky, type BoundTransport, type HeaderEdit, type RoutedClient } from "./transport.ts";

/** What {@link sticky} takes. */
export interface StickyOptions {
  /**
   * What the load balancer calls this server: 1 to 64 letters, digits, `.`, `_` and `-`. Each server of a fleet has its own,
   * and keeps it when it starts again.
   */
  readonly route: string;
  /** What {@link Sticky.drain} goes by. Default: the machine; `fakeClock()` of `coatcheck/testing` in tests. */
  readonly clock?: Clock | undefined;
}

/** How long {@link Sticky.drain} waits. */
export interface DrainOptions {
  /**
   * It is over when no request of a client that is bound to this server came for this long: seconds, or a text such as
   * `"5s"`. More than the load balancer takes to notice that the health check has changed. Default 5 seconds.
   */
  readonly quietFor?: Duration | undefined;
  /** It is over after this long in any case. Not less than `quietFor`. Default 60 seconds. */
  readonly atMost?: Duration | undefined;
}

/** How a drain ended. */
export interface Drained {
  /** How many sessions had their route taken away, so that their clients go to other servers. */
  readonly handedOver: number;
  /** Whether bound clients had stopped coming; false when `atMost` was over, or somebody called `resume()`. */
  readonly quiet: boolean;
}

/** One server's place in a fleet. May serve several definitions. */
export interface Sticky {
  readonly route: string;
  /** For the health check by which a load balancer learns that this server takes no new clients. */
  readonly state: "serving" | "draining";
  /**
   * Binds nobody from now on, and lets go of who is bound: the response to each takes its route away, so that its next
   * request goes to another server, which finds the session in the store that they share. Nobody is signed out. Requests are
   * served as before. Resolves when bound clients have stopped coming; a second call meanwhile waits for the same.
   *
   * @throws TypeError that names the option
   */
  drain(options?: DrainOptions): Promise<Drained>;
  /** Binds clients again. */
  resume(): void;
  /** @internal Takes it into the service of a definition, whose clients' routes are in `place`. */
  bind(place: BoundTransport): BoundSticky;
}

const DEFAULTS = { quietFor: "5s", atMost: "60s" } as const;

/**
 * Binds clients to this server, for `defineSession({ sticky })`: a client with a session is told the server's route in a cookie
 * of its own, `__Host-Http-<name>-route`, by which a load balancer sends it here again. When that server is gone, the next one
 * finds the session in the store, and its first response binds the client anew. `examples/fleet/` has what HAProxy and nginx
 * need. Needs a transport with a place beside its token: `cookie()`.
 *
 * A forged route sends its own sender to another server, which corrects it.
 *
 * @throws TypeError that names the option
 *
 * @example
 * ```ts
 * import { defineSession, sticky } from "coatcheck";
 *
 * const here = sticky({ route: "a" });
 * export const user = defineSession<{ name: string }>({ name: "user", store, sticky: here });
 * ```
 */
export function sticky(options: StickyOptions): Sticky {
  const { route, clock } = checked(options);
  let drain: Drain | undefined;

  function edits(place: BoundTransport, { view, session, forgets, outgoing }: RoutedClient): readonly HeaderEdit[] {
    const shown = place.read(view);
    const isOurs = shown.includes(route);
    if (drain !== undefined && isOurs) drain.release(session);
    if (shown.length > 0 && (forgets || (isOurs && drain !== undefined))) return place.clear(view);
    if (session === undefined || isOurs || drain !== undefined || !couldSend(place, view)) return [];
    return place.send(view, { ...outgoing, token: route });
  }

  return Object.freeze({
    route,
    get state() {
      return drain === undefined ? "serving" : "draining";
    },
    // Async, so that bad options reject.
    async drain(given: DrainOptions = {}) {
      const { quietFor, atMost } = drainTimes(given);
      if (drain === undefined || drain.isOver()) drain = startDrain(clock, quietFor, atMost);
      return await drain.ended;
    },
    resume() {
      drain?.stop();
      drain = undefined;
    },
    bind: (place: BoundTransport) => ({
      names: place.names,
      edits: (client: RoutedClient) => edits(place, client),
      describe: () => ({ route, place: place.describe() }),
    }),
  });
}

// --- draining -----------------------------------------------------------------------------------------------------------

interface Drain {
  readonly ended: Promise<Drained>;
  isOver(): boolean;
  /** A bound client was answered, and let go. */
  release(session: string | undefined): void;
  stop(): void;
}

function startDrain(clock: Clock, quietFor: number, atMost: number): Drain {
  const sessions = new Set<string>();
  let over = false;
  let settle: (drained: Drained) => void = () => {};
  const ended = new Promise<Drained>((resolve) => (settle = resolve));
  const end = (quiet: boolean): void => {
    if (over) return;
    over = true;
    cancelQuiet();
    cancelLimit();
    settle({ handedOver: sessions.size, quiet });
    sessions.clear();
  };
  // First, so that of two that fall due together it is the one that counts.
  let cancelQuiet = clock.after(quietFor, () => end(true));
  const cancelLimit = clock.after(atMost, () => end(false));
  return {
    ended,
    isOver: () => over,
    release(session) {
      if (over) return;
      if (session !== undefined) sessions.add(session);
      cancelQuiet();
      cancelQuiet = clock.after(quietFor, () => end(true));
    },
    stop: () => end(false),
  };
}

// --- options ------------------------------------------------------------------------------------------------------------

const OPTION_NAMES: readonly (keyof StickyOptions)[] = ["route", "clock"];
const DRAIN_OPTION_NAMES: readonly (keyof DrainOptions)[] = ["quietFor", "atMost"];

function checked(options: StickyOptions): { readonly route: string; readonly clock: Clock } {
  checkNames("sticky", options, OPTION_NAMES);
  const { route, clock = systemClock } = options;
  if (typeof route !== "string" || !/^[A-Za-z0-9._-]{1,64}$/.test(route)) {
    throw new TypeError("route must be 1 to 64 letters, digits, ., _ and -");
  }
  if (typeof clock?.now !== "function" || typeof clock.after !== "function") {
    throw new TypeError("clock must be an object with the methods now and after");
  }
  return { route, clock };
}

function drainTimes(options: DrainOptions): { readonly quietFor: number; readonly atMost: number } {
  checkNames("drain", options, DRAIN_OPTION_NAMES);
  const quietFor = milliseconds("quietFor", options.quietFor ?? DEFAULTS.quietFor);
  const atMost = milliseconds("atMost", options.atMost ?? DEFAULTS.atMost);
  if (atMost < quietFor) throw new TypeError("atMost must not be less than quietFor");
  return { quietFor, atMost };
}
