/**
 * The statements of `mysqlStore`, in SQL that MySQL 8 and MariaDB have in common.
 *
 * What a statement that writes has found it tells by `LAST_INSERT_ID(n)`, the value of which comes back with the answer: the
 * count of rows does not say it, and counts otherwise with each flag of a connection. Whether a row lives is wrapped in `IF`,
 * so that no statement goes by the index on `expires_at`, and locks only the row that it names.
 *
 * @module
 */
import { LEASE_SECONDS } from "./sql.ts";

/** The statement did what it was to do. */
export const DONE = 1;

/** There is a row that forbids it. */
export const IN_THE_WAY = 2;

/** The statements; the values of each are in the order of its question marks. */
export interface MysqlStatements {
  readonly create: string;
  readonly read: string;
  readonly update: string;
  readonly touch: string;
  readonly delete: string;
  bySubject(limit: number): string;
  /** Without an end it has one value less. */
  byKey(limit: number, hasEnd: boolean): string;
  count(hasEnd: boolean): string;
  due(limit: number): string;
  readonly lease: string;
  readonly release: string;
  readonly version: string;
  /** The row, if it has the subject and lives. */
  readonly deleteOf: string;
  /** Those of the keys that have ended. */
  deleteDue(keys: number): string;
}

/** The names of the tables and their indexes, quoted. */
export interface MysqlNames {
  readonly table: string;
  readonly schema: string;
  readonly bySubject: string;
  readonly byEnd: string;
}

const COLUMNS = "`key`, `version`, `expires_at`, `subject`, `value`, `long`";
const KEY_COLUMNS = "`key`, `subject`, `long`";

/** The statements for a table. */
export function statementsFor(names: MysqlNames): MysqlStatements {
  return { ...verbs(names), ...listings(names), ...sweeping(names), ...removals(names) };
}

type Verb = "create" | "read" | "update" | "touch" | "delete";

function verbs({ table }: MysqlNames): Pick<MysqlStatements, Verb> {
  // The last assignment decides about the others, which MySQL carries out from left to right.
  const replaced = (column: string): string => `${column} = IF(\`expires_at\` <= ?, VALUES(${column}), ${column})`;
  return {
    create:
      `INSERT INTO ${table} (${COLUMNS}) VALUES (?, ?, IF(LAST_INSERT_ID(${DONE}), ?, 0e0), ?, ?, ?) ON DUPLICATE KEY UPDATE ` +
      `${["`version`", "`subject`", "`value`", "`long`"].map(replaced).join(", ")}, \`expires_at\` = IF(\`expires_at\` <= ?, ` +
      `VALUES(\`expires_at\`), IF(LAST_INSERT_ID(${IN_THE_WAY}), \`expires_at\`, 0))`,
    read: `SELECT ${COLUMNS} FROM ${table} WHERE \`key\` = ? AND \`expires_at\` > ?`,
    update:
      `UPDATE ${table} SET \`version\` = IF(LAST_INSERT_ID(${DONE}), ?, \`version\`), \`expires_at\` = ?, \`subject\` = ?, ` +
      "`value` = ?, `long` = ? WHERE `key` = ? AND " +
      `IF(\`expires_at\` > ?, IF(\`version\` = ?, TRUE, LAST_INSERT_ID(${IN_THE_WAY}) = 0), FALSE)`,
    touch:
      `UPDATE ${table} SET \`expires_at\` = IF(LAST_INSERT_ID(${DONE}), GREATEST(\`expires_at\`, ?), \`expires_at\`)` +
      " WHERE `key` = ? AND IF(`expires_at` > ?, TRUE, FALSE)",
    delete: `DELETE FROM ${table} WHERE \`key\` = ? AND IF(\`expires_at\` > ?, TRUE, FALSE)`,
  };
}

// A limit is written out: MySQL takes no prepared one that a driver sends as a floating-point number, as most do.

function listings({ table, bySubject }: MysqlNames): Pick<MysqlStatements, "bySubject" | "byKey" | "count"> {
  const living = "`expires_at` > ?";
  const range = (hasEnd: boolean): string => `\`key\` >= ?${hasEnd ? " AND `key` < ?" : ""} AND ${living}`;
  return {
    bySubject: (limit) =>
      `SELECT ${COLUMNS} FROM ${table} FORCE INDEX (${bySubject})` +
      ` WHERE \`subject\` = ? AND \`key\` >= ? AND ${living} ORDER BY \`key\` LIMIT ${limit}`,
    byKey: (limit, hasEnd) =>
      `SELECT ${COLUMNS} FROM ${table} FORCE INDEX (PRIMARY) WHERE ${range(hasEnd)} ORDER BY \`key\` LIMIT ${limit}`,
    count: (hasEnd) => `SELECT COUNT(*) FROM ${table} WHERE ${range(hasEnd)}`,
  };
}

type Sweeping = "due" | "lease" | "release" | "version";

function sweeping({ table, schema, byEnd }: MysqlNames): Pick<MysqlStatements, Sweeping> {
  const leaseEnd = `UNIX_TIMESTAMP() + ${LEASE_SECONDS}`;
  return {
    due: (limit) =>
      `SELECT ${KEY_COLUMNS} FROM ${table} FORCE INDEX (${byEnd})` +
      ` WHERE \`expires_at\` < ? ORDER BY \`expires_at\` LIMIT ${limit}`,
    // Unlike NOW(), this has no time zone. A lease that ends later than any can was taken by a clock that was ahead.
    lease:
      `UPDATE ${schema} SET \`sweeper\` = ?, \`swept_until\` = ${leaseEnd}` +
      ` WHERE \`one\` = 1 AND (\`swept_until\` <= UNIX_TIMESTAMP() OR \`swept_until\` > ${leaseEnd})`,
    release: `UPDATE ${schema} SET \`swept_until\` = 0 WHERE \`one\` = 1 AND \`sweeper\` = ?`,
    version: `SELECT \`version\` FROM ${schema} WHERE \`one\` = 1`,
  };
}

function removals({ table }: MysqlNames): Pick<MysqlStatements, "deleteOf" | "deleteDue"> {
  const among = (keys: number): string => `\`key\` IN (${Array.from({ length: keys }, () => "?").join(", ")})`;
  return {
    deleteOf: `DELETE FROM ${table} WHERE \`key\` = ? AND IF(\`subject\` = ? AND \`expires_at\` > ?, TRUE, FALSE)`,
    // By the primary key, row by row: a walk along an index, or through all, would lock what lies between.
    deleteDue: (keys) =>
      `DELETE ${table} FROM ${table} FORCE INDEX (PRIMARY) WHERE ${among(keys)} AND IF(\`expires_at\` < ?, TRUE, FALSE)`,
  };
}
