/**
 * The tables of `mysqlStore`.
 *
 * @module
 */
import type { MysqlNames } from "./mysql-statements.ts";
import { SCHEMA_VERSION, type TableName } from "./sql.ts";

/** How many bytes of a key and of a subject the columns take. */
export const LONGEST = 255;

/** The names of the tables and their indexes. */
export function namesOf({ schema: database, table }: TableName): MysqlNames {
  const located = (name: string): string => (database === undefined ? "" : `${quoted(database)}.`) + quoted(name);
  return {
    table: located(table),
    schema: located(`${table}_schema`),
    bySubject: quoted(`${table}_subject`),
    byEnd: quoted(`${table}_expires_at`),
  };
}

function quoted(name: string): string {
  return `\`${name.replaceAll("`", "``")}\``;
}

/**
 * The statements that make the tables. Each stands alone and does nothing a second time. The last one says that all is there:
 * of a process that dies in the middle the next one does the rest.
 */
export function schemaStatements({ table, schema, bySubject, byEnd }: MysqlNames): readonly string[] {
  // Bytes everywhere: no collation takes two texts for one, whatever that of the database is.
  const engine = "ENGINE = InnoDB ROW_FORMAT = DYNAMIC";
  return [
    `CREATE TABLE IF NOT EXISTS ${table} (
  \`key\` VARBINARY(${LONGEST}) NOT NULL PRIMARY KEY,
  \`version\` LONGBLOB NOT NULL,
  \`expires_at\` DOUBLE NOT NULL,
  \`subject\` VARBINARY(${LONGEST}),
  \`value\` LONGBLOB NOT NULL,
  \`long\` LONGBLOB,
  KEY ${bySubject} (\`subject\`, \`key\`),
  KEY ${byEnd} (\`expires_at\`)
) ${engine}`,
    `CREATE TABLE IF NOT EXISTS ${schema} (
  \`one\` TINYINT NOT NULL PRIMARY KEY,
  \`version\` INT NOT NULL,
  \`sweeper\` VARBINARY(64) NOT NULL,
  \`swept_until\` BIGINT NOT NULL
) ${engine}`,
    `INSERT IGNORE INTO ${schema} (\`one\`, \`version\`, \`sweeper\`, \`swept_until\`) VALUES (1, ${SCHEMA_VERSION}, '', 0)`,
  ];
}
