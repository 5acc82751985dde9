/**
 * The store contract: the optional members.
 *
 * @module
 */
import { EXPIRED_FOR, type StoredRecord } from "../store/store.ts";
import {
  type Bench,
  capabilityCase,
  collected,
  equal,
  keysOf,
  sameRecord,
  sameTexts,
  type StoreCase,
} from "./store-kit.ts";

const bySubject: readonly StoreCase[] = [
  capabilityCase("listBySubject", "all records of a subject, whole, and no others", async (b, store) => {
    const [mine, other] = [b.unique("mine"), b.unique("other")];
    const expected = [await b.stored({ subject: mine }), await b.stored({ subject: mine })];
    for (const subject of [other, `${mine}x`, mine.slice(0, -1)]) await b.stored({ subject });
    await b.stored();
    const listed = await collected(store.listBySubject(mine, { now: b.now }));
    sameTexts(keys(listed), keys(expected), "keys");
    for (const { key, record } of expected) {
      sameRecord(listed.find((found) => found.key === key)?.record, record, "a listed record");
    }
  }),

  capabilityCase("listBySubject", "nothing for a subject without records", async (b, store) => {
    await b.stored({ subject: b.unique() });
    await b.stored();
    sameTexts(await keysOf(store.listBySubject(b.unique(), { now: b.now })), [], "keys");
  }),

  capabilityCase(
    "listBySubject",
    "an update moves a record from one subject to another, or to none",
    async (b, store) => {
      const [first, second] = [b.unique("first"), b.unique("second")];
      const { key } = await b.stored({ subject: first });
      const move = async (from: string | undefined, to: string | undefined): Promise<void> => {
        const next = b.record(to === undefined ? {} : { subject: to });
        equal(await b.update(key, next, await b.existing(key), { previousSubject: from }), "ok", "update");
        for (const subject of [first, second]) {
          const found = await keysOf(store.listBySubject(subject, { now: b.now }));
          sameTexts(found, subject === to ? [key] : [], "keys of a subject");
        }
      };
      await move(first, second);
      await move(second, undefined);
      await move(undefined, first);
      await move(first, first);
    },
  ),

  capabilityCase("listBySubject", "a refused create or update lists nothing under its subject", async (b, store) => {
    const [mine, other] = [b.unique("mine"), b.unique("other")];
    const { key } = await b.stored({ subject: mine });
    const base = await b.existing(key);
    await b.create(key, b.record({ subject: other }));
    await b.update(key, b.record({ subject: other }), b.record(), { previousSubject: mine });
    await b.update(b.unique("/id"), b.record({ subject: other }), base, { previousSubject: mine });
    sameTexts(await keysOf(store.listBySubject(other, { now: b.now })), [], "keys of the refused subject");
    sameTexts(await keysOf(store.listBySubject(mine, { now: b.now })), [key], "keys of the subject that stays");
  }),

  capabilityCase("listBySubject", "no record that was deleted or has expired", async (b, store) => {
    const subject = b.unique();
    const { key: deleted } = await b.stored({ subject });
    await b.stored({ subject, expiresAt: b.now + 1_000 });
    const { key: kept } = await b.stored({ subject });
    await b.delete(deleted, { previousSubject: subject });
    sameTexts(await keysOf(store.listBySubject(subject, { now: b.now + 1_000 })), [kept], "keys");
  }),

  capabilityCase("listBySubject", "a touched record with its new end", async (b, store) => {
    const subject = b.unique();
    const { key, record } = await b.stored({ subject });
    await b.touch(key, b.now + 120_000);
    const listed = await collected(store.listBySubject(subject, { now: record.expiresAt }));
    equal(listed[0]?.record.expiresAt, b.now + 120_000, "expiresAt");
  }),

  capabilityCase(
    "listBySubject",
    "a record created anew under an old key counts for its new subject only",
    async (b, store) => {
      const [first, second] = [b.unique("first"), b.unique("second")];
      const { key } = await b.stored({ subject: first, expiresAt: b.now + 1_000 });
      const now = b.now + 1_000;
      equal(await b.create(key, b.record({ subject: second }), { now }), true, "create after the end");
      sameTexts(await keysOf(store.listBySubject(first, { now })), [], "keys of the first subject");
      sameTexts(await keysOf(store.listBySubject(second, { now })), [key], "keys of the second subject");
    },
  ),

  capabilityCase("listBySubject", "many records of one subject, and deletes while it runs", async (b, store) => {
    const subject = b.unique();
    const made = [];
    for (let i = 0; i < 40; i++) made.push((await b.stored({ subject })).key);
    sameTexts(await keysOf(store.listBySubject(subject, { now: b.now })), made, "keys");
    for await (const { key } of store.listBySubject(subject, { now: b.now })) await b.delete(key);
    sameTexts(await keysOf(store.listBySubject(subject, { now: b.now })), [], "keys after all were deleted");
  }),
];

