/**
 * Sessions in any store for express-session: `coatcheck/store/express-session`.
 *
 * @module
 */
import { Cookie } from "../express-session/cookie.ts";
import type { ExpressStore } from "../express-session/store.ts";
import { answerOf } from "../internal/answer.ts";
import { encodeBase64url } from "../internal/base64url.ts";
import { utf8 } from "../internal/bytes.ts";
import { sha256 } from "../internal/crypto.ts";
import { isPlainObject } from "../internal/json.ts";
import { chain, run, settled, type MaybePromise, type Steps } from "../internal/maybe-promise.ts";
import { SerialQueue } from "../internal/serial-queue.ts";
import {
  EXPIRED_FOR,
  type ListedPage,
  type ListedRecord,
  type SessionStore,
  type StoredRecord,
  type UpdateOutcome,
} from "./store.ts";

export type { ExpressStore } from "../express-session/store.ts";
export { toExpressStore, type KeptStore, type ToExpressStoreOptions } from "../express-session/kept-store.ts";

/** What is kept under an id of the other store, beside the cookie that it takes the lifetime from. */
interface Kept extends StoredRecord {
  readonly key: string;
}

/** One queue for all that wrap one store: what two of them write is in order, too. */
const queues = new WeakMap<object, SerialQueue>();

function queueOf(store: object): SerialQueue {
  const known = queues.get(store) ?? new SerialQueue();
  queues.set(store, known);
  return known;
}

/**
 * Keeps sessions in a store for express-session: connect-redis, connect-pg-simple, and some sixty others. Records lie beside
 * those of express-session, under the SHA-256 of their keys.
 *
 * **What it cannot promise.** Such stores have no compare-and-set. Within one process all that the contract says holds,
 * because writes of one session wait for each other here. Between processes it does not: two that write one session at the
 * same moment may lose one of the two writes, and a write that meets a deletion may bring the session back. Use a store of
 * ours where more than one process serves; use this one to get there. A read is one call, every write two, one after the
 * other.
 *
 * Listing, counting and `revokeAll` need the store's `all()`, which reads every session there is, those of express-session,
 * too: fit for an administrator's page, not for each request. Without it those members are missing. Sessions that have ended
 * are removed by the other store, as it does with its own.
 *
 * @throws TypeError for what is no such store
 *
 * @example
 * ```ts
 * import { RedisStore } from "connect-redis";
 * import { createClient } from "redis";
 * import { defineSession } from "coatcheck";
 * import { expressSessionStore } from "coatcheck/store/express-session";
 *
 * const client = await createClient().connect();
 * const user = defineSession<{ cart: string[] }>({
 *   name: "user",
 *   store: expressSessionStore(new RedisStore({ client })),
 * });
 * ```
 */
export function expressSessionStore(store: ExpressStore): SessionStore {
  for (const verb of ["get", "set", "destroy"] as const) {
    if (typeof (store as Partial<ExpressStore> | null)?.[verb] !== "function") {
      throw new TypeError(`store must be a store for express-session, and has no ${verb}()`);
    }
  }
  const verbs: SessionStore = { name: "expressSessionStore", ...verbsOf(store) };
  return typeof store.all === "function" ? { ...verbs, ...listingsOf(store) } : verbs;
}

function verbsOf(store: ExpressStore): Pick<SessionStore, "create" | "read" | "update" | "touch" | "delete"> {
  const queue = queueOf(store);

  function inTurn<T>(key: string, work: (id: string) => Steps<T>): MaybePromise<T> {
    return chain(idOf(key), (id) => queue.run(id, () => run(work(id))));
  }

  function* got(id: string, now: number): Steps<StoredRecord | undefined> {
    const kept = yield* found(store, id);
    return kept !== undefined && kept.expiresAt > now ? kept : undefined;
  }

  function* put(id: string, kept: Kept, now: number): Steps<void> {
    yield* settled(answerOf<unknown>(store, "set", id, { cookie: cookieFor(kept, now), coatcheck: kept }));
  }

  return {
    create: (key, record, { now }) =>
      inTurn(key, function* (id) {
        if ((yield* got(id, now)) !== undefined) return false;
        yield* put(id, keptOf(key, record), now);
        return true;
      }),
    read: (key, { now }) => chain(idOf(key), (id) => run(got(id, now))),
    update: (key, record, base, { now }) =>
      inTurn(key, function* (id): Steps<UpdateOutcome> {
        const current = yield* got(id, now);
        if (current === undefined) return "gone";
        if (current.version !== base.version) return "conflict";
        yield* put(id, keptOf(key, record), now);
        return "ok";
      }),
    touch: (key, expiresAt, { now }) =>
      inTurn(key, function* (id) {
        const current = yield* got(id, now);
        if (current === undefined) return false;
        const end = Math.max(current.expiresAt, expiresAt);
        yield* put(id, keptOf(key, { ...current, expiresAt: end }), now);
        return true;
      }),
    delete: (key, { now }) =>
      inTurn(key, function* (id) {
        const existed = (yield* got(id, now)) !== undefined;
        yield* settled(answerOf<unknown>(store, "destroy", id));
        return existed;
      }),
  };
}

