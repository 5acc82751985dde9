/**
 * The store contract: the verbs, one at a time.
 *
 * @module
 */
import { EXPIRED_FOR } from "../store/store.ts";
import { type Bench, equal, oneOf, sameRecord, type StoreCase, storeCase } from "./store-kit.ts";

const NOTHING = ["gone", "conflict"] as const;

/** Asserts that no verb finds a record. Creates none. */
async function absent(b: Bench, key: string, when: string, now: number = b.now): Promise<void> {
  equal(await b.read(key, { now }), undefined, `read ${when}`);
  equal(await b.touch(key, now + 60_000, { now }), false, `touch ${when}`);
  oneOf(await b.update(key, b.record({ expiresAt: now + 60_000 }), b.record(), { now }), NOTHING, `update ${when}`);
  equal(await b.delete(key, { now }), false, `delete ${when}`);
  equal(await b.read(key, { now }), undefined, `read ${when}, after touch and update`);
}

const create: readonly StoreCase[] = [
  storeCase("create keeps a record under a free key", async (b) => {
    const { key, record } = await b.stored();
    sameRecord(await b.read(key), record, "after create");
  }),

  storeCase("create: false when the key exists, and nothing is written", async (b) => {
    const { key, record } = await b.stored({ subject: b.unique() });
    const other = b.record({ expiresAt: b.now + 600_000, subject: b.unique() });
    equal(await b.create(key, other), false, "create under a key that exists");
    sameRecord(await b.read(key), record, "after the refused create");
    equal(await b.read(key, { now: record.expiresAt }), undefined, "read at the end of the first record");
  }),

  storeCase("create: the same record twice is refused like any other", async (b) => {
    const { key, record } = await b.stored();
    equal(await b.create(key, record), false, "create with the record that is there");
  }),

  storeCase("create: a key is free again after delete", async (b) => {
    const { key } = await b.stored({ subject: b.unique() });
    await b.delete(key);
    const next = b.record();
    equal(await b.create(key, next), true, "create after delete");
    sameRecord(await b.read(key), next, "after create");
  }),

  storeCase("create: a key is free again when its record has expired, and nothing of that is left", async (b) => {
    const { key } = await b.stored({ subject: b.unique(), expiresAt: b.now + 1_000 });
    await b.touch(key, b.now + 100_000);
    const now = b.now + 100_000;
    const next = b.record({ expiresAt: now + 50 });
    equal(await b.create(key, next, { now }), true, "create after the end");
    sameRecord(await b.read(key, { now }), next, "after create");
    equal(await b.read(key, { now: now + 50 }), undefined, "read at the end of the second record");
  }),

  storeCase("create: a record that is over at once does not exist", async (b) => {
    const key = b.unique("/id");
    await b.create(key, b.record({ expiresAt: b.now }));
    await absent(b, key, "of a record that ended as it was created");
    equal(await b.create(key, b.record()), true, "create under the same key");
  }),
];

const update: readonly StoreCase[] = [
  storeCase("update replaces the record if it still has base.version", async (b) => {
    const { key } = await b.stored({ subject: b.unique() });
    for (const fields of [{ subject: b.unique() }, {}, { subject: b.unique(), expiresAt: b.now + 600_000 }]) {
      const next = b.record(fields);
      equal(await b.update(key, next, await b.existing(key)), "ok", "update");
      sameRecord(await b.read(key), next, "after update");
    }
  }),

  storeCase("update replaces the end too, by an earlier one as well", async (b) => {
    const { key } = await b.stored({ expiresAt: b.now + 600_000 });
    await b.touch(key, b.now + 900_000);
    equal(await b.update(key, b.record({ expiresAt: b.now + 500 }), await b.existing(key)), "ok", "update");
    equal((await b.existing(key)).expiresAt, b.now + 500, "expiresAt");
    await absent(b, key, "at the new end", b.now + 500);
  }),

  storeCase("update: conflict when another version is there, and nothing is written", async (b) => {
    const { key } = await b.stored();
    const base = await b.existing(key);
    const winner = b.record({ subject: b.unique() });
    equal(await b.update(key, winner, base), "ok", "the first update");
    equal(await b.update(key, b.record({ expiresAt: b.now + 900_000 }), base), "conflict", "the second update");
    sameRecord(await b.read(key), winner, "after the conflict");
  }),

  storeCase("update sent twice is applied once: the second is a conflict and finds its own version", async (b) => {
    const { key } = await b.stored();
    const [base, next] = [await b.existing(key), b.record()];
    equal(await b.update(key, next, base), "ok", "update");
    equal(await b.update(key, next, base), "conflict", "the same update again");
    equal((await b.existing(key)).version, next.version, "version");
  }),

  storeCase("update never creates: gone (or conflict) when nothing was ever there", async (b) => {
    const key = b.unique("/id");
    oneOf(await b.update(key, b.record(), b.record()), NOTHING, "update of nothing");
    await absent(b, key, "after an update of nothing");
    equal(await b.create(key, b.record()), true, "create afterwards");
  }),

  storeCase("update: a record that was deleted stays so", async (b) => {
    const { key } = await b.stored({ subject: b.unique() });
    const base = await b.existing(key);
    await b.delete(key);
    oneOf(await b.update(key, b.record(), base), NOTHING, "update after delete");
    await absent(b, key, "after delete and update");
  }),

  storeCase("update: a record that has expired stays so", async (b) => {
    const { key, record } = await b.stored();
    const base = await b.existing(key);
    const now = record.expiresAt;
    oneOf(await b.update(key, b.record({ expiresAt: now + 60_000 }), base, { now }), NOTHING, "update after the end");
    await absent(b, key, "after the end and an update", now);
  }),

  storeCase("update: a base from before a delete and a new create is a conflict", async (b) => {
    const { key } = await b.stored();
    const base = await b.existing(key);
    await b.delete(key);
    const next = b.record();
    await b.create(key, next);
    equal(await b.update(key, b.record(), base), "conflict", "update on the deleted record's version");
    sameRecord(await b.read(key), next, "after the conflict");
  }),
];

