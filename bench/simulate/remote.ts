/**
 * The store that all servers share, as each of them sees it: over a network, by verbs that take their time. What it tells of
 * changes goes into one log, in the order in which it did them.
 *
 * @module
 */
import type { SessionStore, StoredRecord, UpdateOutcome } from "../../src/store/store.ts";
import type { Agenda } from "./agenda.ts";
import { drawn, type Chance } from "./chance.ts";
import { Later } from "./later.ts";

/** Measured times, in milliseconds. */
export interface Delays {
  /** From a command to its answer. */
  readonly answers: readonly number[];
  /** From the answer to a command until another server has heard of what it did; less than 0 when that was first. */
  readonly lags: readonly number[];
}

/** What the store tells all servers. */
export interface News {
  readonly key: string;
  /** What was written; undefined when the record was deleted. */
  readonly version: string | undefined;
  /** When it was done, and when whoever did it has the answer. */
  readonly doneAt: number;
  readonly answeredAt: number;
}

/** The records, and what was told of them. */
export interface Remote {
  readonly records: Map<string, StoredRecord>;
  readonly news: readonly News[];
  readonly count: { reads: number; writes: number };
  /** The verbs that a near cache needs, for one server. */
  verbs(): Pick<SessionStore, "create" | "read" | "update" | "touch" | "delete">;
}

/** What each way takes beside what was measured, in milliseconds. */
export interface RemoteOptions {
  readonly delays: Delays;
  readonly hop: number;
}

/** An empty store. It tells of what `redisStore` tells: of changes, touches and deletions, not of what is new. */
export function remote(agenda: Agenda, chance: Chance, { delays, hop }: RemoteOptions): Remote {
  const records = new Map<string, StoredRecord>();
  const news: News[] = [];
  const count = { reads: 0, writes: 0 };

  /** Half of the round trip before the work is done, half of it after. */
  function over<T>(work: (answeredAt: number) => T): PromiseLike<T> {
    const sentAt = agenda.now;
    const half = drawn(chance, delays.answers) / 2 + hop;
    const later = new Later<T>();
    agenda.at(sentAt + half, () => {
      const answer = work(sentAt + 2 * half);
      agenda.at(sentAt + 2 * half, () => later.settle(answer));
    });
    return later;
  }
  const tell = (key: string, version: string | undefined, answeredAt: number): void =>
    void news.push({ key, version, doneAt: agenda.now, answeredAt });
  const alive = (key: string): StoredRecord | undefined => {
    const record = records.get(key);
    return record !== undefined && record.expiresAt > agenda.now ? record : undefined;
  };
  const written = <T>(work: (answeredAt: number) => T): PromiseLike<T> => {
    count.writes++;
    return over(work);
  };

  return {
    records,
    news,
    count,
    verbs: () => ({
      create: (key, record) => written(() => !records.has(key) && records.set(key, record) !== undefined),
      read(key) {
        count.reads++;
        return over(() => alive(key));
      },
      update: (key, record, base) =>
        written((answeredAt): UpdateOutcome => {
          const there = alive(key);
          if (there === undefined) return "gone";
          if (there.version !== base.version) return "conflict";
          tell(key, record.version, answeredAt);
          records.set(key, record);
          return "ok";
        }),
      touch: (key, expiresAt) =>
        written((answeredAt) => {
          const there = alive(key);
          if (there !== undefined && expiresAt > there.expiresAt) {
            tell(key, there.version, answeredAt);
            records.set(key, Object.freeze({ ...there, expiresAt }));
          }
          return there !== undefined;
        }),
      delete: (key) =>
        written((answeredAt) => {
          const existed = alive(key) !== undefined;
          if (existed) tell(key, undefined, answeredAt);
          records.delete(key);
          return existed;
        }),
    }),
  };
}
