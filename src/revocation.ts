/**
 * `revocation`: what ends sessions by value before their clocks do.
 *
 * @module
 */
import type { SessionOptions } from "./definition.ts";
import { prefixOf } from "./session/by-id.ts";
import type { ManagerParts } from "./session/manager.ts";
import { revocationIn, type Revocation } from "./session/revocation.ts";
import { storeCalls } from "./session/store-calls.ts";

/** What a definition has for it. */
interface RevocationParts extends Pick<ManagerParts, "clock" | "events" | "policy"> {
  /** How long a store call may take, in milliseconds. */
  readonly timeout: number;
}

/** What revokes the sessions of a definition; undefined where nothing does. Throws a `TypeError` where nothing could. */
export function revocationOf(
  { name, audience = "", revocation }: SessionOptions,
  { clock, events, policy, timeout }: RevocationParts,
): Revocation | undefined {
  if (revocation === undefined || revocation === "none") return undefined;
  if (policy.absolute === undefined) {
    throw new TypeError(
      "absoluteTimeout must be on with a revocation store: what was revoked has to be remembered until then",
    );
  }
  return revocationIn({
    prefix: prefixOf(name, audience),
    calls: storeCalls(revocation, { clock, timeout, events }),
    now: () => clock.now(),
    lifetime: policy.absolute,
  });
}