/** Any text as an id that is safe as the name of a file, and short. */
function idOf(key: string): MaybePromise<string> {
  // As JSON, because in UTF-8 all halves of surrogate pairs are the same.
  return chain(sha256(utf8(JSON.stringify(key))), encodeBase64url);
}

function keptOf(key: string, { version, expiresAt, subject, value }: StoredRecord): Kept {
  return subject === undefined ? { key, version, expiresAt, value } : { key, version, expiresAt, value, subject };
}

/** What tells the other store how long to keep it: by its own clock, and a while longer than by the application's (P1). */
function cookieFor({ expiresAt }: Kept, now: number): Cookie {
  return new Cookie({ maxAge: Math.max(expiresAt - now, 0) + EXPIRED_FOR });
}

function* found(store: ExpressStore, id: string): Steps<StoredRecord | undefined> {
  let session: unknown;
  try {
    session = yield* settled(answerOf<unknown>(store, "get", id));
  } catch (error) {
    // How file stores say that there is nothing.
    if ((error as { code?: unknown } | null)?.code === "ENOENT") return undefined;
    throw error;
  }
  if (session === undefined || session === null || session === false) return undefined;
  return keptIn(session) ?? { version: "", expiresAt: Number.MAX_SAFE_INTEGER, value: String(JSON.stringify(session)) };
}

/** Our record in one of the other store's; undefined for one of express-session's own. */
function keptIn(session: unknown): Kept | undefined {
  const { coatcheck } = (session ?? {}) as { coatcheck?: unknown };
  if (!isPlainObject(coatcheck)) return undefined;
  const { key, version, expiresAt, subject, value } = coatcheck;
  const fits =
    [key, version, value].every((text) => typeof text === "string") &&
    typeof expiresAt === "number" &&
    (subject === undefined || typeof subject === "string");
  return fits ? keptOf(key as string, coatcheck as unknown as StoredRecord) : undefined;
}

// --- listing ------------------------------------------------------------------------------------------------------------

function listingsOf(
  store: ExpressStore,
): Pick<Required<Omit<SessionStore, "cachedFor">>, "listBySubject" | "list" | "count"> {
  async function all(now: number, isWanted: (kept: Kept) => boolean): Promise<readonly ListedRecord[]> {
    // An array for some stores, an object by ids for others.
    const sessions = (await answerOf<object>(store, "all")) ?? [];
    return Object.values(sessions).flatMap((session: unknown) => {
      const kept = keptIn(session);
      if (kept === undefined || kept.expiresAt <= now || !isWanted(kept)) return [];
      const { key, ...record } = kept;
      return { key, record };
    });
  }

  return {
    async *listBySubject(subject, { now }) {
      yield* await all(now, (kept) => kept.subject === subject);
    },
    async list(prefix, { cursor = "", limit }, { now }) {
      const records = await all(now, ({ key }) => key.startsWith(prefix));
      const named = await Promise.all(records.map(async (listed) => ({ id: await idOf(listed.key), listed })));
      return pageOf(
        named.filter(({ id }) => id > cursor).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
        limit,
      );
    },
    count: async (prefix, { now }) => (await all(now, ({ key }) => key.startsWith(prefix))).length,
  };
}

function pageOf(rest: readonly { readonly id: string; readonly listed: ListedRecord }[], limit: number): ListedPage {
  const page = rest.slice(0, limit);
  const records = page.map(({ listed }) => listed);
  return rest.length > limit ? { records, cursor: page.at(-1)?.id } : { records };
}
