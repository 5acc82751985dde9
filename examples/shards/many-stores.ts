/**
 * Several stores as one: each session is in the store that its key names. For shards, and for a home region of each session.
 * The kit for stores passes over it (test/e2e/many-stores.test.ts).
 */
import type { ListedPage, SessionStore } from "coatcheck";

/** One store of `stores` for each key. `pick` must go by the key alone, and never change its mind. */
export function manyStores(stores: readonly SessionStore[], pick: (key: string) => number): SessionStore {
  const [first] = stores;
  if (first === undefined) throw new TypeError("manyStores: expected stores");
  const of = (key: string): SessionStore => stores[pick(key)] ?? first;
  return {
    name: `manyStores(${stores.length} × ${first.name ?? "custom"})`,
    ...copying(stores),
    create: (key, record, call) => of(key).create(key, record, call),
    read: (key, call) => of(key).read(key, call),
    update: (key, record, base, call) => of(key).update(key, record, base, call),
    touch: (key, expiresAt, call) => of(key).touch(key, expiresAt, call),
    delete: (key, call) => of(key).delete(key, call),
    ...listings(stores),
    ...watching(stores),
    async close() {
      await Promise.all(stores.map((store) => store.close?.()));
    },
  };
}

/** Where one of them may answer with a copy, all of them may: then nobody is turned away by an answer. */
function copying(stores: readonly SessionStore[]): Pick<SessionStore, "cached" | "cachedFor" | "returnsSame"> {
  const copies = stores.filter(({ cached }) => cached === true);
  const ages = copies.flatMap(({ cachedFor }) => cachedFor ?? []);
  return {
    cached: copies.length > 0,
    returnsSame: stores.every(({ returnsSame }) => returnsSame === true),
    // Of one that does not say it nobody knows how old its copies may be.
    ...(copies.length > 0 && ages.length === copies.length && { cachedFor: Math.max(...ages) }),
  };
}

/** A subject's sessions are anywhere: all stores are asked. */
function listings(stores: readonly SessionStore[]): Partial<SessionStore> {
  const all = <Member extends keyof SessionStore>(member: Member): boolean =>
    stores.every((store) => store[member] !== undefined);
  return {
    ...(all("listBySubject") && {
      async *listBySubject(subject, call) {
        for (const store of stores) yield* store.listBySubject?.(subject, call) ?? [];
      },
    }),
    ...(all("deleteBySubject") && {
      async deleteBySubject(subject, rest, call) {
        return (await Promise.all(stores.map((store) => store.deleteBySubject?.(subject, rest, call) ?? []))).flat();
      },
    }),
    ...(all("list") && {
      // One store after the other: `2_cursor` is where the third one goes on.
      async list(prefix, { cursor, limit }, call): Promise<ListedPage> {
        const [, at = "0", within] = /^(\d+)_(.*)$/s.exec(cursor ?? "") ?? [];
        const page = await stores[Number(at)]?.list?.(prefix, { cursor: within || undefined, limit }, call);
        const records = page?.records ?? [];
        if (page?.cursor !== undefined) return { records, cursor: `${at}_${page.cursor}` };
        return Number(at) + 1 < stores.length ? { records, cursor: `${Number(at) + 1}_` } : { records };
      },
    }),
    ...(all("count") && {
      async count(prefix, call) {
        const counts = await Promise.all(stores.map((store) => store.count?.(prefix, call) ?? 0));
        return counts.reduce((sum, count) => sum + count, 0);
      },
    }),
    ...(all("deleteExpired") && {
      async deleteExpired(limit, call) {
        let removed = 0;
        for (const store of stores) removed += (await store.deleteExpired?.(limit - removed, call)) ?? 0;
        return removed;
      },
    }),
    ...(all("onExpired") && {
      onExpired(listener) {
        const ends = stores.map((store) => store.onExpired?.(listener));
        return () => ends.forEach((end) => end?.());
      },
    }),
  };
}

/** All is told while every store tells. So a store that is away takes the copies of all with it, and no copy is wrong. */
function watching(stores: readonly SessionStore[]): Pick<SessionStore, "watch"> {
  if (!stores.every(({ watch }) => watch !== undefined)) return {};
  return {
    watch(listener, gaps = {}) {
      const telling = new Set<number>();
      const ends = stores.map((store, at) =>
        store.watch?.(listener, {
          restored() {
            if (telling.add(at).size === stores.length) gaps.restored?.();
          },
          lost() {
            if (telling.size === stores.length) gaps.lost?.();
            telling.delete(at);
          },
        }),
      );
      return () => ends.forEach((end) => end?.());
    },
  };
}

/** The same store for a key at all times, and as many keys for each of them. Ids are random: their letters are as good as a hash. */
export function byHash(shards: number): (key: string) => number {
  return (key) => {
    let sum = 0;
    for (let at = 0; at < key.length; at++) sum = (Math.imul(sum, 31) + key.charCodeAt(at)) >>> 0;
    return sum % shards;
  };
}

/**
 * The home of a session is in its id: ids begin with three bytes that stand for the region, `generateId: homeIn("eu01")`, and with
 * those its key has the letters `eu01` after the slash. Whoever forges them asks a store that does not know the session.
 */
export function homeIn(region: string): () => Uint8Array {
  const bytes = Uint8Array.from(atob(region), (letter) => letter.charCodeAt(0));
  if (bytes.length !== 3) throw new TypeError("region: expected four letters or digits");
  return () => Uint8Array.of(...bytes, ...crypto.getRandomValues(new Uint8Array(16)));
}

/** The region that a key names; one of `regions`, the first for what names none. */
export function byHome(regions: readonly string[]): (key: string) => number {
  return (key) => {
    const at = key.indexOf("/") + 1;
    return Math.max(0, regions.indexOf(key.slice(at, at + 4)));
  };
}
