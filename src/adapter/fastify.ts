/**
 * Sessions for Fastify 5.
 *
 * @module
 */
import { isPromise } from "../internal/maybe-promise.ts";
import { EXCHANGE, managersOf, type InstalledDefinition } from "../session/exchange.ts";
import type { ExchangeCarrier } from "../session/request.ts";
import { HeldResponse, type NodeResponse } from "./held-response.ts";
import type { NodeRequest } from "./node-request.ts";

/** The part of Fastify's request that is used here. */
export interface FastifyRequestLike {
  readonly raw: NodeRequest;
  readonly protocol: string;
  readonly query?: unknown;
  readonly log: { error(error: unknown): void };
}

/** The part of Fastify's reply that is used here. */
export interface FastifyReplyLike {
  readonly raw: NodeResponse;
  readonly sent: boolean;
  getHeaders(): Record<string, number | string | string[] | undefined>;
  header(name: string, value: unknown): unknown;
  removeHeader(name: string): unknown;
  send(payload: unknown): unknown;
}

/** How a hook ends. */
export type FastifyDone = (error?: Error) => void;

/** The part of a Fastify instance that is used here. */
export interface FastifyInstanceLike {
  addHook(
    name: "onRequest",
    hook: (request: FastifyRequestLike, reply: FastifyReplyLike, done: FastifyDone) => void,
  ): unknown;
  addHook(
    name: "onError",
    hook: (request: FastifyRequestLike, reply: FastifyReplyLike, error: Error, done: () => void) => void,
  ): unknown;
  addHook(
    name: "onSend",
    hook: (request: FastifyRequestLike, reply: FastifyReplyLike, payload: unknown, done: FastifyDone) => void,
  ): unknown;
}

/** A Fastify plugin, without a dependency on Fastify. */
export type FastifyPlugin = (instance: FastifyInstanceLike, options: object, done: FastifyDone) => void;

/**
 * A plugin that lets `definition.from(request)` work. Registered with the app it reaches all routes, registered inside
 * another plugin those of that plugin; several definitions side by side, or in several calls.
 *
 * The sessions are committed when a reply is about to be sent. If that fails, the error goes to the error handler of the
 * route, once, with `statusCode` 503 for a failing store, and nothing that the handler prepared goes out. When a handler
 * throws, or sends an error, `destroy`, `authenticate` and `regenerate` are kept and changed data is not.
 *
 * A handler that writes to `reply.raw` commits by its first byte, and a status of 500 or above counts as thrown. After
 * `reply.hijack()` Fastify has no error path: a session that cannot be saved is then answered with its status, and logged.
 *
 * @example
 * ```ts
 * import fastify from "fastify";
 * import { defineSession } from "coatcheck";
 * import { sessions } from "coatcheck/fastify";
 * import { memoryStore } from "coatcheck/store/memory";
 *
 * const user = defineSession<{ visits: number }>({ name: "user", store: memoryStore() });
 *
 * const app = fastify();
 * app.register(sessions(user));
 * app.get("/", async (request) => {
 *   const session = await user.from(request);
 *   session.update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
 *   return `visit ${session.data?.visits}`;
 * });
 * await app.listen({ port: 3000 });
 * ```
 *
 * @throws TypeError without a definition, or when two use one cookie name
 */
export function sessions(...definitions: readonly InstalledDefinition[]): FastifyPlugin {
  const managers = managersOf(definitions);
  const plugin: FastifyPlugin = (instance, _options, registered) => {
    instance.addHook("onRequest", (request, reply, done) => {
      try {
        const outer = (request.raw as ExchangeCarrier)[EXCHANGE];
        if (outer === undefined) new FastifyResponse(request, reply).begin(managers);
        else outer.install(managers);
      } catch (error) {
        done(error as Error);
        return;
      }
      done();
    });
    instance.addHook("onError", (request, _reply, error, done) => {
      const held = heldOf(request);
      if (held === undefined) done();
      // What the handler threw is what the app answers; that its session could not be saved either is told beside it.
      else
        finish(
          () => held.settle({ error }),
          done,
          (lost) => [request.log.error(lost), done()],
        );
    });
    instance.addHook("onSend", (request, _reply, payload, done) => {
      const held = heldOf(request);
      if (held === undefined) done();
      else
        finish(
          () => held.settle(),
          done,
          (error) => [held.forget(), abandon(payload), done(error)],
        );
    });
    registered();
  };
  return Object.assign(plugin, FOR_THE_PARENT);
}

