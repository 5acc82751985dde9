/**
 * The response of a request whose session is in the memory of this process: what is written is written at once, so that
 * nothing has to wait, and the response need not be held.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { RequestSession } from "../express-session/request-session.ts";
import { isPromise, type MaybePromise } from "../internal/maybe-promise.ts";
import { EXCHANGE, type CommitResult, type Exchange, type ExchangeManager } from "../session/exchange.ts";
import type { ExchangeCarrier } from "../session/request.ts";
import { HeldResponse } from "./held-response.ts";
import { edit, setFromWriteHead, type Head } from "./node-head.ts";

type Method = "writeHead" | "write" | "end" | "flushHeaders";
type Methods = { readonly [Name in Method]: (...args: unknown[]) => unknown };
type AnyResponse = ServerResponse & { [SENDING]?: Sending };

const SENDING: unique symbol = Symbol("coatcheck.sending") as never;
const NO_STORE = { name: "Cache-Control", value: "no-store", mode: "set" } as const;

/** Commits the session when the response begins, and what is changed later when it ends. */
export function commitOnSending(
  req: IncomingMessage,
  res: ServerResponse,
  current: RequestSession,
  next: (error?: unknown) => void,
): void {
  (res as AnyResponse)[SENDING] = new Sending(req, res, current, next);
  Object.assign(res, METHODS);
}

/** One response. */
class Sending {
  readonly original: Methods;
  #begun: boolean;
  #ended = false;
  readonly #req: IncomingMessage & ExchangeCarrier;
  readonly #res: AnyResponse;
  readonly #current: RequestSession;
  readonly #next: (error?: unknown) => void;

  constructor(req: IncomingMessage, res: ServerResponse, current: RequestSession, next: (error?: unknown) => void) {
    const { writeHead, write, end, flushHeaders } = res as unknown as Methods;
    this.original = { writeHead, write, end, flushHeaders };
    this.#begun = res.headersSent;
    this.#req = req;
    this.#res = res;
    this.#current = current;
    this.#next = next;
  }

  send(method: Method, given: unknown[]): unknown {
    const res = this.#res;
    if (method === "end") {
      if (this.#ended) return res;
      this.#ended = true;
      if (this.#begun) void this.#current.commitLate();
    }
    if (this.#begun) return this.original[method].apply(res, given);
    this.#begun = true;
    const args = method === "writeHead" ? setFromWriteHead(res as unknown as Head, given) : given;
    const failure = this.#commit();
    if (failure === undefined) return this.original[method].apply(res, args);
    Object.assign(res, this.original);
    return this.#hold(failure, method, args);
  }

  /** Undefined when all is done; else what a response that is held has to wait for, or to fail with. */
  #commit(): (() => MaybePromise<CommitResult>) | undefined {
    try {
      const committed = this.#current.commit();
      if (isPromise(committed)) return () => committed;
      const { edits } = committed as CommitResult;
      if (edits.length > 0) edit(this.#res as unknown as Head, [...edits, NO_STORE]);
      return undefined;
    } catch (error) {
      return () => {
        throw error;
      };
    }
  }

  /** What cannot be done at once after all, or fails, is the business of a response that is held. */
  #hold(commit: () => MaybePromise<CommitResult>, method: Method, args: unknown[]): unknown {
    if (this.#req[EXCHANGE] === undefined) {
      const held = new HeldResponse(this.#req, this.#res, this.#next);
      const manager = managerOf(commit);
      held.begin([manager]);
      void (this.#req[EXCHANGE] as unknown as Exchange).from(manager);
    } else void commit();
    return (this.#res as unknown as Methods)[method].apply(this.#res, args);
  }
}

function managerOf(commit: () => MaybePromise<CommitResult>): ExchangeManager {
  return {
    name: "express-session",
    transportNames: [],
    vary: undefined,
    strippers: [],
    now: () => Date.now(),
    load: () => ({ session: undefined as never, always: undefined, commit }),
  };
}

const METHODS: Methods & ThisType<AnyResponse> = {
  writeHead(...args) {
    return this[SENDING]?.send("writeHead", args);
  },
  write(...args) {
    return this[SENDING]?.send("write", args);
  },
  end(...args) {
    return this[SENDING]?.send("end", args);
  },
  flushHeaders() {
    return this[SENDING]?.send("flushHeaders", []);
  },
};
