/**
 * The store contract: what a watcher is told.
 *
 * @module
 */
import { type ListedRecord, type StoreChange, type StoredRecord, WATCH_SILENCE } from "../store/store.ts";
import { type Capable, capabilityCase, equal, pause, sameRecord, type StoreCase } from "./store-kit.ts";

/** Somebody who watches, and what was told. */
interface Ear {
  readonly changes: { readonly key: string; readonly change: StoreChange | undefined }[];
  /** `restored` and `lost`, in order. */
  readonly gaps: readonly string[];
  /** Waits until a key is told of with what `isIt` is true of, and forgets all up to then. */
  hears(what: string, key: string, isIt?: (change: StoreChange | undefined) => boolean): Promise<void>;
  end(): void;
}

/** Watches, from `restored` on. */
async function watching(store: Capable<"watch">): Promise<Ear> {
  const changes: Ear["changes"] = [];
  const gaps: string[] = [];
  const end = store.watch((key, change) => void changes.push({ key, change }), {
    restored: () => void gaps.push("restored"),
    lost: () => void gaps.push("lost"),
  });
  equal(changes.length + gaps.length, 0, "what was told before watch had returned");
  await until("restored", () => gaps.length > 0);
  equal(gaps[0], "restored", "the first that is told");
  return {
    changes,
    gaps,
    end,
    async hears(what, key, isIt = () => true) {
      const isHeard = (): boolean => changes.some((told) => told.key === key && isIt(told.change));
      await until(what, isHeard);
      changes.length = 0;
    },
  };
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const end = performance.now() + WATCH_SILENCE;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`watch: not told within ${WATCH_SILENCE / 1000} seconds: ${what}`);
    await pause();
  }
}

/** Whether it may be told of what was written; of a deletion, if that is undefined. */
function tellsOf(written: StoredRecord | undefined): (change: StoreChange | undefined) => boolean {
  return (change) => {
    if (written === undefined) return change?.version === undefined && change?.record === undefined;
    if (change?.version !== undefined && change.version !== written.version) return false;
    if (change?.record !== undefined) sameRecord(change.record, written, "the record that is told");
    return true;
  };
}

/** Cases about `watch`. */
export const watchCases: readonly StoreCase[] = [
  capabilityCase("watch", "returns what ends it, and ending twice does no harm", async (b, store) => {
    const end = store.watch(() => undefined);
    equal(typeof end, "function", "what watch returns");
    await b.stored();
    end();
    end();
  }),

  capabilityCase("watch", "tells of what was changed and deleted, by this process too", async (b, store) => {
    const { key, record } = await b.stored();
    const { key: other } = await b.stored();
    const ear = await watching(store);
    equal(await b.update(key, b.record(), record), "ok", "update");
    await ear.hears("an update", key);
    await b.touch(other, b.now + 90_000);
    await ear.hears("a touch", other);
    await b.delete(key);
    await ear.hears("a deletion", key);
    ear.end();
  }),

  capabilityCase("watch", "tells of every record of a subject that was deleted", async (b, store) => {
    if (store.deleteBySubject === undefined) return;
    const subject = b.unique();
    const made = [await b.stored({ subject }), await b.stored({ subject })];
    const ear = await watching(store);
    await store.deleteBySubject(subject, {}, { now: b.now });
    const isTold = ({ key }: ListedRecord): boolean => ear.changes.some((told) => told.key === key);
    await until("all deletions", () => made.every(isTold));
    ear.end();
  }),

  capabilityCase("watch", "tells the version of what was written, if any, and none of a deletion", async (b, store) => {
    const { key, record } = await b.stored({ subject: b.unique() });
    const ear = await watching(store);
    const isAll = (written: StoredRecord) => (change: StoreChange | undefined) => {
      equal(tellsOf(written)(change), true, "whether the version is that of what was written");
      return true;
    };
    const next = b.record({ subject: b.unique() });
    equal(await b.update(key, next, await b.existing(key), { previousSubject: record.subject }), "ok", "update");
    await ear.hears("an update", key, isAll(next));
    await b.touch(key, b.now + 90_000);
    await ear.hears("a touch", key, isAll({ ...next, expiresAt: b.now + 90_000 }));
    await b.delete(key);
    await ear.hears("a deletion without a version", key, tellsOf(undefined));
    ear.end();
  }),

  capabilityCase(
    "watch",
    "says of no moment before `restored` or in the future that it is current",
    async (b, store) => {
      const began = Date.now();
      const moments: number[] = [];
      let isUp = false;
      const end = store.watch(() => undefined, {
        restored: () => void (isUp = true),
        lost: () => void (isUp = false),
        current(askedAt) {
          equal(isUp, true, "whether `current` is told after `restored` and before `lost`");
          moments.push(askedAt);
        },
      });
      await until("restored", () => isUp);
      await b.stored();
      await pause(20);
      end();
      const isSound = (askedAt: number): boolean => askedAt >= began && askedAt <= Date.now();
      equal(moments.every(isSound), true, "whether `current` tells of a moment since `watch` was called");
    },
  ),

  capabilityCase("watch", "tells every listener, until it is ended", async (b, store) => {
    const { key } = await b.stored();
    const [first, second] = [await watching(store), await watching(store)];
    await b.touch(key, b.now + 90_000);
    await first.hears("the first listener", key);
    await second.hears("the second listener", key);
    first.end();
    const { length } = first.gaps;
    first.changes.length = 0;
    await b.delete(key);
    await second.hears("a deletion", key, tellsOf(undefined));
    second.end();
    equal(first.changes.length + first.gaps.length, length, "what the one was told that was ended");
  }),
];
