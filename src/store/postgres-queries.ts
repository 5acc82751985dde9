/**
 * The statements of `postgresStore`: one for each verb, each a transaction of its own.
 *
 * @module
 */
import { encodeBase64url } from "../internal/base64url.ts";
import { randomBytes } from "../internal/crypto.ts";
import type { ToldChange } from "./change-feed.ts";
import type { PostgresNames } from "./postgres-schema.ts";
import type { PostgresRow, PostgresValue } from "./postgres-client.ts";
import type { KeyRange } from "./sql-listing.ts";
import { isHeldAsHash, type KeyColumns, type RecordColumns, type RowColumns, type SqlRow } from "./sql-row.ts";
import { fromSql, MARK } from "./sql-text.ts";
import { LEASE_SECONDS, type SqlQueries } from "./sql.ts";
import type { StoreCall, UpdateOutcome } from "./store.ts";

/** How many bytes of a key and of a subject there may be: an index takes 2704 for both. */
export const LONGEST = 1_000;

/** Comes after every key that is kept. */
const AFTER_ALL = "\u{10ffff}".repeat(LONGEST / 4 + 1);

/** Runs a statement. */
export type RunStatement = (
  text: string,
  values: readonly PostgresValue[],
  call: StoreCall,
) => PromiseLike<readonly PostgresRow[]>;

/** What the statements need to know. */
export interface PostgresDialect {
  readonly run: RunStatement;
  /** Runs a statement that reads, with as little around it as can be: most requests are made of no more than that. */
  readonly ask: RunStatement;
  readonly names: PostgresNames;
  /** The channel on which to tell of what was changed or deleted, as a literal; undefined for none. */
  readonly channel: string | undefined;
}

/** The statements over a client. */
export function postgresQueries(dialect: PostgresDialect): SqlQueries {
  return { ...verbs(dialect), ...listings(dialect), ...removals(dialect), lease: (call) => lease(dialect, call) };
}

/** How long a version may be that is told, in bytes. A payload takes less than 8000; as JSON, a text may be six times as long. */
const LONGEST_TOLD = 256;

/** What a statement returns of a row that it has written. */
function tellingWritten({ channel }: PostgresDialect): string {
  const versioned = "chr(1) || json_build_array(key, version)";
  const payload = `CASE WHEN octet_length(version) <= ${LONGEST_TOLD} THEN ${versioned} ELSE key END`;
  return channel === undefined ? "1" : `pg_notify(${channel}, ${payload})`;
}

/** What a statement returns of a row that it has deleted. */
function tellingDeleted({ channel }: PostgresDialect): string {
  return channel === undefined ? "1" : `pg_notify(${channel}, key)`;
}

/**
 * What a payload tells of: a key, as it is kept, or the mark and `["key","version"]`. A key that is kept as a hash it cannot
 * tell.
 */
export function changeIn(payload: string): ToldChange | undefined {
  const isVersioned = payload.startsWith(`${MARK}[`);
  const [key, version] = isVersioned ? (JSON.parse(payload.slice(MARK.length)) as [string, string]) : [payload];
  if (isHeldAsHash(key)) return undefined;
  return { key: fromSql(key), change: version === undefined ? undefined : { version: fromSql(version) } };
}

const COLUMNS = "key, version, expires_at, subject, value, long";

type Verb = "create" | "read" | "update" | "touch" | "delete";

function verbs(dialect: PostgresDialect): Pick<SqlQueries, Verb> {
  const { run } = dialect;
  const texts = verbTexts(dialect);
  return {
    create: async (row, call) => (await run(texts.create, [...valuesOf(row), call.now], call)).length > 0,
    read: (key, call) => dialect.ask(texts.read, [key, call.now], call).then(([row]) => row && recordIn(row)),
    async update(row, version, call) {
      const [answer] = await run(texts.update, [...valuesOf(row), call.now, version], call);
      return answer?.[0] as UpdateOutcome;
    },
    touch: async (key, end, call) => (await run(texts.touch, [key, end, call.now], call)).length > 0,
    delete: async (key, call) => (await run(texts.delete, [key, call.now], call)).length > 0,
  };
}

function recordIn([version, end, subject, value, long]: PostgresRow): RecordColumns {
  return { version, expires_at: end, subject: subject as string | null, value, long: long as string | null };
}

/** The values of {@link COLUMNS}. */
function valuesOf({ key, version, expiresAt, subject, value, long }: SqlRow): readonly PostgresValue[] {
  return [key, version, expiresAt, subject, value, long];
}

/**
 * Under READ COMMITTED a statement waits for whoever changes the same row, and then judges what that one has left: so
 * `update` never says `ok` over a change it has not seen. Whether there was a row at all it knows from its beginning: when
 * it is deleted meanwhile the answer is `conflict`, and the next reading decides.
 */
