/**
 * Credentials of applications: what is kept of them, and whose a request is.
 *
 * @module
 */
import { hash, randomBytes } from "node:crypto";
import type { SessionStore } from "../store/store.ts";
import type { Caller } from "./endpoint.ts";
import { isNamespace, namespacedStore } from "./namespaced-store.ts";

/** What is kept of a credential: enough to know it again, and not to use it. */
export interface Credential {
  /** Names it in lists. Not secret. */
  readonly id: string;
  /** Whose it is: 1 to 64 of letters, digits, `.`, `_` and `-`. One application may have several, to change them. */
  readonly application: string;
  /** The namespace of the application. Two applications with one namespace share sessions. */
  readonly namespace: string;
  /** SHA-256 of the credential, in 64 hexadecimal digits. It is 32 random bytes: no slower hash makes it harder to guess. */
  readonly sha256: string;
  /** As ISO 8601. */
  readonly createdAt: string;
}

/** What a credential begins with, so that a scanner for secrets finds it: `coatcheck_[A-Za-z0-9_-]{43}`. */
const PREFIX = "coatcheck_";

/** Longer texts are none, and not worth a hash. */
const LENGTH = PREFIX.length + 43;

/** Makes a credential: its text, which is shown once, and what is kept. Throws a `TypeError` for names that cannot be. */
export function newCredential(
  application: string,
  namespace: string,
  now: Date = new Date(),
): { readonly text: string; readonly credential: Credential } {
  const text = PREFIX + randomBytes(32).toString("base64url");
  const id = randomBytes(6).toString("hex");
  const kept = { id, application, namespace, sha256: hashOf(text), createdAt: now.toISOString() };
  return { text, credential: checkedCredential("credential", kept) };
}

function hashOf(text: string): string {
  return hash("sha256", text, "hex");
}

const APPLICATION = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** A credential from a file, or from options. Throws a `TypeError` that says where it stands, and what is wrong with it. */
export function checkedCredential(where: string, given: unknown): Credential {
  if (typeof given !== "object" || given === null) throw new TypeError(`${where}: expected an object`);
  const { id, application, namespace, sha256, createdAt } = given as Partial<Record<keyof Credential, unknown>>;
  if (typeof id !== "string" || id === "") throw new TypeError(`${where}: id: expected a text`);
  if (typeof application !== "string" || !APPLICATION.test(application)) {
    throw new TypeError(
      `${where}: application: expected 1 to 64 of letters, digits, . _ and -, a letter or digit first`,
    );
  }
  if (!isNamespace(namespace)) {
    throw new TypeError(`${where}: namespace: expected 1 to 32 of a-z, 0-9 and - in between`);
  }
  if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new TypeError(`${where}: sha256: expected 64 hexadecimal digits in lower case`);
  }
  if (typeof createdAt !== "string" || Number.isNaN(Date.parse(createdAt))) {
    throw new TypeError(`${where}: createdAt: expected a time in ISO 8601`);
  }
  return { id, application, namespace, sha256, createdAt };
}

/** Checks credentials that are to be used together. Throws a `TypeError` when two contradict each other. */
export function checkedCredentials(given: unknown): readonly Credential[] {
  if (!Array.isArray(given)) throw new TypeError("credentials: expected a list");
  const all = given.map((one, i) => checkedCredential(`credentials: number ${i + 1}`, one));
  const namespaces = new Map<string, string>();
  for (const [i, { id, application, namespace, sha256 }] of all.entries()) {
    const where = `credentials: number ${i + 1}`;
    const before = all.slice(0, i);
    if (before.some((other) => other.id === id)) throw new TypeError(`${where}: another one has the id ${id}`);
    if (before.some((other) => other.sha256 === sha256)) throw new TypeError(`${where}: it is there already`);
    const first = namespaces.get(application) ?? namespace;
    if (first !== namespace) throw new TypeError(`${where}: ${application} has the namespace ${first} already`);
    namespaces.set(application, namespace);
  }
  return all;
}

/** Tells applications apart. */
export interface Callers {
  /** Whose a value of `Authorization` is; undefined for none, and for whatever is no credential. */
  of(authorization: string | undefined): Caller | undefined;
  /** The names of the applications. */
  readonly applications: readonly string[];
}

/**
 * The callers that come with these credentials. A credential is found by its hash: how long that takes tells a guesser
 * something of a hash, and nothing of what has it.
 */
export function callersOf(credentials: readonly Credential[], store: SessionStore): Callers {
  const callers = new Map<string, Caller>();
  for (const { application, namespace } of credentials) {
    callers.set(application, { application, namespace, store: namespacedStore(store, namespace) });
  }
  const byHash = new Map(credentials.map(({ sha256, application }) => [sha256, callers.get(application)]));
  return {
    applications: [...callers.keys()],
    of(authorization) {
      const text = credentialIn(authorization);
      return text === undefined ? undefined : byHash.get(hashOf(text));
    },
  };
}

function credentialIn(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length > SCHEME.length + LENGTH) return undefined;
  const scheme = authorization.slice(0, SCHEME.length);
  if (scheme !== SCHEME && scheme.toLowerCase() !== "bearer ") return undefined;
  return authorization.slice(SCHEME.length);
}

const SCHEME = "Bearer ";

/** Everybody is one application: for a server that only this machine can reach. */
export function anybody(store: SessionStore): Callers {
  const caller = { application: "default", namespace: "default", store: namespacedStore(store, "default") };
  return { applications: ["default"], of: () => caller };
}
