/**
 * What Ktor puts into a cookie or a header: the serializer's text, through the transforms, in one of four encodings.
 *
 * @module
 */
import { utf8 } from "../internal/bytes.ts";
import { run, settled, type MaybePromise, type Steps } from "../internal/maybe-promise.ts";
import { checkNames } from "../internal/option-names.ts";
import type { DeepReadonly } from "../session/session.ts";
import { decodeBase64, encodeBase64 } from "./ktor-base64.ts";
import { escape, FORM, textOf, unescape, type KtorSerializer, type KtorTransform } from "./ktor-text.ts";

/**
 * How a text becomes the value of a cookie, by Ktor's names.
 *
 * - `"URI_ENCODING"`: percent-encoded, a space as `+`; of Ktor before 2.2 it is read too
 * - `"BASE64_ENCODING"`: base64 with padding
 * - `"DQUOTES"`: in quotes where it needs them; a text with quotes of its own cannot be written, so no JSON
 * - `"RAW"`: as it is
 *
 * What a browser would cut off or a header cannot carry (`;`, control characters, other than ASCII) is refused in the last two.
 */
export type KtorEncoding = "URI_ENCODING" | "BASE64_ENCODING" | "DQUOTES" | "RAW";

/** A whole value of a cookie or header. */
export interface KtorValueCodec<Data> {
  /** The data of a value as it came; null when anything is wrong with it. Never throws. */
  read(value: string): MaybePromise<Data | null>;
  /** The value to send. Throws a `TypeError`, or rejects with it, for data that cannot be written. */
  write(data: DeepReadonly<Data>): MaybePromise<string>;
}

/** Options of {@link ktorHeader}. */
export interface KtorHeaderOptions<Data> {
  /** What turns the data into a text: `ktorJson()`, `ktorForm()`, `ktorId()` for the id of a session in a storage, or your own. */
  readonly serializer: KtorSerializer<Data>;
  /** What is done to the text, in the order in which the Ktor server registers it; undone in reverse. Default nothing. */
  readonly transform?: readonly KtorTransform[] | undefined;
}

/** Options of {@link ktorCookie}. */
export interface KtorCookieOptions<Data> extends KtorHeaderOptions<Data> {
  /** Default `"URI_ENCODING"`, as in Ktor. */
  readonly encoding?: KtorEncoding | undefined;
}

/** How a text stands in a cookie or a header. */
export interface ValueEncoding {
  read(value: string): string | null;
  write(text: string): string;
}

/** What a header may carry, and a browser does not cut: `"` and `,` are not for cookies, but Ktor writes them. */
const PLAIN = /^[\x20-\x3a\x3c-\x7e]*$/;

const ENCODINGS: Readonly<Record<KtorEncoding, ValueEncoding>> = {
  URI_ENCODING: { read: (value) => unescape(value, true), write: (text) => escape(text, FORM) },
  BASE64_ENCODING: {
    read(value) {
      const bytes = decodeBase64(value);
      return bytes === undefined ? null : textOf(bytes);
    },
    write: (text) => encodeBase64(utf8(text)),
  },
  DQUOTES: {
    read: (value) => value,
    write(text) {
      if (text.includes('"') || !PLAIN.test(text)) throw unwritable("DQUOTES");
      return /[ ,]/.test(text) ? `"${text}"` : text;
    },
  },
  RAW: {
    read: (value) => value,
    write(text) {
      if (!PLAIN.test(text) || text.trim() !== text || unquoted(text) !== text) throw unwritable("RAW");
      return text;
    },
  },
};

function unwritable(encoding: string): TypeError {
  return new TypeError(`this text cannot be the value of a cookie in the encoding ${encoding}: take another one`);
}

/** As Ktor does, whatever the encoding. */
function unquoted(value: string): string {
  return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}

