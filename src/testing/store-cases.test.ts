import { describe, expect, test } from "vitest";
import type { MaybePromise } from "../internal/maybe-promise.ts";
import { memoryStore } from "../store/memory.ts";
import type { SessionStore, StoredRecord } from "../store/store.ts";
import { storeCases } from "./store-cases.ts";
import { pause } from "./store-kit.ts";

type Verbs = Required<Omit<SessionStore, "watch">>;

/** A memory store with some members replaced. `inner` is the sound one. */
function broken(replace: (inner: Verbs) => Partial<SessionStore>): () => SessionStore {
  return () => {
    const inner = memoryStore({ sweepInterval: false });
    return { ...inner, ...replace(inner) };
  };
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

const forever = { now: -Infinity };

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
  "touch changes the record in place": (() => {
    const records = new Map<string, StoredRecord>();
    return broken((inner) => ({
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
    }));
  })(),
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
    async *list(prefix, call) {
      const pattern = new RegExp(`^${prefix.replaceAll(/[$()*+.?[\\\]^{|}]/g, "\\$&").replaceAll(/[%_]/g, ".")}`, "su");
      for await (const listed of inner.list("", call)) if (pattern.test(listed.key)) yield listed;
    },
  })),
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

describe("tmp", () => {
  for (const [name, make] of Object.entries(BROKEN)) {
    test(name, async () => {
      (await import("node:fs")).appendFileSync("/tmp/b/broken.txt", JSON.stringify({ [name]: await failures(make) })+"\n");
    });
  }
});
