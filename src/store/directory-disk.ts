/**
 * The few things that `directoryStore` asks of a file system, with the answers that are not failures as values.
 *
 * @module
 */
import * as fs from "node:fs";

/** What a directory contains; symbolic links and devices are in neither list. */
export interface Listing {
  readonly files: readonly string[];
  readonly directories: readonly string[];
}

/** A file system. Everything else that goes wrong is thrown as it comes from `node:fs`. */
export interface Disk {
  /** Whether there is a directory; throws when something else is there, a symbolic link to a directory too. */
  isDirectory(path: string): boolean;
  /** Undefined when there is no directory. */
  list(path: string): Listing | undefined;
  /** Undefined when there is no file; throws for a symbolic link. */
  read(path: string): string | undefined;
  /** When a file or directory was last written, in milliseconds since the epoch; undefined when it is not there. */
  modifiedAt(path: string): number | undefined;
  /** Opens a new file for writing; undefined when its directory is not there. */
  open(path: string): number | undefined;
  write(file: number, text: string): void;
  close(file: number): void;
  /** Gives a file a second name. `exists`: that name is taken; `absent`: the first name, or the directory, is gone. */
  link(from: string, to: string): "ok" | "exists" | "absent";
  /** Moves a directory to a name where there is none, or an empty one. */
  moveDirectory(from: string, to: string): "ok" | "exists" | "absent";
  /** Moves a file, over another one as well; false when the directory is not there. */
  moveFile(from: string, to: string): boolean;
  /** False when there was no such file. */
  unlink(path: string): boolean;
  /** Makes a directory, and those above it; one that is there already is as good. */
  makeDirectory(path: string): void;
  /** Removes a directory if it is empty; false otherwise. */
  removeDirectory(path: string): boolean;
  /** Waits until a directory's entries are on the medium, if the disk was made with `fsync`. */
  sync(directory: string): void;
}

const { constants } = fs;
const OPEN_NEW = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY;
// Windows has no O_NOFOLLOW.
const OPEN_OLD = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0);
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const buffer = Buffer.allocUnsafeSlow(16_384);

/** The file system of the machine. `fsync`: every file and every directory entry is on the medium before the answer. */
export function machineDisk(fsync: boolean): Disk {
  return {
    ...readingDisk,
    ...writingDisk,
    write(file, text) {
      fs.writeFileSync(file, text);
      if (fsync) fs.fsyncSync(file);
    },
    sync(directory) {
      if (fsync) syncDirectory(directory);
    },
  };
}

const readingDisk: Pick<Disk, "isDirectory" | "list" | "read" | "modifiedAt"> = {
  isDirectory(path) {
    const found = fs.lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined || found.isDirectory()) return found !== undefined;
    throw new Error(`directoryStore: ${path} is ${found.isSymbolicLink() ? "a symbolic link" : "not a directory"}`);
  },
  list(path) {
    const entries = unless(["ENOENT"], () => fs.readdirSync(path, { withFileTypes: true }));
    if (entries === undefined) return undefined;
    const named = (wanted: readonly fs.Dirent[]): string[] => wanted.map(({ name }) => name);
    return {
      files: named(entries.filter((entry) => entry.isFile())),
      directories: named(entries.filter((entry) => entry.isDirectory())),
    };
  },
  read(path) {
    const file = unless(["ENOENT"], () => fs.openSync(path, OPEN_OLD));
    if (file === undefined) return undefined;
    try {
      const length = fs.readSync(file, buffer, 0, buffer.length, 0);
      return length < buffer.length ? buffer.toString("utf8", 0, length) : fs.readFileSync(file, "utf8");
    } finally {
      fs.closeSync(file);
    }
  },
  modifiedAt: (path) => fs.lstatSync(path, { throwIfNoEntry: false })?.mtimeMs,
};

type Writing =
  | "open"
  | "close"
  | "link"
  | "moveDirectory"
  | "moveFile"
  | "unlink"
  | "makeDirectory"
  | "removeDirectory";

const writingDisk: Pick<Disk, Writing> = {
  open: (path) => unless(["ENOENT"], () => fs.openSync(path, OPEN_NEW, FILE_MODE)),
  close: (file) => fs.closeSync(file),
  link: (from, to) => outcome(() => fs.linkSync(from, to)),
  moveDirectory: (from, to) => outcome(() => fs.renameSync(from, to), to),
  moveFile: (from, to) => unlessFailed(["ENOENT"], () => fs.renameSync(from, to)),
  unlink: (path) => unlessFailed(["ENOENT"], () => fs.unlinkSync(path)),
  makeDirectory: (path) => void fs.mkdirSync(path, { recursive: true, mode: DIRECTORY_MODE }),
  removeDirectory: (path) => unlessFailed(["ENOENT", ...TAKEN, ...DENIED], () => fs.rmdirSync(path)),
};

const TAKEN = ["EEXIST", "ENOTEMPTY"];
/** What Windows says of a directory that is in the way. */
const DENIED = process.platform === "win32" ? ["EPERM", "EACCES", "EBUSY"] : [];

/** `target`: the name that Windows means when it denies a move. */
function outcome(act: () => void, target?: string): "ok" | "exists" | "absent" {
  try {
    act();
    return "ok";
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT") return "absent";
    if (TAKEN.includes(code)) return "exists";
    if (target !== undefined && DENIED.includes(code) && fs.existsSync(target)) return "exists";
    throw error;
  }
}

/** The result of `act`, or undefined when it fails with one of the codes. */
function unless<T>(codes: readonly string[], act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (codes.includes(codeOf(error))) return undefined;
    throw error;
  }
}

/** The code of a file system error, such as `"ENOENT"`. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** True, or false when `act` fails with one of the codes. */
function unlessFailed(codes: readonly string[], act: () => void): boolean {
  const done = unless(codes, () => {
    act();
    return true;
  });
  return done === true;
}

function syncDirectory(path: string): void {
  // Windows cannot open directories, and writes their entries without being asked.
  if (process.platform === "win32") return;
  const file = fs.openSync(path, constants.O_RDONLY);
  try {
    fs.fsyncSync(file);
  } finally {
    fs.closeSync(file);
  }
}
