/**
 * What sweeps of `natsStore` write down: how far they have come, and lists of notes.
 *
 * @module
 */
import { SWEEPS } from "./nats-text.ts";
import { EXPIRED_FOR } from "./store.ts";

const MINUTE = 60_000;
const decoder = new TextDecoder();

/** The name of the state. */
export const STATE: string = `${SWEEPS}state`;

/** What sweepers know of the work of those before. */
export interface State {
  /** Until when somebody is at it. */
  readonly until: number;
  /** Up to which sequence everything is noted. */
  readonly walked: number;
  /** The minutes that have notes. */
  readonly minutes: Minutes;
}

/** Of each minute the number of its first list, and the one after the last. */
export type Minutes = Readonly<Record<string, readonly [first: number, end: number]>>;

/** A message that may be over by a minute, and whose record it was. */
export type Note = readonly [key: string, sequence: number, subject?: string];

/** A note, and when its record may be over. */
export type Dated = readonly [end: number, note: Note];

/** The further away an end is, the coarser: the minutes of many fall together, and are refined when they come near. */
export function minuteFor(end: number, now: number): number {
  const away = Math.max(1, (end - now) / MINUTE / 32);
  const width = 2 ** Math.floor(Math.log2(away));
  return Math.floor(end / MINUTE / width) * width;
}

/** The minutes whose records are all over by five minutes, the first of them first. */
export function dueIn(minutes: Minutes, now: number): readonly number[] {
  const latest = Math.floor((now - EXPIRED_FOR) / MINUTE);
  return Object.keys(minutes)
    .map(Number)
    .filter((minute) => minute <= latest)
    .toSorted((a, b) => a - b);
}

/** The name of a list of notes. */
export function listName(minute: number, at: number): string {
  return `${SWEEPS}${minute}.${at}`;
}

/** The state as it was written; at the beginning, if there is none. */
export function stateIn(bytes: Uint8Array | undefined): State {
  const found = jsonIn(bytes) as Partial<State> | undefined;
  return { until: found?.until ?? 0, walked: found?.walked ?? 0, minutes: found?.minutes ?? {} };
}

/** The notes of a list. */
export function notesIn(bytes: Uint8Array | undefined): readonly Note[] {
  const found = jsonIn(bytes);
  return Array.isArray(found) ? found.filter(isNote) : [];
}

function isNote(found: unknown): found is Note {
  return Array.isArray(found) && typeof found[0] === "string" && typeof found[1] === "number";
}

function jsonIn(bytes: Uint8Array | undefined): unknown {
  try {
    return bytes === undefined ? undefined : JSON.parse(decoder.decode(bytes));
  } catch {
    // Somebody else wrote it: the work begins anew.
    return undefined;
  }
}
