/**
 * Sessions as their owners and administrators see them: listed, counted, revoked (ASVS 7.4.2, 7.4.3, 7.4.5, 7.5.2).
 *
 * @module
 */
import { run, type MaybePromise, type Steps } from "../internal/maybe-promise.ts";
import type { ListedRecord, SessionStore, StoreCall } from "../store/store.ts";
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

/** The sessions of one definition. */
export interface Registry {
  list(subject: string): Promise<SessionSummary[]>;
  revoke(id: string): Promise<boolean>;
  revokeAll(subject: string, options?: RevokeAllOptions): Promise<number>;
  count(): Promise<number>;
}

/** The registry of a definition whose sessions are in a store. */
export function registryById(byId: ById, store: SessionStore): Registry {
  const storeName = store.name ?? "the store";

  function lacks(method: string, capability: keyof SessionStore): TypeError {
    return new TypeError(`${method} needs a store that offers ${capability}, and ${storeName} does not`);
  }

  async function list(subject: string): Promise<SessionSummary[]> {
    if (store.listBySubject === undefined) throw lacks("list", "listBySubject");
    const found = await byId.calls.guard("list", (call) =>
      collected(store.listBySubject?.(subjectKeyOf(byId, subject), call) ?? nothing()),
    );
    return found.flatMap((entry) => summaryOf(byId, entry) ?? []);
  }

  async function revoke(id: string, subject?: string): Promise<boolean> {
    const options = subject === undefined ? {} : { previousSubject: subjectKeyOf(byId, subject) };
    const existed = await byId.calls.delete(keyOf(byId, id), options);
    if (existed) byId.events.emit("revoked", { id, subject });
    return existed;
  }

  async function counted(call: StoreCall): Promise<number> {
    let count = 0;
    for await (const entry of store.list?.(byId.prefix, call) ?? nothing())
      count += summaryOf(byId, entry) === undefined ? 0 : 1;
    return count;
  }

  return {
    list,
    revoke: async (id) => await revoke(id),
    async revokeAll(subject, { except } = {}) {
      if (store.listBySubject === undefined) throw lacks("revokeAll", "listBySubject");
      const sessions = (await list(subject)).filter(({ id }) => id !== except);
      const revoked = await Promise.all(sessions.map(async ({ id }) => await revoke(id, subject)));
      return revoked.filter(Boolean).length;
    },
    async count() {
      if (store.count === undefined && store.list === undefined) throw lacks("count", "count");
      return await byId.calls.guard(
        "count",
        (call): MaybePromise<number> => store.count?.(byId.prefix, call) ?? counted(call),
      );
    },
  };
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

  return {
    list: async () => impossible("list"),
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
