/**
 * The conformance kit for protections, as data: it runs under every test runner, on our protections and on a stranger's.
 *
 * @example
 * ```ts
 * for (const { name, run } of protectionCases) {
 *   test(name, () => run(() => myProtection()));
 * }
 * ```
 *
 * @module
 */
import { keyRing, type KeyRing } from "../protection/key-ring.ts";
import type { Protection, ProtectionContext, Protector, Unprotected } from "../protection/protection.ts";

/** Makes a new protection that uses the keys of the definition; every case asks for its own. */
export type MakeProtection = () => Protection;

/** One sentence of the protection contract. */
export interface ProtectionCase {
  readonly name: string;
  /** Rejects with an `Error` that says what is wrong when the protection does not keep to the sentence. */
  run(make: MakeProtection): Promise<void>;
}

const NOW = 1_800_000_000_000;
const TEXT = '{"name":"Ada","visits":1}';
const SAFE = /^[\w.-]*$/;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";

/** Texts that a protection must bring back as they were. */
const TEXTS: readonly string[] = [
  TEXT,
  "",
  "0",
  "null",
  " \t\r\n",
  "\u0000\u0001\u007f",
  "\uFEFF{}",
  "żółć, 日本語, 🧥🎟️",
  '"\\\u2028;,=%',
  "a.b.c",
  "x".repeat(3000),
  "🧥".repeat(700),
];

/** What somebody might send who has never seen a token, or has seen those of others (CVE-2026-39324: fallbacks to plain data). */
const FOREIGN: readonly string[] = [
  "",
  ".",
  "..",
  "=",
  "null",
  "undefined",
  TEXT,
  btoa(TEXT),
  base64url(TEXT),
  `${base64url(TEXT)}.`,
  `.${base64url(TEXT)}`,
  `${base64url(TEXT)}.${base64url(TEXT)}`,
  `s:${base64url(TEXT)}.c2lnbmF0dXJl`,
  `${base64url('{"alg":"none"}')}.${base64url(TEXT)}.`,
  `Fe26.2*1*${"0".repeat(64)}*${"A".repeat(22)}*${"A".repeat(43)}**${"0".repeat(64)}*${"A".repeat(43)}~2`,
  "A".repeat(43),
  "A".repeat(200),
  "AQ".repeat(200),
  "_".repeat(4096),
  "A".repeat(100_000),
  "🧥",
  "\u0000",
  "\uD800",
  "__proto__",
  "constructor",
];

