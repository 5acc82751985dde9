/**
 * What Ktor's `SessionTransportTransformerEncrypt` writes: `iv/ciphertext:mac`.
 *
 * @module
 */
import { equalText, hex, utf8 } from "../internal/bytes.ts";
import { nodeCrypto, randomBytes, type Hmac, type NodeCrypto } from "../internal/crypto.ts";
import { run, settled, type Steps } from "../internal/maybe-promise.ts";
import { checkNames } from "../internal/option-names.ts";
import type { Unprotected } from "../protection/protection.ts";
import { aesCbc, BLOCK_BYTES, type AesCbc } from "./ktor-aes-cbc.ts";
import { ktorHmac, type KtorMac } from "./ktor-hmac.ts";
import { ktorProtection, type KtorProtection } from "./ktor-protection.ts";
import { fromHex, keyBytes, textOf, type KtorKey } from "./ktor-text.ts";

/** Options of {@link ktorEncrypt}. */
export interface KtorEncryptOptions {
  /** The encryption key of the Ktor server, used as it is: 16, 24 or 32 bytes, for AES-128, AES-192 or AES-256. */
  readonly encryptKey: KtorKey;
  /** The signing key of the Ktor server, of any length. */
  readonly signKey: KtorKey;
  /** The algorithms, by their names in Java. Default AES and HmacSHA256, as in Ktor. Of ciphers there is no other here. */
  readonly algorithms?: { readonly encrypt?: "AES" | undefined; readonly sign?: KtorMac | undefined } | undefined;
  /**
   * Whether to read what Ktor wrote before 3.0, whose MAC is over the text. Default false, as in Ktor. Such a token has to be
   * decrypted before it can be judged, so that how long that takes may tell something of it: switch it off again when the
   * last old cookie has expired.
   */
  readonly backwardCompatibleRead?: boolean | undefined;
}

/** @internal What tests replace. */
export interface KtorEncryptParts {
  readonly node: NodeCrypto | undefined;
  readonly random: (length: number) => Uint8Array;
}

/** @internal What {@link ktorEncrypt} is made of. */
export const KTOR_ENCRYPT_PARTS: KtorEncryptParts = { node: nodeCrypto, random: randomBytes };

/**
 * Encrypted and signed as Ktor does it: AES-CBC with a random IV, and an HMAC over the ciphertext, in lower-case hexadecimal
 * digits.
 *
 * **Known weakness of the format: the IV is not authenticated.** Who can guess the first 16 bytes of a text (and JSON begins
 * predictably) can turn them into any other 16 bytes by changing the IV, another property included; the MAC still fits. So it
 * is for sharing sessions with a Ktor server, or taking them over from one, and never a default: believe what such a text says
 * only as far as its holder may decide it, and take `seal()` where no Ktor server reads along.
 *
 * @throws TypeError that names `encryptKey`, `signKey` or the algorithm
 *
 * @example
 * ```ts
 * import { ktorEncrypt } from "coatcheck/compat/ktor";
 *
 * const encrypted = ktorEncrypt({
 *   encryptKey: "00112233445566778899aabbccddeeff",
 *   signKey: "6819b57a326945c1968f45236589",
 * });
 * const text = await encrypted.read(await encrypted.write('{"userId":"ada"}'));
 * ```
 */
export function ktorEncrypt(options: KtorEncryptOptions): KtorProtection {
  return ktorEncryptWith(KTOR_ENCRYPT_PARTS, options);
}

/** @internal {@link ktorEncrypt} made of other parts. */
export function ktorEncryptWith({ node, random }: KtorEncryptParts, options: KtorEncryptOptions): KtorProtection {
  checkNames("ktorEncrypt()", options, ["encryptKey", "signKey", "algorithms", "backwardCompatibleRead"]);
  const { algorithms = {}, backwardCompatibleRead: old = false } = options;
  checkNames("algorithms of ktorEncrypt()", algorithms, ["encrypt", "sign"]);
  if ((algorithms.encrypt ?? "AES") !== "AES") throw new TypeError('algorithms.encrypt must be "AES"');
  if (typeof old !== "boolean") throw new TypeError("backwardCompatibleRead must be true or false");
  const key = keyBytes("encryptKey", options.encryptKey);
  if (![16, 24, 32].includes(key.length)) throw new TypeError("encryptKey must have 16, 24 or 32 bytes");
  const cipher = aesCbc(node, key);
  const mac = ktorHmac(node, algorithms.sign ?? "HmacSHA256", keyBytes("signKey", options.signKey));

  return ktorProtection({
    kind: "ktorEncrypt",
    open: (text) => run(opened(cipher, mac, text, old)),
    write: (text) => run(sealed(cipher, mac, text, random(BLOCK_BYTES))),
  });
}

function* sealed(cipher: AesCbc, mac: Hmac, text: string, iv: Uint8Array): Steps<string> {
  const ciphertext = yield* settled(cipher.encrypt(iv, utf8(text)));
  return `${hex(iv)}/${hex(ciphertext)}:${hex(yield* settled(mac(ciphertext)))}`;
}

function* opened(cipher: AesCbc, mac: Hmac, token: string, old: boolean): Steps<Unprotected | null> {
  const parts = partsOf(token);
  if (parts === null) return null;
  const { iv, ciphertext, given } = parts;
  const fits = equalText(hex(yield* settled(mac(ciphertext))), given);
  if (!fits && !old) return null;
  const plain = yield* settled(cipher.decrypt(iv, ciphertext));
  if (plain === null || !(fits || equalText(hex(yield* settled(mac(plain))), given))) return null;
  const text = textOf(plain);
  return text === null ? null : { text, outdated: !fits };
}

function partsOf(token: string): { iv: Uint8Array; ciphertext: Uint8Array; given: string } | null {
  const slash = token.lastIndexOf("/");
  const colon = token.lastIndexOf(":");
  if (slash === -1 || colon < slash) return null;
  const iv = fromHex(token.slice(0, slash));
  const ciphertext = fromHex(token.slice(slash + 1, colon));
  if (iv?.length !== BLOCK_BYTES || ciphertext === null) return null;
  if (ciphertext.length === 0 || ciphertext.length % BLOCK_BYTES !== 0) return null;
  return { iv, ciphertext, given: token.slice(colon + 1) };
}
