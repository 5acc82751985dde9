/**
 * Servers that tests need and a machine may lack: with `REQUIRE_SERVERS=1` a missing one is a failure, else its tests are
 * skipped by name.
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, expect, test } from "vitest";

/** Whether a missing server is a failure. */
export const SERVERS_REQUIRED: boolean = process.env["REQUIRE_SERVERS"] === "1";

/** The first directory of `PATH` that has a program, joined with its name. */
export function programPath(name: string): string | undefined {
  const candidates = (process.env["PATH"] ?? "").split(delimiter).map((directory) => join(directory, name));
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** `describe`, where `programs` are installed. */
export function describeWithServers(title: string, programs: readonly string[], define: () => void): void {
  const missing = programs.filter((name) => programPath(name) === undefined);
  if (missing.length === 0) describe(title, define);
  else if (SERVERS_REQUIRED) {
    test(`${title} (needs ${missing.join(" and ")})`, () => expect(missing, "REQUIRE_SERVERS=1").toEqual([]));
  } else describe.skip(`${title} (skipped: needs ${missing.join(" and ")})`, define);
}
