/** What an application carries of this package once it is bundled and minified. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const ROOT = join(import.meta.dirname, "../..");

/** A bundle of an application. */
export interface Bundle {
  readonly code: string;
  readonly bytes: number;
  readonly gzipped: number;
}

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
}

/** The doors by their specifiers, and the source behind each. */
export const DOORS: Readonly<Record<string, string>> = doors();

function doors(): Record<string, string> {
  const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Manifest;
  const found = Object.entries(exports).flatMap(([door, target]) =>
    typeof target === "string" ? [] : [[`coatcheck${door.slice(1)}`, sourceOf(target.default)] as const],
  );
  return Object.fromEntries(found);
}

function sourceOf(built: string): string {
  return join(ROOT, built.replace("./dist/", "src/").replace(/\.js$/, ".ts"));
}

/** Bundles the code of an application with what it needs of this package and of its dependencies. */
export async function bundled(code: string): Promise<Bundle> {
  const { outputFiles } = await build({
    stdin: { contents: code, loader: "ts", resolveDir: import.meta.dirname },
    alias: DOORS,
    bundle: true,
    minify: true,
    format: "esm",
    platform: "node",
    target: "es2023",
    legalComments: "none",
    write: false,
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error("nothing was bundled");
  const { text, contents } = file;
  return { code: text, bytes: contents.length, gzipped: gzipSync(contents, { level: 9 }).length };
}
