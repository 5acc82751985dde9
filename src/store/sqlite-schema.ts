/**
 * The tables of `sqliteStore`.
 *
 * @module
 */
import { checkVersion, SCHEMA_VERSION } from "./sql.ts";
import { quoted } from "./sql-text.ts";
import type { SqliteDatabase } from "./sqlite-client.ts";

/**
 * Makes what is missing. Each statement stands alone and does nothing a second time: several processes may do this at
 * once, and one that dies in the middle leaves the rest to the next. Throws when the tables are from a newer version.
 */
export function prepareSchema(database: SqliteDatabase, table: string): void {
  const name = quoted(table);
  const schema = quoted(`${table}_schema`);
  // In a table, and not in PRAGMA user_version: that belongs to the app whose database it may be.
  database.exec(
    `CREATE TABLE IF NOT EXISTS ${schema} (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL)`,
  );
  if (versionIn(database, schema) === undefined) {
    database
      .prepare(`INSERT INTO ${schema} (one, version) VALUES (1, ?) ON CONFLICT DO NOTHING`)
      .run(SCHEMA_VERSION as never);
  }
  checkVersion("sqliteStore", table, versionIn(database, schema));
  database.exec(
    `CREATE TABLE IF NOT EXISTS ${name} (` +
      "key TEXT NOT NULL PRIMARY KEY, version TEXT NOT NULL, expires_at REAL NOT NULL, subject TEXT, value TEXT NOT NULL" +
      ")",
  );
  database.exec(
    `CREATE INDEX IF NOT EXISTS ${quoted(`${table}_subject`)} ON ${name} (subject, key) WHERE subject IS NOT NULL`,
  );
  database.exec(`CREATE INDEX IF NOT EXISTS ${quoted(`${table}_expires_at`)} ON ${name} (expires_at)`);
}

function versionIn(database: SqliteDatabase, schema: string): number | undefined {
  const row = database.prepare(`SELECT version FROM ${schema}`).get() as
    | { version: number | bigint }
    | null
    | undefined;
  return row === undefined || row === null ? undefined : Number(row.version);
}
