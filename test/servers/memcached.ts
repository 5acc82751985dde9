/**
 * Real Memcached servers for tests.
 */
import { connect } from "node:net";
import { programPath } from "./require.ts";
import { freePorts, serverDirectory, startProcess, until, type ServerProcess } from "./server-process.ts";

/** What the tests need to be installed. */
export const MEMCACHED_PROGRAMS: readonly string[] = ["memcached"];

/** One server. */
export interface MemcachedServer {
  readonly port: number;
  readonly process: ServerProcess;
  /** Starts it again on its port, empty, once it was killed. */
  restart(): Promise<void>;
  /** Sends one line, over a connection for this only; returns the lines of the answer. */
  ask(line: string): Promise<readonly string[]>;
  /** One of the numbers of `stats`. */
  stat(name: string): Promise<number>;
  stop(): Promise<void>;
}

/**
 * Starts one. `args`: what else it is started with; 64 MB, and items of up to 1 MB, are its defaults. `launcher`: a command that
 * runs the server, such as `["env", "NAME=value"]`.
 */
export async function startMemcached(
  args: readonly string[] = [],
  launcher: readonly string[] = [],
): Promise<MemcachedServer> {
  const [port = 0] = await freePorts(1);
  const program = programPath("memcached");
  if (program === undefined) throw new Error("memcached is not installed");
  const directory = serverDirectory("memcached");
  // As root it asks for a user.
  const user = process.getuid?.() === 0 ? ["-u", "root"] : [];
  const ask: MemcachedServer["ask"] = (line) => asked(port, line);
  const start = async (): Promise<ServerProcess> => {
    const [command = "", ...words] = [...launcher, program, "-l", "127.0.0.1", "-p", String(port), ...user, ...args];
    const started = startProcess(command, words, directory);
    try {
      await until("memcached", async () => (await ask("version"))[0]?.startsWith("VERSION") === true);
      return started;
    } catch (error) {
      const output = started.output();
      await started.stop();
      throw new Error(`memcached did not start:\n${output}`, { cause: error });
    }
  };
  let server = await start();
  return {
    port,
    get process() {
      return server;
    },
    restart: async () => void (server = await start()),
    ask,
    async stat(name) {
      const line = (await ask("stats")).find((each) => each.startsWith(`STAT ${name} `));
      if (line === undefined) throw new Error(`memcached counts no ${name}`);
      return Number(line.split(" ")[2]);
    },
    stop: () => server.stop(),
  };
}

/** With which line an answer is complete. */
const LAST =
  /^(?:END|EN|HD.*|OK|STORED|NOT_STORED|EXISTS|NOT_FOUND|DELETED|TOUCHED|RESET|ERROR|(?:CLIENT|SERVER)_ERROR .*|VERSION .*)\r\n$/m;

async function asked(port: number, line: string): Promise<readonly string[]> {
  return await new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(`${line}\r\n`, "latin1"));
    socket.setEncoding("latin1");
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("the server hung up")));
    socket.on("data", (chunk: string) => {
      answer += chunk;
      if (!LAST.test(answer.slice(-200))) return;
      resolve(answer.trimEnd().split("\r\n"));
      socket.destroy();
    });
  });
}