/** The sentences of the protection contract, each with its check. */
export const protectionCases: readonly ProtectionCase[] = [
  {
    name: "has a kind",
    async run(make) {
      const { kind } = make();
      ensure(typeof kind === "string" && kind !== "", "kind must be a text that is not empty");
    },
  },
  {
    name: "brings back every text as it was",
    async run(make) {
      const protector = bound(make());
      for (const text of TEXTS) await opens(protector, await protector.protect(text), text);
    },
  },
  {
    name: "brings back the same text for the same token, as often as it is asked",
    async run(make) {
      const protector = bound(make());
      const token = await protector.protect(TEXT);
      for (let i = 0; i < 3; i++) await opens(protector, token, TEXT);
    },
  },
  {
    name: "makes tokens of characters that are safe in a cookie and a header",
    async run(make) {
      const protector = bound(make());
      for (const text of TEXTS) {
        const token = await protector.protect(text);
        ensure(token !== "", "a token must not be empty");
        ensure(SAFE.test(token), "a token must have A-Z a-z 0-9 - _ . only");
      }
    },
  },
  {
    name: "opens tokens of another process with the same keys",
    async run(make) {
      const keys = newRing();
      const token = await bound(make(), { keys }).protect(TEXT);
      await opens(bound(make(), { keys }), token, TEXT);
    },
  },
  {
    name: "refuses every token with one character replaced, removed or added",
    async run(make) {
      const protector = bound(make());
      const token = await protector.protect(TEXT);
      for (let at = 0; at <= token.length; at++) {
        for (const character of [...ALPHABET, "=", "+", "/", " ", "é"]) {
          await refuses(protector, token.slice(0, at) + character + token.slice(at), "a character added");
          if (token[at] === character || at === token.length) continue;
          await refuses(protector, token.slice(0, at) + character + token.slice(at + 1), "a character replaced");
        }
        if (at < token.length)
          await refuses(protector, token.slice(0, at) + token.slice(at + 1), "a character removed");
      }
      await opens(protector, token, TEXT);
    },
  },
  {
    name: "refuses every beginning and every end of a token, and a token twice",
    async run(make) {
      const protector = bound(make());
      const token = await protector.protect(TEXT);
      for (let at = 1; at < token.length; at++) {
        await refuses(protector, token.slice(0, at), "only the beginning");
        await refuses(protector, token.slice(at), "only the end");
      }
      await refuses(protector, token + token, "twice");
    },
  },
  {
    name: "refuses the halves of two tokens put together",
    async run(make) {
      const protector = bound(make());
      const [one, two] = [await protector.protect('{"role":"guest"}'), await protector.protect('{"role":"admin"}')];
      for (let at = 1; at < one.length; at++) {
        const mixed = one.slice(0, at) + two.slice(at);
        if (mixed !== one && mixed !== two) await refuses(protector, mixed, "two halves");
      }
    },
  },
  {
    name: "refuses what no protection made, without throwing",
    async run(make) {
      const protector = bound(make());
      for (const token of FOREIGN) await refuses(protector, token, "a foreign text");
    },
  },
  {
    name: "refuses the token of another purpose, name or audience, in both directions",
    async run(make) {
      const keys = newRing();
      const contexts = [
        { purpose: "session", name: "user", audience: "" },
        { purpose: "idle", name: "user", audience: "" },
        { purpose: "session", name: "admin", audience: "" },
        { purpose: "session", name: "user", audience: "staging" },
        { purpose: "session", name: "", audience: "user" },
        { purpose: "sessionu", name: "ser", audience: "" },
        { purpose: "session", name: "users", audience: "taging" },
      ];
      const protectors = contexts.map((context) => bound(make(), { ...context, keys }));
      for (const [from, maker] of protectors.entries()) {
        const token = await maker.protect(TEXT);
        for (const [to, reader] of protectors.entries()) {
          if (from === to) await opens(reader, token, TEXT);
          else await refuses(reader, token, "another purpose, name or audience");
        }
      }
    },
  },
  {
    name: "serves several definitions at a time, each by itself",
    async run(make) {
      const [protection, keys] = [make(), newRing()];
      const [user, admin] = [bound(protection, { name: "user", keys }), bound(protection, { name: "admin", keys })];
      const [userToken, adminToken] = [await user.protect("user"), await admin.protect("admin")];
      await opens(user, userToken, "user");
      await opens(admin, adminToken, "admin");
      await refuses(user, adminToken, "another definition");
      await refuses(admin, userToken, "another definition");
    },
  },
  {
    name: "refuses tokens of another key",
    async run(make) {
      const token = await bound(make()).protect(TEXT);
      await refuses(bound(make()), token, "another key");
    },
  },
  {
    name: "protects with the first key, opens with all, and says when a token should be made again",
    async run(make) {
      const [first, second] = [newKey(), newKey()];
      const old = await bound(make(), { keys: keyRing(second) }).protect(TEXT);
      const protector = bound(make(), { keys: keyRing([first, second]) });
      await opens(protector, old, TEXT, true);
      await opens(protector, old, TEXT, true);
      const fresh = await protector.protect(TEXT);
      await opens(protector, fresh, TEXT);
      await opens(bound(make(), { keys: keyRing(first) }), fresh, TEXT);
      await refuses(bound(make(), { keys: keyRing(second) }), fresh, "the second key must not protect");
    },
  },
  {
    name: "follows a ring whose keys are replaced, and refuses a removed key at once",
    async run(make) {
      const [first, second] = [newKey(), newKey()];
      const keys = keyRing(first);
      const protector = bound(make(), { keys });
      const old = await protector.protect(TEXT);
      await opens(protector, old, TEXT);
      keys.replace([second, first]);
      await opens(protector, old, TEXT, true);
      const fresh = await protector.protect(TEXT);
      keys.replace(second);
      await refuses(protector, old, "its key was removed");
      await opens(protector, fresh, TEXT);
      keys.replace([second, first]);
      await opens(protector, old, TEXT, true);
    },
  },
  {
    name: "protects and opens many at a time",
    async run(make) {
      const protector = bound(make());
      const texts = Array.from({ length: 50 }, (_, i) => `{"visits":${i}}`);
      const tokens = await Promise.all(texts.map((text) => protector.protect(text)));
      const opened = await Promise.all(tokens.map((token) => protector.unprotect(token)));
      same(opened.map(textOf), texts, "the opened texts");
    },
  },
];

// --- what the cases share -----------------------------------------------------------------------------------------------

function newKey(): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(32));
}

function newRing(): KeyRing {
  return keyRing(newKey());
}

function bound(protection: Protection, context: Partial<ProtectionContext> = {}): Protector {
  return protection.bind({
    purpose: "session",
    name: "user",
    audience: "",
    keys: newRing(),
    now: () => NOW,
    ...context,
  });
}

async function opens(protector: Protector, token: string, text: string, outdated = false): Promise<void> {
  const opened = await unprotected(protector, token, "of its own");
  ensure(opened !== undefined, `unprotect() must open a token of its own, here for a text of length ${text.length}`);
  same(opened.text, text, "the opened text");
  same(opened.outdated, outdated, "outdated");
}

async function refuses(protector: Protector, token: string, what: string): Promise<void> {
  const opened = await unprotected(protector, token, what);
  ensure(opened === undefined, `unprotect() must refuse a token (${what}), and opened one of length ${token.length}`);
}

async function unprotected(protector: Protector, token: string, what: string): Promise<Unprotected | undefined> {
  try {
    return await protector.unprotect(token);
  } catch (cause) {
    throw new Error(`unprotect() must never throw, and did for a token (${what}) of length ${token.length}`, { cause });
  }
}

function textOf(opened: Unprotected | undefined): string | undefined {
  return opened?.text;
}

function base64url(text: string): string {
  return btoa(text).replace(/=+$/, "").replaceAll("+", "-").replaceAll("/", "_");
}

function ensure(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

function same(actual: unknown, expected: unknown, what: string): void {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)];
  ensure(is === should, `${what} must be ${should}, and is ${is}`);
}
