import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ENGINES, keyNumber, nodeEngine, webEngine } from "../../test/protection-testbed.ts";
import { hex, utf8 } from "../internal/bytes.ts";
import { HOW_TO_MAKE_A_KEY, KeyRing, keyRing, type KeyInput, type RingKey } from "./key-ring.ts";

const KEY = randomBytes(32);
const OTHER = randomBytes(48);

function idsOf(keys: KeyInput): readonly string[] {
  return keyRing(keys).ids() as readonly string[];
}

function refusalOf(make: () => unknown): Error {
  try {
    make();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

describe("keyRing() reads keys", () => {
  test("in every way that they are written", () => {
    const [id] = idsOf(KEY);
    const padded = KEY.toString("base64");
    const ways: readonly KeyInput[] = [
      KEY.toString("base64url"),
      padded,
      padded.replace(/=+$/, ""),
      KEY.toString("hex"),
      KEY.toString("hex").toUpperCase(),
      new Uint8Array(KEY),
      Buffer.from(KEY),
      [KEY],
      [KEY.toString("base64url")],
      `\n  ${padded}  \n`,
    ];
    for (const way of ways) expect(idsOf(way)).toEqual([id]);
  });

  test("from one text with commas or white space between them, as SESSION_KEYS holds it", () => {
    const [one, two] = [KEY.toString("base64url"), OTHER.toString("hex")];
    const ids = idsOf([KEY, OTHER]);
    expect(ids).toHaveLength(2);
    for (const text of [`${one},${two}`, `${one} ${two}`, `${one}\n${two}\n`, ` ${one} ,\t${two},`]) {
      expect(idsOf(text)).toEqual(ids);
    }
    expect(idsOf([`${one},${two}`, keyNumber(0)])).toEqual([...ids, ...idsOf(keyNumber(0))]);
  });

  test("from another ring: the same ring", () => {
    const ring = keyRing(KEY);
    expect(keyRing(ring)).toBe(ring);
    expect(new KeyRing(ring).ids()).toEqual(ring.ids());
  });

  test("of its own advice, every time", () => {
    const command = /"(console\.log\(.*\))"/.exec(HOW_TO_MAKE_A_KEY)?.[1] as string;
    const make = new Function("require", "console", command) as (require: unknown, console: unknown) => void;
    let key = "";
    for (let i = 0; i < 20_000; i++) {
      make(() => ({ randomBytes }), { log: (text: string) => (key = text) });
      expect(() => keyRing(key)).not.toThrow();
    }
  });

  test("property: random bytes of any length from 32 on, in every notation", () => {
    fc.assert(
      fc.property(fc.integer({ min: 32, max: 96 }), (length) => {
        const key = randomBytes(length);
        for (const way of ["base64", "base64url", "hex"] as const) expect(idsOf(key.toString(way))).toEqual(idsOf(key));
      }),
      { numRuns: 2000 },
    );
  });

  test("and keeps a copy: the array that was given may be wiped", () => {
    const given = new Uint8Array(KEY);
    const ring = keyRing(given);
    given.fill(0);
    expect(ring.ids()).toEqual(idsOf(KEY));
  });
});

describe("keyRing() refuses, by a TypeError that names `keys` and says how to make one,", () => {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const weak: Readonly<Record<string, unknown>> = {
    "no keys": undefined,
    null: null,
    "an empty text": "",
    "white space": " \n,",
    "an empty list": [],
    "an empty text in a list": [""],
    "a hole in a list": [KEY, undefined],
    "a number": 42,
    "an object": { key: "x" },
    "an ArrayBuffer": new Uint8Array(KEY).buffer,
    "a short key": randomBytes(31).toString("base64url"),
    "a short key in hex": randomBytes(24).toString("hex"),
    "short bytes": randomBytes(16),
    "no bytes": new Uint8Array(0),
    "a well-known sample": "keyboard cat",
    another: "secret",
    zeros: new Uint8Array(32),
    "zeros in hex": "00".repeat(32),
    "zeros in base64": Buffer.alloc(32).toString("base64"),
    "one byte repeated": new Uint8Array(64).fill(0xa7),
    "few different bytes": new Uint8Array(64).map((_, i) => i % 15),
    "digits repeated": "0123456789abcdef".repeat(4),
    "a passphrase in small letters": "correct-horse-battery-staple-correct-horse-battery-staple",
    "a passphrase in capitals": "CORRECT_HORSE_BATTERY_STAPLE_CORRECT_HORSE_BATTERY_STAPLE",
    "a passphrase in camel case": "CorrectHorseBatteryStapleCorrectHorseBatteryStapleXy",
    "random letters of one case": Array.from(randomBytes(60), (byte) => (byte % 36).toString(36)).join(""),
    "a name": "ThisIsTheSecretKeyOfOurProductionServersDoNotShare",
    "a name with a number": "MyVerySecretSessionKeyForTheProductionServer2026",
    "a placeholder": "ChangeMeBeforeYouDeployThisApplicationToProduction",
    "a text with other characters": "Tr0ub4dor&3 Tr0ub4dor&3 Tr0ub4dor&3!",
    "a text as bytes": utf8("Tr0ub4dor&3, the quick brown fox jumps over the lazy dog"),
    "a passphrase in base64": Buffer.from("Tr0ub4dor&3, the quick brown fox jumps").toString("base64"),
    "a passphrase in hex": Buffer.from("Tr0ub4dor&3, the quick brown fox jumps").toString("hex"),
    "base64 with stray bits": `${letters.slice(0, 42)}B`,
    "the same key twice": [KEY, new Uint8Array(KEY)],
    "the same key twice in a text": `${KEY.toString("hex")},${KEY.toString("base64")}`,
  };

  test.each(Object.entries(weak))("%s", (_, keys) => {
    const error = refusalOf(() => keyRing(keys as KeyInput));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(/^keys must /);
    expect(error.message).toContain(HOW_TO_MAKE_A_KEY);
  });

  test("and says which of several keys it means", () => {
    const message = (keys: KeyInput): string => refusalOf(() => keyRing(keys)).message.split(". ")[0] as string;
    expect(message([KEY, randomBytes(12)])).toBe("keys must be random bytes, 32 or more, and key 2 of 2 has 12");
    expect(message([KEY, OTHER, KEY])).toBe("keys must differ, and key 3 is the same as key 1");
    expect(message("keyboard")).toBe("keys must be random bytes, 32 or more, and the key has 6");
    expect(message(undefined as unknown as string)).toBe(
      "keys must be text or a Uint8Array, and the key is undefined (is the environment variable set?)",
    );
  });

  test("without ever showing a key", () => {
    const keys = Object.values(weak)
      .flat()
      .flatMap((key) =>
        typeof key === "string" ? key.split(/[\s,]+/) : key instanceof Uint8Array ? notations(key) : [],
      );
    for (const input of Object.values(weak)) {
      const shown = inspect(
        refusalOf(() => keyRing(input as KeyInput)),
        { showHidden: true, depth: 9 },
      );
      for (const key of keys) if (key.length > 6) expect(shown).not.toContain(key);
    }
  });
});

describe.each(ENGINES)("a key ring on $name", ({ ring: ringOf, primitives }) => {
  test("derives four bytes of each key as its id", async () => {
    expect(await ringOf(keyNumber(0)).ids()).toEqual(["e52ad97e"]);
    const ids = await ringOf([KEY, OTHER]).ids();
    expect(ids).toEqual(idsOf([KEY, OTHER]));
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}$/);
  });

  test("hands out the first key to protect, and finds every key by its id or the beginning of it", async () => {
    const ring = ringOf([KEY, OTHER]);
    const first = await ring.current();
    expect(hex(first.id)).toBe(idsOf(KEY)[0]);
    for (const id of await ring.ids()) {
      const bytes = Buffer.from(id, "hex");
      expect((await ring.find(bytes)).map((key) => hex(key.id))).toEqual([id]);
      expect((await ring.find(bytes.subarray(0, 1))).map((key) => hex(key.id))).toContain(id);
    }
    expect(await ring.find(new Uint8Array([1, 2, 3, 4]))).toEqual([]);
    expect(await ring.find(new Uint8Array(0))).toHaveLength(2);
  });

  test("derives by HKDF-SHA-512", async () => {
    const key = await ringOf(KEY).current();
    const derived = await key.derive(utf8("info"), utf8("salt"), 48);
    expect(hex(derived)).toBe(hex(await primitives.hkdfSha512(KEY, utf8("salt"), utf8("info"), 48)));
  });

  test("knows what a key is good for, through every replacement", async () => {
    const ring = ringOf(KEY);
    const first = await ring.current();
    expect(ring.standing(first)).toBe("current");
    ring.replace([OTHER, KEY]);
    const second = await ring.current();
    expect([ring.standing(first), ring.standing(second)]).toEqual(["outdated", "current"]);
    ring.replace(OTHER);
    expect([ring.standing(first), ring.standing(second)]).toEqual(["removed", "current"]);
    ring.replace([KEY, OTHER]);
    expect([ring.standing(first), ring.standing(second)]).toEqual(["removed", "outdated"]);
    expect(await ring.ids()).toEqual(idsOf([KEY, OTHER]));
  });

  test("stays as it was when the new keys are refused", async () => {
    const ring = ringOf([KEY, OTHER]);
    for (const keys of ["", "keyboard cat", [OTHER, OTHER]]) expect(() => ring.replace(keys)).toThrow(TypeError);
    expect(await ring.ids()).toEqual(idsOf([KEY, OTHER]));
  });

  test("takes over the keys of another ring", async () => {
    const ring = ringOf(KEY);
    ring.replace(ringOf(OTHER));
    expect(await ring.ids()).toEqual(idsOf(OTHER));
  });

  test("shows ids and nothing else, however it is printed", async () => {
    const ring = ringOf([KEY, OTHER]);
    const held: { ring: KeyRing; key?: RingKey } = { ring };
    const before = `${ring}`;
    await ring.ids();
    held.key = await ring.current();
    const shown = [
      before,
      `${ring}`,
      JSON.stringify(held),
      inspect(held, { depth: 9 }),
      inspect(held, { depth: 9, showHidden: true, customInspect: false, getters: true }),
      JSON.stringify(structuredClone({ ...ring })),
      inspect(Object.getOwnPropertyDescriptors(ring), { depth: 9 }),
      inspect(Reflect.ownKeys(KeyRing).map((name) => Reflect.get(KeyRing, name))),
    ].join("\n");
    for (const key of [KEY, OTHER]) for (const notation of notations(key)) expect(shown).not.toContain(notation);
    const [first, second] = idsOf([KEY, OTHER]);
    expect(`${ring}`).toBe(`KeyRing [${first}, ${second}]`);
    expect(inspect(ring)).toBe(`KeyRing [${first}, ${second}]`);
    expect(JSON.parse(JSON.stringify(ring))).toEqual({ ids: [first, second] });
  });
});

describe("a key ring", () => {
  test("prints its ids before anything was derived, at once on Node and the second time on WebCrypto", async () => {
    const [id] = idsOf(KEY);
    expect(`${nodeEngine.ring(KEY)}`).toBe(`KeyRing [${id}]`);
    const ring = webEngine.ring(KEY);
    expect(`${ring}`).toBe("KeyRing [not derived yet]");
    await ring.ids();
    expect(`${ring}`).toBe(`KeyRing [${id}]`);
  });

  test("replaced while ids are being derived answers for the new keys", async () => {
    const ring = webEngine.ring(KEY);
    const old = ring.current();
    ring.replace(OTHER);
    expect(ring.standing(await old)).toBe("removed");
    expect(await ring.ids()).toEqual(idsOf(OTHER));
  });
});

function notations(key: Uint8Array): string[] {
  const bytes = Buffer.from(key);
  const start = bytes.subarray(0, 12);
  return [
    start.toString("base64url"),
    start.toString("base64"),
    start.toString("hex"),
    start.toString("hex").replaceAll(/(..)(?=.)/g, "$1 "),
    start.join(","),
    start.join(", "),
    JSON.stringify([...start]).slice(1, -1),
  ].filter((text) => new Set(text).size > 4);
}
