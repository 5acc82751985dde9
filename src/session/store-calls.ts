/**
 * A store, called with a timeout, its failures turned into `StoreError`. What answers at once is passed through at once.
 *
 * @module
 */
import { StoreError, type StoreVerb } from "../errors.ts";
import type { Clock } from "../internal/clock.ts";
import { isPromise, type MaybePromise } from "../internal/maybe-promise.ts";
import type { SessionStore, StoreCall, StoredRecord, UpdateOutcome } from "../store/store.ts";

/** What differs from call to call. */
export type CallOptions = Pick<StoreCall, "fresh" | "previousSubject">;

/** The verbs of a store, safe to call: they throw nothing but `StoreError`, and answer within the timeout. */
export interface StoreCalls {
  /** Whether reads without `fresh` may come from a cache. */
  readonly cached: boolean;
  create(key: string, record: StoredRecord): MaybePromise<boolean>;
  read(key: string, options?: CallOptions): MaybePromise<StoredRecord | undefined>;
  update(key: string, record: StoredRecord, base: StoredRecord): MaybePromise<UpdateOutcome>;
  touch(key: string, expiresAt: number): MaybePromise<boolean>;
  delete(key: string, options?: CallOptions): MaybePromise<boolean>;
  /** Any other call to the store, under the same rules. */
  guard<T>(verb: StoreVerb, work: (call: StoreCall) => MaybePromise<T>): MaybePromise<T>;
}

/** Wraps a store. `timeout` is in milliseconds; `onError` sees every failure. */
export function storeCalls(
  store: SessionStore,
  { clock, timeout, onError }: { clock: Clock; timeout: number; onError: (error: StoreError) => void },
): StoreCalls {
  function fail(verb: StoreVerb, details: { cause?: unknown; timedOut?: boolean }): StoreError {
    const error = new StoreError(verb, { ...details, cause: reduced(details.cause) });
    onError(error);
    return error;
  }

  function within<T>(verb: StoreVerb, call: Call, answer: PromiseLike<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = clock.after(timeout, () => {
        reject(fail(verb, { timedOut: true }));
        call.abort();
      });
      let timedOut = false;
      call.onAbort = () => (timedOut = true);
      answer.then(
        (value) => {
          cancel();
          resolve(value);
        },
        (cause: unknown) => {
          cancel();
          if (!timedOut) reject(fail(verb, { cause }));
        },
      );
    });
  }

  function guard<T>(
    verb: StoreVerb,
    work: (call: StoreCall) => MaybePromise<T>,
    options?: CallOptions,
  ): MaybePromise<T> {
    const call = new Call(clock.now(), options);
    let answer: MaybePromise<T>;
    try {
      answer = work(call);
    } catch (cause) {
      throw fail(verb, { cause });
    }
    return isPromise(answer) ? within(verb, call, answer as PromiseLike<T>) : answer;
  }

  return {
    cached: store.cached === true,
    create: (key, record) => guard("create", (call) => store.create(key, record, call)),
    read: (key, options) => guard("read", (call) => store.read(key, call), options),
    update: (key, record, base) =>
      guard("update", (call) => store.update(key, record, base, call), { previousSubject: base.subject }),
    touch: (key, expiresAt) => guard("touch", (call) => store.touch(key, expiresAt, call)),
    delete: (key, options) => guard("delete", (call) => store.delete(key, call), options),
    guard,
  };
}

/** A call whose `AbortSignal` is made when the store asks for it: local stores never do. */
class Call implements StoreCall {
  readonly now: number;
  readonly fresh: boolean | undefined;
  readonly previousSubject: string | undefined;
  onAbort: (() => void) | undefined;
  #controller: AbortController | undefined;

  constructor(now: number, options: CallOptions | undefined) {
    this.now = now;
    this.fresh = options?.fresh;
    this.previousSubject = options?.previousSubject;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  abort(): void {
    this.onAbort?.();
    this.#controller?.abort();
  }
}

/**
 * The cause without whatever a driver hangs on its errors (commands, parameters, rows): those hold records, and errors get
 * logged.
 */
function reduced(cause: unknown): Error | undefined {
  if (cause === undefined) return undefined;
  if (!(cause instanceof Error)) return new Error(`the store threw a value of type ${typeof cause}`);
  const copy: Error & { code?: unknown } = new Error(cause.message);
  copy.name = cause.name;
  if (cause.stack !== undefined) copy.stack = cause.stack;
  if ("code" in cause && (typeof cause.code === "string" || typeof cause.code === "number")) copy.code = cause.code;
  return copy;
}
