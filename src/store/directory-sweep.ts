/**
 * The sweeping of `directoryStore`: expired sessions, old tombstones, and what killed writers left behind.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { parseFile } from "./directory-file.ts";
import { type Parts, subjectOf } from "./directory-records.ts";
import { isAbandoned, type Newest, randomName } from "./directory-versions.ts";
import { beginningWith, sessionsIn, shardsOf } from "./directory-walk.ts";
import { EXPIRED_FOR, type StoreCall } from "./store.ts";

/** How long a file that nobody can read is kept, in milliseconds: long enough for somebody to look at it. */
const UNREADABLE_FOR = 30 * 86_400_000;

/** The `deleteExpired` of a directory store. Each call goes on where the last one stopped, at the most once round. */
export function sweeping(parts: Parts, isClosed: () => boolean): (limit: number, call: StoreCall) => Promise<number> {
  const { disk, paths } = parts;
  let stoppedAt = "";
  return async (limit, { now }) => {
    let removed = 0;
    sweepDrafts(parts);
    for await (const session of sessionsIn(disk, beginningWith(shardsOf(disk, paths, ""), stoppedAt))) {
      stoppedAt = dirname(session);
      if (removed >= limit || isClosed()) return removed;
      if (sweepSession(parts, session, now)) removed++;
    }
    return removed;
  };
}

/** Whether an expired record was removed. */
function sweepSession(parts: Parts, session: string, now: number): boolean {
  const removed = parts.versions.sweep(session, (newest, path) => isOver(parts, newest, path, now), parts.clock.now());
  if (removed === undefined) return false;
  const { key, content } = parseFile(removed.text);
  const subject = subjectOf(content);
  if (key !== undefined && subject !== undefined) parts.subjects.remove(subject, key);
  return content.kind === "record";
}

function isOver({ disk, clock, tombstoneAge }: Parts, { text }: Newest, path: string, now: number): boolean {
  const { content } = parseFile(text);
  if (content.kind === "record") return content.record.expiresAt < now - EXPIRED_FOR;
  const age = clock.now() - (disk.modifiedAt(path) ?? Infinity);
  return age > (content.kind === "tombstone" ? tombstoneAge : UNREADABLE_FOR);
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
