import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Journal } from "./journal.ts";
import { isReport, type Order } from "./messages.ts";
import type { Meter } from "./meter.ts";
import { startScript } from "./processes.ts";
import type { Upstream } from "./proxy.ts";

/** What a server does at the moment. */
export type ServerState = "starting" | "running" | "draining" | "paused" | "killed";

/** What can be done to a server. */
export type ServerAction = "kill" | "pause" | "drain" | "revive";

/** A shop server of the fleet. */
export interface FleetServer extends Upstream {
  readonly state: ServerState;
  /** The actions that make sense in this state. */
  readonly actions: readonly ServerAction[];
  /** Resolves when it serves; rejects when it cannot. */
  start(): Promise<void>;
  /** Does nothing when the action makes no sense in this state. */
  act(action: ServerAction): void;
  stop(): Promise<void>;
}

/** What a server needs beside its name and port. */
export interface FleetServerContext {
  readonly env: Readonly<Record<string, string>>;
  readonly drains: boolean;
  readonly meter: Meter;
  readonly journal: Journal;
  /** Called whenever the state is another. */
  readonly changed: () => void;
}

const possible: Readonly<Record<ServerState, readonly ServerAction[]>> = {
  starting: ["kill"],
  running: ["kill", "pause", "drain"],
  draining: ["kill", "pause", "revive"],
  paused: ["kill", "revive"],
  killed: ["revive"],
};

/** A server that is started, and ended as roughly as it can be. */
export function fleetServer(upstream: Upstream, context: FleetServerContext): FleetServer {
  const { name, port } = upstream;
  const { journal, meter, env } = context;
  let state: ServerState = "killed";
  let child: ChildProcess | undefined;
  let stopping = false;

  function become(next: ServerState): void {
    state = next;
    context.changed();
  }

  async function start(): Promise<void> {
    become("starting");
    // A killed process may still be letting go of the port.
    await gone(child);
    const settings = { SERVER_NAME: `server ${name}`, PORT: String(port), NODE_ENV: "development", NODE_OPTIONS: "" };
    const started = startScript(new URL("shop-server.ts", import.meta.url), { ...env, ...settings });
    child = started;
    await new Promise<void>((resolve, reject) => {
      started.on("message", (message) => {
        if (!isReport(message)) return;
        if (message.type === "listening") resolve();
        else if (message.type === "failed") reject(new Error(`Server ${name}: ${message.why}`));
        else if (message.type === "answered") meter.answered(name);
        else meter.read(name, message);
      });
      started.once("exit", (code, signal) => {
        reject(new Error(`Server ${name} ended while it was starting.`));
        if (child === started) lost(signal ?? `exit code ${code}`);
      });
    });
    become("running");
  }

  /** The process is gone: killed by a button, or by itself, which is told. */
  function lost(reason: string): void {
    if (stopping || state === "killed") return;
    journal.note(`Server ${name} died by itself (${reason}).`, "bad", name);
    become("killed");
  }

  function order(draining: boolean): void {
    child?.send({ draining } satisfies Order);
    become(draining ? "draining" : "running");
  }

  const deeds: Readonly<Record<ServerAction, () => void>> = {
    kill() {
      journal.note(`Server ${name} was killed in the middle of whatever it did.`, "bad", name);
      become("killed");
      child?.kill("SIGKILL");
    },
    pause() {
      journal.note(`Server ${name} was paused: it accepts connections and answers nothing.`, "bad", name);
      become("paused");
      child?.kill("SIGSTOP");
    },
    drain() {
      journal.note(`Server ${name} is to finish what it has and get nothing new.`, "plain", name);
      order(true);
    },
    revive() {
      if (state === "killed") {
        journal.note(`Server ${name} is started again.`, "good", name);
        return void start().catch((error: unknown) => journal.note(String(error), "bad", name));
      }
      journal.note(`Server ${name} goes on.`, "good", name);
      if (state === "paused") child?.kill("SIGCONT");
      order(false);
    },
  };

  const actions = (): readonly ServerAction[] =>
    possible[state].filter((action) => action !== "drain" || context.drains);

  return {
    ...upstream,
    get state() {
      return state;
    },
    get actions() {
      return actions();
    },
    start,
    act: (action) => void (actions().includes(action) && deeds[action]()),
    async stop() {
      stopping = true;
      // Not SIGTERM: a server that is paused would not hear it. There is nothing to finish, the store is temporary.
      child?.kill("SIGKILL");
      await gone(child);
    },
  };
}

async function gone(child: ChildProcess | undefined): Promise<void> {
  if (child !== undefined && child.exitCode === null && child.signalCode === null) await once(child, "exit");
}
