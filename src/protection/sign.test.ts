import { createHmac, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bitFlips, contextOf, ENGINES, keyNumber, nodeEngine, webEngine } from "../../test/protection-testbed.ts";
import { decodeBase64url, encodeBase64url } from "../internal/base64url.ts";
import { concat, hex, utf8 } from "../internal/bytes.ts";
import type { Primitives } from "../internal/crypto.ts";
import { isPromise } from "../internal/maybe-promise.ts";
import { KeyRing, keyRing } from "./key-ring.ts";
import type { ProtectionContext, Protector } from "./protection.ts";
import { sign, type SignAlgorithm, type SignOptions } from "./sign.ts";

const TEXT = '{"name":"Ada","visits":1}';
const KEY = randomBytes(32);
const OTHER = randomBytes(32);
const PAYLOAD = "eyJuYW1lIjoiQWRhIiwidmlzaXRzIjoxfQ";

/** Signed by Python's hmac and hashlib: key number 0, session/user/shop. */
const GOLDEN: readonly (readonly [SignAlgorithm, string, string])[] = [
  ["sha256", TEXT, `${PAYLOAD}.AeUq2X4B5bJoZA9e-kAbkLCn5nIcUJ01Axovw_iYBXbE0hkwXlM`],
  ["sha384", TEXT, `${PAYLOAD}.AeUq2X4CkI7X_jrnm5RNUiykwjiPnYGbRMDMsLBR77vOzV4-7gdwzgf3zUggSdveKd4Aajk5`],
  [
    "sha512",
    TEXT,
    `${PAYLOAD}.AeUq2X4Dz5-FJ1TgL8Hna01p3AI9QH8nYvACL7M2Ke-2uIG-pCRJq0FQyGv8fQHr168TfVxBi_gIuLsq8xWCaL_lgo3aiA`,
  ],
  ["sha256", "", ".AeUq2X4B5OiUQCkjq2l7Q6iKNqBDUjuCOy8DpuuhZej8APbDeso"],
  ["sha256", "żółć 🧥", "xbzDs8WCxIcg8J-npQ.AeUq2X4BLAYv7C98JaD5FcBjLehlWW4QI_1VpcEP3NgRSY5pmv8"],
];

