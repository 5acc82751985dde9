/**
 * Split tokens: id ‖ secret, and a short MAC where there are keys (protocol §2).
 *
 * @module
 */
import { decodeBase64url, encodeBase64url } from "../internal/base64url.ts";
import { boundedCache } from "../internal/bounded-cache.ts";
import { concat, lengthPrefixed, utf8 } from "../internal/bytes.ts";
import { hmac, randomBytes, sha256, sha256Text } from "../internal/crypto.ts";
import { chain, isPromise, type MaybePromise } from "../internal/maybe-promise.ts";
import type { TokenMac } from "../protection/token-mac.ts";
import type { RecordMemo } from "./record.ts";

/** The length of a secret, and of an id that coatcheck makes, in bytes. */
export const SECRET_BYTES = 16;
const MAC_BYTES = 9;
const MAX_ID_BYTES = 64;

/** A secret that proves the right to use a session. On the wire only. */
export type Secret = Uint8Array<ArrayBuffer>;

/** A token that was taken apart. */
export interface ParsedToken {
  /** The public id of the session, base64url. */
  readonly id: string;
  readonly secret: Secret;
  /** Whether it lacks a MAC, or has one of another key than the first, so that it should be issued again. */
  readonly outdated: boolean;
}

/** A token that led to a session, and what the store keeps of its secret. */
export interface OpenedToken extends ParsedToken {
  readonly mine: string;
  /** Room for what was read of the record, of a token that is remembered. */
  readonly memo?: RecordMemo | undefined;
}

/** Why a token was refused without a look into the store. */
export type TokenRefusal = "malformed" | "forged";

/** Makes and reads the tokens of one definition. */
export interface TokenCodec {
  /** A new public id. */
  newId(): string;
  /** The token of an id and a secret. */
  write(id: string, secret: Secret): MaybePromise<string>;
  /** Takes a token apart: syntax first, then the MAC. Never throws. */
  parse(token: string): MaybePromise<ParsedToken | TokenRefusal>;
  /** What was remembered of a token, if its key is what it was (P26): a client comes with the same one again and again. */
  recall(token: string): OpenedToken | undefined;
  /** Is told of a token that led to a session, and may remember it: those of many clients, but not of everyone who makes some up. */
  remember(token: string, opened: OpenedToken): void;
  /**
   * The id and secret of the session of a client who is known otherwise: by its certificate, say. Whatever makes the client
   * known may be public, so the secret is longer than any that a token can have: nobody can present it.
   */
  identity(client: string): MaybePromise<ParsedToken>;
  /** What the store keeps of a secret: SHA-256(LP(name) ‖ LP(audience) ‖ secret), base64url. */
  verifier(secret: Secret): MaybePromise<string>;
}

/** What {@link tokenCodec} needs. */
export interface TokenOptions {
  readonly name: string;
  readonly audience: string;
  /** The MAC, when the definition has keys. */
  readonly mac: TokenMac | undefined;
  /** Whether tokens without a MAC are accepted too, while keys are introduced. */
  readonly acceptUnsigned: boolean;
  /** Where ids come from; undefined: 16 random bytes. */
  readonly generateId: (() => Uint8Array) | undefined;
}

/**
 * How many tokens are remembered, with what was read of a small record (see `ById.remembers`): 12 MB in all where sessions have
 * 100 bytes of data.
 */
const MOST_REMEMBERED = 16_384;

interface Remembered extends OpenedToken {
  readonly edition: object | undefined;
  readonly memo: RecordMemo;
}

function remembered({ id, secret, outdated, mine }: OpenedToken, edition: object | undefined): Remembered {
  return { id, secret, outdated, mine, edition, memo: { stored: undefined, record: undefined } };
}

