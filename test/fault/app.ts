/** The processes that the clients of a run talk to. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { standStill } from "../servers/server-process.ts";
import type { AppOrders } from "./app-process.ts";

const PROCESS = new URL("./app-process.ts", import.meta.url).pathname;

/** A process with an app. */
export interface App {
  /** Where it answers; another port after a restart. */
  readonly origin: string;
  /** Ends it at once, as a lack of memory does. */
  kill(): Promise<void>;
  /** Starts it again. */
  restart(): Promise<void>;
  /** Stops its clock: it neither works nor ends. */
  pause(): void;
  resume(): void;
  /** Ends it, for good. */
  stop(): Promise<void>;
}

/** Starts an app. What it prints goes to the file `log`; `onCrash` is told when it ends by itself. */
export async function startApp(orders: AppOrders, log: string, onCrash: () => void): Promise<App> {
  let running = await started(orders, log, onCrash);
  const kill = async (): Promise<void> => {
    running.isWanted = false;
    if (running.child.exitCode !== null || running.child.signalCode !== null) return;
    running.child.kill("SIGKILL");
    await once(running.child, "exit");
  };
  return {
    get origin() {
      return running.origin;
    },
    kill,
    restart: async () => void (running = await started(orders, log, onCrash)),
    pause: () => standStill(running.child.pid!),
    resume: () => void running.child.kill("SIGCONT"),
    stop: kill,
  };
}

interface Running {
  readonly child: ChildProcess;
  readonly origin: string;
  /** Whether its end would be a crash. */
  isWanted: boolean;
}

async function started(orders: AppOrders, log: string, onCrash: () => void): Promise<Running> {
  const output = openSync(log, "a");
  const child = fork(PROCESS, [JSON.stringify(orders)], { execArgv: [], stdio: ["ignore", output, output, "ipc"] });
  closeSync(output);
  const port = await new Promise<number>((resolve, reject) => {
    child.once("message", (message) => resolve((message as { port: number }).port));
    child.once("exit", (code, signal) =>
      reject(new Error(`an app ended at its start (${code ?? signal}), see ${log}`)),
    );
  });
  const running: Running = { child, origin: `http://127.0.0.1:${port}`, isWanted: true };
  child.once("exit", () => running.isWanted && onCrash());
  return running;
}
