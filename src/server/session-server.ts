/**
 * The session server, as `coatcheck serve` runs it: `coatcheck/server`.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../internal/clock.ts";
import { systemClock } from "../internal/clock.ts";
import { type Duration, milliseconds } from "../internal/duration.ts";
import { checkNames } from "../internal/option-names.ts";
import type { KeyInput } from "../protection/key-ring.ts";
import type { SessionStore } from "../store/store.ts";
import { type Credential, checkedCredentials } from "./credentials.ts";
import { endpointsOf, forwardAuthMount } from "./endpoints.ts";
import type { ListenAddress } from "./listening.ts";
import { withOwnChanges } from "./own-changes.ts";
import { serverOver } from "./server-over.ts";

export type { Credential } from "./credentials.ts";
export { checkedCredentials, newCredential } from "./credentials.ts";
export type { ListenAddress } from "./listening.ts";

/** What holds for the sessions of the JSON API and of forward-auth: as for `defineSession`. */
export interface SessionPolicy {
  /** A session ends when it was not used for so long. Default 30 minutes. */
  readonly idleTimeout?: Duration | false | undefined;
  /** A session ends after so long, used or not. Default 12 hours. */
  readonly absoluteTimeout?: Duration | false | undefined;
  /** A session's secret is renewed after so long. Default 15 minutes. */
  readonly renewalTimeout?: Duration | false | undefined;
  /** Keys of the tokens' MACs: those of the applications that use the same sessions through a store. Default none. */
  readonly keys?: KeyInput | undefined;
  /** The applications' `audience`. Default none. */
  readonly audience?: string | undefined;
  /** How long the store may take. Default 2 seconds. */
  readonly storeTimeout?: Duration | undefined;
  /** For tests. Default: the clock of the machine. */
  readonly clock?: Clock | undefined;
}

/** Options of {@link sessionServer}. */
export interface SessionServerOptions extends SessionPolicy {
  /** Where the sessions of all applications are kept. The server does not close it. */
  readonly store: SessionStore;
  /**
   * What is kept of the credentials of the applications. Left out: everybody who reaches the server is one application called
   * `default`, and it listens on loopback or a Unix socket only.
   */
  readonly credentials?: readonly Credential[] | undefined;
  /**
   * Says that nobody but this server writes to the store, so that the server itself can tell of changes, at `/v1/changes`: for a
   * store without `watch`. Default false: the store tells, if it can.
   */
  readonly ownChanges?: boolean | undefined;
  /** What a proxy may ask about, as `"namespace/name"`: served at `/forward-auth/namespace/name`. Default nothing. */
  readonly forwardAuth?: readonly string[] | undefined;
  /** Bytes of a request's body at most. Default 4 MiB. */
  readonly maxBody?: number | undefined;
  /** Requests of one application in a second at most; others are answered with 503. Default no limit. */
  readonly rate?: number | undefined;
  /** Connections at most; others are closed at once. Default 10 000. */
  readonly maxConnections?: number | undefined;
  /** How long the head of a request may take. Default 10 seconds. */
  readonly headersTimeout?: Duration | undefined;
  /** How long a request may take to come, with its body. Default 30 seconds. */
  readonly requestTimeout?: Duration | undefined;
  /** How long a connection may be idle between requests. Default 75 seconds: longer than proxies keep theirs. */
  readonly keepAliveTimeout?: Duration | undefined;
  /** Who may see `/metrics`: everybody, whoever has a credential, or nobody. Default `"open"`. */
  readonly metrics?: "open" | "credential" | "off" | undefined;
  /** Told, line by line, of what an operator wants to know. Default `console.error`. */
  readonly log?: ((line: string) => void) | undefined;
}

/** A certificate and its key, as PEM. */
export interface TlsFiles {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
}

/** How a server listens. */
export interface ListenOptions {
  /** Default: plain HTTP. */
  readonly tls?: TlsFiles | undefined;
  /** Says that something in front of the server ends TLS, so that plain HTTP may go beyond loopback. Default false. */
  readonly tlsEndsElsewhere?: boolean | undefined;
}

