/**
 * Sealed tokens: encrypted and authenticated.
 *
 * `version 1 | key id 4 | salt 16 | commitment 16 | iv 12 | ciphertext | tag 16`, base64url. The sealing key and the commitment
 * are HKDF-SHA-512 of a ring key over the salt, for one purpose, name and audience; the version fixes all algorithms. The
 * salt stands for an epoch of a process, so that keys are derived once and not for every message. AES-GCM by itself would let
 * one ciphertext open under two keys: the commitment, compared before anything is decrypted, rules that out.
 *
 * @module
 */
import { decodeBase64url, encodeBase64url } from "../internal/base64url.ts";
import { boundedCache } from "../internal/bounded-cache.ts";
import { concat, equalBytes } from "../internal/bytes.ts";
import { nodeCrypto, randomBytes } from "../internal/crypto.ts";
import { checkNames } from "../internal/option-names.ts";
import { chain, isPromise, run, settled, type MaybePromise, type Steps } from "../internal/maybe-promise.ts";
import { aesGcm, TAG_BYTES, type AesGcm, type PrepareAesGcm } from "./aes-gcm.ts";
import { derivationInfo, openedTokens, ringFor, type OpenedTokens } from "./derived-keys.ts";
import { keyRing, type KeyInput, type KeyRing, type RingKey } from "./key-ring.ts";
import type { Protection, ProtectionContext, Protector, Unprotected } from "./protection.ts";

/** Options of {@link seal}. */
export interface SealOptions {
  /** Keys for this protection only. Default: those of the definition. */
  readonly keys?: KeyInput | undefined;
  /**
   * How many opened tokens each definition remembers, so that reading the same one again is a look-up. Default 1024; 0 for
   * none. A token whose key was removed is not opened from there either.
   */
  readonly openedTokens?: number | undefined;
}

/** @internal What tests replace. */
export interface SealParts {
  readonly prepare: PrepareAesGcm;
  readonly random: (length: number) => Uint8Array<ArrayBuffer>;
  /** How many messages a derived key seals at most: with random IVs a repetition then has a chance of 2^-57 (SP 800-38D §8.3). */
  readonly epochSeals: number;
  /** How long a derived key seals at most, in milliseconds. */
  readonly epochLifetime: number;
}

/** @internal What {@link seal} is made of. */
export const SEAL_PARTS: SealParts = {
  prepare: aesGcm(nodeCrypto),
  random: randomBytes,
  epochSeals: 2 ** 20,
  epochLifetime: 3_600_000,
};

const VERSION = 1;
const ID_AT = 1;
const SALT_AT = 5;
const COMMITMENT_AT = 21;
const IV_AT = 37;
const SEALED_AT = 49;
const KEY_BYTES = 32;
const SALT_BYTES = COMMITMENT_AT - SALT_AT;
const COMMITMENT_BYTES = IV_AT - COMMITMENT_AT;
const IV_BYTES = SEALED_AT - IV_AT;
/** Version, key id and salt are 21 bytes, and these are 28 characters, without a bit to spare. */
const PLACE_CHARACTERS = 28;
/** Derived keys that are remembered for opening: one for each hour of each process whose tokens come back. */
const MAX_OPENERS = 1024;
const DEFAULT_OPENED_TOKENS = 1024;

/**
 * Encrypts and authenticates (AES-256-GCM; ASVS 11.3.2, 14.1.1): the client can neither read nor change a token, and a token
 * of another purpose, definition or audience is worth nothing. Its length shows the length of the text: nothing is compressed.
 *
 * @throws TypeError that names `keys` or `openedTokens`
 *
 * @example
 * ```ts
 * import { defineSession, seal } from "coatcheck";
 *
 * const prefs = defineSession<{ theme: string }>({
 *   name: "prefs",
 *   protection: seal({ keys: process.env.PREFS_KEYS }),
 *   revocation: "none",
 * });
 * ```
 */
export function seal(options: SealOptions = {}): Protection {
  return sealWith(SEAL_PARTS, options);
}

/** @internal {@link seal} made of other parts. */
export function sealWith(parts: SealParts, options: SealOptions = {}): Protection {
  checkNames("seal()", options, ["keys", "openedTokens"]);
  const limit = options.openedTokens ?? DEFAULT_OPENED_TOKENS;
  if (!Number.isSafeInteger(limit) || limit < 0) throw new TypeError("openedTokens must be a whole number, 0 or more");
  const own = options.keys === undefined ? undefined : keyRing(options.keys);
  return {
    kind: "seal",
    bind(context) {
      const ring = ringFor("seal", own, context);
      const derive = derivation(context);
      const opened = openedTokens(ring, limit);
      const protect = sealer({ ring, derive, opened, parts }, context);
      return { returnsSame: limit > 0, protect, unprotect: unsealer({ ring, derive, opened, parts }) };
    },
  };
}

