/**
 * The options of `coatcheck serve`, and what they come to.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import type { Duration } from "../internal/duration.ts";
import type { ListenAddress, SessionServerOptions, TlsFiles } from "../server/session-server.ts";
import { type CommandLine, commandLine, type OptionSpec, optionsHelp } from "./command-line.ts";
import { CREDENTIAL_FILE } from "./credential-file.ts";
import { DEFAULT_LISTEN, listenAddress } from "./listen-text.ts";
import { DEFAULT_STORE } from "./store-url.ts";
import { UsageError } from "./usage.ts";

/** The command, for messages. */
const COMMAND = "coatcheck serve";

const OPTIONS: Readonly<Record<string, OptionSpec>> = {
  store: {
    takes: "URL",
    help: `sqlite:PATH (?synchronous=full waits for the disk), redis://…, rediss://…,
postgres://… or mysql://…. Default ${DEFAULT_STORE}, or $COATCHECK_STORE,
which no list of processes shows`,
  },
  listen: { takes: "ADDRESS", help: `HOST:PORT, PORT on loopback, or unix:PATH. Default ${DEFAULT_LISTEN}` },
  credentials: {
    takes: "FILE",
    help: `made by coatcheck credential add. Default ${CREDENTIAL_FILE},
if it is there; else everybody on this machine is one application`,
  },
  "tls-cert": { takes: "FILE", help: "certificate, as PEM, with those it needs behind it" },
  "tls-key": { takes: "FILE", help: "its key, as PEM" },
  "tls-ends-elsewhere": { help: "plain HTTP beyond this machine: something in front ends TLS" },
  "forward-auth": {
    takes: "NAMESPACE/NAME",
    multiple: true,
    help: "lets a proxy ask at /forward-auth/NAMESPACE/NAME whether somebody is\nsigned in. Several times for several",
  },
  "idle-timeout": {
    takes: "TIME",
    help: "a session ends when it was not used for so long: 90s, 30m, 12h, 7d\nor off. Default 30m",
  },
  "absolute-timeout": { takes: "TIME", help: "it ends after so long, used or not. Default 12h" },
  "renewal-timeout": { takes: "TIME", help: "its secret is renewed after so long. Default 15m" },
  "keys-file": { takes: "FILE", help: "a key per line, as the keys of the applications' definitions" },
  audience: { takes: "TEXT", help: "as the audience of the applications' definitions" },
  "store-timeout": { takes: "TIME", help: "how long the store may take. Default 2s" },
  "max-body": { takes: "SIZE", help: "of a request: 512kb, 1mb. Default 4mb" },
  changes: {
    takes: "WHO",
    help: `who tells of changes, for applications that keep copies of sessions:
store (redis, postgres), or own where nobody but this server writes.
Default nobody`,
  },
  rate: { takes: "N", help: "requests of an application in a second. Default no limit" },
  "max-connections": { takes: "N", help: "connections at a time. Default 10000" },
  metrics: { takes: "WHO", help: "who sees /metrics: open, credential or off. Default open" },
  "shutdown-timeout": { takes: "TIME", help: "how long requests may take that are under way at SIGTERM. Default 10s" },
  help: { help: "says this" },
};

/** What `coatcheck serve --help` says. */
export const SERVE_HELP: string = `coatcheck serve: starts a session server

${optionsHelp(OPTIONS)}

SIGTERM and SIGINT: takes no more work, ends what is under way, leaves.
SIGHUP: reads credentials, certificate and key again.
`;

/** What the options came to. Files were not read yet, but for the one with keys. */
export interface ServeOptions {
  readonly store: string;
  readonly address: ListenAddress;
  /** The file with credentials, and whether it was asked for by name. */
  readonly credentials: { readonly file: string; readonly named: boolean };
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly tlsEndsElsewhere: boolean;
  readonly shutdownTimeout: Duration;
  /** Who tells of changes. */
  readonly changes: "store" | "own" | undefined;
  readonly server: Omit<SessionServerOptions, "store" | "credentials" | "log">;
}

