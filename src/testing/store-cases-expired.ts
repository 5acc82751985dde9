/**
 * The store contract: what becomes of records that have ended.
 *
 * @module
 */
import type { MaybePromise } from "../internal/maybe-promise.ts";
import { EXPIRED_FOR, type ExpiredRecord, type SessionStore, type StoredRecord } from "../store/store.ts";
import {
  type Bench,
  type Capable,
  capabilityCase,
  equal,
  keysIn,
  keysOf,
  oneOf,
  sameRecord,
  sameTexts,
  type StoreCase,
} from "./store-kit.ts";

/** Long ago, so that these cases remove nothing that anybody still needs. */
const THEN = Date.UTC(2001, 0, 1);
const END = THEN + 10_000;
const then = { now: THEN };
const DUE = { now: END + EXPIRED_FOR + 1 };

/** Creates `count` records that end at `END`. */
async function ending(b: Bench, count: number, fields: Partial<StoredRecord> = {}): Promise<readonly string[]> {
  const made = Array.from({ length: count }, () => b.unique("name/id"));
  for (const key of made) equal(await b.create(key, b.record({ expiresAt: END, ...fields }), then), true, "create");
  return made;
}

/** How many of the records a server with a late clock still sees. */
async function left(b: Bench, made: readonly string[]): Promise<number> {
  let found = 0;
  for (const key of made) if ((await b.read(key, then)) !== undefined) found++;
  return found;
}

const removal: readonly StoreCase[] = [
  capabilityCase("deleteExpired", "nothing that ended five minutes ago or later", async (b, store) => {
    const made = await ending(b, 3);
    for (const now of [THEN, END, END + EXPIRED_FOR]) {
      await store.deleteExpired(1_000, { now });
      equal(await left(b, made), 3, "records left");
    }
  }),

  capabilityCase("deleteExpired", "everything that ended more than five minutes ago", async (b, store) => {
    const made = await ending(b, 3);
    equal((await store.deleteExpired(1_000, DUE)) >= 3, true, "it tells of at least the three");
    equal(await left(b, made), 0, "records left");
    equal(await store.deleteExpired(1_000, DUE), 0, "what it tells of the second time");
  }),

  capabilityCase(
    "deleteExpired",
    "up to the limit; fewer than the limit means that there are no more",
    async (b, store) => {
      const made = await ending(b, 7);
      for (let calls = 1; ; calls++) {
        const before = await left(b, made);
        const removed = await store.deleteExpired(2, DUE);
        equal(removed <= 2, true, "at most two at a time");
        equal(before - (await left(b, made)) <= removed, true, "no more were removed than it tells of");
        if (removed < 2) break;
        if (calls > 10_000) throw new Error("deleteExpired: always as many as the limit");
      }
      equal(await left(b, made), 0, "records left");
    },
  ),

  capabilityCase(
    "deleteExpired",
    "a record that lives stays, and so does one that was touched or updated",
    async (b, store) => {
      const [lives, touched, updated] = await ending(b, 3);
      const end = DUE.now + 60_000;
      const next = b.record({ expiresAt: end });
      await b.touch(lives!, END + 1, then);
      await b.touch(touched!, end, then);
      await b.update(updated!, next, await b.existing(updated!, then), then);
      await store.deleteExpired(1_000, DUE);
      equal(await left(b, [lives!]), 1, "records left that ended five minutes ago");
      equal((await b.existing(touched!, DUE)).expiresAt, end, "expiresAt of the touched record");
      sameRecord(await b.read(updated!, DUE), next, "the updated record");
    },
  ),

  capabilityCase("deleteExpired", "what was removed leaves a free key, and no subject", async (b, store) => {
    const subject = b.unique();
    const [key] = await ending(b, 1, { subject });
    await store.deleteExpired(1_000, DUE);
    equal(await b.touch(key!, END + 60_000, then), false, "touch, by a clock that is late");
    if (store.listBySubject !== undefined) {
      sameTexts(await keysOf(store.listBySubject(subject, then)), [], "keys of the subject");
    }
    const next = b.record();
    equal(await b.create(key!, next), true, "create");
    sameRecord(await b.read(key!), next, "after create");
  }),
];

/** Asks to be told of a few records, lets `act` happen, and returns what was told of them. */
async function told(
  store: Capable<"onExpired">,
  made: readonly string[],
  act: () => MaybePromise<unknown>,
): Promise<readonly ExpiredRecord[]> {
  const all: ExpiredRecord[] = [];
  const end = store.onExpired((expired) => void all.push(expired));
  try {
    await act();
  } finally {
    end();
  }
  return all.filter(({ key }) => made.includes(key));
}

/** Removes what is due, whoever else is at it. */
async function sweep(store: SessionStore): Promise<void> {
  for (let calls = 0; calls < 3; calls++) await store.deleteExpired?.(1_000, DUE);
}

const telling: readonly StoreCase[] = [
  capabilityCase("onExpired", "tells of what deleteExpired removes: its key, and whose it was", async (b, store) => {
    if (store.deleteExpired === undefined) return;
    const subject = b.unique();
    const [alone, ...others] = [...(await ending(b, 1)), ...(await ending(b, 3, { subject }))];
    const found = await told(store, [alone!, ...others], () => sweep(store));
    sameTexts([...new Set(keysIn(found))], [alone!, ...others], "keys that it told of");
    for (const expired of found) {
      oneOf(expired.subject, [undefined, expired.key === alone ? undefined : subject], "subject");
    }
    equal(await left(b, [alone!, ...others]), 0, "records left");
  }),

  capabilityCase("onExpired", "nothing of a record that lives, was deleted, or ended just now", async (b, store) => {
    if (store.deleteExpired === undefined) return;
    const [deleted, touched, updated] = await ending(b, 3);
    const { key: lives } = await b.stored();
    const just = await ending(b, 1, { expiresAt: DUE.now - EXPIRED_FOR });
    const found = await told(store, [deleted!, touched!, updated!, lives, ...just], async () => {
      await b.delete(deleted!, then);
      await b.touch(touched!, DUE.now + 60_000, then);
      await b.update(updated!, b.record(), await b.existing(updated!, then), then);
      await sweep(store);
    });
    sameTexts(keysIn(found), [], "keys that it told of");
  }),

  capabilityCase("onExpired", "every listener, until it is ended; ending twice does no harm", async (b, store) => {
    if (store.deleteExpired === undefined) return;
    const made = await ending(b, 2);
    const heard: [string[], string[], string[]] = [[], [], []];
    const ends = heard.map((keys) => store.onExpired(({ key }) => void (made.includes(key) && keys.push(key))));
    ends[0]!();
    ends[0]!();
    await sweep(store);
    for (const end of ends) end();
    sameTexts(heard[0], [], "keys that the one was told of that had ended");
    for (const keys of heard.slice(1)) sameTexts([...new Set(keys)], made, "keys that another one was told of");
  }),
];

/** Cases about `deleteExpired` and `onExpired`. */
export const expiredCases: readonly StoreCase[] = [...removal, ...telling];
