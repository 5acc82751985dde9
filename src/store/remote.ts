/**
 * Sessions that a session server keeps: `coatcheck/store/remote`. Needs the web platform only, and takes `node:http` on Node.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { checkNames } from "../internal/option-names.ts";
import {
  callIn,
  Malformed,
  resultIn,
  type WireAnswer,
  type WireBase,
  type WireCallOf,
  type WireRecord,
  type WireResults,
  type WireVerb,
} from "../internal/remote-protocol.ts";
import { clockOption, flag, optionalFunction, positiveInteger } from "./option-check.ts";
import { remoteFeed } from "./remote-feed.ts";
import { type HttpTransport, httpTransport, type RemoteTls } from "./remote-http.ts";
import { callQueue, type CallQueue } from "./remote-queue.ts";
import { carryTo, remoteError, type RemoteFetch, type RemoteServer } from "./remote-server.ts";
import type { SessionStore, StoreCall, StoredRecord } from "./store.ts";

export type { RemoteTls } from "./remote-http.ts";
export type { RemoteFetch, RemoteRequest, RemoteResponse } from "./remote-server.ts";

/** Options of {@link remoteStore}. */
export interface RemoteStoreOptions {
  /** What the server knows this application by. A server that listens on its own machine only may need none. */
  readonly credential?: string | undefined;
  /** How many requests are under way at a time; what has to wait travels together in the next one. Default 4. */
  readonly connections?: number | undefined;
  /**
   * Allows `http:` to another machine, where everybody on the way can read credential and sessions: for a network that
   * encrypts by itself. Default false.
   */
  readonly allowInsecure?: boolean | undefined;
  /**
   * Sends the requests: with certificates of your own, through a proxy or a socket. Default: `node:http` or `node:https` on Node,
   * over connections of the store's own, and the global `fetch` elsewhere.
   */
  readonly fetch?: RemoteFetch | undefined;
  /** Whose certificates are trusted. On Node, and without `fetch`. Default: those that Node trusts. */
  readonly tls?: RemoteTls | undefined;
  /**
   * Whether changes and deletions can be watched, as `nearCache` does: whoever watches has one more connection. The server has
   * to tell of them: `coatcheck serve --changes`. Default false.
   */
  readonly watch?: boolean | undefined;
  /** For tests: where the watch gets its time from. Default: the clock of the machine. */
  readonly clock?: Clock | undefined;
}

const NAME = "remoteStore";
const OPTIONS = ["credential", "connections", "allowInsecure", "fetch", "tls", "watch", "clock"] as const;

type Capability = "listBySubject" | "deleteBySubject" | "list" | "count" | "close";

/** A {@link SessionStore} that lists and counts, where the store of the server does; `watch` goes with the option. */
export type RemoteStore = SessionStore & Required<Pick<SessionStore, "name" | "cached" | Capability>>;

/**
 * Keeps sessions on a session server (`coatcheck serve`), in the namespace of this application. Every verb is one request, or
 * travels with others in one when there is much to do.
 *
 * The server lets sessions go that are over, and nobody is told of it here: the store has no `onExpired`.
 *
 * @example
 * import { remoteStore } from "coatcheck/store/remote";
 *
 * const store = remoteStore("https://sessions.internal:26282", { credential: process.env.SESSIONS_CREDENTIAL });
 *
 * @throws TypeError for options that cannot work; for an address with a user, a password or a query in it; and for one with
 * `http:` that is not of this machine, unless `allowInsecure` is said
 */
export function remoteStore(url: string | URL, options: RemoteStoreOptions = {}): RemoteStore {
  checkNames(NAME, options, OPTIONS);
  const connections = positiveInteger("connections", options.connections, 4);
  const base = checkedUrl(url, flag("allowInsecure", options.allowInsecure));
  const headers = credentialHeaders(options.credential);
  const transport = transportOf(base, connections, options);
  const server: RemoteServer = { base, headers, fetch: transport.fetch };
  const carry = carryTo(server);
  const clock = clockOption(options.clock);
  const feed = flag("watch", options.watch) ? remoteFeed(server, clock) : undefined;
  let isClosed = false;
  // What takes long, or may be large, travels alone, and keeps no other call waiting.
  const [quick, long] = [callQueue(carry, connections), callQueue(carry, connections, 1)];
  const ask = asking((verb) => {
    if (isClosed) throw remoteError("the store was closed");
    return LONG.has(verb) ? long : quick;
  });
  return {
    name: NAME,
    cached: false,
    ...recordVerbs(ask),
    ...listingVerbs(ask),
    ...(feed !== undefined && { watch: feed.watch }),
    close() {
      isClosed = true;
      feed?.close();
      transport.close();
    },
  };
}

// --- options --------------------------------------------------------------------------------------------------------------

