import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { bitFlips, ENGINES, keyNumber } from "../../test/protection-testbed.ts";
import { concat, hex } from "../internal/bytes.ts";
import type { Primitives } from "../internal/crypto.ts";
import { isPromise } from "../internal/maybe-promise.ts";
import { keyRing, type KeyRing } from "./key-ring.ts";
import { tokenMac } from "./token-mac.ts";

const BYTES = new Uint8Array(32).map((_, i) => i);
const KEY = randomBytes(32);
const OTHER = randomBytes(32);

describe.each(ENGINES)("the token MAC on $name", (engine) => {
  test("P5: is a hint of one byte and eight bytes of HMAC-SHA-256 (golden, by Python's hmac and hashlib)", async () => {
    const mac = engine.mac(engine.ring(keyNumber(0)), "user", "shop");
    const tag = await mac.tag(BYTES);
    expect(hex(tag)).toBe("e5acd46ad978b52063");
    expect(await mac.verify(BYTES, tag)).toBe("current");
  });

  test("P5: refuses any single bit flipped in bytes or tag", async () => {
    const mac = engine.mac(engine.ring([KEY, OTHER]));
    const tag = await mac.tag(BYTES);
    for (const flipped of bitFlips(BYTES)) expect(await mac.verify(flipped, tag)).toBe("forged");
    for (const flipped of bitFlips(tag)) expect(await mac.verify(BYTES, flipped)).toBe("forged");
  });

  test("P5: refuses tags and bytes of another length, and does not throw", async () => {
    const mac = engine.mac(engine.ring(KEY));
    const tag = await mac.tag(BYTES);
    for (const wrong of [new Uint8Array(0), tag.subarray(0, 8), tag.subarray(1), concat(tag, new Uint8Array(1))]) {
      expect(await mac.verify(BYTES, wrong)).toBe("forged");
    }
    for (let length = 0; length < 32; length++) {
      expect(await mac.verify(BYTES.subarray(0, length), tag)).toBe("forged");
    }
    expect(await mac.verify(concat(BYTES, new Uint8Array(1)), tag)).toBe("forged");
  });

  test("is bound to name, audience and key", async () => {
    const tag = await engine.mac(engine.ring(KEY), "user", "shop").tag(BYTES);
    const others = [
      engine.mac(engine.ring(KEY), "admin", "shop"),
      engine.mac(engine.ring(KEY), "user"),
      engine.mac(engine.ring(KEY), "users", "hop"),
      engine.mac(engine.ring(OTHER), "user", "shop"),
    ];
    for (const other of others) expect(await other.verify(BYTES, tag)).toBe("forged");
  });

  test("P26: follows the ring: outdated, removed at once, back again", async () => {
    const keys = engine.ring(KEY);
    const mac = engine.mac(keys);
    const old = await mac.tag(BYTES);
    keys.replace([OTHER, KEY]);
    expect(await mac.verify(BYTES, old)).toBe("outdated");
    const fresh = await mac.tag(BYTES);
    expect(hex(fresh)).not.toBe(hex(old));
    expect(await mac.verify(BYTES, fresh)).toBe("current");
    keys.replace(OTHER);
    expect(await mac.verify(BYTES, old)).toBe("forged");
    expect(await mac.verify(BYTES, fresh)).toBe("current");
    keys.replace([KEY, OTHER]);
    expect([await mac.verify(BYTES, old), await mac.verify(BYTES, fresh)]).toEqual(["current", "outdated"]);
  });

  test("P26: a key that is removed while a tag is being checked does not verify it", async () => {
    const keys = engine.ring(KEY);
    const tag = await engine.mac(keys).tag(BYTES);
    const removing: Primitives["hmac"] = (hash, key) => {
      const mac = engine.primitives.hmac(hash, key);
      return (data) => (keys.replace(OTHER), mac(data));
    };
    expect(await tokenMac({ keys, name: "user", audience: "" }, removing).verify(BYTES, tag)).toBe("forged");
  });

  test("P5: tries all keys that have the same hint", async () => {
    const [one, two] = sameHint();
    const old = await engine.mac(engine.ring(two)).tag(BYTES);
    const mac = engine.mac(engine.ring([one, two]));
    const fresh = await mac.tag(BYTES);
    expect(fresh[0]).toBe(old[0]);
    expect([await mac.verify(BYTES, fresh), await mac.verify(BYTES, old)]).toEqual(["current", "outdated"]);
    expect(await mac.verify(BYTES, old.with(8, old[8]! ^ 1))).toBe("forged");
  });

  test("takes the bytes as they are, also a part of a larger buffer", async () => {
    const mac = engine.mac(engine.ring(KEY));
    const within = concat(new Uint8Array(5), BYTES, await mac.tag(BYTES)).subarray(5);
    expect(await mac.verify(within.subarray(0, 32), within.subarray(32))).toBe("current");
  });
});

test("the token MAC is synchronous on Node", () => {
  const mac = tokenMac({ keys: keyRing(KEY), name: "user", audience: "" });
  const tag = mac.tag(BYTES);
  expect(isPromise(tag)).toBe(false);
  expect(mac.verify(BYTES, tag as Uint8Array)).toBe("current");
});

test("the token MAC refuses names that are too long, when it is made", () => {
  expect(() => tokenMac({ keys: keyRing(KEY), name: "x".repeat(1100), audience: "" })).toThrow(TypeError);
});

function sameHint(): [Uint8Array, Uint8Array] {
  const first = randomBytes(32);
  const hintOf = (ring: KeyRing): string => (ring.ids() as readonly string[])[0]!.slice(0, 2);
  const hint = hintOf(keyRing(first));
  for (;;) {
    const second = randomBytes(32);
    if (hintOf(keyRing(second)) === hint) return [first, second];
  }
}
