import type { Session } from "coatcheck";
import { linesOf } from "./catalogue.ts";
import type { ShopData } from "./sessions.ts";

/** What every page shows of the session. */
export interface SessionView {
  readonly subject: string | undefined;
  readonly pieces: number;
  /** Said once. */
  readonly notices: readonly string[];
  /** Undefined while there is no session. */
  readonly ticket: Ticket | undefined;
}

/** The session as it may be shown: a public id and clocks, in milliseconds since the epoch. */
export interface Ticket {
  readonly id: string;
  readonly createdAt: number;
  readonly lastSeenAt: number;
  readonly authenticatedAt: number | undefined;
  readonly expiresAt: number;
}

/** Looks at a session for a page, and takes its notices. */
export function viewOf(session: Session<ShopData>): SessionView {
  const notices = takeNotices(session);
  const pieces = linesOf(session.data?.cart ?? {}).reduce((sum, { quantity }) => sum + quantity, 0);
  return { subject: session.subject, pieces, notices, ticket: ticketOf(session) };
}

/** Leaves a notice for the next page. It takes the place of one that no page has shown, so that they do not pile up. */
export function say(session: Session<ShopData>, notice: string): void {
  takeNotices(session);
  session.flash("notice", notice);
}

function takeNotices(session: Session<ShopData>): string[] {
  const notices: string[] = [];
  for (;;) {
    const notice = session.takeFlash("notice");
    if (notice === undefined) return notices;
    notices.push(String(notice));
  }
}

function ticketOf(session: Session<ShopData>): Ticket | undefined {
  if (session.isNew) return undefined;
  const { id, createdAt, lastSeenAt, authenticatedAt, expiresAt } = session;
  return { id, createdAt, lastSeenAt, authenticatedAt, expiresAt };
}
