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
import { type Route, routesTo } from "./routes.ts";
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
  const { metrics } = context;
  const routes = routesTo(context.mounts);
  const tallies = new Map(context.mounts.map((mount) => [mount, metrics.endpoint(mount.path)]));
  const nowhere = metrics.endpoint("none");
  const mayBeRefused = refusedPeers();
  const buckets = new Map<string, TokenBucket>();

  function handle(req: IncomingMessage, res: ServerResponse): void {
    const visit: Visit = { req, res, begun: performance.now(), tally: nowhere, head: undefined };
    metrics.underWay++;
    if (context.stopping) res.shouldKeepAlive = false;
    try {
      const answer = answerTo(visit);
      if (isPromise(answer)) {
        answer.then(
          (value) => finish(visit, value),
          (error: unknown) => finish(visit, answerFor(error)),
        );
      } else finish(visit, answer);
    } catch (error) {
      finish(visit, answerFor(error));
    }
  }

  function answerTo(visit: Visit): MaybePromise<Answer | undefined> {
    const { req, res } = visit;
    const route = routes.find(req.url as string);
    if (route !== undefined) visit.tally = tallies.get(route.mount) as EndpointTally;
    if (route?.mount.kind === "proxy") return void route.mount.node(req, res);
    const head = (visit.head = readHead(req.rawHeaders));
    if (head.host === undefined && req.httpVersion !== "1.0")
      throw new Refusal(400, "no-host", "A request has a Host.");
    if (context.open) refuseBrowsers(head, req.socket.remoteAddress === undefined);
    if (route?.mount.kind === "open") return answerOpenly(route.mount, visit);
    const caller = context.callers.of(head.authorization);
    if (caller === undefined) return refuse(visit);
    if (context.rate !== undefined && !mayGo(caller, context.rate, visit.begun)) return TOO_FAST;
    metrics.applications.add(caller.application);
    if (route === undefined) return NOT_FOUND;
    return ask(route, route.mount as EndpointMount, caller, visit, head);
  }

  function answerOpenly({ methods, answer }: OpenMount, { req, res }: Visit): MaybePromise<Answer | undefined> {
    return methods.includes(req.method as string) ? answer(res) : notAllowed(methods);
  }

  function refuse({ req, begun }: Visit): Answer {
    metrics.credentialsRefused++;
    return mayBeRefused(req.socket.remoteAddress, begun) ? UNAUTHORIZED : TOO_MANY_REFUSED;
  }

  function mayGo({ application }: Caller, rate: number, now: number): boolean {
    let bucket = buckets.get(application);
    if (bucket === undefined) buckets.set(application, (bucket = tokenBucket(rate, Math.max(1, rate))));
    const may = bucket.take(now);
    if (!may) metrics.rateLimited.add(application);
    return may;
  }

  function ask(
    route: Route,
    { methods, streams, endpoint }: EndpointMount,
    caller: Caller,
    { req, res }: Visit,
    head: RequestHead,
  ): MaybePromise<Answer | undefined> {
    if (!methods.includes(req.method as string)) return notAllowed(methods);
    const call = new ServerCall(req, res, caller, route, head, context.limits);
    if (streams === true) {
      context.streams.add(call);
      res.once("close", () => context.streams.delete(call));
    }
    return endpoint(call);
  }

  function answerFor(error: unknown): Answer {
    if (error instanceof Refusal) return error.answer;
    if (isSessionError(error) && error.status === 503) return STORE_AWAY;
    context.log(`coatcheck: a request failed: ${String((error as { stack?: unknown } | null)?.stack ?? error)}`);
    return INTERNAL;
  }

  function finish(visit: Visit, answer: Answer | undefined): void {
    const { res } = visit;
    if (answer === undefined && !res.writableFinished && !res.destroyed) {
      return void res.once("close", () => done(visit));
    }
    if (answer !== undefined && res.headersSent) res.destroy();
    else if (answer !== undefined) {
      if (context.stopping || isBodyLeft(visit)) res.shouldKeepAlive = false;
      send(res, answer);
    }
    done(visit);
  }

  function done({ res, begun, tally }: Visit): void {
    metrics.underWay--;
    tally.count(res.statusCode, performance.now() - begun);
  }

  return handle;
}

/** Whether so much of the body is to come still that it is better to close the connection. */
function isBodyLeft({ req, head }: Visit): boolean {
  return head !== undefined && hasBody(head) && !req.complete && !((head.contentLength ?? Infinity) <= READ_ANYWAY);
}

function notAllowed(methods: readonly string[]): Answer {
  return new Refusal(405, "method-not-allowed", "This path has other methods: see Allow.", {
    Allow: methods.join(", "),
  }).answer;
}
