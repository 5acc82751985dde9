/**
 * Sessions as their owners and administrators see them: listed, counted, revoked (ASVS 7.4.2, 7.4.3, 7.4.5, 7.5.2).
 *
 * @module
 */
import { run, type Steps } from "../internal/maybe-promise.ts";
import type { ListedRecord, SessionStore } from "../store/store.ts";
import { baseOf, fromStored, keyOf, subjectKeyOf, type ById } from "./by-id.ts";
import { NEVER } from "./policy.ts";
import type { Revocation } from "./revocation.ts";
import type { Events } from "./events.ts";

/** A session in a list. Times are milliseconds since the epoch. */
export interface SessionSummary {
  /** The public id: what `revoke` takes. Worth nothing as a token. */
  readonly id: string;
  readonly subject: string | undefined;
  readonly level: string | undefined;
  readonly createdAt: number;
  readonly authenticatedAt: number | undefined;
  readonly lastSeenAt: number;
  readonly expiresAt: number;
}

/** What may be said to `revokeAll`. */
export interface RevokeAllOptions {
  /** The id of a session that stays, as in "sign out everywhere else". */
  readonly except?: string;
}

/** What may be said to `listAll`. */
export interface ListAllOptions {
  /** What came with the page before; none for the first page. One that somebody made up brings some page, and no error. */
  readonly cursor?: string | null | undefined;
  /** How many sessions a page should have. It may have fewer, none, or a few more. Default 100. */
  readonly limit?: number | undefined;
}

/** A page of all sessions. */
export interface SessionPage {
  readonly sessions: readonly SessionSummary[];
  /** For the next page: safe in a URL. Undefined: this was the last page. */
  readonly cursor: string | undefined;
}

/** What may be said to `deleteExpired`. */
export interface DeleteExpiredOptions {
  /** How many are removed at the most. Default 1000. */
  readonly limit?: number | undefined;
}

/** The sessions of one definition. */
export interface Registry {
  list(subject: string): Promise<SessionSummary[]>;
  listAll(options?: ListAllOptions): Promise<SessionPage>;
  deleteExpired(options?: DeleteExpiredOptions): Promise<number>;
  revoke(id: string): Promise<boolean>;
  revokeAll(subject: string, options?: RevokeAllOptions): Promise<number>;
  count(): Promise<number>;
}

/** The registry of a definition whose sessions are in a store. */
export function registryById(byId: ById, store: SessionStore): Registry {
  const listings = listingsOf(byId, store);
  byId.events.feed("expired", (byName) => tellExpired(byId, store, byName));
  return { ...listings, ...endingsOf(byId, store, listings.list) };
}

function tellExpired({ prefix, events }: ById, store: SessionStore, byName: boolean): (() => void) | undefined {
  if (byName && store.onExpired === undefined) throw lacks('on("expired")', "onExpired", store);
  return store.onExpired?.(({ key, subject }) => {
    if (!key.startsWith(prefix)) return;
    events.emit("expired", { id: key.slice(prefix.length), subject: subject?.slice(prefix.length) });
  });
}

function listingsOf(byId: ById, store: SessionStore): Pick<Registry, "list" | "listAll" | "count"> {
  const { calls, prefix } = byId;

  async function list(subject: string): Promise<SessionSummary[]> {
    if (store.listBySubject === undefined) throw lacks("list", "listBySubject", store);
    const found = await calls.guard("list", (call) =>
      collected(store.listBySubject?.(subjectKeyOf(byId, subject), call) ?? nothing()),
    );
    return found.flatMap((entry) => summaryOf(byId, entry) ?? []);
  }

  async function listAll({ cursor, limit = 100 }: ListAllOptions = {}): Promise<SessionPage> {
    const listPage = store.list?.bind(store);
    if (listPage === undefined) throw lacks("listAll", "list", store);
    const request = { limit: aboveZero(limit), cursor: cursor ?? undefined };
    const page = await calls.guard("list", (call) => listPage(prefix, request, call));
    return { sessions: page.records.flatMap((entry) => summaryOf(byId, entry) ?? []), cursor: page.cursor };
  }

  /** By their ids, because a walk may bring one twice. */
  async function counted(): Promise<number> {
    const ids = new Set<string>();
    for (let cursor: string | undefined, isLast = false; !isLast; isLast = cursor === undefined) {
      const page = await listAll({ cursor, limit: COUNTED_AT_ONCE });
      for (const { id } of page.sessions) ids.add(id);
      cursor = page.cursor;
    }
    return ids.size;
  }

  async function count(): Promise<number> {
    const countAll = store.count?.bind(store);
    if (countAll === undefined && store.list === undefined) throw lacks("count", "count", store);
    return countAll === undefined ? await counted() : await calls.guard("count", (call) => countAll(prefix, call));
  }

  return { list, listAll, count };
}

