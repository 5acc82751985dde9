/**
 * What Ktor's `SessionTransportTransformerMessageAuthentication` writes: `text/mac`.
 *
 * @module
 */
import { equalText, hex, utf8 } from "../internal/bytes.ts";
import { nodeCrypto, type NodeCrypto } from "../internal/crypto.ts";
import { chain, type MaybePromise } from "../internal/maybe-promise.ts";
import { checkNames } from "../internal/option-names.ts";
import { ktorHmac, type KtorMac } from "./ktor-hmac.ts";
import { ktorProtection, type KtorProtection } from "./ktor-protection.ts";
import { keyBytes, type KtorKey } from "./ktor-text.ts";

/** Options of {@link ktorSign}. */
export interface KtorSignOptions {
  /** The key of the Ktor server, of any length: bytes, or hexadecimal digits. */
  readonly key: KtorKey;
  /** The MAC, by its name in Java. Default `"HmacSHA256"`, as in Ktor. HmacMD5 only where there is `node:crypto`. */
  readonly algorithm?: KtorMac | undefined;
}

/**
 * Signed as Ktor signs: the text, a slash, and its HMAC in lower-case hexadecimal digits. Anybody can read it. The MAC is
 * compared in constant time; what was signed by id is the id.
 *
 * For sharing sessions with a Ktor server, or taking them over from one. By itself it is weaker than `sign()`: bound to no
 * name, no audience and no time, and its key cannot be rotated.
 *
 * @throws TypeError that names `key` or the algorithm
 *
 * @example
 * ```ts
 * import { ktorSign } from "coatcheck/compat/ktor";
 *
 * const signed = ktorSign({ key: "6819b57a326945c1968f45236589" });
 * const text = await signed.read(await signed.write("384f8bdb")); // "384f8bdb"
 * ```
 */
export function ktorSign(options: KtorSignOptions): KtorProtection {
  return ktorSignWith(nodeCrypto, options);
}

/** @internal {@link ktorSign} over another engine. */
export function ktorSignWith(node: NodeCrypto | undefined, options: KtorSignOptions): KtorProtection {
  checkNames("ktorSign()", options, ["key", "algorithm"]);
  const mac = ktorHmac(node, options.algorithm ?? "HmacSHA256", keyBytes("key", options.key));
  const digitsOf = (text: string): MaybePromise<string> => chain(mac(utf8(text)), hex);
  return ktorProtection({
    kind: "ktorSign",
    open(signed) {
      const slash = signed.lastIndexOf("/");
      if (slash === -1) return null;
      const text = signed.slice(0, slash);
      const given = signed.slice(slash + 1);
      return chain(digitsOf(text), (digits) => (equalText(digits, given) ? { text, outdated: false } : null));
    },
    write: (text) => chain(digitsOf(text), (digits) => `${text}/${digits}`),
  });
}
