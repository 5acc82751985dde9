import { join } from "node:path";
import { defineSession, type SessionDefinition } from "coatcheck";
import { sqliteStore } from "coatcheck/store/sqlite";
import { z } from "zod";

/** What the shop knows of a visitor. Who it is, is the session's `subject`. */
export interface ShopData {
  /** Quantities by sku. */
  cart: Record<string, number>;
  /** How often the account page was looked at. */
  visits: number;
}

export type ShopSessions = SessionDefinition<ShopData>;

const schema: z.ZodType<ShopData> = z.object({
  cart: z.record(z.string(), z.int().positive()),
  visits: z.int().nonnegative(),
});

/** The shop's sessions in `dataDir`, which several processes may share; `close` lets go of the file. */
export function openSessions(dataDir: string): { readonly user: ShopSessions; readonly close: () => Promise<void> } {
  const store = sqliteStore(join(dataDir, "sessions.db"));
  const user = defineSession({
    name: "shop",
    schema,
    store,
    // Optional with a store: then a forged token is turned away before the store is asked.
    keys: process.env["SESSION_KEYS"] || undefined,
    // The defaults, spelled out.
    idleTimeout: "30m",
    absoluteTimeout: "12h",
    renewalTimeout: "15m",
  });
  return { user, close: async () => await store.close() };
}
