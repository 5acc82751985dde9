/**
 * The sweeper of `natsStore`: tells of records that are over, and removes them and the graves of deleted ones, or buries them:
 * nothing goes before all that was ever kept under its name is over.
 *
 * Nothing is noted when a record is written. Messages are in the order of their writing, so a sweep walks on from where the last
 * one was, over what is new since, and notes when each record ends; a record that is written again has a new message, which
 * is walked over again. Notes are lists, one after the other for each minute; only whoever has the lease writes them. What is
 * due is read: if it is over, it goes; if it was written since, its new message is noted or will be.
 *
 * @module
 */
import { utf8 } from "../internal/bytes.ts";
import { systemClock } from "../internal/clock.ts";
import type { Listeners } from "../internal/listeners.ts";
import type { NatsConnection } from "./nats-client.ts";
import type { Kept } from "./nats-message.ts";
import { type Found, foundIn, graveOf, recordName } from "./nats-record.ts";
import { strike } from "./nats-subjects.ts";
import {
  type Dated,
  dueIn,
  listName,
  minuteFor,
  type Minutes,
  type Note,
  notesIn,
  STATE,
  type State,
  stateIn,
} from "./nats-sweep-state.ts";
import { RECORDS } from "./nats-text.ts";
import { walkRecords } from "./nats-walk.ts";
import { EXPIRED_FOR, type ExpiredRecord, type StoreCall } from "./store.ts";

/** How long a sweeper has it for itself, in milliseconds, from the last time that it wrote its state. */
const LEASE = 30_000;

/** After so many messages that were walked over the state is written; lists of notes are about as long. */
const AT_ONCE = 250;

/** A sweep: what it works on, and who is told. */
export interface Sweep {
  readonly nats: NatsConnection;
  readonly expired: Listeners<ExpiredRecord>;
  readonly call: StoreCall;
}

/** The state while this process has the lease. */
interface Held {
  readonly sweep: Sweep;
  /** When it began, by the clock of this machine. */
  readonly began: number;
  state: State;
  sequence: number;
}

/** Thrown when another one has taken over: whatever is left is theirs. */
class LeaseLost extends Error {}

/** What a sweep has done. */
export interface Swept {
  readonly removed: number;
  /** Whether another one would find more to do. */
  readonly hasMore: boolean;
}

/**
 * Tells of up to `limit` records that are over and removes them, after it has noted all that is new, or about `most` of that.
 * Does nothing while another process is at it. When it fails the lease runs out by itself.
 */
export async function deleteExpired(sweep: Sweep, limit: number, most: number = Infinity): Promise<Swept> {
  let removed = 0;
  let hasMore = false;
  try {
    const held = await acquire(sweep);
    if (held === undefined) return { removed, hasMore };
    hasMore = !(await walk(held, most));
    for (const minute of dueIn(held.state.minutes, sweep.call.now)) {
      for await (const count of sweepMinute(held, minute, () => limit - removed)) removed += count;
      if (removed >= limit) break;
    }
    await keep(held, {}, 0);
  } catch (error) {
    if (!(error instanceof LeaseLost)) throw error;
  }
  return { removed, hasMore: hasMore || removed >= limit };
}

async function acquire(sweep: Sweep): Promise<Held | undefined> {
  const kept = await sweep.nats.get(STATE, sweep.call);
  const state = stateIn(kept?.bytes);
  if (state.until > sweep.call.now) return undefined;
  const held = { sweep, began: systemClock.now(), state, sequence: kept?.sequence ?? 0 };
  await keep(held, {});
  return held;
}

/** Writes the state, and so keeps the lease; with `until` 0 gives it up. Throws when it is somebody else's. */
async function keep(held: Held, change: Partial<State>, until = leaseOf(held)): Promise<void> {
  const { nats, call } = held.sweep;
  held.state = { ...held.state, ...change, until };
  const sequence = await nats.put(STATE, utf8(JSON.stringify(held.state)), held.sequence, call);
  if (sequence === undefined) throw new LeaseLost();
  held.sequence = sequence;
}

function leaseOf({ sweep, began }: Held): number {
  return sweep.call.now + (systemClock.now() - began) + LEASE;
}

/** Notes what was written since the last sweep: all of it, or about `most` messages. Returns whether it is all. */
async function walk(held: Held, most: number): Promise<boolean> {
  const { nats, call } = held.sweep;
  let notes: Dated[] = [];
  let [count, walked] = [0, held.state.walked];
  const noted = async (): Promise<void> => {
    const some = notes;
    notes = [];
    await keep(held, { walked, minutes: await noteAll(held, some) });
  };
  for await (const { records, length, end } of walkRecords(nats, RECORDS, walked + 1, call)) {
    notes.push(...records.map((kept) => noteOf(kept, call.now)));
    count += length;
    walked = end;
    const isEnough = count >= most;
    if (notes.length >= AT_ONCE || isEnough) await noted();
    if (isEnough) return false;
  }
  if (notes.length > 0) await noted();
  return true;
}

function noteOf(kept: Kept, now: number): Dated {
  const found = foundIn(kept, now);
  const { key, record } = found;
  const note: Note = [key, kept.sequence, ...subjectIn(record === undefined ? found : record)];
  return [endOf(found), note];
}

