import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KEY } from "../../test/testbed.ts";
import { encodeBase64url } from "../internal/base64url.ts";
import { keyRing } from "../protection/key-ring.ts";
import { tokenMac } from "../protection/token-mac.ts";
import { newSecret, nextSecret, tokenCodec, type TokenCodec } from "./token.ts";

const mac = tokenMac({ keys: keyRing(KEY), name: "user", audience: "" });
const plain = { name: "user", audience: "", mac: undefined, acceptUnsigned: false, generateId: undefined };
const codecs: Record<string, TokenCodec> = {
  plain: tokenCodec(plain),
  "with a MAC": tokenCodec({ ...plain, mac }),
  "with a MAC, unsigned accepted": tokenCodec({ ...plain, mac, acceptUnsigned: true }),
  "with ids of its own": tokenCodec({ ...plain, generateId: () => new Uint8Array(20) }),
};

describe.each(Object.entries(codecs))("a token, %s", (_, codec) => {
  test("comes apart as it was put together", () => {
    const id = codec.newId();
    const secret = newSecret();
    const parsed = codec.parse(codec.write(id, secret) as string);
    expect(parsed).toMatchObject({ id, outdated: false });
    expect([...(parsed as { secret: Uint8Array }).secret]).toEqual([...secret]);
  });

  test("P5: 100 000 strings that are none never throw, and one that parses is exactly what would be written", () => {
    const valid = codec.write(codec.newId(), newSecret()) as string;
    const mutated = fc.tuple(fc.nat(valid.length), fc.string({ maxLength: 3 }), fc.nat(3)).map(([at, text, cut]) => {
      return valid.slice(0, at) + text + valid.slice(at + cut);
    });
    const shaped = fc.uint8Array({ minLength: 0, maxLength: 100 }).map(encodeBase64url);
    const anything = fc.oneof(fc.string({ unit: "binary", maxLength: 200 }), mutated, shaped);
    fc.assert(
      fc.property(anything, (text) => {
        const parsed = codec.parse(text) as ReturnType<TokenCodec["parse"]> & object;
        if (typeof parsed === "string" || !("id" in parsed) || parsed.outdated) return;
        // Without keys the MAC of a server that has them is left aside.
        expect(text.startsWith((codec.write(parsed.id, parsed.secret) as string).slice(0, 42))).toBe(true);
        if (parsed.id.length === 22) expect([43, 55]).toContain(text.length);
      }),
      { numRuns: 100_000 },
    );
  });
});

test("ids are 16 random bytes: a thousand differ, and nothing predictable goes in", () => {
  const { random } = Math;
  Math.random = () => {
    throw new Error("ids are made of secure random bytes");
  };
  try {
    const codec = codecs["plain"] as TokenCodec;
    const ids = Array.from({ length: 1000 }, () => codec.newId());
    expect(new Set(ids).size).toBe(1000);
    expect(ids.every((id) => /^[A-Za-z0-9_-]{22}$/.test(id))).toBe(true);
  } finally {
    Math.random = random;
  }
});

test("P9: the next secret follows from the current one and the nonce, and from neither alone", async () => {
  const [a, b] = [newSecret(), newSecret()];
  expect(await nextSecret(a, "nonce")).toEqual(await nextSecret(a, "nonce"));
  expect(await nextSecret(a, "nonce")).not.toEqual(await nextSecret(b, "nonce"));
  expect(await nextSecret(a, "nonce")).not.toEqual(await nextSecret(a, "other"));
  expect(await nextSecret(a, "nonce")).toHaveLength(16);
});

test("a verifier proves nothing to another definition or audience", () => {
  const secret = newSecret();
  const verifiers = [
    tokenCodec(plain),
    tokenCodec({ ...plain, name: "cart" }),
    tokenCodec({ ...plain, audience: "staging" }),
    tokenCodec({ ...plain, name: "us", audience: "er" }),
  ].map((codec) => codec.verifier(secret));
  expect(new Set(verifiers).size).toBe(4);
});
