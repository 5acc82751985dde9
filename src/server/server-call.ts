/**
 * A request on its way through the server.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Caller, EndpointCall } from "./endpoint.ts";
import { readJson } from "./request-body.ts";
import type { RequestHead } from "./request-head.ts";
import type { Route } from "./routes.ts";

/** What all requests of a server have in common. */
export interface CallLimits {
  /** Bytes of a body at most. */
  readonly maxBody: number;
  /** Milliseconds that an answer may take. */
  readonly answerTimeout: number;
}

/** What is there only for who asks for it: most requests need no query, and no signal. */
export class ServerCall implements EndpointCall {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly caller: Caller;
  readonly path: readonly string[];
  readonly #search: string;
  readonly #head: RequestHead;
  readonly #limits: CallLimits;
  readonly #streams: boolean;
  #query: URLSearchParams | undefined;
  #controller: AbortController | undefined;

  constructor(
    req: IncomingMessage,
    res: ServerResponse,
    caller: Caller,
    { mount, path, search }: Route,
    head: RequestHead,
    limits: CallLimits,
  ) {
    this.req = req;
    this.res = res;
    this.caller = caller;
    this.path = path;
    this.#search = search;
    this.#head = head;
    this.#limits = limits;
    this.#streams = mount.kind === "endpoint" && mount.streams === true;
  }

  get query(): URLSearchParams {
    return (this.#query ??= new URLSearchParams(this.#search));
  }

  body(): Promise<unknown> {
    return readJson(this.req, this.res, this.#head, this.#limits.maxBody);
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = (this.#controller = new AbortController());
      const timer = this.#streams ? undefined : setTimeout(() => controller.abort(), this.#limits.answerTimeout);
      this.res.once("close", () => {
        clearTimeout(timer);
        // A response that has come to its end is closed, too.
        if (!this.res.writableFinished) controller.abort();
      });
    }
    return this.#controller.signal;
  }

  /** The server stops, and waits for no stream. */
  stop(): void {
    if (this.#streams) this.#controller?.abort();
  }
}
