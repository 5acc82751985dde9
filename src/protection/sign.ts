/**
 * Signed tokens: readable by anybody, changeable by nobody.
 *
 * `base64url(text) . base64url(version 1 | key id 4 | algorithm 1 | mac)`. The MAC is HMAC (RFC 2104) over version, key id,
 * algorithm and the first part as it stands in the token, so that nothing is decoded before it is known to be ours.
 *
 * @module
 */
import { decodeBase64url, encodeBase64url, encodeTextBase64url } from "../internal/base64url.ts";
import { concat, equalText, fromUtf8 } from "../internal/bytes.ts";
import { hmacText, type HmacText, type Primitives } from "../internal/crypto.ts";
import { chain, run, settled, type MaybePromise, type Steps } from "../internal/maybe-promise.ts";
import { checkNames } from "../internal/option-names.ts";
import { derivationInfo, openedTokens, perKey, ringFor, type OpenedTokens } from "./derived-keys.ts";
import { keyRing, type KeyInput, type KeyRing, type RingKey } from "./key-ring.ts";
import type { Protection, ProtectionContext, Protector, Unprotected } from "./protection.ts";

/** The hash under the HMAC of {@link sign}. */
export type SignAlgorithm = "sha256" | "sha384" | "sha512";

/** Options of {@link sign}. */
export interface SignOptions {
  /** The hash under the HMAC. Default `"sha256"`. It is fixed here and never taken from a token. */
  readonly algorithm?: SignAlgorithm | undefined;
  /** Keys for this protection only. Default: those of the definition. */
  readonly keys?: KeyInput | undefined;
}

const ALGORITHMS = {
  sha256: { number: 1, hash: "SHA-256", length: 32 },
  sha384: { number: 2, hash: "SHA-384", length: 48 },
  sha512: { number: 3, hash: "SHA-512", length: 64 },
} as const;

const VERSION = 1;
const ID_AT = 1;
const ALGORITHM_AT = 5;
/** Version, key id and algorithm are 6 bytes, and these are 8 characters, without a bit to spare: the MAC begins a new one. */
const HEAD_CHARACTERS = 8;
const OPENED_TOKENS = 1024;

/**
 * Authenticates (HMAC; ASVS 11.3.3 asks for no more where the content may be read). The client, its extensions and whoever
 * sees the cookie can read the session: use `seal()` unless they should.
 *
 * @throws TypeError that names `keys` or `algorithm`
 *
 * @example
 * ```ts
 * import { defineSession, sign } from "coatcheck";
 *
 * const prefs = defineSession<{ theme: string }>({
 *   name: "prefs",
 *   keys: process.env.SESSION_KEYS,
 *   protection: sign(),
 *   revocation: "none",
 * });
 * ```
 */
export function sign(options: SignOptions = {}): Protection {
  return signWith(hmacText, options);
}

/** @internal {@link sign} over another engine. */
export function signWith(engine: Primitives["hmacText"], options: SignOptions = {}): Protection {
  checkNames("sign()", options, ["algorithm", "keys"]);
  const algorithm = options.algorithm ?? "sha256";
  if (!Object.hasOwn(ALGORITHMS, algorithm)) throw new TypeError('algorithm must be "sha256", "sha384" or "sha512"');
  const own = options.keys === undefined ? undefined : keyRing(options.keys);
  return {
    kind: "sign",
    bind(context) {
      const ring = ringFor("sign", own, context);
      const trailerOf = trailers(ring, context, algorithm, engine);
      const opened = openedTokens(ring, OPENED_TOKENS);
      const unprotect = verifier(ring, trailerOf, opened);
      return { returnsSame: true, protect: signer(ring, trailerOf, opened), unprotect };
    },
  };
}

/** What follows the dot when a key signs a payload. */
type TrailerOf = (key: RingKey, payload: string) => MaybePromise<string>;

/** What a key signs with. */
interface Signing {
  /** Version, key id and algorithm: as they stand in the token, and with a byte for each character. */
  readonly head: string;
  readonly headBytes: string;
  readonly mac: HmacText;
}

function trailers(
  ring: KeyRing,
  { purpose, name, audience }: ProtectionContext,
  algorithm: SignAlgorithm,
  engine: Primitives["hmacText"],
): TrailerOf {
  const { number, hash, length } = ALGORITHMS[algorithm];
  const info = derivationInfo("coatcheck/sign/1", purpose, name, audience, algorithm);
  const signingOf = perKey({
    ring,
    info,
    length,
    make(key, derived): Signing {
      const head = concat(new Uint8Array([VERSION]), key.id, new Uint8Array([number]));
      return { head: encodeBase64url(head), headBytes: String.fromCharCode(...head), mac: engine(hash, derived) };
    },
  });
  return (key, payload) =>
    chain(signingOf(key), ({ head, headBytes, mac }) => chain(mac(headBytes + payload), (text) => head + text));
}

function signer(ring: KeyRing, trailerOf: TrailerOf, opened: OpenedTokens): Protector["protect"] {
  return (text) => {
    const payload = encodeTextBase64url(text);
    return chain(ring.current(), (key) =>
      chain(trailerOf(key, payload), (trailer) => {
        const token = `${payload}.${trailer}`;
        opened.add(token, text, key);
        return token;
      }),
    );
  };
}

function verifier(ring: KeyRing, trailerOf: TrailerOf, opened: OpenedTokens): Protector["unprotect"] {
  function* open(token: string): Steps<Unprotected | undefined> {
    const dot = token.indexOf(".");
    const payload = token.slice(0, Math.max(0, dot));
    const trailer = token.slice(dot + 1);
    const head = decodeBase64url(trailer.slice(0, HEAD_CHARACTERS));
    if (dot === -1 || head?.length !== ALGORITHM_AT + 1) return undefined;
    for (const key of yield* settled(ring.find(head.subarray(ID_AT, ALGORITHM_AT)))) {
      if (!equalText(trailer, yield* settled(trailerOf(key, payload)))) continue;
      const text = decodeBase64url(payload);
      return text === undefined ? undefined : opened.offer(token, fromUtf8(text), key);
    }
    return undefined;
  }

  return (token) => opened.get(token) ?? run(open(token));
}
