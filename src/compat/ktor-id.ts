/**
 * Ktor's session ids, and where its directory storage keeps them.
 *
 * @module
 */
import { hex } from "../internal/bytes.ts";
import { randomBytes } from "../internal/crypto.ts";
import type { KtorSerializer } from "./ktor-text.ts";

/** 32 bytes since Ktor 2.0, 16 in 1.5 and 1.6, 8 before: an old directory holds them all. */
const GENERATED = /^(?:[0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{16})$/;
/** Nothing that means something to a file system, of any kind; `..` is looked for besides. */
const SAFE_ID = /^[A-Za-z0-9_.@=~+,-]{1,200}$/;
const ID_BYTES = 32;

/** An id as Ktor 2 and 3 make them: 32 random bytes in 64 lower-case hexadecimal digits. */
export function generateKtorId(): string {
  return hex(randomBytes(ID_BYTES));
}

/**
 * The serializer of a session by id: what travels is the id itself.
 *
 * @param accept Which texts are ids. Default: what Ktor generates, 64 lower-case hexadecimal digits, or 32 or 16 as its old
 *   versions did. Give one only for a server that makes ids of its own by `identity { … }`.
 * @throws TypeError when `accept` is no function
 */
export function ktorId(accept: (id: string) => boolean = (id) => GENERATED.test(id)): KtorSerializer<string> {
  if (typeof accept !== "function") throw new TypeError("accept must be a function");
  return Object.freeze({
    read: (text: string): string | null => (accept(text) ? text : null),
    write(id: string): string {
      if (!accept(id)) throw new TypeError("a session id of another shape than `accept` allows");
      return id;
    },
  });
}

/**
 * Where Ktor's directory storage keeps a session, as names of directories and, at the end, of a file: the id cut into pieces of
 * two characters, `.dat` after the last. Null for an id that Ktor refuses (empty, `..`, `/`, `\`, …), and for one with
 * characters that some file system reads in its own way: those of an id may be `A-Z a-z 0-9 _ . @ = ~ + , -`, at most 200.
 */
export function ktorSessionPath(id: string): readonly string[] | null {
  if (!SAFE_ID.test(id) || id.includes("..")) return null;
  const pieces = id.match(/.{1,2}/g) ?? [];
  return [...pieces.slice(0, -1), `${pieces.at(-1) ?? ""}.dat`];
}
