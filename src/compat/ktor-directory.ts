/**
 * The files of Ktor's directory storage: `coatcheck/compat/ktor-directory`.
 *
 * @module
 */
import * as fs from "node:fs";
import { dirname, join, resolve } from "node:path";
import { generateKtorId, ktorSessionPath } from "./ktor-id.ts";
import { textOf } from "./ktor-text.ts";

/** A directory that a Ktor server keeps sessions in: the text of each, by its id. */
export interface KtorDirectory {
  /**
   * The text; null when there is none, when the id is none that may name a file, and for an empty file, which Ktor leaves for
   * a moment while it writes. Makes nothing. Throws only what the file system does, such as `EACCES`.
   */
  read(id: string): string | null;
  /** Writes the whole text or nothing of it. Throws a `TypeError` for an empty text or an id that may not name a file. */
  write(id: string, text: string): void;
  /** Removes a session, and the directories that are empty then. False when there was none. */
  delete(id: string): boolean;
  /** All ids, in any order. */
  ids(): IterableIterator<string>;
}

const { constants } = fs;
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const SUFFIX = ".dat";
/** Where a file was not found because a server removed the directory in between, once more is enough; ten times is plenty. */
const TRIES = 10;

/**
 * Reads and writes the session files of `directorySessionStorage(path)`.
 *
 * The text is what the Ktor server's serializer writes: `ktorJson()`, `ktorForm()`. Files have no owner but who wrote them
 * (0600), so both servers run as the same user. A Ktor server with `cached = true` does not notice what is written here until its
 * cache forgets, a minute after the last use; and nothing ever expires: use it to take sessions over, or with `cached = false`.
 *
 * @throws TypeError that names `path`
 *
 * @example
 * ```ts
 * import { ktorJson } from "coatcheck/compat/ktor";
 * import { ktorDirectory } from "coatcheck/compat/ktor-directory";
 *
 * const json = ktorJson<{ userId: string }>();
 * const sessions = ktorDirectory("build/.sessions");
 * const text = sessions.read("5f0c6bd3f2b24d5c8f7a1e9d3c4b5a60");
 * const data = text === null ? null : json.read(text);
 * ```
 */
export function ktorDirectory(path: string): KtorDirectory {
  if (typeof path !== "string" || path === "") throw new TypeError("path must be the path of a directory");
  const root = resolve(path);
  if (fs.statSync(root, { throwIfNoEntry: false })?.isDirectory() === false) {
    throw new TypeError("path must be the path of a directory, and is one of a file");
  }
  const fileOf = (id: string): string | null => {
    const parts = typeof id === "string" ? ktorSessionPath(id) : null;
    return parts === null ? null : join(root, ...parts);
  };
  return Object.freeze({
    read(id: string): string | null {
      const file = fileOf(id);
      const text = file === null ? null : readText(file);
      return text === "" ? null : text;
    },
    write(id: string, text: string): void {
      const file = fileOf(id);
      if (file === null) throw new TypeError("this id may not name a file");
      if (typeof text !== "string" || text === "") throw new TypeError("Ktor reads no empty session");
      writeText(file, text);
    },
    delete(id: string): boolean {
      const file = fileOf(id);
      return file !== null && removed(file, root);
    },
    ids: () => idsIn(root, ""),
  });
}

function readText(file: string): string | null {
  // Windows has no O_NOFOLLOW.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0);
  const bytes = unlessAbsent(() => fs.readFileSync(file, { flag: flags as never }));
  return bytes === undefined ? null : textOf(bytes);
}

/** A file of its own first, and then in the place of the old one: no reader sees half a session. */
function writeText(file: string, text: string): void {
  const draft = `${file}.${generateKtorId().slice(0, 16)}.tmp`;
  for (let tries = 1; ; tries++) {
    fs.mkdirSync(dirname(file), { recursive: true, mode: DIRECTORY_MODE });
    try {
      fs.writeFileSync(draft, text, { flag: "wx", mode: FILE_MODE });
      fs.renameSync(draft, file);
      return;
    } catch (error) {
      fs.rmSync(draft, { force: true });
      if (codeOf(error) !== "ENOENT" || tries === TRIES) throw error;
    }
  }
}

function removed(file: string, root: string): boolean {
  const found = unlessAbsent(() => {
    fs.unlinkSync(file);
    return true;
  });
  if (found !== true) return false;
  for (let directory = dirname(file); directory !== root; directory = dirname(directory)) {
    try {
      fs.rmdirSync(directory);
    } catch {
      break;
    }
  }
  return true;
}

function* idsIn(directory: string, front: string): IterableIterator<string> {
  const entries = unlessAbsent(() => fs.readdirSync(directory, { withFileTypes: true })) ?? [];
  for (const entry of entries) {
    const { name } = entry;
    if (entry.isDirectory() && name.length === 2) yield* idsIn(join(directory, name), front + name);
    if (!entry.isFile() || !name.endsWith(SUFFIX)) continue;
    const id = front + name.slice(0, -SUFFIX.length);
    // A file that somebody put beside them has no id whose place it is.
    if (ktorSessionPath(id)?.at(-1) === name) yield id;
  }
}

function unlessAbsent<Result>(act: () => Result): Result | undefined {
  try {
    return act();
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ENAMETOOLONG"].includes(codeOf(error))) return undefined;
    throw error;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
