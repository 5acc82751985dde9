/**
 * Random bytes and hashes: `node:crypto`, synchronous, wherever it exists; WebCrypto elsewhere. Both give the same bytes.
 *
 * @module
 */
import { encodeBase64url } from "./base64url.ts";
import type { MaybePromise } from "./maybe-promise.ts";

/** What is used here of `node:crypto`, by its shape: the types of the root door must not need those of Node. */
export interface NodeCrypto {
  hash(algorithm: string, data: Uint8Array, encoding: "buffer"): Uint8Array;
  hash(algorithm: string, data: Uint8Array, encoding: "base64url"): string;
  createSecretKey(key: Uint8Array): never;
  createHmac(algorithm: string, key: never): NodeHmac;
  hkdfSync(digest: string, key: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): ArrayBuffer;
}

interface NodeHmac {
  update(data: Uint8Array): { digest(): Uint8Array };
  update(text: string, encoding: "latin1"): { digest(encoding: "base64url"): string };
}

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
  if (length > POOL_BYTES) return crypto.getRandomValues(new Uint8Array(length));
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

/** A function that computes HMACs under one key. */
export type Hmac = (data: Uint8Array) => MaybePromise<Uint8Array<ArrayBuffer>>;

/** The same of a text in which each character is a byte (U+0000 to U+00FF), as base64url: texts are faster, see `sha256Text`. */
export type HmacText = (text: string) => MaybePromise<string>;

/** The calculations over one of the two engines. */
export interface Primitives {
  /** SHA-256 of the bytes. */
  sha256(bytes: Uint8Array): MaybePromise<Uint8Array<ArrayBuffer>>;
  /** The same as base64url: as a text it costs a third, because bytes have to be handed over from native memory. */
  sha256Text(bytes: Uint8Array): MaybePromise<string>;
  /** Prepares a key for HMAC (RFC 2104). */
  hmac(hash: HashName, key: Uint8Array): Hmac;
  /** The same for texts. */
  hmacText(hash: HashName, key: Uint8Array): HmacText;
  /** HKDF-SHA-512 (RFC 5869): `length` bytes. `info` may have up to 1024: Node takes no more. */
  hkdfSha512(
    key: Uint8Array,
    salt: Uint8Array,
    info: Uint8Array,
    length: number,
  ): MaybePromise<Uint8Array<ArrayBuffer>>;
}

/** The calculations by `node:crypto`, or by WebCrypto where that is undefined. Tests check one against the other. */
export function primitives(node: NodeCrypto | undefined): Primitives {
  return node === undefined ? webPrimitives() : nodePrimitives(node);
}

const NODE_NAMES = { "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512" } as const;

function nodePrimitives({ hash, createHmac, createSecretKey, hkdfSync }: NodeCrypto): Primitives {
  return {
    sha256: (bytes) => hash("sha256", bytes, "buffer") as Uint8Array<ArrayBuffer>,
    sha256Text: (bytes) => hash("sha256", bytes, "base64url"),
    hmac(name, key) {
      const secret = createSecretKey(key);
      const algorithm = NODE_NAMES[name];
      return (data) => createHmac(algorithm, secret).update(data).digest() as Uint8Array<ArrayBuffer>;
    },
    hmacText(name, key) {
      const secret = createSecretKey(key);
      const algorithm = NODE_NAMES[name];
      return (text) => createHmac(algorithm, secret).update(text, "latin1").digest("base64url");
    },
    hkdfSha512: (key, salt, info, length) => new Uint8Array(hkdfSync("sha512", key, salt, info, length)),
  };
}

function webPrimitives(): Primitives {
  const { subtle } = crypto;
  const hmacOfWeb: Primitives["hmac"] = (hash, key) => {
    const imported = subtle.importKey("raw", unshared(key), { name: "HMAC", hash }, false, ["sign"]);
    return async (data) => new Uint8Array(await subtle.sign("HMAC", await imported, unshared(data)));
  };
  return {
    async sha256(bytes) {
      return new Uint8Array(await subtle.digest("SHA-256", unshared(bytes)));
    },
    async sha256Text(bytes) {
      return encodeBase64url(new Uint8Array(await subtle.digest("SHA-256", unshared(bytes))));
    },
    hmac: hmacOfWeb,
    hmacText(hash, key) {
      const mac = hmacOfWeb(hash, key);
      return async (text) => encodeBase64url(await mac(Uint8Array.from(text, (byte) => byte.charCodeAt(0))));
    },
    async hkdfSha512(key, salt, info, length) {
      const imported = await subtle.importKey("raw", unshared(key), "HKDF", false, ["deriveBits"]);
      const how = { name: "HKDF", hash: "SHA-512", salt: unshared(salt), info: unshared(info) };
      return new Uint8Array(await subtle.deriveBits(how, imported, length * 8));
    },
  };
}

/** The same bytes by the type that WebCrypto asks for: nothing here ever lies in shared memory. */
export function unshared(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>;
}

const here = primitives(nodeCrypto);

/** SHA-256 of the bytes. */
export const sha256: Primitives["sha256"] = here.sha256;

/** SHA-256 of the bytes, base64url. */
export const sha256Text: Primitives["sha256Text"] = here.sha256Text;

/** Prepares a key for HMAC (RFC 2104). */
export const hmac: Primitives["hmac"] = here.hmac;

/** The same for texts. */
export const hmacText: Primitives["hmacText"] = here.hmacText;

/** HKDF-SHA-512 (RFC 5869). */
export const hkdfSha512: Primitives["hkdfSha512"] = here.hkdfSha512;
