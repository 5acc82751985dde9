/**
 * Ktor's sessions, readable and writable: `coatcheck/compat/ktor`. For a TypeScript server beside a Ktor server, and for
 * taking a Ktor server's sessions over. Needs the web platform only; its directory storage is `coatcheck/compat/ktor-directory`.
 *
 * @module
 */
export {
  ktorCookie,
  ktorEncoding,
  ktorHeader,
  type KtorCookieOptions,
  type KtorEncoding,
  type KtorHeaderOptions,
  type KtorValueCodec,
} from "./ktor-cookie.ts";
export { ktorEncrypt, type KtorEncryptOptions } from "./ktor-encrypt.ts";
export { ktorForm, type KtorFormOptions } from "./ktor-form.ts";
export type { KtorClass, KtorFields, KtorObject, KtorScalar, KtorType, KtorValue } from "./ktor-form-schema.ts";
export type { KtorMac } from "./ktor-hmac.ts";
export { generateKtorId, ktorId, ktorSessionPath } from "./ktor-id.ts";
export { ktorJson, type KtorJsonOptions } from "./ktor-json.ts";
export type { KtorProtection } from "./ktor-protection.ts";
export {
  ktorCookieSession,
  ktorHeaderSession,
  type KtorCookieSessionOptions,
  type KtorHeaderSessionOptions,
  type KtorSession,
} from "./ktor-session.ts";
export { ktorSign, type KtorSignOptions } from "./ktor-sign.ts";
export type { KtorKey, KtorSerializer, KtorTransform } from "./ktor-text.ts";
