/**
 * The examples of the documentation, as files that a compiler can check: the ```ts blocks of the Markdown files and of the
 * `@example`s in `src`.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";

export const ROOT: string = join(import.meta.dirname, "../..");

/** A block of code in a document. */
export interface Example {
  /** The document, relative to the repository. */
  readonly file: string;
  /** The line of the document on which the code begins, from 1. */
  readonly line: number;
  readonly code: string;
}

/** The Markdown files that people read. */
export function documents(): readonly string[] {
  const top = readdirSync(ROOT).filter((file) => file.endsWith(".md"));
  const docs = readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => `docs/${file.replaceAll("\\", "/")}`);
  return [...top, ...docs].toSorted();
}

/** The text of a file of the repository. */
export function textOf(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

/** The blocks of a Markdown text whose info string is `info`. */
export function blocksIn(file: string, markdown: string, info: string): readonly Example[] {
  const fences = markdown.matchAll(/^```([^\n]*)\n([\s\S]*?)^```$/gm);
  return [...fences]
    .filter(([, given]) => given?.trim() === info)
    .map(({ 0: all, 2: code = "", index }) => {
      const codeAt = index + all.indexOf("\n") + 1;
      return { file, line: markdown.slice(0, codeAt).split("\n").length, code };
    });
}

/** The `@example`s of a source file, fenced or not. */
export function docstringExamples(file: string, source: string): readonly Example[] {
  const found: Example[] = [];
  const lines = source.split("\n");
  for (let at = 0; at < lines.length; at++) {
    if (!/^\s*\* @example\s*$/.test(lines[at] ?? "")) continue;
    const body: string[] = [];
    for (let next = at + 1; /^\s*\*(?!\/)(?! @)/.test(lines[next] ?? ""); next++) {
      body.push((lines[next] ?? "").replace(/^\s*\* ?/, ""));
    }
    const fenced = body[0]?.startsWith("```ts") === true;
    const end = fenced ? body.indexOf("```") : body.length;
    found.push({ file, line: fenced ? at + 3 : at + 2, code: body.slice(fenced ? 1 : 0, end).join("\n") });
  }
  return found;
}

/** Every file under `src` that is no test. */
export function sourceFiles(): readonly string[] {
  return readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
    .map((file) => `src/${file.replaceAll("\\", "/")}`)
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .toSorted();
}

/** What the source says by example. */
export function sourceExamples(): readonly Example[] {
  return sourceFiles().flatMap((file) => docstringExamples(file, textOf(file)));
}

/** What stands in for the reader's own code, so that an example can be short. */
const STAND_INS = `
interface UserData { name?: string; visits?: number; theme?: string; cart?: Record<string, number> }
declare const user: import("coatcheck").SessionDefinition<UserData>;
declare const cart: import("coatcheck").SessionDefinition<{ items: string[] }>;
declare const session: import("coatcheck").Session<UserData>;
declare const store: import("coatcheck").SessionStore;
declare const app: import("express").Express;
declare const req: import("express").Request;
declare const res: import("express").Response;
declare function isPassword(username: string, password: string): Promise<boolean>;
declare function myStore(): import("coatcheck").SessionStore;
declare function myTransport(): import("coatcheck").Transport;
declare function myProtection(): import("coatcheck").Protection;
declare function readSecretFile(): string;
`;

/** Docstrings stand beside what they are about, and do not import it: the doors to look for it. */
const DOORS = ["coatcheck", "coatcheck/store/memory", "coatcheck/store/directory", "coatcheck/store/sqlite"];
const KIT_DOOR = "coatcheck/testing";

/** Imports of what a docstring uses by name and does not import. */
function missingImports(code: string, namesOf: ReadonlyMap<string, readonly string[]>): string {
  const own = new Set([...code.matchAll(/\bimport\s*\{([^}]*)\}/g)].flatMap(([, names = ""]) => names.split(/[\s,]+/)));
  const used = (name: string): boolean =>
    !own.has(name) && new RegExp(`(?<![.\\w])${name}\\(|\\bof ${name}\\b`).test(code);
  const statements = [...namesOf].flatMap(([door, names]) => {
    const needed = names.filter(used);
    return needed.length === 0 ? [] : [`import { ${needed.join(", ")} } from "${door}";`];
  });
  if (/(?<![.\w])test\(/.test(code) && !own.has("test")) statements.push('import { test } from "node:test";');
  return statements.join(" ");
}

/** Writes examples into an empty folder, each on the lines where its document has it, and what it takes to check them. */
export async function writeExamples(folder: string, examples: readonly Example[]): Promise<void> {
  const namesOf = new Map<string, readonly string[]>();
  for (const door of [...DOORS, KIT_DOOR]) namesOf.set(door, await valuesOf(door));
  const files = examples.map(({ file, line, code }) => {
    const name = `${file.replaceAll(/[/.]/g, "-")}-${line}.ts`;
    const imports = file.startsWith("src/") ? missingImports(code, namesOf) : "";
    writeFileSync(join(folder, name), `${"\n".repeat(Math.max(0, line - 2))}${imports}\n${code}\nexport {};\n`);
    return name;
  });
  writeFileSync(join(folder, "stand-ins.d.ts"), STAND_INS);
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(configFor(files)));
}

async function valuesOf(door: string): Promise<readonly string[]> {
  try {
    return Object.keys((await import(door)) as object);
  } catch {
    return [];
  }
}

/** The options of the repository, less those that are about a library's own source. */
function configFor(files: readonly string[]): object {
  return {
    extends: join(ROOT, "tsconfig.json"),
    compilerOptions: {
      isolatedDeclarations: false,
      declaration: false,
      noUnusedLocals: false,
      noPropertyAccessFromIndexSignature: false,
    },
    files: ["stand-ins.d.ts", ...files],
    include: [],
  };
}

/** Relative links and images of a document that lead nowhere. */
export function deadLinks(file: string, markdown: string): readonly string[] {
  const prose = markdown.replaceAll(/^```[\s\S]*?^```$/gm, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = ""]) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const [path = "", anchor] = target.split("#");
      const to = path === "" ? file : posix.join(dirname(file), path);
      if (!existsSync(join(ROOT, to))) return true;
      return anchor !== undefined && to.endsWith(".md") && !anchorsOf(textOf(to)).has(anchor);
    });
}

function anchorsOf(markdown: string): ReadonlySet<string> {
  const prose = markdown.replaceAll(/^```[\s\S]*?^```$/gm, "");
  return new Set(
    [...prose.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}
