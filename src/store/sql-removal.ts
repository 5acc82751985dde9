/**
 * How the SQL stores remove what has ended.
 *
 * @module
 */
import type { Listeners } from "../internal/listeners.ts";
import { type MaybePromise, run, settled, type Steps } from "../internal/maybe-promise.ts";
import { keyOf } from "./sql-row.ts";
import type { SqlQueries } from "./sql.ts";
import { EXPIRED_FOR, type ExpiredRecord, type StoreCall } from "./store.ts";

/** How many rows are removed by one statement. */
export const SWEPT_AT_ONCE = 500;

/** Tells of what is over and removes it, some rows at a time. While another process is at it, nothing. */
export function deleteExpired(
  queries: SqlQueries,
  expired: Listeners<ExpiredRecord>,
  limit: number,
  call: StoreCall,
): MaybePromise<number> {
  return run(alone(queries, call, () => removal(queries, expired, limit, call)));
}

/** Works while it has the lease, where processes share one; to see that there is nothing to do takes none. */
function* alone(queries: SqlQueries, call: StoreCall, work: () => Steps<number>): Steps<number> {
  if (queries.lease === undefined) return yield* work();
  const due = yield* settled(queries.due(call.now - EXPIRED_FOR, 1, call));
  if (due.length === 0) return 0;
  const release = yield* settled(queries.lease(call));
  if (release === undefined) return 0;
  try {
    return yield* work();
  } finally {
    yield* settled(release());
  }
}

function* removal(
  queries: SqlQueries,
  expired: Listeners<ExpiredRecord>,
  limit: number,
  call: StoreCall,
): Steps<number> {
  const end = call.now - EXPIRED_FOR;
  let removed = 0;
  for (;;) {
    const wanted = Math.min(limit - removed, SWEPT_AT_ONCE);
    const rows = yield* settled(queries.due(end, wanted, call));
    if (rows.length === 0) return removed;
    for (const row of rows) expired.tell(keyOf(row));
    const keys = rows.map(({ key }) => key);
    const changes = yield* settled(queries.deleteDue(keys, end, call));
    removed += changes;
    // None at all: another process is at it.
    if (rows.length < wanted || removed >= limit || changes === 0) return removed;
  }
}
