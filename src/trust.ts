/**
 * `trustFor`: what it refuses, and what it is made of.
 *
 * @module
 */
import type { SessionOptions } from "./definition.ts";
import type { Clock } from "./internal/clock.ts";
import { milliseconds } from "./internal/duration.ts";
import { HOW_TO_MAKE_A_KEY, type KeyRing } from "./protection/key-ring.ts";
import type { Protection } from "./protection/protection.ts";
import type { VersionPlace } from "./session/by-id.ts";
import type { TrustedCopiesOptions } from "./session/trusted-copy.ts";
import type { SessionStore } from "./store/store.ts";
import type { BoundTransport } from "./transport/transport.ts";

/** Beyond this a secret that was renewed is a replay (P6), which no copy may hide. In milliseconds. */
const LONGEST = 5 * 60_000;

/** Throws a `TypeError` that names the option. */
export function checkTrust({ store, keys, protection, trustFor }: SessionOptions): void {
  if (milliseconds("trustFor", trustFor) > LONGEST) {
    throw new TypeError(
      "trustFor must be at most 5 minutes: for so long a session that was ended elsewhere may still be shown",
    );
  }
  if (keys === undefined) {
    throw new TypeError(`trustFor needs keys, which seal the copy (is SESSION_KEYS set?). ${HOW_TO_MAKE_A_KEY}`);
  }
  if (protection !== undefined && protection.kind !== "seal") {
    throw new TypeError("protection beside a store must be seal(): the copy of trustFor is the whole record");
  }
  if (store?.cached === true) {
    throw new TypeError(
      "trustFor must not be set over a store that answers from a cache: a copy of what is old already would be older still. " +
        "Choose trustFor, which takes no memory, or the cache, which hears of changes sooner",
    );
  }
}

/** What a definition has for copies. */
interface TrustParts {
  readonly clock: Clock;
  readonly keys: KeyRing | undefined;
  /** A place beside the token. */
  place(suffix: string): BoundTransport;
  protection(): Protection;
}

/** What the copies of a definition are made of; undefined when none are trusted. */
export function trustOf(
  { name, audience = "", trustFor = false }: SessionOptions,
  { clock, keys, place, protection }: TrustParts,
): TrustedCopiesOptions | undefined {
  if (trustFor === false) return undefined;
  const now = (): number => clock.now();
  return {
    name,
    now,
    trustFor: milliseconds("trustFor", trustFor),
    protector: protection().bind({ purpose: "copy", name, audience, keys, now }),
    place: place("copy"),
  };
}

/** Where clients are told which version they wrote: where reads may be answered by copies, and there is such a place. */
export function versionsOf(
  { cached, cachedFor }: SessionStore,
  trust: TrustedCopiesOptions | undefined,
  transports: readonly BoundTransport[],
): VersionPlace | undefined {
  if (cached !== true && trust === undefined) return undefined;
  const longest = trust === undefined ? cachedFor : trust.trustFor;
  const place = transports.flatMap((transport) => transport.beside?.("version") ?? [])[0];
  return place && { place, lifetime: longest === undefined ? undefined : Math.ceil(longest / 1000) };
}
