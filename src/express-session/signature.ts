/**
 * The signature of express-session's cookies: `s:<id>.<HMAC-SHA-256 of the id, base64 without padding>`.
 *
 * @module
 */
import { createHmac, type BinaryLike, type KeyObject } from "node:crypto";
import { boundedCache } from "../internal/bounded-cache.ts";
import { equalText } from "../internal/bytes.ts";

/** A secret to sign with. */
export type Secret = BinaryLike | KeyObject;

/** Signs and checks the ids in the cookies of one application. */
export interface Signer {
  /** The cookie's value for an id, under the first secret. */
  sign(id: string): string;
  /** The id in a value; undefined when no secret has signed it. */
  unsign(value: string): string | undefined;
  /** The id in a cookie as it came, percent-encoded; undefined when no secret has signed it. */
  read(raw: string): string | undefined;
}

const PREFIX = "s:";
/** How many cookies are remembered that were found to be signed: looking one up costs less than an HMAC. */
const REMEMBERED = 2048;
/** A longer one may be signed, but is not worth remembering. */
const MEMORABLE = 200;

/** The signer of a list of secrets: the first signs, all are tried. */
export function signerOf(secrets: readonly Secret[]): Signer {
  const known = boundedCache<string, { readonly id: string }>(REMEMBERED);
  const [first] = secrets;
  const unsign = (value: string): string | undefined =>
    value.startsWith(PREFIX) ? unsigned(value.slice(PREFIX.length), secrets) : undefined;
  return {
    sign: (id) => `${PREFIX}${id}.${macOf(id, first as Secret)}`,
    unsign,
    read(raw) {
      const remembered = known.get(raw);
      if (remembered !== undefined) return remembered.id;
      const id = unsign(decoded(raw));
      if (id !== undefined && raw.length <= MEMORABLE) known.offer(raw, { id });
      return id;
    },
  };
}

function decoded(raw: string): string {
  const bare = raw.length > 1 && raw.startsWith('"') && raw.endsWith('"') ? raw.slice(1, -1) : raw;
  if (!bare.includes("%")) return bare;
  try {
    return decodeURIComponent(bare);
  } catch {
    return bare;
  }
}

function unsigned(signed: string, secrets: readonly Secret[]): string | undefined {
  const dot = signed.lastIndexOf(".");
  if (dot === -1) return undefined;
  const id = signed.slice(0, dot);
  const mac = signed.slice(dot + 1);
  return secrets.some((secret) => equalText(macOf(id, secret), mac)) ? id : undefined;
}

function macOf(id: string, secret: Secret): string {
  return createHmac("sha256", secret).update(id).digest("base64").replace(/=+$/, "");
}
