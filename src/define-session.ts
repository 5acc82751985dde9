/**
 * `defineSession` with all its defaults.
 *
 * @module
 */
import { definer, type DefineSession } from "./definition.ts";
import { seal } from "./protection/seal.ts";

export const defineSession: DefineSession = /* @__PURE__ */ definer(seal);
