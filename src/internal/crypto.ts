/**
 * Random bytes and hashes: `node:crypto`, synchronous, wherever it exists; WebCrypto elsewhere. Both give the same bytes.
 *
 * @module
 */
import type * as NodeCryptoModule from "node:crypto";
import type { MaybePromise } from "./maybe-promise.ts";

type NodeCrypto = typeof NodeCryptoModule;

interface ProcessWithBuiltins {
  getBuiltinModule?(id: "node:crypto"): NodeCrypto | undefined;
}

/** `node:crypto` with its one-shot `hash`, or undefined. Asking for it this way keeps the import out of every bundle. */
export const nodeCrypto: NodeCrypto | undefined = findNodeCrypto();

function findNodeCrypto(): NodeCrypto | undefined {
  const found = (globalThis as { process?: ProcessWithBuiltins }).process?.getBuiltinModule?.("node:crypto");
  return typeof found?.hash === "function" ? found : undefined;
}

const POOL_BYTES = 2048;
const POOL_LIFETIME = 1000;
const pool = new Uint8Array(POOL_BYTES);
let used = POOL_BYTES;
let filledAt = 0;

/**
 * `length` bytes of the system's random generator. They come from a pool, one call for many sessions, that is thrown away
 * after a second: a process image that is copied (a snapshot, a fork) must not hand out the same bytes twice (P26).
 */
export function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  const now = Date.now();
  if (used + length > POOL_BYTES || now - filledAt >= POOL_LIFETIME || now < filledAt) {
    crypto.getRandomValues(pool);
    used = 0;
    filledAt = now;
  }
  const bytes = pool.slice(used, used + length);
  pool.fill(0, used, used + length);
  used += length;
  return bytes;
}

/** The hashes that are used here, by their WebCrypto names. */
export type HashName = "SHA-256" | "SHA-384" | "SHA-512";

const NODE_NAMES = { "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512" } as const;

/** SHA-256 of the bytes. */
export function sha256(bytes: Uint8Array<ArrayBuffer>): MaybePromise<Uint8Array<ArrayBuffer>> {
  if (nodeCrypto !== undefined) return nodeCrypto.hash("sha256", bytes, "buffer") as Uint8Array<ArrayBuffer>;
  return crypto.subtle.digest("SHA-256", bytes).then((digest) => new Uint8Array(digest));
}

/** A function that computes HMACs under one key. */
export type Hmac = (data: Uint8Array<ArrayBuffer>) => MaybePromise<Uint8Array<ArrayBuffer>>;

/** Prepares a key for HMAC (RFC 2104). */
export function hmac(hash: HashName, key: Uint8Array<ArrayBuffer>): Hmac {
  if (nodeCrypto !== undefined) {
    const { createHmac, createSecretKey } = nodeCrypto;
    const secret = createSecretKey(key);
    const algorithm = NODE_NAMES[hash];
    return (data) => createHmac(algorithm, secret).update(data).digest() as Uint8Array<ArrayBuffer>;
  }
  const imported = crypto.subtle.importKey("raw", key, { name: "HMAC", hash }, false, ["sign"]);
  return async (data) => new Uint8Array(await crypto.subtle.sign("HMAC", await imported, data));
}

/** HKDF-SHA-512 (RFC 5869). */
export function hkdfSha512(
  key: Uint8Array<ArrayBuffer>,
  salt: Uint8Array<ArrayBuffer>,
  info: Uint8Array<ArrayBuffer>,
  length: number,
): MaybePromise<Uint8Array<ArrayBuffer>> {
  if (nodeCrypto !== undefined) return new Uint8Array(nodeCrypto.hkdfSync("sha512", key, salt, info, length));
  return crypto.subtle
    .importKey("raw", key, "HKDF", false, ["deriveBits"])
    .then((imported) => crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-512", salt, info }, imported, length * 8))
    .then((bits) => new Uint8Array(bits));
}
