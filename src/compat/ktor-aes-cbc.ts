/**
 * AES in CBC mode with the padding of PKCS #7 (SP 800-38A): `node:crypto`, synchronous, or WebCrypto.
 *
 * @module
 */
import { concat } from "../internal/bytes.ts";
import { unshared, type NodeCrypto } from "../internal/crypto.ts";
import type { MaybePromise } from "../internal/maybe-promise.ts";

/** The length of a block, and so of an IV, in bytes. */
export const BLOCK_BYTES = 16;

/** Encryption without authentication: somebody else has to see to that. */
export interface AesCbc {
  encrypt(iv: Uint8Array, plain: Uint8Array): MaybePromise<Uint8Array>;
  /** What was encrypted; null when the padding says that this was not. */
  decrypt(iv: Uint8Array, sealed: Uint8Array): MaybePromise<Uint8Array | null>;
}

interface NodeCipher {
  update(data: Uint8Array): Uint8Array;
  final(): Uint8Array;
}

/** The ciphers of `node:crypto`, by their shape. */
interface NodeCiphers extends NodeCrypto {
  createCipheriv(algorithm: string, key: never, iv: Uint8Array): NodeCipher;
  createDecipheriv(algorithm: string, key: never, iv: Uint8Array): NodeCipher;
}

/** AES under a key of 16, 24 or 32 bytes. */
export function aesCbc(node: NodeCrypto | undefined, key: Uint8Array): AesCbc {
  return node === undefined ? aesCbcOfWeb(key) : aesCbcOfNode(node as NodeCiphers, key);
}

function aesCbcOfNode({ createCipheriv, createDecipheriv, createSecretKey }: NodeCiphers, key: Uint8Array): AesCbc {
  const algorithm = `aes-${key.length * 8}-cbc`;
  const secret = createSecretKey(key);
  return {
    encrypt(iv, plain) {
      const cipher = createCipheriv(algorithm, secret, iv);
      return concat(cipher.update(plain), cipher.final());
    },
    decrypt(iv, sealed) {
      const decipher = createDecipheriv(algorithm, secret, iv);
      try {
        return concat(decipher.update(sealed), decipher.final());
      } catch {
        return null;
      }
    },
  };
}

function aesCbcOfWeb(key: Uint8Array): AesCbc {
  const { subtle } = crypto;
  const imported = subtle.importKey("raw", unshared(key), "AES-CBC", false, ["encrypt", "decrypt"]);
  // Browsers of the Chromium family have no AES-192: it is the first use that says so, not an unhandled rejection.
  imported.catch(() => {});
  const how = (iv: Uint8Array): AesCbcParams => ({ name: "AES-CBC", iv: unshared(iv) });
  return {
    async encrypt(iv, plain) {
      return new Uint8Array(await subtle.encrypt(how(iv), await imported, unshared(plain)));
    },
    async decrypt(iv, sealed) {
      const secret = await imported;
      try {
        return new Uint8Array(await subtle.decrypt(how(iv), secret, unshared(sealed)));
      } catch {
        return null;
      }
    },
  };
}
