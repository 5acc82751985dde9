/**
 * One session of `directoryStore`: compare-and-set on a directory of numbered files.
 *
 * The file with the highest number is the record, or the tombstone that says that it was deleted. Files are never
 * changed. The argument why this is right, also for writers that are stopped or killed between any two steps, is in
 * docs/decisions/009-directory-store.md; the rules are repeated here at the lines that keep them.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { encodeBase64url } from "../internal/base64url.ts";
import { randomBytes } from "../internal/crypto.ts";
import type { Disk } from "./directory-disk.ts";

/** What is in a session's directory. */
interface Versions {
  /** Ascending. */
  readonly numbers: readonly number[];
  /** Names of files that writers, or what is left of them, hold on to. */
  readonly intents: readonly string[];
}

/** The newest version of a session. */
export interface Newest {
  readonly number: number;
  readonly text: string;
}

/** What a writer wants, having seen the newest version: `write` under the next number, or nothing. */
export interface Decision<T> {
  readonly answer: T;
  readonly write?: string;
}

/** See {@link versionsOn}. */
export interface VersionStore {
  /** The newest version; undefined when there is none. */
  newest(directory: string): Newest | undefined;
  /**
   * Writes what `decide` wants as the next version, or, when there is none, as the first one. `decide` is asked again
   * whenever somebody else was faster.
   */
  change<T>(directory: string, decide: (newest: Newest | undefined) => Decision<T>): T;
  /**
   * Removes a session that ends with a tombstone, if `isOver` says so of its newest version; of others only what killed
   * writers left behind. What still counts for anybody, a late clock or not, has to be followed by a tombstone first.
   */
  sweep(directory: string, isOver: (newest: Newest, path: string) => boolean): void;
}

/** How often a writer lets others go first until it gives up. Each time another one has got through. */
const ATTEMPTS = 500;

/** How old the leftovers of a killed writer are when they are swept, in milliseconds. */
export const ABANDONED_AFTER: number = 3_600_000;

const NUMBER = /^[1-9]\d{0,15}$/;

/** Where new sessions come from. */
interface Foundry {
  /** The directory in which they are drafted. */
  readonly drafts: string;
  /** The time by the clock of the machine, in milliseconds. */
  readonly now: () => number;
}

/** The versions of sessions on a disk. */
export function versionsOn(disk: Disk, foundry: Foundry): VersionStore {
  return {
    newest(directory) {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const newest = readNewest(disk, directory, disk.isDirectory(directory) ? listed(disk, directory) : undefined);
        if (newest !== "moved") return newest;
      }
      throw outrun();
    },
    change(directory, decide) {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const answer = tryToChange(disk, foundry, directory, decide);
        if (answer !== undefined) return answer.answer;
      }
      throw outrun();
    },
    sweep: (directory, isOver) => sweep(disk, directory, isOver, foundry.now()),
  };
}

/** One attempt of `change`; undefined when it came to nothing. */
function tryToChange<T>(
  disk: Disk,
  foundry: Foundry,
  directory: string,
  decide: (newest: Newest | undefined) => Decision<T>,
): Decision<T> | undefined {
  if (!disk.isDirectory(directory)) return found(disk, foundry, directory, decide(undefined));
  // Rule 1: first the intent, then the look at what is there.
  const intent = join(directory, `.${randomName()}`);
  const file = disk.open(intent);
  if (file === undefined) return undefined;
  try {
    const versions = listed(disk, directory);
    const newest = readNewest(disk, directory, versions);
    if (versions === undefined || newest === "moved") return undefined;
    if (newest !== undefined) return append(disk, directory, { intent, file }, versions, decide(newest));
    const decision = decide(undefined);
    if (decision.write === undefined) return decision;
    // A session that was swept but for its directory: that has to go, so that a new one can take its place.
    removeAll(disk, directory, versions.intents);
    disk.removeDirectory(directory);
    return undefined;
  } finally {
    quietly(() => disk.close(file));
    quietly(() => disk.unlink(intent));
  }
}

