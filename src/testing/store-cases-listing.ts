/**
 * The store contract: listing and counting.
 *
 * @module
 */
import {
  type Bench,
  capabilityCase,
  equal,
  keysIn,
  pagesOf,
  sameRecord,
  sameTexts,
  type StoreCase,
  walked,
} from "./store-kit.ts";

/** What a client may send in the place of a cursor. */
const MADE_UP: readonly string[] = [
  "",
  "0",
  "1",
  "-1",
  "1.5",
  "x",
  "NaN",
  "Infinity",
  "99999999999999999999999999",
  "AAAA",
  // A NUL, after everything.
  "enp6AA",
  "_____w",
  "Li4vLi4v",
  "\0",
  "\ud800",
  "../../..",
  "' OR 1=1",
  "%",
  "\r\nFLUSHALL\r\n",
  "x".repeat(5_000),
];

/** Cases about `list` and `count`. */
export const listingCases: readonly StoreCase[] = [
  capabilityCase("list", "all records whose key begins with the prefix, whole, and no others", async (b, store) => {
    const expected = await family(b);
    const listed = await walked(store, expected.prefix, { now: b.now });
    sameTexts(keysIn(listed), expected.keys, "keys");
    for (const { key, record } of listed) sameRecord(record, await b.existing(key), "a listed record");
  }),

  capabilityCase("list", "a prefix that ends in the middle of a name or an id", async (b, store) => {
    const { prefix, keys: made } = await family(b);
    const found = async (text: string) => keysIn(await walked(store, text, { now: b.now }));
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
      sameTexts(keysIn(await walked(store, prefix, { now: b.now })), made, `keys with ${JSON.stringify(odd)}`);
    }
  }),

  capabilityCase("list", "every record, of many, and deletes while it runs", async (b, store) => {
    const prefix = b.unique("/");
    const made = Array.from({ length: 60 }, (_, i) => `${prefix}${i}`);
    for (const key of made) await b.create(key, b.record());
    sameTexts(keysIn(await walked(store, prefix, { now: b.now })), made, "keys");
    for await (const page of pagesOf(store, prefix, { now: b.now, limit: 7 })) {
      for (const { key } of page) await b.delete(key);
    }
    sameTexts(keysIn(await walked(store, prefix, { now: b.now })), [], "keys after all were deleted");
  }),

  capabilityCase("list", "no record that was deleted or has expired", async (b, store) => {
    const { prefix, keys: made } = await family(b);
    await b.delete(made[0]!);
    const short = `${prefix}short`;
    await b.create(short, b.record({ expiresAt: b.now + 1_000 }));
    sameTexts(keysIn(await walked(store, prefix, { now: b.now + 1_000 })), made.slice(1), "keys");
    equal(keysIn(await walked(store, prefix, { now: b.now })).includes(short), true, "the short one is listed before");
  }),

  capabilityCase("list", "page by page, about as many records as were asked for", async (b, store) => {
    const prefix = b.unique("/");
    const made = await many(b, prefix, 60);
    for (const limit of [1, 7, 60, 10_000]) {
      const found: string[] = [];
      for await (const page of pagesOf(store, prefix, { now: b.now, limit })) {
        equal(page.length <= limit + 20, true, `a page has ${limit} records, or a few more`);
        found.push(...keysIn(page));
      }
      sameTexts([...new Set(found)], made, `keys, by pages of ${limit}`);
    }
    sameTexts(keysIn(await walked(store, b.unique("/"), { now: b.now })), [], "keys of a prefix that nobody has");
  }),

  capabilityCase(
    "list",
    "every record that is there all the time, whatever others write meanwhile",
    async (b, store) => {
      const prefix = b.unique("/");
      const all = await many(b, prefix, 60);
      const [stay, go] = [all.filter((_, i) => i % 2 === 0), all.filter((_, i) => i % 2 === 1)];
      const found = new Set<string>();
      let pages = 0;
      for await (const page of pagesOf(store, prefix, { now: b.now, limit: 4 })) {
        for (const key of keysIn(page)) found.add(key);
        pages++;
        // First records go, where the walk has been and where it has not, then others come: a count would be wrong by then.
        if (pages <= 4) for (const key of [...keysIn(page), go.at(-pages)!]) if (go.includes(key)) await b.delete(key);
        if (pages === 5) await many(b, `${prefix}~`, 30);
        if (pages > 12) continue;
        const changed = stay[(pages * 7) % stay.length]!;
        await b.update(changed, b.record({ expiresAt: b.now + 70_000 }), await b.existing(changed));
        await b.touch(stay[pages]!, b.now + 80_000);
        await b.read(stay[29 - pages]!);
      }
      sameTexts(
        stay.filter((key) => found.has(key)),
        stay,
        "keys that were there all the time",
      );
    },
  ),

  capabilityCase("list", "a cursor may be used again, later", async (b, store) => {
    const prefix = b.unique("/");
    const made = await many(b, prefix, 30);
    const first = await store.list(prefix, { limit: 5 }, { now: b.now });
    if (first.cursor === undefined) throw new Error("list: expected a cursor with a page of 5 of 30 records");
    for (const round of [1, 2]) {
      const rest = await walked(store, prefix, { now: b.now, cursor: first.cursor, limit: 5 });
      sameTexts([...new Set(keysIn([...first.records, ...rest]))], made, `keys, for the ${round}. time`);
      equal(rest.length < made.length, true, "the walk goes on, and does not begin anew");
    }
  }),

  capabilityCase(
    "list",
    "a cursor that is made up, or of another prefix, is no error and shows no other",
    async (b, store) => {
      const [prefix, other] = [b.unique("/"), b.unique("/")];
      const made = await many(b, prefix, 12);
      await many(b, other, 12);
      const { cursor: foreign = "" } = await store.list(other, { limit: 5 }, { now: b.now });
      for (const cursor of [foreign, ...MADE_UP]) {
        const found = keysIn(await walked(store, prefix, { now: b.now, cursor, limit: 5 }));
        sameTexts(
          found.filter((key) => made.includes(key)),
          found,
          `keys with the cursor ${JSON.stringify(cursor.slice(0, 40))}`,
        );
      }
      sameTexts(keysIn(await walked(store, prefix, { now: b.now })), made, "keys, from the first page");
    },
  ),

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

/** Creates `count` records under a prefix. */
async function many(b: Bench, prefix: string, count: number): Promise<readonly string[]> {
  const made = Array.from({ length: count }, (_, i) => `${prefix}${String(i).padStart(4, "0")}`);
  for (const key of made) equal(await b.create(key, b.record()), true, "create");
  return made;
}
