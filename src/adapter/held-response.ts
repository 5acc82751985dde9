/**
 * A response of Node that waits for its sessions. What the adapters for Node's own servers, Express, Fastify and Koa share.
 *
 * The response is held from the moment a session is looked at: headers and body wait until the commit settles, so that a
 * redirect never arrives before its session. When everything can be committed at once, nothing waits.
 *
 * @module
 */
import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import { isPromise, type MaybePromise } from "../internal/maybe-promise.ts";
import { EXCHANGE, Exchange, type ExchangeHooks, type ExchangeManager } from "../session/exchange.ts";
import { errorAnswer } from "./error-answer.ts";
import {
  freeze,
  hold,
  holdEarly,
  letGo,
  methodsOf,
  thaw,
  type AnyResponse,
  type EarlyMethod,
  type EarlyMethods,
  type HeldMethod,
  type Holder,
  type Methods,
} from "./held-methods.ts";
import { edit, restore, setFromWriteHead, snapshotOf, type Snapshot } from "./node-head.ts";
import { NodeRequestView, type NodeRequest } from "./node-request.ts";

/** A response of `node:http`, `node:https` or `node:http2`. */
export type NodeResponse = ServerResponse | Http2ServerResponse;

/** A call that waits for the commit, and the methods by which it will be made. */
interface Waiting {
  readonly method: HeldMethod;
  readonly args: unknown[];
  readonly by: Partial<Methods> | undefined;
}

/** A request while sessions are in use: what transports see of it, and the hand on its response. */
export class HeldResponse extends NodeRequestView implements ExchangeHooks, Holder {
  readonly #res: AnyResponse;
  /** Told of every error that ends the request here. */
  readonly #onError: (error: unknown) => void;
  #exchange: Exchange | undefined;
  /**
   * `open`: nothing was sent; `committing`: what is sent waits; `settled`: committed before anything was sent;
   * `released`: the response is on its own; `failed`: the commit failed, and only the answer to its error may go out.
   */
  #phase: "open" | "committing" | "settled" | "released" | "failed" = "open";
  #before: Snapshot | undefined;
  /** The methods as they were when the request came, and as they were when a session was asked for, patched by others perhaps. */
  #first: EarlyMethods | undefined;
  #original: Methods | undefined;
  #waiting: Waiting[] = [];
  /** The status when what is sent began to wait: as in Node, setting another one comes too late. */
  #status = 200;
  #ended = false;
  /** Whether a `write` was answered with "wait for drain". */
  #full = false;
  /** What the handler threw. */
  #thrown: { readonly error: unknown } | undefined;
  /** After a failed commit: whether a call can only come from the error path. */
  #errorPath = false;
  /** After a failed commit: how many headers there were then. */
  #kept = 0;
  /** Whether the head is still to get what the sessions need of it. */
  #owing = false;
  /** What `settle` returned while a commit was under way, and how to end it. */
  #settling: Promise<void> | undefined;
  #waiter: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | undefined;

  constructor(req: NodeRequest, res: NodeResponse, onError?: (error: unknown) => void) {
    super(req);
    this.#res = res as unknown as AnyResponse;
    this.#onError = onError ?? ((error) => this.fail(error));
  }

  /** Makes the exchange of this request, or adds definitions to the one that an outer adapter made. */
  begin(managers: readonly ExchangeManager[]): void {
    const outer = this.req[EXCHANGE];
    if (outer !== undefined) return outer.install(managers);
    this.#first = holdEarly(this.#res, this);
    this.req[EXCHANGE] = this.#exchange = new Exchange(this, managers, this);
  }

  /** Set by an adapter whose framework cannot take a rejection from `from()`. */
  loadFailed?: (error: unknown) => void;

  /** Whether a response of this status means that the handler threw; for frameworks that do not tell. */
  failedStatus?: (status: number) => boolean;

  // --- the response, held -------------------------------------------------------------------------------------------

