/**
 * The verbs of `natsStore`: every write says which message it replaces, and the server does it only if that one is the newest
 * under its key. So nothing is lost or brought back, whoever else writes, and whoever sends a message twice.
 *
 * @module
 */
import { type BoundedCache, boundedCache } from "../internal/bounded-cache.ts";
import { type NatsConnection, tries } from "./nats-client.ts";
import {
  alive,
  finite,
  foundIn,
  type FoundRecord,
  type Found,
  graveOf,
  messageOf,
  NOTHING,
  recordName,
  type Replaced,
  revisionIn,
  revisionOf,
} from "./nats-record.ts";
import { listUnder, recordsOf } from "./nats-subjects.ts";
import type { SessionStore, StoreCall, StoredRecord, UpdateOutcome } from "./store.ts";

/**
 * What this process read or wrote last: with it a touch and a deletion need no read of their own, as long as nobody else has
 * changed the record. Not what is long: it stays in memory.
 */
const [REMEMBERED, SHORT] = [500, 8_192];

/** The verbs, and what is done by them. */
export type NatsVerbs = Required<
  Pick<SessionStore, "create" | "read" | "update" | "touch" | "delete" | "deleteBySubject">
>;

/** What the verbs share. */
interface Context {
  readonly nats: NatsConnection;
  readonly records: Records;
  /** What was read or written last. */
  readonly recent: BoundedCache<string, FoundRecord>;
}

/** The verbs over a bucket. */
export function natsVerbs(nats: NatsConnection): NatsVerbs {
  const recent = boundedCache<string, FoundRecord>(REMEMBERED);
  const records = recordsIn(nats, (found) => {
    if (found.record.value.length <= SHORT) recent.set(found.key, found);
  });
  const context = { nats, records, recent };
  return {
    create: (key, record, call) => create(context, key, record, call),
    read: async (key, call) => (await living(context, key, call))?.record,
    update: (key, record, base, call) => update(context, key, record, base, call),
    touch: (key, expiresAt, call) => touch(context, key, expiresAt, call),
    delete: (key, call) => remove(context, key, alive(recent.get(key), call.now), call),
    deleteBySubject: (subject, { except }, call) => removeOf(context, subject, except, call),
  };
}

async function living({ records }: Context, key: string, call: StoreCall): Promise<FoundRecord | undefined> {
  return alive(await records.find(key, call), call.now);
}

async function create(
  { nats, records }: Context,
  key: string,
  record: StoredRecord,
  call: StoreCall,
): Promise<boolean> {
  if (record.subject !== undefined) await listUnder(nats, record.subject, key, call);
  const again = tries();
  let before = NOTHING;
  while (!(await records.write(key, record, before, call))) {
    again();
    const found = await records.find(key, call);
    if (alive(found, call.now) !== undefined) return false;
    before = found ?? NOTHING;
  }
  return true;
}

async function update(
  context: Context,
  key: string,
  record: StoredRecord,
  base: StoredRecord,
  call: StoreCall,
): Promise<UpdateOutcome> {
  const given = revisionIn(base);
  const again = tries();
  for (;;) {
    const revision = given ?? (await living(context, key, call))?.record.revision;
    if (revision === undefined) return "gone";
    if (revision.version !== base.version) return "conflict";
    // Another one may be there by now.
    if (revision.expiresAt <= call.now) return (await living(context, key, call)) === undefined ? "gone" : "conflict";
    const { subject } = record;
    if (subject !== undefined && subject !== revision.subject) await listUnder(context.nats, subject, key, call);
    if (await context.records.write(key, record, revision, call)) return "ok";
    // Without a revision the version decides, and a touch that came between leaves that as it is.
    if (given !== undefined) return "conflict";
    again();
  }
}

async function touch(context: Context, key: string, expiresAt: number, call: StoreCall): Promise<boolean> {
  const again = tries();
  let found = alive(context.recent.get(key), call.now);
  if (found === undefined || found.record.expiresAt >= expiresAt) found = await living(context, key, call);
  while (found !== undefined && found.isOurs && found.record.expiresAt < expiresAt) {
    if (await context.records.write(key, { ...found.record, expiresAt }, found, call)) return true;
    again();
    found = await living(context, key, call);
  }
  return found !== undefined;
}

/** Removes a record, which `guess` says is there; with `of`, if it has that subject. */
async function remove(
  context: Context,
  key: string,
  guess: FoundRecord | undefined,
  call: StoreCall,
  of?: string,
): Promise<boolean> {
  const again = tries();
  let found = guess ?? (await living(context, key, call));
  while (found !== undefined) {
    if (of !== undefined && found.record.subject !== of) return false;
    const grave = graveOf(recordName(key), key, found.until, found.record.subject);
    if ((await context.nats.put(recordName(key), grave, found.sequence, call)) !== undefined) return true;
    again();
    found = await living(context, key, call);
  }
  return false;
}

async function removeOf(
  context: Context,
  subject: string,
  except: string | undefined,
  call: StoreCall,
): Promise<readonly string[]> {
  const deleted: string[] = [];
  for await (const found of recordsOf(context.nats, subject, call)) {
    const others = found.filter(({ key }) => key !== except);
    const answers = await Promise.all(others.map((one) => remove(context, one.key, one, call, subject)));
    deleted.push(...others.flatMap(({ key }, i) => (answers[i] === true ? [key] : [])));
  }
  return deleted;
}

interface Records {
  find(key: string, call: StoreCall): Promise<Found | undefined>;
  /** Writes in the place of the message `before`; false when another one is there. */
  write(key: string, record: StoredRecord, before: Replaced, call: StoreCall): Promise<boolean>;
}

/** Reads and writes records, and says which. */
function recordsIn(nats: NatsConnection, seen: (found: FoundRecord) => void): Records {
  return {
    async find(key, call) {
      const kept = await nats.get(recordName(key), call);
      if (kept === undefined) return undefined;
      const found = foundIn(kept, call.now);
      if (found.record !== undefined) seen({ ...found, key });
      return found;
    },
    async write(key, { version, expiresAt, subject, value }, before, call) {
      const record = { version, expiresAt, value, ...(subject === undefined ? {} : { subject }) };
      const until = finite(Math.max(before.until, expiresAt));
      const name = recordName(key);
      const sequence = await nats.put(name, messageOf(name, key, record, until), before.sequence, call);
      if (sequence === undefined) return false;
      const revision = revisionOf(sequence, record, until);
      seen({ key, sequence, until, record: { ...record, revision }, isOurs: true });
      return true;
    },
  };
}
