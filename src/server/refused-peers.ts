/**
 * How often one peer may come without a credential that is known.
 *
 * @module
 */
import { boundedCache } from "../internal/bounded-cache.ts";
import { type TokenBucket, tokenBucket } from "./token-bucket.ts";

/** Attempts in a row, and then each second. Nobody guesses 32 bytes: this keeps a peer from costing much, and logs readable. */
const [BURST, PER_SECOND] = [100, 10];

/** Peers that are remembered at most. */
const PEERS = 10_000;

/** Whether a peer (an address; undefined over a Unix socket) may try once more. */
export function refusedPeers(): (peer: string | undefined, now: number) => boolean {
  const buckets = boundedCache<string, TokenBucket>(PEERS);
  return (peer = "", now) => {
    let bucket = buckets.get(peer);
    if (bucket === undefined) buckets.set(peer, (bucket = tokenBucket(PER_SECOND, BURST)));
    return bucket.take(now);
  };
}
