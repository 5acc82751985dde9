/**
 * What becomes of a request: route, caller, limits, endpoint, answer.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { isSessionError } from "../errors.ts";
import { isPromise, type MaybePromise } from "../internal/maybe-promise.ts";
import { refuseBrowsers } from "./browser-defence.ts";
import type { Callers } from "./credentials.ts";
import { type Answer, type Caller, Refusal, send } from "./endpoint.ts";
import type { EndpointTally, Metrics } from "./metrics.ts";
import type { EndpointMount, Mount, OpenMount } from "./mount.ts";
import { refusedPeers } from "./refused-peers.ts";
import { hasBody } from "./request-body.ts";
import { readHead, type RequestHead } from "./request-head.ts";
import { type Route, type Routes, routesTo } from "./routes.ts";
import { type CallLimits, ServerCall } from "./server-call.ts";
import { type TokenBucket, tokenBucket } from "./token-bucket.ts";

/** What a handler works with. */
export interface HandlerContext {
  readonly mounts: readonly Mount[];
  readonly limits: CallLimits;
  /** Requests of one application in a second at most; undefined for no limit. */
  readonly rate: number | undefined;
  readonly metrics: Metrics;
  readonly log: (line: string) => void;
  /** Those that are known now. */
  callers: Callers;
  /** Whether everybody is let in who is on this machine. */
  readonly open: boolean;
  /** Whether the server takes no new work. */
  stopping: boolean;
  /** Those whose answers take as long as they like. */
  readonly streams: Set<ServerCall>;
}

/** A request, as far as the handler has got with it. */
interface Visit {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly begun: number;
  tally: EndpointTally;
  head: RequestHead | undefined;
}

/** A body of so many bytes that nobody wants is read nevertheless, so that the connection can be used again. */
const READ_ANYWAY = 64 * 1024;
/** So many of one that is too large: who is still sending when the connection is closed never gets to read the answer. */
const TOO_LARGE_READ_ANYWAY = 16 * 1024 * 1024;

const UNAUTHORIZED: Answer = new Refusal(
  401,
  "unauthorized",
  "Send Authorization: Bearer and a credential that is valid.",
  {
    "WWW-Authenticate": "Bearer",
  },
).answer;

const TOO_MANY_REFUSED: Answer = new Refusal(
  503,
  "too-many-refused",
  "Too many requests came without a valid credential.",
  {
    "Retry-After": "10",
    Connection: "close",
  },
).answer;

const TOO_FAST: Answer = new Refusal(503, "overloaded", "The application sends more requests than it may. Try again.", {
  "Retry-After": "1",
}).answer;

const NOT_FOUND: Answer = new Refusal(404, "no-such-path", "There is nothing at this path.").answer;

const INTERNAL: Answer = new Refusal(500, "internal", "The server failed. Its log says more.").answer;

const STORE_AWAY: Answer = new Refusal(503, "store-unavailable", "The store does not answer. Try again.", {
  "Retry-After": "1",
}).answer;

/** Makes the handler of a server's requests. */
export function requestHandler(context: HandlerContext): (req: IncomingMessage, res: ServerResponse) => void {
  const handler = new Handler(context);
  return (req, res) => handler.handle(req, res);
}

