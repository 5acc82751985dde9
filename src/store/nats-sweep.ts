/**
 * The sweeper of `natsStore`: tells of records that are over, and removes them and the graves of deleted ones.
 *
 * Nothing is noted when a record is written. Messages are in the order of their writing, so a sweep walks on from where the last
 * one was, over what is new since, and notes when each record ends; a record that is written again has a new message, which
 * is walked over again. Notes are lists, one after the other for each minute; only whoever has the lease writes them. What is
 * due is read: if it is over, it goes; if it was written since, its new message is noted or will be.
 *
 * @module
 */
import { utf8 } from "../internal/bytes.ts";
import type { Listeners } from "../internal/listeners.ts";
import type { NatsConnection } from "./nats-client.ts";
import { foundIn, recordName } from "./nats-record.ts";
import { strike } from "./nats-subjects.ts";
import { RECORDS, SWEEPS } from "./nats-text.ts";
import { EXPIRED_FOR, type ExpiredRecord, type StoreCall } from "./store.ts";

const MINUTE = 60_000;

/** How long a sweeper has it for itself, in milliseconds, from the last time that it wrote its state. */
const LEASE = 30_000;

/** So many messages are walked over, or looked at again, before the state is written. */
const AT_ONCE = 250;

const STATE = `${SWEEPS}state`;
const decoder = new TextDecoder();

/** What sweepers know of the work of those before. */
interface State {
  /** Until when somebody is at it. */
  readonly until: number;
  /** Up to which sequence everything is noted. */
  readonly walked: number;
  /** The minutes that have notes. */
  readonly minutes: Readonly<Record<string, Lists>>;
}

/** The number of the first list of a minute, and the one after the last. */
type Lists = readonly [first: number, end: number];

/** A message that may be over by a minute, and whose record it was. */
type Note = readonly [key: string, sequence: number, subject?: string];

/** A sweep: what it works on, and who is told. */
export interface Sweep {
  readonly nats: NatsConnection;
  readonly expired: Listeners<ExpiredRecord>;
  readonly call: StoreCall;
}

/** The state while this process has the lease. */
interface Held {
  readonly sweep: Sweep;
  state: State;
  sequence: number;
}

/** Thrown when another one has taken over: whatever is left is theirs. */
class LeaseLost extends Error {}

/**
 * Tells of up to `limit` records that are over and removes them; of none while another process is at it. When it fails the lease
 * runs out by itself.
 */
export async function deleteExpired(sweep: Sweep, limit: number): Promise<number> {
  let removed = 0;
  try {
    const held = await acquire(sweep);
    if (held === undefined) return 0;
    await walk(held);
    for (const minute of dueIn(held.state, sweep.call.now)) {
      for await (const count of sweepMinute(held, minute, () => limit - removed)) removed += count;
      if (removed >= limit) break;
    }
    await keep(held, {}, 0);
  } catch (error) {
    if (!(error instanceof LeaseLost)) throw error;
  }
  return removed;
}

async function acquire(sweep: Sweep): Promise<Held | undefined> {
  const kept = await sweep.nats.get(STATE, sweep.call);
  const state = stateIn(kept?.bytes);
  if (state.until > sweep.call.now) return undefined;
  const held = { sweep, state, sequence: kept?.sequence ?? 0 };
  await keep(held, {});
  return held;
}

/** Writes the state, and so keeps the lease, or gives it up. Throws when it is somebody else's. */
async function keep(held: Held, change: Partial<State>, lease = LEASE): Promise<void> {
  const { nats, call } = held.sweep;
  held.state = { ...held.state, ...change, until: call.now + lease };
  const sequence = await nats.put(STATE, utf8(JSON.stringify(held.state)), held.sequence, call);
  if (sequence === undefined) throw new LeaseLost();
  held.sequence = sequence;
}

/** Notes everything that was written since the last sweep. */
async function walk(held: Held): Promise<void> {
  const { nats, call } = held.sweep;
  for (let more = true; more;) {
    const notes: (readonly [end: number, note: Note])[] = [];
    let walked = held.state.walked;
    while (notes.length < AT_ONCE) {
      const kept = await nats.next(`${RECORDS}>`, walked + 1, call);
      if (kept === undefined) break;
      walked = kept.sequence;
      const found = foundIn(kept, call.now);
      const { key, record } = found;
      const note: Note = [key, walked, ...subjectIn(record === undefined ? found : record)];
      notes.push([record === undefined ? found.since : record.expiresAt, note]);
    }
    more = notes.length === AT_ONCE;
    if (notes.length > 0) await keep(held, { walked, minutes: await noteAll(held, notes) });
  }
}

function subjectIn({ subject }: { readonly subject?: string | undefined }): readonly [subject?: string] {
  return subject === undefined ? [] : [subject];
}

