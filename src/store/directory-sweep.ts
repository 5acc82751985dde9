/**
 * The sweeping of `directoryStore`: expired sessions, old tombstones, and what killed writers left behind.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { type ParsedFile, parseFile, tombstoneFile } from "./directory-file.ts";
import { type Parts, subjectOf } from "./directory-records.ts";
import { isAbandoned, type Newest, randomName } from "./directory-versions.ts";
import { beginningWith, sessionsIn, shardsOf } from "./directory-walk.ts";
import { EXPIRED_FOR, type ExpiredRecord, type StoreCall } from "./store.ts";

/** How long a file that nobody can read is kept, in milliseconds: long enough for somebody to look at it. */
const UNREADABLE_FOR = 30 * 86_400_000;

/**
 * The `deleteExpired` of a directory store. Each call goes on where the last one stopped, at the most once round. `tell` is
 * called before a record is removed.
 */
export function sweeping(
  parts: Parts,
  isClosed: () => boolean,
  tell: (expired: ExpiredRecord) => void,
): (limit: number, call: StoreCall) => Promise<number> {
  const { disk, paths } = parts;
  let stoppedAt = "";
  return async (limit, { now }) => {
    let removed = 0;
    sweepDrafts(parts);
    for await (const session of sessionsIn(disk, beginningWith(shardsOf(disk, paths, ""), stoppedAt))) {
      stoppedAt = dirname(session);
      if (removed >= limit || isClosed()) return removed;
      if (sweepSession(parts, session, now, tell)) removed++;
    }
    return removed;
  };
}

/** Whether an expired record was removed. */
function sweepSession(parts: Parts, session: string, now: number, tell: (expired: ExpiredRecord) => void): boolean {
  const { versions } = parts;
  let due: ParsedFile | undefined;
  versions.sweep(session, (newest, path) => {
    const verdict = verdictOn(parts, newest, path, now);
    due = verdict === "bury" ? parseFile(newest.text) : undefined;
    return verdict === "remove";
  });
  if (due === undefined) return false;
  if (due.key !== undefined && due.content.kind === "record") tell({ key: due.key, subject: subjectOf(due.content) });
  const buried = bury(parts, session, now);
  versions.sweep(session, ({ text }) => buried !== undefined && parseFile(text).content.kind === "tombstone");
  const subject = subjectOf(buried?.content);
  if (buried?.key !== undefined && subject !== undefined) parts.subjects.remove(subject, buried.key);
  return buried?.content.kind === "record";
}

/** Deletes a session that is over. Returns what it was, if nobody was faster. */
function bury(parts: Parts, session: string, now: number): ParsedFile | undefined {
  return parts.versions.change<ParsedFile | undefined>(session, (newest) => {
    const path = join(session, String(newest?.number));
    if (newest === undefined || verdictOn(parts, newest, path, now) !== "bury") return { answer: undefined };
    const answer = parseFile(newest.text);
    return { answer, write: tombstoneFile(answer.key ?? "") };
  });
}

/** What is to be done with a session. A tombstone can be removed as it is, all else is buried first. */
function verdictOn(
  { disk, clock, tombstoneAge }: Parts,
  { text }: Newest,
  path: string,
  now: number,
): "keep" | "bury" | "remove" {
  const { content } = parseFile(text);
  if (content.kind === "record") return content.record.expiresAt < now - EXPIRED_FOR ? "bury" : "keep";
  const age = clock.now() - (disk.modifiedAt(path) ?? Infinity);
  if (content.kind === "tombstone") return age > tombstoneAge ? "remove" : "keep";
  return age > UNREADABLE_FOR ? "bury" : "keep";
}

function sweepDrafts({ disk, paths: { drafts }, clock }: Parts): void {
  const old = (name: string): boolean => isAbandoned(disk, join(drafts, name), clock.now());
  const { files = [], directories = [] } = disk.list(drafts) ?? {};
  for (const file of files.filter(old)) disk.unlink(join(drafts, file));
  for (const directory of directories.filter(old)) {
    // Under another name first: whoever made it might wake up, and move a directory into place that is half empty.
    const rubbish = join(drafts, randomName());
    if (disk.moveDirectory(join(drafts, directory), rubbish) !== "ok") continue;
    for (const file of disk.list(rubbish)?.files ?? []) disk.unlink(join(rubbish, file));
    disk.removeDirectory(rubbish);
  }
}