function endingsOf(
  byId: ById,
  store: SessionStore,
  list: Registry["list"],
): Pick<Registry, "revoke" | "revokeAll" | "deleteExpired"> {
  const { calls, events, prefix } = byId;

  async function revoke(id: string, subject?: string): Promise<boolean> {
    const options = subject === undefined ? {} : { previousSubject: subjectKeyOf(byId, subject) };
    const existed = await calls.delete(keyOf(byId, id), options);
    if (existed) events.emit("revoked", { id, subject });
    return existed;
  }

  /** One by one, for stores that cannot end them together. */
  async function revokeEach(subject: string, except: string | undefined): Promise<number> {
    const sessions = (await list(subject)).filter(({ id }) => id !== except);
    const revoked = await Promise.all(sessions.map(async ({ id }) => await revoke(id, subject)));
    return revoked.filter(Boolean).length;
  }

  return {
    revoke: async (id) => await revoke(id),
    async revokeAll(subject, { except } = {}) {
      const remove = store.deleteBySubject?.bind(store);
      if (remove === undefined && store.listBySubject === undefined) throw lacks("revokeAll", "listBySubject", store);
      if (remove === undefined) return await revokeEach(subject, except);
      const but = { except: except === undefined ? undefined : keyOf(byId, except) };
      const keys = await calls.guard("delete", (call) => remove(subjectKeyOf(byId, subject), but, call));
      for (const key of keys) events.emit("revoked", { id: key.slice(prefix.length), subject });
      return keys.length;
    },
    async deleteExpired({ limit = 1000 } = {}) {
      const remove = store.deleteExpired?.bind(store);
      if (remove === undefined) throw lacks("deleteExpired", "deleteExpired", store);
      const most = aboveZero(limit);
      return await calls.guard("delete", (call) => remove(most, call));
    },
  };
}

/** For stores that can list and not count. */
const COUNTED_AT_ONCE = 1000;

function lacks(method: string, capability: keyof SessionStore, { name = "the store" }: SessionStore): TypeError {
  return new TypeError(`${method} needs a store that offers ${capability}, and ${name} does not`);
}

function aboveZero(limit: number): number {
  if (Number.isSafeInteger(limit) && limit > 0) return limit;
  throw new TypeError("limit: expected a whole number above 0");
}

/** The registry of a definition whose sessions travel with their holders: only all of a subject's can be ended. */
export function registryByValue(name: string, revocation: Revocation | undefined, events: Events): Registry {
  const impossible = (method: string): never => {
    throw new TypeError(`${method} needs sessions in a store: those of "${name}" travel in their tokens`);
  };

  function* endAll(subject: string): Steps<boolean> {
    if (revocation === undefined) {
      throw new TypeError(`revokeAll needs a revocation store: "${name}" says revocation: "none"`);
    }
    return yield* revocation.endAll(subject);
  }

  events.feed("expired", (byName) => (byName ? impossible('on("expired")') : undefined));
  return {
    list: async () => impossible("list"),
    listAll: async () => impossible("listAll"),
    deleteExpired: async () => impossible("deleteExpired"),
    revoke: async () => impossible("revoke"),
    count: async () => impossible("count"),
    async revokeAll(subject, { except } = {}) {
      if (except !== undefined) impossible("revokeAll with except");
      const existed = await run(endAll(subject));
      if (existed) events.emit("revoked", { subject });
      return existed ? 1 : 0;
    },
  };
}

function summaryOf(byId: ById, { key, record: stored }: ListedRecord): SessionSummary | undefined {
  const record = fromStored(byId, stored);
  if (record === undefined || !key.startsWith(byId.prefix)) return undefined;
  const id = key.slice(byId.prefix.length);
  const none = new Uint8Array();
  const base = baseOf(byId, {
    id,
    stored,
    record,
    content: record.content,
    migrated: false,
    secret: none,
    mine: "",
    proof: "current",
    outdated: false,
    memo: undefined,
    isOwn: false,
  });
  if (base.expiresAt <= byId.clock.now()) return undefined;
  const { subject, level, createdAt, authenticatedAt } = record.content;
  return {
    id,
    subject,
    level,
    createdAt,
    authenticatedAt,
    lastSeenAt: base.lastSeenAt,
    expiresAt: Math.min(base.expiresAt, NEVER),
  };
}

async function collected(entries: AsyncIterable<ListedRecord>): Promise<ListedRecord[]> {
  const all: ListedRecord[] = [];
  for await (const entry of entries) all.push(entry);
  return all;
}

async function* nothing(): AsyncIterable<never> {}
