/**
 * The protections over each engine: what holds on `node:crypto` must hold on WebCrypto, to the byte.
 */
import { nodeCrypto, primitives, type NodeCrypto, type Primitives } from "../src/internal/crypto.ts";
import { aesGcm } from "../src/protection/aes-gcm.ts";
import { KeyRing, type KeyInput } from "../src/protection/key-ring.ts";
import type { Protection, ProtectionContext } from "../src/protection/protection.ts";
import { SEAL_PARTS, sealWith, type SealOptions, type SealParts } from "../src/protection/seal.ts";
import { signWith, type SignOptions } from "../src/protection/sign.ts";
import { tokenMac, type TokenMac } from "../src/protection/token-mac.ts";

/** One way to calculate. */
export interface Engine {
  readonly name: string;
  readonly node: NodeCrypto | undefined;
  readonly primitives: Primitives;
  ring(keys: KeyInput): KeyRing;
  seal(parts?: Partial<SealParts>, options?: SealOptions): Protection;
  sign(options?: SignOptions): Protection;
  mac(keys: KeyRing, name?: string, audience?: string): TokenMac;
}

function engineOf(name: string, node: NodeCrypto | undefined): Engine {
  const calculations = primitives(node);
  return {
    name,
    node,
    primitives: calculations,
    ring: (keys) => new KeyRing(keys, calculations.hkdfSha512),
    seal: (parts, options) => sealWith({ ...SEAL_PARTS, prepare: aesGcm(node), ...parts }, options),
    sign: (options) => signWith(calculations.hmacText, options),
    mac: (keys, definition = "user", audience = "") =>
      tokenMac({ keys, name: definition, audience }, calculations.hmac),
  };
}

export const nodeEngine: Engine = engineOf("node:crypto", nodeCrypto);
export const webEngine: Engine = engineOf("WebCrypto", undefined);
export const ENGINES: readonly Engine[] = [nodeEngine, webEngine];

/** A good key that is always the same. */
export function keyNumber(number: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(32).map((_, index) => (index * 7 + 3 + number * 31) % 256);
}

/** A context with what does not matter filled in. */
export function contextOf(context: Partial<ProtectionContext> = {}): ProtectionContext {
  return {
    purpose: "session",
    name: "user",
    audience: "shop",
    keys: undefined,
    now: () => 1_800_000_000_000,
    ...context,
  };
}

/** Every byte string that differs in one bit. */
export function* bitFlips(bytes: Uint8Array): Generator<Uint8Array<ArrayBuffer>> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = new Uint8Array(bytes);
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    yield flipped;
  }
}
