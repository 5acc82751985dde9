/** What a run came to, in numbers. */
import { longestStale, type Findings } from "./check.ts";
import { isUnknown, requestsOf, type Action, type Line, type Outcome, type RequestLine } from "./history.ts";

/** How much was done. */
export interface Counts {
  /** Changes, sign-ins, rotations and sign-outs that were acknowledged. */
  readonly acknowledged: number;
  readonly signIns: number;
  readonly rotations: number;
  readonly signOuts: number;
}

/** The numbers of one run. Times in milliseconds. */
export interface Figures extends Counts {
  readonly requests: number;
  /** Requests that did not succeed, by what came of them. */
  readonly failed: number;
  readonly conflicts: number;
  readonly unanswered: number;
  /** The longest that no request at all succeeded. */
  readonly outage: number;
  /** The longest that a request waited for its error. */
  readonly slowestError: number;
  /** From the end of the fault to the first success after which nothing failed any more; undefined when there was none. */
  readonly recovery: number | undefined;
  /** How long after its end a session was seen at the latest. */
  readonly stale: number;
  /** How often each kind of wrong was found. */
  readonly found: Readonly<Record<keyof Findings, number>>;
}

/** Counts what was acknowledged. */
export function countsOf(requests: readonly RequestLine[]): Counts {
  const written = requests.filter(({ outcome }) => outcome === "written");
  const count = (...actions: readonly Action[]): number =>
    written.filter(({ action }) => actions.includes(action)).length;
  return {
    acknowledged: written.length,
    signIns: count("sign-in"),
    rotations: count("rotate"),
    signOuts: count("sign-out", "revoke"),
  };
}

/** Counts a history and what the checker found in it. */
export function figuresOf(history: readonly Line[], findings: Findings): Figures {
  const requests = requestsOf(history).toSorted((a, b) => a.until - b.until);
  const count = (wanted: Outcome): number => requests.filter(({ outcome }) => outcome === wanted).length;
  return {
    requests: requests.length,
    ...countsOf(requests),
    failed: count("failed"),
    conflicts: count("conflict"),
    unanswered: count("unanswered"),
    outage: Math.round(outageOf(requests)),
    slowestError: Math.round(slowestErrorOf(requests)),
    recovery: recoveryOf(history, requests),
    stale: Math.round(longestStale(history)),
    found: Object.fromEntries(
      Object.entries(findings).map(([kind, texts]) => [kind, texts.length]),
    ) as Figures["found"],
  };
}

function outageOf(requests: readonly RequestLine[]): number {
  const successes = requests.filter((request) => !isUnknown(request)).map(({ until }) => until);
  return Math.max(0, ...successes.slice(1).map((until, at) => until - (successes[at] ?? until)));
}

function slowestErrorOf(requests: readonly RequestLine[]): number {
  const errors = requests.filter(({ outcome }) => outcome === "failed" || outcome === "conflict");
  return Math.max(0, ...errors.map(({ from, until }) => until - from));
}

function recoveryOf(history: readonly Line[], requests: readonly RequestLine[]): number | undefined {
  const cleared = history.flatMap((line) => (line.did === "clear" ? [line.at] : []))[0] ?? 0;
  const lastFailure = requests.findLast(isUnknown);
  const since = Math.max(cleared, lastFailure?.until ?? 0);
  const success = requests.find((request) => request.until > since && request.from >= cleared && !isUnknown(request));
  return success === undefined ? undefined : Math.round(success.until - cleared);
}
