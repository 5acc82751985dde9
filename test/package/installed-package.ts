/**
 * The package as its users get it: built and packed from a clean copy of this repository, and installed by npm into an empty
 * project.
 */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { npm } from "./installed-runtimes.ts";

export const ROOT: string = join(import.meta.dirname, "../..");

/** What `package.json` says of the doors. */
export interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** A project into which the package is installed. */
export interface InstalledProject {
  readonly folder: string;
  readonly tarball: string;
  readonly manifest: Manifest;
  /** The files of the installed package and their sizes in bytes. */
  readonly files: ReadonlyMap<string, number>;
  remove(): void;
}

/** What no publisher has in a clean checkout, and the dependencies, which are linked. */
const NOT_COPIED = new Set([".git", "node_modules", "dist", ".data", "coverage"]);

/** Packs the package as `npm publish` does, and installs it. */
export async function installPackage(): Promise<InstalledProject> {
  const base = mkdtempSync(join(tmpdir(), "coatcheck-installed-"));
  const folder = join(base, "project");
  try {
    const tarball = await pack(base);
    mkdirSync(folder);
    writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
    await npm(["install", "--ignore-scripts", "--prefer-offline", tarball], folder);
    const installed = join(folder, "node_modules/coatcheck");
    const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as Manifest;
    const files = new Map(filesIn(installed).map((file) => [file, statSync(join(installed, file)).size]));
    return { folder, tarball, manifest, files, remove: () => rmSync(base, { recursive: true, force: true }) };
  } catch (error) {
    rmSync(base, { recursive: true, force: true });
    throw error;
  }
}

/** A copy, because the build replaces `dist/`, which other tests are reading. */
async function pack(base: string): Promise<string> {
  const copy = join(base, "repository");
  cpSync(ROOT, copy, { recursive: true, filter: (path) => !NOT_COPIED.has(relative(ROOT, path)) });
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"), "junction");
  await npm(["pack", "--pack-destination", base], copy);
  const tarball = readdirSync(base).find((file) => file.endsWith(".tgz"));
  if (tarball === undefined) throw new Error("npm made no tarball");
  return join(base, tarball);
}

/** Every file below a folder, with `/` on every platform. */
export function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .toSorted();
}

/** Makes packages of the repository available to a project. */
export function link(folder: string, names: readonly string[]): void {
  for (const name of names) {
    const to = join(folder, "node_modules", name);
    mkdirSync(dirname(to), { recursive: true });
    symlinkSync(join(ROOT, "node_modules", name), to, "junction");
  }
}

/** What this repository is developed with, its frameworks among them. */
export function developmentPackages(): readonly string[] {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    devDependencies: Readonly<Record<string, string>>;
  };
  return Object.keys(devDependencies);
}
