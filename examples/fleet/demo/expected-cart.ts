/** Quantities by sku. */
export type Cart = ReadonlyMap<string, number>;

/** How a cart differs from what must be in it, in pieces. */
export interface Difference {
  readonly missing: number;
  readonly tooMany: number;
}

/** What a visitor knows about the own cart. Nothing is ever taken out of it. */
export interface ExpectedCart {
  /** A piece was put in: confirmed, or sent without an answer, so that it may be there or not, or still come. */
  added(sku: string, outcome: "confirmed" | "in doubt"): void;
  /** Compares, and learns: a piece in doubt that is there will have to stay there. */
  compare(cart: Cart): Difference;
  /** Takes a cart as it is, once its difference was counted. */
  accept(cart: Cart): void;
}

export function expectedCart(): ExpectedCart {
  const least = new Map<string, number>();
  const most = new Map<string, number>();
  const raise = (map: Map<string, number>, sku: string): void => void map.set(sku, (map.get(sku) ?? 0) + 1);
  return {
    added(sku, outcome) {
      raise(most, sku);
      if (outcome === "confirmed") raise(least, sku);
    },
    compare(cart) {
      let missing = 0;
      let tooMany = 0;
      for (const sku of new Set([...cart.keys(), ...least.keys()])) {
        const there = cart.get(sku) ?? 0;
        missing += Math.max(0, (least.get(sku) ?? 0) - there);
        tooMany += Math.max(0, there - (most.get(sku) ?? 0));
        least.set(sku, Math.max(least.get(sku) ?? 0, there));
      }
      return { missing, tooMany };
    },
    accept(cart) {
      for (const sku of new Set([...cart.keys(), ...least.keys()])) {
        const there = cart.get(sku) ?? 0;
        const doubts = Math.max(0, (most.get(sku) ?? 0) - (least.get(sku) ?? 0));
        least.set(sku, there);
        most.set(sku, there + doubts);
      }
    },
  };
}
