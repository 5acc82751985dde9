/**
 * coatcheck: typed sessions for TypeScript servers. This door needs the web platform only; frameworks and stores that need
 * more have doors of their own.
 *
 * @module
 */
export { defineSession } from "./define-session.ts";
export type { DefineSession, FromOptions, SessionDefinition, SessionOptions } from "./definition.ts";
export {
  ConflictError,
  isSessionError,
  SessionError,
  SessionTooLargeError,
  StoreError,
  type ConflictReason,
  type SessionErrorCode,
  type StoreVerb,
} from "./errors.ts";
export type { Clock } from "./internal/clock.ts";
export type { Duration } from "./internal/duration.ts";
export type { JsonValue } from "./internal/json.ts";
export type { MaybePromise } from "./internal/maybe-promise.ts";
export { KeyRing, keyRing, type KeyInput, type KeyStanding, type RingKey } from "./protection/key-ring.ts";
export type { Protection, ProtectionContext, Protector, Unprotected } from "./protection/protection.ts";
export { seal, type SealOptions } from "./protection/seal.ts";
export { sign, type SignAlgorithm, type SignOptions } from "./protection/sign.ts";
export type { Concurrency, OnReplay } from "./session/by-id.ts";
export type {
  EndReason,
  GoneReason,
  RejectionReason,
  SessionEvent,
  SessionEventType,
  SessionListener,
} from "./session/events.ts";
export type { CommitOutcome } from "./session/exchange.ts";
export type { OnStoreError, SessionManager } from "./session/manager.ts";
export type {
  DeleteExpiredOptions,
  ListAllOptions,
  RevokeAllOptions,
  SessionPage,
  SessionSummary,
} from "./session/registry.ts";
export type { SessionRequest } from "./session/request.ts";
export type { SessionCodec } from "./session/session-codec.ts";
export type { AuthenticateOptions, DeepReadonly, Session } from "./session/session.ts";
export type {
  ExpiredRecord,
  ListedPage,
  ListedRecord,
  PageRequest,
  SessionStore,
  StoreCall,
  StoreChange,
  StoredRecord,
  UpdateOutcome,
  WatchGaps,
} from "./store/store.ts";
export type { CookiePrefix } from "./transport/cookie-options.ts";
export { clientCertificate, type ClientCertificateOptions } from "./transport/client-certificate.ts";
export { cookie, type CookieOptions } from "./transport/cookie.ts";
export type { TrustProxy } from "./transport/forwarded.ts";
export { header, type HeaderOptions } from "./transport/header.ts";
export { sticky, type DrainOptions, type Drained, type Sticky, type StickyOptions } from "./transport/sticky.ts";
export type { TokenForm } from "./transport/token-form.ts";
export type {
  BoundTransport,
  HeaderEdit,
  OutgoingToken,
  RequestView,
  Transport,
  TransportContext,
} from "./transport/transport.ts";
export { url, type UrlOptions } from "./transport/url.ts";
export type { UrlForm } from "./transport/url-syntax.ts";
