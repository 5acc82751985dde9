/**
 * Caddy for tests, on a free port, in a directory of its own, with a configuration of the test's own.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { programPath } from "./require.ts";
import { freePorts, serverDirectory, startProcess, until, type ServerProcess } from "./server-process.ts";

/** A running Caddy. */
export interface Caddy {
  readonly port: number;
  readonly process: ServerProcess;
}

/** Starts one. `config` is told its port and a directory that has the given files; what is global is said already. */
export async function startCaddy(
  files: Readonly<Record<string, string | Uint8Array>>,
  config: (port: number, directory: string) => string,
): Promise<Caddy> {
  const directory = serverDirectory("caddy");
  const [port = 0] = await freePorts(1);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), content);
  }
  // Nothing on a port that it was not given, and no files but in its directory.
  const global = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n";
  writeFileSync(join(directory, "Caddyfile"), global + config(port, directory));
  const places = [`XDG_CONFIG_HOME=${directory}`, `XDG_DATA_HOME=${directory}`];
  const command = [programPath("caddy") ?? "caddy", "run", "--adapter", "caddyfile", "--config", "Caddyfile"];
  const process = startProcess("env", [...places, ...command], directory);
  await until("caddy", () => accepts(port));
  return { port, process };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => [socket.destroy(), resolve(true)]);
    socket.once("error", () => resolve(false));
  });
}
