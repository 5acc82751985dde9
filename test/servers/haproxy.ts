/**
 * HAProxy for tests, on free ports, with a configuration of the test's own.
 */
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { programPath } from "./require.ts";
import { freePorts, serverDirectory, startProcess, until, type ServerProcess } from "./server-process.ts";

/** A running proxy. */
export interface Haproxy {
  readonly port: number;
  readonly process: ServerProcess;
}

/** Starts one. `config` is told its port and a directory that has the given files. */
export async function startHaproxy(
  files: Readonly<Record<string, string | Uint8Array>>,
  config: (port: number, directory: string) => string,
): Promise<Haproxy> {
  const directory = serverDirectory("haproxy");
  const [port = 0] = await freePorts(1);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  writeFileSync(join(directory, "haproxy.cfg"), config(port, directory));
  const process = startProcess(programPath("haproxy") ?? "haproxy", ["-f", "haproxy.cfg", "-db"], directory);
  await until("haproxy", () => accepts(port));
  return { port, process };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => [socket.destroy(), resolve(true)]);
    socket.once("error", () => resolve(false));
  });
}
