/**
 * Options of a command: one table says what they are called, what they take and what they mean.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { nearest } from "./nearest.ts";
import { UsageError } from "./usage.ts";

/** An option. */
export interface OptionSpec {
  /** What it takes, as the help calls it; left out for one that takes nothing. */
  readonly takes?: string;
  /** Whether it may come several times. */
  readonly multiple?: boolean;
  readonly help: string;
}

/** What was said: texts of an option in the order in which they came; an option that takes nothing has an empty one. */
export interface CommandLine {
  readonly positionals: readonly string[];
  /** The text of an option that comes once. */
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
  has(name: string): boolean;
}

/** Reads the arguments of `command`. Throws a {@link UsageError}. */
export function commandLine(
  command: string,
  args: readonly string[],
  options: Readonly<Record<string, OptionSpec>>,
): CommandLine {
  const config = Object.fromEntries(
    Object.entries(options).map(([name, { takes }]) => [
      name,
      { type: takes === undefined ? ("boolean" as const) : ("string" as const), multiple: true },
    ]),
  );
  // Not strict: its own errors know nothing of what was meant.
  const parsed = parseArgs({ args: [...args], options: config, strict: false, tokens: true, allowPositionals: true });
  const said = new Map<string, string[]>();
  for (const token of parsed.tokens) {
    if (token.kind !== "option") continue;
    const { name, rawName, value } = token;
    const spec = Object.hasOwn(options, name) ? options[name] : undefined;
    if (spec === undefined) throw new UsageError(unknown(rawName, name, options), command);
    const texts = said.get(name) ?? [];
    checkToken(command, rawName, spec, value, texts.length);
    said.set(name, [...texts, value ?? ""]);
  }
  return {
    positionals: parsed.positionals,
    text: (name) => said.get(name)?.[0],
    texts: (name) => said.get(name) ?? [],
    has: (name) => said.has(name),
  };
}

function unknown(rawName: string, name: string, options: Readonly<Record<string, OptionSpec>>): string {
  const close = nearest(name, Object.keys(options));
  return `There is no option ${rawName}.${close === undefined ? "" : ` Did you mean --${close}?`}`;
}

function checkToken(
  command: string,
  rawName: string,
  { takes, multiple }: OptionSpec,
  value: string | undefined,
  before: number,
): void {
  if (takes === undefined && value !== undefined) throw new UsageError(`${rawName} takes no value.`, command);
  // "--store --listen x": a value that begins with "-" is an option whose value was forgotten.
  if (takes !== undefined && (value === undefined || value === "" || value.startsWith("--"))) {
    throw new UsageError(`${rawName} takes a value: ${rawName} ${takes}`, command);
  }
  if (before > 0 && multiple !== true) throw new UsageError(`${rawName} was given twice.`, command);
}

/** The lines of a help about options. */
export function optionsHelp(options: Readonly<Record<string, OptionSpec>>): string {
  const rows = Object.entries(options).map(([name, { takes, help }]) => ({
    call: `--${name}${takes === undefined ? "" : ` ${takes}`}`,
    help,
  }));
  const width = Math.min(32, Math.max(...rows.map(({ call }) => call.length)));
  return rows
    .map(({ call, help }) => {
      const [first = "", ...others] = help.split("\n");
      const start = call.length > width ? `  ${call}\n  ${" ".repeat(width)}` : `  ${call.padEnd(width)}`;
      return [`${start}  ${first}`, ...others.map((line) => `${" ".repeat(width + 4)}${line}`)].join("\n");
    })
    .join("\n");
}
