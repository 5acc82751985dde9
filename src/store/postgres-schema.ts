/**
 * The tables of `postgresStore`.
 *
 * @module
 */
import type { PostgresConnection } from "./postgres-client.ts";
import { quoted } from "./sql-text.ts";
import { SCHEMA_VERSION, type SqlSchema, type TableName } from "./sql.ts";

/** The names that statements use, quoted. */
export interface PostgresNames {
  readonly table: string;
  /** Has one row: the version of the tables, and who sweeps. */
  readonly schema: string;
}

/** The quoted names for a table. */
export function namesFor({ schema, table }: TableName): PostgresNames {
  const within = schema === undefined ? "" : `${quoted(schema)}.`;
  return { table: within + quoted(table), schema: within + quoted(`${table}_schema`) };
}

/** The tables and how they are made. */
export function postgresSchema({ query, script }: PostgresConnection, name: TableName): SqlSchema {
  const sql = schemaSql(name);
  const { schema } = namesFor(name);
  return {
    sql,
    // One transaction. Those who come second wait, and then find everything there, of which they need not be told.
    create: async () =>
      void (await script(
        `SELECT set_config('client_min_messages', 'warning', true), pg_advisory_xact_lock(${LOCK});\n${sql}`,
      )),
    async version() {
      const [found] = await query("SELECT to_regclass($1) IS NOT NULL, current_setting('server_encoding')", [schema]);
      const [exists, encoding] = found ?? [];
      if (encoding !== "UTF8") throw new Error(`postgresStore: expected a database in UTF-8, and it is in ${encoding}`);
      if (exists !== true) return undefined;
      const [row] = await query(`SELECT version FROM ${schema}`, []);
      return row === undefined ? undefined : Number(row[0]);
    },
  };
}

/** Any number that nobody else is likely to lock. */
const LOCK = 1_668_243_828;

function schemaSql(name: TableName): string {
  const { table, schema } = namesFor(name);
  const index = (column: string): string => quoted(`${name.table}_${column}`);
  return `CREATE TABLE IF NOT EXISTS ${table} (
  key text COLLATE "C" PRIMARY KEY,
  version text COLLATE "C" NOT NULL,
  expires_at double precision NOT NULL,
  subject text COLLATE "C",
  value text NOT NULL,
  long text
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX IF NOT EXISTS ${index("subject")} ON ${table} (subject, key) WHERE subject IS NOT NULL;
CREATE INDEX IF NOT EXISTS ${index("expires_at")} ON ${table} (expires_at);
CREATE TABLE IF NOT EXISTS ${schema} (
  one integer PRIMARY KEY CHECK (one = 1),
  version integer NOT NULL,
  sweeper text,
  sweeps_until timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO ${schema} (one, version) VALUES (1, ${SCHEMA_VERSION}) ON CONFLICT (one) DO NOTHING;
`;
}
