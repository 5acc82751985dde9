/**
 * The history of a run: every request with what its answer said, and what was done to the servers, in the time of the one
 * process that sent the requests. The checker reads nothing else.
 */

/** What a client does. */
export type Action = "sign-in" | "add" | "append" | "key" | "read" | "rotate" | "sign-out" | "revoke";

/**
 * What came of a request. `written`, `unchanged` and `gone` are a commit's own words; `anonymous`: no session was seen;
 * `failed`: 503; `conflict`: 409; `unanswered`: no response; `bug`: any other status.
 */
export type Outcome = "written" | "unchanged" | "gone" | "anonymous" | "failed" | "conflict" | "unanswered" | "bug";

/** What the sessions of the workload hold. */
export interface SessionData {
  readonly n: number;
  /** Each entry was appended by one request. */
  readonly log: readonly string[];
  /** Keys that requests set, one each. */
  readonly keys: readonly string[];
}

/** One request. Times are milliseconds of a clock that never goes back. */
export interface RequestLine {
  readonly did: "request";
  readonly client: number;
  /** Which of the processes it was sent to. */
  readonly app: number;
  readonly action: Action;
  readonly from: number;
  readonly until: number;
  readonly outcome: Outcome;
  /** When the app asked for the session. */
  readonly served?: number | undefined;
  /** The name that the harness gave to the token it was sent with; tokens themselves are not kept. */
  readonly token?: string | undefined;
  /** What `append` and `key` were to add. */
  readonly entry?: string | undefined;
  /** The session that the request came with, as its answer says. */
  readonly loaded?: string | undefined;
  /** The session after it. */
  readonly session?: string | undefined;
  /** What a session holds that began with this request. */
  readonly began?: SessionData | undefined;
  /** The sessions that its answer says are over. */
  readonly ended?: readonly string[] | undefined;
  /** Whether its answer says that all sessions of its client are over: those, too, of which the client was never told. */
  readonly endedAll?: boolean | undefined;
  /** The token that the answer sets. */
  readonly issued?: string | undefined;
  /** Whether the answer removes the token. */
  readonly cleared?: boolean | undefined;
}

/** What the store holds of a session when all is over. */
export interface FinalLine {
  readonly did: "final";
  readonly session: string;
  /** Undefined when there is no such record. */
  readonly data: SessionData | undefined;
}

/** What was done to the servers. `loss`: sessions that the fault itself ends, as `FLUSHALL` ends all that there are. */
export type EventLine =
  | { readonly did: "strike" | "clear"; readonly at: number }
  | {
      readonly did: "loss";
      readonly sessions: readonly string[] | "all";
      readonly from: number;
      readonly until: number;
    }
  | { readonly did: "crash"; readonly app: number; readonly at: number };

/** One line of a history. */
export type Line = RequestLine | FinalLine | EventLine;

/** The requests of a history, in the order in which they were answered. */
export function requestsOf(history: readonly Line[]): readonly RequestLine[] {
  return history.filter((line) => line.did === "request");
}

/** Whether the answer of a request showed it a session. */
export function saw({ outcome, loaded }: RequestLine): boolean {
  return loaded !== undefined && outcome !== "anonymous";
}

/** Whether nobody knows what a request has done. */
export function isUnknown({ outcome }: RequestLine): boolean {
  return outcome === "failed" || outcome === "unanswered" || outcome === "conflict" || outcome === "bug";
}

/** The session that each token is for, as far as an answer has told. */
export function sessionsByToken(requests: readonly RequestLine[]): ReadonlyMap<string, string> {
  const known = new Map<string, string>();
  for (const { token, loaded, issued, session } of requests) {
    if (token !== undefined && loaded !== undefined) known.set(token, loaded);
    if (issued !== undefined && session !== undefined) known.set(issued, session);
  }
  return known;
}

/** The sessions that a history knows of. */
export function sessionsOf(requests: readonly RequestLine[]): readonly string[] {
  return [...new Set(requests.flatMap(({ session, loaded }) => [session, loaded]))].filter((id) => id !== undefined);
}