/** One of Ktor's cookie encodings by itself, without what else happens to a text. Throws a `TypeError` for an unknown one. */
export function ktorEncoding(name: KtorEncoding): ValueEncoding {
  if (!Object.hasOwn(ENCODINGS, name)) {
    throw new TypeError(`encoding must be one of ${Object.keys(ENCODINGS).join(", ")}`);
  }
  const { read, write } = ENCODINGS[name];
  return { read: (value) => read(unquoted(value)), write };
}

/**
 * The whole value of a Ktor session cookie, both ways: for a handler beside a Ktor server, or for taking its sessions over.
 *
 * Only the value: how the cookie is called, how long it lives and whether it is `Secure` is said where it is set. Nothing in a
 * value of Ktor's expires, and none can be revoked.
 *
 * @throws TypeError that names the option
 *
 * @example
 * ```ts
 * import { ktorCookie, ktorJson, ktorSign } from "coatcheck/compat/ktor";
 *
 * const old = ktorCookie({
 *   serializer: ktorJson<{ userId: string }>(),
 *   transform: [ktorSign({ key: "6819b57a326945c1968f45236589" })],
 * });
 * const data = await old.read("%7B%22userId%22%3A%22ada%22%7D%2F00"); // null: not signed with this key
 * ```
 */
export function ktorCookie<Data>(options: KtorCookieOptions<Data>): KtorValueCodec<Data> {
  checkNames("ktorCookie()", options, ["serializer", "transform", "encoding"]);
  return valueCodec(options, ktorEncoding(options.encoding ?? "URI_ENCODING"));
}

/**
 * The whole value of a Ktor session header, which has no encoding at all: data with other characters than ASCII is refused on
 * write unless a transform such as `ktorEncrypt()` makes them so.
 *
 * @throws TypeError that names the option
 *
 * @example
 * ```ts
 * import { ktorHeader, ktorId, ktorSign } from "coatcheck/compat/ktor";
 *
 * const ids = ktorHeader({ serializer: ktorId(), transform: [ktorSign({ key: "6819b57a326945c1968f45236589" })] });
 * ```
 */
export function ktorHeader<Data>(options: KtorHeaderOptions<Data>): KtorValueCodec<Data> {
  checkNames("ktorHeader()", options, ["serializer", "transform"]);
  return valueCodec(options, HEADER_ENCODING);
}

/** The text as it is. */
export const HEADER_ENCODING: ValueEncoding = {
  read: (value) => value,
  write(text) {
    if (/^[\x20-\x7e]*$/.test(text) && text.trim() === text) return text;
    throw new TypeError("this text cannot be the value of a header: encrypt it, or keep to ASCII");
  },
};

function valueCodec<Data>(
  { serializer, transform = [] }: KtorHeaderOptions<Data>,
  encoding: ValueEncoding,
): KtorValueCodec<Data> {
  requireMembers("serializer", serializer);
  if (!Array.isArray(transform)) throw new TypeError("transform must be a list");
  const transforms: readonly KtorTransform[] = [...transform];
  for (const one of transforms) requireMembers("transform", one);

  function* read(value: string): Steps<Data | null> {
    let text = encoding.read(value);
    for (const one of transforms.toReversed()) {
      if (text === null) return null;
      text = yield* settled(one.read(text));
    }
    return text === null ? null : serializer.read(text);
  }
  function* write(data: DeepReadonly<Data>): Steps<string> {
    let text = serializer.write(data);
    for (const one of transforms) text = yield* settled(one.write(text));
    return encoding.write(text);
  }
  return Object.freeze({
    read: (value: string) => run(read(value)),
    write: (data: DeepReadonly<Data>) => run(write(data)),
  });
}

/** Throws a `TypeError` that names the option when it cannot be a serializer or a transform. */
export function requireMembers(option: string, value: unknown): void {
  const { read, write } = (value ?? {}) as Partial<Record<"read" | "write", unknown>>;
  if (typeof read !== "function" || typeof write !== "function") {
    throw new TypeError(`${option} must have the methods read and write`);
  }
}
