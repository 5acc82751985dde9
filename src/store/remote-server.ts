/**
 * A session server, as `remoteStore` finds it: one exchange, and what to say of one that failed.
 *
 * @module
 */
import { answersIn, STORE_PATH } from "../internal/remote-protocol.ts";
import type { Carry, Failure } from "./remote-queue.ts";

/** What is asked of a `fetch`. */
export interface RemoteRequest {
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  /** Left out for what is read only. */
  readonly body?: string;
  readonly redirect: "manual";
  readonly signal: AbortSignal;
}

/** What is expected of the response of a `fetch`. */
export interface RemoteResponse {
  readonly status: number;
  text(): Promise<string>;
  /** For `watch`. */
  readonly body?: ReadableStream<Uint8Array> | null;
}

/** `fetch`, or what does the same for an address and these few things. Rejects when nothing could be sent or nothing came back. */
export type RemoteFetch = (url: string, request: RemoteRequest) => Promise<RemoteResponse>;

/** Where a server is, and how it is reached. */
export interface RemoteServer {
  /** Ends with `/`. */
  readonly base: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly fetch: RemoteFetch;
}

/** Its errors name a server, a status or a code, and never what was sent or came back. */
class RemoteStoreError extends Error {
  override readonly name = "RemoteStoreError";
  /** As Node calls such errors: what says that the server is not there is known by it. */
  readonly code: string | undefined;

  constructor(message: string, code?: string) {
    super(`remoteStore: ${message}`);
    this.code = code;
  }
}

/** An error of `remoteStore`. `code`: as of a system call, where the server cannot be reached. */
export function remoteError(message: string, code?: string): Error {
  return new RemoteStoreError(message, code);
}

/** Carries calls to a server and brings the answers. */
export function carryTo({ base, headers, fetch }: RemoteServer): Carry {
  const url = base + STORE_PATH;
  const sent = { "Content-Type": "application/json", ...headers };
  // Before the first answer there is no connection that could have been kept alive.
  let wasThere = false;
  return async (texts, signal) => {
    let response: RemoteResponse;
    let text: string;
    try {
      const body = `{"calls":[${texts.join(",")}]}`;
      response = await fetch(url, { method: "POST", headers: sent, body, redirect: "manual", signal });
      text = await response.text();
    } catch (error) {
      return unreached(base, codeOf(error), wasThere);
    }
    wasThere = true;
    if (response.status !== 200) return refused(base, response.status, refusalIn(text));
    try {
      return answersIn(JSON.parse(text), texts.length);
    } catch {
      return { error: stranger(base, "its answer is none of a session server of this version"), again: undefined };
    }
  };
}

/** No connection was made: nothing is to be gained by another try at once. */
const UNCONNECTED =
  /^(?:EPROTO|ECONNREFUSED|ConnectionRefused|ENOTFOUND|EAI_AGAIN|E(?:HOST|NET)(?:UNREACH|DOWN)|UND_ERR_CONNECT_TIMEOUT)$|TLS|CERT|^UNABLE_TO_VERIFY/;

/** A certificate that was refused. */
const UNTRUSTED = /CERT|^UNABLE_TO_VERIFY|^SELF_SIGNED|^ERR_TLS_/;

function unreached(base: string, code: string | undefined, wasThere: boolean): Failure {
  const why = code === undefined ? "" : ` (${code})`;
  const advice = UNTRUSTED.test(code ?? "")
    ? "its certificate is none that this machine trusts for it; give that of its authority as `tls: { ca }`"
    : "see that the session server runs there, and that this machine can reach it";
  return {
    error: remoteError(`no answer from ${base}${why}; ${advice}`, code ?? "ENOTCONN"),
    again: wasThere && !UNCONNECTED.test(code ?? "") ? "reads" : undefined,
  };
}

/** `fetch` hides the reason of a failure in the cause of its error. */
function codeOf(error: unknown, depth = 0): string | undefined {
  if (typeof error !== "object" || error === null || depth > 3) return undefined;
  const { code, cause } = error as { readonly code?: unknown; readonly cause?: unknown };
  return typeof code === "string" && /^\w{1,60}$/.test(code) ? code : codeOf(cause, depth + 1);
}

/** What to say of an answer that is none. */
export function refused(base: string, status: number, refusal: string | undefined): Failure {
  const why = refusal === undefined ? `${status}` : `${status} ${refusal}`;
  const failure = (error: Error, again?: "all"): Failure => ({ error, again });
  if (status === 401) {
    return failure(
      remoteError(`${base} does not accept the credential (401); give the \`credential\` of this application`),
    );
  }
  if (status === 403) {
    return failure(
      remoteError(
        `${base} refuses this client (403); a server without credentials takes calls from its own machine only`,
      ),
    );
  }
  if (status === 413) {
    return failure(
      remoteError(`a session is larger than ${base} takes (413); raise the server's limit, or keep less in it`),
      "all",
    );
  }
  // "Host is down" is what the store calls look for when they decide whether to ask again.
  if (status >= 500 || status === 408) return failure(remoteError(`${base} cannot answer now (${why})`, "EHOSTDOWN"));
  if (status === 400 && refusal !== undefined) {
    return failure(remoteError(`${base} does not understand this client (${why}); both have to be of one version`));
  }
  return failure(stranger(base, `it answered ${status}`));
}

function stranger(base: string, why: string): Error {
  return remoteError(`${base} is not a session server: ${why}; see whether the address is right`);
}

/** The code of a refusal, if it looks like one. */
function refusalIn(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { readonly error?: unknown };
    return typeof error === "string" && /^[a-z-]{1,40}$/.test(error) ? error : undefined;
  } catch {
    return undefined;
  }
}
