/**
 * Sessions as files in a directory: `coatcheck/store/directory`.
 *
 * @module
 */
import { join, relative, resolve } from "node:path";
import { type Clock, systemClock } from "../internal/clock.ts";
import { type Duration, milliseconds } from "../internal/duration.ts";
import { checkNames } from "../internal/option-names.ts";
import { listeners } from "../internal/listeners.ts";
import { createSweeper } from "../internal/sweeper.ts";
import { cursorAt, positionOf } from "./cursor.ts";
import { readCache } from "./directory-cache.ts";
import { type Disk, machineDisk } from "./directory-disk.ts";
import { parseFile } from "./directory-file.ts";
import { pathsIn } from "./directory-path.ts";
import { change, contentOf, living, type Parts, subjectNow } from "./directory-records.ts";
import { subjectIndex } from "./directory-subjects.ts";
import { sweeping } from "./directory-sweep.ts";
import { randomName, versionsOn, writeFile } from "./directory-versions.ts";
import { sessionsAfter, sessionsIn, shardsOf } from "./directory-walk.ts";
import { flag, positiveInteger } from "./option-check.ts";
import type { ExpiredRecord, ListedPage, ListedRecord, PageRequest, SessionStore } from "./store.ts";

/** Options of {@link directoryStore}. */
export interface DirectoryStoreOptions {
  /** Whether every write waits until it is on the medium. Default false: a power failure may cost the last seconds. */
  readonly fsync?: boolean | undefined;
  /** How many records may be answered from memory for `cacheMaxAge`. Default 0: none. */
  readonly cache?: number | undefined;
  /** For how long, in seconds or as a text. A logout on another server may go unnoticed for that long. Default 1. */
  readonly cacheMaxAge?: Duration | undefined;
  /** How long the mark of a deleted session stays; must be longer than the longest request. Default one hour. */
  readonly tombstoneAge?: Duration | undefined;
  /** How often expired sessions are swept, in seconds or as `"10m"`; false for never. Default ten minutes. */
  readonly sweepInterval?: Duration | false | undefined;
  /** For tests: the clock of the machine, by which files are old. */
  readonly clock?: Clock | undefined;
  /** @internal For tests: the file system. */
  readonly disk?: Disk | undefined;
}

/** A {@link SessionStore} with every capability except `watch`, and `deleteBySubject`: files go one at a time. */
export type DirectoryStore = Required<Omit<SessionStore, "watch" | "cachedFor" | "deleteBySubject">>;

const SWEPT_AT_ONCE = 500;

/** How many sessions a page looks at, whether they have its prefix or not: well within a timeout. */
const LOOKED_AT = 1_000;

/**
 * Keeps sessions as files, for any number of processes on one machine. Local file systems with hard links only: not NFS,
 * where one machine does not see at once what another one has written. Every verb is a handful of synchronous calls of
 * `node:fs`; directories are made with mode 0700 and files with 0600.
 *
 * Throws a `TypeError` for options that cannot work, and an `Error` when the directory cannot be made or its file system
 * has no hard links.
 *
 * @example
 * const store = directoryStore("sessions", { fsync: true });
 */
export function directoryStore(path: string, options: DirectoryStoreOptions = {}): DirectoryStore {
  if (typeof path !== "string" || path === "") throw new TypeError("path: expected the path of a directory");
  checkNames("directoryStore", options, [
    "fsync",
    "cache",
    "cacheMaxAge",
    "tombstoneAge",
    "sweepInterval",
    "clock",
    "disk",
  ]);
  const size = options.cache === 0 ? 0 : positiveInteger("cache", options.cache, 0);
  const maxAge = milliseconds("cacheMaxAge", options.cacheMaxAge ?? 1);
  const tombstoneAge = milliseconds("tombstoneAge", options.tombstoneAge ?? "1h");
  const fsync = flag("fsync", options.fsync);
  const clock = options.clock ?? systemClock;
  const disk = options.disk ?? machineDisk(fsync);
  const sweeper = createSweeper({ clock, interval: options.sweepInterval ?? "10m", slice: () => sweepSlice() });

  const root = resolve(path);
  const paths = pathsIn(root, probe(disk, join(root, ".drafts")));
  const versions = versionsOn(disk, { drafts: paths.drafts, now: clock.now });
  const subjects = subjectIndex(disk, paths, (key) => subjectNow(versions, paths, key), clock.now);
  const parts: Parts = { disk, paths, versions, subjects, cache: readCache(size, maxAge, clock), clock, tombstoneAge };

  let closed = false;
  const expired = listeners<ExpiredRecord>();
  const deleteExpired = sweeping(parts, () => closed, expired.tell);
  const sweepSlice = async (): Promise<boolean> =>
    (await deleteExpired(SWEPT_AT_ONCE, { now: clock.now() })) === SWEPT_AT_ONCE;

  return {
    name: "directoryStore",
    cached: size > 0,
    returnsSame: false,
    ...verbs(parts, sweeper.start),
    ...listings(parts),
    deleteExpired,
    onExpired(listener) {
      sweeper.start();
      return expired.add(listener);
    },
    close() {
      closed = true;
      sweeper.stop();
    },
  };
}

