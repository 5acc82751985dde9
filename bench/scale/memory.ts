/**
 * What a session takes in the memory store: `memory.ts <sessions> <guest|member>`, with `--expose-gc`.
 *
 * @module
 */
import { memoryStore } from "coatcheck/store/memory";
import { DATA_BYTES, populationIn } from "./sessions.ts";

/** What was found. */
export interface MemoryCost {
  readonly sessions: number;
  /** Bytes of heap a session. */
  readonly each: number;
  /** Of these, what goes beyond the JSON of its data. */
  readonly above: number;
}

const [count = "", kind = ""] = process.argv.slice(2);
const sessions = Number(count);

const store = memoryStore({ maxSessions: sessions + 1, sweepInterval: false });
const population = populationIn(store);
const before = await living();
// The first requests compile code and fill caches: what stays of that is no session's.
for (let made = 0; made < sessions; made++) await population.make(kind === "member" ? `user-${made}` : undefined);
const each = ((await living()) - before) / sessions;
if ((await store.count("", { now: Date.now() })) !== sessions) throw new Error("some sessions are missing");
console.log(JSON.stringify({ sessions, each, above: each - DATA_BYTES } satisfies MemoryCost));

/** The heap that is in use: once after what was released in a turn of its own. */
async function living(): Promise<number> {
  for (let times = 0; times < 3; times++) {
    await new Promise((resolve) => setImmediate(resolve));
    (globalThis as { gc?: () => void }).gc?.();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
