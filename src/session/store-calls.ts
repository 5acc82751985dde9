/**
 * A store, called with a timeout, its failures turned into `StoreError`. What answers at once is passed through at once; of a
 * store that answers by promises, reads of one session at the same time are shared (`single-flight.ts`), and when it does not
 * answer any more, calls fail at once until it does (`breaker.ts`).
 *
 * A write that timed out has an unknown outcome (P18): nothing here repeats one.
 *
 * @module
 */
import { StoreError, type StoreVerb } from "../errors.ts";
import type { Clock } from "../internal/clock.ts";
import { isPromise, type MaybePromise } from "../internal/maybe-promise.ts";
import type { SessionStore, StoreCall, StoredRecord, UpdateOutcome } from "../store/store.ts";
import { type Breaker, breaker, isUnreachable } from "./breaker.ts";
import type { Events } from "./events.ts";
import { singleFlight } from "./single-flight.ts";

/** What differs from call to call. */
type CallOptions = Pick<StoreCall, "fresh" | "previousSubject">;

/** The verbs of a store, safe to call: they throw nothing but `StoreError`, and answer within the timeout. */
export interface StoreCalls {
  /** Whether reads without `fresh` may come from a cache. */
  readonly cached: boolean;
  create(key: string, record: StoredRecord): MaybePromise<boolean>;
  read(key: string, options?: CallOptions): MaybePromise<StoredRecord | undefined>;
  update(key: string, record: StoredRecord, base: StoredRecord): MaybePromise<UpdateOutcome>;
  touch(key: string, expiresAt: number): MaybePromise<boolean>;
  delete(key: string, options?: CallOptions): MaybePromise<boolean>;
  /** Any other work of the store, which may be long: its timeouts do not count as the store's being gone. */
  guard<T>(verb: StoreVerb, work: (call: StoreCall) => MaybePromise<T>): MaybePromise<T>;
}

/** What the wrapper of a store needs. */
export interface StoreCallsOptions {
  readonly clock: Clock;
  /** In milliseconds. */
  readonly timeout: number;
  /** Told of every failure, and when the store stops answering and begins again. */
  readonly events: Pick<Events, "emit">;
}

/**
 * Wraps a store: the one place where patience, failures and reads at the same time are dealt with, for all stores alike.
 * What a store answers at once costs two looks at a flag.
 */
export function storeCalls(store: SessionStore, { clock, timeout, events }: StoreCallsOptions): StoreCalls {
  const gate = breaker({
    clock,
    onDown: () => events.emit("store-down"),
    onUp: () => events.emit("store-up"),
  });
  const fail: Fail = (verb, { cause, timedOut }) => {
    const error = new StoreError(verb, { cause: reduced(cause), timedOut: timedOut === true });
    events.emit("store-error", { error });
    return error;
  };
  const perform = performer({ gate, fail, clock, timeout });
  const flights = singleFlight((key: string, fresh) =>
    perform("read", (call) => store.read(key, call), fresh ? FRESH : undefined),
  );

  /** The read itself tells of its own end; each who has joined it has a patience of their own. */
  const joined: Watch = {
    answered: () => undefined,
    failed: (error) => error,
    timedOut: () => fail("read", { timedOut: true }),
  };

  function read(key: string, options?: CallOptions): MaybePromise<StoredRecord | undefined> {
    const fresh = options?.fresh === true;
    if (!flights.isBusy(key)) return flights.begin(key, fresh);
    const cause = gate.guarded ? gate.refusal() : undefined;
    if (cause !== undefined) throw fail("read", { cause });
    return within(clock, timeout, flights.join(key, fresh), joined);
  }

  return {
    cached: store.cached === true,
    create: (key, record) => perform("create", (call) => store.create(key, record, call)),
    read,
    update: (key, record, base) =>
      perform("update", (call) => store.update(key, record, base, call), { previousSubject: base.subject }),
    touch: (key, expiresAt) => perform("touch", (call) => store.touch(key, expiresAt, call)),
    delete: (key, options) => perform("delete", (call) => store.delete(key, call), options),
    guard: (verb, work) => perform(verb, work, LONG),
  };
}

type Fail = (verb: StoreVerb, why: { readonly cause?: unknown; readonly timedOut?: boolean }) => StoreError;

interface PerformOptions extends CallOptions {
  /** Work that may take its time because there is much of it: that it did says nothing of the store. */
  readonly isLong?: boolean;
}

const LONG: PerformOptions = { isLong: true };
const FRESH: PerformOptions = { fresh: true };

type Perform = <T>(
  verb: StoreVerb,
  work: (call: StoreCall) => MaybePromise<T>,
  options?: PerformOptions,
) => MaybePromise<T>;

interface PerformerOptions extends Omit<StoreCallsOptions, "events"> {
  readonly gate: Breaker;
  readonly fail: Fail;
}

/** Makes what calls a store: if it may be called now, and not for longer than the timeout. */
function performer({ gate, fail, clock, timeout }: PerformerOptions): Perform {
  function enter(verb: StoreVerb, isLong: boolean): void {
    const cause = gate.refusal(isLong);
    if (cause !== undefined) throw fail(verb, { cause });
    gate.admit();
  }

  function thrown(verb: StoreVerb, ticket: number, cause: unknown): StoreError {
    const error = fail(verb, { cause });
    gate.end();
    if (isUnreachable(cause)) gate.failed(ticket);
    else gate.answered();
    return error;
  }

  function watch(verb: StoreVerb, call: Call, isLong: boolean): Watch {
    const ticket = gate.begin();
    let isWaiting = true;
    return {
      answered() {
        if (isWaiting) gate.end();
        gate.answered();
      },
      // After the timeout it is what the abort brought about, and nobody waits for it.
      failed: (cause) => (isWaiting ? thrown(verb, ticket, cause) : cause),
      timedOut() {
        isWaiting = false;
        const error = fail(verb, { timedOut: true });
        gate.end();
        if (!isLong) gate.failed(ticket);
        call.abort();
        return error;
      },
    };
  }

  return (verb, work, options) => {
    const isLong = options?.isLong === true;
    if (gate.guarded) enter(verb, isLong);
    const call = new Call(clock.now(), options);
    let answer: ReturnType<typeof work>;
    try {
      answer = work(call);
    } catch (cause) {
      throw thrown(verb, gate.begin(), cause);
    }
    if (isPromise(answer)) return within(clock, timeout, answer, watch(verb, call, isLong)) as typeof answer;
    if (gate.guarded) gate.release();
    return answer;
  };
}

/** Told of how waiting for an answer ends; `failed` and `timedOut` return the error for who waits. */
interface Watch {
  answered(): void;
  failed(cause: unknown): unknown;
  timedOut(): StoreError;
}

function within<T>(clock: Clock, timeout: number, answer: PromiseLike<T>, watch: Watch): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(timeout, () => reject(watch.timedOut()));
    answer.then(
      (value) => {
        cancel();
        watch.answered();
        resolve(value);
      },
      (cause: unknown) => {
        cancel();
        reject(watch.failed(cause) as Error);
      },
    );
  });
}

/** A call whose `AbortSignal` is made when the store asks for it: local stores never do. */
class Call implements StoreCall {
  readonly now: number;
  readonly fresh: boolean | undefined;
  readonly previousSubject: string | undefined;
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
