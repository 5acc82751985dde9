/**
 * The servers beside that subjects keep their sessions in: Redis and the like.
 *
 * @module
 */
import { isInstalled, printed } from "./program.ts";

/** What has to be installed for each; the first one is the server. */
const PROGRAMS = {
  redis: ["redis-server"],
  postgres: ["postgres", "initdb"],
  mariadb: ["mariadbd", "mariadb-install-db"],
  memcached: ["memcached"],
  nats: ["nats-server"],
} as const;

/** A server that a subject needs beside its own. */
export type Need = keyof typeof PROGRAMS;

/** All of them. */
export const NEEDS: readonly Need[] = Object.keys(PROGRAMS) as Need[];

/** What is missing here to start one; undefined when nothing is. */
export function lackOf(need: Need): string | undefined {
  const missing = PROGRAMS[need].filter((program) => !isInstalled(program));
  if (missing.length === 0) return undefined;
  return `${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} not installed`;
}

/** What these subjects need, each once. */
export function needsOf(subjects: readonly { readonly needs: Need | undefined }[]): readonly Need[] {
  return NEEDS.filter((need) => subjects.some(({ needs }) => needs === need));
}

/** The versions of servers, by what their programs are called. */
export function serverVersions(needs: readonly Need[]): Readonly<Record<string, string>> {
  return Object.fromEntries(needs.map((need) => [PROGRAMS[need][0], versionOf(PROGRAMS[need][0])]));
}

function versionOf(program: string): string {
  return /\d+(?:\.\d+)+/.exec(printed([program, "--version"]))?.[0] ?? "unknown";
}