/** A session server. */
export interface SessionServer {
  /**
   * Listens. Rejects with an `Error` that says what to do: for an address that others than this machine reach, without
   * credentials or TLS; and where the system does not let it. Once only.
   */
  listen(address: ListenAddress, options?: ListenOptions): Promise<void>;
  /** Where it listens: `http://…`, `https://…` or `unix:…`. Undefined before. */
  readonly url: string | undefined;
  /** Its requests, for a `node:http` server of your own: that has to set limits of time and connections itself. */
  readonly handler: (req: IncomingMessage, res: ServerResponse) => void;
  /** From the next request on these credentials count, and no others. Throws a `TypeError` and keeps the old ones. */
  setCredentials(credentials: readonly Credential[]): void;
  /** From the next connection on this certificate is shown. Throws when it is none, and keeps the old one. */
  setTls(tls: TlsFiles): void;
  /**
   * Takes no more connections; `/readyz` says so at once. Resolves when the requests that were under way are answered and all
   * connections are closed: those that take longer than `within` (default 10 seconds) are cut off.
   */
  close(options?: { readonly within?: Duration | undefined }): Promise<void>;
}

const OPTIONS = [
  "store",
  "credentials",
  "ownChanges",
  "forwardAuth",
  "idleTimeout",
  "absoluteTimeout",
  "renewalTimeout",
  "keys",
  "audience",
  "storeTimeout",
  "clock",
  "maxBody",
  "rate",
  "maxConnections",
  "headersTimeout",
  "requestTimeout",
  "keepAliveTimeout",
  "metrics",
  "log",
] as const;

/**
 * Makes a server that keeps sessions for applications in any language. Several of them over one store do not need to know each
 * other.
 *
 * Throws a `TypeError` for options that cannot work.
 *
 * @example
 * import { sessionServer } from "coatcheck/server";
 * import { sqliteStore } from "coatcheck/store/sqlite";
 *
 * const server = sessionServer({ store: sqliteStore("coatcheck.db") });
 * await server.listen({ host: "127.0.0.1", port: 26282 });
 */
export function sessionServer(options: SessionServerOptions): SessionServer {
  checkNames("sessionServer", options, OPTIONS);
  const { store, credentials, forwardAuth = [], metrics = "open", log = console.error } = options;
  if (typeof store?.read !== "function") throw new TypeError("store: expected a store, such as sqliteStore(path)");
  if (!["open", "credential", "off"].includes(metrics)) {
    throw new TypeError('metrics: expected "open", "credential" or "off"');
  }
  if (typeof log !== "function") throw new TypeError("log: expected a function");
  if (options.ownChanges !== undefined && typeof options.ownChanges !== "boolean") {
    throw new TypeError("ownChanges: expected true or false");
  }
  const clock = options.clock ?? systemClock;
  return serverOver({
    store: options.ownChanges === true ? withOwnChanges(store, clock) : store,
    credentials: credentials === undefined ? undefined : checkedCredentials(credentials),
    mounts: (seen) => [...endpointsOf(options), ...forwardAuth.map((kind) => forwardAuthMount(kind, seen, options))],
    maxBody: positive("maxBody", options.maxBody, 4 * 1024 * 1024),
    rate: options.rate === undefined ? undefined : positive("rate", options.rate, 1),
    maxConnections: positive("maxConnections", options.maxConnections, 10_000),
    headersTimeout: milliseconds("headersTimeout", options.headersTimeout ?? 10),
    requestTimeout: milliseconds("requestTimeout", options.requestTimeout ?? 30),
    keepAliveTimeout: milliseconds("keepAliveTimeout", options.keepAliveTimeout ?? 75),
    storeTimeout: milliseconds("storeTimeout", options.storeTimeout ?? 2),
    metrics,
    log,
    clock,
  });
}

function positive(option: string, value: number | undefined, otherwise: number): number {
  const number = value ?? otherwise;
  if (!Number.isSafeInteger(number) || number < 1) throw new TypeError(`${option}: expected a whole number above 0`);
  return number;
}
