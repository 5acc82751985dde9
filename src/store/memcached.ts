/**
 * Sessions in Memcached: `coatcheck/store/memcached`.
 *
 * @module
 */
import type { MaybePromise } from "../internal/maybe-promise.ts";
import { checkNames } from "../internal/option-names.ts";
import {
  type Connection,
  type MemcachedClient,
  type MemcachedCommands,
  memcachedConnection,
} from "./memcached-client.ts";
import { exptimeOf, isRecord, LONGEST_PREFIX, namer, recordIn, textOf, tokenOf, withEnd } from "./memcached-record.ts";
import { positiveInteger } from "./option-check.ts";
import type { SessionStore, StoreCall, StoredRecord, UpdateOutcome } from "./store.ts";
import { untilAborted } from "./waiting.ts";

export type {
  CasOutcome,
  MemcachedClient,
  MemcachedCommands,
  MemcachedItem,
  MemjsClient,
  NodeMemcachedClient,
} from "./memcached-client.ts";

/** Options of {@link memcachedStore}. */
export interface MemcachedStoreOptions {
  /**
   * What the names of all records begin with: up to 200 letters, digits and `. _ - : /`, the last of them `:` or `/`.
   * Default `"coatcheck:"`.
   */
  readonly prefix?: string | undefined;
  /**
   * The largest record that is sent, in bytes: what the server is started with as `-I`, less a kilobyte for what it keeps
   * with each. A larger one is an error. Default 1 047 552, for servers as they are.
   */
  readonly maxValueBytes?: number | undefined;
}

/** A {@link SessionStore} that can neither list nor count: Memcached cannot. */
export type MemcachedStore = SessionStore & Required<Pick<SessionStore, "name" | "cached">>;

/** What the verbs share. */
interface Context {
  readonly commands: MemcachedCommands;
  readonly maxValueBytes: number;
  nameOf(key: string): MaybePromise<string>;
}

/**
 * Keeps sessions in Memcached, on one server or several. What it holds is gone when it restarts, and when it evicts: then
 * people are signed out, and nothing else happens to them.
 *
 * The client is the app's: of memjs, of memcached, or any other in a few lines ({@link MemcachedCommands}). Reading is one
 * command, and so are creating and updating; touching and deleting are two. Sessions cannot be listed, counted or found by
 * their subject.
 *
 * Throws a `TypeError` for options that cannot work, and for what is no such client.
 *
 * @example
 * import { memcachedStore } from "coatcheck/store/memcached";
 * import { Client } from "memjs";
 *
 * const store = memcachedStore(Client.create("localhost:11211"));
 */
export function memcachedStore(client: MemcachedClient, options: MemcachedStoreOptions = {}): MemcachedStore {
  checkNames("memcachedStore", options, ["prefix", "maxValueBytes"]);
  const context = contextOf(memcachedConnection(client), options);
  return {
    name: "memcachedStore",
    cached: false,
    create: (key, record, call) => untilAborted(call, () => create(context, key, record, call)),
    read: (key, call) => untilAborted(call, () => read(context, key, call)),
    update: (key, record, base, call) => untilAborted(call, () => update(context, key, record, base, call)),
    touch: (key, expiresAt, call) => untilAborted(call, () => touch(context, key, expiresAt, call)),
    delete: (key, call) => untilAborted(call, () => remove(context, key, call)),
  };
}

const DEFAULT_BYTES = 1_048_576 - 1024;

function contextOf(connection: Connection, options: MemcachedStoreOptions): Context {
  const { prefix = "coatcheck:" } = options;
  const { commands, namespace } = connection;
  if (typeof prefix !== "string" || !/^[\w.:/-]*[:/]$/.test(prefix)) {
    throw new TypeError("prefix: expected letters, digits and . _ - : /, the last of them : or /");
  }
  if (namespace.length + prefix.length > LONGEST_PREFIX) {
    throw new TypeError(`prefix: expected no more than ${LONGEST_PREFIX} characters, the client's namespace included`);
  }
  const maxValueBytes = positiveInteger("maxValueBytes", options.maxValueBytes, DEFAULT_BYTES);
  if (maxValueBytes > (connection.maxValueBytes ?? maxValueBytes)) {
    throw new TypeError("maxValueBytes: the client sends no more than its own maxValue: set that, too");
  }
  return { commands, maxValueBytes, nameOf: namer(prefix, namespace) };
}