const touch: readonly StoreCase[] = [
  storeCase("touch moves the end of an existing record to a later one", async (b) => {
    const { key, record } = await b.stored({ subject: b.unique() });
    const later = b.now + 120_000;
    equal(await b.touch(key, later), true, "touch");
    sameRecord(await b.read(key), { ...record, expiresAt: later }, "after touch");
    sameRecord(await b.read(key, { now: record.expiresAt }), { ...record, expiresAt: later }, "at the old end");
    await absent(b, key, "at the new end", later);
  }),

  storeCase("touch takes the later of the stored and the given end: it never shortens", async (b) => {
    const { key, record } = await b.stored();
    for (const end of [record.expiresAt, record.expiresAt - 1, b.now + 1, b.now, 0]) {
      equal(await b.touch(key, end), true, "touch with an end that is not later");
      sameRecord(await b.read(key), record, "after touch");
    }
    await b.touch(key, b.now + 120_000);
    await b.touch(key, b.now + 90_000);
    equal((await b.existing(key)).expiresAt, b.now + 120_000, "expiresAt after a later and an earlier touch");
  }),

  storeCase("touch: the version stays, value and subject too", async (b) => {
    const { key, record } = await b.stored({ subject: b.unique() });
    for (let i = 1; i <= 5; i++) await b.touch(key, record.expiresAt + i * 1_000);
    sameRecord(await b.read(key), { ...record, expiresAt: record.expiresAt + 5_000 }, "after five touches");
  }),

  storeCase("touch: false when there is no record; never creates", async (b) => {
    const key = b.unique("/id");
    equal(await b.touch(key, b.now + 60_000), false, "touch of nothing");
    await absent(b, key, "after a touch of nothing");
    equal(await b.create(key, b.record()), true, "create afterwards");
  }),

  storeCase("touch: a record that was deleted stays so", async (b) => {
    const { key } = await b.stored();
    await b.delete(key);
    equal(await b.touch(key, b.now + 120_000), false, "touch after delete");
    await absent(b, key, "after delete and touch");
  }),

  storeCase("touch: a record that has expired stays so", async (b) => {
    const { key, record } = await b.stored();
    const now = record.expiresAt;
    equal(await b.touch(key, now + 60_000, { now }), false, "touch after the end");
    await absent(b, key, "after the end and a touch", now);
  }),

  storeCase(
    "touch may cause a conflict of an update that began before it, and of none that begins after",
    async (b) => {
      const { key } = await b.stored();
      const base = await b.existing(key);
      await b.touch(key, b.now + 120_000);
      const next = b.record();
      const early = await b.update(key, next, base);
      oneOf(early, ["ok", "conflict"], "update on a base from before the touch");
      if (early === "conflict") equal(await b.update(key, next, await b.existing(key)), "ok", "update on a new base");
      sameRecord(await b.read(key), next, "after update");
    },
  ),
];

const remove: readonly StoreCase[] = [
  storeCase("delete removes the record; false when there was none", async (b) => {
    const { key } = await b.stored({ subject: b.unique() });
    equal(await b.delete(key), true, "delete");
    equal(await b.delete(key), false, "delete again");
    await absent(b, key, "after delete");
    equal(await b.delete(b.unique("/id")), false, "delete of a key that never was");
  }),

  storeCase("delete removes the record whatever its version", async (b) => {
    const { key } = await b.stored();
    await b.update(key, b.record(), await b.existing(key));
    await b.touch(key, b.now + 120_000);
    equal(await b.delete(key), true, "delete after an update and a touch");
    await absent(b, key, "after delete");
  }),

  storeCase("delete removes that record and no other", async (b) => {
    const [one, other] = [await b.stored(), await b.stored()];
    const longer = `${one.key}x`;
    await b.create(longer, other.record);
    await b.delete(one.key);
    sameRecord(await b.read(other.key), other.record, "another record");
    sameRecord(await b.read(longer), other.record, "a record whose key begins with the deleted one");
  }),
];

