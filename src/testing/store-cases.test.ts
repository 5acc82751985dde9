import { posix } from "node:path";
import { beforeAll, describe, expect, test, vi } from "vitest";
import type { MaybePromise } from "../internal/maybe-promise.ts";
import { memoryStore } from "../store/memory.ts";
import type {
  ExpiredRecord,
  ListedRecord,
  SessionStore,
  StoreCall,
  StoreChange,
  StoredRecord,
  WatchGaps,
} from "../store/store.ts";
import { storeCases } from "./store-cases.ts";
import { keysOf, pause } from "./store-kit.ts";

type Verbs = Required<Omit<SessionStore, "watch" | "cachedFor">>;

/** A memory store with some members replaced. `inner` is the sound one. */
function broken(replace: (inner: Verbs) => Partial<SessionStore>): () => SessionStore {
  return () => {
    const inner = memoryStore({ sweepInterval: false });
    return { ...inner, ...replace(inner) };
  };
}

async function keysOfSubject(inner: Verbs, subject: string, call: StoreCall): Promise<readonly string[]> {
  return await keysOf(inner.listBySubject(subject, call));
}

/** The names of the cases that a store fails. */
async function failures(make: () => MaybePromise<SessionStore>): Promise<readonly string[]> {
  const failed: string[] = [];
  for (const { name, run } of storeCases) {
    await run(make).catch((error: unknown) => {
      expect(error).toBeInstanceOf(Error);
      failed.push(name);
    });
  }
  return failed;
}

const aliasing = (): SessionStore => {
  const inner = memoryStore({ sweepInterval: false });
  const records = new Map<string, StoredRecord>();
  const kept = (key: string, found: StoredRecord | undefined): StoredRecord | undefined => {
    const mine = records.get(key);
    return found === undefined || mine === undefined ? found : mine;
  };
  return {
    ...inner,
    create(key, record, call) {
      const created = inner.create(key, record, call);
      if (created === true) records.set(key, record);
      return created;
    },
    update(key, record, base, call) {
      const outcome = inner.update(key, record, base, call);
      if (outcome === "ok") records.set(key, record);
      return outcome;
    },
    touch(key, expiresAt, call) {
      records.delete(key);
      return inner.touch(key, expiresAt, call);
    },
    read: (key, call) => kept(key, inner.read(key, call) as StoredRecord | undefined),
  };
};

const inSeconds = (ms: number): number => Math.round(ms / 1000) * 1000;

/** A store that takes different keys, and subjects, for the same one. */
function renaming(rename: (text: string) => string): () => SessionStore {
  const renamed = (record: StoredRecord): StoredRecord =>
    record.subject === undefined ? record : { ...record, subject: rename(record.subject) };
  return broken((inner) => ({
    create: (key, record, call) => inner.create(rename(key), renamed(record), call),
    read: (key, call) => inner.read(rename(key), call),
    update: (key, record, base, call) => inner.update(rename(key), renamed(record), base, call),
    touch: (key, expiresAt, call) => inner.touch(rename(key), expiresAt, call),
    delete: (key, call) => inner.delete(rename(key), call),
    listBySubject: (subject, call) => inner.listBySubject(rename(subject), call),
  }));
}

/** What the watchers of a broken store are told. */
interface Telling {
  /** Of a record under a key as it was, and as it is. */
  change(tell: Listener, key: string, record: StoredRecord | undefined, base: StoredRecord | undefined): void;
  restored(gaps: WatchGaps | undefined): void;
  /** How listeners come and go. */
  watch(listeners: Set<Listener>, listener: Listener): () => void;
}

type Listener = (key: string, change?: StoreChange) => void;

