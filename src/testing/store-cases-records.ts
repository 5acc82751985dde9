/**
 * The store contract: what a record is, and whose it is.
 *
 * @module
 */
import { equal, sameRecord, type StoreCase, storeCase, vandalise } from "./store-kit.ts";

const VERSION_PAIRS = [
  ["1", "01"],
  ["1000", "1e3"],
  ["a", "A"],
  ["a", "a "],
  ["é", "e\u0301"],
  ["", "0"],
  ["null", "undefined"],
] as const;

/** Cases about records: their fields, and that nobody can change a stored one from outside. */
export const recordCases: readonly StoreCase[] = [
  storeCase("read gives back what create was given: version, end, subject and value", async (b) => {
    const { key, record } = await b.stored({ subject: b.unique("subject") });
    sameRecord(await b.read(key), record, "after create");
  }),

  storeCase("a record without a subject comes back without one", async (b) => {
    const { key } = await b.stored();
    equal((await b.existing(key)).subject, undefined, "subject");
  }),

  storeCase("a store never changes a record that it was given", async (b) => {
    const key = b.unique("/id");
    const records = [b.record({ subject: b.unique() }), b.record({ subject: b.unique() }), b.record()] as const;
    const before = JSON.stringify(records);
    await b.create(key, records[0]);
    await b.update(key, records[1], { ...(await b.existing(key)), version: records[0].version });
    await b.touch(key, b.now + 90_000);
    await b.update(key, records[2], await b.existing(key));
    await b.delete(key);
    equal(JSON.stringify(records), before, "the given records afterwards");
  }),

  storeCase("a store takes records that are frozen", async (b) => {
    const key = b.unique("/id");
    equal(await b.create(key, Object.freeze(b.record())), true, "create with a frozen record");
    const base = Object.freeze(await b.existing(key));
    equal(await b.update(key, Object.freeze(b.record()), base), "ok", "update with frozen records");
  }),

  storeCase("a given record that is changed afterwards changes nothing in the store", async (b) => {
    const key = b.unique("/id");
    const [first, second] = [b.record({ subject: b.unique() }), b.record({ subject: b.unique() })];
    const copies = [{ ...first }, { ...second }] as const;
    await b.create(key, first);
    vandalise(first);
    sameRecord(await b.read(key), copies[0], "after create");
    await b.update(key, second, await b.existing(key));
    vandalise(second);
    sameRecord(await b.read(key), copies[1], "after update");
  }),

  storeCase("a record that was handed out and is changed changes nothing in the store", async (b) => {
    const { key, record } = await b.stored({ subject: b.unique() });
    const copy = { ...record };
    vandalise(await b.existing(key));
    sameRecord(await b.read(key), copy, "after the change of what read returned");
    const plain = await b.store.read(key, { now: b.now });
    if (plain !== undefined) vandalise(plain);
    sameRecord(await b.store.read(key, { now: b.now }), copy, "the same without fresh");
    const page = await b.store.list?.(key, { limit: 10 }, { now: b.now });
    for (const listed of page?.records ?? []) vandalise(listed.record);
    sameRecord(await b.read(key), copy, "after the change of what list returned");
  }),

  storeCase("a store never changes a record that it has handed out", async (b) => {
    const { key } = await b.stored({ subject: b.unique() });
    const held = await b.existing(key);
    const before = JSON.stringify(held);
    await b.touch(key, b.now + 120_000);
    await b.update(key, b.record({ subject: b.unique() }), await b.existing(key));
    await b.delete(key);
    equal(JSON.stringify(held), before, "the record read at first");
  }),

  storeCase("version is opaque: it comes back as given, and update compares it for equality", async (b) => {
    for (const [version, other] of VERSION_PAIRS) {
      const { key } = await b.stored({ version });
      const base = await b.existing(key);
      equal(base.version, version, "version");
      const stale = await b.update(key, b.record(), { ...base, version: other });
      equal(stale, "conflict", `update of version ${JSON.stringify(version)} on ${JSON.stringify(other)}`);
      equal(await b.update(key, b.record({ version: other }), base), "ok", "update on the stored version");
      equal((await b.existing(key)).version, other, "version after update");
    }
  }),

  storeCase("update compares version (and revision) and nothing else of the base", async (b) => {
    const { key } = await b.stored({ subject: b.unique() });
    const base = { ...(await b.existing(key)), value: "?", expiresAt: b.now + 1 };
    const next = b.record();
    equal(await b.update(key, next, base), "ok", "update");
    sameRecord(await b.read(key), next, "after update");
  }),

  storeCase("revision, where a store has one, is its own token for the same purpose as version", async (b) => {
    const { key } = await b.stored();
    const first = await b.existing(key);
    if (first.revision === undefined) return;
    equal(await b.update(key, b.record(), first), "ok", "update with the revision that was read");
    const second = await b.existing(key);
    const mixed = { ...second, revision: first.revision };
    equal(await b.update(key, b.record(), mixed), "conflict", "update with the newest version and an old revision");
    sameRecord(await b.read(key), second, "after the conflict");
  }),

  storeCase("expiresAt is kept to the millisecond, near and far", async (b) => {
    for (const expiresAt of [b.now + 1, b.now + 1234, b.now + 400 * 86_400_000]) {
      const { key } = await b.stored({ expiresAt });
      equal((await b.existing(key)).expiresAt, expiresAt, "expiresAt");
    }
  }),

  storeCase("a store does not look into the value: text that is not JSON comes back as it was", async (b) => {
    for (const value of ["", "not json", "{", "null", '"', "[1,", "0", "{}\n{}", " {} "]) {
      const { key } = await b.stored({ value });
      equal((await b.existing(key)).value, value, "value");
    }
  }),
];
