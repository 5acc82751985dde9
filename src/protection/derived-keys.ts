/**
 * What the protections share: whose keys they use, what they derive from them, and what they remember of tokens.
 *
 * @module
 */
import { boundedCache } from "../internal/bounded-cache.ts";
import { lengthPrefixed } from "../internal/bytes.ts";
import { chain, type MaybePromise } from "../internal/maybe-promise.ts";
import { HOW_TO_MAKE_A_KEY, keyRing, type KeyInput, type KeyRing, type RingKey } from "./key-ring.ts";
import type { ProtectionContext, Unprotected } from "./protection.ts";

/** Node derives nothing for a longer info. */
const MAX_INFO = 1024;
const NO_SALT = new Uint8Array(0);

/** The ring of a protection that was given keys of its own, or else of its definition. */
export function ringFor(kind: string, own: KeyInput | undefined, context: ProtectionContext): KeyRing {
  const keys = own ?? context.keys;
  if (keys !== undefined) return keyRing(keys);
  throw new TypeError(`${kind}() needs keys: give them to it or to the definition. ${HOW_TO_MAKE_A_KEY}`);
}

/** The info of a derivation: every part with its length, so that no two lists of parts are alike (RFC 5869 §3.2). */
export function derivationInfo(...parts: readonly string[]): Uint8Array<ArrayBuffer> {
  const info = lengthPrefixed(...parts);
  if (info.length > MAX_INFO) throw new TypeError(`name and audience must fit in ${MAX_INFO} bytes together`);
  return info;
}

/** What is made of the ring's keys. */
export interface PerKeyOptions<Made> {
  readonly ring: KeyRing;
  readonly info: Uint8Array;
  /** How many bytes are derived from a key. */
  readonly length: number;
  /** Makes it of a key and of what was derived from it. */
  make(key: RingKey, derived: Uint8Array): Made;
}

/** What is made of what is derived from a ring key: once for each key, and forgotten when the key has left the ring. */
export function perKey<Made>({ ring, info, length, make }: PerKeyOptions<Made>): (key: RingKey) => MaybePromise<Made> {
  const known = new Map<RingKey, Made>();

  function keep(key: RingKey, made: Made): Made {
    for (const old of known.keys()) if (ring.standing(old) === "removed") known.delete(old);
    known.set(key, made);
    return made;
  }

  return (key) =>
    known.get(key) ?? chain(key.derive(info, NO_SALT, length), (derived) => keep(key, make(key, derived)));
}

/** Tokens that were opened before, so that the same one again is a look-up (P26). */
export interface OpenedTokens {
  /** What was opened, if it was and its key is still in the ring. */
  get(token: string): Unprotected | undefined;
  /** Keeps what a key has just protected: it comes back with the client's next request. */
  add(token: string, text: string, key: RingKey): void;
  /** What a key has opened, which may be kept: undefined when that key has left the ring in the meantime. */
  offer(token: string, text: string, key: RingKey): Unprotected | undefined;
}

interface Opened {
  readonly token: string;
  readonly key: RingKey;
  /** What it is to a ring in which the key is the first, and in which it is another. */
  readonly current: Unprotected;
  readonly outdated: Unprotected;
}

/** Of a token, its last 128 bits and more: part of a tag or a MAC. To look a token up by all of it would be to hash all of it. */
const TAIL_CHARACTERS = 22;

function tailOf(token: string): string {
  return token.slice(-TAIL_CHARACTERS);
}

/** Remembers up to `limit` opened tokens. */
export function openedTokens(ring: KeyRing, limit: number): OpenedTokens {
  const cache = boundedCache<string, Opened>(limit);

  /** The same object each time, so that others can remember what they made of it. */
  function judge({ key, current, outdated }: Opened): Unprotected | undefined {
    const standing = ring.standing(key);
    if (standing === "removed") return undefined;
    return standing === "current" ? current : outdated;
  }

  return {
    get(token) {
      const known = cache.get(tailOf(token));
      return known?.token === token ? judge(known) : undefined;
    },
    add: (token, text, key) => cache.set(tailOf(token), openedBy(key, token, text)),
    offer(token, text, key) {
      const opened = openedBy(key, token, text);
      cache.offer(tailOf(token), opened);
      return judge(opened);
    },
  };
}

function openedBy(key: RingKey, token: string, text: string): Opened {
  return { token, key, current: { text, outdated: false }, outdated: { text, outdated: true } };
}