/** Writes notes. Returns the minutes that the state then has: until it is written, they do not count. */
async function noteAll(
  held: Held,
  notes: readonly (readonly [end: number, note: Note])[],
): Promise<Readonly<Record<string, Lists>>> {
  const { now } = held.sweep.call;
  const byMinute = new Map<number, Note[]>();
  for (const [end, note] of notes) {
    const minute = minuteFor(end, now);
    const others = byMinute.get(minute);
    if (others === undefined) byMinute.set(minute, [note]);
    else others.push(note);
  }
  const minutes = { ...held.state.minutes };
  for (const [minute, some] of byMinute) {
    const [first, end] = minutes[minute] ?? [0, 0];
    await write(held, listName(minute, end), some);
    minutes[minute] = [first, end + 1];
  }
  return minutes;
}

/** The further away an end is, the coarser: the minutes of many fall together, and are refined when they come near. */
function minuteFor(end: number, now: number): number {
  const away = Math.max(1, (end - now) / MINUTE / 32);
  const width = 2 ** Math.floor(Math.log2(away));
  return Math.floor(end / MINUTE / width) * width;
}

function dueIn({ minutes }: State, now: number): readonly number[] {
  const latest = Math.floor((now - EXPIRED_FOR) / MINUTE);
  return Object.keys(minutes)
    .map(Number)
    .filter((minute) => minute <= latest)
    .toSorted((a, b) => a - b);
}

/** Looks at all that was noted for a minute, as long as `left` records may be removed. Yields how many were. */
async function* sweepMinute(held: Held, minute: number, left: () => number): AsyncGenerator<number> {
  const { nats, call } = held.sweep;
  const [first, end] = held.state.minutes[minute] ?? [0, 0];
  let done = first;
  for (let at = first; at < end && left() > 0; at++) {
    const name = listName(minute, at);
    const kept = await nats.get(name, call);
    const notes = notesIn(kept?.bytes);
    const some = notes.slice(0, left());
    const fates = await Promise.all(some.map((note) => examine(held.sweep, note)));
    const later = fates.flatMap((fate) => (typeof fate === "object" ? [fate.later] : []));
    const stay = [
      ...later.filter(([to]) => minuteFor(to, call.now) === minute).map(([, note]) => note),
      ...notes.slice(some.length),
    ];
    const moved = later.filter(([to]) => minuteFor(to, call.now) !== minute);
    const minutes = moved.length === 0 ? held.state.minutes : await noteAll(held, moved);
    if (stay.length > 0) await write(held, name, stay);
    else if (kept !== undefined) await nats.erase(name, kept.sequence, call);
    if (stay.length === 0 && done === at) done++;
    await keep(held, { minutes: { ...minutes, [minute]: [done, end] } });
    yield fates.filter((fate) => fate === "removed").length;
  }
  if (done < end) return;
  const { [minute]: _, ...minutes } = held.state.minutes;
  await keep(held, { minutes });
}

/** What becomes of a note: its record was removed; or it is needed no more; or it counts later. */
type Fate = "removed" | "done" | { readonly later: readonly [end: number, note: Note] };

async function examine({ nats, expired, call }: Sweep, note: Note): Promise<Fate> {
  const [key, sequence, subject] = note;
  const kept = await nats.get(recordName(key), call);
  if (kept !== undefined && kept.sequence !== sequence) return "done";
  const found = kept === undefined ? undefined : foundIn(kept, call.now);
  const end = found?.record?.expiresAt ?? (found?.record === undefined ? found?.since : undefined) ?? 0;
  if (end >= call.now - EXPIRED_FOR) return { later: [end, note] };
  if (found?.record !== undefined) expired.tell({ key, subject });
  const erased = kept === undefined ? 0 : await nats.erase(recordName(key), sequence, call);
  if (subject !== undefined) await strike(nats, subject, [key], call);
  return erased > 0 && found?.record !== undefined ? "removed" : "done";
}

/** Writes a list of notes. What is there is older, or of one who has had the lease and died before it counted. */
async function write({ sweep: { nats, call } }: Held, name: string, notes: readonly Note[]): Promise<void> {
  const kept = await nats.get(name, call);
  const sequence = await nats.put(name, utf8(JSON.stringify(notes)), kept?.sequence ?? 0, call);
  if (sequence === undefined) throw new LeaseLost();
}

function listName(minute: number, at: number): string {
  return `${SWEEPS}${minute}.${at}`;
}

function stateIn(bytes: Uint8Array | undefined): State {
  const found = jsonIn(bytes) as Partial<State> | undefined;
  return { until: found?.until ?? 0, walked: found?.walked ?? 0, minutes: found?.minutes ?? {} };
}

function notesIn(bytes: Uint8Array | undefined): readonly Note[] {
  const found = jsonIn(bytes);
  return Array.isArray(found) ? (found as readonly Note[]) : [];
}

function jsonIn(bytes: Uint8Array | undefined): unknown {
  try {
    return bytes === undefined ? undefined : JSON.parse(decoder.decode(bytes));
  } catch {
    // Somebody else wrote it: the work begins anew.
    return undefined;
  }
}
