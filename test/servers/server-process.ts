/**
 * A server as a process of its own: in a temporary directory, on a free port, gone when the test is over.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** How long a server may take to become ready, in milliseconds. */
const PATIENCE = 20_000;

/** A process that was started. */
export interface ServerProcess {
  readonly pid: number;
  /** Its temporary directory; with `stop` it is removed. */
  readonly directory: string;
  /** What it has printed so far. */
  output(): string;
  /** Asks it to end, and waits until it has. */
  end(): Promise<void>;
  /** Ends it without warning. */
  kill(): Promise<void>;
  /** Lets it stand still, as an overloaded or unreachable machine does. */
  pause(): void;
  resume(): void;
  /** Ends it and removes its directory; the directory of one that ended by itself stays. */
  stop(): Promise<void>;
}

/** Makes a directory for a server. */
export function serverDirectory(name: string): string {
  return mkdtempSync(join(tmpdir(), `coatcheck-${name}-`));
}

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts a program in a directory. */
export function startProcess(program: string, args: readonly string[], directory: string): ServerProcess {
  const log = join(directory, "output.log");
  const file = openSync(log, "a");
  const child = spawn(program, args, { cwd: directory, stdio: ["ignore", file, file] });
  closeSync(file);
  running.add(child);
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  void ended.then(() => running.delete(child));
  let stopping = false;
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
  const end = async (signal: "SIGTERM" | "SIGKILL"): Promise<void> => {
    stopping = true;
    if (!hasEnded()) child.kill(signal);
    await ended;
  };
  return {
    pid: child.pid ?? 0,
    directory,
    output: () => readFileSync(log, "utf8"),
    end: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    async stop() {
      const crashed = hasEnded() && !stopping;
      await end("SIGKILL");
      if (crashed) console.error(`${program} had ended by itself; its log stays in ${log}`);
      else rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Below the range from which systems take the ports of outgoing connections, which would come in between. */
const [FIRST_PORT, LAST_PORT] = [10_000, 31_999];

/** Ports that are free at the moment: for servers that have to be told theirs. `also`: so far above, one is needed too. */
export async function freePorts(count: number, also = 0): Promise<readonly number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - also - FIRST_PORT + 1));
    if ((await isFree(port)) && (also === 0 || (await isFree(port + also)))) found.add(port);
  }
  return [...found];
}

async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** Waits until `isReady` says so; asks every few milliseconds, and throws what it last threw when patience ends. */
export async function until(what: string, isReady: () => Promise<boolean>, patience: number = PATIENCE): Promise<void> {
  const end = performance.now() + patience;
  let failure: unknown;
  while (performance.now() < end) {
    try {
      if (await isReady()) return;
    } catch (error) {
      failure = error;
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
  throw new Error(`${what}: not within ${patience / 1000} seconds`, { cause: failure });
}