class Handler {
  readonly #context: HandlerContext;
  readonly #routes: Routes;
  readonly #tallies: ReadonlyMap<Mount, EndpointTally>;
  /** Of requests to no endpoint. */
  readonly #nowhere: EndpointTally;
  readonly #mayBeRefused = refusedPeers();
  /** By application. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(context: HandlerContext) {
    const { mounts, metrics } = context;
    this.#context = context;
    this.#routes = routesTo(mounts);
    this.#tallies = new Map(mounts.map((mount) => [mount, metrics.endpoint(mount.path)]));
    this.#nowhere = metrics.endpoint("none");
  }

  handle(req: IncomingMessage, res: ServerResponse): void {
    const visit: Visit = { req, res, begun: performance.now(), tally: this.#nowhere, head: undefined };
    this.#context.metrics.underWay++;
    if (this.#context.stopping) res.shouldKeepAlive = false;
    try {
      const answer = this.#answerTo(visit);
      if (isPromise(answer)) this.#finishLater(visit, answer);
      else this.#finish(visit, answer);
    } catch (error) {
      this.#finish(visit, this.#answerFor(error));
    }
  }

  #answerTo(visit: Visit): MaybePromise<Answer | undefined> {
    const { req, res } = visit;
    const { open, callers } = this.#context;
    const route = this.#routes.find(req.url as string);
    if (route !== undefined) visit.tally = this.#tallies.get(route.mount) as EndpointTally;
    if (route?.mount.kind === "proxy") return void route.mount.node(req, res);
    const head = (visit.head = readHead(req.rawHeaders));
    if (head.host === undefined && req.httpVersion !== "1.0")
      throw new Refusal(400, "no-host", "A request has a Host.");
    if (open) refuseBrowsers(head, req.socket.remoteAddress === undefined);
    if (route?.mount.kind === "open") return answerOpenly(route.mount, visit);
    const caller = callers.of(head.authorization);
    if (caller === undefined) return this.#refuse(visit);
    const slow = this.#countIn(caller, visit.begun);
    if (slow !== undefined) return slow;
    return route === undefined ? NOT_FOUND : this.#ask(route, route.mount as EndpointMount, caller, visit, head);
  }

  #refuse({ req, begun }: Visit): Answer {
    this.#context.metrics.credentialsRefused++;
    return this.#mayBeRefused(req.socket.remoteAddress, begun) ? UNAUTHORIZED : TOO_MANY_REFUSED;
  }

  /** Counts a request of an application; the answer, when it came too fast. */
  #countIn({ application }: Caller, now: number): Answer | undefined {
    const { rate, metrics } = this.#context;
    metrics.applications.add(application);
    if (rate === undefined) return undefined;
    let bucket = this.#buckets.get(application);
    if (bucket === undefined) this.#buckets.set(application, (bucket = tokenBucket(rate, rate)));
    if (bucket.take(now)) return undefined;
    metrics.rateLimited.add(application);
    return TOO_FAST;
  }

  #ask(
    route: Route,
    { methods, streams, endpoint }: EndpointMount,
    caller: Caller,
    { req, res }: Visit,
    head: RequestHead,
  ): MaybePromise<Answer | undefined> {
    if (!methods.includes(req.method as string)) return notAllowed(methods);
    const call = new ServerCall(req, res, caller, route, head, this.#context.limits);
    if (streams === true) {
      this.#context.streams.add(call);
      res.once("close", () => this.#context.streams.delete(call));
    }
    return endpoint(call);
  }

  #answerFor(error: unknown): Answer {
    if (error instanceof Refusal) return error.answer;
    if (isSessionError(error) && error.status === 503) return STORE_AWAY;
    const { stack } = (error ?? {}) as { readonly stack?: unknown };
    this.#context.log(`coatcheck: a request failed: ${String(stack ?? error)}`);
    return INTERNAL;
  }

  #finishLater(visit: Visit, answer: PromiseLike<Answer | undefined>): void {
    answer.then(
      (value) => this.#finish(visit, value),
      (error: unknown) => this.#finish(visit, this.#answerFor(error)),
    );
  }

  #finish(visit: Visit, answer: Answer | undefined): void {
    const { res } = visit;
    if (answer === undefined) {
      // The endpoint has answered, or will.
      if (res.closed || res.writableEnded) this.#done(visit);
      else res.once("close", () => this.#done(visit));
      return;
    }
    if (res.headersSent) res.destroy();
    else {
      if (this.#context.stopping || isBodyLeft(visit, answer)) res.shouldKeepAlive = false;
      this.#send(res, answer);
    }
    this.#done(visit);
  }

  /** What cannot be written as JSON, being too deep or too large, fails its request, and not the server. */
  #send(res: ServerResponse, answer: Answer): void {
    try {
      send(res, answer);
    } catch (error) {
      if (res.headersSent) res.destroy();
      else send(res, this.#answerFor(error));
    }
  }

  #done({ res, begun, tally }: Visit): void {
    this.#context.metrics.underWay--;
    tally.count(res.statusCode, performance.now() - begun);
  }
}

function answerOpenly({ methods, answer }: OpenMount, { req, res }: Visit): MaybePromise<Answer | undefined> {
  return methods.includes(req.method as string) ? answer(res) : notAllowed(methods);
}

/** Whether so much of the body is to come still that it is better to close the connection. */
function isBodyLeft({ req, head }: Visit, { status }: Answer): boolean {
  if (head === undefined || !hasBody(head) || req.complete) return false;
  // That of an application whose credential was accepted: bodies are not looked at before.
  const most = status === 413 ? TOO_LARGE_READ_ANYWAY : READ_ANYWAY;
  return !((head.contentLength ?? Infinity) <= most);
}

function notAllowed(methods: readonly string[]): Answer {
  return new Refusal(405, "method-not-allowed", "This path has other methods: see Allow.", {
    Allow: methods.join(", "),
  }).answer;
}
