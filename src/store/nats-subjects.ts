/**
 * The index of subjects of `natsStore`: for each a list of the keys of its records, as one message. It is written before the
 * record (P28), and may list what is not there any more: the records themselves decide.
 *
 * One message a subject, and not one a member to be found by a pattern: a server of 2.9 looks through all keys of the bucket for
 * those that match a pattern (98 ms with 400 000 keys), and finds a whole name at once.
 *
 * A member is struck only by whoever has found, after reading the list, that its record is absent, and when it was listed more
 * than a minute ago. Writing the list expects the revision that was read, and listing again what is listed already writes it
 * too: so nobody strikes a member that was listed meanwhile.
 *
 * @module
 */
import { utf8 } from "../internal/bytes.ts";
import { type NatsConnection, tries } from "./nats-client.ts";
import { alive, type Found, foundIn, type FoundRecord, recordName } from "./nats-record.ts";
import { nameOf, SUBJECTS } from "./nats-text.ts";
import { EXPIRED_FOR, type StoreCall } from "./store.ts";

/** Keys, and when they were listed, by the clock of whoever did. */
type Members = ReadonlyMap<string, number>;

interface List {
  readonly name: string;
  /** 0 when there is none. */
  readonly sequence: number;
  readonly members: Members;
}

/**
 * A member without a record is struck when it was listed so long ago, in milliseconds: the minute in which its record may
 * still be on the way (P28), and the five by which the clocks of servers may differ (P1).
 */
const STRUCK_AFTER = 60_000 + EXPIRED_FOR;

const AT_ONCE = 100;
const decoder = new TextDecoder();

/** Lists a key under a subject. */
export async function listUnder(nats: NatsConnection, subject: string, key: string, call: StoreCall): Promise<void> {
  await rewrite(nats, subject, call, ({ members }) => new Map(members).set(key, call.now));
}

/** All records of a subject, in batches. Members whose records are gone are struck. */
export async function* recordsOf(
  nats: NatsConnection,
  subject: string,
  call: StoreCall,
): AsyncGenerator<readonly FoundRecord[]> {
  const { members } = await listOf(nats, subject, call);
  const keys = [...members.keys()];
  const stale: string[] = [];
  for (let at = 0; at < keys.length; at += AT_ONCE) {
    const found = await Promise.all(keys.slice(at, at + AT_ONCE).map((key) => ownRecord(nats, subject, key, call)));
    stale.push(...keys.slice(at, at + AT_ONCE).filter((_, i) => found[i] === undefined));
    yield found.flatMap((record) => alive(record, call.now) ?? []);
  }
  if (stale.some((key) => isOld(members.get(key), call))) await strike(nats, subject, stale, call);
}

/**
 * Strikes those of the keys from the list of a subject that have no record of that subject. Returns those that were listed too
 * lately for that.
 */
export async function strike(
  nats: NatsConnection,
  subject: string,
  keys: readonly string[],
  call: StoreCall,
): Promise<readonly string[]> {
  let young: readonly string[] = [];
  await rewrite(nats, subject, call, async ({ members }) => {
    const listed = keys.filter((key) => members.has(key));
    young = listed.filter((key) => !isOld(members.get(key), call));
    const old = listed.filter((key) => isOld(members.get(key), call));
    const found = await Promise.all(old.map((key) => ownRecord(nats, subject, key, call)));
    const struck = new Set(old.filter((_, i) => found[i] === undefined));
    return struck.size === 0 ? undefined : new Map([...members].filter(([key]) => !struck.has(key)));
  });
  return young;
}

function isOld(listed: number | undefined, { now }: StoreCall): boolean {
  return listed !== undefined && listed <= now - STRUCK_AFTER;
}

/** The record of a key if it has the subject, be it over or not. */
async function ownRecord(
  nats: NatsConnection,
  subject: string,
  key: string,
  call: StoreCall,
): Promise<Found | undefined> {
  const kept = await nats.get(recordName(key), call);
  const found = kept === undefined ? undefined : foundIn(kept, call.now);
  return found?.record?.subject === subject ? found : undefined;
}

async function listOf(nats: NatsConnection, subject: string, call: StoreCall): Promise<List> {
  const name = nameOf(SUBJECTS, subject);
  const kept = await nats.get(name, call);
  return { name, sequence: kept?.sequence ?? 0, members: kept === undefined ? new Map() : membersIn(kept.bytes) };
}

/** Changes the list of a subject, as often as others come first; `undefined` leaves it as it is. */
async function rewrite(
  nats: NatsConnection,
  subject: string,
  call: StoreCall,
  change: (list: List) => Members | undefined | Promise<Members | undefined>,
): Promise<void> {
  for (const again = tries(); ; again()) {
    const list = await listOf(nats, subject, call);
    const members = await change(list);
    if (members === undefined) return;
    // What others have written since is newer, and stays; and they find that their revision is gone, and come again.
    if (members.size === 0) return void (await nats.erase(list.name, list.sequence, call));
    const bytes = utf8(JSON.stringify([...members]));
    if ((await nats.put(list.name, bytes, list.sequence, call)) !== undefined) return;
  }
}

function membersIn(bytes: Uint8Array): Members {
  try {
    const entries = JSON.parse(decoder.decode(bytes)) as readonly (readonly [string, number])[];
    return new Map(entries.filter(([key, listed]) => typeof key === "string" && typeof listed === "number"));
  } catch {
    // Nobody of us wrote it: whoever lists next replaces it.
    return new Map();
  }
}
