/**
 * Sessions for `node:http`, `node:https` and `node:http2` (its compatibility API).
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { isPromise } from "../internal/maybe-promise.ts";
import { managersOf, type InstalledDefinition } from "../session/exchange.ts";
import { exchangeOf } from "../session/request.ts";
import { HeldResponse, type NodeResponse } from "./held-response.ts";
import type { NodeRequest } from "./node-request.ts";

/**
 * Wraps a request handler, so that `definition.from(req)` works in it. A handler that throws, or whose session cannot be
 * saved, is answered with the error's status (503 for a failing store) or 500, and the error goes to stderr.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { defineSession } from "coatcheck";
 * import { withSessions } from "coatcheck/node";
 * import { memoryStore } from "coatcheck/store/memory";
 *
 * const user = defineSession<{ visits: number }>({ name: "user", store: memoryStore() });
 *
 * createServer(
 *   withSessions(async (req, res) => {
 *     const session = await user.from(req);
 *     session.update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
 *     res.end(`visit ${session.data?.visits}`);
 *   }, user),
 * ).listen(3000);
 * ```
 *
 * @throws TypeError without a definition, or when two use one cookie name
 */
export function withSessions<
  Request extends NodeRequest = IncomingMessage,
  Response extends NodeResponse = ServerResponse,
>(
  handler: (req: Request, res: Response) => unknown,
  ...definitions: readonly InstalledDefinition[]
): (req: Request, res: Response) => void {
  const managers = managersOf(definitions);
  return (req, res) => {
    const outer = exchangeOf(req)?.view;
    const held = outer instanceof HeldResponse ? outer : new HeldResponse(req, res);
    try {
      held.begin(managers);
      const result = handler(req, res);
      if (isPromise(result)) result.then(undefined, (error: unknown) => held.raise(error));
    } catch (error) {
      held.raise(error);
    }
  };
}
