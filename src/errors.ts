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
  | "ERR_SESSION_INSECURE"
  | "ERR_SESSION_CSRF";

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

  /** What a client is told: the status in words, and nothing of what the message says. Hono asks an error for its answer. */
  getResponse(): Response {
    const { body, status, headers } = plainAnswer(this.status);
    return new Response(body, { status, headers: { ...headers, ...this.headers } });
  }
}

/** @internal The parts of a response. */
export interface PlainAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const STATUS_TEXTS: Readonly<Record<number, string>> = {
  400: "Bad Request",
  403: "Forbidden",
  409: "Conflict",
  413: "Content Too Large",
  422: "Unprocessable Content",
  503: "Service Unavailable",
};

/** @internal An answer that says a status, in words too. */
export function plainAnswer(status: number): PlainAnswer {
  return {
    status,
    headers: { "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store" },
    body: `${STATUS_TEXTS[status] ?? "Internal Server Error"}\n`,
  };
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

/** Which rule of a CSRF guard refused a request: see {@link CsrfError}. */
export type CsrfReason =
  /** `Sec-Fetch-Site: cross-site`, and the origin is not trusted. */
  | "cross-site"
  /** `Sec-Fetch-Site: same-site` (a sibling domain, another port), and the origin is not trusted. */
  | "same-site"
  /** `Sec-Fetch-Site` says something that no browser says. */
  | "unknown-site"
  /** No `Sec-Fetch-Site`, and `Origin` is neither the server's own nor trusted. */
  | "origin"
  /** No `Sec-Fetch-Site`, and `Origin: null`, which is what every page can make a browser say. */
  | "null-origin"
  /** Neither header, and no token. */
  | "token-missing"
  /** Neither header, and a token that is not of this session. */
  | "token-invalid";

/** What the request said of where it came from, as it said it; at most 200 characters each. */
export interface CsrfEvidence {
  readonly method: string;
  /** `Sec-Fetch-Site`. */
  readonly site: string | undefined;
  /** `Origin`. */
  readonly origin: string | undefined;
}

/** A CSRF guard refused a request, before anything was done. `status` is 403. */
export class CsrfError extends SessionError implements CsrfEvidence {
  readonly reason: CsrfReason;
  readonly method: string;
  readonly site: string | undefined;
  readonly origin: string | undefined;

  constructor(reason: CsrfReason, { method, site, origin }: CsrfEvidence) {
    super("ERR_SESSION_CSRF", `Request refused: ${CSRF_MESSAGES[reason]}`, { status: 403 });
    this.name = "CsrfError";
    this.reason = reason;
    this.method = method.slice(0, 200);
    this.site = site?.slice(0, 200);
    this.origin = origin?.slice(0, 200);
  }
}

const CSRF_MESSAGES: Readonly<Record<CsrfReason, string>> = {
  "cross-site":
    "a page of another site sent it (Sec-Fetch-Site: cross-site). If that page is yours, list its origin in trustedOrigins",
  "same-site":
    "a page of the same site, but of another origin sent it (Sec-Fetch-Site: same-site). If that page is yours, list its origin in trustedOrigins",
  "unknown-site":
    "its Sec-Fetch-Site is none that a browser sends. Something between browser and server has changed it",
  origin:
    "its Origin is not the server's own. If that is yours, list it in trustedOrigins; behind a proxy that ends TLS or rewrites Host, set trustProxy",
  "null-origin":
    "its Origin is null, which is never trusted. If one of your pages sent it, the page is sandboxed or has Referrer-Policy: no-referrer, where same-origin would do",
  "token-missing":
    "it has no Sec-Fetch-Site, no Origin and no token. Send what token() returned (a form field needs a body that is parsed before the guard), or set nonBrowser for clients that are no browsers",
  "token-invalid":
    "its CSRF token is not of this session, which may have ended or been signed in anew. Get a new token from token()",
};

/** Whether a value is one of coatcheck's errors, also when it comes from another copy of the package. */
export function isSessionError(value: unknown): value is SessionError {
  if (value instanceof SessionError) return true;
  const code: unknown = value instanceof Error && "code" in value ? value.code : undefined;
  return typeof code === "string" && code.startsWith("ERR_SESSION_");
}
