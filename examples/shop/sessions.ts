import { cookie, defineSession, type SessionDefinition, type SessionStore } from "coatcheck";
import { z } from "zod";
import type { Settings } from "./settings.ts";
import { openStore } from "./stores.ts";

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

/** The shop's sessions, and what lets go of their store. */
export interface OpenSessions {
  readonly user: ShopSessions;
  readonly close: () => Promise<void>;
}

/** The shop's sessions, which several processes may share. `before` puts something in front of the store, such as a cache. */
export async function openSessions(
  settings: Settings,
  before: (store: SessionStore) => SessionStore = (store) => store,
): Promise<OpenSessions> {
  const { store, close } = await openStore(settings);
  const user = defineSession({
    name: "shop",
    schema,
    store: before(store),
    // A cookie without Secure has to be asked for by name.
    transport: cookie(settings.plainHttp ? { secure: false } : {}),
    // Optional with a store: then a forged token is turned away before the store is asked.
    keys: process.env["SESSION_KEYS"] || undefined,
    // The defaults, spelled out.
    idleTimeout: "30m",
    absoluteTimeout: "12h",
    renewalTimeout: "15m",
  });
  return { user, close };
}
