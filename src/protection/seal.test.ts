import { createCipheriv, randomBytes } from "node:crypto";
import { inspect } from "node:util";
import * as fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { bitFlips, contextOf, ENGINES, keyNumber, nodeEngine, webEngine } from "../../test/protection-testbed.ts";
import { decodeBase64url, encodeBase64url } from "../internal/base64url.ts";
import { concat, hex, lengthPrefixed, utf8 } from "../internal/bytes.ts";
import { hkdfSha512 } from "../internal/crypto.ts";
import { isPromise } from "../internal/maybe-promise.ts";
import { aesGcm, type PrepareAesGcm } from "./aes-gcm.ts";
import { KeyRing, keyRing, type RingKey } from "./key-ring.ts";
import type { ProtectionContext, Protector } from "./protection.ts";
import { seal, SEAL_PARTS, type SealParts } from "./seal.ts";

const TEXT = '{"name":"Ada","visits":1}';
const KEY = randomBytes(32);
const OTHER = randomBytes(32);

afterEach(() => {
  vi.restoreAllMocks();
});

const bytesOf = (token: string): Uint8Array<ArrayBuffer> => decodeBase64url(token)!;
const saltOf = (token: string): string => hex(bytesOf(token).subarray(5, 21));
const ivOf = (token: string): string => hex(bytesOf(token).subarray(37, 49));

/** Sealed by Python's hashlib and `cryptography`: key number 0, salt a0 a1 …, iv b0 b1 …, session/user/shop. */
const GOLDEN: Readonly<Record<string, string>> = {
  [TEXT]:
    "AeUq2X6goaKjpKWmp6ipqqusra6vqgHYCuycT-h0UYrBOTsT77CxsrO0tba3uLm6u4Uoz54p0xmC4K1VQt08LJ_woPVAxwSwxS7OBXU4ohNjwyLrJIzC9KjU",
  "": "AeUq2X6goaKjpKWmp6ipqqusra6vqgHYCuycT-h0UYrBOTsT77CxsrO0tba3uLm6u-6sZpiA_-FQwiXuh8A1e2M",
  "żółć 🧥": "AeUq2X6goaKjpKWmp6ipqqusra6vqgHYCuycT-h0UYrBOTsT77CxsrO0tba3uLm6uzu2YkyBNP8_4hyuhFoNRPhtPDsbERF2XrMcRtge",
};

