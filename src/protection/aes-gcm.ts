/**
 * AES-256-GCM with a tag of 16 bytes (SP 800-38D): `node:crypto`, synchronous, or WebCrypto. Apart from the rest, so that an
 * app that only signs does not carry it.
 *
 * @module
 */
import { concat, fromUtf8, utf8 } from "../internal/bytes.ts";
import { unshared, type NodeCrypto } from "../internal/crypto.ts";
import type { MaybePromise } from "../internal/maybe-promise.ts";

/** The length of the tag, at the end of a ciphertext, in bytes. */
export const TAG_BYTES = 16;

/** Authenticated encryption of texts under one key. */
export interface AesGcm {
  /** What is associated ‖ ciphertext ‖ tag. `iv` must never come twice. */
  encrypt(iv: Uint8Array, associated: Uint8Array, text: string): MaybePromise<Uint8Array<ArrayBuffer>>;
  /** The text of ciphertext ‖ tag; undefined unless all three are what they were. */
  decrypt(iv: Uint8Array, associated: Uint8Array, sealed: Uint8Array): MaybePromise<string | undefined>;
}

/** Prepares a key of 32 bytes. */
export type PrepareAesGcm = (key: Uint8Array) => AesGcm;

/** AES-256-GCM by `node:crypto`, or by WebCrypto where that is undefined. */
export function aesGcm(node: NodeCrypto | undefined): PrepareAesGcm {
  return node === undefined ? aesGcmOfWeb : (key) => aesGcmOfNode(node as NodeCiphers, key);
}

/** The ciphers of `node:crypto`, by their shape. */
interface NodeCiphers extends NodeCrypto {
  createCipheriv(algorithm: string, key: never, iv: Uint8Array, options: typeof TAG_LENGTH): NodeCipher;
  createDecipheriv(algorithm: string, key: never, iv: Uint8Array, options: typeof TAG_LENGTH): NodeDecipher;
}
interface NodeCipher {
  setAAD(data: Uint8Array): unknown;
  update(text: string, encoding: "utf8"): Uint8Array;
  final(): Uint8Array;
  getAuthTag(): Uint8Array;
}
interface NodeDecipher {
  setAAD(data: Uint8Array): unknown;
  setAuthTag(tag: Uint8Array): unknown;
  update(data: Uint8Array): Uint8Array;
  final(): Uint8Array;
}

// Unless it is told the length, Node takes the first 4 bytes of a tag for the whole.
const TAG_LENGTH = { authTagLength: TAG_BYTES };

function aesGcmOfNode({ createCipheriv, createDecipheriv, createSecretKey }: NodeCiphers, key: Uint8Array): AesGcm {
  // Kept as a KeyObject: with the bytes every message would cost five times as much.
  const secret = createSecretKey(key);
  return {
    encrypt(iv, associated, text) {
      const cipher = createCipheriv("aes-256-gcm", secret, iv, TAG_LENGTH);
      cipher.setAAD(associated);
      const ciphertext = cipher.update(text, "utf8");
      cipher.final();
      return concat(associated, ciphertext, cipher.getAuthTag());
    },
    decrypt(iv, associated, sealed) {
      const tagAt = sealed.length - TAG_BYTES;
      if (tagAt < 0) return undefined;
      const decipher = createDecipheriv("aes-256-gcm", secret, iv, TAG_LENGTH);
      decipher.setAAD(associated);
      decipher.setAuthTag(sealed.subarray(tagAt));
      const text = decipher.update(sealed.subarray(0, tagAt));
      try {
        decipher.final();
      } catch {
        return undefined;
      }
      return fromUtf8(text);
    },
  };
}

function aesGcmOfWeb(key: Uint8Array): AesGcm {
  const { subtle } = crypto;
  const imported = subtle.importKey("raw", unshared(key), "AES-GCM", false, ["encrypt", "decrypt"]);
  const how = (iv: Uint8Array, associated: Uint8Array): AesGcmParams => ({
    name: "AES-GCM",
    iv: unshared(iv),
    additionalData: unshared(associated),
    tagLength: TAG_BYTES * 8,
  });
  return {
    async encrypt(iv, associated, text) {
      const sealed = await subtle.encrypt(how(iv, associated), await imported, utf8(text));
      return concat(associated, new Uint8Array(sealed));
    },
    async decrypt(iv, associated, sealed) {
      const secret = await imported;
      try {
        return fromUtf8(new Uint8Array(await subtle.decrypt(how(iv, associated), secret, unshared(sealed))));
      } catch {
        return undefined;
      }
    },
  };
}
