/**
 * What the cases of the store conformance kit are written with.
 *
 * @module
 */
import type { MaybePromise } from "../internal/maybe-promise.ts";
import type { ListedPage, ListedRecord, SessionStore, StoreCall, StoredRecord, UpdateOutcome } from "../store/store.ts";

/** The optional members of a store. */
export type StoreCapability =
  | "listBySubject"
  | "deleteBySubject"
  | "list"
  | "count"
  | "deleteExpired"
  | "onExpired"
  | "watch"
  | "close";

/** One promise of the store contract and what proves it. */
export interface StoreCase {
  /** The promise in plain words. */
  readonly name: string;
  /** The optional member that the case is about. A store without it passes; a runner may say "skipped" instead. */
  readonly capability?: StoreCapability;
  /** Rejects with an `Error` that says what was expected when the store does not keep the promise. */
  run(make: () => MaybePromise<SessionStore>): Promise<void>;
}

type CallOptions = Partial<StoreCall>;

/** A store under test, with keys, records and a time of its own for each case. Every answer is checked for its type. */
export interface Bench {
  readonly store: SessionStore;
  /** The time of the case, in milliseconds since the epoch. */
  readonly now: number;
  /** A text that no other case and no other run uses. */
  unique(text?: string): string;
  /** A record with a version of its own that ends a minute from now. */
  record(fields?: Partial<StoredRecord>): StoredRecord;
  /** Creates a record under a new key; returns both. */
  stored(fields?: Partial<StoredRecord>): Promise<ListedRecord>;
  create(key: string, record: StoredRecord, call?: CallOptions): Promise<boolean>;
  /** Reads past every cache. */
  read(key: string, call?: CallOptions): Promise<StoredRecord | undefined>;
  /** Reads a record that has to be there. */
  existing(key: string, call?: CallOptions): Promise<StoredRecord>;
  update(key: string, record: StoredRecord, base: StoredRecord, call?: CallOptions): Promise<UpdateOutcome>;
  touch(key: string, expiresAt: number, call?: CallOptions): Promise<boolean>;
  delete(key: string, call?: CallOptions): Promise<boolean>;
}

/** Writes a case: the store is made before it and closed after it. */
export function storeCase(name: string, prove: (bench: Bench) => Promise<void>): StoreCase {
  return {
    name,
    async run(make) {
      const store = await make();
      try {
        await prove(benchOf(store));
      } finally {
        await store.close?.();
      }
    },
  };
}

/** A store that has the member `C`. */
export type Capable<C extends StoreCapability> = SessionStore & Required<Pick<SessionStore, C>>;

/** Writes a case about an optional member; its name begins with the member's. */
export function capabilityCase<C extends StoreCapability>(
  capability: C,
  name: string,
  prove: (bench: Bench, store: Capable<C>) => Promise<void>,
): StoreCase {
  const { name: fullName, run } = storeCase(`${capability}: ${name}`, async (bench) => {
    if (bench.store[capability] !== undefined) await prove(bench, bench.store as Capable<C>);
  });
  return { name: fullName, capability, run };
}

let counter = 0;
const RUN = `${Date.now().toString(36)}${Math.floor(Math.random() * 1e9).toString(36)}`;

function unique(text = "x"): string {
  return `kit${RUN}n${++counter}${text}`;
}

function benchOf(store: SessionStore): Bench {
  const now = Date.now();
  const record = (fields: Partial<StoredRecord> = {}): StoredRecord => ({
    version: unique("v"),
    expiresAt: now + 60_000,
    value: `{"n":${++counter}}`,
    ...fields,
  });
  const create: Bench["create"] = async (key, given, call) =>
    isBoolean("create", await store.create(key, given, { now, ...call }));
  const read: Bench["read"] = async (key, call) => isRecord(await store.read(key, { now, fresh: true, ...call }));

  return {
    store,
    now,
    unique,
    record,
    create,
    read,
    async stored(fields) {
      const [key, given] = [`${unique("name")}/${unique("id")}`, record(fields)];
      equal(await create(key, given), true, "create under a free key");
      return { key, record: given };
    },
    async existing(key, call) {
      const found = await read(key, call);
      if (found === undefined) throw new Error("read: the record should be there, and is not");
      return found;
    },
    update: async (key, given, base, call) => isOutcome(await store.update(key, given, base, { now, ...call })),
    touch: async (key, end, call) => isBoolean("touch", await store.touch(key, end, { now, ...call })),
    delete: async (key, call) => isBoolean("delete", await store.delete(key, { now, ...call })),
  };
}

function isBoolean(verb: string, answer: unknown): boolean {
  if (typeof answer === "boolean") return answer;
  throw new Error(`${verb}: expected true or false, got ${shown(answer)}`);
}

function isOutcome(answer: unknown): UpdateOutcome {
  if (answer === "ok" || answer === "conflict" || answer === "gone") return answer;
  throw new Error(`update: expected "ok", "conflict" or "gone", got ${shown(answer)}`);
}

