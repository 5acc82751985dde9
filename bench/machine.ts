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

/** What runs a command on one core, where that is possible: servers on the first, all else on the second. */
export function pinning(core: number): readonly string[] {
  return canPin ? ["taskset", "-c", String(core)] : [];
}

/** The same command on one core, where that is possible. */
export function pinned(core: number, command: Command): Command {
  return [...pinning(core), ...command] as Command;
}

const PACKAGES = [
  "express",
  "express-session",
  "connect-redis",
  "redis",
  "pg",
  "mysql2",
  "memjs",
  "@nats-io/kv",
  "cookie-session",
  "iron-session",
  "better-auth",
  "fastify",
  "@fastify/session",
  "@fastify/secure-session",
  "koa",
  "koa-session",
  "hono",
  "@hono/node-server",
  "hono-sessions",
  "@hono/session",
  "react-router",
  "h3",
] as const;

/** What stands above the results; `programs`: the versions of what is no package. */
export function machine(programs: Readonly<Record<string, string>>): Machine {
  const others = PACKAGES.map((name) => [name, versionOf(`../node_modules/${name}/package.json`)] as const);
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    pinned: canPin,
    node: process.versions.node,
    packages: {
      coatcheck: versionOf("../package.json"),
      ...Object.fromEntries(others),
      ...programs,
    },
  };
}

function versionOf(path: string): string {
  const manifest = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as { version: string };
  return manifest.version;
}

/** Whether a command can be run, and says that it has gone well. */
export function succeeds(...[command, ...args]: Command): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}
