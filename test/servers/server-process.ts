/**
 * A server as a process of its own: in a temporary directory, on a free port, gone when the test is over.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
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
  /** Lets it stand still, as an overloaded or unreachable machine does: from here on it does nothing. */
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
  const end = async (by: "SIGTERM" | "SIGKILL"): Promise<void> => {
    stopping = true;
    if (!hasEnded()) child.kill(by);
    await ended;
  };
  return {
    pid: child.pid ?? 0,
    directory,
    output: () => readFileSync(log, "utf8"),
    end: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
    pause: () => standStill(child.pid!),
    resume: () => void child.kill("SIGCONT"),
    async stop() {
      const crashed = hasEnded() && !stopping;
      await end("SIGKILL");
      if (crashed) console.error(`${program} had ended by itself; its log stays in ${log}`);
      else rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Signals a process; one that has ended by itself needs no signal. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ESRCH") throw error;
  }
}

/** Stops a process, and waits until all its threads have: for a while after the signal some still answer. */
export function standStill(pid: number): void {
  signal(pid, "SIGSTOP");
  const deadline = Date.now() + PATIENCE;
  while (isRunning(pid)) {
    if (Date.now() > deadline) throw new Error(`process ${pid} goes on in spite of SIGSTOP`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  }
}

/** Whether a thread of it does anything. */
function isRunning(pid: number): boolean {
  try {
    const states = readdirSync(`/proc/${pid}/task`).map((thread) => stateOf(`/proc/${pid}/task/${thread}/stat`));
    return !states.every((state) => "TZX".includes(state));
  } catch (error) {
    // It, or a thread of it, has ended.
    if (["ENOENT", "ESRCH"].includes(String((error as { code?: unknown }).code))) return existsSync(`/proc/${pid}`);
    throw error;
  }
}

/** The letter after the name, which stands in parentheses and may have some itself. */
function stateOf(stat: string): string {
  const text = readFileSync(stat, "utf8");
  return text.charAt(text.lastIndexOf(")") + 2);
}

/**
 * Below the range from which systems take the ports of outgoing connections, which would come in between; and so low that
 * the second ports of {@link freePorts} have the next ten thousand for themselves.
 */
const FIRST_PORT = 10_000;

/** So many ports are for one process, and so many processes may run at once. */
const [PORTS_EACH, PROCESSES] = [100, 100];

/** The first of the ports of this process, once one is asked for. */
let firstOwn: Promise<number> | undefined;
let taken = 0;

/**
 * Ports that are free: for servers that have to be told theirs. `also`: so far above, one is needed too; 10 000.
 *
 * Each process takes its own in turn: so nobody gets a port that another was promised and does not listen on yet, or whose
 * server was killed and is to start again.
 */
export async function freePorts(count: number, also?: 10_000): Promise<readonly number[]> {
  firstOwn ??= claimed();
  const first = await firstOwn;
  const found: number[] = [];
  for (let tries = 0; found.length < count; tries++) {
    if (tries === PORTS_EACH) throw new Error(`fewer than ${count} ports are free from ${first} on`);
    // Behind the one that says whose they are.
    const port = first + 1 + (taken++ % (PORTS_EACH - 1));
    if ((await isFree(port)) && (also === undefined || (await isFree(port + also)))) found.push(port);
  }
  return found;
}

/** Takes ports that no other process has, until this one ends: it listens on the first, where no other can then. */
async function claimed(): Promise<number> {
  for (let tries = 0; tries < PROCESSES; tries++) {
    const first = FIRST_PORT + ((process.pid + tries) % PROCESSES) * PORTS_EACH;
    const guard = await listening(first);
    if (guard === undefined) continue;
    guard.unref();
    return first;
  }
  throw new Error(`no ports are left: more than ${PROCESSES} processes want some`);
}

async function isFree(port: number): Promise<boolean> {
  const server = await listening(port);
  if (server === undefined) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

/** What listens on a port; undefined when something else does. */
async function listening(port: number): Promise<Server | undefined> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => resolve(server));
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
