/**
 * The file in which the credentials of applications are kept, as their hashes.
 *
 * @module
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { checkedCredentials, type Credential } from "../server/session-server.ts";

/** Where it is, when nobody says so: in the current folder. */
export const CREDENTIAL_FILE = "coatcheck-credentials.json";

/** Reads it. Throws an `Error` that says what is wrong with it; undefined when there is none. */
export function readCredentials(file: string): readonly Credential[] | undefined {
  const text = textOf(file);
  if (text === undefined) return undefined;
  try {
    const { credentials } = JSON.parse(text) as { readonly credentials?: unknown };
    return checkedCredentials(credentials);
  } catch (error) {
    // What the parser says quotes the file.
    const why = error instanceof TypeError ? error.message : "it is no JSON";
    throw new Error(`${file} is no file of credentials: ${why}`, { cause: error });
  }
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    throw new Error(`${file} cannot be read: ${message}`, { cause: error });
  }
}

/**
 * Replaces it at once, by what `change` makes of what is in it. One process at a time: throws an `Error` when another one is
 * at it. Only its owner can read it.
 */
export function changeCredentials(
  file: string,
  change: (credentials: readonly Credential[]) => readonly Credential[],
): void {
  const next = `${file}.new`;
  const descriptor = opened(next);
  try {
    const credentials = checkedCredentials(change(readCredentials(file) ?? []));
    writeSync(descriptor, `${JSON.stringify({ credentials }, undefined, 2)}\n`);
    fsyncSync(descriptor);
    closeSync(descriptor);
    renameSync(next, file);
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  }
}

function opened(next: string): number {
  try {
    return openSync(next, "wx", 0o600);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === "EEXIST" ? "another command is changing the credentials. If none is, remove it" : message;
    throw new Error(`${next}: ${why}`, { cause: error });
  }
}

/** Whether others than its owner may write it: who does makes credentials. */
export function isWritableByOthers(file: string): boolean {
  return process.platform !== "win32" && (statSync(file).mode & 0o022) !== 0;
}
