import { join } from "node:path";
import { redisStore } from "coatcheck/store/redis";
import { sqliteStore } from "coatcheck/store/sqlite";
import type { SessionStore } from "coatcheck";
import type { Settings } from "./settings.ts";

/** A store, and what lets go of it and of its connections. */
export interface OpenStore {
  readonly store: SessionStore;
  readonly close: () => Promise<void>;
}

/** The store that the settings name: a Redis, or a file that the processes of one machine share. */
export async function openStore({ redisUrl, dataDir }: Settings): Promise<OpenStore> {
  if (redisUrl !== undefined) return await openRedis(redisUrl);
  const store = sqliteStore(join(dataDir, "sessions.db"));
  return { store, close: async () => await store.close() };
}

async function openRedis(url: string): Promise<OpenStore> {
  // Only whoever has a Redis needs the driver.
  const { createClient } = await import("redis");
  const client = createClient({ url });
  // Without a listener a Redis that goes away would end the process; the requests that need it are told by the store.
  client.on("error", (error: Error) => console.error(`Redis: ${error.message}`));
  await client.connect();
  // So that a server may keep copies: the fleet's do.
  const store = redisStore(client, { watch: true });
  return {
    store,
    async close() {
      await store.close();
      await client.close();
    },
  };
}
