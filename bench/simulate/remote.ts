/**
 * The store that all servers share, as each of them sees it: over a network, by verbs that take their time. What it tells of
 * changes goes into one log, in the order in which it did them.
 *
 * @module
 */
import type { SessionStore, StoredRecord, UpdateOutcome } from "../../src/store/store.ts";
import type { Agenda } from "./agenda.ts";
import { Later } from "./later.ts";
import { indexAt, type Weather } from "./weather.ts";

/** What the store tells all servers. */
export interface News {
  readonly key: string;
  /** What was written; undefined when the record was deleted. */
  readonly version: string | undefined;
  /** When it was done, and when whoever did it has the answer. */
  readonly doneAt: number;
  readonly answeredAt: number;
  /** Which server has done it, and which sample of the weather it was like. */
  readonly by: number;
  readonly like: number;
}

/** The records, and what was told of them. */
export interface Remote {
  readonly records: Map<string, StoredRecord>;
  readonly news: readonly News[];
  readonly count: { reads: number; writes: number };
  /** The verbs that a near cache needs, for one server, from 0. */
  verbs(server: number): Pick<SessionStore, "create" | "read" | "update" | "touch" | "delete">;
}

/** What each way takes beside what was measured, in milliseconds. */
export interface RemoteOptions {
  readonly weather: Weather;
  readonly hop: number;
}

/** An empty store. It tells of what `redisStore` tells: of changes, touches and deletions, not of what is new. */
export function remote(agenda: Agenda, { weather, hop }: RemoteOptions): Remote {
  const records = new Map<string, StoredRecord>();
  const news: News[] = [];
  const count = { reads: 0, writes: 0 };

  /** Half of the round trip before the work is done, half of it after. */
  function over<T>(work: (answeredAt: number) => T): PromiseLike<T> {
    const sentAt = agenda.now;
    const half = (weather[indexAt(weather, sentAt)]?.answer ?? 0) / 2 + hop;
    const later = new Later<T>();
    agenda.at(sentAt + half, () => {
      const answer = work(sentAt + 2 * half);
      agenda.at(sentAt + 2 * half, () => later.settle(answer));
    });
    return later;
  }
  const tell = (key: string, version: string | undefined, answeredAt: number, by: number): void =>
    void news.push({ key, version, doneAt: agenda.now, answeredAt, by, like: indexAt(weather, agenda.now) });
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
    verbs: (by) => ({
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
          tell(key, record.version, answeredAt, by);
          records.set(key, record);
          return "ok";
        }),
      touch: (key, expiresAt) =>
        written((answeredAt) => {
          const there = alive(key);
          if (there !== undefined && expiresAt > there.expiresAt) {
            tell(key, there.version, answeredAt, by);
            records.set(key, Object.freeze({ ...there, expiresAt }));
          }
          return there !== undefined;
        }),
      delete: (key) =>
        written((answeredAt) => {
          const existed = alive(key) !== undefined;
          if (existed) tell(key, undefined, answeredAt, by);
          records.delete(key);
          return existed;
        }),
    }),
  };
}
