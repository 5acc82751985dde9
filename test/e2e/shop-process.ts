import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT } from "./built.ts";

/** How a process ended. */
export interface Ending {
  readonly code: number | null;
  readonly ms: number;
}

/** A shop that is open. */
export interface ShopProcess {
  readonly url: string;
  /** What it has printed so far. */
  output(): string;
  /** The process ids of the workers that answer. */
  workers(): Promise<Set<number>>;
  stop(signal?: NodeJS.Signals): Promise<Ending>;
}

export interface ShopOptions {
  readonly port: number;
  readonly dataDir: string;
}

/** The shops that run, and on which data. */
const running = new Map<ChildProcess, string>();

/** What `npm start` does after the build. Resolves when the shop says that it is open. */
export async function startShop(options: ShopOptions): Promise<ShopProcess> {
  const { child, output } = launch(options);
  const opened = async (): Promise<string> => {
    for (;;) {
      const url = /The shop is open: (\S+)/.exec(output())?.[1];
      if (url !== undefined) return url;
      if (child.exitCode !== null) throw new Error(`the shop did not open:\n${output()}`);
      await sleep(20);
    }
  };
  const url = await opened();
  return {
    url,
    output,
    workers: () => workersAt(url),
    async stop(signal = "SIGTERM") {
      const begun = Date.now();
      child.kill(signal);
      const code = await exitCode(child);
      return { code, ms: Date.now() - begun };
    },
  };
}

/** For a shop that is expected not to open: what it said, and its exit code. */
export async function failToStart(options: ShopOptions): Promise<{ code: number | null; output: string }> {
  const { child, output } = launch(options);
  const code = await exitCode(child);
  return { code, output: output() };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** A directory for the data of a test, and what ends everything that used it. */
export async function temporaryData(): Promise<{ readonly dataDir: string; cleanUp(): Promise<void> }> {
  const dataDir = await mkdtemp(join(tmpdir(), "coatcheck-shop-"));
  return {
    dataDir,
    async cleanUp() {
      // Workers leave by themselves when their primary is gone.
      const users = [...running].filter(([, itsData]) => itsData === dataDir).map(([child]) => child);
      for (const child of users) child.kill("SIGKILL");
      await Promise.all(users.map(exitCode));
      await rm(dataDir, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** Tries again while the connection breaks, as browsers do: a killed worker takes its connections along. */
export async function patiently<Result>(request: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await request();
    } catch (error) {
      if (tries === 20) throw error;
      await sleep(50);
    }
  }
}

function launch({ port, dataDir }: ShopOptions): { child: ChildProcess; output: () => string } {
  const child = spawn(process.execPath, ["examples/shop/main.ts"], {
    cwd: ROOT,
    // Not production, whatever the machine says: the cookie is to go out over plain http on localhost.
    env: { ...process.env, PORT: String(port), DATA_DIR: dataDir, NODE_ENV: "development", NODE_OPTIONS: "" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.set(child, dataDir);
  child.once("exit", () => running.delete(child));
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (part) => (text += part));
  return { child, output: () => text };
}

async function exitCode(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode;
}

async function workersAt(url: string): Promise<Set<number>> {
  const seen = new Set<number>();
  for (let tries = 0; tries < 100 && seen.size < 2; tries++) {
    const response = await patiently(() => fetch(`${url}/healthz`));
    seen.add(Number(response.headers.get("X-Worker")));
  }
  return seen;
}