/** Reads them; undefined when they ask for help. Throws a {@link UsageError}. */
export function serveOptions(args: readonly string[], env: Readonly<NodeJS.ProcessEnv>): ServeOptions | undefined {
  const line = commandLine(COMMAND, args, OPTIONS);
  if (line.has("help")) return undefined;
  if (line.positionals.length > 0) throw new UsageError(`${COMMAND} takes options only.`, COMMAND);
  const listen = line.text("listen") ?? DEFAULT_LISTEN;
  const address = listenAddress(listen);
  if (address === undefined) throw new UsageError("--listen takes HOST:PORT, PORT or unix:PATH.", COMMAND);
  return {
    store: line.text("store") ?? (env["COATCHECK_STORE"] || DEFAULT_STORE),
    address,
    credentials: { file: line.text("credentials") ?? CREDENTIAL_FILE, named: line.has("credentials") },
    tls: tlsOf(line),
    tlsEndsElsewhere: line.has("tls-ends-elsewhere"),
    shutdownTimeout: duration(line, "shutdown-timeout") ?? "10s",
    changes: oneOf(line, "changes", ["store", "own"]),
    server: serverOptions(line),
  };
}

function tlsOf(line: CommandLine): ServeOptions["tls"] {
  const [cert, key] = [line.text("tls-cert"), line.text("tls-key")];
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError("--tls-cert and --tls-key go together.", COMMAND);
  }
  return cert === undefined || key === undefined ? undefined : { cert, key };
}

function serverOptions(line: CommandLine): ServeOptions["server"] {
  return {
    forwardAuth: line.texts("forward-auth"),
    idleTimeout: timeout(line, "idle-timeout"),
    absoluteTimeout: timeout(line, "absolute-timeout"),
    renewalTimeout: timeout(line, "renewal-timeout"),
    keys: keysOf(line),
    audience: line.text("audience"),
    storeTimeout: duration(line, "store-timeout"),
    maxBody: size(line, "max-body"),
    rate: number(line, "rate"),
    maxConnections: number(line, "max-connections"),
    metrics: oneOf(line, "metrics", ["open", "credential", "off"]),
  };
}

function keysOf(line: CommandLine): readonly string[] | undefined {
  const file = line.text("keys-file");
  if (file === undefined) return undefined;
  const keys = readNamed(file, "--keys-file")
    .toString()
    .split(/\s+/)
    .filter((key) => key !== "");
  if (keys.length === 0) throw new Error(`--keys-file: ${file} has no key in it`);
  return keys;
}

/** Reads a file that an option names. Throws an `Error` that says which. */
export function readNamed(file: string, option: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Error(`${option}: ${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** The certificate and the key. Throws an `Error` that says which cannot be read. */
export function readTls(files: ServeOptions["tls"]): TlsFiles | undefined {
  if (files === undefined) return undefined;
  return { cert: readNamed(files.cert, "--tls-cert"), key: readNamed(files.key, "--tls-key") };
}

function duration(line: CommandLine, name: string): Duration | undefined {
  const text = line.text(name);
  if (text === undefined) return undefined;
  if (/^\d+(\.\d+)?[smhd]$/.test(text) && Number.parseFloat(text) > 0) return text as Duration;
  throw new UsageError(`--${name} takes a time such as 90s, 30m, 12h or 7d.`, COMMAND);
}

function timeout(line: CommandLine, name: string): Duration | false | undefined {
  return line.text(name) === "off" ? false : duration(line, name);
}

function number(line: CommandLine, name: string): number | undefined {
  const text = line.text(name);
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new UsageError(`--${name} takes a whole number above 0.`, COMMAND);
}

const UNITS = { b: 1, kb: 1024, mb: 1024 * 1024 } as const;

function size(line: CommandLine, name: string): number | undefined {
  const text = line.text(name);
  if (text === undefined) return undefined;
  const [, digits, unit = "b"] = /^([1-9]\d{0,8})(b|kb|mb)?$/i.exec(text) ?? [];
  if (digits !== undefined) return Number(digits) * UNITS[unit.toLowerCase() as keyof typeof UNITS];
  throw new UsageError(`--${name} takes a size such as 512kb or 1mb.`, COMMAND);
}

function oneOf<Word extends string>(line: CommandLine, name: string, words: readonly Word[]): Word | undefined {
  const text = line.text(name);
  if (text === undefined) return undefined;
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) throw new UsageError(`--${name} takes ${words.join(", ")}.`, COMMAND);
  return word;
}