/**
 * For `url({ form: "path" })`: Fastify chooses the route before any hook runs, so the token has to be taken out of the path by
 * its option `rewriteUrl`.
 *
 * @example
 * ```ts
 * import fastify from "fastify";
 * import { defineSession, url } from "coatcheck";
 * import { rewriteUrl, sessions } from "coatcheck/fastify";
 * import { memoryStore } from "coatcheck/store/memory";
 *
 * const kiosk = defineSession({ name: "kiosk", store: memoryStore(), transport: url({ form: "path" }) });
 *
 * const app = fastify({ rewriteUrl: rewriteUrl(kiosk) });
 * app.register(sessions(kiosk));
 * ```
 *
 * @throws TypeError without a definition, or when two use one name
 */
export function rewriteUrl(
  ...definitions: readonly InstalledDefinition[]
): (request: { readonly url?: string | undefined }) => string {
  const strippers = managersOf(definitions).flatMap((manager) => manager.strippers);
  return ({ url = "/" }) => strippers.reduce((target, { strip }) => strip?.(target) ?? target, url);
}

/** What `fastify-plugin` does: the hooks are those of the instance that registers the plugin, not of one below it. */
const FOR_THE_PARENT = {
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "coatcheck",
  [Symbol.for("plugin-meta")]: { name: "coatcheck", fastify: "5.x" },
};

/** The raw response, and the headers that Fastify keeps beside it until they are sent. */
class FastifyResponse extends HeldResponse {
  readonly #request: FastifyRequestLike;
  readonly #reply: FastifyReplyLike;
  #headers: ReturnType<FastifyReplyLike["getHeaders"]> | undefined;

  constructor(request: FastifyRequestLike, reply: FastifyReplyLike) {
    super(request.raw, reply.raw, (error) => this.#failed(error));
    this.failedStatus = isServerError;
    this.#request = request;
    this.#reply = reply;
  }

  protected override get query(): unknown {
    return this.#request.query;
  }

  override get secure(): boolean {
    return this.#request.protocol === "https";
  }

  override touched(): void {
    const headers = this.#reply.getHeaders();
    // Fastify appends to the very array that it hands out here.
    if (Array.isArray(headers["set-cookie"])) headers["set-cookie"] = [...headers["set-cookie"]];
    this.#headers = headers;
    super.touched();
  }

  /** Takes back the headers that the handler set. */
  forget(): void {
    if (this.#headers === undefined) return;
    for (const name of Object.keys(this.#reply.getHeaders())) this.#reply.removeHeader(name);
    for (const [name, value] of Object.entries(this.#headers)) this.#reply.header(name, value);
  }

  /** A commit failed by what was written to the raw response. */
  #failed(error: unknown): void {
    if (this.#reply.sent) return this.fail(error, (told) => this.#request.log.error(told));
    this.forget();
    this.#reply.send(error);
  }
}

/** Of a response that is not sent by Fastify, nobody tells whether its handler threw. */
function isServerError(status: number): boolean {
  return status >= 500;
}

function heldOf(request: FastifyRequestLike): FastifyResponse | undefined {
  const view = (request.raw as ExchangeCarrier)[EXCHANGE]?.view;
  return view instanceof FastifyResponse ? view : undefined;
}

/** Ends a hook when work that may or may not take time is done. What `done` itself throws is for the framework. */
function finish(work: () => unknown, done: FastifyDone, failed: (error: Error) => unknown): void {
  let waiting: unknown;
  try {
    waiting = work();
  } catch (error) {
    failed(error as Error);
    return;
  }
  if (!isPromise(waiting)) done();
  // By then nobody is left who would catch what Fastify throws, say because of a header that Node refuses.
  else waiting.then(() => done(), failed).then(undefined, (error: Error) => done(error));
}

/** The body that will not be sent after all. */
function abandon(payload: unknown): void {
  const { destroy, cancel } = (payload ?? {}) as { destroy?: unknown; cancel?: unknown };
  if (typeof destroy === "function") destroy.call(payload);
  else if (typeof cancel === "function") cancel.call(payload).catch(() => {});
}
