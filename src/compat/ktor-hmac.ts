/**
 * The HMACs that a Ktor server may be set to, by the names that it has for them.
 *
 * @module
 */
import { unshared, type Hmac, type NodeCrypto } from "../internal/crypto.ts";

/** The algorithm of a MAC, by its name in Java. MD5 and SHA-1 are weak as hashes; in an HMAC nobody has broken them. */
export type KtorMac = "HmacSHA256" | "HmacSHA384" | "HmacSHA512" | "HmacSHA1" | "HmacMD5";

const HASHES = {
  HmacSHA256: { node: "sha256", web: "SHA-256" },
  HmacSHA384: { node: "sha384", web: "SHA-384" },
  HmacSHA512: { node: "sha512", web: "SHA-512" },
  HmacSHA1: { node: "sha1", web: "SHA-1" },
  HmacMD5: { node: "md5", web: undefined },
} as const;

/** The MACs under one key. Throws a `TypeError` for an algorithm that is unknown, or that this platform does not have. */
export function ktorHmac(node: NodeCrypto | undefined, algorithm: KtorMac, key: Uint8Array): Hmac {
  if (!Object.hasOwn(HASHES, algorithm)) {
    throw new TypeError(`the algorithm of a MAC must be one of ${Object.keys(HASHES).join(", ")}`);
  }
  const hash = HASHES[algorithm];
  return node === undefined ? hmacOfWeb(algorithm, hash.web, key) : hmacOfNode(node, algorithm, hash.node, key);
}

function hmacOfNode(
  { createHmac, createSecretKey }: NodeCrypto,
  algorithm: KtorMac,
  hash: string,
  key: Uint8Array,
): Hmac {
  const secret = createSecretKey(key);
  const mac = (data: Uint8Array): Uint8Array<ArrayBuffer> => unshared(createHmac(hash, secret).update(data).digest());
  try {
    // As Ktor does: what the platform was built without shows at the start, and not at the first request.
    mac(new Uint8Array(0));
  } catch (cause) {
    throw new TypeError(`this platform has no ${algorithm}`, { cause });
  }
  return mac;
}

function hmacOfWeb(algorithm: KtorMac, hash: string | undefined, key: Uint8Array): Hmac {
  if (hash === undefined) throw new TypeError(`this platform has no ${algorithm}`);
  const { subtle } = crypto;
  const imported = subtle.importKey("raw", unshared(key), { name: "HMAC", hash }, false, ["sign"]);
  return async (data) => new Uint8Array(await subtle.sign("HMAC", await imported, unshared(data)));
}