function verbTexts(dialect: PostgresDialect): Readonly<Record<Verb, string>> {
  const { table } = dialect.names;
  const written = tellingWritten(dialect);
  return {
    create:
      `INSERT INTO ${table} AS kept (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (key) DO UPDATE SET` +
      " version = excluded.version, expires_at = excluded.expires_at, subject = excluded.subject, value = excluded.value," +
      " long = excluded.long WHERE kept.expires_at <= $7 RETURNING 1",
    read: `SELECT version, expires_at, subject, value, long FROM ${table} WHERE key = $1 AND expires_at > $2`,
    update:
      `WITH changed AS (UPDATE ${table} SET version = $2, expires_at = $3, subject = $4, value = $5, long = $6` +
      ` WHERE key = $1 AND expires_at > $7 AND version = $8 RETURNING ${written})` +
      " SELECT CASE WHEN EXISTS (SELECT FROM changed) THEN 'ok'" +
      ` WHEN EXISTS (SELECT FROM ${table} WHERE key = $1 AND expires_at > $7) THEN 'conflict' ELSE 'gone' END`,
    touch:
      `UPDATE ${table} SET expires_at = greatest(expires_at, $2) WHERE key = $1 AND expires_at > $3` +
      ` RETURNING ${written}`,
    delete: `DELETE FROM ${table} WHERE key = $1 AND expires_at > $2 RETURNING ${tellingDeleted(dialect)}`,
  };
}

function listings({ run, names: { table } }: PostgresDialect): Pick<SqlQueries, "bySubject" | "byKey" | "count"> {
  const bySubject = `SELECT ${COLUMNS} FROM ${table} WHERE subject = $1 AND key >= $2 AND expires_at > $3 ORDER BY key LIMIT $4`;
  const byKey = `SELECT ${COLUMNS} FROM ${table} WHERE key >= $1 AND key < $2 AND expires_at > $3 ORDER BY key LIMIT $4`;
  const count = `SELECT count(*) FROM ${table} WHERE key >= $1 AND key < $2 AND expires_at > $3`;
  const endOf = ({ to }: KeyRange): string => to ?? AFTER_ALL;
  return {
    bySubject: async (subject, from, limit, call) =>
      (await run(bySubject, [subject, from, call.now, limit], call)).map(columnsIn),
    byKey: async (range, limit, call) =>
      (await run(byKey, [range.from, endOf(range), call.now, limit], call)).map(columnsIn),
    async count(range, call) {
      const [row] = await run(count, [range.from, endOf(range), call.now], call);
      return Number(row?.[0]);
    },
  };
}

function columnsIn(row: PostgresRow): RowColumns {
  const [key, version, end, subject, value, long] = row as [string, ...(string | null)[]];
  return { key, version, expires_at: end, subject: subject ?? null, value, long: long ?? null };
}

function keyColumnsIn(row: PostgresRow): KeyColumns {
  const [key, subject, long] = row as [string, string | null, string | null];
  return { key, subject, long };
}

function removals(dialect: PostgresDialect): Pick<SqlQueries, "deleteBySubject" | "due" | "deleteDue"> {
  const { run, names } = dialect;
  const { table } = names;
  const bySubject =
    `DELETE FROM ${table} WHERE subject = $1 AND key IS DISTINCT FROM $2 AND expires_at > $3` +
    ` RETURNING key, subject, long, ${tellingDeleted(dialect)}`;
  const due = `SELECT key, subject, long FROM ${table} WHERE expires_at < $1 ORDER BY expires_at LIMIT $2`;
  // A list as JSON in a text: drivers differ in how they bind arrays, and JSON. What somebody else has locked is left to the next sweep.
  const deleteDue =
    `DELETE FROM ${table} WHERE key IN (SELECT key FROM ${table} WHERE key IN (SELECT json_array_elements_text($1::text::json))` +
    " AND expires_at < $2 FOR UPDATE SKIP LOCKED) RETURNING 1";
  return {
    deleteBySubject: async (subject, except, call) =>
      (await run(bySubject, [subject, except, call.now], call)).map(keyColumnsIn),
    due: async (end, limit, call) => (await run(due, [end, limit], call)).map(keyColumnsIn),
    deleteDue: async (keys, end, call) => (await run(deleteDue, [JSON.stringify(keys), end], call)).length,
  };
}

async function lease(
  { run, names: { schema } }: PostgresDialect,
  call: StoreCall,
): Promise<(() => PromiseLike<unknown>) | undefined> {
  const sweeper = encodeBase64url(randomBytes(12));
  const end = `clock_timestamp() + interval '${LEASE_SECONDS} seconds'`;
  // One that ends later than any can was taken by a clock that was ahead.
  const take =
    `UPDATE ${schema} SET sweeper = $1, sweeps_until = ${end}` +
    ` WHERE sweeps_until < clock_timestamp() OR sweeps_until > ${end} RETURNING 1`;
  const release = `UPDATE ${schema} SET sweeps_until = '-infinity' WHERE sweeper = $1`;
  const taken = await run(take, [sweeper], call);
  return taken.length === 0 ? undefined : () => run(release, [sweeper], call);
}
