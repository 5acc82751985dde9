/**
 * A part of a store that one application sees: the keys and subjects of its namespace.
 *
 * @module
 */
import type { ListedRecord, SessionStore, StoredRecord } from "../store/store.ts";

/** What may be in a namespace's name: no `:`, which ends it in keys and subjects. */
const NAMESPACE = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;

/** Whether a text can be the name of a namespace: 1 to 32 of `a-z`, `0-9` and `-`, no `-` at an end. */
export function isNamespace(name: unknown): name is string {
  return typeof name === "string" && NAMESPACE.test(name);
}

/**
 * The part of a store under a namespace, with whatever the store is capable of, but for sweeping, which is the server's own
 * business. Whoever has it can neither see nor reach, change or count what is in another namespace.
 *
 * Throws a `TypeError` for what cannot be the name of a namespace.
 */
export function namespacedStore(store: SessionStore, namespace: string): SessionStore {
  if (!isNamespace(namespace)) throw new TypeError("namespace: expected 1 to 32 of a-z, 0-9 and - in between");
  const prefix = `${namespace}:`;
  const inner = (text: string): string => prefix + text;
  const outer = (text: string): string => text.slice(prefix.length);
  const into = (record: StoredRecord): StoredRecord =>
    record.subject === undefined ? record : { ...record, subject: inner(record.subject) };
  const outOf = (record: StoredRecord): StoredRecord =>
    record.subject === undefined ? record : { ...record, subject: outer(record.subject) };
  const outOfListed = ({ key, record }: ListedRecord): ListedRecord => ({ key: outer(key), record: outOf(record) });
  const { listBySubject, deleteBySubject, list, count, watch } = store;
  const call = <C extends { readonly previousSubject?: string | undefined }>(given: C): C =>
    given.previousSubject === undefined ? given : { ...given, previousSubject: inner(given.previousSubject) };
  return {
    name: store.name ?? "the store",
    ...(store.cached !== undefined && { cached: store.cached }),
    ...(store.cachedFor !== undefined && { cachedFor: store.cachedFor }),
    // With a subject it is another object each time: what is remembered of one would never be found again.
    returnsSame: false,
    create: (key, record, given) => store.create(inner(key), into(record), given),
    read(key, given) {
      const found = store.read(inner(key), given);
      if (found === undefined) return undefined;
      return "then" in found ? found.then((record) => record && outOf(record)) : outOf(found);
    },
    update: (key, record, base, given) => store.update(inner(key), into(record), into(base), call(given)),
    touch: (key, expiresAt, given) => store.touch(inner(key), expiresAt, given),
    delete: (key, given) => store.delete(inner(key), call(given)),
    ...(listBySubject && {
      async *listBySubject(subject, given) {
        for await (const listed of listBySubject.call(store, inner(subject), given)) yield outOfListed(listed);
      },
    }),
    ...(deleteBySubject && {
      async deleteBySubject(subject, { except }, given) {
        const but = { except: except === undefined ? undefined : inner(except) };
        return (await deleteBySubject.call(store, inner(subject), but, given)).map(outer);
      },
    }),
    ...(list && {
      async list(start, page, given) {
        const { records, ...rest } = await list.call(store, inner(start), page, given);
        return { ...rest, records: records.map(outOfListed) };
      },
    }),
    ...(count && { count: (start, given) => count.call(store, inner(start), given) }),
    ...(watch && {
      watch: (listener, gaps) =>
        watch.call(
          store,
          (key, change) => {
            if (!key.startsWith(prefix)) return;
            const record = change?.record;
            listener(outer(key), record === undefined ? change : { ...change, record: outOf(record) });
          },
          gaps,
        ),
    }),
  } satisfies SessionStore;
}
