/**
 * What the endpoints of the session server share: who asks, what an answer is, and how a request is refused.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { MaybePromise } from "../internal/maybe-promise.ts";
import type { SessionStore } from "../store/store.ts";

/** An application that was told apart by its credential. */
export interface Caller {
  /** Its name, for metrics and messages. */
  readonly application: string;
  readonly namespace: string;
  /** Sees the records of the namespace and no others. */
  readonly store: SessionStore;
}

/** A request to an endpoint. */
export interface EndpointCall {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly caller: Caller;
  /** The segments of the path behind the endpoint's own, each percent-decoded: none is empty, `.` or `..`. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  /**
   * The JSON of the body; undefined when the request has none. Rejects with a {@link Refusal}: `too-large` (413), `not-json` (400), `not-json-type` (415), or
   * `too-slow` (408).
   */
  body(): Promise<unknown>;
  /** Aborted when the client went away, or when the request has taken too long. */
  readonly signal: AbortSignal;
}

/** What is answered: JSON, or nothing. */
export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  /** The body, where its JSON is written already. */
  readonly json?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers a request: by what it returns, or, when that is undefined, by itself. */
export type Endpoint = (call: EndpointCall) => MaybePromise<Answer | undefined>;

/** A request that is refused. Its message is for the developer of the application, and quotes nothing of the request. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly status: number;
  /** For programs: lower case with hyphens, such as `"not-json"`. */
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }

  /** The same, as an answer: `{ "error": code, "message": … }`. */
  get answer(): Answer {
    return { status: this.status, body: { error: this.code, message: this.message }, headers: this.headers };
  }
}

/** Sends an answer. Nothing that a session server says may be kept by a cache. */
export function send(res: ServerResponse, { status, body, json, headers }: Answer): void {
  const text = json ?? (body === undefined ? "" : JSON.stringify(body));
  const bytes = Buffer.byteLength(text);
  // Names and values in turns: Node has nothing to take apart.
  const head = ["Cache-Control", "no-store"];
  if (text !== "") head.push("Content-Type", "application/json");
  if (status !== 204) head.push("Content-Length", String(bytes));
  for (const name in headers) if (name !== "Cache-Control") head.push(name, headers[name] as string);
  res.writeHead(status, head);
  // Of ASCII each character is a byte, and nothing needs to be encoded.
  res.end(text, bytes === text.length ? "latin1" : "utf8");
}
