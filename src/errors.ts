/**
 * Every error that coatcheck throws, apart from `TypeError` for a caller's mistake (bad configuration, bad arguments).
 * A bad, forged or expired token is never an error: it is an anonymous session and an event.
 *
 * No message, property or inspection of these errors contains a token, a key or session data.
 *
 * @module
 */

/** What went wrong, for `switch (error.code)`. */
export type SessionErrorCode =
  | "ERR_SESSION_STORE"
  | "ERR_SESSION_CONFLICT"
  | "ERR_SESSION_TOO_LARGE"
  | "ERR_SESSION_INVALID_DATA"
  | "ERR_SESSION_HEADERS_SENT"
  | "ERR_SESSION_INSECURE";

/** The base of all of coatcheck's errors. */
export class SessionError extends Error {
  /** Stable, machine-readable. */
  readonly code: SessionErrorCode;
  /** The HTTP status that fits: frameworks such as Express, Koa and Fastify answer with it. */
  readonly status: number;
  /** The same, under the name that Fastify and `http-errors` read. */
  readonly statusCode: number;
  /** Response headers that go with the error: Express and Koa send them. */
  readonly headers: Readonly<Record<string, string>> = { "Cache-Control": "no-store" };

  constructor(code: SessionErrorCode, message: string, options?: { cause?: unknown; status?: number }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = "SessionError";
    this.code = code;
    this.status = options?.status ?? 500;
    this.statusCode = this.status;
  }
}

/** The verbs of a store, as errors name them. */
export type StoreVerb = "create" | "read" | "update" | "touch" | "delete" | "list" | "count";

/**
 * The store failed or did not answer in time. It does *not* mean that there is no session (design: invariant 6).
 * `status` is 503. `cause` is what the store threw.
 */
export class StoreError extends SessionError {
  /** The verb that failed. */
  readonly verb: StoreVerb;
  /** Whether the store did not answer within `storeTimeout`: the outcome of a write is then unknown. */
  readonly timedOut: boolean;

  constructor(verb: StoreVerb, options: { cause?: unknown; timedOut?: boolean } = {}) {
    const why = options.timedOut === true ? "did not answer in time" : "failed";
    super("ERR_SESSION_STORE", `The session store ${why} (${verb})`, { cause: options.cause, status: 503 });
    this.name = "StoreError";
    this.verb = verb;
    this.timedOut = options.timedOut === true;
  }
}

/** Why a commit gave up: see {@link ConflictError}. */
export type ConflictReason = "rejected" | "retries" | "merge-invalid";

/**
 * Another request changed the session and the two could not both be kept. Nothing was written, no cookie was sent.
 * `status` is 409.
 */
export class ConflictError extends SessionError {
  /**
   * `"rejected"`: the definition says `concurrency: "reject"`; `"retries"`: the store timeout ran out while others kept
   * writing; `"merge-invalid"`: the merged data was refused by the schema or by a function given to `update()`.
   */
  readonly reason: ConflictReason;

  constructor(reason: ConflictReason, options: { cause?: unknown } = {}) {
    const why = {
      rejected: 'another request changed the session first, and the definition says concurrency: "reject"',
      retries: "other requests kept changing the session until the store timeout ran out",
      "merge-invalid": "another request changed the session, and the schema or an update() refused the merged data",
    }[reason];
    super("ERR_SESSION_CONFLICT", `Session not saved: ${why}`, { ...options, status: 409 });
    this.name = "ConflictError";
    this.reason = reason;
  }
}

/** The token does not fit in its cookie or header. Nothing was written, nothing was sent. `status` is 413. */
export class SessionTooLargeError extends SessionError {
  /** What was to be sent, in bytes: for a cookie, its name and value together. */
  readonly bytes: number;
  /** What fits, in bytes. */
  readonly limit: number;

  constructor(bytes: number, limit: number, advice: string) {
    super("ERR_SESSION_TOO_LARGE", `The session takes ${bytes} bytes where ${limit} fit: ${advice}`, { status: 413 });
    this.name = "SessionTooLargeError";
    this.bytes = bytes;
    this.limit = limit;
  }
}

/** Whether a value is one of coatcheck's errors, also when it comes from another copy of the package. */
export function isSessionError(value: unknown): value is SessionError {
  if (value instanceof SessionError) return true;
  const code: unknown = value instanceof Error && "code" in value ? value.code : undefined;
  return typeof code === "string" && code.startsWith("ERR_SESSION_");
}
