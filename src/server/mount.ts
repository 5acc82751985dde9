/**
 * What is served under a path.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { MaybePromise } from "../internal/maybe-promise.ts";
import type { Answer, Endpoint } from "./endpoint.ts";

/** What a mount of any kind has. */
interface Mounted {
  /** Begins with `/` and does not end with one. Its name in metrics, too. */
  readonly path: string;
}

/** For applications: who has no credential gets no further. */
export interface EndpointMount extends Mounted {
  readonly kind: "endpoint";
  /** In upper case. Any other one is answered with 405. */
  readonly methods: readonly string[];
  /** Whether paths below it are its own, too. Default false. */
  readonly below?: boolean;
  /** Whether its answers may take as long as they like: until the client goes, or the server stops. Default false. */
  readonly streams?: boolean;
  readonly endpoint: Endpoint;
}

/** For everybody: tells nothing of an application. */
export interface OpenMount extends Mounted {
  readonly kind: "open";
  readonly methods: readonly string[];
  readonly answer: (res: ServerResponse) => MaybePromise<Answer | undefined>;
}

/**
 * For a proxy, which passes on the method, the headers and perhaps the path of somebody else's request: none of them is looked
 * at here. It reads no body.
 */
export interface ProxyMount extends Mounted {
  readonly kind: "proxy";
  readonly node: (req: IncomingMessage, res: ServerResponse) => void;
}

/** Any of them. */
export type Mount = EndpointMount | OpenMount | ProxyMount;
