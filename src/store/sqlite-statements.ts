/**
 * The statements of `sqliteStore`: one for each verb, each committing by itself. A transaction that reads and then writes
 * would now and then fail with SQLITE_BUSY, whatever the timeout.
 *
 * @module
 */
import { quoted } from "./sql-text.ts";
import type { BoundStatement, SqliteDatabase } from "./sqlite-client.ts";

const VERBS = ["create", "read", "readAt", "exists", "update", "touch", "delete"] as const;
const LISTINGS = ["byKey", "bySubject", "count", "due"] as const;
const REMOVALS = ["deleteBySubject", "deleteDue"] as const;

type Name = (typeof VERBS)[number] | (typeof LISTINGS)[number] | (typeof REMOVALS)[number];

/** The prepared statements; the values of each are in the order of its question marks. */
export type Statements = Readonly<Record<Name, BoundStatement>>;

/** Prepares the statements for a table. Only plain question marks are bound alike by all drivers. */
export function statementsFor(database: SqliteDatabase, table: string): Statements {
  const sql = statementTexts(quoted(table));
  const prepared = [...VERBS, ...LISTINGS, ...REMOVALS].map((name) => [name, database.prepare(sql[name])] as const);
  const statements = Object.fromEntries(prepared) as unknown as Statements;
  // An object for a row costs more than all else that is done in JavaScript for it.
  for (const statement of [statements.read, statements.readAt]) statement.setReturnArrays?.(true);
  return statements;
}

/** In the listings a missing upper bound is null: every text comes before a blob. */
function statementTexts(table: string): Readonly<Record<Name, string>> {
  const columns = "key, version, expires_at, subject, value";
  return {
    create:
      `INSERT INTO ${table} (${columns}) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET version = excluded.version,` +
      " expires_at = excluded.expires_at, subject = excluded.subject, value = excluded.value WHERE expires_at <= ?",
    // Whether it has ended is seen in the row: a value less to bind.
    read: `SELECT version, expires_at, subject, value, rowid AS place FROM ${table} WHERE key = ?`,
    readAt: `SELECT version, expires_at, subject, value FROM ${table} WHERE rowid = ? AND key = ?`,
    exists: `SELECT 1 FROM ${table} WHERE key = ? AND expires_at > ?`,
    update:
      `UPDATE ${table} SET version = ?, expires_at = ?, subject = ?, value = ?` +
      " WHERE key = ? AND version = ? AND expires_at > ?",
    touch: `UPDATE ${table} SET expires_at = max(expires_at, ?) WHERE key = ? AND expires_at > ?`,
    delete: `DELETE FROM ${table} WHERE key = ? AND expires_at > ?`,
    byKey:
      `SELECT ${columns} FROM ${table} WHERE key >= ? AND key < coalesce(?, x'') AND expires_at > ?` +
      " ORDER BY key LIMIT ?",
    bySubject: `SELECT ${columns} FROM ${table} WHERE subject = ? AND key >= ? AND expires_at > ? ORDER BY key LIMIT ?`,
    count: `SELECT count(*) AS found FROM ${table} WHERE key >= ? AND key < coalesce(?, x'') AND expires_at > ?`,
    due: `SELECT key, subject FROM ${table} WHERE expires_at < ? ORDER BY expires_at LIMIT ?`,
    deleteBySubject: `DELETE FROM ${table} WHERE subject = ? AND key IS NOT ? AND expires_at > ? RETURNING key`,
    // Those that were told of and no others; a list of keys has no length that a statement could be prepared for.
    deleteDue: `DELETE FROM ${table} WHERE key IN (SELECT value FROM json_each(?)) AND expires_at < ?`,
  };
}
