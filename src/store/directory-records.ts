/**
 * The records of `directoryStore`: what the newest version of a session means, and how it is changed.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { ReadCache } from "./directory-cache.ts";
import type { Disk } from "./directory-disk.ts";
import { type FileContent, parseFile, recordFile, tombstoneFile } from "./directory-file.ts";
import type { Paths } from "./directory-path.ts";
import type { SubjectIndex } from "./directory-subjects.ts";
import type { Newest, VersionStore } from "./directory-versions.ts";
import type { StoredRecord } from "./store.ts";

/** What a directory store works with. */
export interface Parts {
  readonly disk: Disk;
  readonly paths: Paths;
  readonly versions: VersionStore;
  readonly subjects: SubjectIndex;
  readonly cache: ReadCache;
  /** The clock of the machine, by which files are old. */
  readonly clock: Clock;
  /** How long a tombstone stays, in milliseconds. */
  readonly tombstoneAge: number;
}

/** Far enough in the future for whoever is shown a record that cannot be read. */
const DAY = 86_400_000;

/** What the newest version of a key says; undefined when there is none. */
export function contentOf(newest: Newest | undefined, key: string): FileContent | undefined {
  if (newest === undefined) return undefined;
  const { key: ofKey, content } = parseFile(newest.text);
  // A record of another key was put here by hand; what it means for this one, nobody knows.
  const isForeign = content.kind === "record" && ofKey !== key;
  return isForeign ? { kind: "unreadable", text: newest.text } : content;
}

/** The record that exists at `now`, if one does. */
export function living(
  newest: Newest | undefined,
  content: FileContent | undefined,
  now: number,
): StoredRecord | undefined {
  if (content?.kind === "record") return content.record.expiresAt > now ? content.record : undefined;
  if (content?.kind !== "unreadable") return undefined;
  return { version: `unreadable-${newest?.number}`, expiresAt: now + DAY, value: content.text };
}

/** The subject that a key has now, its record being over or not. */
export function subjectNow(versions: VersionStore, paths: Paths, key: string): string | undefined {
  return subjectOf(contentOf(versions.newest(paths.session(key)), key));
}

/** The subject of a record, if it is one and has one. */
export function subjectOf(content: FileContent | undefined): string | undefined {
  return content?.kind === "record" ? content.record.subject : undefined;
}

/** What a verb makes of the record that exists: `next` is written, or the record deleted. */
interface Choice<T> {
  readonly answer: T;
  readonly next?: StoredRecord | "deleted";
}

type Choose<T> = (current: StoredRecord | undefined, isReadable: boolean) => Choice<T>;

/** Changes a record, index first, record second (P28). */
export function change<T>({ versions, paths, subjects, cache }: Parts, key: string, now: number, choose: Choose<T>): T {
  cache.delete(key);
  // What is left to do for the last choice: the others came to nothing.
  let settle = (): void => {};
  const answer = versions.change(paths.session(key), (newest) => {
    const content = contentOf(newest, key);
    const current = living(newest, content, now);
    const { answer: chosen, next } = choose(current, content?.kind === "record");
    settle = () => {};
    if (next === undefined) return { answer: chosen };
    const before = subjectOf(content);
    const after = next === "deleted" ? undefined : next.subject;
    const isIndexed = current !== undefined && before === after;
    if (after !== undefined && !isIndexed) subjects.add(after, key);
    settle = () => {
      if (after !== undefined && !isIndexed) subjects.add(after, key);
      if (before !== undefined && before !== after) subjects.remove(before, key);
    };
    return { answer: chosen, write: next === "deleted" ? tombstoneFile(key) : recordFile(key, next) };
  });
  settle();
  return answer;
}
