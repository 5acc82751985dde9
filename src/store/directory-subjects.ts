/**
 * The subject index of `directoryStore`: for each subject a directory with a small file for each key that may be its.
 *
 * The index may say too much, never too little: a member is written before the record is, and a reader believes the
 * record. Whoever writes a record, or removes a member, looks again afterwards: so that of two that meet, the one who
 * looks last puts the member back.
 *
 * @module
 */
import { dirname, join } from "node:path";
import type { Disk } from "./directory-disk.ts";
import type { Paths } from "./directory-path.ts";
import { randomName, writeFile } from "./directory-versions.ts";

/** See {@link subjectIndex}. */
export interface SubjectIndex {
  /** Writes a member if it is not there. */
  add(subject: string, key: string): void;
  /** Removes a member, unless the key's record is (again) of that subject. */
  remove(subject: string, key: string): void;
  /** The keys that may be a subject's. */
  keys(subject: string): readonly string[];
  /** Removes a member whose record is not there, if it is so old that nobody can be about to write that record. */
  prune(subject: string, key: string): void;
}

/** How long a writer may take between member and record, in milliseconds (P28). */
const PRUNED_AFTER = 60_000;

const ATTEMPTS = 100;

/** `subjectOf`: the subject that a key's record has now. `now`: the time by the clock of the machine. */
export function subjectIndex(
  disk: Disk,
  paths: Paths,
  subjectOf: (key: string) => string | undefined,
  now: () => number,
): SubjectIndex {
  const add = (subject: string, key: string): void => {
    const member = paths.member(subject, key);
    if (disk.modifiedAt(member) === undefined) writeMember(disk, paths, member, key);
  };
  const remove = (subject: string, key: string): void => {
    const member = paths.member(subject, key);
    disk.unlink(member);
    disk.removeDirectory(dirname(member));
    if (subjectOf(key) === subject) add(subject, key);
  };
  return {
    add,
    remove,
    keys(subject) {
      const directory = paths.subject(subject);
      const texts = (disk.list(directory)?.files ?? []).map((name) => disk.read(join(directory, name)));
      return texts.map(parseMember).filter((key) => key !== undefined);
    },
    prune(subject, key) {
      const writtenAt = disk.modifiedAt(paths.member(subject, key));
      if (writtenAt !== undefined && writtenAt < now() - PRUNED_AFTER) remove(subject, key);
    },
  };
}

/** Moved into place when it is whole. The directory may vanish at any time, when its last member is removed. */
function writeMember(disk: Disk, paths: Paths, member: string, key: string): void {
  const draft = join(paths.drafts, randomName());
  disk.makeDirectory(paths.drafts);
  writeFile(disk, draft, JSON.stringify(key));
  for (let attempt = 0; !disk.moveFile(draft, member); attempt++) {
    if (attempt === ATTEMPTS) throw new Error(`directoryStore: ${dirname(member)} is removed again and again`);
    disk.makeDirectory(dirname(member));
  }
  for (let at = member; at !== paths.root; at = dirname(at)) disk.sync(dirname(at));
}

function parseMember(text: string | undefined): string | undefined {
  try {
    const key: unknown = text === undefined ? undefined : JSON.parse(text);
    return typeof key === "string" ? key : undefined;
  } catch {
    return undefined;
  }
}
