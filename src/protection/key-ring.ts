/**
 * Ordered secret keys with ids: the first protects, all open.
 *
 * @module
 */
import { equalBytes, hex, lengthPrefixed } from "../internal/bytes.ts";
import { hkdfSha512, type Primitives } from "../internal/crypto.ts";
import { chain, isPromise, type MaybePromise } from "../internal/maybe-promise.ts";
import { readKeys } from "./key-text.ts";

export { HOW_TO_MAKE_A_KEY } from "./key-text.ts";

/**
 * Keys as an app gives them. A key is 32 random bytes or more, written as base64url, base64 or hex, or as bytes. A text may
 * hold several, with commas or white space between them, as an environment variable does.
 */
export type KeyInput = string | Uint8Array | readonly (string | Uint8Array)[] | KeyRing;

/** A key as a protection may use it: by what is derived from it. The key itself stays in the ring. */
export interface RingKey {
  /** Four bytes that name the key in a token. They are derived from it and say nothing about it. */
  readonly id: Uint8Array<ArrayBuffer>;
  /**
   * HKDF-SHA-512 of the key (RFC 5869): `length` bytes for one use. `info` says for which, unambiguously and beginning with
   * a label of the protection's own; up to 1024 bytes.
   */
  derive(info: Uint8Array, salt: Uint8Array, length: number): MaybePromise<Uint8Array<ArrayBuffer>>;
}

/** What a key is good for: `"current"` protects and opens, `"outdated"` opens only, `"removed"` does neither any more. */
export type KeyStanding = "current" | "outdated" | "removed";

interface Entry {
  readonly bytes: Uint8Array<ArrayBuffer>;
  key: RingKey | undefined;
}

const ID_BYTES = 4;
const ID_INFO = lengthPrefixed("coatcheck/key-id/1");
const NO_SALT = new Uint8Array(0);

/**
 * Ordered secret keys. To replace a key without signing anybody out: add the new one at the end on every server, then put it
 * first everywhere, and remove the old one when the sessions made with it have ended. To cut off a key that leaked, remove
 * it: what was made with it stops working at once.
 *
 * Prints, inspects and serialises as the ids of its keys.
 */
export class KeyRing {
  #entries: readonly Entry[];
  #identified: readonly RingKey[] | undefined;
  readonly #hkdf: Primitives["hkdfSha512"];

  /**
   * See {@link keyRing}.
   *
   * @throws TypeError that names `keys`, and contains none of them
   */
  constructor(keys: KeyInput);
  /** @internal Tests choose the engine. */
  constructor(keys: KeyInput, hkdf: Primitives["hkdfSha512"]);
  constructor(keys: KeyInput, hkdf: Primitives["hkdfSha512"] = hkdfSha512) {
    this.#hkdf = hkdf;
    this.#entries = this.#read(keys, []);
    Object.defineProperty(this, Symbol.for("nodejs.util.inspect.custom"), { value: () => this.toString() });
  }

  /**
   * The ids of the keys, eight hexadecimal digits each, the protecting one first. Safe to print. At once on Node, Bun and Deno;
   * a promise where only WebCrypto can derive them: `await ring.ids()` fits both.
   */
  ids(): MaybePromise<readonly string[]> {
    return chain(this.#all(), (keys) => keys.map(({ id }) => hex(id)));
  }

  /**
   * Replaces the keys of a running process, for every definition that uses this ring. What was protected by a key that is no
   * longer there is worthless from now on, also where it had been opened before.
   *
   * @throws TypeError as {@link keyRing} does; then the ring stays as it was
   */
  replace(keys: KeyInput): void {
    this.#entries = this.#read(keys, this.#entries);
    this.#identified = undefined;
  }

  /** The key that protects. */
  current(): MaybePromise<RingKey> {
    return chain(this.#all(), ([first]) => first as RingKey);
  }

  /** The keys whose id begins with these bytes, in order: none or one for a whole id, but for a chance of 2^-32. */
  find(idStart: Uint8Array): MaybePromise<readonly RingKey[]> {
    return chain(this.#all(), (keys) => keys.filter(({ id }) => idStart.every((byte, at) => id[at] === byte)));
  }

  /** @internal The same object for as long as the ring has the same keys in the same order. */
  get edition(): object {
    return this.#entries;
  }

  /** What a key that came from this ring is good for now. To be asked whenever something remembered is used (P26). */
  standing(key: RingKey): KeyStanding {
    const at = this.#entries.findIndex((entry) => entry.key === key);
    if (at === -1) return "removed";
    return at === 0 ? "current" : "outdated";
  }

  /** The ids, for `JSON.stringify`. */
  toJSON(): { readonly ids: readonly string[] } {
    return { ids: this.#labels() };
  }

  /** The ids, in a line. */
  toString(): string {
    return `KeyRing [${this.#labels().join(", ")}]`;
  }

  #labels(): readonly string[] {
    const ids = this.ids();
    if (!isPromise(ids)) return ids;
    // Printing cannot wait: on WebCrypto the ids are there the next time.
    ids.then(undefined, () => {});
    return this.#entries.map(({ key }) => (key === undefined ? "not derived yet" : hex(key.id)));
  }

  /** Keys that were there before keep their entry, and so what leaves have derived from them. */
  #read(keys: KeyInput, before: readonly Entry[]): readonly Entry[] {
    if (keys instanceof KeyRing) return keys.#entries;
    return readKeys(keys).map(
      (bytes) => before.find((entry) => equalBytes(entry.bytes, bytes)) ?? { bytes, key: undefined },
    );
  }

  #all(): MaybePromise<readonly RingKey[]> {
    if (this.#identified !== undefined) return this.#identified;
    const entries = this.#entries;
    return chain(together(entries.map((entry) => this.#identify(entry))), (keys) => {
      if (entries === this.#entries) this.#identified = keys;
      return keys;
    });
  }

  #identify(entry: Entry): MaybePromise<RingKey> {
    if (entry.key !== undefined) return entry.key;
    const derive: RingKey["derive"] = (info, salt, length) => this.#hkdf(entry.bytes, salt, info, length);
    return chain(derive(ID_INFO, NO_SALT, ID_BYTES), (id) => (entry.key ??= Object.freeze({ id, derive })));
  }
}

/**
 * A ring of keys: what `keys` of a definition may be, once and for several of them, with a handle to replace the keys.
 *
 * @example
 * ```ts
 * import { keyRing } from "coatcheck";
 *
 * const keys = keyRing(process.env.SESSION_KEYS);
 * process.on("SIGHUP", () => keys.replace(readSecretFile()));
 * ```
 *
 * @throws TypeError that names `keys`, says what is wrong with which of them (missing, short, repetitive, a passphrase, given
 * twice) and how to make one, and contains none of them
 */
export function keyRing(keys: KeyInput | undefined): KeyRing {
  return keys instanceof KeyRing ? keys : new KeyRing(keys as KeyInput);
}

function together<T>(values: readonly MaybePromise<T>[]): MaybePromise<readonly T[]> {
  return values.some(isPromise) ? Promise.all(values) : (values as readonly T[]);
}
