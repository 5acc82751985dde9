import { afterEach, describe, expect, test, vi } from "vitest";
import { ENGINES, nodeEngine, webEngine } from "../../test/protection-testbed.ts";
import { hex, utf8 } from "./bytes.ts";
import { hkdfSha512, hmac, nodeCrypto, randomBytes, sha256 } from "./crypto.ts";
import { isPromise } from "./maybe-promise.ts";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe.each(ENGINES)("calculations by $name", ({ primitives }) => {
  test("SHA-256: FIPS 180-4", async () => {
    expect(hex(await primitives.sha256(utf8("abc")))).toBe(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    expect(await primitives.sha256Text(utf8("abc"))).toBe("ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
  });

  test("HMAC: RFC 4231, test case 2", async () => {
    const expected = {
      "SHA-256": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      "SHA-384": "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
      "SHA-512":
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
    } as const;
    for (const hash of ["SHA-256", "SHA-384", "SHA-512"] as const) {
      const mac = primitives.hmac(hash, utf8("Jefe"));
      for (let i = 0; i < 2; i++) expect(hex(await mac(utf8("what do ya want for nothing?")))).toBe(expected[hash]);
      const macText = primitives.hmacText(hash, utf8("Jefe"));
      const text = Buffer.from(expected[hash], "hex").toString("base64url");
      for (let i = 0; i < 2; i++) expect(await macText("what do ya want for nothing?")).toBe(text);
    }
  });

  test("HMAC of a text: each character is a byte", async () => {
    const bytes = new Uint8Array(256).map((_, byte) => byte);
    const text = String.fromCharCode(...bytes);
    const mac = await primitives.hmac("SHA-256", utf8("key"))(bytes);
    expect(await primitives.hmacText("SHA-256", utf8("key"))(text)).toBe(Buffer.from(mac).toString("base64url"));
  });

  test("HKDF-SHA-512: the inputs of RFC 5869, test case 1", async () => {
    const count = (from: number, length: number): Uint8Array => new Uint8Array(length).map((_, i) => from + i);
    const derived = await primitives.hkdfSha512(new Uint8Array(22).fill(0x0b), count(0, 13), count(0xf0, 10), 42);
    expect(hex(derived)).toBe("832390086cda71fb47625bb5ceb168e4c8e26a1a16ed34d9fc7fe92c1481579338da362cb8d9f925d7cb");
  });

  test("HKDF-SHA-512: without salt, and with the longest info", async () => {
    const derive = ({ hkdfSha512: hkdf }: typeof primitives) =>
      hkdf(utf8("key"), new Uint8Array(0), new Uint8Array(1024).fill(7), 64);
    expect(hex(await derive(primitives))).toBe(hex(await derive(nodeEngine.primitives)));
  });
});

describe("the engine of this process", () => {
  test("is node:crypto, and answers at once", () => {
    expect(nodeCrypto).toBeDefined();
    expect(isPromise(sha256(utf8("abc")))).toBe(false);
    expect(isPromise(hmac("SHA-256", utf8("k"))(utf8("abc")))).toBe(false);
    expect(isPromise(hkdfSha512(utf8("k"), utf8("s"), utf8("i"), 32))).toBe(false);
    expect(isPromise(webEngine.primitives.sha256(utf8("abc")))).toBe(true);
  });

  test("is WebCrypto where the process has no node:crypto with a one-shot hash", async () => {
    for (const process of [undefined, {}, { getBuiltinModule: () => undefined }, { getBuiltinModule: () => ({}) }]) {
      vi.stubGlobal("process", process);
      vi.resetModules();
      const without = await import("./crypto.ts").finally(() => vi.unstubAllGlobals());
      expect(without.nodeCrypto).toBeUndefined();
      expect(isPromise(without.sha256(utf8("abc")))).toBe(true);
    }
  });
});

describe("random bytes", () => {
  function watchPool(): { fills: number; pool(): Uint8Array | undefined } {
    const spy = vi.spyOn(crypto, "getRandomValues");
    return {
      get fills() {
        return spy.mock.calls.length;
      },
      pool: () => spy.mock.lastCall?.[0] as Uint8Array | undefined,
    };
  }

  let later = Date.now();

  /** A time at which what earlier tests left in the pool is too old. */
  function startAfresh(): void {
    later += 3_600_000;
    vi.useFakeTimers({ toFake: ["Date"], now: later });
  }

  test("have the length that was asked for, also beyond the pool", () => {
    for (const length of [0, 1, 12, 16, 2047, 2048, 2049, 5000]) expect(randomBytes(length)).toHaveLength(length);
    expect(new Set(randomBytes(5000)).size).toBe(256);
  });

  test("never come twice", () => {
    const seen = new Set(Array.from({ length: 20_000 }, () => hex(randomBytes(12))));
    expect(seen.size).toBe(20_000);
  });

  test("P26: many come from one call of the generator", () => {
    startAfresh();
    const watch = watchPool();
    for (let i = 0; i < 100; i++) randomBytes(16);
    expect(watch.fills).toBe(1);
  });

  test("P26: a pool older than a second is thrown away", () => {
    startAfresh();
    const watch = watchPool();
    randomBytes(16);
    vi.setSystemTime(Date.now() + 999);
    randomBytes(16);
    expect(watch.fills).toBe(1);
    vi.setSystemTime(Date.now() + 1);
    randomBytes(16);
    expect(watch.fills).toBe(2);
  });

  test("P26: a pool from the future, of a clock that was set back, is thrown away", () => {
    startAfresh();
    const watch = watchPool();
    randomBytes(16);
    vi.setSystemTime(Date.now() - 60_000);
    randomBytes(16);
    expect(watch.fills).toBe(2);
  });

  test("P26: what was handed out is no longer in the pool, and is the taker's own", () => {
    startAfresh();
    const watch = watchPool();
    const [one, two] = [randomBytes(16), randomBytes(16)];
    expect(watch.pool()?.subarray(0, 32)).toEqual(new Uint8Array(32));
    expect(one.buffer).not.toBe(two.buffer);
    expect(hex(one)).not.toBe(hex(two));
  });
});
