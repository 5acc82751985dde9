/**
 * What `defineSession` refuses: options that cannot work, or that would promise what they cannot keep.
 *
 * @module
 */
import type { SessionOptions } from "./definition.ts";
import { checkNames } from "./internal/option-names.ts";
import { HOW_TO_MAKE_A_KEY } from "./protection/key-ring.ts";
import { checkedId } from "./session/token.ts";
import type { Transport } from "./transport/transport.ts";
import { checkTrust } from "./trust.ts";

const OPTION_NAMES: readonly (keyof SessionOptions)[] = [
  "name",
  "schema",
  "migrate",
  "store",
  "transport",
  "sticky",
  "protection",
  "keys",
  "acceptUnsigned",
  "audience",
  "generateId",
  "idleTimeout",
  "absoluteTimeout",
  "renewalTimeout",
  "concurrency",
  "onReplay",
  "onStoreError",
  "trustFor",
  "storeTimeout",
  "revocation",
  "codec",
  "clock",
];

/** Throws a `TypeError` that names the option. */
export function checkOptions(options: SessionOptions): void {
  checkNames("defineSession", options, OPTION_NAMES);
  checkForms(options);
  if (options.store === undefined) checkByValue(options);
  else checkById(options);
}

function checkForms(options: SessionOptions): void {
  const { name, schema, migrate, generateId, audience } = options;
  if (typeof name !== "string" || !/^[A-Za-z0-9_-]{1,64}$/.test(name)) {
    throw new TypeError("name must be 1 to 64 letters, digits, - and _");
  }
  if (audience !== undefined && (typeof audience !== "string" || audience.length > 1000)) {
    throw new TypeError("audience must be a string of at most 1000 characters");
  }
  if (schema !== undefined && typeof schema["~standard"]?.validate !== "function") {
    throw new TypeError("schema must be a Standard Schema, such as one of zod, valibot or arktype");
  }
  if (migrate !== undefined && (typeof migrate !== "function" || schema === undefined)) {
    throw new TypeError("migrate must be a function, beside a schema that tells what needs it");
  }
  if (generateId !== undefined) checkGenerator(generateId);
  oneOf(options, "concurrency", ["merge", "reject", "overwrite"]);
  oneOf(options, "onReplay", ["end", "reject"]);
  oneOf(options, "onStoreError", ["throw", "anonymous"]);
  checkTransports(options);
  members(options, "sticky", ["bind", "drain"]);
  members(options, "protection", ["bind"]);
  members(options, "clock", ["now", "after"]);
  members(options, "store", ["create", "read", "update", "touch", "delete"]);
}

/** A generator that is too short is told so now, unless this is a place where nothing random can be made yet (P26). */
function checkGenerator(generateId: unknown): void {
  if (typeof generateId !== "function") throw new TypeError("generateId must be a function that returns bytes");
  let id: unknown;
  try {
    id = (generateId as () => unknown)();
  } catch {
    return;
  }
  checkedId(id);
}

function checkTransports({ transport }: SessionOptions): void {
  if (transport === undefined) return;
  const list: readonly unknown[] = Array.isArray(transport) ? transport : [transport];
  if (list.length === 0) throw new TypeError("transport must not be an empty list");
  if (list.some((one) => typeof (one as Transport | null)?.bind !== "function")) {
    throw new TypeError("transport must be an object with a method bind, such as cookie(), or a list of them");
  }
}

function oneOf(options: SessionOptions, name: keyof SessionOptions, allowed: readonly string[]): void {
  const value: unknown = options[name];
  if (value !== undefined && !allowed.includes(value as string)) {
    throw new TypeError(`${name} must be one of ${allowed.map((word) => `"${word}"`).join(", ")}`);
  }
}

function members(options: SessionOptions, name: keyof SessionOptions, methods: readonly string[]): void {
  const value: unknown = options[name];
  if (value === undefined) return;
  const missing = methods.find((method) => typeof (value as Record<string, unknown> | null)?.[method] !== "function");
  if (missing !== undefined) throw new TypeError(`${name} must be an object with a method ${missing}`);
}

function checkById(options: SessionOptions): void {
  const { protection, revocation, codec, acceptUnsigned, keys, trustFor = false } = options;
  if (trustFor !== false) checkTrust(options);
  else if (protection !== undefined) {
    throw new TypeError("protection is for sessions without a store: with one, give keys and the token gets a MAC");
  }
  if (revocation !== undefined)
    throw new TypeError("revocation is for sessions without a store: with one, sessions are ended there");
  if (codec !== undefined) {
    throw new TypeError(
      "codec is for sessions without a store: with one, the token says nothing but which record it is",
    );
  }
  if (acceptUnsigned === true && keys === undefined) throw new TypeError("acceptUnsigned goes with keys");
}

/** P24, P25. */
function checkByValue(options: SessionOptions): void {
  const { keys, protection, revocation } = options;
  if (keys === undefined && protection === undefined) {
    throw new TypeError(
      "keys must be given for a session without a store (is SESSION_KEYS set?); or give a store. " + HOW_TO_MAKE_A_KEY,
    );
  }
  if (revocation === undefined) {
    throw new TypeError(
      'revocation must be said for a session without a store: "none" if a copied cookie may work until its clocks end it, or a store that can end it at once',
    );
  }
  if (options.codec !== undefined) checkCodec(options);
  if (revocation !== "none") members(options, "revocation", ["create", "read", "update", "touch", "delete"]);
  const { renewalTimeout, onReplay, concurrency, acceptUnsigned, trustFor } = options;
  if (trustFor !== undefined && trustFor !== false) throw impossible("trustFor");
  if (renewalTimeout !== undefined && renewalTimeout !== false) throw impossible("renewalTimeout");
  if (onReplay !== undefined) throw impossible("onReplay");
  if (acceptUnsigned !== undefined) throw impossible("acceptUnsigned");
  if (concurrency !== undefined && concurrency !== "overwrite") {
    throw new TypeError('concurrency can only be "overwrite" for a session without a store: the last response wins');
  }
}

/** What a codec writes is the data: what would have to be written beside it has to be off, by name. */
function checkCodec(options: SessionOptions): void {
  members(options, "codec", ["read", "write"]);
  if (options.absoluteTimeout !== false) {
    throw new TypeError(
      "absoluteTimeout must be false with a codec: what another server writes does not say when it began",
    );
  }
  if (options.idleTimeout !== undefined && options.idleTimeout !== false) {
    throw new TypeError(
      "idleTimeout must be false with a codec: what another server writes does not say when it was used",
    );
  }
  if (options.revocation !== "none") {
    throw new TypeError('revocation must be "none" with a codec: what another server writes does not say whose it is');
  }
}

function impossible(option: string): TypeError {
  return new TypeError(`${option} needs a store: nothing of a session that travels in its token could keep it`);
}
