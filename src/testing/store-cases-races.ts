/**
 * The store contract: every verb is one atomic operation on the record.
 *
 * @module
 */
import type { StoredRecord } from "../store/store.ts";
import { type Bench, equal, oneOf, pause, sameRecord, type StoreCase, storeCase } from "./store-kit.ts";

const NOTHING = ["gone", "conflict"] as const;
const ROUNDS = 25;

/** The case of a writer between whose read and update somebody else does something. */
function between(
  name: string,
  intrude: (b: Bench, key: string) => Promise<unknown>,
  prove: (b: Bench, key: string, base: StoredRecord) => Promise<void>,
): StoreCase {
  return storeCase(`between read and update of one writer another one ${name}`, async (b) => {
    const { key } = await b.stored({ subject: b.unique() });
    const base = await b.existing(key);
    await intrude(b, key);
    await prove(b, key, base);
  });
}

const interleavings: readonly StoreCase[] = [
  between(
    "updates: conflict, and the other's record stays",
    async (b, key) => b.update(key, b.record({ value: "theirs" }), await b.existing(key)),
    async (b, key, base) => {
      equal(await b.update(key, b.record(), base), "conflict", "update");
      equal((await b.existing(key)).value, "theirs", "value");
    },
  ),

  between(
    "deletes: gone, and nothing comes back",
    (b, key) => b.delete(key),
    async (b, key, base) => {
      oneOf(await b.update(key, b.record(), base), NOTHING, "update");
      equal(await b.read(key), undefined, "read");
    },
  ),

  between(
    "deletes and creates anew: conflict, and the new record stays",
    async (b, key) => {
      await b.delete(key);
      await b.create(key, b.record({ value: "new" }));
    },
    async (b, key, base) => {
      equal(await b.update(key, b.record(), base), "conflict", "update");
      equal((await b.existing(key)).value, "new", "value");
    },
  ),

  between(
    "updates and deletes: gone, and nothing comes back",
    async (b, key) => {
      await b.update(key, b.record(), await b.existing(key));
      await b.delete(key);
    },
    async (b, key, base) => {
      oneOf(await b.update(key, b.record(), base), NOTHING, "update");
      equal(await b.read(key), undefined, "read");
    },
  ),

  between(
    "touches: the update goes through, if not at once then on a new base",
    (b, key) => b.touch(key, b.now + 120_000),
    async (b, key, base) => {
      const next = b.record({ expiresAt: b.now + 200_000 });
      if ((await b.update(key, next, base)) !== "ok") {
        equal(await b.update(key, next, await b.existing(key)), "ok", "update on a new base");
      }
      sameRecord(await b.read(key), next, "after update");
    },
  ),

  storeCase("between read and update of one writer the record expires: gone, and it stays so", async (b) => {
    const { key, record } = await b.stored();
    const base = await b.existing(key);
    const now = record.expiresAt;
    oneOf(await b.update(key, b.record({ expiresAt: now + 60_000 }), base, { now }), NOTHING, "update");
    equal(await b.read(key, { now }), undefined, "read");
  }),

  storeCase("between read and update the record expires and another one is created: conflict", async (b) => {
    const { key, record } = await b.stored();
    const base = await b.existing(key);
    const now = record.expiresAt;
    const next = b.record({ expiresAt: now + 60_000 });
    equal(await b.create(key, next, { now }), true, "create over the expired record");
    equal(await b.update(key, b.record({ expiresAt: now + 90_000 }), base, { now }), "conflict", "update");
    sameRecord(await b.read(key, { now }), next, "after the conflict");
  }),
];

/** Adds one to the number in a record; returns how many tries that took. */
async function increment(b: Bench, key: string): Promise<number> {
  for (let tries = 1; ; tries++) {
    const base = await b.existing(key);
    await pause(Math.floor(Math.random() * 6));
    const next = b.record({ value: String(Number(base.value) + 1) });
    const outcome = await b.update(key, next, base);
    if (outcome === "ok") return tries;
    equal(outcome, "conflict", "update of a record that is there all the time");
    // Every conflict is the success of another one, and there are 199 of those.
    if (tries === 400) throw new Error("update: 400 conflicts in a row");
  }
}

