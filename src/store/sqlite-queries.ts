/**
 * The statements of `sqliteStore`, as the SQL stores share them. All of them answer at once.
 *
 * @module
 */
import type { KeyColumns, RowColumns, SqlRow } from "./sql-row.ts";
import type { SqlQueries } from "./sql.ts";
import { createPlaces, placeHash } from "./sqlite-places.ts";
import { rowReader } from "./sqlite-read.ts";
import type { Statements } from "./sqlite-statements.ts";

/** Statements that are prepared when they are first needed. */
export function sqliteQueries(statements: () => Statements): SqlQueries {
  const places = createPlaces();
  const read = rowReader(statements, places);
  return {
    create(row, { now }) {
      const { changes, lastInsertRowid } = statements().create.run(row.key, ...columnsOf(row), now);
      if (Number(changes) === 0) return false;
      // Not the row's, where one was replaced that had ended: then the first read finds that out.
      places.set(placeHash(row.key), Number(lastInsertRowid));
      return true;
    },
    read: (key, { now }) => read(key, now),
    update(row, version, { now }) {
      const { changes } = statements().update.run(...columnsOf(row), row.key, version, now);
      if (Number(changes) > 0) return "ok";
      return statements().exists.all(row.key, now).length > 0 ? "conflict" : "gone";
    },
    touch: (key, expiresAt, { now }) => Number(statements().touch.run(expiresAt, key, now).changes) > 0,
    delete: (key, { now }) => Number(statements().delete.run(key, now).changes) > 0,
    ...listings(statements),
    ...removals(statements),
  };
}

/** The columns after the key. */
function columnsOf({ version, expiresAt, subject, value }: SqlRow): [string, number, string | null, string] {
  return [version, expiresAt, subject, value];
}

function listings(statements: () => Statements): Pick<SqlQueries, "bySubject" | "byKey" | "count"> {
  return {
    bySubject: (subject, from, limit, { now }) =>
      statements().bySubject.all(subject, from, now, limit) as readonly RowColumns[],
    byKey: ({ from, to }, limit, { now }) =>
      statements().byKey.all(from, to ?? null, now, limit) as readonly RowColumns[],
    count({ from, to }, { now }) {
      const row = statements().count.get(from, to ?? null, now) as { readonly found: number | bigint };
      return Number(row.found);
    },
  };
}

function removals(statements: () => Statements): Pick<SqlQueries, "deleteBySubject" | "due" | "deleteDue"> {
  return {
    deleteBySubject: (subject, except, { now }) =>
      statements().deleteBySubject.all(subject, except, now) as readonly KeyColumns[],
    due: (end, limit) => statements().due.all(end, limit) as readonly KeyColumns[],
    deleteDue: (keys, end) => Number(statements().deleteDue.run(JSON.stringify(keys), end).changes),
  };
}
