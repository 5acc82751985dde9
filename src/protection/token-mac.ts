/**
 * The MAC of a token that names a session in a store: it keeps forgeries away from the store, and no more. The proof of a
 * session is its secret, so eight bytes will do.
 *
 * @module
 */
import { concat, equalBytes } from "../internal/bytes.ts";
import { hmac, type Primitives } from "../internal/crypto.ts";
import { run, settled, type MaybePromise, type Steps } from "../internal/maybe-promise.ts";
import { derivationInfo, perKey } from "./derived-keys.ts";
import type { KeyRing, RingKey } from "./key-ring.ts";

/** Whose tokens they are. */
export interface TokenMacContext {
  readonly keys: KeyRing;
  /** The definition's name. */
  readonly name: string;
  /** The definition's audience; empty when it has none. */
  readonly audience: string;
}

/** Makes and checks MACs under the keys of a ring, as the ring is at that moment. */
export interface TokenMac {
  /** The same object for as long as a verdict of {@link verify} holds: to be asked whenever one is remembered (P26). */
  readonly edition: object;
  /** Nine bytes: the first of the key's id as a hint, and the first eight of an HMAC-SHA-256. */
  tag(bytes: Uint8Array): MaybePromise<Uint8Array<ArrayBuffer>>;
  /** `"current"` when the first key made the tag, `"outdated"` when another of the ring did, or else `"forged"`. Never throws. */
  verify(bytes: Uint8Array, tag: Uint8Array): MaybePromise<"current" | "outdated" | "forged">;
}

const HINT_BYTES = 1;
const MAC_BYTES = 8;
const HASH_BYTES = 32;

/**
 * The MAC of one definition's tokens (P5).
 *
 * @throws TypeError when name and audience are longer than keys can be derived for
 */
export function tokenMac(context: TokenMacContext, engine: Primitives["hmac"] = hmac): TokenMac {
  const { keys: ring, name, audience } = context;
  const info = derivationInfo("coatcheck/token-mac/1", name, audience);
  const macOf = perKey({ ring, info, length: HASH_BYTES, make: (_, derived) => engine("SHA-256", derived) });

  function* tagBy(key: RingKey, bytes: Uint8Array): Steps<Uint8Array<ArrayBuffer>> {
    const mac = yield* settled(macOf(key));
    return concat(key.id.subarray(0, HINT_BYTES), (yield* settled(mac(bytes))).subarray(0, MAC_BYTES));
  }

  function* tag(bytes: Uint8Array): Steps<Uint8Array<ArrayBuffer>> {
    return yield* tagBy(yield* settled(ring.current()), bytes);
  }

  function* verify(bytes: Uint8Array, given: Uint8Array): Steps<"current" | "outdated" | "forged"> {
    // Several keys may have the same hint.
    for (const key of yield* settled(ring.find(given.subarray(0, HINT_BYTES)))) {
      if (!equalBytes(given, yield* tagBy(key, bytes))) continue;
      const standing = ring.standing(key);
      return standing === "removed" ? "forged" : standing;
    }
    return "forged";
  }

  return {
    get edition() {
      return ring.edition;
    },
    tag: (bytes) => run(tag(bytes)),
    verify: (bytes, given) => run(verify(bytes, given)),
  };
}
