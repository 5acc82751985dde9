/**
 * Stores that are wrong on purpose, each in one of the ways in which stores go wrong: what the harness must find, or its
 * zeros say nothing.
 */
import type { SessionStore, UpdateOutcome } from "../../src/store/store.ts";

/**
 * `blind-update` writes whatever is there; `create-on-gone` writes where nothing is; `delete-nothing` says that it deleted;
 * `empty-on-failure` now and then finds nothing, as a store does that takes an error for an answer.
 */
export type Flaw = "blind-update" | "create-on-gone" | "delete-nothing" | "empty-on-failure";

/** A store with a flaw. */
export function flawed(store: SessionStore, flaw: Flaw): SessionStore {
  const whole: SessionStore = Object.create(store) as SessionStore;
  return Object.assign(whole, flaws[flaw](store));
}

const flaws: Readonly<Record<Flaw, (store: SessionStore) => Partial<SessionStore>>> = {
  "blind-update": (store) => ({
    async update(key, record, _, call) {
      const there = await store.read(key, call);
      return there === undefined ? "gone" : await store.update(key, record, there, call);
    },
  }),
  "create-on-gone": (store) => ({
    async update(key, record, base, call): Promise<UpdateOutcome> {
      const outcome = await store.update(key, record, base, call);
      if (outcome !== "gone") return outcome;
      await store.create(key, record, call);
      return "ok";
    },
  }),
  "delete-nothing": () => ({ delete: () => true }),
  "empty-on-failure": (store) => ({
    read: async (key, call) => (Math.random() < 0.02 ? undefined : await store.read(key, call)),
  }),
};