const many: readonly StoreCase[] = [
  storeCase("200 parallel increments, each a loop of read and update, end at 200", async (b) => {
    const { key } = await b.stored({ value: "0" });
    await Promise.all(Array.from({ length: 200 }, () => increment(b, key)));
    equal((await b.existing(key)).value, "200", "value");
  }),

  storeCase("of updates on one base exactly one is ok, and the record is that one's", async (b) => {
    const { key } = await b.stored();
    const base = await b.existing(key);
    const records = Array.from({ length: 20 }, () => b.record());
    const outcomes = await Promise.all(records.map((record) => b.update(key, record, base)));
    equal(outcomes.filter((outcome) => outcome === "ok").length, 1, "updates that were ok");
    equal(outcomes.filter((outcome) => outcome === "conflict").length, 19, "updates that were a conflict");
    sameRecord(await b.read(key), records[outcomes.indexOf("ok")]!, "the record");
  }),

  storeCase("a race of creates has exactly one winner, and the record is the winner's", async (b) => {
    const key = b.unique("/id");
    await raceOfCreates(b, key, b.now);
  }),

  storeCase("a race of creates over an expired record has exactly one winner", async (b) => {
    const { key, record } = await b.stored({ subject: b.unique() });
    await raceOfCreates(b, key, record.expiresAt);
  }),

  storeCase("a race of creates over a deleted record has exactly one winner", async (b) => {
    const { key } = await b.stored({ subject: b.unique() });
    await b.delete(key);
    await raceOfCreates(b, key, b.now);
  }),

  storeCase("of deletes of one record exactly one answers true", async (b) => {
    const { key } = await b.stored();
    const answers = await Promise.all(Array.from({ length: 20 }, () => b.delete(key)));
    equal(answers.filter(Boolean).length, 1, "deletes that answered true");
  }),

  storeCase("delete and update at once, in every order: the record is deleted and stays so", async (b) => {
    for (let round = 0; round < ROUNDS; round++) {
      const { key } = await b.stored();
      const base = await b.existing(key);
      const writers = [
        () => b.delete(key),
        () => b.update(key, b.record(), base),
        () => b.touch(key, b.now + 120_000),
        () => b.update(key, b.record(), base),
      ];
      const started = rotated(writers, round).map(async (write) => ({ write, answer: await write() }));
      const answers = await Promise.all(started);
      equal(answers.find(({ write }) => write === writers[0])?.answer, true, "delete");
      equal(await b.read(key), undefined, "read after delete and update");
    }
  }),

  storeCase("a delete in the middle of increments is final: no increment brings the record back", async (b) => {
    for (let round = 0; round < 5; round++) {
      const { key } = await b.stored({ value: "0" });
      const increments = Array.from({ length: 10 }, async () => {
        for (let i = 0; i < 10; i++) {
          const base = await b.read(key);
          if (base === undefined) return;
          await pause(Math.floor(Math.random() * 3));
          await b.update(key, b.record({ value: String(Number(base.value) + 1) }), base);
        }
      });
      const deletion = async (): Promise<void> => {
        await pause(3 + round);
        equal(await b.delete(key), true, "delete");
        equal(await b.read(key), undefined, "read after delete");
      };
      await Promise.all([...increments, deletion()]);
      equal(await b.read(key), undefined, "read at the end");
    }
  }),

  storeCase("of touches at once the latest end stays", async (b) => {
    for (let round = 0; round < ROUNDS; round++) {
      const { key } = await b.stored();
      const ends = rotated([100_000, 140_000, 90_000, 120_000, 30_000], round);
      const answers = await Promise.all(ends.map((end) => b.touch(key, b.now + end)));
      equal(answers.every(Boolean), true, "every touch answered true");
      equal((await b.existing(key)).expiresAt, b.now + 140_000, "expiresAt");
    }
  }),

  storeCase("touch and update at once: both are kept", async (b) => {
    for (let round = 0; round < ROUNDS; round++) {
      const { key, record } = await b.stored();
      const base = await b.existing(key);
      const next = b.record({ expiresAt: b.now + 90_000 });
      const touching = round % 2 === 0 ? b.touch(key, b.now + 120_000) : undefined;
      const updating = b.update(key, next, base);
      const touched = await (touching ?? b.touch(key, b.now + 120_000));
      const outcome = await updating;
      equal(touched, true, "touch");
      oneOf(outcome, ["ok", "conflict"], "update");
      const found = await b.existing(key);
      const written = outcome === "ok" ? next : record;
      sameRecord({ ...found, expiresAt: 0 }, { ...written, expiresAt: 0 }, "after touch and update");
      const ends = outcome === "ok" ? [b.now + 90_000, b.now + 120_000] : [b.now + 120_000];
      oneOf(found.expiresAt, ends, "expiresAt");
    }
  }),

  storeCase("writes to different keys at once do not meet", async (b) => {
    const all = await Promise.all(Array.from({ length: 30 }, () => b.stored({ subject: b.unique() })));
    await Promise.all(
      all.map(async ({ key }, i) => {
        if (i % 3 === 0) await b.delete(key);
        else await b.update(key, b.record({ value: `new ${i}` }), await b.existing(key));
      }),
    );
    for (const [i, { key }] of all.entries()) {
      equal((await b.read(key))?.value, i % 3 === 0 ? undefined : `new ${i}`, "value");
    }
  }),
];

async function raceOfCreates(b: Bench, key: string, now: number): Promise<void> {
  const records = Array.from({ length: 20 }, () => b.record({ expiresAt: now + 60_000 }));
  const answers = await Promise.all(records.map((record) => b.create(key, record, { now })));
  equal(answers.filter(Boolean).length, 1, "creates that answered true");
  sameRecord(await b.read(key, { now }), records[answers.indexOf(true)]!, "the record");
}

function rotated<T>(items: readonly T[], by: number): readonly T[] {
  const at = by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

/** Cases in which several writers meet. */
export const raceCases: readonly StoreCase[] = [...interleavings, ...many];
