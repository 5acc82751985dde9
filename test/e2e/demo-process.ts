import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../servers/server-process.ts";
import { ROOT } from "./built.ts";

/** The demo of a fleet, as a process. */
export interface DemoProcess {
  readonly url: string;
  readonly shopUrl: string;
  output(): string;
  /** Its exit code, and what it left in its temporary directory. */
  stop(signal: NodeJS.Signals): Promise<DemoEnding>;
}

export interface DemoEnding {
  readonly code: number | null;
  readonly output: string;
  readonly left: readonly string[];
}

const PATIENCE_MS = 120_000;

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGTERM");
});

/** Starts the demo on free ports. */
export async function startDemo(env: Readonly<Record<string, string>> = {}): Promise<DemoProcess> {
  const { child, output, ending } = await launch(env);
  await until(
    "the demo",
    async () => {
      if (child.exitCode !== null) throw new Error(output());
      return output().includes("Ctrl-C");
    },
    PATIENCE_MS,
  );
  const [url = "", shopUrl = ""] = output().match(/http:\/\/localhost:\d+/g) ?? [];
  return {
    url,
    shopUrl,
    output,
    async stop(signal) {
      child.kill(signal);
      return await ending;
    },
  };
}

/** For a demo that ends by itself: with help, or with what is wrong. */
export async function demoEnding(
  env: Readonly<Record<string, string>>,
  ...args: readonly string[]
): Promise<DemoEnding> {
  const { ending } = await launch(env, args);
  return await ending;
}

async function launch(env: Readonly<Record<string, string>>, args: readonly string[] = []) {
  const directory = await mkdtemp(join(tmpdir(), "coatcheck-demo-"));
  const child = spawn(process.execPath, ["examples/fleet/demo/main.ts", ...args], {
    cwd: ROOT,
    env: {
      ...process.env,
      PORT: "0",
      SHOP_PORT: "0",
      STORE: "",
      PROXY: "",
      NODE_OPTIONS: "",
      TMPDIR: directory,
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  const exited = once(child, "exit").finally(() => running.delete(child));
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (part) => (text += part));
  const ending = exited.then(async (): Promise<DemoEnding> => {
    const left = await readdir(directory);
    await rm(directory, { recursive: true, force: true });
    return { code: child.exitCode, output: text, left };
  });
  return { child, output: () => text, ending };
}
