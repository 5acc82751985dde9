/**
 * The clients that `mysqlStore` works with, by their shape: pools and connections of mysql2, with callbacks and with promises.
 *
 * @module
 */
import type { StoreCall } from "./store.ts";

/** A pool or a connection of mysql2 or mysql2/promise, that the app has made, and closes itself. */
export interface MysqlClient {
  execute(...args: never[]): unknown;
  query(...args: never[]): unknown;
}

/** What is bound to a statement: texts go as their bytes, so that no setting of a connection can change them. */
export type MysqlValue = Uint8Array | number | null;

/** What a statement that writes comes back with. */
export interface MysqlOutcome {
  readonly affectedRows: number;
  readonly insertId: number | string | bigint;
}

/** A row, as the values of its columns. */
export type MysqlColumns = readonly unknown[];

/** Runs statements. */
export interface MysqlRunner {
  rows(sql: string, values: readonly MysqlValue[], call: StoreCall): Promise<readonly MysqlColumns[]>;
  write(sql: string, values: readonly MysqlValue[], call: StoreCall): Promise<MysqlOutcome>;
}

/** How a statement goes to the server. */
type Method = "execute" | "query";

interface Question {
  readonly sql: string;
  readonly rowsAsArray: true;
  readonly typeCast: true;
  readonly nestTables: false;
  readonly namedPlaceholders: false;
}

type Answered = (error: Error | null, answer?: unknown) => void;

interface Connection {
  execute(question: Question, values: readonly MysqlValue[], answered: Answered): unknown;
  query(question: Question, values: readonly MysqlValue[], answered: Answered): unknown;
}

interface PoolConnection extends Connection {
  release(): void;
  destroy(): void;
}

interface Pool extends Connection {
  getConnection(got: (error: Error | null, connection: PoolConnection) => void): void;
}

type Found = Readonly<Record<string, unknown>>;

/** Wraps a client. Throws a `TypeError` for what is none. */
export function mysqlRunner(client: unknown, method: Method): MysqlRunner {
  const found = withCallbacks(client);
  const run =
    typeof found["getConnection"] === "function"
      ? overPool(found as unknown as Pool, method)
      : overConnection(found as unknown as Connection, method);
  return {
    rows: (sql, values, call) => run(sql, values, call) as Promise<readonly MysqlColumns[]>,
    write: (sql, values, call) => run(sql, values, call) as Promise<MysqlOutcome>,
  };
}

/** The pool or connection that takes callbacks: one of mysql2/promise has it inside, and makes more objects for each statement. */
function withCallbacks(client: unknown): Found {
  const found = Object(client) as Found;
  const inside = [found, Object(found["pool"]) as Found, Object(found["connection"]) as Found];
  const usable = inside.find((one) => ["execute", "query", "promise"].every((name) => typeof one[name] === "function"));
  if (usable !== undefined) return usable;
  throw new TypeError(
    "mysqlStore: expected a pool or a connection of mysql2 or mysql2/promise (createPool, createConnection)",
  );
}

type Run = (sql: string, values: readonly MysqlValue[], call: StoreCall) => Promise<unknown>;

/** Whatever the app has set for its own statements. */
function questionOf(sql: string): Question {
  return { sql, rowsAsArray: true, typeCast: true, nestTables: false, namedPlaceholders: false };
}

function overConnection(connection: Connection, method: Method): Run {
  return (sql, values, { signal }) =>
    waiting(signal, (answered) => {
      connection[method](questionOf(sql), values, (error, answer) => answered(failureOf(error, answer), answer));
    });
}

/** How long a connection may go on after nobody waits for its answer any more, in milliseconds. */
const GRACE = 10_000;

/**
 * What nobody waits for any more when a connection is free is not sent. A connection that does not answer even long after that
 * is given up: its server may be gone without a word. Not at once: one that waits for a lock goes on waiting, and would be one
 * of ever more.
 */
function overPool(pool: Pool, method: Method): Run {
  return (sql, values, { signal }) =>
    waiting(signal, (answered) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      let connection: PoolConnection | undefined;
      pool.getConnection((refusal, got) => {
        if (refusal !== null && refusal !== undefined) return answered(refusal);
        if (signal?.aborted === true) return got.release();
        connection = got;
        got[method](questionOf(sql), values, (error, answer) => {
          clearTimeout(timer);
          connection = undefined;
          const failure = failureOf(error, answer);
          if (isOver(failure)) got.destroy();
          else got.release();
          answered(failure, answer);
        });
      });
      return () => {
        timer = setTimeout(() => connection?.destroy(), GRACE);
        timer.unref();
      };
    });
}

/** Waits for an answer until nobody wants it any more; `ask` returns what is to be done then. */
function waiting(signal: AbortSignal | undefined, ask: (answered: Answered) => (() => void) | void): Promise<unknown> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason as Error);
    const abort = (): void => {
      abandon?.();
      reject(signal?.reason as Error);
    };
    const abandon = ask((error, answer) => {
      signal?.removeEventListener("abort", abort);
      if (error !== null && error !== undefined) reject(error);
      else resolve(answer);
    });
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** The number that MySQL and MariaDB give an error. */
export function errorNumber(error: unknown): number | undefined {
  const { errno } = Object(error) as { readonly errno?: unknown };
  return typeof errno === "number" ? errno : undefined;
}

/** A flag of an answer: what was done is part of a transaction that goes on. */
const IN_TRANSACTION = 1;

/** A change that did not commit by itself: with the connection it would be lost, and until then it would hold others up. */
class UncommittedError extends Error {}

/** Why a statement has failed: what the driver says, or that it was not the transaction of its own that it is to be. */
function failureOf(error: Error | null, answer: unknown): Error | null {
  if (error !== null && error !== undefined) return error;
  const { serverStatus = 0 } = Object(answer) as { readonly serverStatus?: number };
  if ((serverStatus & IN_TRANSACTION) === 0) return null;
  return new UncommittedError(
    "mysqlStore: a change was not committed: the connection has autocommit off, or was left within a transaction",
  );
}

/** The server has become a replica: the next connection may reach the one that took over. */
const READ_ONLY: ReadonlySet<number | undefined> = new Set([1290, 1792, 1836]);

/** Whether a connection is not to be used any more. A lost one would fail whoever waits for it, before the pool knows of it. */
function isOver(failure: Error | null): boolean {
  const { fatal } = Object(failure) as { readonly fatal?: unknown };
  return fatal === true || failure instanceof UncommittedError || READ_ONLY.has(errorNumber(failure));
}

/** A deadlock, a lock that was not given in time, a row that somebody else changed: the statement was undone. */
const UNDONE: ReadonlySet<number | undefined> = new Set([1213, 1205, 1020]);

/** Whether a statement that failed has certainly changed nothing, and may work when it is tried again. */
export function wasUndone(error: unknown): boolean {
  return UNDONE.has(errorNumber(error));
}

/** No such table, no such column. */
const MISSING: ReadonlySet<number | undefined> = new Set([1146, 1054]);

/** Whether a table is missing, or not ours. */
export function isTableMissing(error: unknown): boolean {
  return MISSING.has(errorNumber(error));
}