describe.each(ENGINES)("sign() on $name", (engine) => {
  function bound(context: Partial<ProtectionContext> = {}, options?: SignOptions): Protector {
    return engine.sign(options).bind(contextOf({ keys: engine.ring(KEY), ...context }));
  }

  test.each(GOLDEN)("%s: writes and opens the golden token of %j", async (algorithm, text, token) => {
    const keys = engine.ring(keyNumber(0));
    expect(await bound({ keys }, { algorithm }).protect(text)).toBe(token);
    expect(await bound({ keys }, { algorithm }).unprotect(token)).toEqual({ text, outdated: false });
  });

  test("can be read by anybody", async () => {
    const [payload = ""] = (await bound().protect(TEXT)).split(".");
    expect(Buffer.from(payload, "base64url").toString()).toBe(TEXT);
  });

  test("A6: refuses a token with any single bit flipped, in text or MAC", async () => {
    const [payload, trailer] = (await bound().protect(TEXT)).split(".") as [string, string];
    const reader = bound();
    for (const flipped of bitFlips(decodeBase64url(payload)!)) {
      expect(await reader.unprotect(`${encodeBase64url(flipped)}.${trailer}`)).toBeUndefined();
    }
    for (const flipped of bitFlips(decodeBase64url(trailer)!)) {
      expect(await reader.unprotect(`${payload}.${encodeBase64url(flipped)}`)).toBeUndefined();
    }
    expect(await reader.unprotect(`${payload}.${trailer}`)).toBeDefined();
  });

  test("A6: refuses every truncation and extension of text and MAC", async () => {
    const [payload, trailer] = (await bound().protect(TEXT)).split(".") as [string, string];
    const [text, mac] = [decodeBase64url(payload)!, decodeBase64url(trailer)!];
    const reader = bound();
    const refused = async (newText: Uint8Array, newMac: Uint8Array): Promise<void> => {
      expect(await reader.unprotect(`${encodeBase64url(newText)}.${encodeBase64url(newMac)}`)).toBeUndefined();
    };
    for (let length = 0; length < text.length; length++) await refused(text.subarray(0, length), mac);
    for (let length = 0; length < mac.length; length++) await refused(text, mac.subarray(0, length));
    for (let byte = 0; byte < 256; byte++) {
      await refused(concat(text, new Uint8Array([byte])), mac);
      await refused(text, concat(mac, new Uint8Array([byte])));
      await refused(concat(new Uint8Array([byte]), text), mac);
    }
  });

  test("A6: refuses another spelling of the same bytes", async () => {
    const reader = bound();
    const [payload, trailer] = (await reader.protect(TEXT)).split(".") as [string, string];
    const stray = (text: string): string =>
      text.slice(0, -1) + String.fromCharCode(text.charCodeAt(text.length - 1) + 1);
    const spellings = [
      `${stray(payload)}.${trailer}`,
      `${payload}=.${trailer}`,
      `${payload}.${trailer}=`,
      `${payload}.${trailer}.`,
      `${payload}..${trailer}`,
      `.${payload}.${trailer}`,
      ` ${payload}.${trailer}`,
      `${payload}.${trailer}\n`,
      `${payload}. ${trailer}`,
    ];
    for (const spelling of spellings) expect(await reader.unprotect(spelling)).toBeUndefined();
  });

  test("A7: refuses data that is not signed, and data signed by other means with the same key", async () => {
    const reader = bound();
    const [, trailer] = (await reader.protect(TEXT)).split(".") as [string, string];
    const plain = createHmac("sha256", KEY).update(PAYLOAD).digest();
    const head = decodeBase64url(trailer)!.subarray(0, 6);
    const underRingKey = createHmac("sha256", KEY).update(head).update(PAYLOAD).digest();
    const tokens = [
      TEXT,
      PAYLOAD,
      `${PAYLOAD}.`,
      `${PAYLOAD}.${plain.toString("base64url")}`,
      `${PAYLOAD}.${encodeBase64url(head)}`,
      `${PAYLOAD}.${encodeBase64url(concat(head, new Uint8Array(32)))}`,
      `${PAYLOAD}.${encodeBase64url(concat(head, underRingKey))}`,
      `eyJhbGciOiJub25lIn0.${PAYLOAD}.`,
    ];
    for (const token of tokens) expect(await reader.unprotect(token)).toBeUndefined();
  });

  test("A8: takes the algorithm from the definition, never from the token", async () => {
    const algorithms = ["sha256", "sha384", "sha512"] as const;
    for (const algorithm of algorithms) {
      const token = await bound({}, { algorithm }).protect(TEXT);
      for (const other of algorithms) {
        const opened = await bound({}, { algorithm: other }).unprotect(token);
        expect(opened).toEqual(other === algorithm ? { text: TEXT, outdated: false } : undefined);
      }
    }
  });

  test("A9: binds to purpose, name and audience, with no ambiguity between them", async () => {
    const token = await bound().protect(TEXT);
    const others: readonly Partial<ProtectionContext>[] = [
      { purpose: "idle" },
      { name: "admin" },
      { audience: "" },
      { purpose: "sessionu", name: "ser" },
      { name: "users", audience: "hop" },
      { keys: engine.ring(OTHER) },
    ];
    for (const other of others) expect(await bound(other).unprotect(token)).toBeUndefined();
  });

  test("derives its keys once for each ring key", async () => {
    let derivations = 0;
    const keys = new KeyRing(KEY, (...args) => (derivations++, engine.primitives.hkdfSha512(...args)));
    const protector = bound({ keys });
    for (let i = 0; i < 10; i++) await protector.unprotect(await protector.protect(`${i}`));
    expect(derivations).toBe(2);
    keys.replace([OTHER, KEY]);
    for (let i = 0; i < 10; i++) await protector.unprotect(await protector.protect(`${i}`));
    expect(derivations).toBe(4);
  });

  test("P26: a removed key kills its tokens at once, also those that were opened before", async () => {
    const keys = engine.ring(KEY);
    const protector = bound({ keys });
    const token = await protector.protect(TEXT);
    expect(await protector.unprotect(token)).toEqual({ text: TEXT, outdated: false });
    keys.replace([OTHER, KEY]);
    expect(await protector.unprotect(token)).toEqual({ text: TEXT, outdated: true });
    keys.replace(OTHER);
    expect(await protector.unprotect(token)).toBeUndefined();
    expect(await protector.unprotect(await protector.protect(TEXT))).toEqual({ text: TEXT, outdated: false });
  });

  test("remembers opened tokens: the same one again is answered at once", async () => {
    const protector = bound();
    const token = await protector.protect(TEXT);
    await protector.unprotect(token);
    expect(isPromise(protector.unprotect(token))).toBe(false);
  });

  test("tells keys apart that happen to have the same id", async () => {
    const sameIds: Primitives["hkdfSha512"] = (key, salt, info, length) =>
      length === 4 ? new Uint8Array([9, 9, 9, 9]) : engine.primitives.hkdfSha512(key, salt, info, length);
    const old = await bound({ keys: new KeyRing(OTHER, sameIds) }).protect(TEXT);
    expect(await bound({ keys: new KeyRing([KEY, OTHER], sameIds) }).unprotect(old)).toEqual({
      text: TEXT,
      outdated: true,
    });
  });
});

