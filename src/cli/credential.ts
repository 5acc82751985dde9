/**
 * `coatcheck credential`: makes, lists and removes the credentials of applications.
 *
 * @module
 */
import { newCredential } from "../server/session-server.ts";
import { type CommandLine, commandLine, type OptionSpec, optionsHelp } from "./command-line.ts";
import { changeCredentials, CREDENTIAL_FILE, readCredentials } from "./credential-file.ts";
import { nearest } from "./nearest.ts";
import { UsageError } from "./usage.ts";

const COMMAND = "coatcheck credential";

const FILE: OptionSpec = { takes: "FILE", help: `where they are kept, as hashes. Default ${CREDENTIAL_FILE}` };
const HELP: OptionSpec = { help: "says this" };

const ADD = {
  application: { takes: "NAME", help: "whose it is. Several for one application: to change them without a gap" },
  namespace: { takes: "NAME", help: "what the application sees of the store. Default: the application's name" },
  file: FILE,
  help: HELP,
} satisfies Record<string, OptionSpec>;

const OTHERS = { file: FILE, help: HELP } satisfies Record<string, OptionSpec>;

const SUBCOMMANDS: Readonly<Record<string, (args: readonly string[]) => void>> = { add, list, remove };

/** Runs a subcommand. Throws a {@link UsageError}, or an `Error` that says what to do. */
export function credentialCommand([name, ...args]: readonly string[]): void {
  if (name === undefined || name === "--help" || name === "-h") return void process.stdout.write(overview());
  const command = Object.hasOwn(SUBCOMMANDS, name) ? SUBCOMMANDS[name] : undefined;
  if (command !== undefined) return command(args);
  const close = nearest(name, Object.keys(SUBCOMMANDS));
  const meant = close === undefined ? "" : ` Did you mean ${close}?`;
  throw new UsageError(`There is no command credential ${name}.${meant}`, COMMAND);
}

function overview(): string {
  return `coatcheck credential: who may use a session server

  ${COMMAND} add --application NAME [--namespace NAME] [--file FILE]
  ${COMMAND} list [--file FILE]
  ${COMMAND} remove ID [--file FILE]

${optionsHelp(ADD)}

A credential is printed once, when it is made. A running server takes up changes with SIGHUP.
`;
}

/** Reads what all subcommands have in common; undefined when it was a question for help. */
function read(
  name: string,
  args: readonly string[],
  options: Readonly<Record<string, OptionSpec>>,
  positionals: number,
) {
  const line: CommandLine = commandLine(`${COMMAND} ${name}`, args, options);
  if (line.has("help")) {
    process.stdout.write(overview());
    return undefined;
  }
  if (line.positionals.length !== positionals) {
    const expected = positionals === 0 ? "takes options only" : "takes one ID: see coatcheck credential list";
    throw new UsageError(`${COMMAND} ${name} ${expected}.`, COMMAND);
  }
  return { line, file: line.text("file") ?? CREDENTIAL_FILE };
}

function add(args: readonly string[]): void {
  const said = read("add", args, ADD, 0);
  if (said === undefined) return;
  const application = said.line.text("application");
  if (application === undefined) throw new UsageError("Say whose it is: --application NAME", COMMAND);
  const { text, credential } = made(application, said.line.text("namespace") ?? application);
  changeCredentials(said.file, (before) => [...before, credential]);
  // To stdout goes the credential alone: it can be piped to where secrets are kept.
  process.stdout.write(`${text}\n`);
  process.stderr.write(
    `This is the credential of ${application} (id ${credential.id}, namespace ${credential.namespace}). It is shown only now:\n` +
      `${said.file} has its hash. A running server knows it after a SIGHUP.\n`,
  );
}

function made(application: string, namespace: string): ReturnType<typeof newCredential> {
  try {
    return newCredential(application, namespace);
  } catch (error) {
    throw new UsageError((error as Error).message.replace(/^credential: /, "--"), COMMAND);
  }
}

function list(args: readonly string[]): void {
  const said = read("list", args, OTHERS, 0);
  if (said === undefined) return;
  const credentials = existing(said.file);
  const rows = credentials.map(({ id, application, namespace, createdAt }) => [id, application, namespace, createdAt]);
  const table = [["ID", "APPLICATION", "NAMESPACE", "MADE AT"], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const lines = table.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  "));
  process.stdout.write(`${lines.join("\n")}\n`);
}

function remove(args: readonly string[]): void {
  const said = read("remove", args, OTHERS, 1);
  if (said === undefined) return;
  const [id = ""] = said.line.positionals;
  if (!existing(said.file).some((one) => one.id === id)) {
    throw new Error(`${said.file} has no credential with the id ${id}: see coatcheck credential list`);
  }
  changeCredentials(said.file, (before) => before.filter((one) => one.id !== id));
  process.stderr.write(`Removed. A running server refuses it after a SIGHUP.\n`);
}

function existing(file: string) {
  const credentials = readCredentials(file);
  if (credentials === undefined)
    throw new Error(`There is no ${file}: make a credential with coatcheck credential add.`);
  return credentials;
}