/** A store in memory that can be watched: soundly, but for what is given. */
function watchable(odd: Partial<Telling> = {}): () => SessionStore {
  const telling: Telling = {
    change: (tell, key, record) => tell(key, record && { version: record.version }),
    restored: (gaps) => void Promise.resolve().then(() => gaps?.restored?.()),
    watch(listeners, listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    ...odd,
  };
  return broken((inner) => {
    const listeners = new Set<Listener>();
    const around = <T>(key: string, call: StoreCall, write: () => T): T => {
      const base = inner.read(key, call) as StoredRecord | undefined;
      const answer = write();
      const record = inner.read(key, call) as StoredRecord | undefined;
      if (record !== base) for (const listener of listeners) telling.change(listener, key, record, base);
      return answer;
    };
    return {
      create: (key, record, call) => around(key, call, () => inner.create(key, record, call)),
      update: (key, record, base, call) => around(key, call, () => inner.update(key, record, base, call)),
      touch: (key, expiresAt, call) => around(key, call, () => inner.touch(key, expiresAt, call)),
      delete: (key, call) => around(key, call, () => inner.delete(key, call)),
      async deleteBySubject(subject, options, call) {
        const found = await inner.deleteBySubject(subject, options, call);
        for (const key of found) for (const listener of listeners) telling.change(listener, key, undefined, undefined);
        return found;
      },
      watch(listener, gaps) {
        telling.restored(gaps);
        return telling.watch(listeners, (...told) => listener(...told));
      },
    };
  });
}

const forever = { now: -Infinity };
const EVERYTHING = { limit: 1_000_000 };

/** A store whose pages are counted off, from the beginning, in the order of `sort`. */
function counting(sort: (a: ListedRecord, b: ListedRecord) => number): () => SessionStore {
  return broken((inner) => ({
    async list(prefix, { cursor, limit }, call) {
      const { records } = await inner.list(prefix, EVERYTHING, call);
      const from = Number(cursor ?? 0) || 0;
      const page = records.toSorted(sort).slice(from, from + limit);
      return from + limit < records.length ? { records: page, cursor: String(from + limit) } : { records: page };
    },
  }));
}

const BROKEN: Readonly<Record<string, () => SessionStore>> = {
  "update creates what is not there": broken((inner) => ({
    update(key, record, base, call) {
      const outcome = inner.update(key, record, base, call);
      if (outcome === "gone") void inner.create(key, record, call);
      return outcome === "gone" ? "ok" : outcome;
    },
  })),
  "update looks at no version": broken((inner) => ({
    update: (key, record, base, call) => {
      const found = inner.read(key, call) as StoredRecord | undefined;
      return inner.update(key, record, found ?? base, call);
    },
  })),
  "nothing expires": broken((inner) => ({
    create: (key, record) => inner.create(key, record, forever),
    read: (key) => inner.read(key, forever),
    update: (key, record, base) => inner.update(key, record, base, forever),
    touch: (key, expiresAt) => inner.touch(key, expiresAt, forever),
    delete: (key) => inner.delete(key, forever),
  })),
  "an expired record is dropped when it is read": broken((inner) => ({
    read(key, call) {
      const found = inner.read(key, call);
      if (found === undefined) void inner.delete(key, forever);
      return found;
    },
  })),
  "touch shortens": broken((inner) => ({
    touch(key, expiresAt, call) {
      const found = inner.read(key, call) as StoredRecord | undefined;
      return found !== undefined && inner.update(key, { ...found, expiresAt }, found, call) === "ok";
    },
  })),
  "touch creates": broken((inner) => ({
    touch(key, expiresAt, call) {
      const touched = inner.touch(key, expiresAt, call);
      return touched === true || inner.create(key, { version: "new", expiresAt, value: "" }, call);
    },
  })),
  "touch changes the version": broken((inner) => ({
    touch(key, expiresAt, call) {
      const found = inner.read(key, call) as StoredRecord | undefined;
      if (found === undefined) return false;
      const end = Math.max(expiresAt, found.expiresAt);
      return inner.update(key, { ...found, expiresAt: end, version: `${found.version}+` }, found, call) === "ok";
    },
  })),
  "create overwrites": broken((inner) => ({
    create(key, record, call) {
      void inner.delete(key, call);
      return inner.create(key, record, call);
    },
  })),
  "create says false and overwrites": broken((inner) => ({
    create(key, record, call) {
      const existed = inner.delete(key, call) as boolean;
      void inner.create(key, record, call);
      return !existed;
    },
  })),
  "delete always says true": broken((inner) => ({
    delete(key, call) {
      void inner.delete(key, call);
      return true;
    },
  })),
  "delete says true and does nothing": broken(() => ({ delete: () => true })),
  "delete needs the version that was read last": broken((inner) => {
    const seen = new Map<string, string | undefined>();
    return {
      read(key, call) {
        const found = inner.read(key, call) as StoredRecord | undefined;
        seen.set(key, found?.version);
        return found;
      },
      delete(key, call) {
        const found = inner.read(key, call) as StoredRecord | undefined;
        if (seen.has(key) && seen.get(key) !== found?.version) return false;
        return inner.delete(key, call);
      },
    };
  }),
  "records are kept and handed out as they are": aliasing,
  "touch changes the record in place": broken((inner) => {
    const records = new Map<string, StoredRecord>();
    return {
      create(key, record, call) {
        records.set(key, { ...record });
        return inner.create(key, record, call);
      },
      update(key, record, base, call) {
        records.delete(key);
        return inner.update(key, record, base, call);
      },
      read(key, call) {
        const found = inner.read(key, call) as StoredRecord | undefined;
        return found === undefined ? undefined : (records.get(key) ?? found);
      },
      touch(key, expiresAt, call) {
        const mine = records.get(key);
        if (mine !== undefined) Object.assign(mine, { expiresAt: Math.max(mine.expiresAt, expiresAt) });
        return inner.touch(key, expiresAt, call);
      },
    };
  }),
  "read and then write, as two steps": broken((inner) => ({
    async update(key, record, base, call) {
      const found = (await inner.read(key, call)) as StoredRecord | undefined;
      if (found === undefined) return "gone";
      if (found.version !== base.version) return "conflict";
      await pause();
      void inner.delete(key, call);
      void inner.create(key, record, call);
      return "ok";
    },
  })),
  "versions are compared as numbers": broken((inner) => ({
    update(key, record, base, call) {
      const found = inner.read(key, call) as StoredRecord | undefined;
      const same = found !== undefined && Number(found.version) === Number(base.version);
      return inner.update(key, record, same ? found : base, call);
    },
  })),
  "keys are cut at a NUL": broken((inner) => {
    const cut = (key: string): string => key.split("\0")[0] ?? "";
    return {
      create: (key, record, call) => inner.create(cut(key), record, call),
      read: (key, call) => inner.read(cut(key), call),
      delete: (key, call) => inner.delete(cut(key), call),
    };
  }),
  "reads come from a cache, fresh or not": broken((inner) => {
    const cache = new Map<string, StoredRecord | undefined>();
    return {
      cached: true,
      read(key, call) {
        if (!cache.has(key)) cache.set(key, inner.read(key, call) as StoredRecord | undefined);
        return cache.get(key);
      },
    };
  }),
  "the subject index is not moved": broken((inner) => {
    const first = new Map<string, string[]>();
    return {
      create(key, record, call) {
        const created = inner.create(key, record, call);
        if (record.subject !== undefined) first.set(record.subject, [...(first.get(record.subject) ?? []), key]);
        return created;
      },
      async *listBySubject(subject, call) {
        for (const key of first.get(subject) ?? []) {
          const record = await inner.read(key, call);
          if (record !== undefined) yield { key, record };
        }
      },
    };
  }),
  "deleteExpired does not wait five minutes": broken((inner) => ({
    deleteExpired: (limit, { now }) => inner.deleteExpired(limit, { now: now + 300_000 }),
  })),
  "deleteExpired knows no limit": broken((inner) => ({
    deleteExpired: (_, call) => inner.deleteExpired(Infinity, call),
  })),
  "list takes the prefix for a pattern": broken((inner) => ({
    async list(prefix, page, call) {
      const pattern = new RegExp(`^${prefix.replaceAll(/[$()*+.?[\\\]^{|}]/g, "\\$&").replaceAll(/[%_]/g, ".")}`, "su");
      const { records, cursor } = await inner.list("", page, call);
      return { records: records.filter(({ key }) => pattern.test(key)), cursor };
    },
  })),
  "keys and subjects are trimmed and lower case": renaming((text) => text.trim().toLowerCase()),
  "keys and subjects are normalised": renaming((text) => text.normalize("NFKC")),
  "keys and subjects go through UTF-8": renaming((text) => Buffer.from(text).toString()),
  "keys and subjects are paths": renaming((text) => posix.join("/root", text)),
  "keys and subjects are cut at 255 bytes": renaming((text) => text.slice(0, 255)),
  "keys and subjects end at a line end": renaming((text) => text.split(/\r|\n|\0/)[0] ?? ""),
  "keys and subjects lose their quotes": renaming((text) => text.replaceAll(/['"`\\]/g, "")),
  "keys and subjects are properties of an object": renaming((text) => (text in {} ? "[object]" : text)),
  "keys and subjects lose what is before the slash": renaming((text) => text.slice(text.lastIndexOf("/") + 1)),
  "device names are one file": renaming((text) => text.replace(/^(?:con|nul)$/i, "device").replace(/[.:]/g, "_")),
  "records lose their subject": broken((inner) => ({
    create: (key, { version, expiresAt, value }, call) => inner.create(key, { version, expiresAt, value }, call),
  })),
  "no subject is an empty one": broken((inner) => ({
    create: (key, record, call) => inner.create(key, { subject: "", ...record }, call),
    update: (key, record, base, call) => inner.update(key, { subject: "", ...record }, base, call),
  })),
  "ends are kept in seconds": broken((inner) => ({
    create: (key, record, call) => inner.create(key, { ...record, expiresAt: inSeconds(record.expiresAt) }, call),
    touch: (key, expiresAt, call) => inner.touch(key, inSeconds(expiresAt), call),
  })),
  "values have to be JSON": broken((inner) => ({
    create: (key, record, call) =>
      inner.create(key, { ...record, value: JSON.stringify(JSON.parse(record.value)) }, call),
  })),
  "an empty value is no record": broken((inner) => ({
    read(key, call) {
      const found = inner.read(key, call) as StoredRecord | undefined;
      return found?.value === "" ? undefined : found;
    },
  })),
  "given records are stamped": broken((inner) => ({
    create: (key, record, call) => inner.create(key, Object.assign(record, { revision: 1 }), call),
  })),
  "the revision is not looked at": broken((inner) => ({
    read(key, call) {
      const found = inner.read(key, call) as StoredRecord | undefined;
      return found === undefined ? undefined : { ...found, revision: found.version };
    },
  })),
  "delete takes the key for a prefix": broken((inner) => ({
    async delete(key, call) {
      const { records } = await inner.list(key, EVERYTHING, call);
      for (const listed of records) if (listed.key !== key) void inner.delete(listed.key, call);
      return inner.delete(key, call);
    },
  })),
  "nothing works after a call was given up": broken((inner) => {
    let isDown = false;
    return {
      read(key, call) {
        isDown ||= call.signal?.aborted === true;
        if (isDown) throw new Error("down");
        return inner.read(key, call);
      },
    };
  }),
  "name is empty, cached is 1, watch returns nothing": broken(() => ({
    name: "",
    cached: 1 as unknown as boolean,
    watch: () => undefined as unknown as () => void,
  })),
  "a second close is an error": broken(() => {
    let isClosed = false;
    return {
      close() {
        if (isClosed) throw new Error("closed");
        isClosed = true;
      },
    };
  }),
  "listings have everything": broken((inner) => ({
    async *listBySubject(_, call) {
      yield* (await inner.list("", EVERYTHING, call)).records;
    },
    list: (_, page, call) => inner.list("", page, call),
    count: (_, call) => inner.count("", call),
  })),
  "listings have the records as they were created": broken((inner) => {
    const first = new Map<string, StoredRecord>();
    async function* asCreated(listing: AsyncIterable<ListedRecord>): AsyncGenerator<ListedRecord> {
      for await (const { key, record } of listing) yield { key, record: first.get(key) ?? record };
    }
    return {
      create(key, record, call) {
        const created = inner.create(key, record, call);
        if (created === true) first.set(key, { ...record });
        return created;
      },
      listBySubject: (subject, call) => asCreated(inner.listBySubject(subject, call)),
    };
  }),
  "a cursor is a number of records": counting(() => 0),
  "a cursor is a number of records in the order of keys": counting((a, b) => (a.key < b.key ? -1 : 1)),
  "a page is everything": broken((inner) => ({ list: (prefix, _, call) => inner.list(prefix, EVERYTHING, call) })),
  "the first page is the only one": broken((inner) => ({
    list: async (prefix, page, call) => ({ records: (await inner.list(prefix, page, call)).records }),
  })),
  "every page is the first one": broken((inner) => {
    let pages = 0;
    return {
      async list(prefix, { limit }, call) {
        const { records, cursor } = await inner.list(prefix, { limit }, call);
        return ++pages % 30 === 0 ? { records } : { records, cursor };
      },
    };
  }),
  "a cursor is good for one time": broken((inner) => {
    const used = new Set<string>();
    return {
      list(prefix, { cursor = "", limit }, call) {
        const page = inner.list(prefix, used.has(cursor) ? { limit } : { cursor: cursor || undefined, limit }, call);
        if (cursor !== "") used.add(cursor);
        return page;
      },
    };
  }),
  "a cursor is a key as it is": broken((inner) => ({
    async list(prefix, { cursor, limit }, call) {
      const { records } = await inner.list(prefix, EVERYTHING, call);
      const rest = records.toSorted((a, b) => (a.key < b.key ? -1 : 1)).filter(({ key }) => key > (cursor ?? ""));
      const page = rest.slice(0, limit);
      return rest.length > limit ? { records: page, cursor: page.at(-1)?.key } : { records: page };
    },
  })),
  "a cursor brings the prefix that it was given for": broken((inner) => ({
    async list(prefix, { cursor, limit }, call) {
      const [after, of = prefix] = cursor === undefined ? [] : Buffer.from(cursor, "base64url").toString().split("|");
      const page = await inner.list(of, { cursor: after, limit }, call);
      const next = page.cursor === undefined ? undefined : Buffer.from(`${page.cursor}|${of}`).toString("base64url");
      return { records: page.records, cursor: next };
    },
  })),
  "a cursor that is made up is an error": broken((inner) => ({
    list(prefix, page, call) {
      if (page.cursor !== undefined && !/^\d{1,9}$/.test(page.cursor)) throw new Error("no such cursor");
      return inner.list(prefix, page, call);
    },
  })),
  "deleteBySubject knows no exception": broken((inner) => ({
    deleteBySubject: (subject, _, call) => inner.deleteBySubject(subject, {}, call),
  })),
  "deleteBySubject tells of nothing": broken((inner) => ({
    async deleteBySubject(...given) {
      await inner.deleteBySubject(...given);
      return [];
    },
  })),
  "deleteBySubject removes nothing": broken((inner) => ({
    deleteBySubject: (subject, { except }, call) =>
      keysOfSubject(inner, subject, call).then((keys) => keys.filter((key) => key !== except)),
  })),
  "deleteBySubject takes the subject for a prefix": broken((inner) => ({
    async deleteBySubject(subject, { except }, call) {
      const { records } = await inner.list("", EVERYTHING, call);
      const mine = records.filter(({ key, record }) => key !== except && record.subject?.startsWith(subject));
      return mine.map(({ key }) => key).filter((key) => inner.delete(key, call));
    },
  })),
  "deleteBySubject goes by an old index": broken((inner) => {
    const index = new Map<string, string[]>();
    return {
      create(key, record, call) {
        const created = inner.create(key, record, call);
        if (record.subject !== undefined) index.set(record.subject, [...(index.get(record.subject) ?? []), key]);
        return created;
      },
      deleteBySubject: (subject, { except }, call) =>
        (index.get(subject) ?? []).filter((key) => key !== except && inner.delete(key, call)),
    };
  }),
  "deleteBySubject tells of what it has seen, and not of what it removed": broken((inner) => ({
    async deleteBySubject(subject, { except }, call) {
      const keys = (await keysOfSubject(inner, subject, call)).filter((key) => key !== except);
      await pause();
      for (const key of keys) await inner.delete(key, call);
      return keys;
    },
  })),
  "deleteBySubject tells of what is over": broken((inner) => ({
    deleteBySubject: (subject, options, call) => inner.deleteBySubject(subject, options, { ...call, ...forever }),
  })),
  "onExpired tells of nothing": broken(() => ({ onExpired: () => () => undefined })),
  "onExpired knows no end": broken((inner) => ({
    onExpired(listener) {
      inner.onExpired(listener);
      return () => undefined;
    },
  })),
  "onExpired has room for one": broken((inner) => {
    let end = (): void => undefined;
    return {
      onExpired(listener) {
        end();
        return (end = inner.onExpired(listener));
      },
    };
  }),
  "onExpired tells of every record that was deleted": broken((inner) => {
    const all = new Set<(expired: ExpiredRecord) => void>();
    return {
      delete(key, call) {
        for (const listener of all) listener({ key });
        return inner.delete(key, call);
      },
      onExpired(listener) {
        all.add(listener);
        return inner.onExpired(listener);
      },
      deleteExpired(limit, call) {
        for (const listener of all) listener({ key: "" });
        return inner.deleteExpired(limit, call);
      },
    };
  }),
  "onExpired tells of what is about to be over": broken((inner) => {
    const all = new Set<(expired: ExpiredRecord) => void>();
    return {
      onExpired(listener) {
        all.add(listener);
        return () => all.delete(listener);
      },
      async deleteExpired(limit, call) {
        const { records } = await inner.list("", EVERYTHING, forever);
        for (const { key, record } of records) {
          if (record.expiresAt <= call.now) for (const listener of all) listener({ key, subject: record.subject });
        }
        return inner.deleteExpired(limit, call);
      },
    };
  }),
  "onExpired tells of another subject": broken((inner) => ({
    onExpired: (listener) => inner.onExpired(({ key }) => listener({ key, subject: "somebody" })),
  })),
  "watch tells of nothing": watchable({ change: () => {} }),
  "watch never says that it is there": watchable({ restored: () => {} }),
  "watch says at once that it is there": watchable({ restored: (gaps) => gaps?.restored?.() }),
  "watch begins with lost": watchable({ restored: (gaps) => void Promise.resolve().then(() => gaps?.lost?.()) }),
  "watch says that tomorrow is current": watchable({
    restored: (gaps) =>
      void Promise.resolve().then(() => {
        gaps?.restored?.();
        gaps?.current?.(Date.now() + 86_400_000);
      }),
  }),
  "watch tells of no deletion by subject": watchable({
    change: (tell, key, record, base) => void ((record ?? base) && tell(key, record && { version: record.version })),
  }),
  "watch tells of no touch": watchable({
    change: (tell, key, record, base) => void (record?.version !== base?.version && tell(key)),
  }),
  "watch tells the version before": watchable({
    change: (tell, key, record, base) => tell(key, { version: record && base?.version }),
  }),
  "watch tells the version of what was deleted": watchable({
    change: (tell, key, record, base) => tell(key, { version: (record ?? base)?.version }),
  }),
  "watch tells another record": watchable({
    change: (tell, key, record) => tell(key, record && { ...record, record: { ...record, value: "?" } }),
  }),
  "watch knows no end": watchable({
    watch(listeners, listener) {
      listeners.add(listener);
      return () => {};
    },
  }),
  "watch has room for one": watchable({
    watch(listeners, listener) {
      listeners.clear();
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  }),
  "create keeps nothing": broken(() => ({ create: () => true })),
  "an absent record is null": broken((inner) => ({
    read: (key, call) => (inner.read(key, call) ?? null) as StoredRecord | undefined,
  })),
  "not found is an error": broken((inner) => ({
    touch(key, expiresAt, call) {
      if (inner.touch(key, expiresAt, call) === true) return true;
      throw new Error("not found");
    },
  })),
};

/** The cases that watch. */
const WATCHED = [
  "watch: tells of what was changed and deleted, by this process too",
  "watch: tells of every record of a subject that was deleted",
  "watch: tells the version of what was written, if any, and none of a deletion",
  "watch: tells every listener, until it is ended",
];

const MOMENTS = "watch: says of no moment before `restored` or in the future that it is current";

/** The cases that ask every verb for a record that is not there. */
const ABSENT = [
  "create: a record that is over at once does not exist",
  "update replaces the end too, by an earlier one as well",
  "update never creates: gone (or conflict) when nothing was ever there",
  "update: a record that was deleted stays so",
  "update: a record that has expired stays so",
  "touch moves the end of an existing record to a later one",
  "touch: false when there is no record; never creates",
  "touch: a record that was deleted stays so",
  "touch: a record that has expired stays so",
  "delete removes the record; false when there was none",
  "delete removes the record whatever its version",
  "a record with expiresAt <= now does not exist, and a millisecond before it does",
  '"not found" is an answer and no error, for every verb',
  "previousSubject may come with update and delete, and changes no answer",
];

/** Which cases fail for each: these and no others. */
const FAILS: Readonly<Record<string, readonly string[]>> = {
  "update creates what is not there": [
    "deleteBySubject: is final, and of those that remove a record at once one tells",
    ...ABSENT,
    "a record that has ended is kept for five minutes: the clock of another server may be late",
    "between read and update of one writer another one deletes: gone, and nothing comes back",
    "between read and update of one writer another one updates and deletes: gone, and nothing comes back",
    "between read and update of one writer the record expires: gone, and it stays so",
    "delete and update at once, in every order: the record is deleted and stays so",
    "a delete in the middle of increments is final: no increment brings the record back",
    "listBySubject: a refused create or update lists nothing under its subject",
  ],
  "update looks at no version": [
    "version is opaque: it comes back as given, and update compares it for equality",
    "update: conflict when another version is there, and nothing is written",
    "update sent twice is applied once: the second is a conflict and finds its own version",
    "update: a base from before a delete and a new create is a conflict",
    "between read and update of one writer another one updates: conflict, and the other's record stays",
    "between read and update of one writer another one deletes and creates anew: conflict, and the new record stays",
    "between read and update the record expires and another one is created: conflict",
    "200 parallel increments, each a loop of read and update, end at 200",
    "of updates on one base exactly one is ok, and the record is that one's",
    "listBySubject: a refused create or update lists nothing under its subject",
  ],
  "nothing expires": [
    "create: false when the key exists, and nothing is written",
    "create: a key is free again when its record has expired, and nothing of that is left",
    "create: a record that is over at once does not exist",
    "update replaces the end too, by an earlier one as well",
    "update: a record that has expired stays so",
    "touch moves the end of an existing record to a later one",
    "touch: a record that has expired stays so",
    "a record with expiresAt <= now does not exist, and a millisecond before it does",
    "a record that has ended is kept for five minutes: the clock of another server may be late",
    "a cached answer is judged by the time of the call as well",
    "between read and update of one writer the record expires: gone, and it stays so",
    "between read and update the record expires and another one is created: conflict",
    "a race of creates over an expired record has exactly one winner",
    "listBySubject: a record created anew under an old key counts for its new subject only",
  ],
  "an expired record is dropped when it is read": [
    "a record that has ended is kept for five minutes: the clock of another server may be late",
  ],
  "touch shortens": [
    "touch takes the later of the stored and the given end: it never shortens",
    "of touches at once the latest end stays",
  ],
  "touch creates": [
    ...ABSENT,
    "a record that has ended is kept for five minutes: the clock of another server may be late",
    "delete and update at once, in every order: the record is deleted and stays so",
    "deleteExpired: what was removed leaves a free key, and no subject",
  ],
  "touch changes the version": [
    "touch moves the end of an existing record to a later one",
    "touch takes the later of the stored and the given end: it never shortens",
    "touch: the version stays, value and subject too",
    "a signal that is never aborted changes no answer",
    "touch and update at once: both are kept",
  ],
  "create overwrites": [
    "create: false when the key exists, and nothing is written",
    "create: the same record twice is refused like any other",
    "every verb acts on a record in the last millisecond of its life",
    "a race of creates has exactly one winner, and the record is the winner's",
    "a race of creates over an expired record has exactly one winner",
    "a race of creates over a deleted record has exactly one winner",
    "listBySubject: a refused create or update lists nothing under its subject",
  ],
  "create says false and overwrites": [
    "create: false when the key exists, and nothing is written",
    "a race of creates has exactly one winner, and the record is the winner's",
    "a race of creates over an expired record has exactly one winner",
    "a race of creates over a deleted record has exactly one winner",
    "listBySubject: a refused create or update lists nothing under its subject",
  ],
  "delete always says true": [
    "deleteBySubject: is final, and of those that remove a record at once one tells",
    ...ABSENT,
    "of deletes of one record exactly one answers true",
  ],
  "delete needs the version that was read last": [
    "delete removes the record whatever its version",
    "every verb acts on a record in the last millisecond of its life",
    "between read and update of one writer another one updates and deletes: gone, and nothing comes back",
    "delete and update at once, in every order: the record is deleted and stays so",
  ],
  "records are kept and handed out as they are": [
    "a given record that is changed afterwards changes nothing in the store",
    "a record that was handed out and is changed changes nothing in the store",
  ],
  "touch changes the record in place": [
    "a record that was handed out and is changed changes nothing in the store",
    "a store never changes a record that it has handed out",
    "create: false when the key exists, and nothing is written",
    "a race of creates has exactly one winner, and the record is the winner's",
    "a race of creates over an expired record has exactly one winner",
    "a race of creates over a deleted record has exactly one winner",
  ],
  "read and then write, as two steps": [
    "200 parallel increments, each a loop of read and update, end at 200",
    "of updates on one base exactly one is ok, and the record is that one's",
    "delete and update at once, in every order: the record is deleted and stays so",
    "a delete in the middle of increments is final: no increment brings the record back",
  ],
  "versions are compared as numbers": [
    "version is opaque: it comes back as given, and update compares it for equality",
  ],
  "keys are cut at a NUL": [
    "any string is a key, and different ones are kept apart: control characters, NUL among them",
    "list: odd prefixes and keys",
    "count: odd prefixes and keys",
  ],
  "the subject index is not moved": [
    "listBySubject: an update moves a record from one subject to another, or to none",
    "listBySubject: a refused create or update lists nothing under its subject",
    "listBySubject: a record created anew under an old key counts for its new subject only",
  ],
  "deleteExpired does not wait five minutes": [
    "onExpired: nothing of a record that lives, was deleted, or ended just now",
    "deleteExpired: nothing that ended five minutes ago or later",
    "deleteExpired: a record that lives stays, and so does one that was touched or updated",
  ],
  "deleteExpired knows no limit": ["deleteExpired: up to the limit; fewer than the limit means that there are no more"],
  "list takes the prefix for a pattern": ["list: odd prefixes and keys"],
  "keys and subjects are trimmed and lower case": [
    "any string is a key, and different ones are kept apart: capital letters",
    "any string is a key, and different ones are kept apart: spaces at the ends",
    "any string is a key, and different ones are kept apart: name/id shapes",
    "any string is a subject, and different ones are kept apart: names of files that mean something",
    "any string is a subject, and different ones are kept apart: capital letters",
    "any string is a subject, and different ones are kept apart: spaces at the ends",
    "any string is a subject, and different ones are kept apart: quotes and query languages",
    "any string is a subject, and different ones are kept apart: control characters, NUL among them",
    "any string is a subject, and different ones are kept apart: names of objects",
    "any string is a subject, and different ones are kept apart: letters of the world",
    "any string is a subject, and different ones are kept apart: name/id shapes",
    "list: all records whose key begins with the prefix, whole, and no others",
    "list: a prefix that ends in the middle of a name or an id",
    "list: no record that was deleted or has expired",
    "count: how many records have a key that begins with the prefix",
  ],
  "keys and subjects are normalised": [
    "any string is a key, and different ones are kept apart: letters of the world",
    "any string is a subject, and different ones are kept apart: letters of the world",
  ],
  "keys and subjects go through UTF-8": [
    "any string is a key, and different ones are kept apart: halves of surrogate pairs",
    "any string is a subject, and different ones are kept apart: halves of surrogate pairs",
    "list: odd prefixes and keys",
    "count: odd prefixes and keys",
  ],
  "keys and subjects are cut at 255 bytes": [
    "any string is a key, and different ones are kept apart: two thousand characters",
    "any string is a subject, and different ones are kept apart: two thousand characters",
  ],
  "keys and subjects end at a line end": [
    "any string is a key, and different ones are kept apart: spaces at the ends",
    "any string is a key, and different ones are kept apart: control characters, NUL among them",
    "any string is a subject, and different ones are kept apart: spaces at the ends",
    "any string is a subject, and different ones are kept apart: control characters, NUL among them",
    "list: odd prefixes and keys",
    "count: odd prefixes and keys",
  ],
  "keys and subjects lose their quotes": [
    "any string is a key, and different ones are kept apart: quotes and query languages",
    "any string is a subject, and different ones are kept apart: paths (.. and /)",
    "any string is a subject, and different ones are kept apart: quotes and query languages",
    "any string is a subject, and different ones are kept apart: halves of surrogate pairs",
    "list: odd prefixes and keys",
    "count: odd prefixes and keys",
  ],
  "keys and subjects are properties of an object": [
    "any string is a key, and different ones are kept apart: names of objects",
    "any string is a subject, and different ones are kept apart: names of objects",
  ],
  "device names are one file": [
    "any string is a key, and different ones are kept apart: names of files that mean something",
    "any string is a subject, and different ones are kept apart: paths (.. and /)",
    "any string is a subject, and different ones are kept apart: names of files that mean something",
    "any string is a subject, and different ones are kept apart: name/id shapes",
    "list: odd prefixes and keys",
  ],
  "values have to be JSON": [
    "a store does not look into the value: text that is not JSON comes back as it was",
    "between read and update of one writer another one deletes and creates anew: conflict, and the new record stays",
    "any text is a value: one that is empty",
    "any text is a value: one with half of a surrogate pair",
    "any text is a value: one with control characters",
    "any text is a value: one that begins with a control character",
    "any text is a value: one with quotes and backslashes",
    "any text is a value: one with line ends",
  ],
  "an empty value is no record": [
    "a store does not look into the value: text that is not JSON comes back as it was",
    "any text is a value: one that is empty",
  ],
  "given records are stamped": [
    "a store never changes a record that it was given",
    "a store takes records that are frozen",
  ],
  "the revision is not looked at": [
    "revision, where a store has one, is its own token for the same purpose as version",
  ],
  "delete takes the key for a prefix": [
    "delete removes that record and no other",
    "any string is a key, and different ones are kept apart: paths (.. and /)",
    "any string is a key, and different ones are kept apart: spaces at the ends",
    "any string is a key, and different ones are kept apart: quotes and query languages",
    "any string is a key, and different ones are kept apart: control characters, NUL among them",
    "any string is a key, and different ones are kept apart: two thousand characters",
    "any string is a key, and different ones are kept apart: name/id shapes",
    "list: no record that was deleted or has expired",
    "count: how many records have a key that begins with the prefix",
  ],
  "nothing works after a call was given up": [
    "a call whose caller no longer waits may fail, and does the store no harm",
  ],
  "name is empty, cached is 1, watch returns nothing": [
    "a store has a name for messages, or none",
    "cached is true, false or left out",
    "watch: returns what ends it, and ending twice does no harm",
    ...WATCHED,
    MOMENTS,
  ],
  "a second close is an error": ["close: lets go of a store that was never used", "close: a second time does no harm"],
  "a cursor is a number of records": [
    "list: every record, of many, and deletes while it runs",
    "list: every record that is there all the time, whatever others write meanwhile",
    "list: a cursor that is made up, or of another prefix, is no error and shows no other",
  ],
  "a cursor is a number of records in the order of keys": [
    "list: every record, of many, and deletes while it runs",
    "list: every record that is there all the time, whatever others write meanwhile",
    "list: a cursor that is made up, or of another prefix, is no error and shows no other",
  ],
  "a page is everything": [
    "list: page by page, about as many records as were asked for",
    "list: a cursor may be used again, later",
  ],
  "the first page is the only one": [
    "list: every record, of many, and deletes while it runs",
    "list: page by page, about as many records as were asked for",
    "list: every record that is there all the time, whatever others write meanwhile",
    "list: a cursor may be used again, later",
  ],
  "every page is the first one": [
    "list: every record, of many, and deletes while it runs",
    "list: page by page, about as many records as were asked for",
    "list: every record that is there all the time, whatever others write meanwhile",
    "list: a cursor may be used again, later",
  ],
  "a cursor is good for one time": [
    "list: page by page, about as many records as were asked for",
    "list: a cursor may be used again, later",
    "list: a cursor that is made up, or of another prefix, is no error and shows no other",
  ],
  "a cursor is a key as it is": [
    "list: every record, of many, and deletes while it runs",
    "list: page by page, about as many records as were asked for",
    "list: every record that is there all the time, whatever others write meanwhile",
    "list: a cursor may be used again, later",
    "list: a cursor that is made up, or of another prefix, is no error and shows no other",
  ],
  "a cursor brings the prefix that it was given for": [
    "list: a cursor that is made up, or of another prefix, is no error and shows no other",
  ],
  "a cursor that is made up is an error": [
    "list: a cursor that is made up, or of another prefix, is no error and shows no other",
  ],
  "deleteBySubject knows no exception": ["deleteBySubject: not the one under the key that is excepted"],
  "deleteBySubject tells of nothing": [
    "deleteBySubject: all records of a subject and no others; it tells their keys",
    "deleteBySubject: not the one under the key that is excepted",
    "deleteBySubject: not a record that has another subject by now, or none",
    "deleteBySubject: tells of no record that was deleted or has expired",
    "deleteBySubject: is final, and of those that remove a record at once one tells",
  ],
  "deleteBySubject removes nothing": [
    "deleteBySubject: all records of a subject and no others; it tells their keys",
    "deleteBySubject: not the one under the key that is excepted",
    "deleteBySubject: is final, and of those that remove a record at once one tells",
  ],
  "deleteBySubject takes the subject for a prefix": [
    "deleteBySubject: all records of a subject and no others; it tells their keys",
  ],
  "deleteBySubject goes by an old index": ["deleteBySubject: not a record that has another subject by now, or none"],
  "deleteBySubject tells of what it has seen, and not of what it removed": [
    "deleteBySubject: is final, and of those that remove a record at once one tells",
  ],
  "deleteBySubject tells of what is over": ["deleteBySubject: tells of no record that was deleted or has expired"],
  "onExpired tells of nothing": [
    "onExpired: tells of what deleteExpired removes: its key, and whose it was",
    "onExpired: every listener, until it is ended; ending twice does no harm",
  ],
  "onExpired knows no end": ["onExpired: every listener, until it is ended; ending twice does no harm"],
  "onExpired has room for one": ["onExpired: every listener, until it is ended; ending twice does no harm"],
  "onExpired tells of every record that was deleted": [
    "onExpired: nothing of a record that lives, was deleted, or ended just now",
  ],
  "onExpired tells of what is about to be over": [
    "onExpired: nothing of a record that lives, was deleted, or ended just now",
  ],
  "onExpired tells of another subject": ["onExpired: tells of what deleteExpired removes: its key, and whose it was"],
  "watch tells of nothing": WATCHED,
  "watch never says that it is there": [...WATCHED, MOMENTS],
  "watch says at once that it is there": WATCHED,
  "watch begins with lost": [...WATCHED, MOMENTS],
  "watch says that tomorrow is current": [MOMENTS],
  "watch tells of no deletion by subject": ["watch: tells of every record of a subject that was deleted"],
  "watch tells of no touch": WATCHED,
  "watch tells the version before": ["watch: tells the version of what was written, if any, and none of a deletion"],
  "watch tells the version of what was deleted": [
    "watch: tells the version of what was written, if any, and none of a deletion",
    "watch: tells every listener, until it is ended",
  ],
  "watch tells another record": ["watch: tells the version of what was written, if any, and none of a deletion"],
  "watch knows no end": ["watch: tells every listener, until it is ended"],
  "watch has room for one": ["watch: tells every listener, until it is ended"],
  "listings have the records as they were created": ["listBySubject: a touched record with its new end"],
  "not found is an error": [
    ...ABSENT,
    "a record that has ended is kept for five minutes: the clock of another server may be late",
    "delete and update at once, in every order: the record is deleted and stays so",
    "deleteExpired: what was removed leaves a free key, and no subject",
  ],
};

/** Which cases fail for each, and many others with them. */
const FAILS_WITH_OTHERS: Readonly<Record<string, readonly string[]>> = {
  "delete says true and does nothing": [
    "delete removes the record; false when there was none",
    "between read and update of one writer another one deletes: gone, and nothing comes back",
    "of deletes of one record exactly one answers true",
  ],
  "reads come from a cache, fresh or not": [
    "read with fresh comes from where the truth is, past every cache",
    "a cached answer is judged by the time of the call as well",
    "200 parallel increments, each a loop of read and update, end at 200",
  ],
  "keys and subjects are paths": ["any string is a key, and different ones are kept apart: paths (.. and /)"],
  "keys and subjects lose what is before the slash": [
    "any string is a key, and different ones are kept apart: name/id shapes",
    "any string is a subject, and different ones are kept apart: name/id shapes",
  ],
  "records lose their subject": [
    "read gives back what create was given: version, end, subject and value",
    "listBySubject: all records of a subject, whole, and no others",
  ],
  "no subject is an empty one": ["a record without a subject comes back without one"],
  "ends are kept in seconds": ["expiresAt is kept to the millisecond, near and far"],
  "create keeps nothing": ["create keeps a record under a free key"],
  "an absent record is null": ['"not found" is an answer and no error, for every verb'],
  "listings have everything": [
    "listBySubject: all records of a subject, whole, and no others",
    "listBySubject: nothing for a subject without records",
    "list: all records whose key begins with the prefix, whole, and no others",
    "list: a prefix that ends in the middle of a name or an id",
    "count: how many records have a key that begins with the prefix",
  ],
};

/** These two depend on who is faster. */
const SOMETIMES: ReadonlySet<string> = new Set([
  "delete and update at once, in every order: the record is deleted and stays so",
  "a delete in the middle of increments is final: no increment brings the record back",
]);

describe("a store that is broken fails the kit:", () => {
  const failed = new Map<string, readonly string[]>();
  beforeAll(async () => {
    // What is never told is waited for by the kit.
    const { now } = performance;
    const hurry = vi.spyOn(performance, "now").mockImplementation(() => now.call(performance) * 100);
    const all = Object.entries(BROKEN).map(async ([name, make]) => failed.set(name, await failures(make)));
    await Promise.all(all);
    hurry.mockRestore();
  });

  test.each(Object.entries(FAILS))("%s: these cases fail", (name, expected) => {
    const surely = (names: readonly string[]): readonly string[] => names.filter((found) => !SOMETIMES.has(found));
    expect(surely(failed.get(name)!).toSorted()).toEqual(surely(expected).toSorted());
  });

  test.each(Object.entries(FAILS_WITH_OTHERS))("%s: these cases fail, and others", (name, expected) => {
    expect(failed.get(name)).toEqual(expect.arrayContaining([...expected]));
  });

  test("there is no case that every one of them passes", () => {
    const names = new Set([...failed.values()].flat());
    expect(storeCases.map(({ name }) => name).filter((name) => !names.has(name))).toEqual([]);
  });
});

describe("a store that is sound passes the kit:", () => {
  test("one that answers by promises, in any order", async () => {
    expect(await failures(() => delayed(memoryStore({ sweepInterval: false })))).toEqual([]);
  });

  test.each<[string, Telling["change"]]>([
    ["keys", (tell, key) => tell(key)],
    ["keys and versions", (tell, key, record) => tell(key, record && { version: record.version })],
    ["records", (tell, key, record) => tell(key, record && { version: record.version, record })],
  ])("one that tells of %s", async (_, change) => {
    expect(await failures(watchable({ change }))).toEqual([]);
  });

  test("one with the five verbs only", async () => {
    const five = (): SessionStore => {
      const { create, read, update, touch, delete: remove } = memoryStore({ sweepInterval: false });
      return { create, read, update, touch, delete: remove };
    };
    expect(await failures(five)).toEqual([]);
  });

  test("one whose touch makes an update conflict that began before it", async () => {
    expect(await failures(() => revised(memoryStore({ sweepInterval: false })))).toEqual([]);
  });

  test("one that cannot tell gone from conflict", async () => {
    const make = broken((inner) => ({
      async update(key, record, base, call) {
        return (await inner.update(key, record, base, call)) === "ok" ? "ok" : "conflict";
      },
    }));
    expect(await failures(make)).toEqual([]);
  });

  test("one that all the cases share, with records of others in it", async () => {
    const store = memoryStore({ sweepInterval: false });
    const other = { version: "1", expiresAt: Date.now() + 1_000, value: "" };
    store.create("other", other, { now: Date.now() });
    expect(await failures(() => ({ ...store, close: () => undefined }))).toEqual([]);
    expect(store.read("other", { now: other.expiresAt - 1 })).toEqual(other);
  });
});

describe("the kit", () => {
  test("names no case twice", () => {
    const names = storeCases.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  test("names the capability that a case is about first", () => {
    for (const { name, capability } of storeCases) {
      if (capability !== undefined) expect(name.startsWith(`${capability}: `)).toBe(true);
    }
  });

  test("closes every store that it was given, after a failure as well", async () => {
    let open = 0;
    const counted = (make: () => SessionStore) => (): SessionStore => {
      open++;
      return { ...make(), close: () => void open-- };
    };
    await failures(counted(BROKEN["update looks at no version"]!));
    expect(open).toBeLessThanOrEqual(0);
  });

  test("says what was expected", async () => {
    const { run } = storeCases.find(({ name }) => name.startsWith("touch takes the later"))!;
    await expect(run(BROKEN["touch shortens"]!)).rejects.toThrow(/^after touch: expiresAt: expected \d+, got \d+$/);
  });
});

/** Answers each call some turns later. */
function delayed(inner: Verbs): SessionStore {
  const later = async <T>(act: () => MaybePromise<T>): Promise<T> => {
    await pause(Math.floor(Math.random() * 2));
    const answer = await act();
    if (Math.random() < 0.2) await pause();
    return answer;
  };
  return {
    ...inner,
    create: (...given) => later(() => inner.create(...given)),
    read: (...given) => later(() => inner.read(...given)),
    update: (...given) => later(() => inner.update(...given)),
    touch: (...given) => later(() => inner.touch(...given)),
    delete: (...given) => later(() => inner.delete(...given)),
  };
}

/** Has revisions, as NATS has, which every write changes, a touch too. */
function revised(inner: Verbs): SessionStore {
  let last = 0;
  const revisions = new Map<string, number>();
  const write = <T>(key: string, answer: T, done: T): T => {
    if (answer === done) revisions.set(key, ++last);
    return answer;
  };
  const withRevision = (key: string, found: StoredRecord | undefined): StoredRecord | undefined =>
    found === undefined ? undefined : { ...found, revision: revisions.get(key) };
  return {
    create: (key, record, call) => write(key, inner.create(key, record, call), true),
    read: (key, call) => withRevision(key, inner.read(key, call) as StoredRecord | undefined),
    update(key, record, base, call) {
      const isStale = inner.read(key, call) !== undefined && base.revision !== revisions.get(key);
      return isStale ? "conflict" : write(key, inner.update(key, record, base, call), "ok");
    },
    touch: (key, expiresAt, call) => write(key, inner.touch(key, expiresAt, call), true),
    delete: (key, call) => inner.delete(key, call),
  };
}