describe("sign()", () => {
  const context = contextOf({ keys: keyRing(KEY) });

  test("writes the same token on both engines", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "grapheme" }), async (text) => {
        const [one, two] = await Promise.all(
          ENGINES.map((engine) =>
            engine
              .sign()
              .bind(contextOf({ keys: engine.ring(KEY) }))
              .protect(text),
          ),
        );
        expect(one).toBe(two);
      }),
      { numRuns: 200 },
    );
  });

  test("works synchronously on Node: not one microtask", () => {
    const token = sign().bind(context).protect(TEXT) as string;
    expect(sign().bind(context).unprotect(token)).toEqual({ text: TEXT, outdated: false });
  });

  test("prefers its own keys to those of the definition", () => {
    const token = sign({ keys: OTHER }).bind(context).protect(TEXT) as string;
    expect(sign().bind(context).unprotect(token)).toBeUndefined();
    expect(
      sign()
        .bind(contextOf({ keys: keyRing(OTHER) }))
        .unprotect(token),
    ).toBeDefined();
  });

  test("throws a TypeError that names what is missing or wrong, when it is made or bound", () => {
    expect(() => sign().bind(contextOf())).toThrow(/^sign\(\) needs keys: .*randomBytes/);
    expect(() => sign({ keys: "" })).toThrow(/^keys must /);
    for (const algorithm of ["md5", "none", "SHA256", "", "toString", "__proto__"]) {
      expect(() => sign({ algorithm: algorithm as SignAlgorithm })).toThrow(/^algorithm must /);
    }
  });

  test("carries no encryption into an app that only signs", () => {
    const sources = new Map<string, string>();
    const visit = (url: URL): void => {
      if (sources.has(url.href)) return;
      const source = readFileSync(url, "utf8");
      sources.set(url.href, source);
      for (const [, path] of source.matchAll(/^(?:import|export) (?!type)[^;]*?from "(\.[^"]+)"/gm)) {
        visit(new URL(path as string, url));
      }
    };
    visit(new URL("./sign.ts", import.meta.url));
    const names = [...sources.keys()].map((href) => href.slice(href.lastIndexOf("/") + 1));
    expect(names).toEqual(expect.arrayContaining(["sign.ts", "key-ring.ts", "key-text.ts", "crypto.ts"]));
    expect([...sources.values()].join("\n")).not.toMatch(/aes-?(?:256-)?gcm|createCipheriv/i);
  });
});

describe("unprotect() of sign() never throws and never opens what sign() did not make", () => {
  const keys = keyRing([KEY, OTHER]);
  const protector = nodeEngine.sign().bind(contextOf({ keys }));
  const real = [TEXT, "", "x".repeat(500)].map((text) => protector.protect(text) as string);
  const ids = (keys.ids() as readonly string[]).map((id) => Buffer.from(id, "hex"));
  const character = fc.constantFrom(..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");

  const mutated = fc
    .tuple(fc.constantFrom(...real), fc.nat(), fc.string({ unit: character, maxLength: 6 }), fc.nat(6))
    .map(([token, at, put, cut]) => {
      const from = at % (token.length + 1);
      return token.slice(0, from) + put + token.slice(from + cut);
    });
  const plausible = fc
    .tuple(fc.json(), fc.constantFrom(...ids), fc.uint8Array({ minLength: 32, maxLength: 32 }))
    .map(([text, id, mac]) => {
      const trailer = concat(new Uint8Array([1]), id, new Uint8Array([1]), mac);
      return `${encodeBase64url(utf8(text))}.${encodeBase64url(trailer)}`;
    });
  const anything = fc.oneof(
    fc.string({ unit: "binary", maxLength: 120 }),
    fc.string({ unit: character, maxLength: 200 }),
    fc.json().map((text) => encodeBase64url(utf8(text))),
    mutated,
    plausible,
  );

  test("100 000 random, mutated and plausible inputs", { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(anything, (token) => protector.unprotect(token) === undefined || real.includes(token)),
      { numRuns: 100_000 },
    );
  });

  test("and on WebCrypto", async () => {
    const web = webEngine.sign().bind(contextOf({ keys: webEngine.ring([KEY, OTHER]) }));
    await fc.assert(
      fc.asyncProperty(anything, async (token) => (await web.unprotect(token)) === undefined || real.includes(token)),
      { numRuns: 3000 },
    );
  });
});

test("a MAC covers version, key id and algorithm: none of them can be taken from another token", async () => {
  const macs = new Set<string>();
  for (const algorithm of ["sha256", "sha384", "sha512"] as const) {
    for (const keys of [keyRing(KEY), keyRing(OTHER)]) {
      const token = await sign({ algorithm }).bind(contextOf({ keys })).protect(TEXT);
      macs.add(hex(decodeBase64url(token.split(".")[1]!)!.subarray(6, 38)));
    }
  }
  expect(macs.size).toBe(6);
});
