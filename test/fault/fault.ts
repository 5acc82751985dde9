/** What an engine brings to the harness: its servers and its faults. */
import type { App } from "./app.ts";
import type { Findings } from "./check.ts";
import type { StoreOrders } from "./stores.ts";

/** Servers that were started for one run. */
export interface Servers {
  /** How the apps reach them. */
  readonly store: StoreOrders;
  /** Ends them. */
  stop(): Promise<void>;
}

/** A way to set servers up. */
export interface Topology<S extends Servers> {
  readonly name: string;
  /** How many apps there are over them. Default 2. */
  readonly apps?: number;
  /** How long a copy of a session may be served, in milliseconds. Default not at all: there are none. */
  readonly staleFor?: number;
  /** How far the clock of each app is ahead, in milliseconds. Default not at all. */
  readonly skews?: readonly number[];
  /** Starts them, with all that they write below `folder`, and waits until they answer. */
  start(folder: string): Promise<S>;
}

/** What a fault may use beside the servers. */
export interface Scene {
  readonly apps: readonly [App, App, ...App[]];
  /** The ids of the sessions that are known to be there. */
  sessions(): readonly string[];
  /** Does what ends these sessions, and says so in the history: they must not come back. */
  lose(sessions: readonly string[] | "all", work: () => Promise<void>): Promise<void>;
}

/** What goes wrong, how long, and what is promised all the same. */
export interface FaultOn<S extends Servers> {
  /** For `--only`. */
  readonly name: string;
  /** For the table. */
  readonly title: string;
  /** What users get while and after it happens. */
  readonly promised: string;
  /** Whether requests fail because of it: whether they must (or else the fault did not happen), may, or must not. */
  readonly fails: "must" | "may" | "never";
  /** How long an app stands still, in milliseconds: what waits there waits so much longer. Default 0. */
  readonly stalls?: number;
  /** The kinds of wrong that the engine does not rule out here. Default none. */
  readonly allows?: readonly (keyof Findings)[];
  /** How long it lasts, in milliseconds: from `inject` to `clear`. Default 0. */
  readonly lasts?: number;
  /** `inject` is called again, every so many milliseconds, as long as it lasts. */
  readonly every?: number;
  inject(servers: S, scene: Scene): Promise<void> | void;
  /** Default: it is over by itself. */
  clear?(servers: S, scene: Scene): Promise<void> | void;
}

/** A fault with the servers that it happens to. */
export interface Fault extends Pick<FaultOn<Servers>, "name" | "title" | "promised" | "fails" | "stalls"> {
  readonly topology: Omit<Topology<Servers>, "start">;
  readonly allows: readonly (keyof Findings)[];
  readonly lasts: number;
  readonly every: number | undefined;
  /** Whether it is one of the few that `npm test` runs. */
  readonly isQuick: boolean;
  start(folder: string): Promise<Stage>;
}

/** Servers, and the fault that can happen to them. */
export interface Stage {
  readonly servers: Servers;
  inject(scene: Scene): Promise<void>;
  clear(scene: Scene): Promise<void>;
}

/** Puts a fault and its servers together. */
export function fault<S extends Servers>(topology: Topology<S>, of: FaultOn<S>, isQuick = false): Fault {
  const { name, title, promised, fails, stalls = 0, allows = [], lasts = 0, every } = of;
  return {
    name,
    title,
    promised,
    fails,
    stalls,
    allows,
    lasts,
    every,
    isQuick,
    topology,
    async start(folder) {
      const servers = await topology.start(folder);
      return {
        servers,
        inject: async (scene) => await of.inject(servers, scene),
        clear: async (scene) => await of.clear?.(servers, scene),
      };
    },
  };
}

/** A kind of store, with all that is to happen to it. */
export interface Engine {
  /** For `--store`. */
  readonly name: string;
  /** Where its table is. Default docs/stores.md. */
  readonly document?: string;
  /** Its servers and drivers with their versions. */
  readonly versions: () => Readonly<Record<string, string>>;
  /** What is missing here to run it; undefined when nothing is. */
  missing(): string | undefined;
  readonly faults: readonly Fault[];
}
