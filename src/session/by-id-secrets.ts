/**
 * What a commit does to the secrets of a record: confirm, renew, replace (protocol §3).
 *
 * @module
 */
import { encodeBase64url } from "../internal/base64url.ts";
import { randomBytes } from "../internal/crypto.ts";
import { settled, type Steps } from "../internal/maybe-promise.ts";
import { proofOf, type ById, type ByIdBase } from "./by-id.ts";
import type { SessionRecord } from "./record.ts";
import { nextSecret, type Secret } from "./token.ts";
import type { Carrier } from "./tracker.ts";

/** How old a load may be for its request to be told of a renewal, in milliseconds (P9). */
export const FRESH = 5000;

/** The secrets of a record. */
export type Secrets = Pick<SessionRecord, "generation" | "verifier" | "pending" | "retired" | "secretSince">;

/** The secrets after a commit, and what the client must be told. */
export interface SecretsChange {
  readonly secrets: Secrets;
  /** What happened to them; undefined: nothing. */
  readonly change: "replaced" | "confirmed" | "renewed" | undefined;
  /** The secret that the client must have from now on. */
  readonly owed: Secret | undefined;
}

/** The secrets of a record to which nothing is due, as of nearly all; undefined when something may be. */
export function restingSecrets(byId: ById, base: ByIdBase): SecretsChange | undefined {
  const { record, proof } = base;
  const rest = record.pending === undefined && (proof !== "current" || !renewalDue(byId, base));
  return rest ? { secrets: record, change: undefined, owed: undefined } : undefined;
}

/** Confirms a pending secret that the client was seen with, or renews one that is old (P6, P9). */
export function* maintainedSecrets(byId: ById, base: ByIdBase, carrier: Pick<Carrier, "renews">): Steps<SecretsChange> {
  const { record, mine, secret } = base;
  const { generation, verifier, pending } = record;
  const proof = proofOf(record, mine);
  if (proof === "pending") {
    const now = byId.clock.now();
    const retired = { verifier, at: now };
    const secrets = { generation, verifier: mine, pending: undefined, retired, secretSince: now };
    return { secrets, change: "confirmed", owed: undefined };
  }
  const unchanged: SecretsChange = { secrets: record, change: undefined, owed: undefined };
  if (proof !== "current" || !carrier.renews) return unchanged;
  if (pending !== undefined) {
    if (byId.clock.now() - base.loadedAt > FRESH) return unchanged;
    return { ...unchanged, owed: yield* settled(nextSecret(secret, pending.nonce)) };
  }
  return renewalDue(byId, base) ? yield* renewed(byId, record, secret) : unchanged;
}

/** Whether the secret of a signed-in session is old enough to be replaced (P9). */
export function renewalDue({ policy, clock }: ById, { record }: ByIdBase): boolean {
  return (
    policy.renewal !== undefined &&
    record.content.subject !== undefined &&
    clock.now() - record.secretSince >= policy.renewal
  );
}

function* renewed(byId: ById, before: Secrets, secret: Secret): Steps<SecretsChange> {
  const nonce = encodeBase64url(randomBytes(12));
  const owed = yield* settled(nextSecret(secret, nonce));
  const pending = { nonce, verifier: yield* settled(byId.codec.verifier(owed)) };
  return { secrets: { ...before, pending }, change: "renewed", owed };
}

/** Replaces the secret, the old one dead at once (P11). `generation` is that of the record before. */
export function* replacedSecrets(byId: ById, generation: number, owed: Secret): Steps<SecretsChange> {
  const verifier = yield* settled(byId.codec.verifier(owed));
  return { secrets: firstSecrets(verifier, generation + 1, byId.clock.now()), change: "replaced", owed };
}

/** The secret stays, since it follows from who the client is; but nobody else who began before can write any more (P13). */
export function anewSecrets(byId: ById, { generation, verifier }: SessionRecord): SecretsChange {
  return { secrets: firstSecrets(verifier, generation + 1, byId.clock.now()), change: "replaced", owed: undefined };
}

/** The secrets of a record that has just been given one. */
export function firstSecrets(verifier: string, generation: number, now: number): Secrets {
  return { generation, verifier, pending: undefined, retired: undefined, secretSince: now };
}
