/**
 * The store contract: the optional members.
 *
 * @module
 */
import { expiredCases } from "./store-cases-expired.ts";
import { listingCases } from "./store-cases-listing.ts";
import { watchCases } from "./store-cases-watch.ts";
import {
  capabilityCase,
  collected,
  equal,
  keysIn,
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
    sameTexts(keysIn(listed), keysIn(expected), "keys");
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

const endings: readonly StoreCase[] = [
  capabilityCase("deleteBySubject", "all records of a subject and no others; it tells their keys", async (b, store) => {
    const [subject, other] = [b.unique("mine"), b.unique("other")];
    const mine = [await b.stored({ subject }), await b.stored({ subject }), await b.stored({ subject })];
    const rest = [await b.stored({ subject: other }), await b.stored({ subject: `${subject}x` }), await b.stored()];
    sameTexts(await store.deleteBySubject(subject, {}, { now: b.now }), keysIn(mine), "keys that it tells of");
    for (const { key } of mine) equal(await b.read(key), undefined, "read of a record of the subject");
    for (const { key, record } of rest) sameRecord(await b.read(key), record, "a record of somebody else");
    sameTexts(await store.deleteBySubject(subject, {}, { now: b.now }), [], "keys the second time");
    sameTexts(await store.deleteBySubject(b.unique(), {}, { now: b.now }), [], "keys of a subject without records");
  }),

  capabilityCase("deleteBySubject", "not the one under the key that is excepted", async (b, store) => {
    const subject = b.unique();
    const [gone, kept] = [await b.stored({ subject }), await b.stored({ subject })];
    const { key: foreign } = await b.stored({ subject: b.unique() });
    sameTexts(await store.deleteBySubject(subject, { except: kept.key }, { now: b.now }), [gone.key], "keys");
    sameRecord(await b.read(kept.key), kept.record, "the excepted record");
    if (store.listBySubject !== undefined) {
      sameTexts(await keysOf(store.listBySubject(subject, { now: b.now })), [kept.key], "keys of the subject");
    }
    sameTexts(await store.deleteBySubject(subject, { except: foreign }, { now: b.now }), [kept.key], "keys");
  }),

  capabilityCase("deleteBySubject", "not a record that has another subject by now, or none", async (b, store) => {
    const [first, second] = [b.unique("first"), b.unique("second")];
    const moved = [await b.stored({ subject: first }), await b.stored({ subject: first })];
    const { key: stays } = await b.stored({ subject: first });
    for (const [i, { key }] of moved.entries()) {
      const next = b.record(i === 0 ? { subject: second } : {});
      equal(await b.update(key, next, await b.existing(key), { previousSubject: first }), "ok", "update");
    }
    sameTexts(await store.deleteBySubject(first, {}, { now: b.now }), [stays], "keys that it tells of");
    for (const { key } of moved) await b.existing(key);
    sameTexts(await store.deleteBySubject(second, {}, { now: b.now }), [moved[0]!.key], "keys of the second subject");
  }),

  capabilityCase("deleteBySubject", "tells of no record that was deleted or has expired", async (b, store) => {
    const subject = b.unique();
    const { key: deleted } = await b.stored({ subject });
    await b.stored({ subject, expiresAt: b.now + 1_000 });
    const { key: kept } = await b.stored({ subject });
    await b.delete(deleted, { previousSubject: subject });
    sameTexts(await store.deleteBySubject(subject, {}, { now: b.now + 1_000 }), [kept], "keys");
  }),

  capabilityCase(
    "deleteBySubject",
    "is final, and of those that remove a record at once one tells",
    async (b, store) => {
      const subject = b.unique();
      const made = await Promise.all(Array.from({ length: 12 }, () => b.stored({ subject })));
      const bases = await Promise.all(made.map(({ key }) => b.existing(key)));
      const removals = Array.from({ length: 3 }, async () => store.deleteBySubject(subject, {}, { now: b.now }));
      const deletes = made.slice(0, 4).map(async ({ key }) => ((await b.delete(key)) ? [key] : []));
      const updates = made.map(({ key }, i) => b.update(key, b.record({ subject }), bases[i]!));
      const tolds = await Promise.all([...removals, ...deletes]);
      await Promise.all(updates);
      sameTexts(tolds.flat(), keysIn(made), "keys, each told once");
      for (const { key } of made) equal(await b.read(key), undefined, "read at the end");
    },
  ),
];

const life: readonly StoreCase[] = [
  capabilityCase("close", "lets go of a store that was never used", async (_, store) => {
    await store.close();
  }),

  capabilityCase("close", "a second time does no harm", async (b, store) => {
    await b.stored();
    await store.close();
    await store.close();
  }),
];

/** Cases about the optional members; a store that has not got one passes its cases. */
export const capabilityCases: readonly StoreCase[] = [
  ...bySubject,
  ...endings,
  ...listingCases,
  ...expiredCases,
  ...watchCases,
  ...life,
];