/** What is kept under a name. */
interface Found {
  readonly record: StoredRecord;
  readonly text: string;
  readonly token: string;
}

/** What is there, expired or not. */
async function kept({ commands }: Context, name: string, now: number): Promise<Found | undefined> {
  const item = await commands.gets(name);
  if (item === undefined) return undefined;
  if (item.token === "0") throw new Error("memcachedStore: the server was started with -C, without compare-and-set");
  return { record: recordIn(item, now), text: item.value, token: item.token };
}

/** What is there and has not expired. */
async function alive(context: Context, name: string, now: number): Promise<Found | undefined> {
  const found = await kept(context, name, now);
  return found !== undefined && found.record.expiresAt > now ? found : undefined;
}

async function read(context: Context, key: string, { now }: StoreCall): Promise<StoredRecord | undefined> {
  return (await alive(context, await context.nameOf(key), now))?.record;
}

/** How often others may come in between. Each time one of them has succeeded. */
const MOST_TRIES = 100;

async function repeated<T>(call: StoreCall, attempt: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const answer = await attempt();
    if (answer !== undefined) return answer;
    call.signal?.throwIfAborted();
  }
  throw new Error("memcachedStore: others kept changing the record");
}

async function create(context: Context, key: string, record: StoredRecord, call: StoreCall): Promise<boolean> {
  const { commands } = context;
  const [name, text] = [await context.nameOf(key), sendable(context, textOf(record))];
  const exptime = exptimeOf(record.expiresAt, call.now);
  return await repeated(call, async () => {
    if (await commands.add(name, text, exptime)) return true;
    const found = await kept(context, name, call.now);
    if (found === undefined) return undefined;
    if (found.record.expiresAt > call.now) return false;
    return (await commands.cas(name, text, exptime, found.token)) === "stored" ? true : undefined;
  });
}

const OUTCOMES = { stored: "ok", exists: "conflict", "not-found": "gone" } as const;

/** Replaces the base in one command where it says by its revision what is there; else that is looked up first. */
async function update(
  context: Context,
  key: string,
  record: StoredRecord,
  base: StoredRecord,
  { now }: StoreCall,
): Promise<UpdateOutcome> {
  const [name, text] = [await context.nameOf(key), sendable(context, textOf(record))];
  let token = base.expiresAt > now ? tokenOf(base) : undefined;
  if (token === undefined) {
    const found = await alive(context, name, now);
    if (found === undefined) return "gone";
    const { version, revision } = found.record;
    if (version !== base.version || (base.revision ?? revision) !== revision) return "conflict";
    token = found.token;
  }
  return OUTCOMES[await context.commands.cas(name, text, exptimeOf(record.expiresAt, now), token)];
}

async function touch(context: Context, key: string, expiresAt: number, call: StoreCall): Promise<boolean> {
  const name = await context.nameOf(key);
  return await repeated(call, async () => {
    const found = await alive(context, name, call.now);
    if (found === undefined) return false;
    const { record, text, token } = found;
    if (record.expiresAt >= expiresAt || !isRecord(text)) return true;
    const exptime = exptimeOf(expiresAt, call.now);
    const outcome = await context.commands.cas(name, withEnd(text, expiresAt), exptime, token);
    return outcome === "exists" ? undefined : outcome === "stored";
  });
}

/** Memcached deletes what has expired by the app's clock like anything else: so it is looked at before. */
async function remove(context: Context, key: string, { now }: StoreCall): Promise<boolean> {
  const name = await context.nameOf(key);
  return (await alive(context, name, now)) !== undefined && (await context.commands.delete(name));
}

const encoder = new TextEncoder();

/** A text, unless it is longer than the server would take: some clients give a server up for saying so. */
function sendable({ maxValueBytes }: Context, text: string): string {
  if (text.length * 3 <= maxValueBytes) return text;
  const bytes = encoder.encode(text).length;
  if (bytes <= maxValueBytes) return text;
  throw new Error(`memcachedStore: a session of ${bytes} bytes is larger than maxValueBytes, ${maxValueBytes}`);
}
