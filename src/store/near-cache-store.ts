/**
 * What a near cache takes of the store behind it.
 *
 * @module
 */
import type { SessionStore } from "./store.ts";

/** Throws a `TypeError` for a store whose copies would be worth nothing. */
export function checkStore(
  store: SessionStore,
  { isSole, isReplica }: { readonly isSole: boolean; readonly isReplica: boolean },
): void {
  const { name = "this store", cached, watch, list } = (store ?? {}) as Partial<SessionStore>;
  if (typeof store?.read !== "function")
    throw new TypeError("nearCache: expected a session store, such as redisStore(client)");
  if (cached === true) throw new TypeError(`nearCache: ${name} is a cache already`);
  if (isReplica && (isSole || list === undefined)) {
    throw new TypeError(
      isSole ? "replica: a sole process needs none, it has memoryStore()" : `replica: ${name} cannot list its sessions`,
    );
  }
  if (isSole && isOneOfSeveral()) {
    throw new TypeError(
      "soleProcess: this is a worker of several (node:cluster, PM2), so others may write to the store",
    );
  }
  if (watch === undefined && !isSole) {
    throw new TypeError(
      `nearCache: ${name} cannot tell of what other processes change (it has no watch), so copies would outlive sessions. ` +
        "Use the store without it, take one with watch (Redis or PostgreSQL with watch: true, NATS), or say soleProcess: true where no other process writes to it",
    );
  }
}

/** Whether node:cluster or PM2 has started this process as one of several that share their work. */
function isOneOfSeveral(): boolean {
  try {
    const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
    const { NODE_UNIQUE_ID, NODE_APP_INSTANCE } = process?.env ?? {};
    return NODE_UNIQUE_ID !== undefined || Number(NODE_APP_INSTANCE ?? 0) > 0;
  } catch {
    // Deno without --allow-env.
    return false;
  }
}

/** The members that have nothing to do with copies, of those that the store has. */
export function others(store: SessionStore): Partial<SessionStore> {
  const { listBySubject, list, count, deleteExpired, onExpired, watch } = store;
  const has = { listBySubject, list, count, deleteExpired, onExpired, watch };
  const bound = Object.entries(has).flatMap(([name, member]) =>
    typeof member === "function" ? [[name, member.bind(store) as unknown] as const] : [],
  );
  return Object.fromEntries(bound) as Partial<SessionStore>;
}
