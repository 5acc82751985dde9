/** One store over several connections to real servers, for runs of `interleave`. */
import type { SessionStore } from "../src/index.ts";

type Verb = "create" | "read" | "update" | "touch" | "delete";

/** See {@link overConnections}. */
export interface OverConnections {
  /** The same store over all connections: each call goes over the next one. */
  alternating(stores: readonly SessionStore[]): SessionStore;
  /** Lets go on whoever has an answer, until nobody waits for one. */
  settle(): Promise<void>;
}

/** Counts the calls that servers have not answered yet. */
export function overConnections(): OverConnections {
  const calls = { waiting: 0, answered: (): void => {} };
  let turn = 0;
  return {
    alternating(stores) {
      const through = (verb: Verb) =>
        (async (...args: readonly unknown[]) => {
          const store = stores[turn++ % stores.length] as unknown as Record<
            Verb,
            (...all: readonly unknown[]) => unknown
          >;
          calls.waiting++;
          try {
            return await store[verb](...args);
          } finally {
            calls.waiting--;
            calls.answered();
          }
        }) as never;
      return {
        create: through("create"),
        read: through("read"),
        update: through("update"),
        touch: through("touch"),
        delete: through("delete"),
      };
    },
    async settle() {
      do {
        await microtasks();
        if (calls.waiting > 0) await new Promise<void>((resolve) => (calls.answered = resolve));
        await microtasks();
      } while (calls.waiting > 0);
    },
  };
}

async function microtasks(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await undefined;
}
