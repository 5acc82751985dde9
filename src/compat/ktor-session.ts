/**
 * Definitions whose sessions a Ktor server reads and writes too: what `cookie<…>` and `header<…>` without a storage are there.
 *
 * @module
 */
import { decodeBase64url, encodeBase64url } from "../internal/base64url.ts";
import { fromUtf8, utf8 } from "../internal/bytes.ts";
import { run, settled, type Steps } from "../internal/maybe-promise.ts";
import { checkNames } from "../internal/option-names.ts";
import type { Protection, Unprotected } from "../protection/protection.ts";
import type { SessionCodec } from "../session/session-codec.ts";
import type { CookieOptions } from "../transport/cookie-options.ts";
import { cookie } from "../transport/cookie.ts";
import { header } from "../transport/header.ts";
import type { TokenForm } from "../transport/token-form.ts";
import type { Transport } from "../transport/transport.ts";
import { ktorEncoding, HEADER_ENCODING, requireMembers, type KtorEncoding, type ValueEncoding } from "./ktor-cookie.ts";
import { ktorProtection, type KtorProtection } from "./ktor-protection.ts";
import type { KtorSerializer, KtorTransform } from "./ktor-text.ts";

/** Options of {@link ktorHeaderSession}. */
export interface KtorHeaderSessionOptions<Data extends object> {
  /** What turns the data into a text: `ktorJson()`, `ktorForm()`, or your own. */
  readonly serializer: KtorSerializer<Data>;
  /**
   * What is done to the text, in the order in which the Ktor server registers it; undone in reverse. One at least: without any,
   * clients could say what they like.
   */
  readonly transform: readonly KtorTransform[];
}

/** Options of {@link ktorCookieSession}. */
export interface KtorCookieSessionOptions<Data extends object> extends KtorHeaderSessionOptions<Data> {
  /** Default `"URI_ENCODING"`, as in Ktor. */
  readonly encoding?: KtorEncoding | undefined;
  /**
   * How the cookie looks: as the Ktor server says, above all `path` and `domain`, or browsers keep two of them. Default as
   * that of `cookie()`, but without a prefix.
   */
  readonly cookie?: Omit<CookieOptions, "form" | "split"> | undefined;
}

/** The options of `defineSession` that make its sessions those of a Ktor server. */
export interface KtorSession<Data extends object> {
  readonly codec: SessionCodec<Data>;
  readonly protection: Protection;
  readonly transport: Transport;
  /** Nothing that Ktor writes ends or can be ended: what was written once is good for ever. */
  readonly absoluteTimeout: false;
  readonly revocation: "none";
}

/**
 * Options for `defineSession`, so that a Ktor server's `cookie<…>(name)` without a storage and the definition have the same
 * sessions: what one of them writes, the other one reads.
 *
 * Such a session has its data and nothing else: no end, no `authenticate`, no `flash`, no revocation, and nothing that binds it
 * to its name: give it a key of its own. Two requests at once, here or there: the last answer wins.
 *
 * @throws TypeError that names the option
 *
 * @example
 * ```ts
 * import { defineSession } from "coatcheck";
 * import { ktorCookieSession, ktorJson, ktorSign } from "coatcheck/compat/ktor";
 *
 * const cart = defineSession({
 *   name: "cart_session",
 *   ...ktorCookieSession({
 *     serializer: ktorJson<{ productIds: number[] }>(),
 *     transform: [ktorSign({ key: "6819b57a326945c1968f45236589" })],
 *   }),
 * });
 * ```
 */
export function ktorCookieSession<Data extends object>(options: KtorCookieSessionOptions<Data>): KtorSession<Data> {
  checkNames("ktorCookieSession()", options, ["serializer", "transform", "encoding", "cookie"]);
  const attributes: unknown = options.cookie ?? {};
  if (options.cookie === null || typeof attributes !== "object" || "form" in (attributes as object)) {
    throw new TypeError("cookie must be options of cookie(), without form: that is what encoding is for");
  }
  const form = formOf(ktorEncoding(options.encoding ?? "URI_ENCODING"));
  return ktorSession(options, cookie({ prefix: "", ...options.cookie, form }));
}

/**
 * Options for `defineSession`, so that a Ktor server's `header<…>(name)` without a storage and the definition have the same
 * sessions. As {@link ktorCookieSession}; data with other characters than ASCII needs `ktorEncrypt()`.
 *
 * @param name The name of the header
 * @throws TypeError that names the option
 *
 * @example
 * ```ts
 * import { defineSession } from "coatcheck";
 * import { ktorEncrypt, ktorHeaderSession, ktorJson } from "coatcheck/compat/ktor";
 *
 * const encrypted = ktorEncrypt({ encryptKey: "00112233445566778899aabbccddeeff", signKey: "6819b57a326945c1968f45236589" });
 * const cart = defineSession({
 *   name: "cart",
 *   ...ktorHeaderSession("cart_session", { serializer: ktorJson<{ productIds: number[] }>(), transform: [encrypted] }),
 * });
 * ```
 */
export function ktorHeaderSession<Data extends object>(
  name: string,
  options: KtorHeaderSessionOptions<Data>,
): KtorSession<Data> {
  if (typeof name !== "string") throw new TypeError("name must be the name of the header");
  checkNames("ktorHeaderSession()", options, ["serializer", "transform"]);
  return ktorSession(options, header(name, { form: formOf(HEADER_ENCODING) }));
}

function ktorSession<Data extends object>(
  { serializer, transform }: KtorHeaderSessionOptions<Data>,
  transport: Transport,
): KtorSession<Data> {
  requireMembers("serializer", serializer);
  if (!Array.isArray(transform) || transform.length === 0) {
    throw new TypeError(
      "transform must be a list, with ktorSign() or ktorEncrypt() in it: clients could change a plain text",
    );
  }
  for (const one of transform) requireMembers("transform", one);
  return Object.freeze({
    codec: serializer,
    protection: protectionOf([...transform]),
    transport,
    absoluteTimeout: false,
    revocation: "none",
  });
}

/** A token is the text in base64url (see `ktorProtection`); what travels is the text in an encoding of Ktor's. */
function formOf(encoding: ValueEncoding): TokenForm {
  return {
    read(value) {
      const text = encoding.read(value);
      return text === null ? null : encodeBase64url(utf8(text));
    },
    write: (token) => encoding.write(fromUtf8(decodeBase64url(token) ?? new Uint8Array())),
  };
}

/** All transforms as one protection. */
function protectionOf(transforms: readonly KtorTransform[]): Protection {
  return ktorProtection({
    kind: transforms.map((one) => (isProtection(one) ? one.kind : "custom")).join("+"),
    open: (text) => run(opened(transforms, text)),
    write: (text) => run(written(transforms, text)),
  });
}

function* opened(transforms: readonly KtorTransform[], token: string): Steps<Unprotected | null> {
  let text = token;
  let outdated = false;
  for (const one of transforms.toReversed()) {
    const read = isProtection(one) ? yield* settled(one.open(text)) : yield* settled(one.read(text));
    if (read === null) return null;
    text = typeof read === "string" ? read : read.text;
    outdated ||= typeof read !== "string" && read.outdated;
  }
  return { text, outdated };
}

function* written(transforms: readonly KtorTransform[], data: string): Steps<string> {
  let text = data;
  for (const one of transforms) text = yield* settled(one.write(text));
  return text;
}

function isProtection(transform: KtorTransform): transform is KtorProtection {
  return "open" in transform;
}
