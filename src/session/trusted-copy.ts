/**
 * Copies of stored records that clients keep, sealed, and that are trusted for a while without asking the store (`trustFor`).
 *
 * A copy is what one read of the store answered, kept where it takes no room on the server. It is the whole record, so that
 * whatever is judged on a record is judged on its copy by the same code; and it proves nothing by itself: the verifier in it
 * has to match the token that comes beside it. What the client can do with it is to leave it out.
 *
 * @module
 */
import { SessionTooLargeError } from "../errors.ts";
import { boundedCache, type BoundedCache } from "../internal/bounded-cache.ts";
import { parseJson } from "../internal/json.ts";
import { settled, type Steps } from "../internal/maybe-promise.ts";
import type { Protector } from "../protection/protection.ts";
import type { StoredRecord } from "../store/store.ts";
import { MAX_CANDIDATES, type BoundTransport, type RequestView } from "../transport/transport.ts";
import type { Beside } from "./tracker.ts";

/** What a copy says. */
export interface Copy {
  readonly id: string;
  /** What the store did later is not in it: when it was asked, in milliseconds since the epoch. */
  readonly readAt: number;
  readonly stored: StoredRecord;
}

/** What {@link trustedCopies} needs. */
export interface TrustedCopiesOptions {
  /** The definition's name, for messages. */
  readonly name: string;
  /** How long a copy is trusted after the store was asked, in milliseconds. */
  readonly trustFor: number;
  readonly protector: Protector;
  /** Where copies travel. */
  readonly place: BoundTransport;
  now(): number;
}

/** The copies of one definition. */
export interface TrustedCopies {
  readonly trustFor: number;
  /** The copies of a request that are to be trusted now, as far as they tell by themselves. */
  read(view: RequestView): Steps<readonly Copy[]>;
  /** What hands a copy to the client; undefined when that cannot be. Never throws: nothing depends on it. */
  sent(view: RequestView, copy: Copy): Steps<Beside | undefined>;
}

/** How many copies are remembered as read: as many as `seal()` remembers as opened. */
const MOST_KNOWN = 1024;
/** Longer records are not sealed in vain: no browser keeps a cookie for them. In characters. */
const LONGEST = 3000;

/** The copies of a definition. */
export function trustedCopies(options: TrustedCopiesOptions): TrustedCopies {
  const { trustFor, protector, place, now } = options;
  const known = boundedCache<string, Copy>(MOST_KNOWN);
  const complain = complainer(options);

  return {
    trustFor,
    *read(view) {
      const texts = place.read(view);
      if (texts.length > MAX_CANDIDATES) return [];
      const copies: Copy[] = [];
      for (const text of texts) {
        const copy = yield* opened(text, protector, known);
        if (copy !== undefined && isCurrent(copy, trustFor, now())) copies.push(copy);
      }
      return copies;
    },
    *sent(view, copy) {
      try {
        if (copy.stored.value.length > LONGEST) throw new SessionTooLargeError(copy.stored.value.length, LONGEST, "");
        const text = yield* settled(protector.protect(textOf(copy)));
        const beside = { place, text, lifetime: secondsOf(copy.readAt + trustFor - now()) };
        place.send(view, { token: text, endsAt: undefined, now: now(), lifetime: beside.lifetime });
        return beside;
      } catch (error) {
        complain(error);
        return undefined;
      }
    },
  };
}

/** Rounded up: whether a copy is still trusted is not the browser's to say. */
function secondsOf(ms: number): number {
  return Math.ceil(ms / 1000);
}

/** Whether a copy is young enough. One from the future is of a clock that was put back, or of a server whose clock is ahead. */
function isCurrent({ readAt, stored }: Copy, trustFor: number, now: number): boolean {
  return now >= readAt && now - readAt < trustFor && stored.expiresAt > now;
}

/** What a copy says. Its key and its clocks are looked at each time, also when it was read before (P26). */
function* opened(text: string, protector: Protector, known: BoundedCache<string, Copy>): Steps<Copy | undefined> {
  const unprotected = yield* settled(protector.unprotect(text));
  if (unprotected === undefined) return undefined;
  const there = known.get(text);
  if (there !== undefined) return there;
  const copy = copyOf(unprotected.text);
  if (copy !== undefined) known.offer(text, copy);
  return copy;
}

/** Everything but the record itself in a line of its own, so that the record's JSON is not escaped once more. */
function textOf({ id, readAt, stored }: Copy): string {
  const { version, expiresAt, subject, value } = stored;
  return `${JSON.stringify([id, readAt, version, expiresAt, subject])}\n${value}`;
}

function copyOf(text: string): Copy | undefined {
  const end = text.indexOf("\n");
  const [id, readAt, version, expiresAt, subject] = lineOf(text.slice(0, Math.max(0, end)));
  if (typeof id !== "string" || typeof version !== "string") return undefined;
  if (typeof readAt !== "number" || typeof expiresAt !== "number") return undefined;
  const rest = { version, expiresAt, value: text.slice(end + 1) };
  return { id, readAt, stored: Object.freeze(typeof subject === "string" ? { ...rest, subject } : rest) };
}

function lineOf(line: string): readonly unknown[] {
  try {
    const parts = parseJson(line);
    return Array.isArray(parts) ? parts : [];
  } catch {
    return [];
  }
}

/** Says once that there is no copy, and why: such sessions are read from the store, as without `trustFor`. */
function complainer({ name }: TrustedCopiesOptions): (error: unknown) => void {
  let said = false;
  return (error) => {
    if (said) return;
    said = true;
    const why =
      error instanceof SessionTooLargeError
        ? "it does not fit a cookie; keep less in it"
        : `it failed (${String(error)})`;
    console.warn(
      `coatcheck: no copy of a session "${name}" was sent for trustFor: ${why}. Such sessions are read from the store`,
    );
  };
}