/** Whether file names differ by capital letters alone. Throws when there are no hard links. */
function probe(disk: Disk, drafts: string): boolean {
  disk.makeDirectory(drafts);
  const file = join(drafts, `probe-${randomName().toLowerCase()}`);
  const other = `${file}-link`;
  writeFile(disk, file, "");
  try {
    if (tryLink(disk, file, other) !== "ok" || disk.link(file, other) !== "exists") {
      throw new Error(`directoryStore: the file system of ${drafts} does not keep hard links`);
    }
    return disk.modifiedAt(file.replace("probe-", "PROBE-")) === undefined;
  } finally {
    disk.unlink(file);
    disk.unlink(other);
  }
}

function tryLink(disk: Disk, from: string, to: string): string {
  try {
    return disk.link(from, to);
  } catch (cause) {
    throw new Error(`directoryStore: writes are made atomic by hard links, and ${to} cannot be made`, { cause });
  }
}

function verbs(
  parts: Parts,
  created: () => void,
): Pick<DirectoryStore, "create" | "read" | "update" | "touch" | "delete"> {
  const { cache, paths, versions } = parts;
  return {
    create(key, record, { now }) {
      created();
      return change(parts, key, now, (current) =>
        current === undefined ? { answer: true, next: record } : { answer: false },
      );
    },
    read(key, { now, fresh }) {
      const cached = fresh === true ? undefined : cache.get(key);
      if (cached !== undefined && cached.expiresAt > now) return cached;
      const newest = versions.newest(paths.session(key));
      const record = living(newest, contentOf(newest, key), now);
      if (record !== undefined) cache.set(key, record);
      return record;
    },
    update(key, record, base, { now }) {
      return change(parts, key, now, (current) => {
        if (current === undefined) return { answer: "gone" };
        return current.version === base.version ? { answer: "ok", next: record } : { answer: "conflict" };
      });
    },
    touch(key, expiresAt, { now }) {
      return change(parts, key, now, (current, isReadable) => {
        if (current === undefined || expiresAt <= current.expiresAt) return { answer: current !== undefined };
        if (!isReadable) return { answer: true };
        return { answer: true, next: { ...current, expiresAt } };
      });
    },
    delete(key, { now }) {
      return change(parts, key, now, (current) =>
        current === undefined ? { answer: false } : { answer: true, next: "deleted" },
      );
    },
  };
}

function listings(parts: Parts): Pick<DirectoryStore, "listBySubject" | "list" | "count"> {
  const { disk, paths, subjects, versions } = parts;

  function recordAt(session: string, prefix: string, now: number): ListedRecord | undefined {
    const { key, content } = parseFile(versions.newest(session)?.text ?? "");
    if (key === undefined || content.kind !== "record" || !key.startsWith(prefix)) return undefined;
    // Where it should be, and not a copy that somebody made beside it.
    const exists = content.record.expiresAt > now && paths.session(key) === session;
    return exists ? { key, record: content.record } : undefined;
  }

  /** A cursor is the path of the last session that was looked at. */
  async function list(prefix: string, { cursor, limit }: PageRequest, now: number): Promise<ListedPage> {
    const records: ListedRecord[] = [];
    let looked = 0;
    for await (const session of sessionsAfter(disk, shardsOf(disk, paths, prefix), startOf(cursor))) {
      const record = recordAt(session, prefix, now);
      if (record !== undefined) records.push(record);
      if (++looked >= LOOKED_AT || records.length >= limit) {
        return { records, cursor: cursorAt(relative(paths.root, session)) };
      }
    }
    return { records };
  }

  function startOf(cursor: string | undefined): string {
    const position = positionOf(cursor);
    return position === undefined ? "" : join(paths.root, position);
  }

  async function* listBySubject(subject: string, now: number): AsyncGenerator<ListedRecord> {
    for (const key of subjects.keys(subject)) {
      const newest = versions.newest(paths.session(key));
      const content = contentOf(newest, key);
      if (content === undefined || content.kind === "tombstone") subjects.prune(subject, key);
      if (content?.kind !== "record" || content.record.subject !== subject) continue;
      const record = living(newest, content, now);
      if (record !== undefined) yield { key, record };
    }
  }

  return {
    list: (prefix, page, { now }) => list(prefix, page, now),
    listBySubject: (subject, { now }) => listBySubject(subject, now),
    async count(prefix, { now }) {
      let found = 0;
      for await (const session of sessionsIn(disk, shardsOf(disk, paths, prefix))) {
        if (recordAt(session, prefix, now) !== undefined) found++;
      }
      return found;
    },
  };
}
