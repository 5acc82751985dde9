/**
 * The programs of an app that goes through every door of the package, made from `package.json`: a new door is in all of them.
 */
import type { Manifest } from "./installed-package.ts";

/** How a program asks for a door. */
export type Loading = "import" | "require";

/** The doors as an app names them: `coatcheck/express`. */
export function doorsOf({ exports }: Pick<Manifest, "exports">): readonly string[] {
  return Object.keys(exports).map((door) => `coatcheck${door.slice(1)}`);
}

function isJson(door: string): boolean {
  return door.endsWith(".json");
}

/** A file that only has to type-check: every name of every door, by `import` in a module or by `require` in CommonJS. */
export function typesProgram(manifest: Manifest, loading: Loading): string {
  const doors = doorsOf(manifest).filter((door) => !isJson(door));
  const statements = doors.map((door, n) =>
    loading === "import" ? `import * as door${n} from "${door}";` : `import door${n} = require("${door}");`,
  );
  const members = doors.map((door, n) => `"${door}": door${n}`);
  return [...statements, `${loading === "import" ? "export default" : "export ="} { ${members.join(", ")} };`, ""].join(
    "\n",
  );
}

/** A program that walks through the doors and prints what it saw. Its argument: the options of the walk, in JSON. */
export function walkProgram(manifest: Manifest, loading: Loading): string {
  return (loading === "import" ? importing : requiring)(doorsOf(manifest));
}

const OPTIONS = "JSON.parse(process.argv[2])";

function importing(doors: readonly string[]): string {
  const members = doors.map((door, n) => `"${door}": ${isJson(door) ? `require("${door}")` : `door${n}`}`);
  return [
    ...doors.map((door, n) => (isJson(door) ? "" : `import * as door${n} from "${door}";`)),
    'import { createRequire } from "node:module";',
    'import express from "express";',
    'import { fastify } from "fastify";',
    'import * as hono from "hono";',
    'import koa from "koa";',
    'import { walkThrough } from "./walks.js";',
    // Importing JSON is an experiment in older versions of Node.
    "const require = createRequire(import.meta.url);",
    `const doors = { ${members.join(", ")} };`,
    `const report = await walkThrough(doors, { express, fastify, hono, koa }, ${OPTIONS});`,
    "console.log(JSON.stringify(report));",
    "",
  ].join("\n");
}

function requiring(doors: readonly string[]): string {
  const frameworks = ["express", "fastify", "hono", "koa"].map((name) => `${name}: require("${name}")`);
  return [
    '"use strict";',
    `const doors = { ${doors.map((door) => `"${door}": require("${door}")`).join(", ")} };`,
    `const frameworks = { ${frameworks.join(", ")} };`,
    'import("./walks.js")',
    `  .then(({ walkThrough }) => walkThrough(doors, frameworks, ${OPTIONS}))`,
    "  .then((report) => console.log(JSON.stringify(report)));",
    "",
  ].join("\n");
}
