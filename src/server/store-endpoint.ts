/**
 * The verbs of a store over HTTP, for `remoteStore`: `POST /v1/store`.
 *
 * @module
 */
import { type Clock, systemClock } from "../internal/clock.ts";
import { isPromise, type MaybePromise } from "../internal/maybe-promise.ts";
import {
  baseFrom,
  callsIn,
  Malformed,
  recordFrom,
  wireRecord,
  type WireAnswer,
  type WireCall,
} from "../internal/remote-protocol.ts";
import type { ListedPage, ListedRecord, SessionStore, StoreCall, StoredRecord } from "../store/store.ts";
import { type Answer, type Endpoint, type EndpointCall, Refusal } from "./endpoint.ts";

/** What {@link storeEndpoint} takes. */
export interface StoreEndpointOptions {
  /** How long the store may take for one call, in milliseconds. */
  readonly timeout: number;
  /** For tests. Default: the clock of the machine. */
  readonly clock?: Clock | undefined;
}

/** However many are asked for: a page may have fewer. */
const LARGEST_PAGE = 1_000;

/**
 * Characters of the records in an answer. The calls of a small request may ask for all that is there, and each for the same:
 * an application must not fill the memory that all of them share.
 */
const MOST_ANSWERED = 32 * 1024 * 1024;

/**
 * Carries out the calls of a request on the caller's store, side by side, and answers each of them; those of one key one after
 * another, in their order. What the store answers at once costs no promise.
 *
 * Why a store failed is for the log of the server, which watches the store itself. A call that fails, or takes longer than the
 * timeout, is answered as such, and the others are not touched by it. Throws a {@link Refusal} for what is no such request:
 * then nothing of it was done.
 */
export function storeEndpoint({ timeout, clock = systemClock }: StoreEndpointOptions): Endpoint {
  return (call) => {
    const { req, path, caller } = call;
    if (path.length > 0) throw new Refusal(404, "not-found", "There is nothing behind the store");
    if (req.method !== "POST") {
      throw new Refusal(405, "method-not-allowed", "The verbs of the store are sent by POST", { Allow: "POST" });
    }
    const patience: Patience = { clock, timeout, caller: call };
    return call.body().then((body) => answered(requested(body), caller.store, patience));
  };
}

function requested(body: unknown): readonly WireCall[] {
  try {
    return callsIn(body);
  } catch (error) {
    throw error instanceof Malformed ? new Refusal(400, "bad-call", error.message) : error;
  }
}

interface Patience {
  readonly clock: Clock;
  readonly timeout: number;
  /** Its signal is made when it is asked for: a store that answers at once needs none. */
  readonly caller: Pick<EndpointCall, "signal">;
}

function answered(calls: readonly WireCall[], store: SessionStore, patience: Patience): MaybePromise<Answer> {
  let waits = false;
  const room = new Room();
  const order = calls.length > 1 ? new KeyOrder() : undefined;
  const answers = calls.map((call) => {
    const earlier = order?.before(call);
    const attempt = (): MaybePromise<WireAnswer> => attempted(new Given(call, room), call, store, patience);
    const answer = earlier === undefined ? attempt() : earlier.then(attempt);
    if (isPromise(answer)) {
      waits = true;
      order?.add(call, answer);
    }
    return answer;
  });
  if (!waits) return { status: 200, body: { answers } };
  return Promise.all(answers).then((all) => ({ status: 200, body: { answers: all } }));
}

/** Those that may answer with very much: of one request one after another, so that no more is read than there is room for. */
const LISTINGS: ReadonlySet<WireCall["verb"]> = new Set(["listBySubject", "list"]);

/** Which calls of an exchange wait for which: a read for the write before it, and a write for all before it. */
class KeyOrder {
  #listing: PromiseLike<unknown> | undefined;
  readonly #write = new Map<string, PromiseLike<unknown>>();
  readonly #reads = new Map<string, PromiseLike<unknown>[]>();

  /** What the call has to wait for, if there is anything. None of it rejects. */
  before(call: WireCall): PromiseLike<unknown> | undefined {
    if (!("key" in call)) return LISTINGS.has(call.verb) ? this.#listing : undefined;
    const write = this.#write.get(call.key);
    const reads = call.verb === "read" ? undefined : this.#reads.get(call.key);
    return reads === undefined ? write : Promise.all([write, ...reads]);
  }

  add(call: WireCall, answer: PromiseLike<unknown>): void {
    if (LISTINGS.has(call.verb)) this.#listing = answer;
    if (!("key" in call)) return;
    if (call.verb !== "read") {
      this.#write.set(call.key, answer);
      this.#reads.delete(call.key);
      return;
    }
    const reads = this.#reads.get(call.key);
    if (reads === undefined) this.#reads.set(call.key, [answer]);
    else reads.push(answer);
  }
}

/** Never throws. */
function attempted(given: Given, call: WireCall, store: SessionStore, patience: Patience): MaybePromise<WireAnswer> {
  if (given.room.isFull && !WRITES.has(call.verb)) return TOO_MUCH;
  try {
    const result = performed(call, store, given);
    if (result === undefined) return notCapable(store, call);
    if (!isPromise(result)) return { ok: result };
    return within(patience, given, result);
  } catch (error) {
    return failed(error);
  }
}

