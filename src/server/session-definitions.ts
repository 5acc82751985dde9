/**
 * The definitions behind the JSON API: one kind of session for each name that an application uses.
 *
 * @module
 */
import {
  defineSession,
  header,
  keyRing,
  type SessionDefinition,
  type SessionOptions,
  type Transport,
} from "../index.ts";
import { boundedCache } from "../internal/bounded-cache.ts";
import { checkNames } from "../internal/option-names.ts";
import type { SessionStore } from "../store/store.ts";
import type { Caller } from "./endpoint.ts";
import { visitsOf, type Visits } from "./session-visit.ts";

/**
 * How sessions of the JSON API live. An application of TypeScript that shares them by the same store must say the same in its
 * `defineSession`. Each means, and is by default, what it is there.
 */
export type SessionsOptions = Pick<
  SessionOptions,
  "idleTimeout" | "absoluteTimeout" | "renewalTimeout" | "keys" | "audience" | "storeTimeout" | "clock"
>;

const OPTION_NAMES: readonly (keyof SessionsOptions)[] = [
  "idleTimeout",
  "absoluteTimeout",
  "renewalTimeout",
  "keys",
  "audience",
  "storeTimeout",
  "clock",
];

/** What other languages keep in a session: an object of JSON. */
export type Data = Record<string, unknown>;

/** A definition, and what brings the session of a request. */
export interface Installed {
  readonly definition: SessionDefinition<Data>;
  readonly visit: Visits<Data>;
}

/** The definitions of one name: they share records and tokens, and differ in how a request uses them. */
export interface Definitions {
  /** Changes are replayed on what another request wrote first. */
  readonly merging: Installed;
  /** What another request wrote first is a `ConflictError`. */
  readonly rejecting: Installed;
  /** No token is looked at: what is set begins a session. */
  readonly beginning: Installed;
}

/** Where a token travels, both ways. */
const HEADER = "Session-Token";

/** A name takes up to 2 MB for the tokens that were seen, and is made anew within microseconds. */
const MOST_NAMES = 64;

/**
 * Finds the definitions of a name that was checked: those that were used last are kept.
 *
 * @throws TypeError that names the option, for one that cannot work
 */
export function sessionDefinitions(options: SessionsOptions): (caller: Caller, name: string) => Definitions {
  checkNames("sessionsEndpoint", options, OPTION_NAMES);
  const { keys, ...rest } = options;
  // A list of keys is read once.
  const policy = keys === undefined ? rest : { ...rest, keys: keyRing(keys) };
  // Options that cannot work are told now, and not to whoever sends the first request.
  defineSession<Data>({ ...policy, name: "check", store: NO_STORE });
  const known = boundedCache<string, Definitions>(MOST_NAMES);
  return ({ namespace, store }, name) => {
    const key = `${namespace}/${name}`;
    const found = known.get(key);
    if (found !== undefined) return found;
    const made = definitionsOf({ ...policy, name, store });
    known.set(key, made);
    return made;
  };
}

function definitionsOf(options: SessionOptions & { readonly schema?: undefined }): Definitions {
  const installed = (more: Partial<SessionOptions>): Installed => {
    const definition = defineSession<Data>({ ...options, ...more, schema: undefined, codec: undefined });
    return { definition, visit: visitsOf(definition, HEADER.toLowerCase()) };
  };
  const transport = tokenHeader(true);
  return {
    merging: installed({ transport, concurrency: "merge" }),
    rejecting: installed({ transport, concurrency: "reject" }),
    beginning: installed({ transport: tokenHeader(false) }),
  };
}

/**
 * `Session-Token`, both ways. A client is never told to forget its token: an answer to a late request could take away the one
 * that a sign-in has just sent (P8), and what sets ended sessions apart from wrong secrets would tell which ids exist.
 */
function tokenHeader(reads: boolean): Transport {
  const { kind, bind } = header(HEADER, { renew: true });
  return {
    kind,
    bind(context) {
      const bound = bind(context);
      return { ...bound, read: reads ? bound.read : () => [], clear: () => [] };
    },
  };
}

const NO_STORE: SessionStore = {
  create: () => false,
  read: () => undefined,
  update: () => "gone",
  touch: () => false,
  delete: () => false,
};