// --- keys ---------------------------------------------------------------------------------------------------------------

/** A key that is ready for use. */
interface ReadyKey {
  readonly key: RingKey;
  /** What every token of it begins with: version, key id, salt, commitment. */
  readonly head: Uint8Array<ArrayBuffer>;
  readonly cipher: AesGcm;
}

type Derive = (
  key: RingKey,
  salt: Uint8Array,
) => Steps<{ readonly head: ReadyKey["head"]; readonly secret: Uint8Array }>;

function derivation({ purpose, name, audience }: ProtectionContext): Derive {
  const info = derivationInfo("coatcheck/seal/1", purpose, name, audience);
  return function* derive(key, salt) {
    const derived = yield* settled(key.derive(info, salt, KEY_BYTES + COMMITMENT_BYTES));
    const head = concat(new Uint8Array([VERSION]), key.id, salt, derived.subarray(KEY_BYTES));
    return { head, secret: derived.subarray(0, KEY_BYTES) };
  };
}

// --- sealing ------------------------------------------------------------------------------------------------------------

interface Epoch extends ReadyKey {
  readonly since: number;
  seals: number;
}

/** What sealing and opening share. */
interface Seal {
  readonly ring: KeyRing;
  readonly derive: Derive;
  readonly opened: OpenedTokens;
  readonly parts: SealParts;
}

function sealer({ ring, derive, opened, parts }: Seal, context: ProtectionContext): Protector["protect"] {
  let epoch: Epoch | undefined;

  function running(key: RingKey, now: number): Epoch | undefined {
    if (epoch === undefined || epoch.key !== key || epoch.seals >= parts.epochSeals) return undefined;
    return now >= epoch.since && now - epoch.since < parts.epochLifetime ? epoch : undefined;
  }

  function* epochOf(key: RingKey): Steps<Epoch> {
    const now = context.now();
    const there = running(key, now);
    if (there !== undefined) return there;
    const { head, secret } = yield* derive(key, parts.random(SALT_BYTES));
    // Where derivation takes its time, another request may have begun an epoch: one is enough.
    epoch = running(key, now) ?? { key, head, cipher: parts.prepare(secret), since: now, seals: 0 };
    return epoch;
  }

  function sealed(current: Epoch, text: string): MaybePromise<string> {
    current.seals++;
    const iv = parts.random(IV_BYTES);
    return chain(current.cipher.encrypt(iv, concat(current.head, iv), text), (bytes) => {
      const token = encodeBase64url(bytes);
      opened.add(token, text, current.key);
      return token;
    });
  }

  function* sealedLater(text: string): Steps<string> {
    return yield* settled(sealed(yield* epochOf(yield* settled(ring.current())), text));
  }

  return (text) => {
    const key = ring.current();
    const there = isPromise(key) ? undefined : running(key, context.now());
    return there === undefined ? run(sealedLater(text)) : sealed(there, text);
  };
}

// --- opening ------------------------------------------------------------------------------------------------------------

function unsealer({ ring, derive, opened, parts }: Seal): Protector["unprotect"] {
  const openers = boundedCache<string, ReadyKey>(MAX_OPENERS);

  function* openerOf(token: string, head: Uint8Array): Steps<ReadyKey | undefined> {
    const known = openers.get(token.slice(0, PLACE_CHARACTERS));
    if (known !== undefined && ring.standing(known.key) !== "removed") {
      return equalBytes(known.head, head) ? known : undefined;
    }
    for (const key of yield* settled(ring.find(head.subarray(ID_AT, SALT_AT)))) {
      const derived = yield* derive(key, head.subarray(SALT_AT, COMMITMENT_AT));
      if (equalBytes(derived.head, head))
        return remember({ key, head: derived.head, cipher: parts.prepare(derived.secret) });
    }
    return undefined;
  }

  function remember(opener: ReadyKey): ReadyKey {
    // Not a slice of the token: that would keep the token, and the header it came in, in memory.
    openers.set(encodeBase64url(opener.head.subarray(0, COMMITMENT_AT)), opener);
    return opener;
  }

  function* open(token: string): Steps<Unprotected | undefined> {
    const bytes = decodeBase64url(token);
    if (bytes === undefined || bytes.length < SEALED_AT + TAG_BYTES || bytes[0] !== VERSION) return undefined;
    const opener = yield* openerOf(token, bytes.subarray(0, IV_AT));
    if (opener === undefined) return undefined;
    const [iv, front, sealed] = [
      bytes.subarray(IV_AT, SEALED_AT),
      bytes.subarray(0, SEALED_AT),
      bytes.subarray(SEALED_AT),
    ];
    const text = yield* settled(opener.cipher.decrypt(iv, front, sealed));
    return text === undefined ? undefined : opened.offer(token, text, opener.key);
  }

  return (token) => opened.get(token) ?? run(open(token));
}