function isRecord(answer: StoredRecord | undefined): StoredRecord | undefined {
  if (answer === undefined || looksLikeRecord(answer)) return answer;
  throw new Error(`read: expected a record or undefined, got ${shown(answer)}`);
}

function looksLikeRecord(answer: unknown): boolean {
  const { version, expiresAt, value, subject } = (answer ?? {}) as Partial<Record<keyof StoredRecord, unknown>>;
  if (typeof version !== "string" || typeof value !== "string" || typeof expiresAt !== "number") return false;
  return subject === undefined || typeof subject === "string";
}

/** Throws unless both are the same (`Object.is`). */
export function equal(actual: unknown, expected: unknown, what: string): void {
  if (!Object.is(actual, expected)) throw new Error(`${what}: expected ${shown(expected)}, got ${shown(actual)}`);
}

/** Throws unless `actual` is one of those allowed. */
export function oneOf(actual: unknown, allowed: readonly unknown[], what: string): void {
  if (!allowed.includes(actual)) {
    throw new Error(`${what}: expected ${allowed.map(shown).join(" or ")}, got ${shown(actual)}`);
  }
}

/** Throws unless both records say the same; a `revision` is the store's own business. */
export function sameRecord(actual: StoredRecord | undefined, expected: StoredRecord, what: string): void {
  if (actual === undefined) throw new Error(`${what}: expected a record, got undefined`);
  for (const field of ["version", "expiresAt", "subject", "value"] as const) {
    equal(actual[field], expected[field], `${what}: ${field}`);
  }
}

/** Throws unless the texts are the same ones, in any order. */
export function sameTexts(actual: readonly string[], expected: readonly string[], what: string): void {
  const sorted = (texts: readonly string[]): string => JSON.stringify(texts.toSorted());
  if (sorted(actual) !== sorted(expected)) {
    throw new Error(`${what}: expected ${shown(expected)}, got ${shown(actual)} (in any order)`);
  }
}

/** Everything that a listing yields. */
export async function collected(listing: AsyncIterable<ListedRecord>): Promise<readonly ListedRecord[]> {
  const all: ListedRecord[] = [];
  for await (const listed of listing) all.push(listed);
  return all;
}

/** Each page of a walk from the first one, or from a cursor, to the last. */
export async function* pagesOf(
  store: Capable<"list">,
  prefix: string,
  { now, limit = 25, cursor }: { readonly now: number; readonly limit?: number; readonly cursor?: string },
): AsyncGenerator<readonly ListedRecord[]> {
  let next = cursor;
  for (let pages = 0; pages === 0 || next !== undefined; pages++) {
    if (pages > MOST_PAGES) throw new Error(`list: a cursor with every page, and no end after ${MOST_PAGES} pages`);
    const page: ListedPage = await store.list(prefix, { cursor: next, limit }, { now });
    next = isCursor(page.cursor);
    for (const { key } of page.records) {
      if (!key.startsWith(prefix))
        throw new Error(`list: a key that does not begin with ${shown(prefix)}: ${shown(key)}`);
    }
    yield page.records;
  }
}

const MOST_PAGES = 100_000;

/** The records of a whole walk, each once: a store may bring one twice. */
export async function walked(
  store: Capable<"list">,
  prefix: string,
  options: Parameters<typeof pagesOf>[2],
): Promise<readonly ListedRecord[]> {
  const all = new Map<string, ListedRecord>();
  for await (const page of pagesOf(store, prefix, options)) for (const listed of page) all.set(listed.key, listed);
  return [...all.values()];
}

function isCursor(cursor: unknown): string | undefined {
  if (cursor === undefined || (typeof cursor === "string" && /^[\w-]+$/.test(cursor))) return cursor;
  throw new Error(`list: expected a cursor of letters, digits, - and _, got ${shown(cursor)}`);
}

/** The keys of records. */
export function keysIn(listed: readonly { readonly key: string }[]): readonly string[] {
  return listed.map(({ key }) => key);
}

/** The keys of a listing. */
export async function keysOf(listing: AsyncIterable<ListedRecord>): Promise<readonly string[]> {
  return (await collected(listing)).map(({ key }) => key);
}

/** Tries to change every field of a record; one that is frozen may refuse. */
export function vandalise(record: StoredRecord): void {
  for (const [field, other] of Object.entries({ version: "?", expiresAt: 1, subject: "?", value: "?" })) {
    Reflect.set(record, field, other);
  }
}

/** Lets everything else that waits go first, `turns` times. */
export async function pause(turns = 1): Promise<void> {
  for (let i = 0; i < turns; i++) {
    await new Promise((resolve) => {
      setTimeout(resolve, 0);
    });
  }
}

function shown(value: unknown): string {
  const text = typeof value === "string" || typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length > 200 ? `${text.slice(0, 200)}… (${text.length} characters)` : text;
}
