/**
 * The PostgreSQL clients that `postgresStore` works with, by their shape: pg, postgres.js and PGlite.
 *
 * @module
 */
import { hex, utf8 } from "../internal/bytes.ts";
import { nodeCrypto } from "../internal/crypto.ts";
import { SerialQueue } from "../internal/serial-queue.ts";
import {
  pgClientListening,
  pgliteListening,
  pgPoolListening,
  postgresJsListening,
  type PostgresListening,
} from "./postgres-listening.ts";

/** A `Pool` or a connected `Client` of pg 8, and what is made like them. */
export interface PgClient {
  query(...args: never[]): unknown;
  on(...args: never[]): unknown;
}

/** A `sql` of postgres.js 3. */
export interface PostgresJsClient {
  unsafe(...args: never[]): unknown;
  listen(...args: never[]): unknown;
}

/** A `PGlite`. */
export interface PgliteClient {
  query(...args: never[]): unknown;
  exec(...args: never[]): unknown;
  listen(...args: never[]): unknown;
}

/** A client that the app has made, and closes itself. */
export type PostgresClient = PgClient | PostgresJsClient | PgliteClient;

/** What is bound to a statement. */
export type PostgresValue = string | number | null;

/** A row: its columns in the order of the statement. */
export type PostgresRow = readonly unknown[];

/** What the store needs of a client. */
export interface PostgresConnection {
  /** Runs one statement. */
  query(text: string, values: readonly PostgresValue[]): PromiseLike<readonly PostgresRow[]>;
  /** Runs several statements as one transaction. */
  script(text: string): PromiseLike<unknown>;
  readonly listening: PostgresListening;
}

/** Wraps a client. `prepare`: whether statements are prepared once a connection. Throws a `TypeError` for what is none. */
export function postgresConnection(client: unknown, prepare: boolean): PostgresConnection {
  const found = Object(client) as Record<string, unknown>;
  const has = (method: string): boolean => typeof found[method] === "function";
  if (has("unsafe") && has("listen")) return postgresJs(client, prepare);
  if (has("query") && has("exec") && has("listen")) return pglite(client);
  if (has("query") && has("on")) return pg(client, prepare);
  throw new TypeError("postgresStore: expected a Pool or a Client of pg (8), a sql of postgres.js (3) or a PGlite");
}

// Rows are asked for as arrays: apps have the names of columns rewritten.

interface Answer {
  readonly rows: readonly PostgresRow[];
}

interface Pg {
  query(query: string | object): Promise<Answer>;
}

const statementNames = new Map<string, string | undefined>();

/**
 * The name of a prepared statement: one of its own for each text, whichever copy of this module asks over a connection.
 * Undefined, and nothing is prepared, where a runtime has no hash.
 */
function statementName(text: string): string | undefined {
  if (!statementNames.has(text)) {
    const digest = nodeCrypto?.hash("sha256", utf8(text), "buffer");
    statementNames.set(text, digest && `coatcheck_${hex(digest.subarray(0, 16))}`);
  }
  return statementNames.get(text);
}

function pg(client: unknown, prepare: boolean): PostgresConnection {
  const found = client as Pg;
  const isPool = "totalCount" in found;
  // A single connection wants its queries one after the other.
  const queue = new SerialQueue();
  const send = (query: string | object): Promise<Answer> =>
    isPool ? found.query(query) : Promise.resolve(queue.run("", () => found.query(query)));
  return {
    query(text, values) {
      const name = prepare ? statementName(text) : undefined;
      return send({ name, text, values, rowMode: "array" }).then(({ rows }) => rows);
    },
    script: send,
    listening: isPool ? pgPoolListening(client) : pgClientListening(client, send),
  };
}

interface PostgresJs {
  unsafe(
    text: string,
    values?: readonly PostgresValue[],
    options?: { readonly prepare: boolean },
  ): PromiseLike<unknown> & { values(): PromiseLike<readonly PostgresRow[]> };
  readonly options?: { readonly transform?: { readonly row?: { readonly from?: unknown } } };
}

function postgresJs(client: unknown, prepare: boolean): PostgresConnection {
  const sql = client as PostgresJs;
  if (typeof sql.options?.transform?.row?.from === "function") {
    throw new TypeError(
      "postgresStore: expected a sql without transform.row, which rewrites the rows of the store, too",
    );
  }
  return {
    query: (text, values) => sql.unsafe(text, values, { prepare }).values(),
    script: (text) => sql.unsafe(text),
    listening: postgresJsListening(client),
  };
}

interface Pglite {
  query(text: string, values: readonly PostgresValue[], options: { readonly rowMode: "array" }): Promise<Answer>;
  exec(text: string): Promise<unknown>;
}

function pglite(client: unknown): PostgresConnection {
  const found = client as Pglite;
  return {
    query: (text, values) => found.query(text, values, { rowMode: "array" }).then(({ rows }) => rows),
    script: (text) => found.exec(text),
    listening: pgliteListening(client),
  };
}
