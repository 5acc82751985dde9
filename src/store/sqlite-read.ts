/**
 * How `sqliteStore` reads one row.
 *
 * @module
 */
import type { RecordColumns } from "./sql-row.ts";
import type { BoundStatement } from "./sqlite-client.ts";
import { type Places, placeHash } from "./sqlite-places.ts";
import type { Statements } from "./sqlite-statements.ts";

/** The columns of a record, and where it is. */
interface PlacedColumns extends RecordColumns {
  readonly place?: unknown;
}

/** Reads the row of a key: where it is remembered to be, or else by its key. Both statements look at the key. */
export function rowReader(
  statements: () => Statements,
  places: Places,
): (key: string, now: number) => RecordColumns | undefined {
  return (key, now) => {
    const { read, readAt } = statements();
    const hash = placeHash(key);
    const place = places.get(hash);
    const row = (place === 0 ? undefined : rowAt(readAt, place, key)) ?? rowOf(read, key);
    if (row === undefined || hasEnded(row, now)) return undefined;
    if (row.place !== undefined) places.set(hash, Number(row.place));
    return row;
  };
}

function rowAt(statement: BoundStatement, place: number, key: string): PlacedColumns | undefined {
  return columnsIn(statement.get(place, key));
}

function rowOf(statement: BoundStatement, key: string): PlacedColumns | undefined {
  return columnsIn(statement.get(key));
}

/** The order is that of the statements. */
function columnsIn(row: unknown): PlacedColumns | undefined {
  if (!Array.isArray(row)) return (row as PlacedColumns | null | undefined) ?? undefined;
  const [version, end, subject, value, place] = row as unknown[];
  return { version, expires_at: end, subject: subject as string | null, value, place };
}

/** As SQL compares: what is no number, because somebody else has written it, comes after all of them. */
function hasEnded({ expires_at: end }: RecordColumns, now: number): boolean {
  return (typeof end === "number" || typeof end === "bigint") && end <= now;
}