/** The token codec of a definition. */
export function tokenCodec(options: TokenOptions): TokenCodec {
  const { mac, generateId } = options;
  const prefix = lengthPrefixed(options.name, options.audience);

  function split(bytes: Secret, outdated: boolean): ParsedToken {
    const at = bytes.length - SECRET_BYTES;
    return { id: encodeBase64url(bytes.subarray(0, at)), secret: bytes.subarray(at), outdated };
  }

  function hasLength(length: number): boolean {
    const id = length - SECRET_BYTES;
    return generateId === undefined ? id === SECRET_BYTES : id >= SECRET_BYTES && id <= MAX_ID_BYTES;
  }

  /** Servers get their keys one after the other: the MAC of one that has them already is nothing to one that has not. */
  function withoutKeys(bytes: Secret): ParsedToken | "malformed" {
    if (hasLength(bytes.length)) return split(bytes, false);
    return hasLength(bytes.length - MAC_BYTES) ? split(bytes.subarray(0, -MAC_BYTES), false) : "malformed";
  }

  const known = boundedCache<string, Remembered>(MOST_REMEMBERED);

  return {
    newId: idGenerator(generateId),

    recall(token) {
      const opened = known.get(token);
      return opened !== undefined && opened.edition === mac?.edition ? opened : undefined;
    },

    remember: (token, opened) => known.offer(token, remembered(opened, mac?.edition)),

    write(id, secret) {
      const bytes = concat(decodeBase64url(id) as Secret, secret);
      if (mac === undefined) return encodeBase64url(bytes);
      return chain(mac.tag(bytes), (tag) => encodeBase64url(concat(bytes, tag)));
    },

    parse(token) {
      const bytes = decodeBase64url(token);
      if (bytes === undefined) return "malformed";
      if (mac === undefined) return withoutKeys(bytes);
      const unsigned = options.acceptUnsigned && hasLength(bytes.length) ? split(bytes, true) : undefined;
      if (!hasLength(bytes.length - MAC_BYTES)) {
        return unsigned ?? (hasLength(bytes.length) ? "forged" : "malformed");
      }
      const body = bytes.subarray(0, bytes.length - MAC_BYTES);
      return chain(mac.verify(body, bytes.subarray(body.length)), (verdict) =>
        verdict === "forged" ? (unsigned ?? "forged") : split(body, verdict === "outdated"),
      );
    },

    identity(client) {
      const named = concat(lengthPrefixed("identity", options.name, options.audience), utf8(client));
      return chain(sha256(named), (hash) =>
        chain(sha256(concat(lengthPrefixed("secret"), hash)), (secret) => {
          return { id: encodeBase64url(hash.subarray(0, SECRET_BYTES)), secret, outdated: false };
        }),
      );
    },

    verifier(secret) {
      return sha256Text(concat(prefix, secret));
    },
  };
}

/**
 * The secret that follows another in a renewal: everybody who holds the one and is told the nonce has the same next one,
 * and the store, which knows only the nonce, has none (P9).
 */
export function nextSecret(current: Secret, nonce: string): MaybePromise<Secret> {
  const message = concat(lengthPrefixed("renew"), utf8(nonce));
  return chain(hmac("SHA-256", current)(message), (mac) => mac.slice(0, SECRET_BYTES));
}

/** A new secret. */
export function newSecret(): Secret {
  return randomBytes(SECRET_BYTES);
}

/** Makes new public ids, by the application's generator or of 16 random bytes. */
export function idGenerator(generateId: (() => Uint8Array) | undefined): () => string {
  return () => encodeBase64url(generateId === undefined ? randomBytes(SECRET_BYTES) : checkedId(generateId()));
}

/** Refuses an id of a generator that could be guessed or does not fit. */
export function checkedId(id: unknown): Uint8Array {
  if (!(id instanceof Uint8Array)) {
    throw new TypeError(`generateId must return a Uint8Array${isPromise(id) ? ", not a promise" : ""}`);
  }
  if (id.length < SECRET_BYTES || id.length > MAX_ID_BYTES) {
    throw new TypeError(
      `generateId must return ${SECRET_BYTES} to ${MAX_ID_BYTES} random bytes, and returned ${id.length}`,
    );
  }
  return id;
}
