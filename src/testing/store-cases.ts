/**
 * The store conformance kit: what `src/store/store.ts` promises, as data. Any test runner can run it, in any runtime.
 *
 * @module
 */
import { capabilityCases } from "./store-cases-capabilities.ts";
import { raceCases } from "./store-cases-races.ts";
import { recordCases } from "./store-cases-records.ts";
import { textCases } from "./store-cases-texts.ts";
import { verbCases } from "./store-cases-verbs.ts";
import type { StoreCase } from "./store-kit.ts";

export type { StoreCapability, StoreCase } from "./store-kit.ts";

/**
 * Every promise of the store contract, as a case that a store keeps or not. Run them one after the other. `make` is
 * called once a case; it may return a new store, or one over a server with other records: the cases use keys and subjects
 * of their own, except those with odd keys, which delete what they find under them; and those about `deleteExpired`
 * remove what ended before the year 2002.
 *
 * One promise cannot be tried from outside, because it takes bytes that the store did not write: that what a store
 * cannot understand comes back as `value`.
 *
 * @example
 * import { storeCases } from "coatcheck/testing";
 * import { test } from "node:test";
 *
 * for (const { name, run } of storeCases) test(name, () => run(() => myStore()));
 */
export const storeCases: readonly StoreCase[] = [
  ...recordCases,
  ...verbCases,
  ...raceCases,
  ...textCases,
  ...capabilityCases,
];
