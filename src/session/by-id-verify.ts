/**
 * Asking the store about a session that was taken from a copy: for requests where even milliseconds are too long.
 *
 * @module
 */
import { run, settled, type MaybePromise, type Steps } from "../internal/maybe-promise.ts";
import { judge, refusedAll } from "./by-id-load.ts";
import { freshlyRead, type ById, type ByIdBase } from "./by-id.ts";
import { done, type ByIdState } from "./by-id-step.ts";
import { bereave, rebase, type Unsettled } from "./state.ts";

/** What the request did to its session comes on top of what the store holds now. One that has ended turns out empty. */
export function verifyById(byId: ById, state: ByIdState): MaybePromise<void> {
  const { base } = state;
  // Without a session there was a refusal, and none is a copy's (P7).
  if (base === undefined || !(base.isCopy || byId.calls.cached)) return undefined;
  return run(verified(byId, state, base));
}

function* verified(byId: ById, state: ByIdState, base: ByIdBase): Steps<void> {
  const loadedAt = byId.clock.now();
  const stored = yield* settled(freshlyRead(byId, base));
  // Ended by this request meanwhile.
  if (state.base !== base) return;
  if (state.unsettled !== undefined && stored?.version === state.unsettled.base.stored.version) {
    return written(byId, state, state.unsettled);
  }
  const verdict = judge(byId, base, base.mine, state.exchange, stored);
  if ("base" in verdict) return rebase(state, { ...verdict.base, isOwn: base.isOwn, loadedAt });
  yield* refusedAll(byId, [verdict]);
  bereave(state, byId.clock.now());
}

/** The store has the write that it did not answer: what it did is not to be done on top of it once more (P18). */
function written(byId: ById, state: ByIdState, { base, task, owed }: Unsettled<ByIdBase>): void {
  done(byId, state, base, task);
  if (owed) state.owed = { id: base.id, secret: base.secret };
}
