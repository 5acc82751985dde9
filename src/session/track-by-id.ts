/**
 * Sessions by id: the record is in a store and the token names it.
 *
 * @module
 */
import { run } from "../internal/maybe-promise.ts";
import { commitById } from "./by-id-commit.ts";
import { loadById } from "./by-id-load.ts";
import type { ById, ByIdBase } from "./by-id.ts";
import type { Tracker } from "./tracker.ts";

/** Keeps sessions by id. */
export function trackById(byId: ById): Tracker<ByIdBase> {
  return {
    load: (tokens, exchange) => run(loadById(byId, tokens, exchange)),
    commit: (state, context) => commitById(byId, state, context),
  };
}
