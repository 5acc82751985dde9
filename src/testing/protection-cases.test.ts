import { describe, expect, test } from "vitest";
import { ENGINES } from "../../test/protection-testbed.ts";
import { decodeBase64url, encodeBase64url } from "../internal/base64url.ts";
import { fromUtf8, utf8 } from "../internal/bytes.ts";
import { seal } from "../protection/seal.ts";
import { sign } from "../protection/sign.ts";
import type { Protection, ProtectionContext, Protector } from "../protection/protection.ts";
import { protectionCases, type MakeProtection } from "./protection-cases.ts";

const OURS: Readonly<Record<string, MakeProtection>> = {
  "seal()": () => seal(),
  "seal() without a memory": () => seal({ openedTokens: 0 }),
  "sign()": () => sign(),
  "sign() with sha512": () => sign({ algorithm: "sha512" }),
  ...Object.fromEntries(
    ENGINES.flatMap((engine) => [
      [`seal() on ${engine.name}`, () => engine.seal()],
      [`sign() on ${engine.name}`, () => engine.sign()],
    ]),
  ),
};

describe.each(Object.entries(OURS))("%s keeps to the contract", (_, make) => {
  test.each(protectionCases)("$name", async ({ run }) => {
    await run(make);
  });
});

/** A protection that does as `sign()` does, but for one thing. */
function flawed(change: (real: Protector, context: ProtectionContext) => Partial<Protector>): MakeProtection {
  return () => ({
    kind: "flawed",
    bind(context) {
      const real = sign().bind(context);
      return { ...real, ...change(real, context) };
    },
  });
}

function boundTo(context: Partial<ProtectionContext>): MakeProtection {
  return () => ({ kind: "unbound", bind: (given) => sign().bind({ ...given, ...context }) });
}

const plain: Protection = {
  kind: "plain",
  bind: () => ({
    protect: (text) => encodeBase64url(utf8(text)),
    unprotect(token) {
      const bytes = decodeBase64url(token);
      return bytes === undefined ? undefined : { text: fromUtf8(bytes), outdated: false };
    },
  }),
};

/** What each flaw must be found out by. */
const FLAWS: Readonly<Record<string, readonly [MakeProtection, string]>> = {
  "has no kind": [() => ({ ...sign(), kind: "" }), "has a kind"],
  "protects nothing": [() => plain, "refuses every token with one character replaced, removed or added"],
  "falls back to plain data": [
    flawed((real) => ({
      async unprotect(token) {
        const opened = await real.unprotect(token);
        return opened ?? (await plain.bind({} as ProtectionContext).unprotect(token.split(".")[0] ?? ""));
      },
    })),
    "refuses what no protection made, without throwing",
  ],
  "throws at bad tokens": [
    flawed((real) => ({
      async unprotect(token) {
        const opened = await real.unprotect(token);
        if (opened === undefined) throw new Error("bad token");
        return opened;
      },
    })),
    "refuses what no protection made, without throwing",
  ],
  "trims what it is given": [
    flawed((real) => ({ unprotect: (token) => real.unprotect(token.trim()) })),
    "refuses every token with one character replaced, removed or added",
  ],
  "loses a byte order mark": [
    flawed((real) => ({ protect: (text) => real.protect(text.replace("\uFEFF", "")) })),
    "brings back every text as it was",
  ],
  "uses characters that a cookie cannot have": [
    flawed((real) => ({
      protect: async (text) => `${await real.protect(text)}=`,
      unprotect: (token) => (token.endsWith("=") ? real.unprotect(token.slice(0, -1)) : undefined),
    })),
    "makes tokens of characters that are safe in a cookie and a header",
  ],
  "remembers in the process what its tokens stand for": [
    flawed(() => {
      const kept = new Map<string, string>();
      return {
        protect(text) {
          kept.set(`t${kept.size}`, text);
          return `t${kept.size - 1}`;
        },
        unprotect(token) {
          const text = kept.get(token);
          return text === undefined ? undefined : { text, outdated: false };
        },
      };
    }),
    "opens tokens of another process with the same keys",
  ],
  "takes a token that comes twice": [
    flawed((real) => ({
      unprotect(token) {
        const half = token.slice(0, token.length / 2);
        return real.unprotect(token === half + half ? half : token);
      },
    })),
    "refuses every beginning and every end of a token, and a token twice",
  ],
  "protects a text piece by piece": [
    flawed((real) => ({
      async protect(text) {
        return `${await real.protect(text.slice(0, 12))}.${await real.protect(text.slice(12))}`;
      },
      async unprotect(token) {
        const [a, b, c, d, ...more] = token.split(".");
        const [one, two] = [await real.unprotect(`${a}.${b}`), await real.unprotect(`${c}.${d}`)];
        if (one === undefined || two === undefined || more.length > 0) return undefined;
        return { text: one.text + two.text, outdated: one.outdated };
      },
    })),
    "refuses the halves of two tokens put together",
  ],
  "works once": [
    flawed((real) => {
      const seen = new Set<string>();
      return { unprotect: (token) => (seen.has(token) ? undefined : (seen.add(token), real.unprotect(token))) };
    }),
    "brings back the same text for the same token, as often as it is asked",
  ],
  "does not bind to the purpose": [
    boundTo({ purpose: "session" }),
    "refuses the token of another purpose, name or audience, in both directions",
  ],
  "does not bind to the name": [boundTo({ name: "user" }), "serves several definitions at a time, each by itself"],
  "does not bind to the audience": [
    boundTo({ audience: "" }),
    "refuses the token of another purpose, name or audience, in both directions",
  ],
  "joins what it binds to without a separator": [
    () => ({
      kind: "joined",
      bind: (given) =>
        sign().bind({ ...given, purpose: "", name: given.purpose + given.name + given.audience, audience: "" }),
    }),
    "refuses the token of another purpose, name or audience, in both directions",
  ],
  "has keys of its own": [
    () => sign({ keys: new Uint8Array(32).map((_, i) => i * 3) }),
    "refuses tokens of another key",
  ],
  "never calls a token outdated": [
    flawed((real) => ({
      async unprotect(token) {
        const opened = await real.unprotect(token);
        return opened === undefined ? undefined : { ...opened, outdated: false };
      },
    })),
    "protects with the first key, opens with all, and says when a token should be made again",
  ],
  "remembers what it opened beyond the life of the key": [
    flawed((real) => {
      const known = new Map<string, Awaited<ReturnType<Protector["unprotect"]>>>();
      return {
        async unprotect(token) {
          const opened = known.get(token) ?? (await real.unprotect(token));
          if (opened !== undefined) known.set(token, opened);
          return opened;
        },
      };
    }),
    "follows a ring whose keys are replaced, and refuses a removed key at once",
  ],
  "mixes up what it does at the same time": [
    flawed((real) => {
      let latest = "";
      return {
        async protect(text) {
          latest = text;
          await Promise.resolve();
          return real.protect(latest);
        },
      };
    }),
    "protects and opens many at a time",
  ],
};

describe("the kit finds a protection out that", () => {
  test.each(Object.entries(FLAWS))("%s", async (_, [make, name]) => {
    const found = protectionCases.find((one) => one.name === name);
    await expect(found?.run(make)).rejects.toThrow(/ must /);
  });

  test("and so each of its cases finds something out", () => {
    const used = new Set(Object.values(FLAWS).map(([, name]) => name));
    expect(protectionCases.filter(({ name }) => !used.has(name))).toEqual([]);
  });
});
