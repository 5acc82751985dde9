/**
 * Sessions by id: the record is in a store and the token names it.
 *
 * @module
 */
import { run } from "../internal/maybe-promise.ts";
import { commitById } from "./by-id-commit.ts";
import { identifyById, loadById } from "./by-id-load.ts";
import { isQuiet } from "./by-id-upkeep.ts";
import { verifyById } from "./by-id-verify.ts";
import type { ById, ByIdBase } from "./by-id.ts";
import type { Tracker } from "./tracker.ts";

/** Keeps sessions by id. */
export function trackById(byId: ById): Tracker<ByIdBase> {
  return {
    load: (tokens, exchange, verify) => loadById(byId, tokens, exchange, verify),
    identify: (client, exchange, verify) => run(identifyById(byId, client, exchange, verify)),
    verify: (state) => verifyById(byId, state),
    token: ({ id, secret }) => byId.codec.write(id, secret),
    isQuiet: (state) => isQuiet(byId, state),
    commit: (state, context) => commitById(byId, state, context),
  };
}
