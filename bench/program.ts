/**
 * Servers that are programs of other languages.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { succeeds, type Command } from "./machine.ts";
import type { Kind } from "./subjects.ts";

/** How the servers of a framework are run. */
export interface Program {
  /** What is missing here for a server of a kind; undefined when nothing is. */
  missing(kind: Kind): string | undefined;
  /** What has to be run beforehand, such as a compiler, to leave in `folder` what `serve` needs. Undefined: nothing. */
  build?(kind: Kind, folder: string): Build | undefined;
  /** What runs the server. Its process, or one that it starts, listens on the port. It is told more by {@link environmentOf}. */
  serve(place: Place): Command;
  /** The versions of what takes part, by name. */
  versions(): Readonly<Record<string, string>>;
}

/** Where a server is. */
export interface Place {
  readonly kind: Kind;
  readonly port: number;
  /** A folder of its own. */
  readonly folder: string;
}

/** A command that makes something. */
export interface Build {
  readonly command: Command;
  /** Where it is run. */
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** What a server is told, in its environment. `data`: that of a new session, as JSON. */
export function environmentOf({ kind, port, folder }: Place, data: string): Record<string, string> {
  return { BENCH_KIND: kind, BENCH_PORT: String(port), BENCH_FOLDER: folder, BENCH_DATA: data };
}

/** What a command prints; empty when it fails. */
export function printed(
  [command, ...args]: Command,
  more: { cwd?: string; env?: Record<string, string> } = {},
): string {
  const env = { ...process.env, ...more.env };
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8", cwd: more.cwd, env });
  return status === 0 ? stdout.trim() : "";
}

/** Whether a program is installed. */
export function isInstalled(name: string): boolean {
  return succeeds("sh", "-c", `command -v ${name}`);
}

/** The same function, which works out its answer for each kind once. */
export function once<Answer>(compute: (kind: Kind) => Answer): (kind: Kind) => Answer {
  const known = new Map<Kind, { readonly answer: Answer }>();
  return (kind) => {
    const found = known.get(kind) ?? { answer: compute(kind) };
    known.set(kind, found);
    return found.answer;
  };
}