/** Writes the version after `newest`, which must be what `versions` ends with. */
function append<T>(
  disk: Disk,
  directory: string,
  { intent, file }: { readonly intent: string; readonly file: number },
  versions: Versions,
  decision: Decision<T>,
): Decision<T> | undefined {
  if (decision.write === undefined) return decision;
  disk.write(file, decision.write);
  // Rule 2: `exists` when somebody else was faster, `absent` when somebody else has removed the intent.
  const next = (versions.numbers.at(-1) ?? 0) + 1;
  if (disk.link(intent, join(directory, String(next))) !== "ok") return undefined;
  disk.sync(directory);
  // What is written is written, and what is left over does no harm: no failure of the tidying may hide the success.
  quietly(() => {
    // Rule 3: before a number becomes free, everybody who may still want to write it loses the intent.
    removeAll(
      disk,
      directory,
      versions.intents.filter((name) => join(directory, name) !== intent),
    );
    removeAll(disk, directory, versions.numbers.slice(0, -1));
  });
  return decision;
}

/** Writes a session that is not there: a draft of its directory, moved into place. */
function found<T>(
  disk: Disk,
  { drafts, now }: Foundry,
  directory: string,
  decision: Decision<T>,
): Decision<T> | undefined {
  if (decision.write === undefined) return decision;
  const draft = join(drafts, randomName());
  // Rule 5: later than every number that was ever used here.
  const first = join(draft, String(now() * 1000));
  let moved = false;
  try {
    disk.makeDirectory(draft);
    writeFile(disk, first, decision.write);
    disk.sync(draft);
    moved = moveIntoPlace(disk, draft, directory);
  } finally {
    if (!moved) quietly(() => disk.unlink(first) && disk.removeDirectory(draft));
  }
  return moved ? decision : undefined;
}

/** Rule 4: a directory moves only to where there is none, or an empty one. False when somebody else was faster. */
function moveIntoPlace(disk: Disk, draft: string, directory: string): boolean {
  const shard = dirname(directory);
  let outcome = disk.moveDirectory(draft, directory);
  if (outcome === "absent") {
    disk.makeDirectory(shard);
    disk.sync(dirname(dirname(shard)));
    disk.sync(dirname(shard));
    outcome = disk.moveDirectory(draft, directory);
  }
  if (outcome === "ok") disk.sync(shard);
  return outcome === "ok";
}

/** Writes a file that nobody else knows of. */
export function writeFile(disk: Disk, path: string, text: string): void {
  const file = disk.open(path);
  if (file === undefined) throw new Error(`directoryStore: ${dirname(path)} was removed`);
  try {
    disk.write(file, text);
  } finally {
    disk.close(file);
  }
}

function sweep(disk: Disk, directory: string, isOver: (newest: Newest, path: string) => boolean, now: number): void {
  const versions = listed(disk, directory);
  const newest = readNewest(disk, directory, versions);
  if (versions === undefined || newest === "moved") return;
  if (newest !== undefined && isOver(newest, join(directory, String(newest.number)))) {
    // Rule 3, as in `append`.
    removeAll(disk, directory, versions.intents);
    removeAll(disk, directory, versions.numbers);
  } else {
    removeAll(
      disk,
      directory,
      versions.intents.filter((intent) => isAbandoned(disk, join(directory, intent), now)),
    );
    if (newest !== undefined) return;
  }
  disk.removeDirectory(directory);
}

/** Whether whoever made a file or directory is gone. */
export function isAbandoned(disk: Disk, path: string, now: number): boolean {
  return (disk.modifiedAt(path) ?? now) < now - ABANDONED_AFTER;
}

function listed(disk: Disk, directory: string): Versions | undefined {
  const files = disk.list(directory)?.files;
  if (files === undefined) return undefined;
  return {
    numbers: files
      .filter((name) => NUMBER.test(name))
      .map(Number)
      .toSorted((a, b) => a - b),
    intents: files.filter((name) => name.startsWith(".")),
  };
}

/** `moved`: the newest of the versions was removed in the meantime, so there is a newer one, or none. */
function readNewest(disk: Disk, directory: string, versions: Versions | undefined): Newest | "moved" | undefined {
  const number = versions?.numbers.at(-1);
  if (number === undefined) return undefined;
  const text = disk.read(join(directory, String(number)));
  return text === undefined ? "moved" : { number, text };
}

/** Removes files in their order. */
function removeAll(disk: Disk, directory: string, names: readonly (string | number)[]): void {
  for (const name of names) disk.unlink(join(directory, String(name)));
}

/** A name that nobody else uses. */
export function randomName(): string {
  return encodeBase64url(randomBytes(16));
}

function quietly(act: () => unknown): void {
  try {
    act();
  } catch {
    // The work is done, or has failed for a better reason.
  }
}

function outrun(): Error {
  return new Error(`directoryStore: gave up after ${ATTEMPTS} attempts, in each of which another writer was faster`);
}