const expiry: readonly StoreCase[] = [
  storeCase("a record with expiresAt <= now does not exist, and a millisecond before it does", async (b) => {
    const { key, record } = await b.stored();
    sameRecord(await b.read(key, { now: record.expiresAt - 1 }), record, "one millisecond before the end");
    await absent(b, key, "at the end", record.expiresAt);
    await absent(b, key, "an hour later", record.expiresAt + 3_600_000);
  }),

  storeCase("every verb acts on a record in the last millisecond of its life", async (b) => {
    const now = b.now + 59_999;
    const [a, c] = [await b.stored(), await b.stored()];
    equal(await b.create(a.key, b.record(), { now }), false, "create");
    equal(await b.touch(a.key, b.now + 120_000, { now }), true, "touch");
    equal(await b.update(c.key, b.record(), await b.existing(c.key), { now }), "ok", "update");
    equal(await b.delete(c.key, { now }), true, "delete");
  }),

  storeCase("a record that has ended is kept for five minutes: the clock of another server may be late", async (b) => {
    const { key, record } = await b.stored({ subject: b.unique() });
    const base = await b.existing(key);
    const now = record.expiresAt + EXPIRED_FOR - 1_000;
    equal(await b.read(key, { now }), undefined, "read nearly five minutes after the end");
    equal(await b.touch(key, now + 60_000, { now }), false, "touch then");
    oneOf(await b.update(key, b.record({ expiresAt: now + 60_000 }), base, { now }), NOTHING, "update then");
    sameRecord(await b.read(key), record, "for a server whose clock is five minutes late");
    equal(await b.touch(key, b.now + 90_000), true, "touch by that server");
  }),
];

const calls: readonly StoreCase[] = [
  storeCase('"not found" is an answer and no error, for every verb', async (b) => {
    await absent(b, b.unique("/id"), "of a key that never was");
  }),

  storeCase("read without fresh tells the truth in a store that is not cached", async (b) => {
    const plainly = (key: string) => b.store.read(key, { now: b.now });
    if (b.store.cached === true) return;
    const { key, record } = await b.stored();
    sameRecord(await plainly(key), record, "after create");
    const next = b.record();
    await b.update(key, next, await b.existing(key));
    sameRecord(await plainly(key), next, "after update");
    await b.touch(key, b.now + 120_000);
    equal((await plainly(key))?.expiresAt, b.now + 120_000, "expiresAt after touch");
    await b.delete(key);
    equal(await plainly(key), undefined, "after delete");
  }),

  storeCase("read with fresh comes from where the truth is, past every cache", async (b) => {
    const { key } = await b.stored();
    await b.store.read(key, { now: b.now });
    const next = b.record();
    await b.update(key, next, await b.existing(key));
    sameRecord(await b.read(key), next, "after update");
    await b.store.read(key, { now: b.now });
    await b.touch(key, b.now + 120_000);
    equal((await b.existing(key)).expiresAt, b.now + 120_000, "expiresAt after touch");
    await b.store.read(key, { now: b.now });
    await b.delete(key);
    equal(await b.read(key), undefined, "after delete");
  }),

  storeCase("a cached answer is judged by the time of the call as well", async (b) => {
    const { key, record } = await b.stored();
    await b.store.read(key, { now: b.now });
    equal(await b.store.read(key, { now: record.expiresAt }), undefined, "read without fresh at the end");
  }),

  storeCase("previousSubject may come with update and delete, and changes no answer", async (b) => {
    const previousSubject = b.unique("before");
    const { key } = await b.stored({ subject: previousSubject });
    const next = b.record({ subject: b.unique("after") });
    equal(await b.update(key, next, await b.existing(key), { previousSubject }), "ok", "update");
    sameRecord(await b.read(key), next, "after update");
    equal(await b.delete(key, { previousSubject: next.subject }), true, "delete");
    await absent(b, key, "after delete");
  }),

  storeCase("a signal that is never aborted changes no answer", async (b) => {
    const { signal } = new AbortController();
    const key = b.unique("/id");
    const next = b.record();
    equal(await b.create(key, b.record(), { signal }), true, "create");
    equal(await b.update(key, next, await b.existing(key, { signal }), { signal }), "ok", "update");
    equal(await b.touch(key, b.now + 120_000, { signal }), true, "touch");
    sameRecord(await b.read(key, { signal }), { ...next, expiresAt: b.now + 120_000 }, "after touch");
    equal(await b.delete(key, { signal }), true, "delete");
  }),

  storeCase("a call whose caller no longer waits may fail, and does the store no harm", async (b) => {
    const { key, record } = await b.stored();
    const signal = AbortSignal.abort();
    await b.read(key, { signal }).catch(() => undefined);
    await b.create(b.unique("/id"), b.record(), { signal }).catch(() => undefined);
    sameRecord(await b.read(key), record, "the next read");
  }),

  storeCase("a store has a name for messages, or none", async ({ store: { name } }) => {
    if (name !== undefined) equal(typeof name === "string" && name.length > 0, true, "name is a text");
  }),

  storeCase("cached is true, false or left out", async ({ store }) => {
    oneOf(store.cached, [true, false, undefined], "cached");
  }),
];

/** Cases about one verb at a time. */
export const verbCases: readonly StoreCase[] = [...create, ...update, ...touch, ...remove, ...expiry, ...calls];
