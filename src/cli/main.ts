#!/usr/bin/env node
/**
 * The command `coatcheck`.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { nearest } from "./nearest.ts";
import { UsageError } from "./usage.ts";

const HELP = `coatcheck: sessions for applications in any language

  coatcheck serve                  starts a session server
  coatcheck credential add         makes a credential for an application
  coatcheck credential list        lists them
  coatcheck credential remove ID   removes one

  --help      says more, also of each command
  --version
`;

/** Each loads what it needs, and no more: a list of credentials is there before the stores were read. */
const COMMANDS: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  serve: async (args) => (await import("./serve.ts")).serveCommand(args),
  credential: async (args) => (await import("./credential.ts")).credentialCommand(args),
};

async function main([name, ...args]: readonly string[]): Promise<void> {
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    process.stdout.write(HELP);
  } else if (name === "--version" || name === "-v") {
    process.stdout.write(`${version()}\n`);
  } else {
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (command === undefined) {
      const close = nearest(name, Object.keys(COMMANDS));
      throw new UsageError(
        `There is no command ${name}.${close === undefined ? "" : ` Did you mean ${close}?`}`,
        "coatcheck",
      );
    }
    await command(args);
  }
}

function version(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { readonly version: string }).version;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const help = error instanceof UsageError ? `\n${error.command} --help says more.` : "";
  process.stderr.write(`${(error as Error).message}${help}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
