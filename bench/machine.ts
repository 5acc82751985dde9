/**
 * What this is measured on and with. Nothing that would name the machine.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";

/** A command and its arguments. */
export type Command = [command: string, ...args: string[]];

/** The machine and the versions. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly pinned: boolean;
  readonly node: string;
  readonly packages: Readonly<Record<string, string>>;
}

const canPin = availableParallelism() > 1 && succeeds("taskset", "--version");

/** Whether wrk is there. */
export const hasWrk: boolean = succeeds("sh", "-c", "command -v wrk");

/** The same command on one core, where that is possible: servers on the first, load on the second. */
export function pinned(core: number, command: Command): Command {
  return canPin ? ["taskset", "-c", String(core), ...command] : command;
}

/** What stands above the results. */
export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    pinned: canPin,
    node: process.versions.node,
    packages: {
      coatcheck: versionOf("../package.json"),
      ...Object.fromEntries(
        ["express", "express-session", "iron-session"].map((name) => [
          name,
          versionOf(`../node_modules/${name}/package.json`),
        ]),
      ),
    },
  };
}

function versionOf(path: string): string {
  const manifest = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as { version: string };
  return manifest.version;
}

function succeeds(...[command, ...args]: Command): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}
