/**
 * What express-session calls a store, and the class that stores extend.
 *
 * @module
 */
import { EventEmitter } from "node:events";
import { answerOf, handOver, type AnswerCallback } from "../internal/answer.ts";
import { chain, type MaybePromise } from "../internal/maybe-promise.ts";
import { KEEPER, sessionFrom, type Session, type SessionRequest } from "./session.ts";

/**
 * A store of express-session, by its shape: any of the sixty on npm. Answers by callbacks, by promises, or both.
 */
export interface ExpressStore {
  get(id: string, callback: (error?: unknown, session?: unknown) => void): unknown;
  set(id: string, session: object, callback?: (error?: unknown) => void): unknown;
  destroy(id: string, callback?: (error?: unknown) => void): unknown;
  touch?(id: string, session: object, callback?: (error?: unknown) => void): unknown;
  all?(callback: (error?: unknown, sessions?: unknown) => void): unknown;
}

/** What stores extend: by `class … extends Store`, or by `Store.call(this)`. */
export interface Store extends EventEmitter {
  /** Puts a new session on a request. Set by the middleware. */
  generate?(req: object): void;
  /** Ends the session of a request and puts a new one on it. */
  regenerate(req: object, callback?: AnswerCallback<void>): Promise<void>;
  /** The session of an id, outside of any request. */
  load(id: string, callback?: AnswerCallback<Session>): Promise<Session | undefined>;
  /** Puts the session of a record on a request. */
  createSession(req: object, record: object): Session;
}

/** How a {@link Store} is made. */
export interface StoreConstructor {
  new (): Store;
  (this: object): void;
  readonly prototype: Store;
}

/** A plain function, because stores call it without `new`. */
function StoreFunction(this: EventEmitter): void {
  EventEmitter.call(this as never);
}
Object.defineProperty(StoreFunction, "name", { value: "Store" });
Object.setPrototypeOf(StoreFunction.prototype, EventEmitter.prototype);
Object.setPrototypeOf(StoreFunction, EventEmitter);

/** What express-session's stores extend. */
export const Store: StoreConstructor = StoreFunction as never;

addMethods(Store.prototype, {
  regenerate(this: Store, req: SessionRequest, callback?: AnswerCallback<void>): Promise<void> {
    const keeper = req[KEEPER];
    const anew = (): MaybePromise<void> =>
      chain(answerOf<unknown>(this, "destroy", req.sessionID), () => this.generate?.(req));
    return handOver(() => (keeper === undefined ? anew() : keeper.regenerate()), callback);
  },

  load(this: Store, id: string, callback?: AnswerCallback<Session>): Promise<Session | undefined> {
    const loaded = (): MaybePromise<Session | undefined> =>
      chain(answerOf<object>(this, "get", id), (record) =>
        record ? this.createSession({ sessionID: id, sessionStore: this }, record) : undefined,
      );
    return handOver(loaded, callback as AnswerCallback<Session | undefined> | undefined);
  },

  createSession(this: Store, req: SessionRequest, record: object): Session {
    const session = sessionFrom(req, record);
    req.session = session;
    return session;
  },
});

/** Adds methods to a prototype as a class would: not enumerable, so that stores' own properties are all that shows. */
export function addMethods(prototype: object, methods: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(prototype, name, { value, configurable: true, writable: true, enumerable: false });
  }
}
