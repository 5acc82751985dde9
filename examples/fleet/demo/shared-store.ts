import { connects } from "./connects.ts";
import type { Options } from "./options.ts";
import { freePort } from "./ports.ts";
import { programPath, startProgram } from "./processes.ts";

/** Where the sessions of all servers are. */
export interface SharedStore {
  /** For people. */
  readonly words: string;
  /** What was missing, if it is not what one would take. */
  readonly missing?: string;
  /** What each shop has to be told. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** Starts a Redis, or says why it is a file in `directory` instead. */
export async function openSharedStore(wish: Options["store"], directory: string): Promise<SharedStore> {
  if (wish === "sqlite") return sqlite(directory);
  const program = programPath("redis-server");
  if (program !== undefined) return await redis(program, directory);
  const missing = "redis-server is not installed";
  if (wish === "redis")
    throw new Error(`STORE=redis, and ${missing}. Install it (apt install redis-server), or leave STORE out.`);
  return { ...sqlite(directory), missing };
}

async function redis(program: string, directory: string): Promise<SharedStore> {
  const port = await freePort();
  const settings = { port, bind: "127.0.0.1", dir: directory, save: "", appendonly: "no" };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const { stop } = await startProgram([program, ...args], () => connects(port));
  return { words: "one Redis", env: { STORE: `redis://127.0.0.1:${port}` }, stop };
}

function sqlite(directory: string): SharedStore {
  return { words: "one SQLite file", env: { STORE: "", DATA_DIR: directory }, stop: async () => {} };
}