const listing: readonly StoreCase[] = [
  capabilityCase("list", "all records whose key begins with the prefix, whole, and no others", async (b, store) => {
    const expected = await family(b);
    const listed = await collected(store.list(expected.prefix, { now: b.now }));
    sameTexts(keys(listed), expected.keys, "keys");
    for (const { key, record } of listed) sameRecord(record, await b.existing(key), "a listed record");
  }),

  capabilityCase("list", "a prefix that ends in the middle of a name or an id", async (b, store) => {
    const { prefix, keys: made } = await family(b);
    const found = async (text: string) => keysOf(store.list(text, { now: b.now }));
    sameTexts(
      (await found(prefix.slice(0, -1))).filter((key) => made.includes(key)),
      made,
      "with a shorter prefix",
    );
    for (const key of made) {
      const expected = made.filter((other) => other.startsWith(key));
      sameTexts(await found(key), expected, "with a whole key as prefix");
    }
    const all = await found("");
    sameTexts(
      made.filter((key) => all.includes(key)),
      made,
      "with an empty prefix",
    );
  }),

  capabilityCase("list", "odd prefixes and keys", async (b, store) => {
    for (const odd of ["%", "_", "*", "[a-z]", "'", "\\", "..", "\u{10ffff}", "é", "\0", "\ud800", "__proto__"]) {
      const prefix = b.unique(`/${odd}`);
      const made = [prefix, `${prefix}a`, `${prefix}\u{10ffff}z`, `${prefix}\0`, `${prefix}\udc01`];
      for (const key of made) await b.create(key, b.record());
      await b.create(prefix.replace(odd, "Q"), b.record());
      sameTexts(await keysOf(store.list(prefix, { now: b.now })), made, `keys with ${JSON.stringify(odd)}`);
    }
  }),

  capabilityCase("list", "every record once, of many, and deletes while it runs", async (b, store) => {
    const prefix = b.unique("/");
    const made = Array.from({ length: 60 }, (_, i) => `${prefix}${i}`);
    for (const key of made) await b.create(key, b.record());
    sameTexts(await keysOf(store.list(prefix, { now: b.now })), made, "keys");
    for await (const { key } of store.list(prefix, { now: b.now })) await b.delete(key);
    sameTexts(await keysOf(store.list(prefix, { now: b.now })), [], "keys after all were deleted");
  }),

  capabilityCase("list", "no record that was deleted or has expired", async (b, store) => {
    const { prefix, keys: made } = await family(b);
    await b.delete(made[0]!);
    const short = `${prefix}short`;
    await b.create(short, b.record({ expiresAt: b.now + 1_000 }));
    sameTexts(await keysOf(store.list(prefix, { now: b.now + 1_000 })), made.slice(1), "keys");
    equal((await keysOf(store.list(prefix, { now: b.now }))).includes(short), true, "the short one is listed before");
  }),

  capabilityCase("count", "how many records have a key that begins with the prefix", async (b, store) => {
    const { prefix, keys: made } = await family(b);
    equal(await store.count(prefix, { now: b.now }), made.length, "count");
    equal(await store.count(`${prefix}nothing`, { now: b.now }), 0, "count of nothing");
    await b.delete(made[0]!);
    await b.create(`${prefix}short`, b.record({ expiresAt: b.now + 1_000 }));
    equal(await store.count(prefix, { now: b.now }), made.length, "count after a delete and a create");
    equal(await store.count(prefix, { now: b.now + 1_000 }), made.length - 1, "count after an end");
  }),

  capabilityCase("count", "odd prefixes and keys", async (b, store) => {
    for (const odd of ["%", "_", "'", "\0", "\ud800", "\u{10ffff}"]) {
      const prefix = b.unique(`/${odd}`);
      for (const key of [prefix, `${prefix}a`, `${prefix}\udc01`]) await b.create(key, b.record());
      await b.create(prefix.replace(odd, "Q"), b.record());
      equal(await store.count(prefix, { now: b.now }), 3, `count with ${JSON.stringify(odd)}`);
    }
  }),
];

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

const expired: readonly StoreCase[] = [
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

const life: readonly StoreCase[] = [
  capabilityCase("watch", "returns what ends it, and ending twice does no harm", async (b, store) => {
    const end = store.watch(() => undefined);
    equal(typeof end, "function", "what watch returns");
    await b.stored();
    end();
    end();
  }),

  capabilityCase("close", "lets go of a store that was never used", async (_, store) => {
    await store.close();
  }),

  capabilityCase("close", "a second time does no harm", async (b, store) => {
    await b.stored();
    await store.close();
    await store.close();
  }),
];

/** A prefix, keys that begin with it, and other keys that nearly do. */
async function family(b: Bench): Promise<{ readonly prefix: string; readonly keys: readonly string[] }> {
  const name = b.unique("name");
  const prefix = `${name}/`;
  const made = [`${prefix}1`, `${prefix}2`, `${prefix}10`, `${prefix}a/b`, prefix];
  for (const key of [...made, name, `${name}x/1`, `x${prefix}1`, `${name.toUpperCase()}/1`]) {
    equal(await b.create(key, b.record()), true, "create");
  }
  return { prefix, keys: made };
}

function keys(listed: readonly { readonly key: string }[]): readonly string[] {
  return listed.map(({ key }) => key);
}

/** Cases about the optional members; a store that has not got one passes its cases. */
export const capabilityCases: readonly StoreCase[] = [...bySubject, ...listing, ...expired, ...life];
