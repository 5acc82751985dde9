/**
 * What a request does to its session: the rules of `src/session/`, as far as they ask the store for something. The clocks are
 * the product's own; what is in a session, its secrets and its cookies are left out.
 *
 * @module
 */
import { settled, type Steps } from "../../src/internal/maybe-promise.ts";
import { nextExpiry, touchDue, type Policy } from "../../src/session/policy.ts";
import type { NearCache } from "../../src/store/near-cache.ts";
import type { StoredRecord } from "../../src/store/store.ts";
import { waiting, type Chance } from "./chance.ts";
import type { Verb } from "./traffic.ts";

/** A session as it is kept. */
export interface Kept extends StoredRecord {
  readonly createdAt: number;
  /** Since when its secret is the one that counts. */
  readonly since: number;
  /** Whether the next secret was offered, and not yet seen. */
  readonly pending: boolean;
}

/** A browser: one session at a time, one request at a time. */
export interface Visitor {
  readonly rank: number;
  key: string | undefined;
  /** The version cookie: what it has written, and until when the cookie lives. */
  wrote: { readonly version: string; readonly until: number } | undefined;
  /** Requests that wait for the one under way; undefined when none is. */
  waiting: (() => void)[] | undefined;
  sessions: number;
}

/** Where a request is, and what it is told. */
export interface Place {
  readonly near: NearCache;
  readonly policy: Policy;
  /** In milliseconds. */
  readonly maxAge: number;
  now(): number;
  version(): string;
  /** The store has answered to the sign-out. */
  ended(key: string): void;
  /** A copy was not what this visitor had written itself: that must never be. */
  wrong(): void;
}

/** A visitor who was never seen. */
export function newVisitor(rank: number): Visitor {
  return { rank, key: undefined, wrote: undefined, waiting: undefined, sessions: 0 };
}

/** Begins a session for a visitor. Its name in the store is new, too. */
export function newKey(visitor: Visitor): string {
  return (visitor.key = `user/${visitor.rank}.${visitor.sessions++}`);
}

/** The session of a visitor who has been coming for a long time, `every` so many milliseconds, before the simulation began. */
export function keptBefore(policy: Policy, every: number, version: string, now: number, chance: Chance): Kept {
  const { idle = 0, absolute = 0, renewal } = policy;
  // A clock is moved by the first request after its time: so it stands for that long, and then until that request.
  const age = (period: number): number => {
    const at = chance() * (period + every);
    return at < period ? at : period + waiting(chance, every);
  };
  const touchedAt = now - age(idle / 10);
  // Its secret has so many milliseconds behind it, or waits for the request that renews it, or for the one that confirms that.
  const part = chance() * ((renewal ?? 0) + 2 * every);
  const createdAt = now - chance() * absolute;
  return Object.freeze({
    version,
    value: "",
    createdAt,
    since: now - Math.min(part, renewal ?? 0),
    pending: renewal !== undefined && part >= renewal + every,
    expiresAt: nextExpiry(policy, { createdAt, authenticatedAt: createdAt }, touchedAt),
  });
}

/** One request, from the look at its session to the end of what it writes. */
export function* requested(place: Place, visitor: Visitor, verb: Verb): Steps<void> {
  const loaded = visitor.key === undefined ? undefined : yield* load(place, visitor, visitor.key);
  if (loaded === undefined) yield* signIn(place, visitor);
  else if (verb === "sign-out") yield* signOut(place, visitor, visitor.key!);
  else yield* commit(place, visitor, visitor.key!, loaded, verb);
}

/** A copy, unless it is not what the visitor wrote last. That there is none a copy has not to say (P7). */
function* load({ near, now, wrong }: Place, visitor: Visitor, key: string): Steps<Kept | undefined> {
  const fresh = { fresh: true };
  let found = yield* settled(near.read(key, { now: now() }));
  const { wrote } = visitor;
  const isTold = wrote !== undefined && wrote.until > now();
  if (found === undefined || (isTold && found.version !== wrote.version)) {
    found = yield* settled(near.read(key, { now: now(), ...fresh }));
  }
  if (found !== undefined && wrote !== undefined && found.version !== wrote.version) wrong();
  return found as Kept | undefined;
}

function* signIn({ near, policy, maxAge, now, version }: Place, visitor: Visitor): Steps<void> {
  const at = now();
  const begun = { createdAt: at, since: at, pending: false, version: version(), value: "" };
  const record: Kept = Object.freeze({
    ...begun,
    expiresAt: nextExpiry(policy, { createdAt: at, authenticatedAt: at }, at),
  });
  yield* settled(near.create(newKey(visitor), record, { now: at }));
  visitor.wrote = { version: record.version, until: now() + maxAge };
}

/** Who has only a copy asks once more before it ends a session (P6). */
function* signOut({ near, now, ended }: Place, visitor: Visitor, key: string): Steps<void> {
  yield* settled(near.read(key, { now: now(), fresh: true }));
  yield* settled(near.delete(key, { now: now() }));
  ended(key);
  visitor.key = undefined;
  visitor.wrote = undefined;
}

/** What the handler wrote, and what is due: a new secret, its confirmation, the idle clock (P9, P22). */
function* commit(place: Place, visitor: Visitor, key: string, loaded: Kept, verb: Verb): Steps<void> {
  const { near, policy, maxAge, now, version } = place;
  let base: Kept | undefined = loaded;
  while (base !== undefined) {
    const at = now();
    const { createdAt, since, pending } = base;
    const clocks = { createdAt, authenticatedAt: createdAt };
    const isDue = policy.renewal !== undefined && at - since >= policy.renewal;
    if (verb !== "write" && !pending && !isDue) {
      if (!touchDue(policy, clocks, base.expiresAt, at)) return;
      yield* settled(near.touch(key, nextExpiry(policy, clocks, at), { now: at }));
      return;
    }
    const next: Kept = Object.freeze({
      createdAt,
      since: pending ? at : since,
      pending: !pending && isDue,
      version: version(),
      value: "",
      expiresAt: nextExpiry(policy, clocks, at),
    });
    if ((yield* settled(near.update(key, next, base, { now: at }))) === "ok") {
      visitor.wrote = { version: next.version, until: now() + maxAge };
      return;
    }
    base = (yield* settled(near.read(key, { now: now(), fresh: true }))) as Kept | undefined;
  }
}
