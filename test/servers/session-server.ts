/**
 * A real session server for tests: `coatcheck serve` as a process of its own, from the source.
 */
import { join } from "node:path";
import { changeCredentials, CREDENTIAL_FILE } from "../../src/cli/credential-file.ts";
import { newCredential } from "../../src/server/session-server.ts";
import { freePorts, serverDirectory, startProcess, until, type ServerProcess } from "./server-process.ts";

const MAIN = new URL("../../src/cli/main.ts", import.meta.url).pathname;

/** What a server is started with. */
export interface SessionServerTestOptions {
  /** Of `coatcheck serve`. Default: SQLite in the directory, a free port of 127.0.0.1. */
  readonly args?: readonly string[];
  /** The applications that have a credential, each with the namespace of its name unless it says another one. Default none. */
  readonly credentials?: readonly { readonly application: string; readonly namespace?: string }[];
  /** The directory to start in, for a server beside another one. It is removed when the server is stopped. */
  readonly directory?: string;
}

/** A session server that listens. */
export interface TestSessionServer {
  /** Such as `http://127.0.0.1:12345`; the same after a restart. */
  readonly url: string;
  /** The credential of each application. */
  readonly credentials: Readonly<Record<string, string>>;
  /** Where it runs: its database and credentials are there. */
  readonly directory: string;
  readonly process: ServerProcess;
  /** Ends it gently (SIGTERM), waits until it has, and removes its directory. */
  stop(): Promise<void>;
  /** Ends it without warning. */
  kill(): Promise<void>;
  /** Starts it again where it was, at the same address, once it has ended. */
  restart(): Promise<void>;
}

/** Starts one, and waits until it listens. */
export async function startSessionServer(options: SessionServerTestOptions = {}): Promise<TestSessionServer> {
  const { args = [], directory = serverDirectory("session-server") } = options;
  const credentials =
    options.credentials === undefined ? {} : written(join(directory, CREDENTIAL_FILE), options.credentials);
  const listen = args.includes("--listen") ? [] : ["--listen", `127.0.0.1:${(await freePorts(1))[0]}`];
  const start = async (): Promise<{ url: string; server: ServerProcess }> => {
    const server = startProcess(process.execPath, [MAIN, "serve", ...listen, ...args], directory);
    const before = urlsIn(server.output()).length;
    await until("the session server", async () => !isRunning(server.pid) || urlsIn(server.output()).length > before);
    if (urlsIn(server.output()).length === before) {
      const output = server.output();
      await server.end();
      await server.stop();
      throw new Error(`the session server did not start:\n${output}`);
    }
    return { server, url: urlsIn(server.output()).at(-1) ?? "" };
  };
  let { server, url } = await start();
  return {
    get url() {
      return url;
    },
    credentials,
    directory,
    get process() {
      return server;
    },
    async stop() {
      await server.end();
      await server.stop();
    },
    kill: () => server.kill(),
    restart: async () => void ({ server, url } = await start()),
  };
}

function written(
  file: string,
  applications: readonly { readonly application: string; readonly namespace?: string }[],
): Readonly<Record<string, string>> {
  const texts: Record<string, string> = {};
  changeCredentials(file, (before) => [
    ...before,
    ...applications.map(({ application, namespace = application }) => {
      const { text, credential } = newCredential(application, namespace);
      texts[application] = text;
      return credential;
    }),
  ]);
  return texts;
}

function urlsIn(output: string): readonly string[] {
  return [...output.matchAll(/coatcheck listens on (\S+)/g)].map(([, url = ""]) => url);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
