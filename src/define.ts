/**
 * `defineSession` for bundles that have to be small: `coatcheck/define`. The same function as that of `coatcheck`, but a session
 * without a store has to name its `protection`: an app that only signs, or that keeps its sessions in a store, then carries no
 * encryption.
 *
 * @example
 * ```ts
 * import { sign } from "coatcheck";
 * import { defineSession } from "coatcheck/define";
 *
 * const keys = process.env.SESSION_KEYS;
 * export const prefs = defineSession<{ theme: string }>({ name: "prefs", keys, protection: sign(), revocation: "none" });
 * ```
 *
 * @module
 */
import { definer, type DefineSession } from "./definition.ts";

export type { FromOptions, SessionDefinition, SessionOptions } from "./definition.ts";

export const defineSession: DefineSession = /* @__PURE__ */ definer(undefined);