function subjectIn({ subject }: { readonly subject?: string | undefined }): readonly [subject?: string] {
  return subject === undefined ? [] : [subject];
}

/** Writes notes. Returns the minutes that the state then has: until it is written, they do not count. */
async function noteAll(held: Held, notes: readonly Dated[]): Promise<Minutes> {
  const { now } = held.sweep.call;
  const minutes = { ...held.state.minutes };
  for (const [minute, some] of grouped(notes, ([to]) => minuteFor(to, now))) {
    const [first, end] = minutes[minute] ?? [0, 0];
    await write(
      held,
      listName(minute, end),
      some.map(([, note]) => note),
    );
    minutes[minute] = [first, end + 1];
  }
  return minutes;
}

/** Looks at all that was noted for a minute, as long as `left` records may be removed. Yields how many were. */
async function* sweepMinute(held: Held, minute: number, left: () => number): AsyncGenerator<number> {
  const { nats, call } = held.sweep;
  const [first, end] = held.state.minutes[minute] ?? [0, 0];
  const isMoved = ([to]: Dated): boolean => minuteFor(to, call.now) !== minute;
  let done = first;
  for (let at = first; at < end && left() > 0; at++) {
    const name = listName(minute, at);
    const kept = await nats.get(name, call);
    const notes = notesIn(kept?.bytes);
    const some = notes.slice(0, left());
    const { removed, later } = await examineAll(held.sweep, some);
    const moved = later.filter(isMoved);
    // They count elsewhere before they are gone from here: whoever goes on when this process dies misses none.
    if (moved.length > 0) await keep(held, { minutes: await noteAll(held, moved) });
    const stay = [...later.filter((one) => !isMoved(one)).map(([, note]) => note), ...notes.slice(some.length)];
    if (stay.length > 0) await write(held, name, stay);
    else if (kept !== undefined) await nats.erase(name, kept.sequence, call);
    if (stay.length === 0 && done === at) done++;
    await keep(held, { minutes: { ...held.state.minutes, [minute]: [done, end] } });
    yield removed;
  }
  if (done < end) return;
  const { [minute]: _, ...minutes } = held.state.minutes;
  await keep(held, { minutes });
}

/** Removes what is over. Returns how many records that were, and the notes that are still needed. */
async function examineAll(
  sweep: Sweep,
  notes: readonly Note[],
): Promise<{ readonly removed: number; readonly later: readonly Dated[] }> {
  const fates = await Promise.all(notes.map((note) => examine(sweep, note)));
  const gone = notes.filter((_, i) => fates[i] === "removed" || fates[i] === "absent");
  return {
    removed: fates.filter((fate) => fate === "removed").length,
    later: [...fates.filter((fate) => typeof fate === "object"), ...(await strikeAll(sweep, gone))],
  };
}

/** When there is something to do about what was found. */
function endOf({ record, until }: Found): number {
  return record === undefined ? until : record.expiresAt;
}

/** What becomes of a note: its record was removed, or is not there; or it is needed no more; or it counts later. */
type Fate = "removed" | "absent" | "done" | Dated;

async function examine({ nats, expired, call }: Sweep, note: Note): Promise<Fate> {
  const [key, sequence, subject] = note;
  const kept = await nats.get(recordName(key), call);
  if (kept === undefined) return "absent";
  if (kept.sequence !== sequence) return "done";
  const found = foundIn(kept, call.now);
  const isOver = (end: number): boolean => end < call.now - EXPIRED_FOR;
  if (!isOver(endOf(found))) return [endOf(found), note];
  if (found.record !== undefined) expired.tell({ key, subject });
  const name = recordName(key);
  const isDone = isOver(found.until)
    ? (await nats.erase(name, sequence, call)) > 0
    : (await nats.put(name, graveOf(name, key, found.until, subject), sequence, call)) !== undefined;
  return isDone && found.record !== undefined ? "removed" : "absent";
}

/** Strikes members without a record from the lists of their subjects. Returns the notes of those that are too young for that. */
async function strikeAll({ nats, call }: Sweep, notes: readonly Note[]): Promise<readonly Dated[]> {
  const young = await Promise.all(
    [...grouped(notes, ([, , subject]) => subject)].map(async ([subject, some]) => {
      if (subject === undefined) return [];
      const keys = new Set(
        await strike(
          nats,
          subject,
          some.map(([key]) => key),
          call,
        ),
      );
      return some.filter(([key]) => keys.has(key)).map((note): Dated => [call.now, note]);
    }),
  );
  return young.flat();
}

/** Writes a list of notes. What is there is older, or of one who has had the lease and died before it counted. */
async function write({ sweep: { nats, call } }: Held, name: string, notes: readonly Note[]): Promise<void> {
  const kept = await nats.get(name, call);
  const sequence = await nats.put(name, utf8(JSON.stringify(notes)), kept?.sequence ?? 0, call);
  if (sequence === undefined) throw new LeaseLost();
}

function grouped<Key, Value>(
  values: readonly Value[],
  keyOf: (value: Value) => Key,
): ReadonlyMap<Key, readonly Value[]> {
  const groups = new Map<Key, Value[]>();
  for (const value of values) {
    const key = keyOf(value);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [value]);
    else group.push(value);
  }
  return groups;
}
