/**
 * A request of the JSON API, as the adapter for Node sees it: with a response of its own, whose headers go into the answer.
 *
 * So the answer is made as that of every endpoint, a write that was refused is left behind with the response that it was to go
 * out with, and a read costs half of what it costs to hold a real response.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { withSessions } from "../adapter/node.ts";
import type { Session, SessionDefinition } from "../index.ts";
import { chain, type MaybePromise } from "../internal/maybe-promise.ts";
import type { Answer, EndpointCall } from "./endpoint.ts";

/** A session in the hands of a request. */
export interface Visit<Data extends object> {
  readonly session: Session<Data>;
  /**
   * The answer, with what the client must be told of its session. Once only, and not after a commit that failed: it would be
   * tried once more.
   */
  answer(answer: Answer): MaybePromise<Answer>;
}

/** Finds the session of a request; a new one when there is none. Throws, or rejects with, a `StoreError`. */
export type Visits<Data extends object> = (call: EndpointCall) => MaybePromise<Visit<Data>>;

/** Installs a definition whose tokens travel in a header of this name, in lower case. */
export function visitsOf<Data extends object>(definition: SessionDefinition<Data>, header: string): Visits<Data> {
  const install = withSessions(() => undefined, definition);
  return ({ req }) => {
    const seen = new SeenRequest(req, header);
    const staged = new StagedResponse();
    install(seen as unknown as IncomingMessage, staged as unknown as ServerResponse);
    return chain(definition.from(seen), (session) => ({ session, answer: (answer) => staged.answer(answer) }));
  };
}

/** The part of a request that the adapter looks at. All headers of a real one would be read for the sake of a single one. */
class SeenRequest {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly socket: IncomingMessage["socket"];
  readonly httpVersionMajor = 1;

  constructor({ method, url, socket, rawHeaders }: IncomingMessage, header: string) {
    this.method = method;
    this.url = url;
    this.socket = socket;
    this.headers = onlyHeader(rawHeaders, header);
  }
}

/** Of several, a list: as of any header that may come twice. */
function onlyHeader(raw: readonly string[], header: string): Readonly<Record<string, string>> {
  let found: string | undefined;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] as string;
    if (name.length !== header.length || name.toLowerCase() !== header) continue;
    found = found === undefined ? (raw[at + 1] as string) : `${found}, ${raw[at + 1]}`;
  }
  return found === undefined ? NO_HEADERS : { [header]: found };
}

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/** The part of a response that the adapter uses. */
class StagedResponse {
  statusCode = 200;
  statusMessage: string | undefined = undefined;
  #headers: Record<string, string> = {};
  #isEnded = false;
  #ended: (() => void) | undefined = undefined;

  /** Has the adapter commit, as it does when a response begins, and adds the headers that it sets then. */
  answer(answer: Answer): MaybePromise<Answer> {
    this.end();
    const complete = (): Answer => ({ ...answer, headers: { ...answer.headers, ...this.#headers } });
    return this.#isEnded ? complete() : new Promise<void>((resolve) => (this.#ended = resolve)).then(complete);
  }

  get headersSent(): boolean {
    return this.#isEnded;
  }

  get writableEnded(): boolean {
    return this.#isEnded;
  }

  getHeader(name: string): string | undefined {
    return this.#headers[name];
  }

  getHeaders(): Record<string, string> {
    return { ...this.#headers };
  }

  getHeaderNames(): string[] {
    return Object.keys(this.#headers);
  }

  setHeader(name: string, value: string): void {
    this.#headers[name] = value;
  }

  removeHeader(name: string): void {
    delete this.#headers[name];
  }

  writeHead(): this {
    return this;
  }

  write(): boolean {
    return true;
  }

  end(): this {
    this.#isEnded = true;
    this.#ended?.();
    return this;
  }

  flushHeaders(): void {}

  emit(): boolean {
    return false;
  }

  destroy(): void {}
}