  /** A session is being looked at: from here on the response is held. */
  touched(): void {
    const res = this.#res;
    if (this.#original !== undefined) return;
    if (res.headersSent) return this.#release("released");
    this.#before = snapshotOf(res, this.http2);
    this.#original = methodsOf(res, this.#first as EarlyMethods);
    hold(res);
  }

  override stripped(strip: (target: string) => string): void {
    super.stripped(strip);
    this.touched();
  }

  /** Whether the head is out, for all that the handler can tell. */
  get headSent(): boolean {
    return this.#phase === "committing" || this.#res.headersSent;
  }

  /** Whether the handler has ended a response that still waits. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * A call of a method that the handler looked up before it asked for a session, as `res.end(await page(await user.from(req)))`
   * does: it is held as any other. All other calls come through here on their way to Node.
   */
  sendEarly(method: EarlyMethod, args: unknown[]): unknown {
    const touched = this.#original !== undefined;
    const held = (this.#phase === "open" && touched) || this.#phase === "committing";
    // After a failed commit, unless others have patched the response: then such calls may be theirs, for the error page.
    const leftover = this.#phase === "failed" && touched && this.#original?.end === this.#first?.end;
    if (!held && !leftover) return this.#first?.[method].apply(this.#res, args);
    return this.send(method, method === "writeHead" ? setFromWriteHead(this.#res, args) : args, this.#first);
  }

  /** A call that would send something: the first one commits. */
  send(method: HeldMethod, args: unknown[], by: Partial<Methods> | undefined = this.#original): unknown {
    if (this.#phase === "open" && !this.#commit()) return this.#drop(method, args);
    if (this.#phase === "committing") return this.#wait({ method, args, by });
    if (this.#phase === "failed" && this.#isLeftover(method)) return this.#drop(method, args);
    if (this.#phase === "settled") this.#release("released");
    this.#pay();
    return by?.[method]?.apply(this.#res, args);
  }

  /** Commits: at once, or else what is sent waits from here on. False when it failed at once. */
  #commit(): boolean {
    const failed = this.#thrown !== undefined || this.failedStatus?.(this.#res.statusCode) === true;
    try {
      const committed = this.#exchange?.commit({ failed });
      if (isPromise(committed)) this.#freeze(committed);
      else this.#release("released");
      this.#owing = true;
      return true;
    } catch (error) {
      this.#giveUp(error);
      return false;
    }
  }

  /**
   * Commits before anything is sent, for frameworks that tell when the handler is done, and whether it threw. What is sent
   * next carries what the sessions need. Throws, or rejects with, what the commit throws; unless the handler threw before,
   * nothing that it prepared is left then, and what is sent next is the answer to that error.
   */
  settle(thrown?: { readonly error: unknown }): MaybePromise<void> {
    this.#thrown ??= thrown;
    if (this.#phase === "committing") return (this.#settling ??= this.#underWay());
    if (this.#phase !== "open" || this.#original === undefined) return undefined;
    try {
      const committed = this.#exchange?.commit({ failed: this.#thrown !== undefined });
      this.#owing = true;
      if (isPromise(committed)) return (this.#settling = this.#settled(committed));
      this.#phase = "settled";
      return undefined;
    } catch (error) {
      return this.#unsettled(error);
    }
  }

  /** The first chunk is on its way already: if it can be taken back, it is. */
  #underWay(): Promise<void> {
    return new Promise((resolve, reject) => (this.#waiter = { resolve, reject }));
  }

  async #settled(committed: PromiseLike<unknown>): Promise<void> {
    this.#phase = "committing";
    this.#status = this.#res.statusCode;
    try {
      await committed;
    } catch (error) {
      this.#unsettled(error);
    }
    this.#phase = "settled";
    if (this.#waiting.length > 0) this.#resume();
  }

  #unsettled(error: unknown): never {
    this.#phase = "settled";
    if (this.#thrown === undefined) {
      this.#release("failed");
      this.#startOver(() => {});
      this.#errorPath = true;
    }
    throw error;
  }

  /** While what was sent waits, the head is as good as sent: nobody may change it any more, just as in Node. */
  #freeze(committed: PromiseLike<unknown>): void {
    this.#phase = "committing";
    this.#status = this.#res.statusCode;
    freeze(this.#res);
    // What the handler passed is looked at by Node only now: that may throw, too.
    committed.then(() => this.#resume()).then(undefined, (error: unknown) => this.#giveUp(error));
  }

  /** Gives the head what the sessions need, as late as possible: some frameworks begin an error page by clearing it. */
  #pay(): void {
    if (this.#owing) edit(this.#res, this.#exchange?.owed() ?? []);
    this.#owing = false;
  }

  #wait(waiting: Waiting): unknown {
    const { method } = waiting;
    if (!this.#ended) this.#waiting.push(waiting);
    this.#ended ||= method === "end";
    this.#full ||= method === "write";
    return method === "write" ? false : this.#res;
  }

  #resume(): void {
    this.#release("released");
    const thrown = this.#ended ? undefined : this.#thrown;
    // The handler threw while its first chunk waited: it can still be answered properly.
    if (thrown !== undefined) return this.#startOver(() => this.#answer(thrown.error));
    const res = this.#res;
    res.statusCode = this.#status;
    this.#pay();
    let flowing = true;
    for (const { method, args, by } of this.#waiting) {
      const result = by?.[method]?.apply(res, args);
      if (method === "write") flowing = result === true;
    }
    this.#waiting = [];
    if (this.#full && flowing && !this.#ended) res.emit("drain");
    this.#waiter?.resolve();
  }

  #release(phase: "released" | "failed"): void {
    if (this.#phase === "committing") thaw(this.#res);
    this.#phase = phase;
    if (phase === "released" && this.#original !== undefined) letGo(this.#res, this.#original);
    this.#exchange?.close();
  }

  // --- errors -------------------------------------------------------------------------------------------------------

  /** Sends an error where errors of this request go. */
  raise(error: unknown): void {
    this.#onError(error);
  }

  /** Answers an error for which there is no framework: with its status, and nothing of what the handler prepared. */
  fail(error: unknown, tell: (error: unknown) => void = console.error): void {
    const res = this.#res;
    tell(error);
    if (this.#ended || res.writableEnded) return;
    this.#thrown ??= { error };
    if (this.#phase === "committing") return;
    // Without an error HTTP/2 would end the stream as if the body were complete.
    if (res.headersSent) return void res.destroy(this.http2 ? new Error("the handler failed") : undefined);
    if (this.#phase === "open") this.#restore();
    this.#answer(error);
  }

  #answer(error: unknown): void {
    const { status, headers, body } = errorAnswer(error);
    this.#res.statusCode = status;
    for (const [name, value] of Object.entries(headers)) this.#res.setHeader(name, value);
    this.#res.end(body);
  }

  /** The commit failed: nothing that the handler prepared may go out, and the error path runs once (P20). */
  #giveUp(error: unknown): void {
    this.#release("failed");
    this.#startOver(() => this.#onError(error), error);
  }

  /** Takes back what waits, and has the request answered otherwise: by whoever settles, if somebody does. */
  #startOver(answer: () => void, error?: unknown): void {
    const res = this.#res;
    const dropped = this.#waiting.splice(0);
    const ended = this.#ended;
    this.#phase = "failed";
    this.#ended = false;
    if (!res.headersSent) {
      this.#restore();
      hold(res);
      this.#owing = true;
      this.#kept = res.getHeaderNames().length;
    }
    this.#errorPath = true;
    if (this.#settling === undefined) {
      answer();
      this.#errorPath = ended;
    } else if (error === undefined) this.#waiter?.resolve();
    else this.#waiter?.reject(error);
    for (const { args } of dropped) callBack(args);
    if (this.#full && !ended) res.emit("drain");
  }

  /**
   * After a failed commit: whether a call comes from a handler that goes on as if nothing had happened. The error path sets
   * a status or a header first.
   */
  #isLeftover(method: HeldMethod): boolean {
    const res = this.#res;
    if (res.writableEnded) return true;
    if (this.#errorPath || method === "writeHead") return false;
    return res.statusCode === this.#before?.statusCode && res.getHeaderNames().length === this.#kept;
  }

  #drop(method: HeldMethod, args: unknown[]): unknown {
    callBack(args);
    return method === "write" ? true : this.#res;
  }

  /** Takes back what the handler did to the head since it asked for a session; all about the body if it never did. */
  #restore(): void {
    restore(this.#res, this.#before);
  }
}

/** What is not sent has no one to report to: its sender goes on, and learns of the end by the response's events. */
function callBack(args: readonly unknown[]): void {
  const callback = args.findLast((argument) => typeof argument === "function");
  if (callback !== undefined) process.nextTick(callback as () => void);
}