const LOOPBACK = /^(?:localhost|.+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** No message says the address: there may be a password in it. */
function checkedUrl(given: string | URL, allowInsecure: boolean): string {
  const url = urlIn(given);
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new TypeError("url: expected the address of a session server, such as https://sessions.internal:26282");
  }
  if (url.username !== "" || url.password !== "") {
    throw new TypeError("url: addresses get logged; give the credential as the option `credential`");
  }
  if (url.search !== "" || url.hash !== "") throw new TypeError("url: expected an address without ? and #");
  if (url.protocol === "http:" && !allowInsecure && !LOOPBACK.test(url.hostname)) {
    throw new TypeError(
      "url: http: to another machine shows credential and sessions to everybody on the way; use https:, or say allowInsecure: true where the network encrypts",
    );
  }
  return url.href.replace(/\/*$/, "/");
}

function urlIn(given: unknown): URL | undefined {
  if (typeof given !== "string" && !(given instanceof URL)) return undefined;
  try {
    return new URL(given);
  } catch {
    return undefined;
  }
}

function credentialHeaders(credential: string | undefined): Readonly<Record<string, string>> {
  if (credential === undefined) return {};
  if (typeof credential === "string" && /^[\x21-\x7e]{1,1024}$/.test(credential)) {
    return { Authorization: `Bearer ${credential}` };
  }
  throw new TypeError("credential: expected a text of letters, digits and signs, without spaces");
}

function transportOf(base: string, connections: number, { fetch, tls }: RemoteStoreOptions): HttpTransport {
  const given = optionalFunction("fetch", fetch);
  if (tls !== undefined) {
    checkNames("tls", tls, ["ca"]);
    if (given !== undefined)
      throw new TypeError("tls: a fetch of your own knows its certificates; leave one of the two out");
    if (!base.startsWith("https:")) throw new TypeError("tls: the address begins with http:, which has none");
  }
  const transport = given === undefined ? httpTransport(base, connections, tls) : undefined;
  if (transport !== undefined) return transport;
  if (tls !== undefined) throw new TypeError("tls: this runtime cannot be told whose certificates to trust");
  return { fetch: given ?? globalFetch, close() {} };
}

/** Looked up with every call: whoever instruments it does so by replacing it. */
const globalFetch: RemoteFetch = (url, request) => globalThis.fetch(url, request);

// --- verbs ----------------------------------------------------------------------------------------------------------------

type Ask = <Verb extends WireVerb>(
  call: WireCallOf<Verb> & { readonly verb: Verb },
  signal: AbortSignal | undefined,
) => Promise<WireResults[Verb]>;

const READS: ReadonlySet<WireVerb> = new Set(["read", "listBySubject", "list", "count"]);
const LONG: ReadonlySet<WireVerb> = new Set(["listBySubject", "deleteBySubject", "list", "count"]);

function asking(queueOf: (verb: WireVerb) => CallQueue): Ask {
  return (call, signal) =>
    new Promise((resolve, reject) => {
      const { verb } = call;
      queueOf(verb).add({
        text: JSON.stringify(checked(call)),
        isRead: READS.has(verb),
        signal,
        failed: reject,
        arrived(answer) {
          try {
            resolve(resultOf(verb, answer as WireAnswer));
          } catch (error) {
            reject(error as Error);
          }
        },
      });
    });
}

/** The server refuses a request as a whole: what it would not take must not travel with others. */
function checked(call: object): object {
  try {
    return callIn(call);
  } catch (error) {
    throw error instanceof Malformed ? new TypeError(`${NAME}: ${error.message}`) : error;
  }
}

function resultOf<Verb extends WireVerb>(verb: Verb, answer: WireAnswer): WireResults[Verb] {
  if (answer !== null && typeof answer === "object") {
    if ("ok" in answer) return resultIn(verb, answer.ok);
    if (answer.error === "not-capable") throw remoteError(`the store behind the session server has no ${verb}`);
    if (answer.error === "store-unavailable") {
      if (answer.timedOut === true)
        throw remoteError("the store behind the session server did not answer in time", "ETIMEDOUT");
      throw remoteError("the store behind the session server failed; the log of the server says why");
    }
  }
  throw remoteError("an answer that is none of a session server of this version");
}

type RecordVerb = "create" | "read" | "update" | "touch" | "delete";

function recordVerbs(ask: Ask): Pick<SessionStore, RecordVerb> {
  return {
    create: (key, record, { now, signal }) => ask({ verb: "create", key, record: written(record), now }, signal),
    read: (key, { now, signal }) => ask({ verb: "read", key, now }, signal),
    update: (key, record, base, { now, signal, previousSubject }) =>
      ask({ verb: "update", key, record: written(record), base: baseOf(base), previousSubject, now }, signal),
    touch: (key, expiresAt, { now, signal }) => ask({ verb: "touch", key, expiresAt, now }, signal),
    delete: (key, { now, signal, previousSubject }) => ask({ verb: "delete", key, previousSubject, now }, signal),
  };
}

function listingVerbs(ask: Ask): Required<Pick<SessionStore, Exclude<Capability, "close">>> {
  return {
    async *listBySubject(subject, { now, signal }: StoreCall) {
      yield* await ask({ verb: "listBySubject", subject, now }, signal);
    },
    deleteBySubject: (subject, { except }, { now, signal }) =>
      ask({ verb: "deleteBySubject", subject, except, now }, signal),
    list: (prefix, { limit, cursor }, { now, signal }) =>
      ask({ verb: "list", prefix, limit, cursor: cursorIn(cursor), now }, signal),
    count: (prefix, { now, signal }) => ask({ verb: "count", prefix, now }, signal),
  };
}

function written({ version, expiresAt, subject, value }: StoredRecord): WireRecord {
  return { version, expiresAt, subject, value };
}

/** The revision is as it came from the server. */
function baseOf({ version, revision, subject }: StoredRecord): WireBase {
  return { version, revision: revision as string | undefined, subject };
}

/** A cursor comes from a client: one that no store has given begins anew. */
function cursorIn(cursor: string | undefined): string | undefined {
  return cursor !== undefined && /^[\w-]{1,65536}$/.test(cursor) ? cursor : undefined;
}