describe.each(ENGINES)("seal() on $name", (engine) => {
  function bound(context: Partial<ProtectionContext> = {}, parts: Partial<SealParts> = {}): Protector {
    return engine.seal(parts).bind(contextOf({ keys: engine.ring(KEY), ...context }));
  }

  /** Salt a0 a1 …, then IV b0 b1 …. */
  function fixedRandom(): SealParts["random"] {
    return (length) => new Uint8Array(length).map((_, i) => (length === 16 ? 0xa0 : 0xb0) + i);
  }

  test.each(Object.entries(GOLDEN))("writes and opens the golden token of %j", async (text, token) => {
    const keys = engine.ring(keyNumber(0));
    expect(await bound({ keys }, { random: fixedRandom() }).protect(text)).toBe(token);
    expect(await bound({ keys }).unprotect(token)).toEqual({ text, outdated: false });
  });

  test("is laid out as version, key id, salt, commitment, iv, ciphertext, tag", async () => {
    const bytes = bytesOf(await bound().protect(TEXT));
    expect(bytes).toHaveLength(1 + 4 + 16 + 16 + 12 + TEXT.length + 16);
    expect(bytes[0]).toBe(1);
    expect([hex(bytes.subarray(1, 5))]).toEqual(await engine.ring(KEY).ids());
    const info = lengthPrefixed("coatcheck/seal/1", "session", "user", "shop");
    const derived = await hkdfSha512(KEY, bytes.subarray(5, 21), info, 48);
    expect(hex(bytes.subarray(21, 37))).toBe(hex(derived.subarray(32)));
  });

  test("A6: refuses a token with any single bit flipped", async () => {
    const token = await bound().protect(TEXT);
    const reader = bound();
    let flips = 0;
    for (const flipped of bitFlips(bytesOf(token))) {
      expect(await reader.unprotect(encodeBase64url(flipped))).toBeUndefined();
      flips++;
    }
    expect(flips).toBe(720);
    expect(await reader.unprotect(token)).toBeDefined();
  });

  test("A6: refuses every truncation and every extension of the bytes, at both ends", async () => {
    const bytes = bytesOf(await bound().protect(TEXT));
    const reader = bound();
    for (let length = 0; length < bytes.length; length++) {
      expect(await reader.unprotect(encodeBase64url(bytes.subarray(0, length)))).toBeUndefined();
      expect(await reader.unprotect(encodeBase64url(bytes.subarray(bytes.length - length)))).toBeUndefined();
    }
    for (let byte = 0; byte < 256; byte++) {
      expect(await reader.unprotect(encodeBase64url(concat(bytes, new Uint8Array([byte]))))).toBeUndefined();
      expect(await reader.unprotect(encodeBase64url(concat(new Uint8Array([byte]), bytes)))).toBeUndefined();
    }
    expect(await reader.unprotect(encodeBase64url(concat(bytes, new Uint8Array(16))))).toBeUndefined();
  });

  test("A6: refuses a short tag, which Node by itself would take", async () => {
    const cipher = aesGcm(engine.node)(KEY);
    const [iv, associated] = [new Uint8Array(12), new Uint8Array(3)];
    for (const text of ["", TEXT]) {
      const sealed = (await cipher.encrypt(iv, associated, text)).subarray(associated.length);
      expect(await cipher.decrypt(iv, associated, sealed)).toBe(text);
      for (const tag of [0, 1, 4, 8, 12, 13, 14, 15]) {
        const short = sealed.subarray(0, utf8(text).length + tag);
        expect(await cipher.decrypt(iv, associated, short)).toBeUndefined();
      }
    }
  });

  test("A6: refuses another spelling of the same bytes", async () => {
    const reader = bound();
    const token = await reader.protect(`${TEXT} `);
    expect(bytesOf(token).length % 3).toBe(1);
    const stray = token.slice(0, -1) + String.fromCharCode(token.charCodeAt(token.length - 1) + 1);
    expect(Buffer.from(stray, "base64url")).toEqual(Buffer.from(token, "base64url"));
    const base64 = Buffer.from(token, "base64url").toString("base64");
    for (const spelling of [stray, base64, `${token}==`, `${token} `, ` ${token}`, `${token}.`, `${token}\n`]) {
      expect(await reader.unprotect(spelling)).toBeUndefined();
    }
  });

  test("A8: refuses another version, an unknown key id and what is too short, without deriving anything", async () => {
    const derive = vi.fn(engine.primitives.hkdfSha512);
    const ring = new KeyRing(KEY, derive);
    await ring.ids();
    const bytes = bytesOf(await bound({ keys: ring }).protect(TEXT));
    const reader = bound({ keys: ring });
    derive.mockClear();
    for (const version of [0, 2, 0x81, 0xff]) {
      expect(await reader.unprotect(encodeBase64url(bytes.with(0, version)))).toBeUndefined();
    }
    expect(await reader.unprotect(encodeBase64url(bytes.with(1, bytes[1]! ^ 1)))).toBeUndefined();
    expect(await reader.unprotect(encodeBase64url(bytes.subarray(0, 64)))).toBeUndefined();
    expect(derive).not.toHaveBeenCalled();
  });

  test("A9: binds to purpose, name and audience, with no ambiguity between them", async () => {
    const token = await bound().protect(TEXT);
    const others: readonly Partial<ProtectionContext>[] = [
      { purpose: "idle" },
      { name: "admin" },
      { audience: "" },
      { audience: "shop2" },
      { purpose: "sessionu", name: "ser" },
      { name: "users", audience: "hop" },
      { keys: engine.ring(OTHER) },
    ];
    for (const other of others) expect(await bound(other).unprotect(token)).toBeUndefined();
  });

  test("A7: does not open the token of sign(), nor sign() that of seal()", async () => {
    const context = contextOf({ keys: engine.ring(KEY) });
    const [sealed, signed] = [engine.seal().bind(context), engine.sign().bind(context)];
    const [sealToken, signToken] = [await sealed.protect(TEXT), await signed.protect(TEXT)];
    const [payload, trailer] = signToken.split(".") as [string, string];
    for (const token of [signToken, payload, trailer, payload + trailer, trailer + payload]) {
      expect(await sealed.unprotect(token)).toBeUndefined();
    }
    for (const token of [sealToken, `${sealToken}.`, `.${sealToken}`, `${payload}.${sealToken}`]) {
      expect(await signed.unprotect(token)).toBeUndefined();
    }
  });

  test("A7: does not open what was encrypted by other means under the same key", async () => {
    const reader = bound();
    const front = concat(bytesOf(await reader.protect(TEXT)).subarray(0, 37), randomBytes(12));
    const cipher = createCipheriv("aes-256-gcm", KEY, front.subarray(37)).setAAD(front);
    const sealed = concat(front, cipher.update(TEXT), cipher.final(), cipher.getAuthTag());
    expect(await reader.unprotect(encodeBase64url(sealed))).toBeUndefined();
  });

  test("A33: a token that is wrong in whatever way is refused in one way, by undefined", async () => {
    const token = await bound().protect(TEXT);
    const bytes = bytesOf(token);
    for (const at of [0, 1, 5, 21, 37, 49, bytes.length - 1]) {
      expect(await bound().unprotect(encodeBase64url(bytes.with(at, bytes[at]! ^ 1)))).toBeUndefined();
    }
  });

  describe("commitment", () => {
    function counted(): {
      readonly parts: Partial<SealParts>;
      readonly decrypted: () => number;
      readonly prepared: () => number;
    } {
      let [decrypted, prepared] = [0, 0];
      const prepare: PrepareAesGcm = (key) => {
        prepared++;
        const cipher = aesGcm(engine.node)(key);
        return {
          ...cipher,
          decrypt(...args) {
            decrypted++;
            return cipher.decrypt(...args);
          },
        };
      };
      return { parts: { prepare }, decrypted: () => decrypted, prepared: () => prepared };
    }

    test("a forged salt costs one derivation and no decryption, and is not remembered", async () => {
      const derive = vi.fn(engine.primitives.hkdfSha512);
      const keys = new KeyRing(KEY, derive);
      const bytes = bytesOf(await bound().protect(TEXT));
      const counts = counted();
      const reader = bound({ keys }, counts.parts);
      await keys.ids();
      derive.mockClear();
      for (let round = 1; round <= 3; round++) {
        expect(await reader.unprotect(encodeBase64url(bytes.with(5, bytes[5]! ^ 1)))).toBeUndefined();
        expect([derive.mock.calls.length, counts.prepared(), counts.decrypted()]).toEqual([round, 0, 0]);
      }
    });

    test("P26: a derived key is remembered when its commitment matched, and derived once for all tokens of its epoch", async () => {
      const derive = vi.fn(engine.primitives.hkdfSha512);
      const keys = new KeyRing(KEY, derive);
      const writer = bound();
      const counts = counted();
      const reader = bound({ keys }, counts.parts);
      await keys.ids();
      derive.mockClear();
      for (let i = 0; i < 20; i++) expect(await reader.unprotect(await writer.protect(TEXT))).toBeDefined();
      expect([derive.mock.calls.length, counts.prepared(), counts.decrypted()]).toEqual([1, 1, 20]);
    });

    test("a forged commitment is refused without a decryption, also where the salt is known", async () => {
      const bytes = bytesOf(await bound().protect(TEXT));
      const counts = counted();
      const reader = bound({}, counts.parts);
      for (const known of [false, true]) {
        if (known) await reader.unprotect(encodeBase64url(bytes));
        const before = counts.decrypted();
        for (let at = 21; at < 37; at++) {
          expect(await reader.unprotect(encodeBase64url(bytes.with(at, bytes[at]! ^ 0x80)))).toBeUndefined();
        }
        expect(counts.decrypted()).toBe(before);
      }
    });

    test("tells keys apart that happen to have the same id", async () => {
      const sameIds: typeof hkdfSha512 = (key, salt, info, length) =>
        length === 4 ? new Uint8Array([9, 9, 9, 9]) : engine.primitives.hkdfSha512(key, salt, info, length);
      const old = await bound({ keys: new KeyRing(OTHER, sameIds) }).protect(TEXT);
      const reader = bound({ keys: new KeyRing([KEY, OTHER], sameIds) });
      expect(await reader.unprotect(old)).toEqual({ text: TEXT, outdated: true });
      expect(await reader.unprotect(await reader.protect(TEXT))).toEqual({ text: TEXT, outdated: false });
    });
  });

  describe("opened tokens", () => {
    function counted(options?: { openedTokens: number }): { protector: Protector; keys: KeyRing; opens: () => number } {
      let opens = 0;
      const prepare: PrepareAesGcm = (key) => {
        const cipher = aesGcm(engine.node)(key);
        return { ...cipher, decrypt: (...args) => (opens++, cipher.decrypt(...args)) };
      };
      const keys = engine.ring(KEY);
      return { protector: engine.seal({ prepare }, options).bind(contextOf({ keys })), keys, opens: () => opens };
    }

    test("are remembered: the same token again is a look-up, answered at once", async () => {
      const it = counted();
      const token = await bound().protect(TEXT);
      for (let i = 0; i < 5; i++) expect(await it.protector.unprotect(token)).toEqual({ text: TEXT, outdated: false });
      expect(it.opens()).toBe(1);
      expect(isPromise(it.protector.unprotect(token))).toBe(false);
    });

    test("are remembered from when they are made: what a process seals it does not open", async () => {
      const it = counted();
      const token = await it.protector.protect(TEXT);
      expect(await it.protector.unprotect(token)).toEqual({ text: TEXT, outdated: false });
      expect(it.opens()).toBe(0);
    });

    test("are forgotten beyond the limit, and all of them with a limit of 0", async () => {
      const few = counted({ openedTokens: 4 });
      const tokens: string[] = [];
      for (let i = 0; i < 10; i++) tokens.push(await few.protector.protect(`${i}`));
      for (const token of tokens) expect(await few.protector.unprotect(token)).toBeDefined();
      expect(few.opens()).toBeGreaterThanOrEqual(6);
      const none = counted({ openedTokens: 0 });
      const token = await none.protector.protect(TEXT);
      for (let i = 0; i < 3; i++) await none.protector.unprotect(token);
      expect(none.opens()).toBe(3);
    });

    test("are remembered one in eight times that one is opened when many are: soon, if its client comes back", async () => {
      const it = counted({ openedTokens: 100 });
      const writer = bound();
      for (let i = 0; i < 100; i++) await it.protector.unprotect(await writer.protect(`once ${i}`));
      const token = await writer.protect("again");
      for (let i = 0; i < 20; i++) expect(await it.protector.unprotect(token)).toBeDefined();
      expect(it.opens()).toBeGreaterThan(100);
      expect(it.opens()).toBeLessThanOrEqual(108);
    });

    test("P26: are checked again: a removed key kills them at once, and an outdated one shows", async () => {
      const it = counted();
      const token = await it.protector.protect(TEXT);
      await it.protector.unprotect(token);
      it.keys.replace([OTHER, KEY]);
      expect(await it.protector.unprotect(token)).toEqual({ text: TEXT, outdated: true });
      it.keys.replace(OTHER);
      expect(await it.protector.unprotect(token)).toBeUndefined();
      expect(await it.protector.unprotect(token)).toBeUndefined();
      it.keys.replace([OTHER, KEY]);
      expect(await it.protector.unprotect(token)).toEqual({ text: TEXT, outdated: true });
    });

    test("P26: remember no refusals, and take no near miss for a hit", async () => {
      const it = counted();
      const token = await it.protector.protect(TEXT);
      await it.protector.unprotect(token);
      for (const flipped of bitFlips(bytesOf(token))) {
        expect(await it.protector.unprotect(encodeBase64url(flipped))).toBeUndefined();
      }
    });
  });

  test("P26: a key that is removed while a token is being opened does not open it", async () => {
    const keys = engine.ring([KEY, OTHER]);
    const token = await bound({ keys: engine.ring(OTHER) }).protect(TEXT);
    const prepare: PrepareAesGcm = (key) => {
      const cipher = aesGcm(engine.node)(key);
      return { ...cipher, decrypt: (...args) => (keys.replace(KEY), cipher.decrypt(...args)) };
    };
    expect(await bound({ keys }, { prepare }).unprotect(token)).toBeUndefined();
  });

  describe("epochs", () => {
    test("one salt serves all tokens of an epoch, with another IV for each", async () => {
      const writer = bound();
      const tokens: string[] = [];
      for (let i = 0; i < 200; i++) tokens.push(await writer.protect(TEXT));
      expect(new Set(tokens.map(saltOf)).size).toBe(1);
      expect(new Set(tokens.map(ivOf)).size).toBe(200);
    });

    test("each process, definition and purpose has a salt of its own", async () => {
      const keys = engine.ring(KEY);
      const writers = [bound({ keys }), bound({ keys }), bound({ keys, name: "x" }), bound({ keys, purpose: "idle" })];
      const tokens = await Promise.all(writers.map((writer) => writer.protect(TEXT)));
      expect(new Set(tokens.map(saltOf)).size).toBe(4);
    });

    test("a new one begins after so many seals", async () => {
      const writer = bound({}, { epochSeals: 3 });
      const salts: string[] = [];
      for (let i = 0; i < 10; i++) salts.push(saltOf(await writer.protect(TEXT)));
      const epochs = [...new Set(salts)];
      expect(salts.map((salt) => epochs.indexOf(salt))).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2, 3]);
    });

    test("a new one begins after so long, and when the clock is set back", async () => {
      let now = 1_800_000_000_000;
      const writer = bound({ now: () => now }, { epochLifetime: 1000 });
      const salts: string[] = [];
      for (const step of [0, 999, 1, 0, 999, 1, -1, 0]) {
        now += step;
        salts.push(saltOf(await writer.protect(TEXT)));
      }
      const epochs = [...new Set(salts)];
      expect(salts.map((salt) => epochs.indexOf(salt))).toEqual([0, 0, 1, 1, 1, 2, 3, 3]);
    });

    test("a new one begins when another key comes first", async () => {
      const keys = engine.ring(KEY);
      const writer = bound({ keys });
      const before = await writer.protect(TEXT);
      keys.replace([OTHER, KEY]);
      const after = await writer.protect(TEXT);
      expect(saltOf(after)).not.toBe(saltOf(before));
      expect([hex(bytesOf(after).subarray(1, 5))]).toEqual(await keyRing(OTHER).ids());
    });

    test("seals at the same time share one, from the first on, and are all counted", async () => {
      const writer = bound({}, { epochSeals: 10 });
      const tokens = await Promise.all(Array.from({ length: 10 }, () => writer.protect(TEXT)));
      expect(new Set(tokens.map(saltOf)).size).toBe(1);
      expect(saltOf(await writer.protect(TEXT))).not.toBe(saltOf(tokens[0]!));
    });

    test("tokens of past epochs open", async () => {
      let now = 0;
      const protector = bound({ now: () => now }, { epochSeals: 2 });
      const tokens: string[] = [];
      for (let i = 0; i < 40; i++, now += 600_000) tokens.push(await protector.protect(`${i}`));
      for (const [i, token] of tokens.entries()) expect((await protector.unprotect(token))?.text).toBe(`${i}`);
    });
  });

  test("rotation in three phases over three servers loses nobody", async () => {
    const rings = [engine.ring(OTHER), engine.ring(OTHER), engine.ring(OTHER)];
    const servers = rings.map((keys) => bound({ keys }));
    const clients = await Promise.all(Array.from({ length: 6 }, (_, i) => servers[i % 3]!.protect(`client ${i}`)));
    const everybodyVisitsEverywhere = async (): Promise<void> => {
      for (const server of servers) {
        for (const [i, token] of clients.entries()) {
          const opened = await server.unprotect(token);
          expect(opened?.text).toBe(`client ${i}`);
          if (opened?.outdated === true) clients[i] = await server.protect(opened.text);
        }
      }
    };
    await everybodyVisitsEverywhere();
    for (const keys of [[OTHER, KEY], [KEY, OTHER], [KEY]]) {
      for (const ring of rings) {
        ring.replace(keys);
        await everybodyVisitsEverywhere();
      }
    }
    for (const token of clients) expect(await bound({ keys: engine.ring(OTHER) }).unprotect(token)).toBeUndefined();
  });

  test("shows no key and no text when it is printed", async () => {
    const keys = engine.ring(KEY);
    const protection = engine.seal();
    const protector = protection.bind(contextOf({ keys }));
    await protector.unprotect(await protector.protect("a very private text"));
    const shown = inspect({ protection, protector }, { depth: 9, showHidden: true }) + JSON.stringify(protector);
    expect(shown).not.toContain("private");
    expect(shown).not.toContain(KEY.toString("hex").slice(0, 12));
  });
});

