/**
 * `coatcheck serve`: a session server, from its options to its end.
 *
 * @module
 */
import { type Credential, type SessionServer, sessionServer } from "../server/session-server.ts";
import { isWritableByOthers, readCredentials } from "./credential-file.ts";
import { readTls, SERVE_HELP, serveOptions, type ServeOptions } from "./serve-options.ts";
import { type OpenedStore, openStore } from "./store-url.ts";
import { UsageError } from "./usage.ts";

/** Starts the server; resolves when it listens, and the process ends when it was told to. */
export async function serveCommand(args: readonly string[]): Promise<void> {
  const options = serveOptions(args, process.env);
  if (options === undefined) return void process.stdout.write(SERVE_HELP);
  checkNode(options.store);
  hidePassword(args);
  const credentials = credentialsOf(options);
  const tls = readTls(options.tls);
  const opened = await openStore(options.store, console.error, options.changes === "store");
  try {
    const server = made(options, opened, credentials);
    await server.listen(options.address, { tls, tlsEndsElsewhere: options.tlsEndsElsewhere });
    process.stdout.write(greeting(options, opened, credentials, server.url ?? ""));
    onSignals(server, opened, options);
  } catch (error) {
    await opened.close();
    throw error;
  }
}

function checkNode(store: string): void {
  if (!store.startsWith("sqlite:") || process.getBuiltinModule("node:sqlite") !== undefined) return;
  throw new Error(
    `SQLite takes Node 22.13 or later, and this is ${process.version}. Take another Node, or another --store.`,
  );
}

/** Everybody on the machine can list the arguments of a process: from here on they are replaced. */
function hidePassword(args: readonly string[]): void {
  if (!args.some((arg) => /\/\/[^/]*@/.test(arg))) return;
  process.title = "coatcheck serve";
  console.error(
    "coatcheck: --store has a user in it, which a list of processes shows at the start: use $COATCHECK_STORE",
  );
}

function credentialsOf({ credentials: { file, named } }: ServeOptions): readonly Credential[] | undefined {
  const credentials = readCredentials(file);
  if (credentials === undefined && named) {
    throw new Error(
      `--credentials: there is no ${file}. Make it: coatcheck credential add --application NAME --file ${file}`,
    );
  }
  if (credentials !== undefined && isWritableByOthers(file)) {
    console.error(
      `coatcheck: others than its owner can write ${file}, and so give themselves credentials: chmod go-w ${file}`,
    );
  }
  return credentials;
}

function made(options: ServeOptions, { store }: OpenedStore, credentials: readonly Credential[] | undefined) {
  try {
    return sessionServer({ ...options.server, ownChanges: options.changes === "own", store, credentials });
  } catch (error) {
    // An option that the command took and the server does not.
    throw error instanceof TypeError ? new UsageError(error.message, "coatcheck serve") : error;
  }
}

function greeting(
  options: ServeOptions,
  { description }: OpenedStore,
  credentials: readonly Credential[] | undefined,
  url: string,
): string {
  const names = [...new Set(credentials?.map(({ application }) => application))];
  const shown = names.length > 5 ? `${names.slice(0, 5).join(", ")}, …` : names.join(", ");
  const applications =
    credentials === undefined
      ? 'everybody on this machine, as "default": there are no credentials'
      : `${names.length}${names.length === 0 ? "" : `: ${shown}`}, by ${options.credentials.file}`;
  const { metrics = "open", forwardAuth = [] } = options.server;
  const open = ["/healthz", "/readyz", ...(metrics === "open" ? ["/metrics"] : []), "/openapi.json"];
  const proxies = forwardAuth.map((kind) => `/forward-auth/${kind}`);
  return `coatcheck listens on ${url}
  store         ${description}
  applications  ${applications}
  open to all   ${[...open, ...proxies].join("  ")}
  try           ${curl(url, "/readyz")}
                ${curl(url, "/v1/sessions/user", credentials !== undefined)} --json '{"data":{"visits":1}}'
`;
}

function curl(url: string, path: string, withCredential = false): string {
  const unix = url.startsWith("unix:") ? url.slice("unix:".length) : undefined;
  const target = unix === undefined ? `${url}${path}` : `--unix-socket ${unix} http://localhost${path}`;
  return `curl -i ${target}${withCredential ? ' -H "Authorization: Bearer $CREDENTIAL"' : ""}`;
}

function onSignals(server: SessionServer, opened: OpenedStore, options: ServeOptions): void {
  let stopping = false;
  const stop = async (signal: string): Promise<void> => {
    // Who asks twice does not want to wait.
    if (stopping) process.exit(1);
    stopping = true;
    console.error(`coatcheck: ${signal}: ends what is under way`);
    await server.close({ within: options.shutdownTimeout });
    await opened.close();
    console.error("coatcheck: stopped");
    process.exit(0);
  };
  process.on("SIGTERM", (signal) => void stop(signal));
  process.on("SIGINT", (signal) => void stop(signal));
  process.on("SIGHUP", () => reload(server, options));
}

function reload(server: SessionServer, options: ServeOptions): void {
  again(`${options.credentials.file}`, () => {
    const credentials = readCredentials(options.credentials.file);
    if (credentials === undefined) throw new Error(`there is no ${options.credentials.file}`);
    server.setCredentials(credentials);
    return `${credentials.length} credentials`;
  });
  const { tls } = options;
  if (tls === undefined) return;
  again("certificate and key", () => {
    server.setTls(readTls(tls) as NonNullable<ReturnType<typeof readTls>>);
    return "read again";
  });
}

function again(what: string, read: () => string): void {
  try {
    console.error(`coatcheck: SIGHUP: ${what}: ${read()}`);
  } catch (error) {
    console.error(`coatcheck: SIGHUP: ${what}: kept as it was: ${(error as Error).message}`);
  }
}
