/** Servers whose clock is wrong, and can be set while they run: on Linux, where there is a C compiler. */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { programPath } from "../servers/require.ts";

const SOURCE = new URL("./wrong-clock.c", import.meta.url).pathname;

/** A clock that goes wrong. */
export interface WrongClock {
  /** The command to put before that of the server. */
  readonly launcher: readonly string[];
  /** Sets it so many seconds ahead of the machine's. */
  set(seconds: number): void;
}

/** Whether there can be one here. */
export function hasWrongClock(): boolean {
  return process.platform === "linux" && programPath("cc") !== undefined;
}

/** Makes a clock for one server; what it needs lies in `folder`. Linked dynamically, the server takes its time from it. */
export function wrongClock(folder: string, seconds: number): WrongClock {
  const [library, file] = [join(folder, "wrong-clock.so"), join(folder, "clock")];
  execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", library, SOURCE]);
  writeFileSync(file, new Uint8Array(8));
  const set = (by: number): void => {
    // In place: the server has the file mapped into its memory.
    const descriptor = openSync(file, "r+");
    writeSync(descriptor, new Uint8Array(BigInt64Array.of(BigInt(by)).buffer), 0, 8, 0);
    closeSync(descriptor);
  };
  set(seconds);
  return { launcher: ["env", `LD_PRELOAD=${library}`, `WRONG_CLOCK_FILE=${file}`], set };
}
