/**
 * The runtimes and compilers that users have besides those of this repository, as the registry has them: packages that hold one
 * binary. They are no devDependencies, because each is for one platform and brings a command `node` of its own.
 */
import { execFile } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** Where a binary comes from. */
export interface Download {
  /** The package of this platform; undefined where there is none. */
  readonly name: string | undefined;
  readonly version: string;
  /** The path of the program in the package. */
  readonly program: string;
}

const { platform, arch } = process;
const EXE = platform === "win32" ? ".exe" : "";

/** A Node of another version. */
export function nodeDownload(version: string): Download {
  const name = `node-${platform === "win32" ? "win" : platform}-${arch}`;
  return { name, version, program: `bin/node${EXE}` };
}

export function bunDownload(version: string): Download {
  const name = `@oven/bun-${platform === "win32" ? "windows" : platform}-${arch === "arm64" ? "aarch64" : arch}`;
  return { name, version, program: `bin/bun${EXE}` };
}

export function denoDownload(version: string): Download {
  const name = `@deno/${platform}-${arch}${platform === "linux" ? "-glibc" : ""}`;
  return { name, version, program: `deno${EXE}` };
}

export function typescriptDownload(version: string): Download {
  return { name: "typescript", version, program: "lib/tsc.js" };
}

/** The path of a program, from the cache or from the registry. Rejects with the reason when it cannot be had. */
export async function programOf({ name, version, program }: Download): Promise<string> {
  if (name === undefined) throw new Error(`the registry has no package for ${platform} on ${arch}`);
  const folder = join(cacheFolder(), `${name.replaceAll(/[@/]/g, "_")}-${version}`);
  const path = join(folder, "node_modules", name, program);
  if (await isWhole(path, version)) return path;
  const draft = mkdtempSync(`${folder}-`);
  try {
    writeFileSync(join(draft, "package.json"), '{ "private": true }\n');
    await npm(["install", "--ignore-scripts", "--prefer-offline", `${name}@${version}`], draft);
    rmSync(folder, { recursive: true, force: true });
    renameSync(draft, folder);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    // Another run of the tests may have been faster.
    if (!existsSync(path)) throw error;
  }
  if (await isWhole(path, version)) return path;
  throw new Error(`${name}@${version} does not run on this machine`);
}

/** Runs npm without audits and adverts; what it had to say is in the error. */
export async function npm(args: readonly string[], cwd: string): Promise<void> {
  // Under npm this is its own script, which needs no shell on any platform.
  const { npm_execpath: script } = process.env;
  const [command, front] = script === undefined ? ["npm", []] : [process.execPath, [script]];
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  await promisify(execFile)(command, [...front, ...args, ...quiet], { cwd, timeout: 120_000 }).catch(
    ({ message, stdout }: { message: string; stdout?: string }) => {
      throw new Error(`${message}\n${stdout ?? ""}`);
    },
  );
}

/** Whether npm failed for want of a network. */
export function isUnreachable(error: unknown): boolean {
  return /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED/.test(String(error));
}

/** Of this user alone: what lies here is run. */
function cacheFolder(): string {
  const { uid } = userInfo();
  const folder = join(tmpdir(), `coatcheck-runtimes-${uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  if (!found.isDirectory() || (uid !== -1 && found.uid !== uid)) throw new Error(`${folder} belongs to somebody else`);
  return folder;
}

/** Machines clear their temporary files one by one. */
async function isWhole(path: string, version: string): Promise<boolean> {
  if (!existsSync(path)) return false;
  const [command, args] = path.endsWith(".js") ? [process.execPath, [path, "--version"]] : [path, ["--version"]];
  return await promisify(execFile)(command, args).then(
    ({ stdout }) => stdout.includes(version),
    () => false,
  );
}
