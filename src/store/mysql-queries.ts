/**
 * What `mysqlStore` asks MySQL and MariaDB.
 *
 * @module
 */
import { encodeBase64url } from "../internal/base64url.ts";
import { randomBytes } from "../internal/crypto.ts";
import type { MysqlColumns, MysqlOutcome, MysqlRunner, MysqlValue } from "./mysql-client.ts";
import { DONE, IN_THE_WAY, type MysqlStatements } from "./mysql-statements.ts";
import type { KeyRange } from "./sql-listing.ts";
import type { KeyColumns, RowColumns, SqlRow } from "./sql-row.ts";
import type { SqlQueries } from "./sql.ts";
import type { StoreCall, UpdateOutcome } from "./store.ts";

/** Who runs the statements. */
export interface MysqlRunners {
  /** Those of the verbs: prepared, if that is wanted. */
  readonly verbs: MysqlRunner;
  /** All others, which are rare and come in many forms: never prepared. */
  readonly others: MysqlRunner;
}

/** The statements of the store, with what their answers mean. */
export function mysqlQueries(runners: MysqlRunners, statements: MysqlStatements): SqlQueries {
  return { ...verbs(runners, statements), ...listings(runners, statements), ...removals(runners, statements) };
}

type Verb = "create" | "read" | "update" | "touch" | "delete";

function verbs({ verbs: runner }: MysqlRunners, statements: MysqlStatements): Pick<SqlQueries, Verb> {
  return {
    async create(row, call) {
      const now = finite(call.now);
      const outcome = await runner.write(
        statements.create,
        [bytes(row.key), ...columnsOf(row), now, now, now, now, now],
        call,
      );
      return found(outcome) === DONE;
    },
    async read(key, call) {
      const [row] = await runner.rows(statements.read, [bytes(key), finite(call.now)], call);
      return row === undefined ? undefined : rowOf(row);
    },
    async update(row, version, call): Promise<UpdateOutcome> {
      const values = [...columnsOf(row), bytes(row.key), finite(call.now), bytes(version)];
      const told = found(await runner.write(statements.update, values, call));
      return told === DONE ? "ok" : told === IN_THE_WAY ? "conflict" : "gone";
    },
    async touch(key, expiresAt, call) {
      const values = [finite(expiresAt), bytes(key), finite(call.now)];
      return found(await runner.write(statements.touch, values, call)) === DONE;
    },
    async delete(key, call) {
      const { affectedRows } = await runner.write(statements.delete, [bytes(key), finite(call.now)], call);
      return affectedRows > 0;
    },
  };
}

function listings(
  { others: runner }: MysqlRunners,
  statements: MysqlStatements,
): Pick<SqlQueries, "bySubject" | "byKey" | "count"> {
  const bounds = ({ from, to }: KeyRange, { now }: StoreCall): readonly MysqlValue[] => [
    bytes(from),
    ...(to === undefined ? [] : [bytes(to)]),
    finite(now),
  ];
  return {
    async bySubject(subject, from, limit, call) {
      const values = [bytes(subject), bytes(from), finite(call.now)];
      return (await runner.rows(statements.bySubject(limit), values, call)).map(rowOf);
    },
    async byKey(range, limit, call) {
      const statement = statements.byKey(limit, range.to !== undefined);
      return (await runner.rows(statement, bounds(range, call), call)).map(rowOf);
    },
    async count(range, call) {
      const [row] = await runner.rows(statements.count(range.to !== undefined), bounds(range, call), call);
      return Number(row?.[0]);
    },
  };
}

/** How many rows of a subject are looked for, and how many of them removed, at a time. */
const [FOUND_AT_ONCE, REMOVED_AT_ONCE] = [200, 10];

type Removal = "deleteBySubject" | "due" | "deleteDue" | "lease";

function removals(runners: MysqlRunners, statements: MysqlStatements): Pick<SqlQueries, Removal> {
  const { others: runner } = runners;
  return {
    async deleteBySubject(subject, except, call) {
      const { bySubject } = listings(runners, statements);
      const removed: KeyColumns[] = [];
      for (let from = ""; ;) {
        const rows = await bySubject(subject, from, FOUND_AT_ONCE, call);
        const others = rows.filter(({ key }) => key !== except);
        removed.push(...(await deleteEach(runners, statements, others, call)));
        if (rows.length < FOUND_AT_ONCE) return removed;
        // What comes next begins with one that is gone, or that is to stay.
        from = rows.at(-1)?.key ?? "";
      }
    },
    async due(end, limit, call) {
      const rows = await runner.rows(statements.due(limit), [finite(end)], call);
      return rows.map(([key, subject, long]) => keyColumns(key, subject, long));
    },
    async deleteDue(keys, end, call) {
      const values = [...keys.map(bytes), finite(end)];
      return (await runner.write(statements.deleteDue(keys.length), values, call)).affectedRows;
    },
    async lease(call) {
      const sweeper = bytes(encodeBase64url(randomBytes(16)));
      const { affectedRows } = await runner.write(statements.lease, [sweeper], call);
      return affectedRows === 0 ? undefined : () => runner.write(statements.release, [sweeper], call);
    },
  };
}

/**
 * Removes rows that still have their subject, and returns those that it has removed: one by one, because MySQL does not say
 * which rows of several it was.
 */
async function deleteEach(
  { verbs: runner }: MysqlRunners,
  statements: MysqlStatements,
  rows: readonly KeyColumns[],
  call: StoreCall,
): Promise<readonly KeyColumns[]> {
  const removed: KeyColumns[] = [];
  const remove = async (row: KeyColumns): Promise<void> => {
    const values = [bytes(row.key), bytesOrNull(row.subject), finite(call.now)];
    if ((await runner.write(statements.deleteOf, values, call)).affectedRows > 0) removed.push(row);
  };
  for (let at = 0; at < rows.length; at += REMOVED_AT_ONCE) {
    await Promise.all(rows.slice(at, at + REMOVED_AT_ONCE).map(remove));
  }
  return removed;
}

/** The columns after the key. */
function columnsOf({ version, expiresAt, subject, value, long }: SqlRow): readonly MysqlValue[] {
  return [bytes(version), finite(expiresAt), bytesOrNull(subject), bytes(value), bytesOrNull(long)];
}

function rowOf([key, version, end, subject, value, long]: MysqlColumns): RowColumns {
  return { ...keyColumns(key, subject, long), version: text(version), expires_at: timeOf(end), value: text(value) };
}

function keyColumns(key: unknown, subject: unknown, long: unknown): KeyColumns {
  return { key: text(key), subject: textOrNull(subject), long: textOrNull(long) };
}

function bytes(kept: string): Buffer {
  return Buffer.from(kept);
}

function bytesOrNull(kept: string | null): Buffer | null {
  return kept === null ? null : bytes(kept);
}

/** A column of bytes. Where somebody else has written what is no UTF-8, there are replacement characters. */
function text(column: unknown): string {
  return column instanceof Uint8Array
    ? Buffer.from(column.buffer, column.byteOffset, column.byteLength).toString()
    : String(column);
}

function textOrNull(column: unknown): string | null {
  return column === null ? null : text(column);
}

/** MySQL has no infinite numbers: the largest one stands for a record without an end. */
function finite(time: number): number {
  return Math.max(-Number.MAX_VALUE, Math.min(time, Number.MAX_VALUE));
}

function timeOf(column: unknown): number {
  const time = Number(column);
  return time === Number.MAX_VALUE ? Infinity : time;
}

/** What a statement has told, see {@link DONE}. */
function found({ insertId }: MysqlOutcome): number {
  return Number(insertId);
}
