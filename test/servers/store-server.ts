/** Servers of the store verbs, each a process of its own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startPostgresServer } from "./postgres.ts";
import { startRedis } from "./redis.ts";
import { freePorts, serverDirectory, startProcess, until } from "./server-process.ts";
import type { StoreServerOrders } from "./store-server-process.ts";

/** What the stores of servers are in. */
export type StoreEngine = "sqlite" | "redis" | "postgres";

/** A place where records are kept, that can be killed with its server or without. */
export interface EnginePlace {
  readonly engine: StoreServerOrders["engine"];
  /** Kills what keeps the records, and starts it again with what is on its disk. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

/** Everything is on a disk when it is acknowledged. */
export async function startEngine(kind: StoreEngine): Promise<EnginePlace> {
  if (kind === "redis") {
    const { port, nodes, stop } = await startRedis({ appendonly: "yes", appendfsync: "always" });
    return {
      engine: { kind, port },
      async crash() {
        await nodes[0]!.process.kill();
        await nodes[0]!.restart();
      },
      stop,
    };
  }
  if (kind === "postgres") {
    const server = await startPostgresServer();
    return {
      engine: { kind, port: server.port },
      async crash() {
        await server.kill();
        await server.restart();
      },
      stop: () => server.stop(),
    };
  }
  const directory = mkdtempSync(join(tmpdir(), "coatcheck-store-server-"));
  return {
    engine: { kind, path: join(directory, "sessions.db") },
    // It lives in the server.
    crash: async () => {},
    stop: async () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** A server. */
export interface StoreServer {
  readonly url: string;
  /** Ends it without warning. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  pause(): void;
  resume(): void;
  output(): string;
  stop(): Promise<void>;
}

const PROGRAM = new URL("./store-server-process.ts", import.meta.url).pathname;

/** Starts a server. The credential of a caller is the namespace it gets. */
export async function startStoreServer({ engine }: EnginePlace, timeout = 2_000): Promise<StoreServer> {
  const [port = 0] = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;
  const orders: StoreServerOrders = { port, engine, timeout };
  const start = async (): Promise<ReturnType<typeof startProcess>> => {
    const server = startProcess(process.execPath, [PROGRAM, JSON.stringify(orders)], serverDirectory("store-server"));
    await until("the store server", async () => (await fetch(url)).status === 401);
    return server;
  };
  let server = await start();
  return {
    url,
    kill: () => server.kill(),
    async restart() {
      await server.stop();
      server = await start();
    },
    pause: () => server.pause(),
    resume: () => server.resume(),
    output: () => server.output(),
    stop: () => server.stop(),
  };
}