describe("seal() on both engines", () => {
  test("writes the same bytes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: "grapheme", maxLength: 200 }),
        fc.uint8Array({ minLength: 28, maxLength: 28 }),
        async (text, seed) => {
          const random = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(seed.subarray(0, length));
          const [one, two] = await Promise.all(
            ENGINES.map((engine) =>
              engine
                .seal({ random })
                .bind(contextOf({ keys: engine.ring(KEY) }))
                .protect(text),
            ),
          );
          expect(one).toBe(two);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("opens what the other wrote", async () => {
    const [node, web] = [nodeEngine, webEngine].map((engine) =>
      engine.seal().bind(contextOf({ keys: engine.ring(KEY) })),
    ) as [Protector, Protector];
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "grapheme", maxLength: 200 }), async (text) => {
        expect((await web.unprotect(await node.protect(text)))?.text).toBe(text);
        expect((await node.unprotect(await web.protect(text)))?.text).toBe(text);
      }),
      { numRuns: 200 },
    );
  });
});

describe("seal()", () => {
  const context = contextOf({ keys: keyRing(KEY) });

  test("works synchronously on Node: not one microtask", () => {
    const protector = seal().bind(context);
    const token = protector.protect(TEXT) as string;
    expect(typeof token).toBe("string");
    expect(protector.unprotect(token)).toEqual({ text: TEXT, outdated: false });
    expect(seal().bind(context).unprotect(token)).toEqual({ text: TEXT, outdated: false });
  });

  test("seals 2^20 messages or for an hour under one derived key", () => {
    expect([SEAL_PARTS.epochSeals, SEAL_PARTS.epochLifetime]).toEqual([1_048_576, 3_600_000]);
  });

  test("2^20 seals later there is a new salt, and not before", { timeout: 120_000 }, () => {
    // Everything but the counting is left out.
    const encrypt = (_iv: Uint8Array, front: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(front);
    const parts = { prepare: () => ({ encrypt, decrypt: () => undefined }) };
    const writer = nodeEngine.seal(parts).bind(context);
    const first = saltOf(writer.protect("") as string);
    for (let i = 0; i < 2 ** 20 - 2; i++) writer.protect("");
    expect(saltOf(writer.protect("") as string)).toBe(first);
    expect(saltOf(writer.protect("") as string)).not.toBe(first);
  });

  test("prefers its own keys to those of the definition", () => {
    const own = seal({ keys: OTHER }).bind(context);
    const token = own.protect(TEXT) as string;
    expect(seal().bind(context).unprotect(token)).toBeUndefined();
    expect(
      seal()
        .bind(contextOf({ keys: keyRing(OTHER) }))
        .unprotect(token),
    ).toBeDefined();
  });

  test("throws a TypeError that names what is missing or wrong, when it is made or bound", () => {
    expect(() => seal().bind(contextOf())).toThrow(/^seal\(\) needs keys: .*randomBytes/);
    expect(() => seal({ keys: "" })).toThrow(/^keys must /);
    for (const openedTokens of [-1, 0.5, Number.NaN, Infinity, "9" as unknown as number]) {
      expect(() => seal({ openedTokens })).toThrow(/^openedTokens must /);
    }
    for (const long of [{ name: "n".repeat(1200) }, { audience: "a".repeat(70_000) }]) {
      expect(() => seal().bind({ ...context, ...long })).toThrow(TypeError);
    }
  });

  test("P26: draws nothing random before it seals", async () => {
    const spy = vi.spyOn(crypto, "getRandomValues");
    vi.resetModules();
    const fresh = await import("./seal.ts");
    const ring = (await import("./key-ring.ts")).keyRing(KEY);
    const protector = fresh.seal().bind(contextOf({ keys: ring as unknown as KeyRing }));
    expect(spy).not.toHaveBeenCalled();
    await protector.protect(TEXT);
    expect(spy).toHaveBeenCalledOnce();
  });
});

describe("unprotect() of seal() never throws and never opens what seal() did not make", () => {
  const keys = keyRing([KEY, OTHER]);
  const protector = nodeEngine.seal({}, { openedTokens: 64 }).bind(contextOf({ keys }));
  const real = [TEXT, "", "x".repeat(500)].map((text) => protector.protect(text) as string);
  const ids = (keys.ids() as readonly string[]).map((id) => Buffer.from(id, "hex"));
  const base64urlCharacter = fc.constantFrom(..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

  const mutated = fc
    .tuple(fc.constantFrom(...real), fc.nat(), fc.string({ unit: base64urlCharacter, maxLength: 6 }), fc.nat(6))
    .map(([token, at, put, cut]) => {
      const from = at % (token.length + 1);
      return token.slice(0, from) + put + token.slice(from + cut);
    });
  const plausible = fc
    .tuple(fc.constantFrom(...ids), fc.uint8Array({ minLength: 40, maxLength: 120 }))
    .map(([id, rest]) => encodeBase64url(concat(new Uint8Array([1]), id, rest)));
  const spliced = fc
    .tuple(fc.constantFrom(...real), fc.constantFrom(...real), fc.nat(), fc.nat())
    .map(([one, two, a, b]) => one.slice(0, a % one.length) + two.slice(b % two.length));
  const anything = fc.oneof(
    fc.string({ unit: "binary", maxLength: 120 }),
    fc.string({ unit: base64urlCharacter, maxLength: 200 }),
    fc.json(),
    fc.json().map((text) => encodeBase64url(utf8(text))),
    mutated,
    spliced,
    plausible,
  );

  test("100 000 random, mutated, spliced and plausible inputs", { timeout: 120_000 }, () => {
    let opened = 0;
    fc.assert(
      fc.property(anything, (token) => {
        const result = protector.unprotect(token);
        if (result !== undefined) opened++;
        return result === undefined || real.includes(token);
      }),
      { numRuns: 100_000 },
    );
    // Some mutations change nothing: those do open.
    expect(opened).toBeGreaterThan(0);
  });

  test("and on WebCrypto", async () => {
    const web = webEngine.seal().bind(contextOf({ keys: webEngine.ring([KEY, OTHER]) }));
    await fc.assert(
      fc.asyncProperty(anything, async (token) => (await web.unprotect(token)) === undefined || real.includes(token)),
      { numRuns: 3000 },
    );
  });
});

test("the types of a ring key allow a protection of one's own", async () => {
  const key: RingKey = await keyRing(KEY).current();
  expect(await key.derive(lengthPrefixed("my-protection/1"), new Uint8Array(0), 32)).toHaveLength(32);
});
