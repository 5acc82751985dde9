/** What is counted of a request. */

export const KINDS = ["memory", "sqlite", "later", "sealed", "signed"] as const;
export const ADAPTERS = ["node", "fetch"] as const;
export const ROUTES = ["untouched", "read", "write", "sign-in"] as const;

/** By id in memory, in SQLite and in a store whose answers are promises; by value, sealed and signed. */
export type Kind = (typeof KINDS)[number];
export type Adapter = (typeof ADAPTERS)[number];
/** A sign-in is made with a session, whose secret has to be replaced. */
export type Route = (typeof ROUTES)[number];

/** What one request causes beyond the same request without sessions. */
export interface Cost {
  readonly storeCalls: number;
  readonly statements: number;
  /** Bytes of response header. */
  readonly header: number;
  readonly promises: number;
  /** Bytes allocated, on the heap and outside of it. */
  readonly bytes: number;
}

export type Costs = Readonly<Record<Route, Cost>>;
