/**
 * What a history proves: a pure function from what was acknowledged to what went wrong. Whoever wants to trust it reads
 * check.test.ts, where each kind of wrong is made by hand.
 */
import {
  isUnknown,
  requestsOf,
  saw,
  sessionsByToken,
  type FinalLine,
  type Line,
  type RequestLine,
  type SessionData,
} from "./history.ts";

/** What was found. Texts name sessions and tokens by their public or given names. */
export interface Findings {
  /** Acknowledged changes that are not in the session in the end, though nobody ended it. */
  readonly lost: readonly string[];
  /** Ended sessions that were seen again. */
  readonly resurrected: readonly string[];
  /** Replaced secrets that were accepted again. */
  readonly oldSecrets: readonly string[];
  /** Changes that are there more than once. */
  readonly repeated: readonly string[];
  /** Changes that are there although their request was told that they were not written. */
  readonly phantoms: readonly string[];
  /** Requests that found nobody signed in, although nothing had ended their session or replaced their secret. */
  readonly signedOut: readonly string[];
  /** Failed requests whose answer set a cookie that is worth nothing, or removed one whose session is still there. */
  readonly cookies: readonly string[];
  /** Answers that are neither success nor an error by name, and processes that ended by themselves. */
  readonly bugs: readonly string[];
}

/** What is promised. */
export interface Promises {
  /** No more than that what was acknowledged is nearly always kept. Default false. */
  readonly mayLose?: boolean | undefined;
  /** That an ended session, or a replaced secret, is not seen for longer than so many milliseconds. Default 0. */
  readonly staleFor?: number | undefined;
}

/** Judges a history. */
export function check(history: readonly Line[], { mayLose = false, staleFor = 0 }: Promises = {}): Findings {
  const requests = requestsOf(history);
  const ends = endsOf(history, requests);
  if (!mayLose) addRefused(ends, requests);
  const finals = history.filter((line) => line.did === "final");
  const counts = finals.map((final) => counted(final, requests, ends));
  return {
    lost: counts.flatMap(({ lost }) => lost),
    repeated: counts.flatMap(({ repeated }) => repeated),
    phantoms: counts.flatMap(({ phantoms }) => phantoms),
    resurrected: [
      ...comeBack(requests, ends, staleFor),
      ...finals.flatMap(({ session, data }) =>
        data !== undefined && ends.known.has(session) ? [`${session} is there in the end`] : [],
      ),
    ],
    oldSecrets: deadSecrets(requests, staleFor),
    signedOut: signedOut(requests, ends),
    cookies: unfounded(requests, finals, ends, mayLose),
    bugs: [
      ...requests.filter(({ outcome }) => outcome === "bug").map(named),
      ...history.flatMap((line) => (line.did === "crash" ? [`process ${line.app} ended`] : [])),
    ],
  };
}

function named({ action, client, app, from, outcome, session, loaded }: RequestLine): string {
  const of = session ?? loaded;
  return `${action} of client ${client} at process ${app}, ${Math.round(from)} ms: ${outcome}${of === undefined ? "" : ` (${of})`}`;
}

// --- which sessions are over ----------------------------------------------------------------------------------------------

interface Ends {
  /** From when on a session was known to be over. */
  readonly known: Map<string, number>;
  /** From when on a session may have been over. */
  readonly possible: Map<string, number>;
}

function endsOf(history: readonly Line[], requests: readonly RequestLine[]): Ends {
  const ends: Ends = { known: new Map(), possible: new Map() };
  const tokens = sessionsByToken(requests);
  const meant = ({ token }: RequestLine): string => tokens.get(token ?? "") ?? "";
  for (const line of history) if (line.did === "loss") addLoss(ends, line, requests);
  for (const request of requests) {
    for (const session of request.ended ?? []) {
      earlier(ends.possible, session, request.from);
      earlier(ends.known, session, request.until);
    }
    if (isUnknown(request) && isEnding(request)) earlier(ends.possible, meant(request), request.from);
    if (request.endedAll === true || (isUnknown(request) && request.action === "revoke")) {
      for (const session of sessionsOfClient(requests, request)) earlier(ends.possible, session, request.from);
    }
  }
  return ends;
}

/** The sessions that may have begun for the client of a request before that was over. */
function sessionsOfClient(requests: readonly RequestLine[], { client, until }: RequestLine): readonly string[] {
  const begun = requests.filter((other) => other.client === client && other.began !== undefined && other.from < until);
  return begun.flatMap(({ session }) => session ?? []);
}