const FAILED: WireAnswer = {
  error: "store-unavailable",
  message: "The store behind the server failed; the log of the server says why",
};

function failed(error: unknown): WireAnswer {
  return error instanceof Full ? TOO_MUCH : FAILED;
}

/** Those that answer with no record. */
const WRITES: ReadonlySet<WireCall["verb"]> = new Set(["create", "update", "touch", "delete", "deleteBySubject"]);

class Full extends Error {}

/** What is left for records in the answer to a request. */
class Room {
  #left = MOST_ANSWERED;
  /** Whether something did not fit: then no more is asked for. */
  isFull = false;

  /** Throws {@link Full}. */
  take({ value, subject }: StoredRecord, key = ""): void {
    const length = value.length + key.length + (subject?.length ?? 0);
    if (length > this.#left) {
      this.isFull = true;
      throw new Full();
    }
    this.#left -= length;
  }
}

const TOO_MUCH: WireAnswer = {
  error: "store-unavailable",
  message: `An answer has ${MOST_ANSWERED} characters of records at most: ask for fewer at a time`,
};

const TOO_LATE: WireAnswer = {
  error: "store-unavailable",
  message: "The store behind the server did not answer in time",
  timedOut: true,
};

function notCapable(store: SessionStore, { verb }: WireCall): WireAnswer {
  return { error: "not-capable", message: `The store behind the server (${store.name ?? "custom"}) has no ${verb}` };
}

/** What goes out as `ok`; undefined where the store has no such verb. */
function performed(call: WireCall, store: SessionStore, given: Given): MaybePromise<unknown> {
  switch (call.verb) {
    case "create":
      return store.create(call.key, recordFrom(call.record), given);
    case "read": {
      const found = store.read(call.key, given);
      return isPromise(found) ? found.then((record) => recordOut(record, given)) : recordOut(found, given);
    }
    case "update":
      return store.update(call.key, recordFrom(call.record), baseFrom(call.base), given);
    case "touch":
      return store.touch(call.key, call.expiresAt, given);
    case "delete":
      return store.delete(call.key, given);
    case "listBySubject": {
      const listing = store.listBySubject?.(call.subject, given);
      return listing && collected(listing, given);
    }
    case "deleteBySubject":
      return store.deleteBySubject?.(call.subject, { except: call.except }, given);
    case "list": {
      const page = store.list?.(call.prefix, { cursor: call.cursor, limit: Math.min(call.limit, LARGEST_PAGE) }, given);
      return isPromise(page) ? page.then((some) => pageOut(some, given)) : page && pageOut(page, given);
    }
    case "count":
      return store.count?.(call.prefix, given);
  }
}

function recordOut(record: StoredRecord | undefined, { room }: Given): object | null {
  if (record === undefined) return null;
  room.take(record);
  return wireRecord(record);
}

function listedOut({ key, record }: ListedRecord, { room }: Given): object {
  room.take(record, key);
  return { key, record: wireRecord(record) };
}

function pageOut({ records, cursor }: ListedPage, given: Given): object {
  return { records: records.map((listed) => listedOut(listed, given)), cursor };
}

async function collected(listing: AsyncIterable<ListedRecord>, given: Given): Promise<readonly object[]> {
  const all: object[] = [];
  for await (const listed of listing) {
    if (given.isAborted) break;
    all.push(listedOut(listed, given));
  }
  return all;
}

/** Resolves with the answer, with a failure, or when it is too late; nobody is kept waiting for who went away. */
function within({ clock, timeout, caller }: Patience, given: Given, result: PromiseLike<unknown>): Promise<WireAnswer> {
  const gone = caller.signal;
  return new Promise((resolve) => {
    let isOver = false;
    const end = (answer: WireAnswer): void => {
      isOver = true;
      cancel();
      gone.removeEventListener("abort", giveUp);
      resolve(answer);
    };
    const giveUp = (): void => {
      end(TOO_LATE);
      given.abort();
    };
    const cancel = clock.after(timeout, giveUp);
    gone.addEventListener("abort", giveUp);
    // Of what comes too late nobody is told.
    result.then(
      (ok) => void (isOver || end({ ok })),
      (error: unknown) => void (isOver || end(failed(error))),
    );
  });
}

/** What a store is given beside the arguments; its `AbortSignal` is made when the store asks for it: local stores never do. */
class Given implements StoreCall {
  readonly now: number;
  readonly previousSubject: string | undefined;
  /** Whoever asks a session server has no other way to know that a copy was served. */
  readonly fresh = true;
  readonly room: Room;
  isAborted = false;
  #controller: AbortController | undefined;

  constructor(call: WireCall, room: Room) {
    this.room = room;
    this.now = call.now;
    this.previousSubject = "previousSubject" in call ? call.previousSubject : undefined;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  abort(): void {
    this.isAborted = true;
    this.#controller?.abort();
  }
}
