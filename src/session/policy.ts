/**
 * The three clocks of a session (OWASP Session Management; ASVS 7.3.1, 7.3.2): pure arithmetic on milliseconds.
 *
 * @module
 */

/** How long sessions of a definition live, in milliseconds; undefined switches a clock off. */
export interface Policy {
  /** A session ends when it was not used for this long. Activity resets it. */
  readonly idle: number | undefined;
  /** A session ends this long after it began or was last signed in to. Neither activity nor renewal resets it. */
  readonly absolute: number | undefined;
  /** The secret of a signed-in session is replaced when it is older than this. */
  readonly renewal: number | undefined;
}

/** What the clocks of a session start from, in milliseconds since the epoch. */
export interface Beginning {
  readonly createdAt: number;
  readonly authenticatedAt: number | undefined;
}

/** The last moment a Date can express: the end of a session without clocks. */
export const NEVER = 8.64e15;

/** How much longer than `idle` a record is kept, so that only one use in a tenth of `idle` has to write (P2). */
const STRETCH = 1.1;

/** When the absolute clock runs out (P3). */
export function absoluteEnd(policy: Policy, { createdAt, authenticatedAt }: Beginning): number {
  return policy.absolute === undefined ? NEVER : (authenticatedAt ?? createdAt) + policy.absolute;
}

/** When a session that is used now ends (P2). */
export function nextExpiry(policy: Policy, beginning: Beginning, now: number): number {
  const end = absoluteEnd(policy, beginning);
  return policy.idle === undefined ? end : Math.min(now + Math.floor(policy.idle * STRETCH), end);
}

/** Whether a use now has to move the stored end, so that the session lives for at least `idle` from now (P2). */
export function touchDue(policy: Policy, beginning: Beginning, expiresAt: number, now: number): boolean {
  return policy.idle !== undefined && expiresAt < Math.min(now + policy.idle, absoluteEnd(policy, beginning));
}

/** When a session was last touched, as far as its stored end tells; undefined when it does not. */
export function touchedAt(policy: Policy, beginning: Beginning, expiresAt: number): number | undefined {
  if (policy.idle === undefined || expiresAt >= absoluteEnd(policy, beginning)) return undefined;
  return expiresAt - Math.floor(policy.idle * STRETCH);
}