/**
 * Nobody knows whether an unanswered sign-out was done. Once its session was refused, it was: unless the store lost the
 * secret that was refused.
 */
function addRefused({ known, possible }: Ends, requests: readonly RequestLine[]): void {
  const tokens = sessionsByToken(requests);
  for (const request of requests) {
    const session = tokens.get(request.token ?? "") ?? "";
    if (!isRefusal(request) || !ended(possible, session, request.from)) continue;
    if (!isTokenInDoubt(request, requests)) earlier(known, session, request.until);
  }
}

/** What a fault ends. Of a session that began meanwhile nobody knows. */
function addLoss(
  { known, possible }: Ends,
  { sessions, from, until }: LossLine,
  requests: readonly RequestLine[],
): void {
  for (const { session = "", began, from: begins, until: begun } of requests) {
    const isMeant = sessions === "all" ? began !== undefined && begins < until : sessions.includes(session);
    if (!isMeant) continue;
    earlier(possible, session, from);
    if (sessions !== "all" || begun < from) earlier(known, session, until);
  }
}

type LossLine = Extract<Line, { did: "loss" }>;

/** A sign-in ends the session that it came with, too. */
function isEnding({ action }: RequestLine): boolean {
  return action === "sign-out" || action === "revoke" || action === "sign-in";
}

function ended(times: ReadonlyMap<string, number>, session: string, at: number): boolean {
  return (times.get(session) ?? Infinity) < at;
}

function earlier(times: Map<string, number>, session: string, at: number): void {
  times.set(session, Math.min(times.get(session) ?? Infinity, at));
}

function isRefusal({ outcome, token }: RequestLine): boolean {
  return outcome === "anonymous" && token !== undefined;
}

// --- changes ----------------------------------------------------------------------------------------------------------------

interface Count {
  readonly lost: readonly string[];
  readonly repeated: readonly string[];
  readonly phantoms: readonly string[];
}

/** Compares what a session holds in the end with what was acknowledged. */
function counted({ session, data }: FinalLine, requests: readonly RequestLine[], ends: Ends): Count {
  const tokens = sessionsByToken(requests);
  const mine = requests.filter((request) => (request.session ?? tokens.get(request.token ?? "")) === session);
  const acknowledged = mine.filter(({ outcome, action }) => outcome === "written" && isChange(action));
  const unknown = mine.filter((request) => isUnknown(request) && isChange(request.action));
  if (data === undefined) {
    const lost = ends.possible.has(session) ? [] : [`all of ${session}`, ...acknowledged.map(named)];
    return { lost, repeated: [], phantoms: [] };
  }
  const began = mine.find((request) => request.began !== undefined)?.began ?? NOTHING;
  const adds = (lines: readonly RequestLine[]): number => lines.filter(({ action }) => action === "add").length;
  const missing = began.n + adds(acknowledged) - data.n;
  const excess = data.n - began.n - adds(acknowledged) - adds(unknown);
  return {
    lost: [
      ...Array.from({ length: Math.max(0, missing) }, () => `one added to ${session}`),
      ...acknowledged.filter(({ entry }) => entry !== undefined && !holds(data, entry)).map(named),
      ...[...began.log, ...began.keys].filter((entry) => !holds(data, entry)),
    ],
    repeated: [
      ...Array.from({ length: Math.max(0, excess) }, () => `one added to ${session} by nobody`),
      ...data.log.filter((entry, at) => data.log.indexOf(entry) !== at),
    ],
    phantoms: requests
      .filter(({ outcome, entry }) => (outcome === "gone" || outcome === "anonymous") && holds(data, entry))
      .map(named),
  };
}

/** A renewed secret is certainly good for this long, in milliseconds: less than the grace of P6. */
const GRACE = 25_000;

const NOTHING: SessionData = { n: 0, log: [], keys: [] };

function isChange(action: RequestLine["action"]): boolean {
  return action === "add" || action === "append" || action === "key";
}

function holds({ log, keys }: SessionData, entry: string | undefined): boolean {
  return entry !== undefined && (log.includes(entry) || keys.includes(entry));
}

// --- what must not come back ------------------------------------------------------------------------------------------------

/** Requests that began when a session was known to be over, and saw it. */
function comeBack(requests: readonly RequestLine[], { known }: Ends, staleFor: number): readonly string[] {
  return requests
    .filter((request) => saw(request) && isOver(known.get(request.loaded ?? ""), request, staleFor))
    .map((request) => `seen again: ${named(request)}`);
}

