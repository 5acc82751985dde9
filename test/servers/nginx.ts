/**
 * nginx for tests, on free ports, in a directory of its own, with a configuration of the test's own.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import { programPath } from "./require.ts";
import { freePorts, serverDirectory, startProcess, until, type ServerProcess } from "./server-process.ts";

/** A running nginx. */
export interface Nginx {
  readonly port: number;
  readonly process: ServerProcess;
  /**
   * Takes another configuration, as `nginx -s reload` does, and waits until the workers of the old one have answered what they
   * had: until then they take requests, too.
   */
  reload(config: string): Promise<void>;
  /** Ends it and its workers, which would outlive a master that was killed. */
  stop(): Promise<void>;
}

/** What its log says of its one worker. */
const BEGUN = /start worker process \d+/g;
const GONE = /worker process \d+ exited with code/g;

/** Starts one. `config` is what stands in its `http` block; it is told a port and a directory that has the given files. */
export async function startNginx(
  files: Readonly<Record<string, string | Uint8Array>>,
  config: (port: number, directory: string) => string,
): Promise<Nginx> {
  const directory = serverDirectory("nginx");
  const [port = 0] = await freePorts(1);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), content);
  }
  const write = (text: string): void => writeFileSync(join(directory, "nginx.conf"), around(text));
  write(config(port, directory));
  const program = programPath("nginx") ?? "nginx";
  // Its own workers, and no files but in its directory.
  const server = startProcess(program, ["-p", directory, "-e", "stderr", "-c", "nginx.conf"], directory);
  const count = (event: RegExp): number => [...server.output().matchAll(event)].length;
  await until("nginx", async () => count(BEGUN) > 0);
  return {
    port,
    process: server,
    async reload(text) {
      const [begun, gone] = [count(BEGUN), count(GONE)];
      write(text);
      process.kill(server.pid, "SIGHUP");
      await until("nginx reload", async () => count(BEGUN) > begun && count(GONE) > gone);
    },
    async stop() {
      await server.end();
      await server.stop();
    },
  };
}

/** What Debian has around `conf.d`, without its paths. */
function around(config: string): string {
  const user = process.getuid?.() === 0 ? `user ${userInfo().username};` : "";
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${name};`);
  return `
${user}
daemon off;
pid nginx.pid;
worker_processes 1;
error_log stderr notice;
events {}
http {
  access_log off;
  ${paths.join("\n  ")}
${config}
}
`;
}
