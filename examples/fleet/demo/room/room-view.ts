import type { FleetServer, ServerAction, ServerState } from "../fleet-server.ts";
import type { Entry, Journal } from "../journal.ts";
import type { Meter, Pace, Second } from "../meter.ts";
import type { Tally } from "../tally.ts";
import type { Visitors } from "../visitors.ts";

/** What the control room looks at. */
export interface RoomContext {
  readonly url: string;
  readonly shopUrl: string;
  readonly words: string;
  readonly servers: readonly FleetServer[];
  readonly meter: Meter;
  readonly journal: Journal;
  readonly visitors: Visitors;
}

/** A server as the page shows it. */
export interface ServerView extends Pace {
  readonly name: string;
  readonly port: number;
  readonly state: ServerState;
  readonly actions: readonly ServerAction[];
}

/** What changes by the second. */
export interface Figures {
  readonly servers: readonly ServerView[];
  readonly tally: Readonly<Tally>;
}

/** Everything that the page shows. */
export interface RoomView extends Figures {
  readonly shopUrl: string;
  readonly words: string;
  readonly seconds: readonly Second[];
  readonly entries: readonly Entry[];
}

export function figuresOf({ servers, meter, visitors }: RoomContext): Figures {
  return {
    servers: servers.map(({ name, port, state, actions }) => ({ name, port, state, actions, ...meter.pace(name) })),
    tally: visitors.tally,
  };
}

export function viewOf(context: RoomContext): RoomView {
  const { shopUrl, words, meter, journal } = context;
  return { ...figuresOf(context), shopUrl, words, seconds: meter.seconds(), entries: journal.entries };
}
