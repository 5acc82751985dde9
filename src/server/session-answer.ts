/**
 * What the JSON API answers: sessions, and why there is none.
 *
 * @module
 */
import { hash } from "node:crypto";
import { isSessionError, type ConflictError, type Session, type SessionSummary } from "../index.ts";
import { Refusal, type Answer } from "./endpoint.ts";
import type { Data } from "./session-definitions.ts";

/** The last moment a Date can express: what the end of a session without clocks is. */
const NEVER = 8.64e15;

/** A session in a list. Times are milliseconds since the epoch. */
export interface SummaryView {
  readonly id: string;
  readonly subject: string | null;
  readonly level: string | null;
  readonly createdAt: number;
  readonly authenticatedAt: number | null;
  readonly lastSeenAt: number;
  /** Null: it does not end by itself. */
  readonly expiresAt: number | null;
}

/** A session in a list, as clients see it. */
export function summaryView(session: SessionSummary | Session<Data>): SummaryView {
  const { id, subject, level, createdAt, authenticatedAt, lastSeenAt, expiresAt } = session;
  return {
    id,
    subject: subject ?? null,
    level: level ?? null,
    createdAt,
    authenticatedAt: authenticatedAt ?? null,
    lastSeenAt,
    expiresAt: expiresAt >= NEVER ? null : expiresAt,
  };
}

/** The answer that shows a session. Its data may be long: it is written once, for the body and for the tag. */
export function shown(session: Session<Data>, status = 200): Answer {
  const data = writtenData(session);
  const others = JSON.stringify(summaryView(session));
  const json = `${others.slice(0, -1)},"data":${data}}`;
  return { status, json, headers: { ETag: tagFor(session, data) } };
}

/** The entity tag of a session: another one whenever its data or its subject is. */
export function tagOf(session: Session<Data>): string {
  return tagFor(session, writtenData(session));
}

function writtenData({ data = {} }: Session<Data>): string {
  return JSON.stringify(data);
}

function tagFor({ id, subject }: Session<Data>, data: string): string {
  return `"${hash("sha256", `${JSON.stringify([id, subject ?? null])}${data}`, "base64url")}"`;
}

/** One answer for every reason: unknown, forged, expired, ended, another application's. */
export function noSession(): Refusal {
  return new Refusal(
    404,
    "no-session",
    "There is no such session, or not any more. POST /v1/sessions/{name} begins one.",
  );
}

/** What `If-Match` named is not what is there. */
export function changedMeanwhile(): Refusal {
  return new Refusal(
    412,
    "changed",
    "The session is not what If-Match names, and nothing was written. Read it again, and decide anew.",
  );
}

/** The answer to what went wrong; throws what is no outcome but a fault of ours. */
export function refusal(error: unknown): Answer {
  if (error instanceof Refusal) return error.answer;
  if (!isSessionError(error)) throw error;
  switch (error.code) {
    case "ERR_SESSION_STORE":
      return new Refusal(
        503,
        "store-unavailable",
        "The store does not answer. What was to be written may or may not have been. Try again.",
        { "Retry-After": "1" },
      ).answer;
    case "ERR_SESSION_CONFLICT":
      return (error as ConflictError).reason === "rejected" ? changedMeanwhile().answer : conflict().answer;
    default:
      throw error;
  }
}

function conflict(): Refusal {
  return new Refusal(409, "conflict", "Others kept changing the session, and nothing was written. Try again.");
}