/** Whether a request saw what was over since `end`, later than a copy may be served; who wrote to it has seen no copy. */
function isOver(end: number | undefined, request: RequestLine, staleFor: number): boolean {
  if (end === undefined) return false;
  const { from, served, outcome, loaded, session } = request;
  // A sign-in leaves what it saw, and begins another one.
  if (staleFor === 0 || (outcome === "written" && session === loaded)) return end < from;
  return (served ?? from) - end >= staleFor;
}

/** How long after its end a session was seen at the latest, in milliseconds; 0 when none was. */
export function longestStale(history: readonly Line[]): number {
  const requests = requestsOf(history);
  const { known } = endsOf(history, requests);
  const ages = requests
    .filter(saw)
    .map(({ loaded = "", served, from }) => (served ?? from) - (known.get(loaded) ?? Infinity));
  return Math.max(0, ...ages);
}

/** Requests that saw a session by a secret that an acknowledged rotation had replaced. */
function deadSecrets(requests: readonly RequestLine[], staleFor: number): readonly string[] {
  const dead = new Map<string, number>();
  for (const rotation of requests) {
    if (rotation.action !== "rotate" || rotation.outcome !== "written" || rotation.session !== rotation.loaded)
      continue;
    for (const { issued, session, until } of requests) {
      if (issued !== undefined && session === rotation.session && until < rotation.from) {
        earlier(dead, issued, rotation.until);
      }
    }
  }
  return requests
    .filter((request) => saw(request) && isOver(dead.get(request.token ?? ""), request, staleFor))
    .map((request) => `old secret of ${named(request)}`);
}

// --- cookies of failed answers ----------------------------------------------------------------------------------------------

/**
 * A sign-in whose first try failed and whose second was done while its handler had given up (P20) tells the client all the
 * same. Any other cookie of a failed answer is made up.
 */
function unfounded(
  requests: readonly RequestLine[],
  finals: readonly FinalLine[],
  { possible }: Ends,
  mayLose: boolean,
): readonly string[] {
  const tokens = sessionsByToken(requests);
  const there = new Set(finals.filter(({ data }) => data !== undefined).map(({ session }) => session));
  // By the first use: a later one may come after a sign-out.
  const uses = new Map(requests.toReversed().map((request) => [request.token, request]));
  const isWorthless = ({ issued, token }: RequestLine): boolean => {
    const use = issued === undefined ? undefined : uses.get(issued);
    return use?.outcome === "anonymous" && !mayLose && !ended(possible, tokens.get(token ?? "") ?? "", use.until);
  };
  const isPremature = ({ cleared, token }: RequestLine): boolean =>
    cleared === true && there.has(tokens.get(token ?? "") ?? "");
  return requests.filter((request) => isUnknown(request) && (isWorthless(request) || isPremature(request))).map(named);
}

// --- who was sent away --------------------------------------------------------------------------------------------------------

function signedOut(requests: readonly RequestLine[], { possible }: Ends): readonly string[] {
  const tokens = sessionsByToken(requests);
  return requests
    .filter((request) => isRefusal(request) && !isTokenInDoubt(request, requests))
    .filter(({ token, until }) => !ended(possible, tokens.get(token ?? "") ?? "", until))
    .map(named);
}

/**
 * Whether a request's token may rightly be refused: something that replaces secrets was under way between the request that
 * the token was issued to and the end of this one, the token was renewed long ago or twice, or the harness does not know it.
 */
function isTokenInDoubt({ token, until }: RequestLine, requests: readonly RequestLine[]): boolean {
  const issuer = requests.find(({ issued }) => issued === token);
  if (issuer === undefined || isUnknown(issuer)) return true;
  const others = requests.filter((other) => other !== issuer && other.from < until);
  const heirs = others.filter(
    ({ issued, session, until: told }) =>
      issued !== undefined && issued !== token && session === issuer.session && told > issuer.from,
  );
  if (new Set(heirs.map(({ issued }) => issued)).size > 1 || heirs.some((heir) => heir.until < until - GRACE))
    return true;
  return others.some(
    (other) =>
      other.client === issuer.client && isReplacement(other) && (isUnknown(other) || other.until > issuer.from),
  );
}

function isReplacement({ action }: RequestLine): boolean {
  return action === "rotate" || action === "sign-in";
}
