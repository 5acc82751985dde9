/**
 * What runs the servers of other languages.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { goProgram } from "./hosts/go.ts";
import { phpProgram } from "./hosts/php.ts";
import { djangoProgram, flaskProgram } from "./hosts/python.ts";
import { tomcatProgram } from "./hosts/tomcat.ts";
import { once, type Program } from "./program.ts";
import type { ProgramHost } from "./subjects.ts";

const PROGRAMS: Readonly<Record<ProgramHost, Program>> = {
  go: goProgram,
  tomcat: tomcatProgram,
  flask: flaskProgram,
  django: djangoProgram,
  php: phpProgram,
};

/** What the CPU time of other processes is read from. */
const TOLD: readonly string[] = ["schedstat", "children"].map((name) => `/proc/self/task/${process.pid}/${name}`);

const ALL = new Map(Object.entries(PROGRAMS).map(([host, program]) => [host, measurable(program)]));

/** What runs the servers of a framework. */
export function programOf(host: ProgramHost): Program {
  return ALL.get(host) ?? PROGRAMS[host];
}

function measurable(program: Program): Program {
  return {
    ...program,
    missing: once((kind) => {
      if (!TOLD.every((path) => existsSync(path))) return "the system does not tell the CPU time of other processes";
      return program.missing(kind);
    }),
  };
}
